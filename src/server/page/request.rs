//! What is asked for: which page, in which form, which part of it.

use std::borrow::Cow;

use url::form_urlencoded;

use crate::image::Gun;

/// A question that has a page for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// What it is about; this decides who may see it.
    pub subject: Subject,
    /// The form of the answer.
    pub form: Form,
    pub(super) query: Result<Query, QueryError>,
}

/// What a page is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All repositories.
    Index,
    /// One of them.
    Repository(Gun),
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A document for people.
    Html,
    /// The same for programs.
    Json,
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// What names must have in them; empty: anything.
    pub(super) search: String,
    /// The name after which to go on.
    pub(super) after: Option<String>,
    /// How many at most; `None`: what fits a page.
    pub(super) limit: Option<usize>,
}

/// A query that asks for nothing there could be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The number is none, or too large.
    #[error("`limit` must be a number from 1 to {LIMIT_MAXIMUM}")]
    Limit,
    /// A text is longer than any name that is listed.
    #[error("`{parameter}` must not be longer than {TEXT_LIMIT} bytes")]
    Long {
        /// Which.
        parameter: &'static str,
    },
    /// A list of repositories goes on after the name of one.
    #[error("`after` must be the name of a repository")]
    Name,
}

impl Subject {
    /// The repository, where it is one.
    #[must_use]
    pub fn gun(&self) -> Option<&Gun> {
        match self {
            Self::Index => None,
            Self::Repository(gun) => Some(gun),
        }
    }
}

impl PageRequest {
    /// Reads the path and the query of an address; `None` where no page can be.
    ///
    /// Pages are `/` and `/repository/NAME`, and for programs `/status.json` and `/status/NAME.json`.
    #[must_use]
    pub fn read(path: &str, query: Option<&str>) -> Option<Self> {
        let (subject, form) = match path {
            "/" => (Subject::Index, Form::Html),
            "/status.json" => (Subject::Index, Form::Json),
            _ => {
                if let Some(name) = path.strip_prefix("/repository/") {
                    (Subject::Repository(name_of(name)?), Form::Html)
                } else {
                    let name = path.strip_prefix("/status/")?.strip_suffix(".json")?;
                    (Subject::Repository(name_of(name)?), Form::Json)
                }
            }
        };
        let query = Query::read(query.unwrap_or_default());
        let query = query.and_then(|it| it.check(&subject).map(|()| it));
        Some(Self { subject, form, query })
    }
}

impl Query {
    fn read(text: &str) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "search" => short("search", value)?.trim().clone_into(&mut query.search),
                "after" => query.after = Some(short("after", value)?).filter(|it| !it.is_empty()),
                "limit" => {
                    let limit = value.parse().ok().filter(|it| (1..=LIMIT_MAXIMUM).contains(it));
                    query.limit = Some(limit.ok_or(QueryError::Limit)?);
                }
                _ => {}
            }
        }
        Ok(query)
    }

    fn check(&self, subject: &Subject) -> Result<(), QueryError> {
        match (subject, &self.after) {
            (Subject::Index, Some(name)) if name.parse::<Gun>().is_err() => Err(QueryError::Name),
            _ => Ok(()),
        }
    }

    /// How an address ends that goes on after this name.
    pub(super) fn next(&self, after: &str) -> String {
        self.tail(Some(after))
    }

    /// How an address ends that starts over.
    pub(super) fn first(&self) -> String {
        self.tail(None)
    }

    fn tail(&self, after: Option<&str>) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        let limit = self.limit.map(|it| it.to_string());
        let search = Some(self.search.as_str()).filter(|it| !it.is_empty());
        for (name, value) in [("search", search), ("limit", limit.as_deref()), ("after", after)] {
            if let Some(value) = value {
                text.append_pair(name, value);
            }
        }
        let text = text.finish();
        if text.is_empty() { text } else { format!("?{text}") }
    }
}

/// The path of a repository's page. Of what a name may hold, only brackets must be written otherwise.
pub(super) fn repository_path(gun: &Gun) -> String {
    format!("/repository/{}", gun.as_str().replace('[', "%5B").replace(']', "%5D"))
}

