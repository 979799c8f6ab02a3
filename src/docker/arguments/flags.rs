//! The grammar of Go's `pflag`, and the tables of docker's flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;

/// The flags of one verb.
#[derive(Clone, Debug, Default)]
pub struct FlagSet {
    #[expect(dead_code, reason = "filled next")]
    flags: BTreeMap<String, ()>,
}

impl FlagSet {
    /// The same, with the flags that docker's own `--help` text lists besides.
    #[must_use]
    pub fn with_help(self, text: &str) -> Self {
        let _ = text;
        todo!()
    }
}

/// A flag on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its long name, without dashes.
    pub name: String,
    /// Its value; `true` for a boolean flag that is just there.
    pub value: OsString,
    /// The words that it takes; several flags share one where they are bundled.
    pub words: Range<usize>,
}
