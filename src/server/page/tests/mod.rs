//! What the pages say, of repositories as publishers leave them.

mod hostile;
mod index;
mod repository;

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::image::Gun;
use crate::server::storage::{Change, NewFile, SqlStorage};
use crate::tuf::testing::{Files, Repository, TestKey, days, now};
use crate::tuf::{RoleName, Version};

const BASE: &str = "docker.io/acme/base";

/// Pages over a database in memory.
struct Desk {
    storage: Arc<SqlStorage>,
    page: Page,
}

impl Desk {
    async fn new() -> Self {
        let storage = Arc::new(SqlStorage::in_memory().await.unwrap());
        let page = Page::new(Arc::clone(&storage) as Arc<dyn Storage>);
        Self { storage, page }
    }

    /// Stores what was published, without looking at it.
    async fn store(&self, gun: &str, files: &Files) {
        let gun: Gun = gun.parse().unwrap();
        let files = files.files.iter().map(|(role, content)| {
            let signed: Value = serde_json::from_slice(content).unwrap_or_default();
            let signed = &signed["signed"];
            let expires = signed["expires"].as_str().and_then(|it| it.parse().ok());
            let version = Version::new(signed["version"].as_u64().unwrap_or(1)).unwrap();
            let role: RoleName = role.parse().unwrap();
            NewFile::new(role, version, expires.unwrap_or(days(1)), content.clone())
        });
        let change = Change { expected: None, files: files.collect(), retired: Vec::new() };
        self.storage.publish(&gun, &change, now()).await.unwrap();
    }

    async fn ask(&self, path: &str) -> PageAnswer {
        self.ask_at(path, days(1)).await
    }

    async fn ask_at(&self, path: &str, at: jiff::Timestamp) -> PageAnswer {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        self.page.answer(&PageRequest::read(path, query).unwrap(), at).await
    }

    /// An answer for programs, which must be a good one.
    async fn json(&self, path: &str) -> Value {
        let answer = self.ask(path).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

fn strings(list: &Value, member: &str) -> Vec<String> {
    let text = |it: &Value| it[member].as_str().unwrap_or_default().to_owned();
    list.as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn every_answer_lets_a_browser_run_nothing() {
    let desk = Desk::new().await;
    desk.store(BASE, &Repository::new(BASE).publish()).await;
    for (path, status) in [
        ("/", 200),
        ("/repository/docker.io/acme/base", 200),
        ("/repository/docker.io/acme/none", 404),
        ("/?limit=0", 400),
        ("/status.json", 200),
        ("/status/docker.io/acme/base.json", 200),
        ("/status/docker.io/acme/none.json", 404),
        ("/status.json?limit=0", 400),
    ] {
        let answer = desk.ask(path).await;
        assert_eq!(answer.status, status, "{path}");
        let header = |name: &str| answer.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        assert_eq!(header("cache-control"), Some("private, no-cache"));
        if path.contains(".json") {
            assert_eq!(header("content-type"), Some("application/json; charset=utf-8"));
            serde_json::from_str::<Value>(&answer.body).unwrap();
            continue;
        }
        assert_eq!(header("content-type"), Some("text/html; charset=utf-8"));
        let policy = header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
        for forbidden in ["<script", " style=", " onload", " onclick", "javascript:", "http://", "https://"] {
            assert!(!answer.body.contains(forbidden), "{path}: {forbidden}");
        }
    }
}

#[tokio::test]
async fn a_storage_that_is_away_is_said_to_be_without_saying_why() {
    let desk = Desk::new().await;
    desk.storage.close().await;
    for path in ["/", "/repository/docker.io/acme/base", "/status.json"] {
        let answer = desk.ask(path).await;
        assert_eq!(answer.status, 503);
        let failure = answer.failure.unwrap();
        assert!(!answer.body.contains(&failure), "{failure}");
    }
}
