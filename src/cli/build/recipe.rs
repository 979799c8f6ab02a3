//! The Dockerfile of a build: read where docker's command reads it, and handed on pinned.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::images::Images;
use crate::cli::exit::Failure;
use crate::cli::settings::Settings;
use crate::docker::arguments::BuildArguments;
use crate::dockerfile::{
    BuildInputs, Dockerfile, DockerfileError, Edit, ImageUse, SOURCE_LIMIT, UseTarget, line_and_column,
    literal_edits, rewrite, second_opinion,
};
use crate::gate::Report;
use crate::image::{Platform, Reference};

/// A Dockerfile that was read and understood.
pub(super) struct Recipe {
    name: String,
    /// Where the file is; `None` where it came on standard input.
    path: Option<PathBuf>,
    file: Dockerfile,
    /// What it names for the first platform; the others name the same.
    uses: Vec<ImageUse>,
    /// The file that the builder gets.
    pinned: Option<tempfile::TempDir>,
}

impl Recipe {
    /// Reads the Dockerfile as `docker build` finds it.
    pub(super) fn read(build: &BuildArguments, settings: &Settings) -> Result<Self, Failure> {
        let (name, path, source) = find(build)?;
        let broken = |error: &DockerfileError| {
            let place = error.span.as_ref().map(|span| line_and_column(&source, span.start));
            let place = place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
            let failure = Failure::refused(format!("{name}{place}: {error}"));
            error.help().into_iter().fold(failure, Failure::help)
        };
        let file = Dockerfile::parse(&source).map_err(|error| broken(&error))?;
        let mut readings: Vec<Vec<ImageUse>> = Vec::new();
        for inputs in inputs(build, settings)? {
            let uses = file.image_uses(&inputs).map_err(|error| broken(&error))?;
            second_opinion(&source, &uses, &inputs).map_err(|error| {
                Failure::refused(format!("{name}:{}: {error}", error.line)).help(error.help())
            })?;
            readings.push(uses);
        }
        let mut readings = readings.into_iter();
        let uses = readings.next().unwrap_or_default();
        let named = |uses: &[ImageUse]| uses.iter().map(|it| it.written.clone()).collect::<Vec<_>>();
        if readings.any(|other| named(&other) != named(&uses)) {
            return Err(Failure::refused(format!("{name} names other images for each platform"))
                .help("build one platform at a time, or have the builder check it: --frontend IMAGE"));
        }
        Ok(Self { name, path, file, uses, pinned: None })
    }

    /// The name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub(super) fn source(&self) -> &[u8] {
        self.file.source()
    }

    /// The frontend that the file asks for.
    pub(super) fn syntax(&self) -> Option<&crate::dockerfile::SyntaxDirective> {
        self.file.syntax()
    }

    /// The images that the build needs, each with its index.
    pub(super) fn images(&self) -> impl Iterator<Item = (usize, &ImageUse)> {
        let wanted = |it: &ImageUse| it.target == UseTarget::Image && it.reachable;
        self.uses.iter().enumerate().filter(move |(_, it)| wanted(it))
    }

    /// The same Dockerfile with what the gate let in, in a folder of its own.
    pub(super) fn pinned(self, images: &Images, report: &Report) -> Result<Self, Failure> {
        let defect = |error: DockerfileError| {
            Failure::refused(format!("{} can't be pinned: {error}", self.name))
                .help("this is a defect of the program: please report it")
        };
        let pins: Vec<(usize, Reference)> = images.pins(report);
        let mut edits = literal_edits(&self.file, &self.uses, &pins).map_err(defect)?;
        edits.extend(images.syntax_edit(&self, report)?);
        edits.sort_by_key(|edit: &Edit| edit.span.start);
        let text = rewrite(self.source(), &edits).map_err(defect)?;
        let unwritable = |error| Failure::unknown(format!("can't write the pinned Dockerfile: {error}"));
        let folder = tempfile::Builder::new().prefix("trustgate-build-").tempdir().map_err(unwritable)?;
        let file = folder.path().join(self.file_name());
        fs::write(&file, text).map_err(unwritable)?;
        // Builders look for it beside the Dockerfile, by its name.
        if let Some(path) = &self.path {
            let ignore = beside(path);
            if ignore.is_file() {
                fs::copy(&ignore, beside(&file)).map_err(unwritable)?;
            }
        }
        Ok(Self { pinned: Some(folder), ..self })
    }

    /// The words that name the Dockerfile and the context.
    pub(super) fn words(&self, build: &BuildArguments) -> Result<[OsString; 2], Failure> {
        let Some(folder) = &self.pinned else {
            return Err(Failure::unknown(format!("{} was not pinned", self.name)));
        };
        let mut file = OsString::from("--file=");
        file.push(folder.path().join(self.file_name()));
        // A Dockerfile on standard input has no context: an empty folder stands for it.
        if build.context == "-" {
            let empty = folder.path().join("context");
            fs::create_dir_all(&empty)
                .map_err(|error| Failure::unknown(format!("can't make an empty context: {error}")))?;
            return Ok([file, empty.into_os_string()]);
        }
        Ok([file, build.context.clone()])
    }

    fn file_name(&self) -> &OsStr {
        self.path.as_deref().and_then(Path::file_name).unwrap_or(OsStr::new("Dockerfile"))
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".dockerignore");
    PathBuf::from(name)
}

