//! From a policy's tables to its types, with the line and the key in every complaint.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use toml::Spanned;
use url::Url;
use x509_cert::der::Decode as _;

use super::Pattern;
use super::content::{Admission, Setting};
use super::document::{AUTHORITY_LIMIT, Keys, ReadFile, Rule};
use super::error::{Place, PolicyError, PolicyErrorKind};
use super::tables::RepositoryTable;
use crate::text::visible;
use crate::tuf::{KeyId, RoleName, RootPins};

/// A policy's text, and where its lines start.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    line_ends: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let line_ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect();
        Self { file, text, line_ends }
    }

    pub(super) fn file(&self) -> &str {
        self.file
    }

    /// The place of these bytes, whose key is known.
    pub(super) fn place(&self, span: &Range<usize>, key: &str) -> Place {
        Place { file: self.file.to_owned(), line: self.line(span.start), key: key.to_owned() }
    }

    pub(super) fn toml_error(&self, error: &toml::de::Error) -> PolicyError {
        let kind = PolicyErrorKind::Toml { message: visible(error.message()) };
        let place = match error.span() {
            // what is missing has no line; its table starts where the span does
            Some(span) if error.message().starts_with("missing field") => {
                let line = self.text.get(span.start..).and_then(|rest| rest.lines().next());
                self.place(&span, line.and_then(table_name).unwrap_or_default())
            }
            Some(span) => self.place(&span, &self.key_near(span.start)),
            None => Place::file(self.file),
        };
        PolicyError::new(place, kind)
    }

    pub(super) fn setting<T>(&self, value: Spanned<impl Into<T>>, key: &str) -> Setting<T> {
        let place = self.place(&value.span(), key);
        Setting { value: value.into_inner().into(), place }
    }

    pub(super) fn admission<K: Copy, V: Copy + Into<Admission>>(
        &self,
        kind: K,
        value: Option<&Spanned<V>>,
        key: impl Fn(K) -> String,
    ) -> Option<(K, Setting<Admission>)> {
        let value = value?;
        let place = self.place(&value.span(), &key(kind));
        Some((kind, Setting { value: (*value.get_ref()).into(), place }))
    }

    pub(super) fn patterns(
        &self,
        patterns: Option<Spanned<Vec<Spanned<String>>>>,
        key: &str,
    ) -> Result<Option<Setting<Vec<Pattern>>>, PolicyError> {
        let Some(patterns) = patterns else { return Ok(None) };
        let place = self.place(&patterns.span(), key);
        self.check_count(patterns.get_ref(), &patterns.span(), key)?;
        let value =
            patterns.get_ref().iter().map(|pattern| self.pattern(pattern, key)).collect::<Result<_, _>>()?;
        Ok(Some(Setting { value, place }))
    }

    pub(super) fn server(&self, text: &Spanned<String>, key: &str) -> Result<Url, PolicyError> {
        let invalid = |reason: &str| self.invalid(&text.span(), key, reason);
        let url: Url =
            text.get_ref().parse().map_err(|error| invalid(&format!("this is no URL: {error}")))?;
        if url.scheme() != "https" {
            return Err(invalid("a trust server's URL starts with `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("credentials don't belong in a policy; docker's own are used"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("a trust server's URL has neither query nor fragment"));
        }
        Ok(url)
    }

    /// The rules, the most specific first.
    pub(super) fn rules(
        &self,
        tables: &[RepositoryTable],
        read: ReadFile<'_>,
    ) -> Result<Vec<Rule>, PolicyError> {
        if tables.len() > RULE_LIMIT {
            let kind = PolicyErrorKind::TooManyRules { limit: RULE_LIMIT };
            return Err(PolicyError::new(Place::file(self.file), kind));
        }
        let mut rules = Vec::with_capacity(tables.len());
        let mut lines: HashMap<String, usize> = HashMap::with_capacity(tables.len());
        for table in tables {
            let rule = self.rule(table, read)?;
            if let Some(line) = lines.insert(rule.pattern.to_string(), rule.place.line) {
                let kind = PolicyErrorKind::Duplicate { pattern: rule.pattern.to_string(), line };
                return Err(PolicyError::new(rule.place, kind));
            }
            rules.push(rule);
        }
        rules.sort_by(|a, b| b.pattern.compare_specificity(&a.pattern));
        Ok(rules)
    }

    fn rule(&self, table: &RepositoryTable, read: ReadFile<'_>) -> Result<Rule, PolicyError> {
        let place = self.place(&table.pattern.span(), "repository.pattern");
        let pattern = self.pattern(&table.pattern, "repository.pattern")?;
        let pins = match (&table.root_keys, &table.root_authority) {
            (Some(keys), None) => Some(self.root_keys(keys)?),
            (None, Some(authority)) => Some(self.authority(authority, read)?),
            (None, None) => None,
            (Some(_), Some(authority)) => {
                let reason = "a rule has `root-keys` or `root-authority`, not both";
                return Err(self.invalid(&authority.span(), "repository.root-authority", reason));
            }
        };
        let server =
            table.server.as_ref().map(|server| self.server(server, "repository.server")).transpose()?;
        let keys = Keys {
            trust: table.trust,
            digest: table.digest,
            require_fresh: table.require_fresh,
            trust_on_first_use: table.trust_on_first_use,
            server,
            pins,
            roles: table.roles.as_ref().map(|roles| self.roles(roles)).transpose()?,
            signers: table.signers.as_ref().map_or(Ok(BTreeSet::new()), |signers| self.signers(signers))?,
        };
        Ok(Rule { pattern, keys, place })
    }

    fn pattern(&self, text: &Spanned<String>, key: &str) -> Result<Pattern, PolicyError> {
        text.get_ref()
            .parse()
            .map_err(|error: super::PatternError| self.invalid(&text.span(), key, &error.to_string()))
    }

    fn root_keys(&self, keys: &Spanned<Vec<Spanned<String>>>) -> Result<RootPins, PolicyError> {
        const KEY: &str = "repository.root-keys";
        self.check_filled(keys, KEY)?;
        let parse = |key: &Spanned<String>| {
            key.get_ref().parse::<KeyId>().map_err(|error| self.invalid(&key.span(), KEY, &error.to_string()))
        };
        let keys: BTreeSet<KeyId> = keys.get_ref().iter().map(parse).collect::<Result<_, _>>()?;
        Ok(RootPins::Keys(keys))
    }

    fn authority(&self, written: &Spanned<String>, read: ReadFile<'_>) -> Result<RootPins, PolicyError> {
        const KEY: &str = "repository.root-authority";
        let invalid = |reason: &str| self.invalid(&written.span(), KEY, reason);
        let text = written.get_ref();
        let bytes = if text.trim_start().starts_with("-----BEGIN ") {
            text.as_bytes().to_vec()
        } else {
            read(text).map_err(|reason| {
                let kind = PolicyErrorKind::Unreadable { path: visible(text), reason: visible(&reason) };
                PolicyError::new(self.place(&written.span(), KEY), kind)
            })?
        };
        if bytes.len() > AUTHORITY_LIMIT {
            return Err(invalid(&format!("the bundle is longer than {AUTHORITY_LIMIT} bytes")));
        }
        let blocks = pem::parse_many(&bytes).map_err(|error| invalid(&format!("this is no PEM: {error}")))?;
        let mut certificates = Vec::new();
        for block in blocks {
            if block.tag() != "CERTIFICATE" {
                return Err(invalid(&format!("a bundle holds certificates, not `{}`", block.tag())));
            }
            x509_cert::Certificate::from_der(block.contents())
                .map_err(|error| invalid(&format!("a certificate in the bundle is malformed: {error}")))?;
            certificates.push(block.into_contents());
        }
        if certificates.is_empty() {
            return Err(invalid("the bundle holds no certificate"));
        }
        Ok(RootPins::Authority(certificates))
    }

    fn roles(&self, roles: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<RoleName>, PolicyError> {
        const KEY: &str = "repository.roles";
        self.check_filled(roles, KEY)?;
        let parse = |text: &Spanned<String>| {
            let role = text.get_ref().parse::<RoleName>();
            let role = role.map_err(|error| self.invalid(&text.span(), KEY, &error.to_string()))?;
            if role != RoleName::TARGETS && !role.is_delegation() {
                let reason = format!("`{role}` lists no tags; name `targets` or a role below it");
                return Err(self.invalid(&text.span(), KEY, &reason));
            }
            Ok(role)
        };
        roles.get_ref().iter().map(parse).collect()
    }

    fn signers(&self, signers: &Spanned<Vec<Spanned<String>>>) -> Result<BTreeSet<String>, PolicyError> {
        const KEY: &str = "repository.signers";
        let parse = |text: &Spanned<String>| {
            let name = text.get_ref().strip_prefix("targets/").unwrap_or(text.get_ref());
            let role = format!("targets/{name}").parse::<RoleName>();
            role.map_err(|error| self.invalid(&text.span(), KEY, &error.to_string()))?;
            // one spelling, so that two policies that require the same signer say the same
            Ok(name.to_owned())
        };
        self.check_count(signers.get_ref(), &signers.span(), KEY)?;
        signers.get_ref().iter().map(parse).collect()
    }

    fn check_filled(&self, list: &Spanned<Vec<Spanned<String>>>, key: &str) -> Result<(), PolicyError> {
        if list.get_ref().is_empty() {
            return Err(self.invalid(
                &list.span(),
                key,
                "an empty list lets nothing pass; leave the key out",
            ));
        }
        self.check_count(list.get_ref(), &list.span(), key)
    }

    fn check_count(
        &self,
        list: &[Spanned<String>],
        span: &Range<usize>,
        key: &str,
    ) -> Result<(), PolicyError> {
        if list.len() <= LIST_LIMIT {
            return Ok(());
        }
        Err(self.invalid(span, key, &format!("the list has more than {LIST_LIMIT} items")))
    }

    fn invalid(&self, span: &Range<usize>, key: &str, reason: &str) -> PolicyError {
        PolicyError::new(self.place(span, key), PolicyErrorKind::Invalid { reason: visible(reason) })
    }

    fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }

    /// The key of the line, with its table, as far as the text tells: serde's errors don't name it.
    fn key_near(&self, offset: usize) -> String {
        let before = self.text.get(..self.text.floor_char_boundary(offset)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let end = rest.find('\n').map_or(self.text.len(), |length| line_start + length);
        let mut key = None;
        let mut table = None;
        for line in self.text.get(..end).unwrap_or_default().lines().rev() {
            if let Some(name) = table_name(line) {
                table = Some(name);
                break;
            }
            key = key.or_else(|| key_name(line));
        }
        visible(&[table, key].into_iter().flatten().collect::<Vec<_>>().join("."))
    }
}

fn table_name(line: &str) -> Option<&str> {
    let inner = line.trim().strip_prefix('[')?;
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    let (name, _) = inner.split_once(']')?;
    is_key(name.trim()).then_some(name.trim())
}

fn key_name(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    is_key(key.trim()).then_some(key.trim())
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'"'))
}

/// More rules than any organisation wrote by hand; matching one name against them takes about a millisecond.
const RULE_LIMIT: usize = 10_000;
/// Keys, roles, signers and patterns that one list may have.
const LIST_LIMIT: usize = 1_000;
