//! The access log: who did what to which repository, and what came of it. Never a credential, and nothing
//! of what was published but roles and versions.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::server::access::Caller;
use crate::text::visible_prefix;

/// Where events go.
pub type Journal = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// One request, answered. Its `Display` is a line of a log.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// When it was answered.
    pub at: Timestamp,
    /// From where it came.
    pub address: Option<IpAddr>,
    /// Who asked.
    pub caller: &'a Caller,
    /// What for, in Notary's words: `UpdateTUF`.
    pub operation: &'static str,
    /// In which repository.
    pub gun: Option<&'a str>,
    /// The status of the answer.
    pub status: u16,
    /// What was stored: roles and versions; or why nothing was.
    pub outcome: &'a str,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ", self.at)?;
        match self.address {
            Some(address) => write!(f, "{address}")?,
            None => f.write_str("-")?,
        }
        let gun = visible_prefix(self.gun.unwrap_or("-"), SHOWN);
        write!(f, " {} {} {gun} {} {}ms", self.caller, self.operation, self.status, self.took.as_millis())?;
        if self.outcome.is_empty() { Ok(()) } else { write!(f, " {}", visible_prefix(self.outcome, SHOWN)) }
    }
}

/// Longer than any repository's name; reasons may quote what was handed in.
const SHOWN: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let caller = Caller { name: Some("alice\nroot".to_owned()) };
        let event = Event {
            at: "2026-11-22T10:00:00.5Z".parse().unwrap(),
            address: Some([127, 0, 0, 1].into()),
            caller: &caller,
            operation: "UpdateTUF",
            gun: Some("docker.io/acme/base"),
            status: 200,
            outcome: "targets=2 timestamp=7\u{1b}[2J",
            took: Duration::from_micros(12_345),
        };
        assert_eq!(
            event.to_string(),
            "2026-11-22T10:00:00.500Z 127.0.0.1 alice\\u{a}root UpdateTUF docker.io/acme/base 200 12ms \
             targets=2 timestamp=7\\u{1b}[2J"
        );
    }
}
