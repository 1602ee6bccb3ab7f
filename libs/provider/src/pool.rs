//! Connections to one database. sqlx's own pool asks the server whether it is there before and
//! after every statement, which triples the round trips of a read; this one does not ask. A
//! connection that was left in the middle of something is closed, not repaired.
//!
//! Writes may wait for locks, and last as long as their client lets them. So they never have all
//! connections, and no caller's writes have all those of writes: whoever reads finds one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleResult, TimeoutType, Timeouts};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::log::LevelFilter;
use uuid::Uuid;

use crate::error::Error;

/// How long a write waits for its turn, before it is told that the database is busy.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// A host that lost its power or its network says no farewell, and its open transactions would keep their locks for as
/// long as the server's system believes in it, which is hours. It is asked after 15 idle seconds, and given up 15 later.
/// Where something between answers in its place, a transaction in which nothing happens ends after ten minutes: twice as
/// long as any save waits for the other side.
const LOST: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("idle_in_transaction_session_timeout", "600000"),
];

/// Size and patience of a pool.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// Most connections at once.
    pub max_size: usize,
    /// How long a new connection may take.
    pub connect_timeout: Duration,
    /// After this the server gives up on a statement.
    pub statement_timeout: Duration,
    /// After this the server gives up on a lock that somebody else holds, so that one locked table
    /// does not take every connection with it.
    pub lock_timeout: Duration,
}

/// Connections to one database. Cheap to clone; connects when first used, and again after the
/// database was away.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: managed::Pool<Manager>,
    lock_timeout: Duration,
    turns: Arc<Turns>,
}

/// A connection on loan. Goes back to the pool only when its work was done to the end.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Option<managed::Object<Manager>>,
    fresh: bool,
    done: bool,
    /// Given back after the connection.
    _turn: Option<Turn>,
}

/// Who may write at the same time.
#[derive(Debug)]
struct Turns {
    all: Arc<Semaphore>,
    /// Those of a caller exist as long as somebody holds or awaits one.
    callers: Mutex<HashMap<Uuid, Weak<Semaphore>>>,
    per_caller: usize,
}

/// A caller's turn to write, among its own writes and among everybody's.
#[derive(Debug)]
struct Turn {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Manager {
    options: PgConnectOptions,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            max_size: 16,
            connect_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(5),
        }
    }
}

impl Pool {
    /// A pool for `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Does not connect yet.
    ///
    /// # Errors
    ///
    /// When the URL is malformed.
    pub fn new(url: &str, options: &PoolOptions) -> Result<Self, Error> {
        let malformed = |_| Error::InvalidQuery("the database URL is malformed".to_owned());
        let connect: PgConnectOptions = url.parse().map_err(malformed)?;
        let statement_timeout = options.statement_timeout.as_millis().to_string();
        let lock_timeout = options.lock_timeout.as_millis().to_string();
        let connect = connect
            .options([
                ("TimeZone", "UTC"),
                ("DateStyle", "ISO"),
                ("statement_timeout", statement_timeout.as_str()),
                ("lock_timeout", lock_timeout.as_str()),
                // The server notices within a second that nobody waits for a statement any more.
                ("client_connection_check_interval", "1000"),
            ])
            .options(LOST)
            .statement_cache_capacity(512)
            .log_statements(LevelFilter::Off)
            .log_slow_statements(LevelFilter::Off, Duration::ZERO);
        let timeouts = Timeouts {
            wait: Some(options.connect_timeout),
            create: Some(options.connect_timeout),
            recycle: None,
        };
        let inner = managed::Pool::builder(Manager { options: connect })
            .max_size(options.max_size)
            .timeouts(timeouts)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|_| Error::Missing("runtime"))?;
        let turns = Arc::new(Turns::new(options.max_size));
        Ok(Self { inner, lock_timeout: options.lock_timeout, turns })
    }

    /// A connection to write with, when it is the caller's turn. Whoever waits for a turn holds no
    /// connection.
    pub(crate) async fn lease_to_write(&self, caller: Uuid) -> Result<Lease, sqlx::Error> {
        let turn = tokio::time::timeout(WRITE_PATIENCE, self.turns.take(caller)).await;
        let turn = turn.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        let mut lease = self.lease().await?;
        lease._turn = Some(turn);
        Ok(lease)
    }

    pub(crate) async fn lease(&self) -> Result<Lease, sqlx::Error> {
        let connection = self.inner.get().await.map_err(|error| match error {
            managed::PoolError::Backend(error) => error,
            // All connections are on loan, which says nothing about the server.
            managed::PoolError::Timeout(TimeoutType::Wait) => sqlx::Error::PoolTimedOut,
            managed::PoolError::Timeout(_) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
            _ => sqlx::Error::PoolClosed,
        })?;
        let fresh = managed::Object::metrics(&connection).recycle_count == 0;
        Ok(Lease { connection: Some(connection), fresh, done: false, _turn: None })
    }

    /// After this the server gives up on a lock.
    pub(crate) fn lock_timeout(&self) -> Duration {
        self.lock_timeout
    }

    /// Forgets idle connections: one of them was broken, so all may be.
    pub(crate) fn forget_idle(&self) {
        self.inner.retain(|_, _| false);
    }
}

impl Turns {
    /// Three quarters of the connections are for writes, and half of those for one caller's.
    fn new(connections: usize) -> Self {
        let all = (connections * 3 / 4).clamp(1, Semaphore::MAX_PERMITS);
        let callers = Mutex::default();
        Self { all: Arc::new(Semaphore::new(all)), callers, per_caller: (all / 2).max(1) }
    }

    async fn take(&self, caller: Uuid) -> Result<Turn, sqlx::Error> {
        let closed = |_| sqlx::Error::PoolClosed;
        // Its own first: whoever waits for that takes nothing from others.
        let own = self.of(caller).acquire_owned().await.map_err(closed)?;
        let all = Arc::clone(&self.all).acquire_owned().await.map_err(closed)?;
        Ok(Turn { _all: all, _own: own })
    }

    fn of(&self, caller: Uuid) -> Arc<Semaphore> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.get(&caller).and_then(Weak::upgrade) {
            return known;
        }
        callers.retain(|_, it| it.strong_count() > 0);
        let new = Arc::new(Semaphore::new(self.per_caller));
        callers.insert(caller, Arc::downgrade(&new));
        new
    }
}

impl Lease {
    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// It was opened for this loan, so a failure is not one of age.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Its statement was read to the end.
    pub(crate) fn finish(mut self) {
        self.done = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (false, Some(connection)) = (self.done, self.connection.take()) {
            drop(managed::Object::take(connection));
        }
    }
}

impl managed::Manager for Manager {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.options).await
    }

    async fn recycle(
        &self,
        _connection: &mut PgConnection,
        _metrics: &Metrics,
    ) -> RecycleResult<sqlx::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cluster::Scratch;

    use super::*;

    #[tokio::test]
    async fn the_server_gives_up_whoever_is_lost() {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.cluster().tcp_url("postgres");
        let pool = Pool::new(&url, &PoolOptions::default()).unwrap();
        let mut lease = pool.lease().await.unwrap();
        for (name, wanted) in LOST {
            let setting = sqlx::query_scalar::<_, String>(
                "SELECT setting FROM pg_settings WHERE name = $1 AND source = 'client'",
            );
            let found = setting.bind(name).fetch_one(lease.connection().unwrap()).await.unwrap();
            assert_eq!(found, wanted, "{name}");
        }
        lease.finish();
    }
}
