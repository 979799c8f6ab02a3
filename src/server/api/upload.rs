//! Bodies: received whole, and counted while they come.
//!
//! What a client says of its length is believed only where it says too much. All uploads together have
//! a budget of memory; who does not fit into it comes again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::refusal::Refusal;
use crate::server::ErrorCode;
use crate::server::settings::Limits;

/// The memory that uploads may take.
pub(super) struct UploadBudget {
    one: u64,
    idle: Duration,
    all: Arc<Semaphore>,
}

/// A body, and its part of the budget.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    share: Option<OwnedSemaphorePermit>,
}

impl UploadBudget {
    pub(super) fn new(limits: &Limits) -> Self {
        let units = units(limits.uploads_bytes.max(limits.upload_bytes));
        let units = usize::try_from(units).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { one: limits.upload_bytes, idle: limits.idle_patience, all: Arc::new(Semaphore::new(units)) }
    }

    /// The whole body, if it is not too long and does not stop coming.
    pub(super) async fn receive(&self, body: Body) -> Result<Received, Refusal> {
        // Where the client says how long it is, nothing that is too long is read.
        if self.one < body.size_hint().lower() {
            return Err(Refusal::too_large(self.one));
        }
        let mut received = Received { bytes: Vec::new(), share: None };
        let mut held = 0;
        let mut frames = body.into_data_stream();
        loop {
            let frame = match timeout(self.idle, frames.next()).await {
                Ok(None) => return Ok(received),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    let reason = format!("the body broke off: {error}");
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::MalformedUpload, reason));
                }
                Err(_) => {
                    let status = StatusCode::REQUEST_TIMEOUT;
                    let reason = format!("nothing came for {} seconds", self.idle.as_secs());
                    return Err(Refusal::new(status, ErrorCode::MalformedUpload, reason));
                }
            };
            let length = received.bytes.len().saturating_add(frame.len());
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            if self.one < length {
                return Err(Refusal::too_large(self.one));
            }
            let needed = units(length);
            if held < needed {
                self.extend(&mut received, needed - held)?;
                held = needed;
            }
            received.bytes.extend_from_slice(&frame);
        }
    }

    fn extend(&self, received: &mut Received, units: u64) -> Result<(), Refusal> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.all).try_acquire_many_owned(units);
        let share = share.map_err(|_| Refusal::busy("other uploads take all the memory for uploads"))?;
        match &mut received.share {
            Some(it) => it.merge(share),
            none => *none = Some(share),
        }
        Ok(())
    }
}

/// How many units of the budget so many bytes take.
fn units(bytes: u64) -> u64 {
    bytes.div_ceil(UNIT)
}

/// Small, so that many small uploads fit.
const UNIT: u64 = 16 << 10;
