//! Connections of the slow, the silent and the many.

mod http2;

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};

use super::*;
use crate::server::settings::Settings;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn listener(change: impl FnOnce(&mut Limits)) -> Listener {
    let mut limits = Settings::standalone(std::path::Path::new("/nowhere")).limits;
    change(&mut limits);
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/defect", get(|| async { panic!("a defect, which a test wants") as &str }))
        .route("/unread", post(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "too long") }))
        .route("/long", get(|| async { vec![b'x'; 4 << 20] }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_mins(2)).await }));
    let line = Arc::new(|_: &str| ());
    Listener { router, security: Security::Off, limits, metrics: Arc::default(), line }
}

fn address() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 1).into()
}

/// A connection that is served, as long as the second value is there.
fn connect(listener: Listener, buffer: usize) -> (DuplexStream, watch::Sender<bool>) {
    let (client, server) = duplex(buffer);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move { listener.http1(server, address(), stopped).await });
    (client, stop)
}

/// What comes until the connection ends, and after how many seconds that is.
async fn rest(client: &mut DuplexStream) -> (String, u64) {
    let started = Instant::now();
    let mut text = Vec::new();
    // An end without a word is an end, too.
    let _ = client.read_to_end(&mut text).await;
    (String::from_utf8(text).unwrap(), started.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_head_must_come_in_time() {
    for begun in [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nX: y\r\n"] {
        let (mut client, _stop) = connect(listener(|_| ()), 1 << 16);
        client.write_all(begun).await.unwrap();
        let (_, seconds) = rest(&mut client).await;
        assert_eq!(seconds, 10, "{begun:?}");
    }
    // A letter now and then makes it no better.
    let (mut client, _stop) = connect(listener(|_| ()), 1 << 16);
    let started = Instant::now();
    while client.write_all(b"X").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(14));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_nothing_ends() {
    let (mut client, _stop) = connect(listener(|it| it.head_patience = Duration::from_hours(1)), 1 << 16);
    client.write_all(GET).await.unwrap();
    let (text, seconds) = rest(&mut client).await;
    assert!(text.ends_with("hello"), "{text}");
    assert_eq!(seconds, 60);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_is_not_idle() {
    let (mut client, _stop) = connect(listener(|_| ()), 1 << 16);
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let (text, seconds) = rest(&mut client).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(seconds, 120);
}

#[tokio::test(start_paused = true)]
async fn an_answer_must_be_taken() {
    let (mut client, _stop) = connect(listener(|_| ()), 1 << 10);
    client.write_all(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    let (text, _) = rest(&mut client).await;
    assert_eq!(text.len(), 1 << 10);
    // Slowly is fine.
    let (mut client, _stop) = connect(listener(|_| ()), 1 << 16);
    client.write_all(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut taken = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        tokio::time::sleep(Duration::from_secs(20)).await;
        match client.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => taken += count,
        }
    }
    assert!(taken > 4 << 20, "{taken}");
}

/// In Notary's form, without a word of where or why; the connection goes on.
#[tokio::test]
async fn a_defect_is_the_end_of_one_request() {
    let listener = listener(|_| ());
    let metrics = Arc::clone(&listener.metrics);
    let (address, stop, serving) = serve(listener).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /defect HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answer = ask(&mut stream).await.unwrap();
    let (broken, whole) = answer.split_once('\n').unwrap();
    assert_eq!(broken.trim(), "HTTP/1.1 500 Internal Server Error");
    let body = ErrorAnswer::new(500, ErrorCode::Unknown).body();
    assert!(whole.contains(std::str::from_utf8(&body).unwrap()), "{whole}");
    assert!(!answer.contains("a test wants"), "{answer}");
    assert!(whole.contains("HTTP/1.1 200 OK") && whole.ends_with("hello"), "{whole}");
    assert_eq!(metrics.open(), 1);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!(metrics.open(), 0);
}

/// A listener that takes nobody any more does not seem to work.
#[tokio::test]
async fn a_defect_of_the_listener_ends_it() {
    let mut listener = listener(|it| it.proxies = Vec::new());
    listener.line = Arc::new(|_: &str| panic!("a defect, which a test wants"));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // An error of the socket is told of, and the line that it would be told in panics.
    rustix::net::shutdown(&socket, rustix::net::Shutdown::Both).unwrap();
    let served = listener.serve(vec![socket], std::future::pending()).await;
    assert_eq!(served, Err(Defect));
}

/// A client that sends its whole body before it listens hears why nobody wanted it, if it comes to an end.
#[tokio::test(start_paused = true)]
async fn what_nobody_wants_is_thrown_away_for_a_while() {
    let request = |length: usize| {
        let head = format!("POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        [head.into_bytes(), vec![b' '; length]].concat()
    };
    let (mut client, _stop) = connect(listener(|_| ()), 1 << 10);
    client.write_all(&request(4 << 20)).await.unwrap();
    client.shutdown().await.unwrap();
    let (text, seconds) = rest(&mut client).await;
    assert!(text.starts_with("HTTP/1.1 413") && text.ends_with("too long"), "{text}");
    assert_eq!(seconds, 0);
    // Without an end of it there is an end of patience.
    let (mut client, _stop) = connect(listener(|_| ()), 1 << 10);
    client.write_all(&request(1 << 20)).await.unwrap();
    let started = Instant::now();
    while client.write_all(b" ").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    assert_eq!(started.elapsed().as_secs(), 5);
    let (mut client, _stop) = connect(listener(|_| ()), 1 << 16);
    assert!(client.write_all(&request(65 << 20)).await.is_err(), "more than is thrown away");
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_done_before_the_end() {
    let (mut client, stop) = connect(listener(|_| ()), 1 << 16);
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.send_replace(true);
    let (text, seconds) = rest(&mut client).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("connection: close"), "{text}");
    assert_eq!(seconds, 119);
    let (mut idle, stop) = connect(listener(|_| ()), 1 << 16);
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.send_replace(true);
    assert_eq!(rest(&mut idle).await, (String::new(), 0));
}

/// A socket at which a listener serves until the second value is sent something.
async fn serve(
    listener: Listener,
) -> (SocketAddr, tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), Defect>>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let serving = listener.serve(vec![socket], async { drop(stopped.await) });
    (address, stop, tokio::spawn(serving))
}

async fn ask(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(GET).await.ok()?;
    let mut buffer = vec![0; 1 << 10];
    let mut text = String::new();
    while !text.ends_with("hello") {
        let count = stream.read(&mut buffer).await.ok().filter(|it| 0 < *it)?;
        text.push_str(std::str::from_utf8(&buffer[..count]).ok()?);
    }
    Some(text)
}

#[tokio::test]
async fn one_client_has_its_share_and_others_theirs() {
    let (address, stop, serving) = serve(listener(|it| it.connections_per_client = 3)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut stream).await.is_some());
        streams.push(stream);
    }
    for _ in 0..200 {
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut refused).await, None);
    }
    // Who has a place keeps it, and a place that is given up is free again.
    assert!(ask(&mut streams[0]).await.is_some());
    drop(streams.pop());
    let mut again = None;
    while again.is_none() {
        again = ask(&mut TcpStream::connect(address).await.unwrap()).await;
    }
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!(ask(&mut streams[0]).await, None);
}

