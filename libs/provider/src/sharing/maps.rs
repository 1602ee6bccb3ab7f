//! The maps that are configured on this side, beside its rows.

use std::sync::atomic::Ordering;

use change_log::Position;
use prost::Message as _;
use proto::query::v1 as pb;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, postgres::PgQueryResult};
use uuid::Uuid;

use super::map::Map;
use super::own;
use crate::provider::Provider;

const STORE: &str = "
    INSERT INTO tombolo.dual_write_map AS known
        (map, epoch, link, phase, definition, relations, shown)
    VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb)
    ON CONFLICT (map) DO UPDATE SET epoch = excluded.epoch, link = excluded.link,
        phase = excluded.phase, definition = excluded.definition, relations = excluded.relations,
        shown = excluded.shown
    WHERE known.epoch <= excluded.epoch";

const RELATE: &str = "
    UPDATE tombolo.dual_write_map SET relations = $2 WHERE map = $1 AND relations <> $2";

/// Whatever was changed before is the business of who reads rows, not of who reads changes.
const BEGIN: &str = "
    UPDATE tombolo.dual_write_map
    SET acknowledged = $2, acknowledged_at = $3, acknowledged_snapshot = $4::pg_snapshot
    WHERE map = $1 AND acknowledged IS NULL";

const REMOVE: &str = "
    WITH rows AS (DELETE FROM tombolo.dual_write_heard WHERE map = $1)
    DELETE FROM tombolo.dual_write_map WHERE map = $1";

const LIST: &str = "
    SELECT definition FROM tombolo.dual_write_map WHERE map > $1 ORDER BY map LIMIT $2";

const FIND: &str = "SELECT definition FROM tombolo.dual_write_map WHERE map = $1";

/// Not with every look, where nothing came in between.
const ACKNOWLEDGE: &str = "
    WITH rows AS (
        DELETE FROM tombolo.dual_write_heard
        WHERE map = $1 AND pg_snapshot_xmax(snapshot) <= pg_snapshot_xmin($4::pg_snapshot)
    )
    UPDATE tombolo.dual_write_map
    SET acknowledged = $2, acknowledged_at = $3, acknowledged_snapshot = $4::pg_snapshot
    WHERE map = $1 AND (acknowledged_at IS NULL OR acknowledged_at < $3 - interval '10 seconds'
        OR (acknowledged_at < $3 AND EXISTS (
            SELECT FROM tombolo.change_log WHERE relation = ANY(relations)
                AND xid >= pg_snapshot_xmin(acknowledged_snapshot)
                AND xid < pg_snapshot_xmax($4::pg_snapshot)
                AND NOT pg_visible_in_snapshot(xid, acknowledged_snapshot)
        )))";

const HEAR: &str = "
    INSERT INTO tombolo.dual_write_heard (map, record_id, snapshot)
    SELECT $1, record_id, pg_current_snapshot() FROM unnest($2::uuid[]) AS rows(record_id)
    ORDER BY record_id
    ON CONFLICT (map, record_id) DO UPDATE SET snapshot = excluded.snapshot";

const HEARD: &str = "
    SELECT snapshot::text, array_agg(record_id) FROM tombolo.dual_write_heard
    WHERE map = $1 AND record_id = ANY($2::uuid[]) GROUP BY snapshot::text";

/// Live maps of which this transaction has changed something by itself, up to which entry, and the first of its
/// entries. These are shared from here on.
const LIVE: &str = "
    WITH live AS MATERIALIZED (
        SELECT map, definition, relations, up_to
        FROM tombolo.dual_write_map AS map CROSS JOIN LATERAL (
            SELECT max(seq) AS up_to FROM tombolo.change_log
            WHERE relation = ANY(map.relations) AND xid = pg_current_xact_id_if_assigned()
                AND origin IS NULL AND seq > $2
        ) AS own
        WHERE link = $1 AND phase = 1 AND up_to IS NOT NULL
    ), marked AS (
        INSERT INTO tombolo.dual_write_shared (xid, map, up_to)
        SELECT pg_current_xact_id(), map, up_to FROM live
        ON CONFLICT (xid, map) DO UPDATE SET up_to = excluded.up_to
    )
    SELECT definition, up_to, ARRAY(
        SELECT to_jsonb(entry)::text FROM (
            SELECT seq, relation, old, new, at, actor FROM tombolo.change_log
            WHERE relation = ANY(live.relations) AND xid = pg_current_xact_id_if_assigned()
                AND origin IS NULL AND seq > $2
            ORDER BY seq LIMIT $3
        ) AS entry
    ) FROM live ORDER BY map";

/// A live map of which a transaction has changed something.
pub(crate) struct Live {
    pub(crate) side: pb::MapSide,
    /// The transaction's last entry.
    pub(crate) up_to: i64,
    /// The first of its entries, as [`own::touched`] takes them.
    pub(crate) entries: Vec<String>,
}

pub(crate) async fn store(
    connection: &mut PgConnection,
    map: &Map,
) -> Result<PgQueryResult, sqlx::Error> {
    let side = &map.side;
    let query = sqlx::query(STORE).bind(&side.map).bind(side.epoch).bind(&side.link);
    let phase = i16::try_from(side.phase).unwrap_or_default();
    let query = query.bind(phase).bind(side.encode_to_vec()).bind(map.relations());
    query.bind(shown(side).to_string()).execute(connection).await
}