fn short(parameter: &'static str, value: Cow<'_, str>) -> Result<String, QueryError> {
    if TEXT_LIMIT < value.len() { Err(QueryError::Long { parameter }) } else { Ok(value.into_owned()) }
}

/// A name out of a path, where some or all of it may be percent-encoded.
fn name_of(path: &str) -> Option<Gun> {
    let mut name = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            name.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|it| u8::try_from(it).ok());
        name.push(digit(bytes.next())? * 16 + digit(bytes.next())?);
    }
    String::from_utf8(name).ok()?.parse().ok()
}

/// Names that are longer are in no list: docker's tags have 128 characters at most, repositories 255.
pub(super) const TEXT_LIMIT: usize = 1024;
/// A page of this many rows is still one that a browser shows at once.
const LIMIT_MAXIMUM: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(path: &str) -> Option<(Subject, Form)> {
        PageRequest::read(path, None).map(|it| (it.subject, it.form))
    }

    #[test]
    fn paths_name_repositories() {
        let repository = |name: &str| Subject::Repository(name.parse().unwrap());
        let expected = [
            ("/", Some((Subject::Index, Form::Html))),
            ("/status.json", Some((Subject::Index, Form::Json))),
            ("/repository/docker.io/acme/base", Some((repository("docker.io/acme/base"), Form::Html))),
            ("/repository/docker.io%2Facme%2fbase", Some((repository("docker.io/acme/base"), Form::Html))),
            ("/repository/%5B::1%5D:5000/a", Some((repository("[::1]:5000/a"), Form::Html))),
            ("/repository/a/b.json", Some((repository("a/b.json"), Form::Html))),
            ("/status/a/b.json", Some((repository("a/b"), Form::Json))),
            ("/status/a/b.json.json", Some((repository("a/b.json"), Form::Json))),
            ("/status/a/b", None),
            ("", None),
            ("/index.html", None),
            ("/repository/", None),
            ("/repository/a/../b", None),
            ("/repository/a%2F..%2Fb", None),
            ("/repository/a%", None),
            ("/repository/a%2", None),
            ("/repository/a%+1", None),
            ("/repository/a%ff", None),
            ("/repository/a%00b", None),
            ("/repository/a%3Cscript%3E", None),
        ];
        for (path, expected) in expected {
            assert_eq!(subject(path), expected, "{path}");
        }
        let long = format!("/repository/{}", "a".repeat(100_000));
        assert_eq!(subject(&long), None);
    }

    #[test]
    fn a_repositorys_path_leads_back_to_it() {
        for name in ["docker.io/acme/base", "[::1]:5000/a", "127.0.0.1:5000/x_y-z.w"] {
            let gun: Gun = name.parse().unwrap();
            let found = subject(&repository_path(&gun));
            assert_eq!(found, Some((Subject::Repository(gun), Form::Html)));
        }
    }

    #[test]
    fn queries_are_checked() {
        let query = |path: &str, text: &str| PageRequest::read(path, Some(text)).unwrap().query;
        let found = query("/", "search=+a%26b+&after=docker.io/x&limit=7&other=%ff").unwrap();
        let expected =
            Query { search: "a&b".to_owned(), after: Some("docker.io/x".to_owned()), limit: Some(7) };
        assert_eq!(found, expected);
        assert_eq!(
            query("/", found.next("docker.io/y").strip_prefix('?').unwrap()).unwrap().after.as_deref(),
            Some("docker.io/y")
        );
        assert_eq!(query("/", "search=&after=").unwrap(), Query::default());
        for limit in ["0", "1001", "-1", "x", "", "99999999999999999999"] {
            assert_eq!(query("/", &format!("limit={limit}")), Err(QueryError::Limit));
        }
        assert_eq!(query("/", "after=a//b"), Err(QueryError::Name));
        assert!(query("/repository/a", "after=a//b").is_ok());
        let long = "é".repeat(513);
        assert_eq!(query("/", &format!("search={long}")), Err(QueryError::Long { parameter: "search" }));
    }
}
