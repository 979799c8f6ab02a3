//! A headless Chromium, driven through its debugging pipe: what a page looks like to who reads it.
//!
//! Messages are JSON, each ended by a zero byte, over two pipes that the browser finds as its descriptors
//! 3 and 4. So there is no port that another program could reach.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::lab::unavailable;

/// A browser with one tab; it ends when it is dropped.
pub(crate) struct Browser {
    process: Child,
    commands: File,
    messages: Receiver<Value>,
    /// What the browser said meanwhile.
    events: VecDeque<Value>,
    session: String,
    last_id: u64,
    _folder: tempfile::TempDir,
}

/// The colors of what the browser shows, row by row.
pub(crate) struct Screenshot {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Screenshot {
    pub(crate) fn at(&self, x: f64, y: f64) -> [u8; 3] {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places on a screen")]
        let (x, y) = (x as usize, y as usize);
        self.pixels[y * self.width + x]
    }
}

impl Browser {
    /// `None` where there is no Chromium, which is said; required, that is a failure.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else { return unavailable("chromium") };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [commands, messages] = ["commands", "messages"].map(|name| pipe(&folder.path().join(name)));
        // A shell gives the descriptors their numbers; the browser then is in its place.
        let process = Command::new("/bin/sh")
            .args(["-c", r#"exec "$0" "$@" 3<commands 4>messages"#])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--remote-debugging-pipe", "--user-data-dir=profile"])
            .args(["--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args([
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--force-device-scale-factor=1",
            ])
            .arg("about:blank")
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env_remove("DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).expect("a log"))
            .spawn()
            .expect("a shell starts");
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(messages).split(0) {
                let Ok(message) = message else { return };
                let Ok(message) = serde_json::from_slice(&message) else { return };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            process,
            commands,
            messages: receiver,
            events: VecDeque::new(),
            session: String::new(),
            last_id: 0,
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}))["targetId"].clone();
        let attach = json!({"targetId": target, "flatten": true});
        let session = browser.call("Target.attachToTarget", &attach)["sessionId"].clone();
        session.as_str().expect("a session has a name").clone_into(&mut browser.session);
        for domain in ["Page", "Log", "Network", "Runtime", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        let screen = json!({"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false});
        browser.call("Emulation.setDeviceMetricsOverride", &screen);
        Some(browser)
    }

    /// Opens an address, and returns once all of it is there.
    pub(crate) fn open(&mut self, url: &str) {
        self.events.clear();
        let answer = self.call("Page.navigate", &json!({"url": url}));
        assert_eq!(answer.get("errorText"), None, "{url}");
        self.wait_for("Page.loadEventFired");
    }

    /// Does something that leads to another page, and returns once all of that is there.
    pub(crate) fn follow(&mut self, script: &str) {
        self.events.clear();
        self.evaluate(script);
        self.wait_for("Page.loadEventFired");
    }

    /// What an expression comes to on the page. It is the test's: the page's policy has no say.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", &parameters);
        assert_eq!(answer.get("exceptionDetails"), None, "{expression}");
        answer["result"]["value"].clone()
    }

    /// The events of this kind since the page was opened.
    pub(crate) fn events(&self, method: &str) -> Vec<Value> {
        self.events.iter().filter(|it| it["method"] == method).map(|it| it["params"].clone()).collect()
    }

    /// What assistive programs are told: each part's role and name.
    pub(crate) fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", &json!({}));
        let text = |node: &Value, member: &str| node[member]["value"].as_str().unwrap_or_default().to_owned();
        let nodes = tree["nodes"].as_array().expect("a tree has nodes").iter();
        nodes.map(|node| (text(node, "role"), text(node, "name"))).collect()
    }

    /// Makes the page believe that this is what its reader likes: `light` or `dark`.
    pub(crate) fn prefer_color_scheme(&mut self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &features);
    }

    /// What is on the screen.
    pub(crate) fn screenshot(&mut self) -> Screenshot {
        let answer = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        let data = answer["data"].as_str().expect("a picture");
        let bytes = STANDARD.decode(data).expect("a picture is in base64");
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().expect("a picture is a PNG");
        let mut buffer = vec![0; reader.output_buffer_size().expect("a picture that fits memory")];
        let frame = reader.next_frame(&mut buffer).expect("a picture has a frame");
        let pixels = buffer[..frame.buffer_size()].chunks(frame.color_type.samples());
        Screenshot {
            width: usize::try_from(frame.width).expect("a width"),
            height: usize::try_from(frame.height).expect("a height"),
            pixels: pixels.map(|it| [it[0], it[1], it[2]]).collect(),
        }
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("the browser reads");
        loop {
            let message = self.receive(method);
            if message["id"] == id {
                assert_eq!(message.get("error"), None, "{method}");
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    fn wait_for(&mut self, event: &str) {
        while !self.events.iter().any(|it| it["method"] == event) {
            let message = self.receive(event);
            self.events.push_back(message);
        }
    }

    fn receive(&self, waiting_for: &str) -> Value {
        let message = self.messages.recv_timeout(PATIENCE);
        message.unwrap_or_else(|error| panic!("the browser says nothing of {waiting_for}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A pipe with a name, open at both ends: so that nobody waits for the other side.
fn pipe(path: &Path) -> File {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    File::options().read(true).write(true).open(path).expect("a pipe of the test's own")
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = std::env::split_paths(&path).map(|it| it.join("chromium"));
    candidates.into_iter().find(|it| it.exists())
}

/// What is shown of a page.
pub(crate) const WIDTH: usize = 1400;
/// The same, downwards.
pub(crate) const HEIGHT: usize = 1000;
/// A browser starts in a second, on an idle machine.
const PATIENCE: Duration = Duration::from_mins(1);
