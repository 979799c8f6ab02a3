//! The requests of one connection: how many there were, how many are answered, and whether one was answered
//! before it was read to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

use super::stream::Progress;

/// Counts.
#[derive(Clone, Default)]
pub(super) struct Requests(Arc<Counts>);

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Requests {
    /// One more, which is answered until the value is dropped.
    pub(super) fn begin(&self) -> AtWork {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(&self.0))
    }

    /// How many there were.
    pub(super) fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Whether there is one that is answered now.
    pub(super) fn any(&self) -> bool {
        self.0.ended.load(Ordering::Relaxed) < self.begun()
    }
}

/// A request that is being answered.
pub(super) struct AtWork(Arc<Counts>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request's body, which leaves word if nobody wanted the rest of it.
pub(super) struct Upload {
    body: Incoming,
    progress: Progress,
}

impl Upload {
    pub(super) fn new(body: Incoming, progress: Progress) -> Self {
        Self { body, progress }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            self.progress.leave_rest();
        }
    }
}
