//! Cases of `testdata/<table>/<case>/`: a Dockerfile, what else is in the context, and `case.toml`.
//!
//! A name like `@BAIT@` in any of them stands for what the lab made; [`Words`] has their meanings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::engine::{Build, Context, Engine};
use super::server::{GitRepository, HttpFile};

/// One case of a table; `T` is what only its table says.
#[derive(Debug)]
pub(crate) struct Case<T> {
    /// The folder's name.
    pub(crate) name: String,
    /// How it is built.
    pub(crate) how: How,
    /// What the table says besides.
    pub(crate) said: T,
    folder: PathBuf,
}

/// The part of `case.toml` that all tables have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct How {
    /// The engines that it is built on; both where none is named.
    pub(crate) engines: Vec<Engine>,
    /// `--file`.
    file: Option<String>,
    /// How the context reaches the engine.
    context: Transport,
    /// More arguments of `docker build`.
    options: Vec<String>,
    /// Whether the Dockerfile names the frontend itself (`# syntax=@FRONTEND@`), in the place of `BUILDKIT_SYNTAX`.
    pub(crate) syntax_line: bool,
    /// Whether the engine must have forgotten its cache before.
    pub(crate) pruned: bool,
}

/// How a context reaches the engine.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Transport {
    /// A folder of the client.
    #[default]
    Folder,
    /// The Dockerfile on the client's input, no context.
    InputDockerfile,
    /// An archive on the client's input.
    InputArchive,
    /// A Dockerfile behind a URL.
    HttpDockerfile,
    /// An archive behind a URL.
    HttpArchive,
    /// A git repository.
    Git,
}

/// A build of a case, ready to run, with what must live as long.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Without a gate as yet.
    pub(crate) build: Build,
    _folder: tempfile::TempDir,
    _http: Option<HttpFile>,
    _git: Option<GitRepository>,
}

/// What names like `@BAIT@` stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words(BTreeMap<&'static str, String>);

impl Words {
    /// Gives a name, written without the `@`s, its meaning.
    pub(crate) fn set(&mut self, name: &'static str, meaning: impl Into<String>) {
        self.0.insert(name, meaning.into());
    }

    fn expand(&self, text: &[u8]) -> Vec<u8> {
        let mut expanded = text.to_owned();
        for (name, meaning) in &self.0 {
            expanded = replace(&expanded, format!("@{name}@").as_bytes(), meaning.as_bytes());
        }
        expanded
    }

    /// The text with the meanings in it.
    pub(crate) fn expand_text(&self, text: &str) -> String {
        String::from_utf8(self.expand(text.as_bytes())).expect("text stays text")
    }
}

/// All cases of `testdata/<table>` that apply to this engine, by name. `TRUSTGATE_CASE=name` picks one.
pub(crate) fn cases<T: DeserializeOwned>(table: &str, engine: Engine) -> Vec<Case<T>> {
    let only = std::env::var("TRUSTGATE_CASE").ok();
    let mut cases: Vec<Case<T>> = folders(table)
        .into_iter()
        .map(Case::read)
        .filter(|case| case.how.engines.is_empty() || case.how.engines.contains(&engine))
        .filter(|case| only.as_ref().is_none_or(|only| *only == case.name))
        .collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// The folders of a table.
pub(crate) fn folders(table: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(table);
    let entries = std::fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect()
}

impl<T: DeserializeOwned> Case<T> {
    fn read(folder: PathBuf) -> Self {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File<T> {
            #[serde(default)]
            build: How,
            case: T,
        }
        let path = folder.join(CASE_FILE);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file: File<T> =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
        Self { name, how: file.build, said: file.case, folder }
    }

    /// The build of this case with the lab's meanings in it.
    pub(crate) fn prepare(&self, words: &Words) -> Prepared {
        let copy = tempfile::tempdir().expect("a temporary folder");
        let folder = copy.path().join("context");
        copy_expanded(&self.folder, &folder, words);
        let mut build = Build::of(&folder);
        let folder_word = folder.display().to_string();
        build.options = self
            .how
            .options
            .iter()
            .map(|option| words.expand_text(option).replace("@FOLDER@", &folder_word))
            .collect();
        build.file.clone_from(&self.how.file);
        let dockerfile = || {
            std::fs::read(folder.join(self.how.file.as_deref().unwrap_or("Dockerfile")))
                .expect("a Dockerfile")
        };
        let (mut http, mut git) = (None, None);
        match self.how.context {
            Transport::Folder => {}
            Transport::InputDockerfile => build.context = Context::Input(dockerfile()),
            Transport::InputArchive => build.context = Context::Input(archive(&folder)),
            Transport::HttpDockerfile => http = Some(HttpFile::serve("Dockerfile", dockerfile())),
            Transport::HttpArchive => http = Some(HttpFile::serve("context.tar", archive(&folder))),
            Transport::Git => git = Some(GitRepository::serve(&folder)),
        }
        if let Some(http) = &http {
            build.context = Context::Url(http.url().to_owned());
        }
        if let Some(git) = &git {
            build.context = Context::Url(git.url());
        }
        Prepared { build, _folder: copy, _http: http, _git: git }
    }
}

fn copy_expanded(from: &Path, to: &Path, words: &Words) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder of the table") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_expanded(&entry.path(), &target, words);
        } else if entry.file_name() != CASE_FILE {
            let content = std::fs::read(entry.path()).expect("a file of the table");
            std::fs::write(target, words.expand(&content)).expect("a file");
        }
    }
}

fn archive(folder: &Path) -> Vec<u8> {
    let output = std::process::Command::new("tar")
        .arg("-C")
        .arg(folder)
        .args(["-c", "."])
        .output()
        .expect("tar starts");
    assert!(output.status.success(), "tar: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn replace(text: &[u8], needle: &[u8], meaning: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(needle.len()).position(|window| window == needle) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(meaning);
        rest = &rest[at + needle.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

const CASE_FILE: &str = "case.toml";
