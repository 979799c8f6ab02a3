//! The file that repositories are moved in: lines of JSON, and the files' bytes between them.
//!
//! ```text
//! trustgate export 1
//! {"record":"key","gun":…,"role":"timestamp","public":{…},"alias":…,"sealed":"<base64>","created":…}
//! {"record":"repository","gun":"docker.io/acme/base"}
//! {"record":"signing-key","role":"timestamp","public":{…},"created":…}
//! {"record":"file","role":"root","version":1,"sha256":"<hex>","length":2388,"stored":…}
//! <2388 bytes, and an end of line>
//! {"record":"change","id":1,"at":…,"gun":…,"version":1,"sha256":"<hex>"}
//! {"record":"end","keys":1,"repositories":1,"files":1,"changes":1,"sha256":"<hex of all before this line>"}
//! ```
//!
//! Keys come before repositories, changes after them; signing keys and files belong to the repository above
//! them, files in the order in which they were stored. A deletion has no `version` and `sha256`. Nothing
//! stands behind the last record, so that a file that was cut short is never taken for a whole one.

mod reader;
mod record;
mod writer;

pub(super) use reader::{Item, Reader};
pub(super) use record::{ChangeMember, FileMember, KeyMember, SigningKeyMember};
pub(super) use writer::Writer;

/// The first line. A form that this program does not know has another number.
const FIRST_LINE: &str = "trustgate export 1";
/// A sealed key is the longest record, and its RSA key of 8192 bits the longest part of that.
const LINE_LIMIT: usize = 64 << 10;
