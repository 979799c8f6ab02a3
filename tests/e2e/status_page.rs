//! The status page in a browser: what people see, what a screen reader says, and that nothing runs.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};
use trustgate::image::Gun;
use trustgate::server::page::{Page, PageRequest};
use trustgate::server::storage::{Change, NewFile, SqlStorage, Storage};
use trustgate::tuf::testing::{Repository, TestKey, days, now};
use trustgate::tuf::{RoleName, Version};

use crate::support::browser::{Browser, HEIGHT, Screenshot, WIDTH};

/// A server of the page alone, at a time of the test's own.
struct Site {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Site {
    fn of(repositories: Vec<Repository>) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let address = runtime.block_on(async {
            let storage = Arc::new(SqlStorage::in_memory().await.expect("a database in memory"));
            for repository in repositories {
                store(&storage, &repository).await;
            }
            let page = Arc::new(Page::new(storage as Arc<dyn Storage>));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            tokio::spawn(async { axum_serve(listener, page).await });
            address
        });
        Self { address, _runtime: runtime }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn axum_serve(listener: tokio::net::TcpListener, page: Arc<Page>) {
    let router = Router::new().fallback(move |uri: Uri| {
        let page = Arc::clone(&page);
        async move {
            let Some(request) = PageRequest::read(uri.path(), uri.query()) else {
                return StatusCode::NOT_FOUND.into_response();
            };
            let answer = page.answer(&request, days(7)).await;
            let mut response = answer.body.into_response();
            *response.status_mut() = StatusCode::from_u16(answer.status).expect("a status");
            for (name, value) in answer.headers {
                response.headers_mut().insert(name, HeaderValue::from_str(&value).expect("a header"));
            }
            response
        }
    });
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let server = hyper::server::conn::http1::Builder::new();
            // A browser ends its connections when it likes.
            let _ = server.serve_connection(hyper_util::rt::TokioIo::new(socket), service).await;
        });
    }
}

async fn store(storage: &SqlStorage, repository: &Repository) {
    let gun: Gun = repository.gun.parse().expect("the test's own");
    let files = repository.publish().files.into_iter().map(|(name, content)| {
        let role: RoleName = name.parse().expect("the test's own");
        let signed: Value = serde_json::from_slice(&content).expect("the test's own");
        let expires =
            signed["signed"]["expires"].as_str().expect("the test's own").parse().expect("the test's own");
        NewFile::new(role, Version::FIRST, expires, content)
    });
    let change = Change { expected: None, files: files.collect(), retired: Vec::new() };
    storage.publish(&gun, &change, now()).await.expect("a storage that takes files");
}

/// A repository with a timestamp whose time is half over, and targets that have expired.
fn repository(name: &str) -> Repository {
    let mut repository = Repository::new(name);
    repository.delegate("targets/releases", &[TestKey::p256("alice")], 1, &[""]);
    repository.delegate("targets/alice", &[TestKey::p256("alice")], 1, &[""]);
    for tag in ["1.0", "1.1"] {
        repository.tag("targets/releases", tag, tag.as_bytes());
        repository.tag("targets/alice", tag, tag.as_bytes());
    }
    repository
}

/// What a page is made of.
const STRUCTURE: &str = r#"(() => {
  const texts = (selector) => [...document.querySelectorAll(selector)].map((it) => it.textContent);
  return {
    language: document.documentElement.lang,
    headings: texts("h1, h2"),
    captions: texts("table > caption"),
    tables: document.querySelectorAll("table").length,
    columns: texts("thead th[scope=col]"),
    rows: texts("tbody th[scope=row]"),
    links: [...document.querySelectorAll("tbody a")].map((it) => it.getAttribute("href")),
    unlabelled: [...document.querySelectorAll("input, meter")]
      .filter((it) => !(it.labels?.length || it.getAttribute("aria-label"))).length,
    active: document.querySelectorAll("script, img, iframe, object, embed, svg, link, [style], base").length,
    handlers: [...document.querySelectorAll("*")].flatMap((it) => [...it.attributes])
      .filter((it) => it.name.startsWith("on") || it.value.trim().startsWith("javascript:")).length,
    styled: getComputedStyle(document.querySelector("table") ?? document.body).borderCollapse,
  };
})()"#;

