//! One policy file: its text as TOML, its keys as types.
//!
//! Every key is optional but `version`; an absent key says nothing, which [`super::PolicySet`]
//! gives a meaning. Unknown keys are errors everywhere: a misspelt `require-fresh` must not
//! be a policy that requires nothing.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use url::Url;

use super::commands::CommandRules;
use super::content::{ContentRules, Setting};
use super::error::{Place, PolicyError, PolicyErrorKind};
use super::repository::{Constraint, DigestRule, TrustMode};
use super::source::Source;
use super::tables::{Document, Version};
use super::{DisabledBy, Pattern};
use crate::image::Gun;
use crate::text::visible;
use crate::tuf::{RoleName, RootPins};

/// How a policy reads the files that it names (`root-authority`): a path as written in, bytes
/// or a reason out.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

/// For policies that cannot name files: PEM text stands in the policy itself.
pub fn no_files(_path: &str) -> Result<Vec<u8>, String> {
    Err("this policy can't name files; write the PEM text itself".to_owned())
}

/// One policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    file: String,
    docker_default: bool,
    defaults: Keys,
    /// The most specific first.
    rules: Vec<Rule>,
    content: ContentRules,
    commands: CommandRules,
    may_disable: Option<Setting<BTreeSet<DisabledBy>>>,
}

impl Policy {
    /// Reads a policy; `file` names it in messages, `read` gets the files that it names.
    pub fn parse(text: &str, file: &str, read: ReadFile<'_>) -> Result<Self, PolicyError> {
        if text.len() > FILE_LIMIT {
            return Err(PolicyError::new(Place::file(file), PolicyErrorKind::TooLong { limit: FILE_LIMIT }));
        }
        let source = Source::new(file, text);
        let Version { version } = toml::from_str(text).map_err(|error| source.toml_error(&error))?;
        if *version.get_ref() != VERSION {
            let kind = PolicyErrorKind::Version { found: *version.get_ref() };
            return Err(PolicyError::new(source.place(&version.span(), "version"), kind));
        }
        let document: Document = toml::from_str(text).map_err(|error| source.toml_error(&error))?;
        Self::from_tables(document, &source, read)
    }

    /// Reads a policy from a file; the files that it names are beside it.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let file = visible(&path.display().to_string());
        let bytes = read_bounded(path, FILE_LIMIT).map_err(|reason| {
            let kind = PolicyErrorKind::Unreadable { path: file.clone(), reason };
            PolicyError::new(Place::file(&file), kind)
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            let kind = PolicyErrorKind::Toml { message: "the policy is not UTF-8".to_owned() };
            PolicyError::new(Place::file(&file), kind)
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(text, &file, &|name| read_bounded(&folder.join(name), AUTHORITY_LIMIT))
    }

    /// Docker's own rule, for where there is no policy: trust on first use, a digest always passes.
    #[must_use]
    pub fn docker_default() -> Self {
        Self {
            file: "docker's own rule".to_owned(),
            docker_default: true,
            defaults: Keys { trust_on_first_use: Some(true), ..Keys::default() },
            rules: Vec::new(),
            content: ContentRules::default(),
            commands: CommandRules::default(),
            may_disable: None,
        }
    }

    /// The file's name, as given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn is_docker_default(&self) -> bool {
        self.docker_default
    }

    pub(super) fn content(&self) -> &ContentRules {
        &self.content
    }

    pub(super) fn commands(&self) -> &CommandRules {
        &self.commands
    }

    pub(super) fn may_disable(&self) -> Option<&Setting<BTreeSet<DisabledBy>>> {
        self.may_disable.as_ref()
    }

