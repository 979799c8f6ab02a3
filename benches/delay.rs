//! A TCP proxy that makes a loopback server look far away.
//!
//! Every byte arrives half a round trip later, in each direction, with no limit on
//! bandwidth. A connection's first bytes wait one whole round trip more, for the TCP
//! handshake that the loopback interface answers at once.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use std::io::{Read, Write};

/// Starts a proxy to `upstream` whose round trip takes `rtt`; returns where it listens.
/// It lives as long as the process.
pub(crate) fn start(upstream: SocketAddr, rtt: Duration) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if let Ok(server) = TcpStream::connect(upstream) {
                let _ = join(client, server, rtt);
            }
        }
    });
    Ok(address)
}

fn join(client: TcpStream, server: TcpStream, rtt: Duration) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    carry(client.try_clone()?, server.try_clone()?, rtt / 2, rtt);
    carry(server, client, rtt / 2, Duration::ZERO);
    Ok(())
}

/// Copies from one side to the other, each piece `delay` after it came, the first ones
/// `handshake` later still.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration, handshake: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    let opened = Instant::now();
    thread::spawn(move || {
        let mut buffer = vec![0; BUFFER_SIZE];
        while let Ok(count) = from.read(&mut buffer) {
            let due = (Instant::now() + delay).max(opened + handshake + delay);
            let piece = buffer.get(..count).unwrap_or_default().to_vec();
            if sender.send((due, piece)).is_err() || count == 0 {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, piece) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if piece.is_empty() || to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

const BUFFER_SIZE: usize = 64 * 1024;
