//! `docker run` and `docker create`: which word is the image.

use std::ffi::{OsStr, OsString};
use std::ops::Range;

use super::fields;
use super::flags::{Operands, SHOWN_LIMIT, text};
use super::{ArgumentError, FlagSet, Occurrence};
use crate::text::visible_prefix;

/// The verbs that make a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `docker create`.
    Create,
    /// `docker run`.
    Run,
}

impl Verb {
    /// The flags of this verb that are known here.
    #[must_use]
    pub fn flags(self) -> FlagSet {
        let (name, more_values, more_switches): (_, &[&str], &[&str]) = match self {
            Self::Create => ("create", &[], &[]),
            Self::Run => ("run", &["detach-keys"], &["detach d", "sig-proxy"]),
        };
        FlagSet::new(name, &[VALUES, more_values].concat(), &[SWITCHES, more_switches].concat())
    }
}

/// What a `run` or `create` command line says about its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerArguments {
    /// Which word is the image.
    pub index: usize,
    /// The image as written.
    pub image: String,
    /// `--platform`; where it is not written, docker takes `$DOCKER_DEFAULT_PLATFORM`.
    pub platform: Option<String>,
    /// `--pull`.
    pub pull: PullPolicy,
    /// `--disable-content-trust`, where it is written.
    pub disable_content_trust: Option<bool>,
    /// `--quiet`.
    pub quiet: bool,
    /// The images that `--mount type=image` brings in besides.
    pub mounted: Vec<MountedImage>,
    /// Which words switch content trust; they stand before the image.
    switches: Vec<usize>,
}

impl ContainerArguments {
    /// The same words with another image, and without `--disable-content-trust`, which docker 29 no
    /// longer has. Mounted images are replaced by those of the same place in `mounted`, as far as
    /// there are any.
    #[must_use]
    pub fn with_images(&self, arguments: &[OsString], image: &OsStr, mounted: &[String]) -> Vec<OsString> {
        let mut words = Vec::with_capacity(arguments.len());
        for (index, word) in arguments.iter().enumerate() {
            let mount = self.mounted.iter().zip(mounted).find(|(mount, _)| mount.words.contains(&index));
            if index == self.index {
                words.push(image.to_owned());
            } else if let Some((mount, image)) = mount {
                if mount.words.start == index {
                    words.push(mount.with_image(image).into());
                }
            } else if !self.switches.contains(&index) {
                words.push(word.clone());
            }
        }
        words
    }

    /// The same with the mounted images as they were written.
    #[must_use]
    pub fn with_image(&self, arguments: &[OsString], image: &OsStr) -> Vec<OsString> {
        self.with_images(arguments, image, &[])
    }
}

/// An image whose files a container sees beside its own (docker 28 on).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedImage {
    /// The image as written.
    pub image: String,
    fields: Vec<String>,
    words: Range<usize>,
}

impl MountedImage {
    /// Reads a `--mount`; `None` where it mounts something else.
    fn parse(flag: &Occurrence) -> Result<Option<Self>, ArgumentError> {
        let value = text("mount", &flag.value)?;
        let Some(fields) = fields::split(&value) else {
            return Err(ArgumentError::Value {
                flag: "--mount".to_owned(),
                value: visible_prefix(&value, SHOWN_LIMIT),
                reason: "a quotation mark is misplaced".to_owned(),
            });
        };
        let last = |names: &[&str]| {
            let mut found = fields.iter().filter_map(|field| field.split_once('='));
            found.rfind(|(key, _)| names.contains(&lower(key).as_str())).map(|(_, value)| value)
        };
        if last(&["type"]).is_none_or(|kind| lower(kind) != "image") {
            return Ok(None);
        }
        let image = last(SOURCES).unwrap_or_default().to_owned();
        Ok(Some(Self { image, fields, words: flag.words.clone() }))
    }

    /// The flag in one word, with another image.
    fn with_image(&self, image: &str) -> String {
        let names = |field: &&String| {
            field.split_once('=').is_some_and(|(key, _)| SOURCES.contains(&lower(key).as_str()))
        };
        let mut fields: Vec<String> = self.fields.iter().filter(|field| !names(field)).cloned().collect();
        fields.push(format!("source={image}"));
        format!("--mount={}", fields::join(&fields))
    }
}

