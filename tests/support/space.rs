//! A disk that is soon full: a few mebibytes of memory that one test sees, and nobody else.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::skip;

/// The disk, seen from inside.
pub(crate) struct Space {
    folder: PathBuf,
}

impl Space {
    /// The disk of this test. Outside there is none: the test of this name is run once more, in a namespace of its
    /// own where there is, and has failed if that one did. Everything ends with it.
    pub(crate) fn of_test(name: &str, mebibytes: u32) -> Option<Self> {
        if let Some(folder) = std::env::var_os(VARIABLE) {
            return Some(Self { folder: folder.into() });
        }
        let folder = tempfile::Builder::new().prefix("full").tempdir_in("/tmp").expect("a folder");
        let in_namespace = |script: &str| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-ec", script, "sh"]);
            command.arg(format!("size={mebibytes}m,mode=1777")).arg(folder.path());
            command.stdin(Stdio::null());
            command
        };
        let permitted = in_namespace(MOUNT).stderr(Stdio::null()).status().expect("unshare starts");
        if !permitted.success() {
            let required = std::env::var_os("TRUSTGATE_REQUIRE_ENGINES").is_some_and(|value| value == "1");
            assert!(!required, "nothing can be mounted here; these tests run as root");
            skip("the right to mount a file system");
            return None;
        }
        let ended = in_namespace(&format!("{MOUNT}; shift 2; exec \"$@\""))
            .arg(std::env::current_exe().expect("a test's program"))
            .args([name, "--exact", "--nocapture"])
            .env(VARIABLE, folder.path())
            .env("TMPDIR", folder.path())
            .output()
            .expect("unshare starts");
        let said = String::from_utf8_lossy(&ended.stdout);
        // A name that is none would run nothing, and nothing fails.
        let ran = said.contains("1 passed") && ended.status.success();
        assert!(ran, "{said}{}", String::from_utf8_lossy(&ended.stderr));
        None
    }

    /// Takes all of it that is left.
    pub(crate) fn fill(&self) {
        let mut filler = fs::File::create(self.folder.join(FILLER)).expect("a file");
        let error = loop {
            if let Err(error) = filler.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    }

    /// Gives it back.
    pub(crate) fn clear(&self) {
        fs::remove_file(self.folder.join(FILLER)).expect("it was filled");
    }
}

const VARIABLE: &str = "TRUSTGATE_TEST_SPACE";
const MOUNT: &str = "mount -t tmpfs -o \"$1\" none \"$2\"";
const FILLER: &str = "filler";
