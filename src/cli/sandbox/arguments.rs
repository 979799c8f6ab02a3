//! What can be typed after `sandbox`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::output::Format;

/// What `sandbox` takes.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start it, or what of it does not run; sign an image, and say what to type
    #[command(long_about = UP)]
    Up(Shown),
    /// End it, and remove its folder with everything in it
    #[command(long_about = DOWN)]
    Down(Down),
    /// Print what each part does; exit code 0 if all work
    Status(Shown),
}

#[derive(Debug, Args)]
pub(super) struct Shown {
    #[command(flatten)]
    place: Place,

    /// How to print it: text, json, or shell for `eval`
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Form::Text)]
    pub(super) output: Form,
}

#[derive(Debug, Args)]
pub(super) struct Down {
    #[command(flatten)]
    place: Place,

    /// How to print what was ended
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    pub(super) output: Format,
}

#[derive(Debug, Args)]
struct Place {
    /// Folder with everything in it [default: ~/.trustgate/sandbox]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// `--output` of what tells how a sandbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Lines for people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// Variables for a shell
    Shell,
}

impl Command {
    pub(super) fn folder(&self) -> Option<&Path> {
        let (Self::Up(Shown { place, .. })
        | Self::Status(Shown { place, .. })
        | Self::Down(Down { place, .. })) = self;
        place.folder.as_deref()
    }
}

const UP: &str = "\
Start a registry, a trust server and its signer on this machine, push two images, and sign one of them.

Everything is in one folder. What runs already is left alone, and what does not is started again. Where no docker engine \
answers, one is started too, as root and where dockerd is installed.";

const DOWN: &str = "\
End what `up` started, and remove the folder with everything in it: keys, images, trust data.

Only processes that are those which were started are ended, and only a folder that is a sandbox's is removed.";
