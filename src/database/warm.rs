//! Connections to PostgreSQL that were used a moment ago, for statements that are transactions of their own.
//!
//! The pool tries each connection that it gets back, which is one more way there and back for each statement.
//! One whose statement came to its end needs no trial: a few of those stay here, and are used next. Whatever
//! broke off, or was quiet for a while, goes back to the pool.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

/// A pool, and those of its connections that stay outside for the next statement.
#[derive(Clone)]
pub(crate) struct WarmPool {
    pool: PgPool,
    warm: Arc<Mutex<Warm>>,
}

#[derive(Default)]
struct Warm {
    connections: Vec<(PoolConnection<Postgres>, Instant)>,
    /// The pool waits for all of its connections before it is closed.
    closed: bool,
}

impl WarmPool {
    pub(super) fn over(pool: PgPool) -> Self {
        Self { pool, warm: Arc::default() }
    }

    /// For whatever takes more than a statement.
    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection for one statement.
    pub(super) async fn take(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let used = self.warm().connections.pop();
        match used {
            Some((connection, since)) if since.elapsed() < QUIET => Ok(connection),
            // One that was quiet goes back before another is asked for.
            quiet => {
                drop(quiet);
                self.pool.acquire().await
            }
        }
    }

    /// Takes back a connection whose statement came to its end.
    pub(super) fn keep(&self, connection: PoolConnection<Postgres>) {
        let mut warm = self.warm();
        if !warm.closed && warm.connections.len() < WARM {
            warm.connections.push((connection, Instant::now()));
        }
    }

    pub(super) async fn close(&self) {
        let left = {
            let mut warm = self.warm();
            warm.closed = true;
            std::mem::take(&mut warm.connections)
        };
        drop(left);
        self.pool.close().await;
    }

    fn warm(&self) -> MutexGuard<'_, Warm> {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for WarmPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmPool").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// Few of the pool's: the rest are there for transactions.
const WARM: usize = 4;
/// A connection that was quiet for longer is tried before it is used: the database may have been restarted.
pub(super) const QUIET: Duration = Duration::from_secs(1);
