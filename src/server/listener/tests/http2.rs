//! HTTP/2 of those who ask for more than one may, take back what they asked, or only keep a connection busy.
//!
//! Frames are written by hand: no library sends what is sent here.

use super::*;

/// The client's part of a connection.
struct Client {
    stream: DuplexStream,
    stop: watch::Sender<bool>,
}

/// A frame: its kind, its flags, the number of its stream, and what is in it.
type Frame = (u8, u8, u32, Vec<u8>);

impl Client {
    async fn connect(listener: Listener) -> Self {
        let (client, server) = duplex(1 << 20);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move { listener.http2(server, address(), stopped).await });
        let mut client = Self { stream: client, stop };
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.send(&frame(SETTINGS, 0, 0, &[])).await;
        client
    }

    /// Sends it, or as much as is taken before the other side has enough.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame; none once the connection has ended.
    async fn receive(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let mut content = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut content).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some((head[3], head[4], stream, content))
    }

    /// All frames until the connection ends, and how many seconds that took.
    async fn rest(&mut self) -> (Vec<Frame>, u64) {
        let started = Instant::now();
        let mut frames = Vec::new();
        while let Some(frame) = self.receive().await {
            frames.push(frame);
        }
        (frames, started.elapsed().as_secs())
    }
}

#[tokio::test(start_paused = true)]
async fn one_connection_asks_for_so_much_at_once() {
    let mut client = Client::connect(listener(|_| ())).await;
    for number in 0..100 {
        client.send(&request(number, b"/slow")).await;
    }
    let (frames, _) = client.rest().await;
    let settings = frames.iter().find(|it| it.0 == SETTINGS && !it.3.is_empty()).unwrap();
    // Its number, and 64.
    assert!(settings.3.chunks(6).any(|it| it == [0, 3, 0, 0, 0, 64]), "{settings:?}");
    let refused = frames.iter().filter(|it| it.0 == RST_STREAM && it.3 == REFUSED_STREAM).count();
    let answered = frames.iter().filter(|it| it.0 == HEADERS).count();
    assert_eq!((answered, refused), (64, 36));
}

#[tokio::test(start_paused = true)]
async fn a_head_has_a_limit() {
    let mut client = Client::connect(listener(|_| ())).await;
    // Five fields of 15 KiB, in as many frames.
    let mut head = frame(HEADERS, END_STREAM, 1, &path(b"/"));
    for part in 0..5 {
        let mut field = vec![0x40, 1, b'x', 0x7f];
        // 15,360 in the form of HPACK, less the 127 of the first byte.
        field.extend_from_slice(&[0x81, 0x77]);
        field.extend_from_slice(&[b'y'; 15_360]);
        head.extend(frame(CONTINUATION, if part == 4 { END_HEADERS } else { 0 }, 1, &field));
    }
    client.send(&head).await;
    client.send(&request(1, b"/")).await;
    let (frames, _) = client.rest().await;
    // 431 as a literal, on the first stream; the other is answered.
    let first = frames.iter().find(|it| it.0 == HEADERS && it.2 == 1).unwrap();
    assert!(first.3.windows(3).any(|it| it == b"431" || it == HUFFMAN_431), "{first:?}");
    assert!(frames.iter().any(|it| it.0 == HEADERS && it.2 == 3 && it.3[0] == STATUS_200), "{frames:?}");
}

/// CVE-2023-44487: each request is taken back at once, so that there is never too much at once.
#[tokio::test(start_paused = true)]
async fn who_takes_back_everything_is_sent_away() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut listener = listener(|_| ());
    let counted = Arc::clone(&asked);
    listener.router = Router::new().fallback(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        std::future::pending::<()>()
    });
    let mut client = Client::connect(listener).await;
    let mut flood = Vec::new();
    for number in 0..5_000 {
        flood.extend(request(number, b"/"));
        flood.extend(frame(RST_STREAM, 0, 2 * number + 1, CANCEL));
    }
    client.send(&flood).await;
    let (frames, seconds) = client.rest().await;
    assert_eq!(sent_away(&frames), Some(ENHANCE_YOUR_CALM));
    assert_eq!(seconds, 0);
    assert!(asked.load(std::sync::atomic::Ordering::SeqCst) < 100);
}

/// CVE-2024-27316: a head without an end, in frames that have next to nothing in them.
#[tokio::test(start_paused = true)]
async fn a_head_has_an_end() {
    let mut client = Client::connect(listener(|_| ())).await;
    let mut head = frame(HEADERS, END_STREAM, 1, &path(b"/"));
    for _ in 0..5_000 {
        head.extend(frame(CONTINUATION, 0, 1, &[]));
    }
    client.send(&head).await;
    let (frames, seconds) = client.rest().await;
    assert!(sent_away(&frames).is_some(), "{frames:?}");
    assert_eq!(seconds, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_nothing_is_ended() {
    let mut client = Client::connect(listener(|_| ())).await;
    client.send(&request(0, b"/")).await;
    let (frames, seconds) = client.rest().await;
    assert!(frames.iter().any(|it| it.0 == HEADERS && it.3[0] == STATUS_200), "{frames:?}");
    assert!(frames.iter().any(|it| it.0 == GOAWAY), "{frames:?}");
    // It does not answer the server's last ping, either.
    assert!((60..=120).contains(&seconds), "{seconds}");
}

/// Frames that ask for nothing keep a connection for no longer than a request may take; one that is answered is
/// not cut by it.
#[tokio::test(start_paused = true)]
async fn keeping_busy_is_no_request() {
    let limits = |it: &mut Limits| it.request_patience = Duration::from_secs(90);
    let mut client = Client::connect(listener(limits)).await;
    client.send(&request(0, b"/slow")).await;
    let started = Instant::now();
    let mut answered = None;
    while started.elapsed() < Duration::from_mins(10) {
        client.send(&frame(PING, 0, 0, b"12345678")).await;
        tokio::select! {
            it = client.receive() => match it {
                None => break,
                Some((HEADERS, ..)) => answered = Some(started.elapsed().as_secs()),
                Some(_) => {}
            },
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
        // What came is looked at now; the next ping has time.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(answered.is_some_and(|it| (120..130).contains(&it)), "{answered:?}");
    let seconds = started.elapsed().as_secs();
    assert!((120..300).contains(&seconds), "{seconds}");
    drop(client.stop);
}

/// A request for this path, on the stream of this number.
fn request(number: u32, name: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, &path(name))
}

/// The head of a request for this path: GET, http, the path and a host as literals.
fn path(name: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[0x82, 0x86, 0x04, length][..], name, &[0x01, 1, b'x']].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// The reason with which everything was ended.
fn sent_away(frames: &[Frame]) -> Option<u8> {
    frames.iter().rev().find(|it| it.0 == GOAWAY).map(|it| it.3[7])
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: &[u8] = &[0, 0, 0, 7];
const CANCEL: &[u8] = &[0, 0, 0, 8];
const ENHANCE_YOUR_CALM: u8 = 11;
/// `:status: 200`, of which HPACK's table has a row.
const STATUS_200: u8 = 0x88;
/// `431` in HPACK's code.
const HUFFMAN_431: &[u8] = &[0x69, 0x90, 0xff];