/// Where each bar is, and how far it is filled.
const BARS: &str = r#"[...document.querySelectorAll("meter")].map((it) => {
  const box = it.getBoundingClientRect();
  return [box.left, box.top, box.width, box.height, (it.value - it.min) / (it.max - it.min)];
})"#;

fn bars(browser: &mut Browser) -> Vec<[f64; 5]> {
    serde_json::from_value(browser.evaluate(BARS)).expect("the test's own")
}

fn differ(one: [u8; 3], other: [u8; 3]) -> bool {
    one.iter().zip(other).any(|(one, other)| 24 < one.abs_diff(other))
}

/// Whether the bar changes its color where it should, and only there.
fn check_bar(screen: &Screenshot, [left, top, width, height, filled]: [f64; 5]) {
    assert!(100.0 < width && 6.0 < height, "a bar of {width} × {height}");
    let at = |part: f64| screen.at(left + width * part, top + height / 2.0);
    let (first, last) = (at(0.06), at(0.94));
    if (0.05..=0.95).contains(&filled) {
        assert!(differ(first, last), "a bar filled {filled} is {first:?} throughout");
        assert!(!differ(at(filled - 0.05), first) && !differ(at(filled + 0.05), last), "filled {filled}");
    } else {
        assert!(!differ(first, last), "a bar filled {filled} is {first:?} and {last:?}");
    }
}

#[test]
fn the_list_of_repositories_can_be_seen_heard_and_searched() {
    let Some(mut browser) = Browser::start() else { return };
    let mut expired = repository("docker.io/acme/expired");
    expired.role("targets").set_expires(days(3));
    let site = Site::of(vec![repository("docker.io/acme/base"), expired, repository("[::1]:5000/tools")]);
    browser.open(&site.url("/"));
    let structure = browser.evaluate(STRUCTURE);
    assert_eq!(structure["headings"], json!(["Repositories"]));
    assert_eq!(
        (&structure["tables"], &structure["captions"][0]),
        (&json!(1), &json!("Each with the role whose time is over first"))
    );
    let columns = ["Repository", "Role", "Version", "Time left", "Last change"];
    assert_eq!(structure["columns"], json!(columns));
    assert_eq!(
        structure["rows"],
        json!(["[::1]:5000/tools", "docker.io/acme/base", "docker.io/acme/expired"])
    );
    assert_eq!(structure["language"], "en");
    for nothing in ["unlabelled", "active", "handlers"] {
        assert_eq!(structure[nothing], 0, "{nothing}");
    }
    // The policy lets the page's own style through.
    assert_eq!(structure["styled"], "collapse");
    assert_eq!(browser.events("Log.entryAdded"), Vec::<Value>::new());
    assert_eq!(browser.events("Network.requestWillBeSent").len(), 1);

    let bars = bars(&mut browser);
    let filled: Vec<f64> = bars.iter().map(|it| it[4]).collect();
    assert_eq!(filled, [0.5, 0.5, 0.0]);
    let light = browser.screenshot();
    assert_eq!((light.width, light.height), (WIDTH, HEIGHT));
    for bar in &bars {
        check_bar(&light, *bar);
    }
    browser.prefer_color_scheme("dark");
    let dark = browser.screenshot();
    for bar in &bars {
        check_bar(&dark, *bar);
    }
    let brightness = |screen: &Screenshot| screen.at(5.0, 900.0).iter().map(|it| u32::from(*it)).sum::<u32>();
    assert!(brightness(&dark) < 150 && 600 < brightness(&light));

    let heard = browser.accessible();
    for (role, name) in [
        ("heading", "Repositories"),
        ("search", ""),
        ("searchbox", "Search repositories"),
        ("meter", "Time left of timestamp of docker.io/acme/base: 7 days left"),
        ("meter", "Time left of targets of docker.io/acme/expired: expired 4 days ago"),
        ("link", "Skip to content"),
    ] {
        let found = heard.iter().any(|(it, said)| it == role && said == name);
        assert!(found, "{role} {name:?}: {heard:?}");
    }

    browser.follow(
        "document.querySelector('input').value = 'ACME'; document.querySelector('form').requestSubmit()",
    );
    let structure = browser.evaluate(STRUCTURE);
    assert_eq!(structure["rows"], json!(["docker.io/acme/base", "docker.io/acme/expired"]));
    browser.follow("document.querySelector('tbody a').click()");
    assert_eq!(browser.evaluate(STRUCTURE)["headings"], json!(["docker.io/acme/base", "Roles", "Tags"]));
    browser.open(&site.url("/?search=tools"));
    browser.follow("document.querySelector('tbody a').click()");
    assert_eq!(browser.evaluate(STRUCTURE)["headings"][0], "[::1]:5000/tools");
}