    /// What this policy says about a repository: the most specific rule, completed by the policy's defaults.
    pub(super) fn constraint(&self, gun: &Gun) -> Result<Constraint, PolicyError> {
        let mut matching = self.rules.iter().filter(|rule| rule.pattern.matches(gun));
        let rule = matching.next();
        if let (Some(rule), Some(next)) = (rule, matching.next())
            && rule.pattern.compare_specificity(&next.pattern).is_eq()
        {
            let kind = PolicyErrorKind::Ambiguous {
                gun: gun.to_string(),
                first: rule.pattern.to_string(),
                first_line: rule.place.line,
                second: next.pattern.to_string(),
            };
            return Err(PolicyError::new(next.place.clone(), kind));
        }
        let name = match rule {
            Some(rule) => format!("`{}` in {}:{}", rule.pattern, self.file, rule.place.line),
            None if self.docker_default => self.file.clone(),
            None => format!("the defaults of {}", self.file),
        };
        let no_keys = Keys::default();
        let keys = rule.map_or(&no_keys, |rule| &rule.keys);
        let defaults = &self.defaults;
        Ok(Constraint {
            trust: keys.trust.or(defaults.trust),
            digest: keys.digest.or(defaults.digest),
            server: keys.server.as_ref().or(defaults.server.as_ref()).cloned(),
            require_fresh: keys.require_fresh.or(defaults.require_fresh).unwrap_or(false),
            trust_on_first_use: keys.trust_on_first_use.or(defaults.trust_on_first_use).unwrap_or(false),
            pins: keys.pins.clone(),
            roles: keys.roles.clone(),
            signers: keys.signers.clone(),
            rule: name,
        })
    }

    fn from_tables(document: Document, source: &Source<'_>, read: ReadFile<'_>) -> Result<Self, PolicyError> {
        let defaults = Keys {
            trust: document.trust,
            digest: document.digest,
            require_fresh: document.require_fresh,
            trust_on_first_use: document.trust_on_first_use,
            server: document.server.map(|server| source.server(&server, "server")).transpose()?,
            ..Keys::default()
        };
        let may_disable = document.disable.allowed_by.map(|allowed| Setting {
            place: source.place(&allowed.span(), "disable.allowed-by"),
            value: allowed.into_inner(),
        });
        Ok(Self {
            file: source.file().to_owned(),
            docker_default: false,
            defaults,
            rules: source.rules(&document.repository, read)?,
            content: ContentRules {
                contexts: document.contexts.settings(source),
                caches: document.caches.settings(source),
                trusted_caches: source.patterns(document.caches.trusted, "caches.trusted")?,
                sources: document.sources.settings(source),
                syntax: document.syntax.images.map(|value| source.setting(value, "syntax.images")),
                builtin_syntax: source.patterns(document.syntax.builtin, "syntax.builtin")?,
                generators: source.patterns(document.sbom.generators, "sbom.generators")?,
            },
            commands: CommandRules {
                unsigned_push: document.push.unsigned.map(|value| source.setting(value, "push.unsigned")),
                local_images: document
                    .run
                    .local_images
                    .map(|value| source.setting(value, "run.local-images")),
            },
            may_disable,
        })
    }
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    pub(super) keys: Keys,
    pub(super) place: Place,
}

/// The keys of a rule, or a policy's defaults for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Keys {
    pub(super) trust: Option<TrustMode>,
    pub(super) digest: Option<DigestRule>,
    pub(super) require_fresh: Option<bool>,
    pub(super) trust_on_first_use: Option<bool>,
    pub(super) server: Option<Url>,
    pub(super) pins: Option<RootPins>,
    pub(super) roles: Option<Vec<RoleName>>,
    pub(super) signers: BTreeSet<String>,
}

fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > limit { Err(format!("it is longer than {limit} bytes")) } else { Ok(bytes) }
}

/// The format that this program reads.
pub(super) const VERSION: i64 = 1;
/// The longest policy that is read: ten thousand rules of a hundred bytes fit.
pub const FILE_LIMIT: usize = 1 << 20;
/// The longest bundle of certificate authorities that is read; all of Mozilla's take 200 KiB.
pub(super) const AUTHORITY_LIMIT: usize = 1 << 20;