/// Where docker's command finds the Dockerfile, and its text.
fn find(build: &BuildArguments) -> Result<(String, Option<PathBuf>, Vec<u8>), Failure> {
    let context = Path::new(&build.context);
    let from_input = match &build.file {
        Some(file) => file == "-",
        None => build.context == "-",
    };
    if from_input {
        let source = read("standard input", std::io::stdin().lock())?;
        return Ok(("Dockerfile".to_owned(), None, source));
    }
    let is_remote = build.context == "-" || (!context.is_dir() && looks_remote(&build.context));
    let path = match &build.file {
        Some(file) if looks_remote(file) => return Err(elsewhere(file)),
        _ if is_remote => return Err(elsewhere(&build.context)),
        Some(file) => PathBuf::from(file),
        // Docker takes the name in lower case where there is no other.
        None => ["Dockerfile", "dockerfile"]
            .map(|name| context.join(name))
            .into_iter()
            .find(|path| path.exists())
            .unwrap_or_else(|| context.join("Dockerfile")),
    };
    let name = path.display().to_string();
    let file = fs::File::open(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::usage(format!("there is no Dockerfile `{name}`"))
            .help("name it: trustgate build --file path/to/Dockerfile ."),
        _ => Failure::unknown(format!("can't read `{name}`: {error}")),
    })?;
    let source = read(&name, file)?;
    Ok((name, Some(path), source))
}

fn read(name: &str, from: impl std::io::Read) -> Result<Vec<u8>, Failure> {
    let limit = u64::try_from(SOURCE_LIMIT).unwrap_or(u64::MAX).saturating_add(1);
    let mut source = Vec::new();
    from.take(limit)
        .read_to_end(&mut source)
        .map_err(|error| Failure::unknown(format!("can't read {name}: {error}")))?;
    if source.len() > SOURCE_LIMIT {
        return Err(Failure::usage(format!(
            "{name} is longer than {SOURCE_LIMIT} bytes, which no Dockerfile is"
        ))
        .help("an archive on standard input needs the gate inside the builder: --frontend IMAGE"));
    }
    Ok(source)
}

fn looks_remote(text: &OsStr) -> bool {
    let text = text.to_string_lossy();
    text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/")
}

fn elsewhere(text: &OsStr) -> Failure {
    Failure::usage(format!("the Dockerfile in `{}` can't be read here", text.to_string_lossy()))
        .note("it is fetched by the builder, after this command could look at it")
        .help("have the builder check it: --frontend IMAGE, or $TRUSTGATE_FRONTEND")
}

/// What the Dockerfile is read with, once for each platform.
fn inputs(build: &BuildArguments, settings: &Settings) -> Result<Vec<BuildInputs>, Failure> {
    let host = Platform::host();
    let mut platforms = vec![host.clone()];
    if !build.platforms.is_empty() {
        let parsed = build.platforms.iter().map(|text| match text.as_str() {
            "local" => Ok(host.clone()),
            text => {
                text.parse().map_err(|error: crate::image::PlatformError| Failure::usage(error.to_string()))
            }
        });
        platforms = parsed.collect::<Result<_, _>>()?;
    }
    let build_args = build.build_args.iter().filter_map(|(name, value)| {
        let value = value.clone().or_else(|| settings.variable(name))?;
        Some((name.clone(), value))
    });
    let inputs = BuildInputs {
        build_args: build_args.collect(),
        target: build.target.clone(),
        named_contexts: build.build_contexts.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(),
        ..BuildInputs::for_platform(host)
    };
    let each = platforms.into_iter().map(|target_platform| BuildInputs { target_platform, ..inputs.clone() });
    Ok(each.collect())
}
