//! Versions of maps.

use chrono::{DateTime, Utc};
use prost::Message as _;
use proto::dual_write::v1::MapVersion;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::error::Error;
use crate::names;

/// A version, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct StoredVersion {
    pub(crate) version: MapVersion,
    /// Solution that it came with.
    pub(crate) solution: Option<String>,
    pub(crate) managed: bool,
    pub(crate) create_time: DateTime<Utc>,
}

/// Where a version comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin<'a> {
    /// `None`: made here.
    pub(crate) solution: Option<&'a str>,
    pub(crate) managed: bool,
}

const COLUMNS: &str = "definition, solution, managed, create_time";

pub(crate) async fn get(connection: &mut PgConnection, name: &str) -> Result<StoredVersion, Error> {
    find(connection, name).await?.ok_or_else(|| Error::NotFound(names::shown(name)))
}

pub(crate) async fn find(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Option<StoredVersion>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM map_version WHERE name = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Of every map the one that is chosen.
pub(crate) async fn active(connection: &mut PgConnection) -> Result<Vec<StoredVersion>, Error> {
    let sql = "SELECT v.definition, v.solution, v.managed, v.create_time
               FROM map m JOIN map_version v ON v.name = m.active_version";
    sqlx::query(sql).fetch_all(connection).await?.iter().map(read).collect()
}

/// Newest first, before the one of this moment and name.
pub(crate) async fn list(
    connection: &mut PgConnection,
    map: &str,
    before: Option<&(DateTime<Utc>, String)>,
    limit: i64,
) -> Result<Vec<StoredVersion>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM map_version
         WHERE map = $1 AND ($2::timestamptz IS NULL OR (create_time, name) < ($2, $3))
         ORDER BY create_time DESC, name DESC LIMIT $4"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(map)
        .bind(before.map(|it| it.0))
        .bind(before.map(|it| it.1.as_str()))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

/// Adds one.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    map: &str,
    version: &MapVersion,
    origin: Origin<'_>,
) -> Result<DateTime<Utc>, Error> {
    let created: Option<DateTime<Utc>> = sqlx::query_scalar(
        "INSERT INTO map_version
             (name, map, version, publisher, content_hash, definition, solution, managed, create_time)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp())
         ON CONFLICT DO NOTHING RETURNING create_time",
    )
    .bind(&version.name)
    .bind(map)
    .bind(&version.version)
    .bind(&version.publisher)
    .bind(&version.content_hash)
    .bind(version.encode_to_vec())
    .bind(origin.solution)
    .bind(origin.managed)
    .fetch_optional(connection)
    .await?;
    created.ok_or_else(|| Error::Exists(version.name.clone()))
}

/// What an unmanaged solution does to a version of its publisher.
pub(crate) async fn overwrite(
    connection: &mut PgConnection,
    version: &MapVersion,
    origin: Origin<'_>,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE map_version SET content_hash = $2, definition = $3, solution = $4, managed = $5
         WHERE name = $1",
    )
    .bind(&version.name)
    .bind(&version.content_hash)
    .bind(version.encode_to_vec())
    .bind(origin.solution)
    .bind(origin.managed)
    .execute(connection)
    .await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<StoredVersion, Error> {
    let definition: Vec<u8> = row.try_get("definition")?;
    let create_time: DateTime<Utc> = row.try_get("create_time")?;
    let mut version =
        MapVersion::decode(&*definition).map_err(|it| Error::Stored(it.to_string()))?;
    version.create_time = Some(names::timestamp(create_time));
    let (solution, managed) = (row.try_get("solution")?, row.try_get("managed")?);
    Ok(StoredVersion { version, solution, managed, create_time })
}