#[test]
fn a_repository_can_be_seen_and_its_tags_searched() {
    let Some(mut browser) = Browser::start() else { return };
    let mut repository = repository("docker.io/acme/base");
    for number in 0..150 {
        repository.tag("targets", &format!("v{number:03}"), b"manifest");
    }
    let site = Site::of(vec![repository]);
    browser.open(&site.url("/repository/docker.io%2Facme%2Fbase"));
    let structure = browser.evaluate(STRUCTURE);
    assert_eq!(structure["tables"], 2);
    assert_eq!(structure["captions"][1], "152 tags, with the manifest's digest and size");
    let rows = structure["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6 + 100);
    assert_eq!(rows[6], "1.0");
    assert_eq!(structure["unlabelled"], 0);
    let screen = browser.screenshot();
    let bars = bars(&mut browser);
    assert_eq!(bars.len(), 6);
    bars.iter()
        .filter(|it| it[1] + it[3] < f64::from(u16::try_from(HEIGHT).unwrap()))
        .for_each(|it| check_bar(&screen, *it));

    browser.follow("document.querySelector('a[rel=next]').click()");
    let rows = browser.evaluate(STRUCTURE)["rows"].clone();
    assert_eq!(rows.as_array().unwrap().len(), 6 + 52);
    assert_eq!(browser.evaluate("document.querySelector('a[rel=next]')"), Value::Null);
    browser.follow(
        "document.querySelector('input').value = 'V14'; document.querySelector('form').requestSubmit()",
    );
    assert_eq!(browser.evaluate(STRUCTURE)["rows"].as_array().unwrap().len(), 6 + 10);
}

#[test]
fn what_publishers_write_is_inert() {
    let Some(mut browser) = Browser::start() else { return };
    let mut repository = repository("docker.io/acme/base");
    let texts = [
        "<script>window.ran = true; alert(1)</script>",
        "\"><img src=x onerror=\"window.ran = true\">",
        "' autofocus onfocus='window.ran = true",
        "</title><svg onload=\"window.ran = true\">",
        "</style><style>* { display: none }</style>",
        "<meta http-equiv=refresh content=\"0;url=http://127.0.0.1/\">",
        "<base href=http://127.0.0.1/>",
    ];
    for text in texts {
        repository.tag("targets", text, b"manifest");
    }
    repository.delegate("targets/hostile", &[TestKey::p256("hostile")], 1, &texts);
    let site = Site::of(vec![repository]);
    let name = "/repository/docker.io/acme/base";
    let mut pages = vec![name.to_owned()];
    for text in texts {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        pages.extend([
            format!("{name}?search={query}"),
            format!("/?search={query}"),
            format!("{name}?limit=1&after={query}"),
        ]);
    }
    for page in pages {
        browser.open(&site.url(&page));
        let structure = browser.evaluate(STRUCTURE);
        assert_eq!((&structure["active"], &structure["handlers"]), (&json!(0), &json!(0)), "{page}");
        assert_eq!(browser.evaluate("window.ran ?? null"), Value::Null, "{page}");
        // Had anything been tried, the policy would have stopped and logged it.
        assert_eq!(browser.events("Log.entryAdded"), Vec::<Value>::new(), "{page}");
        assert_eq!(browser.events("Page.javascriptDialogOpening"), Vec::<Value>::new(), "{page}");
        assert_eq!(browser.events("Network.requestWillBeSent").len(), 1, "{page}");
        assert_eq!(browser.evaluate("document.querySelectorAll('style').length"), 1, "{page}");
    }
    browser.open(&site.url(name));
    let rows = browser.evaluate(STRUCTURE)["rows"].clone();
    assert!(rows.as_array().unwrap().contains(&json!(texts[0])), "{rows}");
}
