//! What all pages have in common: the frame, the style, and the policy that lets a browser run nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::request::{Query, TEXT_LIMIT};
use crate::server::storage::sha256;
use crate::text::visible;

/// A whole document.
pub(super) fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · trust server" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#content" { "Skip to content" }
                header { nav aria-label="Server" { a href="/" { "Trust server" } } }
                main id="content" { (content) }
                footer { p { "This page changes nothing, and checks as much as a client would." } }
            }
        }
    }
}

/// A page that says why there is none.
pub(super) fn problem(title: &str, text: &str) -> Markup {
    page(title, &html! { h1 { (title) } p { (text) } p { a href="/" { "All repositories" } } })
}

/// A field to search with, which asks for this path. What was searched for came with a link, perhaps a
/// stranger's.
pub(super) fn search(path: &str, label: &str, search: &str) -> Markup {
    html! {
        form role="search" method="get" action=(path) {
            label for="search" { (label) }
            input type="search" id="search" name="search" value=(visible(search)) maxlength=(TEXT_LIMIT);
            button type="submit" { "Search" }
        }
    }
}

/// The ways to other parts of a list.
pub(super) fn pages(path: &str, query: &Query, next: Option<&str>) -> Markup {
    let first = query.after.is_some().then(|| format!("{path}{}", query.first()));
    html! {
        @if first.is_some() || next.is_some() {
            nav aria-label="Pages" {
                @if let Some(first) = first { a href=(first) { "First page" } " " }
                @if let Some(next) = next { a rel="next" href=(format!("{path}{}", query.next(next))) { "Next page" } }
            }
        }
    }
}

/// Nothing may run or be fetched; the one style sheet is known by its hash.
pub(super) fn content_security_policy() -> String {
    let hash = STANDARD.encode(sha256(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

const STYLE: &str = include_str!("style.css");