/// What `tombolo.dualwriteprojectconfiguration` shows of a map; what there is nothing of is null.
fn shown(side: &pb::MapSide) -> Value {
    let description = side.description.clone().unwrap_or_default();
    let given = |it: String| (!it.is_empty()).then_some(it);
    let column = |it: &i32| usize::try_from(*it).ok().and_then(|it| side.columns.get(it)).cloned();
    let company = given(side.company_column.clone());
    let key: Vec<String> = side.key_columns.iter().filter_map(column).chain(company).collect();
    json!({
        "entity": side.entity_name,
        "external_entity": given(description.external_entity_name),
        "external_environment": given(description.external_environment),
        "companies": given(side.companies.join(", ")),
        // JSON of the database takes no NUL.
        "filter": given(description.filter.replace('\0', "")),
        "key": given(key.join(", ")),
        "debug": description.debug,
    })
}

/// The map's entity is made of these tables now.
pub(crate) async fn relate(connection: &mut PgConnection, map: &Map) -> Result<(), sqlx::Error> {
    let query = sqlx::query(RELATE).bind(&map.side.map).bind(map.relations());
    query.execute(connection).await.map(drop)
}

/// The map's changes are followed from this position on, unless they are already.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    map: &str,
    position: &Position,
) -> Result<(), sqlx::Error> {
    at(BEGIN, connection, map, position).await
}

/// The other side has taken everything up to this position.
pub(crate) async fn acknowledge(
    connection: &mut PgConnection,
    map: &str,
    position: &Position,
) -> Result<(), sqlx::Error> {
    at(ACKNOWLEDGE, connection, map, position).await
}

async fn at(
    sql: &'static str,
    connection: &mut PgConnection,
    map: &str,
    position: &Position,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(sql).bind(map).bind(position.encode()).bind(position.at());
    query.bind(position.snapshot()).execute(connection).await.map(drop)
}

pub(crate) async fn remove(connection: &mut PgConnection, map: &str) -> Result<(), sqlx::Error> {
    sqlx::query(REMOVE).bind(map).execute(connection).await.map(drop)
}

/// Those whose names come behind `after`.
pub(crate) async fn list(
    connection: &mut PgConnection,
    after: &str,
    limit: i64,
) -> Result<Vec<pb::MapSide>, sqlx::Error> {
    let rows = sqlx::query(LIST).bind(after).bind(limit).fetch_all(connection).await?;
    rows.iter().map(definition).collect()
}

/// The tables of all of them, as the log names them.
pub(crate) async fn relations(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    const RELATIONS: &str = "SELECT DISTINCT unnest(relations) AS relation FROM tombolo.dual_write_map ORDER BY relation";
    sqlx::query_scalar(RELATIONS).fetch_all(connection).await
}

pub(crate) async fn find(
    connection: &mut PgConnection,
    map: &str,
) -> Result<Option<pb::MapSide>, sqlx::Error> {
    let row = sqlx::query(FIND).bind(map).fetch_optional(connection).await?;
    row.as_ref().map(definition).transpose()
}

/// Live maps of the link that this transaction's entries behind `after` concern. Marks these as shared.
pub(crate) async fn live(
    connection: &mut PgConnection,
    link: &str,
    after: i64,
) -> Result<Vec<Live>, sqlx::Error> {
    let rows =
        sqlx::query(LIVE).bind(link).bind(after).bind(own::MOST + 1).fetch_all(connection).await?;
    let live = |it: &PgRow| {
        Ok(Live { side: definition(it)?, up_to: it.try_get(1)?, entries: it.try_get(2)? })
    };
    rows.iter().map(live).collect()
}

/// The other side has these rows, as they are, once this transaction is committed.
pub(crate) async fn hear(
    connection: &mut PgConnection,
    map: &str,
    ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query(HEAR).bind(map).bind(ids).execute(connection).await.map(drop)
}

/// Which of these rows the other side has by themselves, and as of which snapshot.
pub(crate) async fn heard(
    connection: &mut PgConnection,
    map: &str,
    ids: &[Uuid],
) -> Result<Vec<(String, Vec<Uuid>)>, sqlx::Error> {
    sqlx::query_as(HEARD).bind(map).bind(ids).fetch_all(connection).await
}

/// Whether there are tables for maps at all. In an open transaction, nothing that is not there may be named.
pub(crate) async fn are_there(
    connection: &mut PgConnection,
    provider: &Provider,
) -> Result<bool, sqlx::Error> {
    const THERE: &str = "SELECT to_regclass('tombolo.dual_write_map') IS NOT NULL";
    let known = provider.has_maps();
    if known.load(Ordering::Relaxed) {
        return Ok(true);
    }
    let there: bool = sqlx::query_scalar(THERE).fetch_one(connection).await?;
    known.store(there, Ordering::Relaxed);
    Ok(there)
}

/// The first column of a map's row.
pub(crate) fn definition(row: &PgRow) -> Result<pb::MapSide, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get(0)?;
    pb::MapSide::decode(bytes.as_slice()).map_err(|it| sqlx::Error::Decode(it.into()))
}
