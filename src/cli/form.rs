//! The two forms of an answer: lines for people, in docker's words where docker has them, and JSON.
//!
//! Knows nothing of what is answered. Lines are printed while a command works, JSON once, at its end.

use clap::Args;

use super::exit::Failure;
use super::inspect::table;
use super::output::{Format, Output};
use super::settings::Settings;
use super::signing::Telling;
use crate::text::visible;

/// `--output` of the commands that administer keys and repositories.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct FormArguments {
    /// How to print the answer
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

impl FormArguments {
    /// Prints a line, as soon as it is true; nothing where JSON is wanted.
    pub(super) fn line(self, text: &str, output: &mut Output) -> Result<(), Failure> {
        match self.output {
            Format::Text => output.data(format!("{}\n", visible(text)).as_bytes()),
            Format::Json => Ok(()),
        }
    }

    /// Prints rows under their headings, each column as wide as it needs; nothing where JSON is wanted.
    pub(super) fn table<const N: usize>(
        self,
        headings: [&str; N],
        rows: &[[String; N]],
        output: &mut Output,
    ) -> Result<(), Failure> {
        if self.output == Format::Json {
            return Ok(());
        }
        let rows = rows.iter().map(|row| row.clone().map(|cell| visible(&cell)));
        output.data(table(headings, rows).as_bytes())
    }

    /// Prints the document where JSON is wanted.
    pub(super) fn json(self, document: &impl serde::Serialize, output: &mut Output) -> Result<(), Failure> {
        match self.output {
            Format::Text => Ok(()),
            Format::Json => output.json(document),
        }
    }

    /// How to tell what happens meanwhile.
    pub(super) fn telling(self, settings: &Settings) -> Telling {
        Telling::of(self.output, settings)
    }

    /// Whether standard output belongs to a JSON document.
    pub(super) fn is_json(self) -> bool {
        self.output == Format::Json
    }
}
