//! Reading the log and the rows at one moment.

use change_log::{Error as LogError, IN_WINDOW, Position, SKIPPED, Window};
use sqlx::postgres::PgConnection;

use super::Sharing;
use super::entries::Entries;
use super::map::Map;
use super::maps;
use super::rights::Unrestricted;
use crate::changes::{Failure, begin};
use crate::error::Error;
use crate::plan::{Argument, Arguments};
use crate::pool::Lease;

/// A connection with a transaction in which nothing changes.
pub(super) struct Reading {
    lease: Lease,
}

// === impl Reading ===

impl Reading {
    pub(super) async fn begin(sharing: &Sharing) -> Result<Self, Failure> {
        let pool = sharing.provider().pool();
        let database = |error| Failure::Provider(Error::database(error));
        let mut lease = pool.lease().await.map_err(database)?;
        let mut begun = begin(lease.connection().map_err(database)?).await;
        if begun.is_err() && !lease.is_fresh() {
            // It broke while it lay idle.
            drop(lease);
            pool.forget_idle();
            lease = pool.lease().await.map_err(database)?;
            begun = begin(lease.connection().map_err(database)?).await;
        }
        begun.map_err(database)?;
        Ok(Self { lease })
    }

    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        self.lease.connection().map_err(Error::database)
    }

    /// Ends the transaction; what follows on the connection is by itself.
    pub(super) async fn end(mut self) -> Result<Lease, Failure> {
        let database = |error| Failure::Provider(Error::database(error));
        let connection = self.lease.connection().map_err(database)?;
        sqlx::raw_sql("ROLLBACK").execute(connection).await.map_err(database)?;
        Ok(self.lease)
    }
}

/// A configured map, for reading its changes.
pub(super) async fn configured(
    connection: &mut PgConnection,
    sharing: &Sharing,
    map: &str,
) -> Result<Map, Failure> {
    let none = || Failure::Provider(Error::EntityNotFound(map.to_owned()));
    let database = |error| Failure::Provider(Error::database(error));
    if !maps::are_there(connection, sharing.provider()).await.map_err(database)? {
        return Err(none());
    }
    let side = maps::find(connection, map).await.map_err(database)?.ok_or_else(none)?;
    let rights = Unrestricted(sharing.authority());
    Ok(Map::compile(&rights, side)?)
}

/// What was committed between two positions, of the map.
pub(super) async fn window(
    connection: &mut PgConnection,
    map: &Map,
    after: Option<Position>,
    until: Option<Position>,
) -> Result<Window, LogError> {
    Window::open(connection, after, until, map.relations()).await
}

/// More changes than this are not counted.
const MOST_COUNTED: i64 = 100_000;

/// How many changes of a window the other side is not told of because whoever wrote said so.
pub(super) async fn skipped(
    connection: &mut PgConnection,
    map: &Map,
    window: &Window,
) -> Result<i64, Error> {
    let sql = format!(
        "SELECT count(*) FROM (
             SELECT FROM tombolo.change_log
             WHERE relation = ANY($3::text[]) AND origin = '{SKIPPED}' AND {IN_WINDOW} LIMIT $4
         ) AS counted"
    );
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
    let query = query.bind(window.after().snapshot()).bind(window.until().snapshot());
    let query = query.bind(map.relations()).bind(MOST_COUNTED);
    query.fetch_one(connection).await.map_err(Error::database)
}

/// The entries of a window that nobody has told the other side of.
pub(super) fn waiting(map: &Map, window: &Window) -> Entries {
    let mut arguments = Arguments::default();
    arguments.push(Argument::Text(window.after().snapshot()));
    arguments.push(Argument::Text(window.until().snapshot()));
    arguments.push(Argument::Texts(map.relations()));
    arguments.push(Argument::Text(map.side.map.clone()));
    let condition = format!(
        "relation = ANY($3::text[]) AND {} AND origin IS NULL AND NOT EXISTS (
             SELECT FROM tombolo.dual_write_shared AS shared
             WHERE shared.xid = change_log.xid AND shared.map = $4::text AND seq <= up_to)",
        IN_WINDOW
    );
    Entries { condition, arguments }
}

impl Entries {
    /// Whether there are any.
    pub(super) async fn any(&self, connection: &mut PgConnection) -> Result<bool, Error> {
        let sql =
            format!("SELECT EXISTS (SELECT FROM tombolo.change_log WHERE {})", self.condition);
        let arguments = self.arguments.clone().encode().map_err(Error::database)?;
        let query = sqlx::query_scalar_with(sqlx::AssertSqlSafe(sql), arguments);
        query.fetch_one(connection).await.map_err(Error::database)
    }
}
