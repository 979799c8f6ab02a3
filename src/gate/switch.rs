//! Whether content trust is on, and who turned it off.
//!
//! Unlike docker, an unset variable means *on*: trustgate exists to check.

use crate::policy::DisabledBy;

/// Whether content trust is on for this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustSwitch {
    /// Images are checked.
    Enabled,
    /// Somebody asked to build without checks; the policy has the last word.
    Disabled(DisabledBy),
}

impl TrustSwitch {
    /// What the variable `DOCKER_CONTENT_TRUST` says: only an explicit false disables.
    #[must_use]
    pub fn from_environment(value: Option<&str>) -> Self {
        Self::from_variable(value, DisabledBy::Environment)
    }

    /// What `--build-arg DOCKER_CONTENT_TRUST=…` says.
    #[must_use]
    pub fn from_build_arg(value: Option<&str>) -> Self {
        Self::from_variable(value, DisabledBy::BuildArg)
    }

    /// What the option `disable-content-trust` says: only an explicit true disables.
    #[must_use]
    pub fn from_option(value: Option<&str>) -> Self {
        match value.and_then(parse_boolean) {
            Some(true) => Self::Disabled(DisabledBy::Option),
            Some(false) | None => Self::Enabled,
        }
    }

    /// What the flag `--disable-content-trust[=BOOL]` says. A flag that is given
    /// wins over what comes `otherwise`, so that `=false` turns trust on again.
    #[must_use]
    pub fn from_flag(flag: Option<bool>, otherwise: Self) -> Self {
        match flag {
            Some(true) => Self::Disabled(DisabledBy::Flag),
            Some(false) => Self::Enabled,
            None => otherwise,
        }
    }

    /// The first switch, unless it is enabled and the second is not.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Disabled(_) => self,
            Self::Enabled => other,
        }
    }

    fn from_variable(value: Option<&str>, by: DisabledBy) -> Self {
        match value.and_then(parse_boolean) {
            Some(false) => Self::Disabled(by),
            // docker takes `yes` and `2` as true, an empty value as not set
            Some(true) | None => Self::Enabled,
        }
    }
}

/// A boolean as docker reads it (Go's `ParseBool`): anything else is `None`.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_explicit_false_disables() {
        for text in ["0", "f", "F", "false", "FALSE", "False"] {
            let disabled = TrustSwitch::Disabled(DisabledBy::Environment);
            assert_eq!(TrustSwitch::from_environment(Some(text)), disabled, "{text}");
        }
        for text in ["", "1", "yes", "2", "no", "off", "fAlse", " 0", "0 ", "true"] {
            assert_eq!(TrustSwitch::from_environment(Some(text)), TrustSwitch::Enabled, "{text}");
        }
        assert_eq!(TrustSwitch::from_environment(None), TrustSwitch::Enabled);
        assert_eq!(TrustSwitch::from_build_arg(Some("0")), TrustSwitch::Disabled(DisabledBy::BuildArg));
    }

    #[test]
    fn only_an_explicit_true_of_the_option_disables() {
        assert_eq!(TrustSwitch::from_option(Some("true")), TrustSwitch::Disabled(DisabledBy::Option));
        for text in [None, Some(""), Some("yes"), Some("0"), Some("false")] {
            assert_eq!(TrustSwitch::from_option(text), TrustSwitch::Enabled, "{text:?}");
        }
    }

    #[test]
    fn a_flag_wins_over_the_environment() {
        let off = TrustSwitch::from_environment(Some("0"));
        assert_eq!(TrustSwitch::from_flag(Some(false), off), TrustSwitch::Enabled);
        assert_eq!(TrustSwitch::from_flag(None, off), off);
        assert_eq!(
            TrustSwitch::from_flag(Some(true), TrustSwitch::Enabled),
            TrustSwitch::Disabled(DisabledBy::Flag)
        );
        assert_eq!(TrustSwitch::Enabled.or(off), off);
        assert_eq!(off.or(TrustSwitch::Enabled), off);
    }
}