#[tokio::test]
async fn who_finds_no_place_waits_for_one() {
    let (address, stop, serving) = serve(listener(|it| it.connections = 2)).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut stream).await.is_some());
        streams.push(stream);
    }
    let mut third = TcpStream::connect(address).await.unwrap();
    third.write_all(GET).await.unwrap();
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(100), third.read(&mut byte)).await.is_err(), "it waits");
    drop(streams);
    assert_eq!(third.read(&mut byte).await.unwrap(), 1);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_does_not_take_an_answer_does_not_hold_up_the_end() {
    let (address, stop, serving) = serve(listener(|it| it.drain = Duration::from_millis(50))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // The request has arrived once a second connection is answered.
    assert!(ask(&mut TcpStream::connect(address).await.unwrap()).await.is_some());
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!(stream.read(&mut [0]).await.ok().filter(|it| 0 < *it), None);
}

#[tokio::test]
async fn a_network_counts_as_one_client_and_a_proxy_as_many() {
    let limits = |limits: &mut Limits| {
        limits.connections_per_client = 1;
        limits.proxies = vec!["10.0.0.0/8".parse().unwrap()];
    };
    let places = Places::new(&listener(limits).limits);
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let place = async |text: &str| places.wait().await.of(address(text));
    let first = place("2001:db8::1").await;
    assert!(first.is_some());
    assert!(place("2001:db8::ffff").await.is_none());
    let other = place("2001:db8:0:1::1").await;
    assert!(other.is_some());
    let mapped = place("::ffff:192.0.2.1").await;
    assert!(mapped.is_some() && place("192.0.2.1").await.is_none());
    let proxied = (place("10.1.2.3").await, place("10.1.2.3").await);
    assert!(proxied.0.is_some() && proxied.1.is_some());
    drop(first);
    assert!(place("2001:db8::2").await.is_some());
}

/// A stream that is always ready makes no timer run.
#[tokio::test(start_paused = true)]
async fn patience_counts_from_the_last_byte() {
    struct Stuck;
    impl AsyncRead for Stuck {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            Poll::Pending
        }
    }
    impl AsyncWrite for Stuck {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<std::io::Result<usize>> {
            Poll::Pending
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    let (mut stuck, _) = Patient::new(Stuck, Duration::from_secs(30));
    // Time before the write does not count.
    tokio::time::sleep(Duration::from_secs(100)).await;
    let started = Instant::now();
    let error = stuck.write(b"x").await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed().as_secs()), (std::io::ErrorKind::TimedOut, 30));
}
