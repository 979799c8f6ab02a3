//! The status page: what is kept here, who signed it, and how long it is valid. It changes nothing.
//!
//! A [`PageRequest`] is read from a path and a query, and a [`Page`] makes a [`PageAnswer`] of it: a pure
//! function of the storage, the request and the time. Who may see it is decided by whoever asks for the
//! answer, from the request's [`Subject`]. The pages have no script, and all that publishers wrote in
//! them is text.

mod frame;
mod index;
mod repository;
mod request;
mod tags;
#[cfg(test)]
mod tests;
mod validity;
mod verified;

use std::sync::Arc;

use jiff::Timestamp;
use maud::Markup;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::storage::{Storage, StorageError};
pub use request::{Form, PageRequest, QueryError, Subject};

/// The pages of one server.
pub struct Page {
    storage: Arc<dyn Storage>,
    /// Who reads a whole repository waits here: it may be long, and is no hurry.
    readers: Semaphore,
}

/// What goes back to whoever asked.
#[derive(Clone, Debug)]
pub struct PageAnswer {
    /// The status.
    pub status: u16,
    /// All headers that the content depends on, by their lower-case names.
    pub headers: Vec<(&'static str, String)>,
    /// The document.
    pub body: String,
    /// What went wrong inside: for the server's log, and not for whoever asked.
    pub failure: Option<String>,
}

impl Page {
    /// The pages over this storage.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, readers: Semaphore::new(READERS) }
    }

    /// What there is to see at a time.
    pub async fn answer(&self, request: &PageRequest, now: Timestamp) -> PageAnswer {
        let form = request.form;
        let query = match &request.query {
            Ok(query) => query,
            Err(error) => return problem(form, 400, "That cannot be asked", &error.to_string()),
        };
        match &request.subject {
            Subject::Index => match index::load(&*self.storage, query, now).await {
                Ok(index) => write(form, &index, index::markup),
                Err(error) => unreadable(form, &error),
            },
            Subject::Repository(gun) => {
                // Nobody closes it.
                let _turn = self.readers.acquire().await;
                match repository::load(&*self.storage, gun, query, now).await {
                    Ok(Some(found)) => write(form, &found, repository::markup),
                    Ok(None) => problem(
                        form,
                        404,
                        "No such repository",
                        &format!("There is no trust data of {gun} here."),
                    ),
                    Err(error) => unreadable(form, &error),
                }
            }
        }
    }
}

fn write<T: Serialize>(form: Form, found: &T, markup: impl Fn(&T) -> Markup) -> PageAnswer {
    match form {
        Form::Html => document(200, markup(found)),
        Form::Json => match serde_json::to_string_pretty(found) {
            Ok(text) => json(200, text),
            Err(error) => PageAnswer { failure: Some(error.to_string()), ..json(500, "{}".to_owned()) },
        },
    }
}

fn unreadable(form: Form, error: &StorageError) -> PageAnswer {
    let text = "What is stored here cannot be read now. Try again in a moment.";
    PageAnswer { failure: Some(error.to_string()), ..problem(form, 503, "Out of order", text) }
}

fn problem(form: Form, status: u16, title: &str, text: &str) -> PageAnswer {
    match form {
        Form::Html => document(status, frame::problem(title, text)),
        Form::Json => json(status, serde_json::json!({ "error": text }).to_string()),
    }
}

fn document(status: u16, markup: Markup) -> PageAnswer {
    let headers = vec![
        ("content-type", "text/html; charset=utf-8".to_owned()),
        ("content-security-policy", frame::content_security_policy()),
    ];
    answer(status, headers, markup.into_string())
}

fn json(status: u16, mut text: String) -> PageAnswer {
    text.push('\n');
    answer(status, vec![("content-type", "application/json; charset=utf-8".to_owned())], text)
}

fn answer(status: u16, mut headers: Vec<(&'static str, String)>, body: String) -> PageAnswer {
    headers.extend(
        [
            ("cache-control", "private, no-cache"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    PageAnswer { status, headers, body, failure: None }
}

/// Repositories read at a time: each may take as much memory as `verified` reads at most.
const READERS: usize = 2;
