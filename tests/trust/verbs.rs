//! The client's other verbs: what is handed in, and where it must not go.

use trustgate::http::{HttpClient, HttpError, Request, Upload, Verb};
use url::Url;

use crate::notary::Reply;
use crate::world::World;

fn upload() -> Upload {
    Upload { content_type: "text/x-note".to_owned(), content: "a note".into() }
}

#[tokio::test]
async fn what_is_handed_in_arrives_with_its_type() {
    let world = World::new().await;
    world.fault(|_| Some(Reply::ok("taken").with("Docker-Content-Digest", "sha256:00")));
    let client = HttpClient::new(world.options()).unwrap();
    let url = world.server.url("/file");
    for (verb, method) in [
        (Verb::Post(upload()), "POST"),
        (Verb::Put(upload()), "PUT"),
        (Verb::Delete, "DELETE"),
        (Verb::Get, "GET"),
    ] {
        let sends = matches!(verb, Verb::Post(_) | Verb::Put(_));
        let request = Request { accept: Some("a/b, c/d"), ..Request::new(verb, &url, 100) };
        let response = client.send(&request).await.unwrap();
        assert_eq!((response.status, response.body.as_slice()), (200, b"taken".as_slice()));
        assert_eq!(response.header("docker-content-digest"), Some("sha256:00"));
        let heard = world.server.take_requests().pop().unwrap();
        assert_eq!((heard.method.as_str(), heard.header("accept")), (method, Some("a/b, c/d")));
        if sends {
            assert_eq!((heard.header("content-type"), heard.body.as_str()), (Some("text/x-note"), "a note"));
        } else {
            assert_eq!((heard.header("content-type"), heard.body.as_str()), (None, ""));
        }
    }
}

#[tokio::test]
async fn headers_alone_say_how_long_a_file_is() {
    let world = World::new().await;
    let head = b"HTTP/1.1 200 -\r\nContent-Length: 5000000\r\n\r\n".to_vec();
    world.fault(move |_| Some(Reply::CutOff(head.clone())));
    let client = HttpClient::new(world.options()).unwrap();
    let response = client.send(&Request::new(Verb::Head, &world.server.url("/file"), 0)).await.unwrap();
    assert_eq!((response.header("content-length"), response.body.len()), (Some("5000000"), 0));
}

/// A redirect of a POST would carry it to a server that nobody named, or turn it into a GET.
#[tokio::test]
async fn only_reading_follows_redirects() {
    let world = World::new().await;
    world.fault(|request| Some(if request.file() == "a" { Reply::redirect("/b") } else { Reply::ok("b") }));
    let client = HttpClient::new(world.options()).unwrap();
    let url = world.server.url("/a");
    for verb in [Verb::Post(upload()), Verb::Put(upload()), Verb::Delete] {
        let error = client.send(&Request::new(verb, &url, 100)).await.unwrap_err();
        assert!(matches!(error, HttpError::Status { status: 300..=399, .. }), "{error}");
        assert_eq!(world.server.take_requests().len(), 1);
    }
    assert_eq!(client.send(&Request::new(Verb::Get, &url, 100)).await.unwrap().body, b"b");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_own_terms() {
    let world = World::new().await;
    let client = HttpClient::new(world.options()).unwrap();
    for (body, code, detail) in [
        (r#"{"errors":[{"code":"VERSION","message":"m","detail":{}}]}"#, "VERSION", ""),
        (
            r#"{"errors":[{"code":"A","message":"m","detail":{"Name":"E","Error":{"Msg":"why\u001b[2J"}}}]}"#,
            "A",
            "why [2J",
        ),
        (r#"{"errors":[{"code":"A","message":"m","detail":"in words"}]}"#, "A", "in words"),
        (r#"{"errors":[]}"#, "", ""),
        (r#"{"errors":[{"code":7}]}"#, "", ""),
        ("<html>", "", ""),
    ] {
        let reply = Reply::Answer { status: 400, headers: Vec::new(), body: body.into() };
        world.fault(move |_| Some(reply.clone()));
        let error =
            client.send(&Request::new(Verb::Post(upload()), &world.server.url("/"), 9)).await.unwrap_err();
        let HttpError::Status { status: 400, problem, .. } = error else { panic!("{body}: {error}") };
        assert_eq!((problem.code.as_str(), problem.detail.as_str()), (code, detail), "{body}");
    }
}

#[tokio::test]
async fn plain_http_is_spoken_only_where_it_was_allowed() {
    let world = World::new().await;
    let router = axum::Router::new()
        .route("/file", axum::routing::get(async || "plain"))
        .route(
            "/away",
            axum::routing::get(async || axum::response::Redirect::temporary("http://127.0.0.2:1/")),
        )
        .route("/here", axum::routing::get(async || axum::response::Redirect::temporary("/file")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let client = HttpClient::new(world.options()).unwrap();
    let get = async |path: &str, plain: bool| {
        let url = base.join(path).unwrap();
        client.send(&Request { plain, ..Request::new(Verb::Get, &url, 100) }).await
    };
    assert_eq!(get("/file", true).await.unwrap().body, b"plain");
    assert_eq!(get("/here", true).await.unwrap().body, b"plain");
    assert!(matches!(get("/file", false).await.unwrap_err(), HttpError::Url { .. }));
    assert!(matches!(get("/away", true).await.unwrap_err(), HttpError::Redirect { .. }));
    server.abort();
}
