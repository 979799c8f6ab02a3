//! What a client is told that must say who it is: the header of RFC 6750 or 7617, and Notary's detail.

use serde_json::{Value, json};

use super::{Action, Challenge};
use crate::image::Gun;

/// What a token must allow: `repository:<name>:<actions>` as registries write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) actions: &'static [&'static str],
}

impl<'a> Scope<'a> {
    /// What an action needs. Without a repository it is the whole server that is meant.
    pub(super) fn of(gun: Option<&'a Gun>, action: Action) -> Self {
        let actions: &[&str] = match action {
            Action::Pull => &["pull"],
            Action::Push => &["push", "pull"],
            Action::Admin | Action::Catalog | Action::Any => &["*"],
        };
        match (gun, action) {
            (Some(gun), Action::Pull | Action::Push | Action::Admin) => {
                Self { kind: "repository", name: gun.as_str(), actions }
            }
            _ => Self { kind: "registry", name: "catalog", actions: &["*"] },
        }
    }

    fn detail(&self) -> Value {
        let record =
            |action: &&str| json!({"Type": self.kind, "Class": "", "Name": self.name, "Action": action});
        self.actions.iter().map(record).collect()
    }
}

impl Challenge {
    /// For names and passwords.
    pub(super) fn basic(realm: &str, scope: &Scope<'_>) -> Self {
        Self { header: format!("Basic realm=\"{realm}\""), detail: scope.detail() }
    }

    /// For tokens. `error` is RFC 6750's word for what is wrong with the one that came.
    pub(super) fn bearer(realm: &str, service: &str, scope: &Scope<'_>, error: Option<&str>) -> Self {
        let Scope { kind, name, actions } = scope;
        let actions = actions.join(",");
        let error = error.map(|it| format!(",error=\"{it}\"")).unwrap_or_default();
        Self {
            header: format!(
                "Bearer realm=\"{realm}\",service=\"{service}\",scope=\"{kind}:{name}:{actions}\"{error}"
            ),
            detail: scope.detail(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_what_dockers_client_parses() {
        let gun: Gun = "docker.io/acme/web".parse().unwrap();
        let bearer = |gun, action, error| {
            Challenge::bearer("https://auth/token", "trust", &Scope::of(gun, action), error)
        };
        let push = bearer(Some(&gun), Action::Push, None);
        assert_eq!(
            push.header,
            r#"Bearer realm="https://auth/token",service="trust",scope="repository:docker.io/acme/web:push,pull""#
        );
        let record = |action| json!({"Type": "repository", "Class": "", "Name": "docker.io/acme/web", "Action": action});
        assert_eq!(push.detail, json!([record("push"), record("pull")]));
        assert_eq!(bearer(Some(&gun), Action::Admin, None).detail, json!([record("*")]));
        let any = bearer(None, Action::Any, Some("invalid_token"));
        assert!(
            any.header.ends_with(r#",scope="registry:catalog:*",error="invalid_token""#),
            "{}",
            any.header
        );
        assert!(any.header.len() > 10);
        let parsed = crate::http::parse_challenges(any.header.as_bytes()).unwrap();
        assert_eq!(parsed[0].parameter("scope"), Some("registry:catalog:*"));
        let basic = Challenge::basic("trust", &Scope::of(Some(&gun), Action::Pull));
        assert_eq!(basic.header, r#"Basic realm="trust""#);
        assert_eq!(basic.detail, json!([record("pull")]));
    }
}
