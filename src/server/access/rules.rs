//! What names may do: rules that only ever allow.

use std::collections::BTreeMap;

use super::Action;
use crate::image::Gun;
use crate::server::settings::{HtpasswdSettings, Right, RuleSettings};

/// What is allowed to whom. Without any rule, everything to everybody who is known.
pub(super) struct Rules {
    groups: BTreeMap<String, Vec<String>>,
    rules: Vec<RuleSettings>,
}

impl Rules {
    pub(super) fn new(settings: &HtpasswdSettings) -> Self {
        Self { groups: settings.groups.clone(), rules: settings.rules.clone() }
    }

    pub(super) fn allow(&self, name: &str, gun: Option<&Gun>, action: Action) -> bool {
        if self.rules.is_empty() || action == Action::Any {
            return true;
        }
        self.rules.iter().any(|rule| {
            let there = match (action, gun) {
                // What happens in all repositories is told to those whose rule is for all.
                (Action::Catalog, _) | (_, None) => rule.repositories.as_slice().is_empty(),
                (_, Some(gun)) => rule.repositories.take(gun),
            };
            there && rule.may.iter().any(|it| covers(*it, action)) && self.is_for(rule, name)
        })
    }

    fn is_for(&self, rule: &RuleSettings, name: &str) -> bool {
        rule.who.iter().any(|who| match who.strip_prefix('@') {
            Some(group) => self.groups.get(group).is_some_and(|it| it.iter().any(|it| it == name)),
            None => who == name,
        })
    }
}

/// Who may publish may read, and who may delete may publish.
fn covers(right: Right, action: Action) -> bool {
    match action {
        Action::Any => true,
        Action::Pull => matches!(right, Right::Pull | Right::Push | Right::Admin),
        Action::Push => matches!(right, Right::Push | Right::Admin),
        Action::Admin => right == Right::Admin,
        Action::Catalog => right == Right::Catalog,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::settings::GunPrefixes;

    fn rule(who: &[&str], repositories: &[&str], may: &[Right]) -> RuleSettings {
        let own = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect();
        RuleSettings {
            who: own(who),
            repositories: GunPrefixes::new(own(repositories)).unwrap(),
            may: may.to_vec(),
        }
    }

    #[test]
    fn rules_only_allow() {
        let groups = BTreeMap::from([("ci".to_owned(), vec!["builder".to_owned()])]);
        let rules = vec![
            rule(&["@ci", "alice"], &["docker.io/acme/"], &[Right::Push]),
            rule(&["alice"], &["docker.io/acme/private/"], &[Right::Admin]),
            rule(&["auditor"], &[], &[Right::Pull, Right::Catalog]),
            rule(&["half"], &["docker.io/acme/"], &[Right::Catalog]),
        ];
        let rules = Rules { groups, rules };
        let acme: Gun = "docker.io/acme/web".parse().unwrap();
        let private: Gun = "docker.io/acme/private/web".parse().unwrap();
        let other: Gun = "docker.io/acmeevil/web".parse().unwrap();
        for (name, gun, action, allowed) in [
            ("builder", Some(&acme), Action::Push, true),
            ("builder", Some(&acme), Action::Pull, true),
            ("builder", Some(&acme), Action::Admin, false),
            ("builder", Some(&other), Action::Pull, false),
            ("builder", None, Action::Catalog, false),
            ("builder", None, Action::Any, true),
            ("ci", Some(&acme), Action::Pull, false),
            ("@ci", Some(&acme), Action::Pull, false),
            ("alice", Some(&private), Action::Admin, true),
            ("alice", Some(&acme), Action::Admin, false),
            ("auditor", Some(&other), Action::Pull, true),
            ("auditor", Some(&other), Action::Push, false),
            ("auditor", None, Action::Catalog, true),
            ("half", None, Action::Catalog, false),
            ("stranger", Some(&acme), Action::Pull, false),
        ] {
            assert_eq!(rules.allow(name, gun, action), allowed, "{name} {gun:?} {action:?}");
        }
        let none = Rules { groups: BTreeMap::new(), rules: Vec::new() };
        assert!(none.allow("anybody", Some(&acme), Action::Admin));
    }
}
