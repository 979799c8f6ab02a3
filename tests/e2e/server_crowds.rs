//! Our trust server among more connections than it takes, and with fewer files than it may want.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;

use reqwest::StatusCode;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::image::server_program;
use crate::support::skip;
use crate::trust_server::{DEADLINE, Publisher, Server, post};

/// Ten addresses take all the places that there are. Whoever comes then waits, nobody loses anything, and memory has a
/// bound.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_are_served_and_the_next_one_waits() {
    if !allow_files(PLACES + 1000) {
        return;
    }
    let server = Server::start_with(folder(), SETTINGS);
    let mut crowd = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let address = server.host().parse().expect("an address");
        crowd.spawn(async move {
            let mut held = Vec::new();
            for _ in 0..PLACES / u16::from(CLIENTS) {
                let mut stream = connect(2 + client, address).await;
                assert!(ask(&mut stream).await, "a place of its share");
                held.push(stream);
            }
            held
        });
    }
    let mut held: Vec<Vec<TcpStream>> = crowd.join_all().await;
    let each = resident_kibibytes(&server) / u64::from(PLACES);
    assert!(each < 32, "{each} KiB for each of {PLACES} connections");
    let address = server.host().parse().expect("an address");
    // Nobody is turned away, and nobody is served, before somebody goes.
    let mut next = connect(100, address).await;
    next.write_all(REQUEST).await.expect("the system takes it");
    // Who has a place is served all the while.
    for streams in &mut held {
        assert!(ask(&mut streams[0]).await, "a place that was there before");
    }
    assert!(next.try_read(&mut [0]).is_err(), "it waits");
    held[0].pop();
    assert!(answer(&mut next).await.is_some(), "the place that is free");
    // One that has its share gets no more, in the place of others.
    held[1].pop();
    let SocketAddr::V4(full) = held[2][0].local_addr().expect("its address") else { panic!("of IPv6") };
    let mut more = connect(full.ip().octets()[3], address).await;
    assert!(!ask(&mut more).await, "one more than its share");
    drop(held);
    let mut after = connect(2, address).await;
    assert!(ask(&mut after).await, "a client like any other");
}

/// There are fewer places where the system lets the server have fewer files; what it needs itself it has.
#[tokio::test(flavor = "multi_thread")]
async fn few_files_are_few_places_and_publishing_goes_on() {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 160; exec \"$0\" \"$@\""]).arg(server_program());
    let server = Server::run(command, folder(), SETTINGS);
    let publisher = Publisher::begin(&server, "registry.example/lab/files").await;
    let address = server.host().parse().expect("an address");
    let mut held = Vec::new();
    // Some places are the publisher's.
    loop {
        let mut stream = connect(2, address).await;
        let metrics = get(&mut stream, "/metrics").await.expect("a place");
        held.push(stream);
        if metrics.contains("\ntrustgate_server_connections 80\n") {
            break;
        }
        assert!(held.len() < 80, "{metrics}");
    }
    let mut waiting = connect(2, address).await;
    waiting.write_all(REQUEST).await.expect("the system takes it");
    let (client, url) = publisher.again();
    for version in 2..5 {
        let told = post(&client, &url, &[("targets", publisher.targets(version))]).await.expect("an answer");
        assert_eq!(told.0, StatusCode::OK, "{told:?}");
    }
    assert!(waiting.try_read(&mut [0]).is_err(), "it waits");
    drop(held);
    assert!(answer(&mut waiting).await.is_some(), "a place that is free");
}

/// Where there is not one file left after all, it says so once, waits, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_open_nothing_goes_on_when_it_can() {
    let server = Server::start_with(folder(), SETTINGS);
    let address = server.host().parse().expect("an address");
    let mut before = connect(2, address).await;
    assert!(ask(&mut before).await, "a place");
    let process = Some(Pid::from_child(&server.child));
    let few = Rlimit { current: Some(8), ..getrlimit(Resource::Nofile) };
    let usual = prlimit(process, Resource::Nofile, few).expect("it is ours");
    let mut none = connect(3, address).await;
    none.write_all(REQUEST).await.expect("the system takes it");
    server.line("no connection was taken");
    assert!(ask(&mut before).await, "a place that was there before");
    prlimit(process, Resource::Nofile, usual).expect("it is ours");
    assert!(answer(&mut none).await.is_some(), "a place");
    server.line("connections are taken again");
}

/// A connection from this address of loopback.
async fn connect(last: u8, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    socket.bind(SocketAddr::new(from, 0)).expect("an address of loopback");
    timeout(DEADLINE, socket.connect(server)).await.expect("in time").expect("it listens")
}

/// Whether a request on this connection is answered.
async fn ask(stream: &mut TcpStream) -> bool {
    get(stream, "/v2/").await.is_some()
}

/// What is answered; nothing, where the connection ends.
async fn get(stream: &mut TcpStream, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    answer(stream).await
}

/// The answer to what was asked on this connection before.
async fn answer(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 14];
    loop {
        let text = std::str::from_utf8(&bytes).expect("text");
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let length = head.lines().find_map(|it| it.strip_prefix("content-length: ")).expect("a length");
            if body.len() == length.parse::<usize>().expect("a number") {
                return Some(body.to_owned());
            }
        }
        match timeout(DEADLINE, stream.read(&mut buffer)).await.expect("an answer or an end") {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn folder() -> Arc<tempfile::TempDir> {
    Arc::new(tempfile::tempdir().expect("a temporary folder"))
}

/// Whether this process, and so the server, may open so many files.
fn allow_files(count: u16) -> bool {
    let wanted = u64::from(count);
    let maximum = getrlimit(Resource::Nofile).maximum;
    if maximum.is_none_or(|it| wanted <= it) {
        return setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    }
    let raised = setrlimit(Resource::Nofile, files(wanted)).is_ok();
    if !raised {
        skip("the right to open 11,000 files");
    }
    raised
}

fn files(count: u64) -> Rlimit {
    Rlimit { current: Some(count), maximum: Some(count) }
}

/// How much memory the server has at the moment.
fn resident_kibibytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("it runs");
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
}

const CLIENTS: u8 = 10;
/// As many as the server takes by default.
const PLACES: u16 = 10_000;
const REQUEST: &[u8] = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
/// Without TLS, as behind a proxy: handshakes are not what is tested. Nobody is ended for being quiet.
const SETTINGS: &str = "listen = \"127.0.0.1:0\"\ntls = { off = true }\n\
    limits = { idle-patience = \"10m\", head-patience = \"5m\" }\n";
