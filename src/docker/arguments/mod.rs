//! Docker's command lines, read as docker reads them.
//!
//! Arguments come in (those after the verb), and what they say about images comes out, with the
//! places where it is said. Docker's flags are Go's `pflag`: a flag with a value may be written
//! `--flag value`, `--flag=value`, `-f value`, `-fvalue`; short ones are bundled; and only a table
//! of all flags tells which word is the image. The tables hold the flags of docker 20.10 to 29; a
//! flag that is not in them is an error, until the help text of the installed docker explains it.
//! Only `run` and `create` take an unknown flag whose value is in the same word, since it can't hide
//! the image there; in a build, what is not known could bring in anything.

mod build;
mod container;
mod error;
mod fields;
mod flags;
#[cfg(test)]
mod tests;
mod transfer;

pub use build::{BuildArguments, BuildOutput};
pub use container::{ContainerArguments, MountedImage, PullPolicy, Verb, image_argument};
pub use error::ArgumentError;
pub use flags::{FlagSet, Occurrence};
pub use transfer::TransferArguments;
