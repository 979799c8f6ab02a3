//! What publishers write is text, wherever it is shown.

use super::*;

/// Markup, endings of attributes, endings of elements, direction marks and such control characters as
/// metadata may hold.
const TEXTS: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></style><script>alert(1)</script>",
    "&lt;b&gt;&#60;i&#62;",
    "<!--",
    "]]>",
    "\u{202e}gnp.exe",
    "\u{9b}2J\u{85}",
    "javascript:alert(1)",
    "\u{e0041}\u{200b}\u{feff}",
];

fn assert_inert(page: &str) {
    for forbidden in
        ["<script", "<img", "<i>", "<b>", "<!--", "onerror=alert(1)>", "\u{202e}", "\u{200b}", "\u{feff}"]
    {
        assert!(!page.contains(forbidden), "{forbidden:?}: {page}");
    }
    assert!(!page.contains(|it: char| it.is_control() && it != '\n'), "{page}");
    assert_eq!(page.matches("</style>").count(), 1);
    assert_eq!(page.matches("</title>").count(), 1);
}

#[tokio::test]
async fn hostile_tags_and_paths_are_inert() {
    let desk = Desk::new().await;
    let mut repository = Repository::new(BASE);
    repository.delegate("targets/releases", &[TestKey::p256("alice")], 1, TEXTS);
    for text in TEXTS {
        repository.tag("targets", text, b"manifest");
        repository.tag("targets/releases", &format!("{text} of releases"), b"manifest");
    }
    desk.store(BASE, &repository.publish()).await;
    let page = desk.ask("/repository/docker.io/acme/base").await.body;
    assert_inert(&page);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(page.contains("\\u{202e}gnp.exe"), "{page}");
    let tags = desk.json("/status/docker.io/acme/base.json").await["tags"].clone();
    assert_eq!(tags["count"], 2 * TEXTS.len());
    // Each is found again, and the pages lead past each.
    for text in TEXTS.iter().chain(&["a\r\nSet-Cookie: x=1", "\u{1b}[2J\0"]) {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for path in ["/", "/repository/docker.io/acme/base", "/repository/docker.io/acme/none"] {
            let page = desk.ask(&format!("{path}?limit=1&search={query}")).await.body;
            assert_inert(&page);
            if path.ends_with("base") && TEXTS.contains(text) {
                assert!(page.contains(" found, with"), "{text:?}: {page}");
            }
        }
    }
}

#[tokio::test]
async fn hostile_problems_are_inert() {
    let desk = Desk::new().await;
    for (number, text) in TEXTS.iter().enumerate() {
        let name = format!("docker.io/acme/hostile-{number}");
        let mut repository = Repository::new(&name);
        repository.role("root").signed["_type"] = (*text).into();
        repository.role("targets").signed["expires"] = (*text).into();
        desk.store(&name, &repository.publish()).await;
        assert_inert(&desk.ask(&format!("/repository/{name}")).await.body);
    }
    let page = desk.ask("/").await.body;
    assert_inert(&page);
    assert_eq!(page.matches("<strong>Broken: </strong>").count(), TEXTS.len());
}