fn lower(text: &str) -> String {
    text.trim().to_lowercase()
}

/// When docker pulls an image that a container is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// If the engine does not have it.
    Missing,
    /// Never.
    Never,
}

/// Finds the image in the words after `run` or `create`; `None` where docker would only print its
/// help.
pub fn image_argument(
    flags: &FlagSet,
    arguments: &[OsString],
) -> Result<Option<ContainerArguments>, ArgumentError> {
    let parsed = flags.parse(arguments, Operands::EndFlags)?;
    if parsed.is_set("help")? {
        return Ok(None);
    }
    let found = parsed.operands.first().and_then(|index| Some((*index, arguments.get(*index)?)));
    let Some((index, image)) = found.filter(|(_, image)| !image.is_empty()) else {
        return Err(ArgumentError::Operands { verb: flags.verb(), reason: "needs an image" });
    };
    let pull = match parsed.text("pull")?.as_deref() {
        None | Some("missing" | "") => PullPolicy::Missing,
        Some("always") => PullPolicy::Always,
        Some("never") => PullPolicy::Never,
        Some(other) => {
            return Err(ArgumentError::Value {
                flag: "--pull".to_owned(),
                value: visible_prefix(other, SHOWN_LIMIT),
                reason: "write always, missing or never".to_owned(),
            });
        }
    };
    let switches = parsed.flags.iter().filter(|flag| flag.name == "disable-content-trust");
    let mounts = parsed.flags.iter().filter(|flag| flag.name == "mount");
    Ok(Some(ContainerArguments {
        index,
        image: text("image", image)?,
        platform: parsed.text("platform")?,
        pull,
        disable_content_trust: parsed.switch("disable-content-trust")?,
        quiet: parsed.is_set("quiet")?,
        mounted: mounts.filter_map(|flag| MountedImage::parse(flag).transpose()).collect::<Result<_, _>>()?,
        switches: switches.map(|flag| flag.words.start).collect(),
    }))
}

/// What names the image of a mount.
const SOURCES: &[&str] = &["source", "src"];

/// The flags with values that `run` and `create` share, docker 20.10 to 29, the hidden ones too.
const VALUES: &[&str] = &[
    "add-host",
    "annotation",
    "attach a",
    "blkio-weight",
    "blkio-weight-device",
    "cap-add",
    "cap-drop",
    "cgroup-parent",
    "cgroupns",
    "cidfile",
    "cpu-count",
    "cpu-percent",
    "cpu-period",
    "cpu-quota",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpu-shares c",
    "cpus",
    "cpuset-cpus",
    "cpuset-mems",
    "device",
    "device-cgroup-rule",
    "device-read-bps",
    "device-read-iops",
    "device-write-bps",
    "device-write-iops",
    "dns",
    "dns-opt",
    "dns-option",
    "dns-search",
    "domainname",
    "entrypoint",
    "env e",
    "env-file",
    "expose",
    "gpus",
    "group-add",
    "health-cmd",
    "health-interval",
    "health-retries",
    "health-start-interval",
    "health-start-period",
    "health-timeout",
    "hostname h",
    "io-maxbandwidth",
    "io-maxiops",
    "ip",
    "ip6",
    "ipc",
    "isolation",
    "kernel-memory",
    "label l",
    "label-file",
    "link",
    "link-local-ip",
    "log-driver",
    "log-opt",
    "mac-address",
    "memory m",
    "memory-reservation",
    "memory-swap",
    "memory-swappiness",
    "mount",
    "name",
    "net",
    "net-alias",
    "network",
    "network-alias",
    "oom-score-adj",
    "pid",
    "pids-limit",
    "platform",
    "publish p",
    "pull",
    "restart",
    "runtime",
    "security-opt",
    "shm-size",
    "stop-signal",
    "stop-timeout",
    "storage-opt",
    "sysctl",
    "tmpfs",
    "ulimit",
    "user u",
    "userns",
    "uts",
    "volume v",
    "volume-driver",
    "volumes-from",
    "workdir w",
];

/// Those without.
const SWITCHES: &[&str] = &[
    "disable-content-trust",
    "help",
    "init",
    "interactive i",
    "no-healthcheck",
    "oom-kill-disable",
    "privileged",
    "publish-all P",
    "quiet q",
    "read-only",
    "rm",
    "tty t",
    "use-api-socket",
];
