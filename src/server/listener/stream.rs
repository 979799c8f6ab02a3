//! A connection's bytes, with an eye on whether any move.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How often something was read or written, and whether something will never be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    moves: AtomicU64,
    rest: AtomicBool,
}

impl Progress {
    pub(super) fn count(&self) -> u64 {
        self.0.moves.load(Ordering::Relaxed)
    }

    /// Notes that nobody wants the rest of what the other side sends.
    pub(super) fn leave_rest(&self) {
        self.0.rest.store(true, Ordering::Relaxed);
    }

    fn rest_is_left(&self) -> bool {
        self.0.rest.load(Ordering::Relaxed)
    }

    fn made(&self, bytes: usize) {
        if bytes != 0 {
            self.0.moves.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A stream whose other side must take what is written within a while.
///
/// Where the other side still sends what nobody wants, the end of the stream throws that away for a moment: a system
/// that gets bytes for a closed socket resets the connection, and the other side loses the answer that says why.
pub(super) struct Patient<S> {
    stream: S,
    progress: Progress,
    patience: Duration,
    /// When a write that waits is given up; nothing waits where it is not armed.
    deadline: Pin<Box<Sleep>>,
    waiting: bool,
    /// How much was thrown away since the last was written.
    thrown_away: Option<usize>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> (Self, Progress) {
        let progress = Progress::default();
        let deadline = Box::pin(tokio::time::sleep(patience));
        let patient = Self {
            stream,
            progress: progress.clone(),
            patience,
            deadline,
            waiting: false,
            thrown_away: None,
        };
        (patient, progress)
    }

    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = outcome {
            self.progress.made(*bytes);
        }
    }

    /// What a write came to, or that it waits for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = false;
            return outcome;
        }
        if !self.waiting {
            self.waiting = true;
            self.deadline.as_mut().reset(Instant::now() + self.patience);
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the other side does not take what it asked for",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> Patient<S> {
    /// Throws away what still comes, until the other side ends, too, or has had its time.
    fn poll_rest(&mut self, context: &mut Context<'_>, mut thrown_away: usize) -> Poll<io::Result<()>> {
        let mut room = [0; 8 << 10];
        while thrown_away < REST_LIMIT {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => thrown_away += buffer.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    self.thrown_away = Some(thrown_away);
                    return self.deadline.as_mut().poll(context).map(Ok);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(context, buffer);
        this.progress.made(buffer.filled().len() - before);
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(context, buffer);
        this.wrote(&outcome);
        this.watched(context, outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(context);
        this.watched(context, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(thrown_away) = this.thrown_away {
            return this.poll_rest(context, thrown_away);
        }
        let outcome = Pin::new(&mut this.stream).poll_shutdown(context);
        let outcome = this.watched(context, outcome);
        if !matches!(outcome, Poll::Ready(Ok(()))) || !this.progress.rest_is_left() {
            return outcome;
        }
        this.deadline.as_mut().reset(Instant::now() + REST_PATIENCE);
        this.poll_rest(context, 0)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(context, buffers);
        this.wrote(&outcome);
        this.watched(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A client that sends everything before it listens has as much to send as the usual limit of an upload; and so long
/// for it, as its connection takes a place.
const REST_LIMIT: usize = 64 << 20;
const REST_PATIENCE: Duration = Duration::from_secs(5);
