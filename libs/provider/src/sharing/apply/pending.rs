//! Changes of this side that the other has not heard of, where both have changed a row.

use std::collections::{HashMap, HashSet};

use prost::Message as _;
use proto::query::v1 as pb;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::error::Error;
use crate::plan::{Argument, Arguments};
use crate::sharing::entries::{Columns, Entries};
use crate::sharing::map::Map;
use crate::sharing::maps;
use crate::sharing::rights::Unrestricted;
use crate::write::Session;

/// What entries wait of a map, for its follower: neither applied nor shared before their commit, and behind what
/// was acknowledged, or what was looked at before. `$1` is the map, `$2` its relations, `$3` the snapshot.
const WAITING: &str = "
    relation = ANY($2::text[]) AND origin IS NULL
    AND xid >= pg_snapshot_xmin($3::text::pg_snapshot)
    AND NOT pg_visible_in_snapshot(xid, $3::text::pg_snapshot)
    AND NOT EXISTS (
        SELECT FROM tombolo.dual_write_shared AS shared
        WHERE shared.xid = change_log.xid AND shared.map = $1 AND seq <= up_to
    )";

/// Behind what the other side has acknowledged, and the present.
const SNAPSHOTS: &str = "
    SELECT acknowledged_snapshot::text, pg_current_snapshot()::text
    FROM tombolo.dual_write_map WHERE map = $1";

/// Changed columns of rows, by their tables.
pub(super) type Pending = HashMap<Uuid, HashSet<(String, String)>>;

/// What one conflict is about.
#[derive(Debug, Default)]
pub(super) struct Conflict {
    pub(super) winner: Vec<pb::FieldValue>,
    pub(super) loser: Vec<pb::FieldValue>,
}

/// What waits, by map. All of it is looked for once in a step, and then only what came since: a row that is
/// locked later may have been changed in between.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    maps: HashMap<String, Option<Known>>,
}

#[derive(Debug)]
struct Known {
    map: Map,
    /// What is visible in it is known. `None` where nobody follows yet.
    seen: Option<String>,
    pending: Pending,
}

// === impl Waiting ===

impl Waiting {
    /// What waits of these rows. `None` where the map is not configured here.
    pub(super) async fn of(
        &mut self,
        session: &mut Session<'_>,
        map: &str,
        ids: &[Uuid],
    ) -> Result<Option<Pending>, Error> {
        if !self.maps.contains_key(map) {
            let known = Known::find(session, map).await?;
            self.maps.insert(map.to_owned(), known);
        }
        let Some(Some(known)) = self.maps.get_mut(map) else { return Ok(None) };
        if !ids.is_empty() {
            known.catch_up(session).await?;
        }
        let pending = ids.iter().filter_map(|it| Some((*it, known.pending.get(it)?.clone())));
        Ok(Some(pending.collect()))
    }
}

// === impl Known ===

impl Known {
    async fn find(session: &mut Session<'_>, map: &str) -> Result<Option<Self>, Error> {
        if !maps::are_there(session.connection, session.provider).await.map_err(Error::database)? {
            return Ok(None);
        }
        let side = maps::find(session.connection, map).await.map_err(Error::database)?;
        let Some(side) = side else { return Ok(None) };
        let map = Map::compile(&Unrestricted(session.authority), side)?;
        Ok(Some(Self { map, seen: None, pending: Pending::new() }))
    }

    async fn catch_up(&mut self, session: &mut Session<'_>) -> Result<(), Error> {
        let name = self.map.side.map.as_str();
        let query = sqlx::query_as(SNAPSHOTS).bind(name);
        let snapshots = query.fetch_optional(&mut *session.connection).await;
        let Some((acknowledged, now)) = snapshots.map_err(Error::database)? else { return Ok(()) };
        let (acknowledged, now): (Option<String>, String) = (acknowledged, now);
        let Some(behind) = self.seen.take().or(acknowledged) else { return Ok(()) };
        self.seen = Some(now);
        let relations = self.map.relations();
        let sql = format!("SELECT EXISTS (SELECT FROM tombolo.change_log WHERE {WAITING})");
        let any = sqlx::query_scalar(AssertSqlSafe(sql)).bind(name).bind(&relations).bind(&behind);
        let any: bool = any.fetch_one(&mut *session.connection).await.map_err(Error::database)?;
        if !any {
            return Ok(());
        }
        let mut arguments = Arguments::default();
        arguments.push(Argument::Text(name.to_owned()));
        arguments.push(Argument::Texts(relations));
        arguments.push(Argument::Text(behind));
        let entries = Entries { condition: WAITING.to_owned(), arguments };
        let columns = Columns::of(session.connection, &self.map).await?;
        for it in entries.touched(session.connection, &self.map, &columns, None).await? {
            self.pending.entry(it.id).or_default().extend(it.columns);
        }
        Ok(())
    }
}

/// Keeps what lost, for somebody to look at.
pub(super) async fn keep(
    session: &mut Session<'_>,
    map: &str,
    id: Uuid,
    conflict: Conflict,
    incoming_won: bool,
) -> Result<(), Error> {
    const KEEP: &str = "
        INSERT INTO tombolo.dual_write_conflict (map, record_id, winner, loser, incoming_won)
        VALUES ($1, $2, $3, $4, $5)";
    let bytes = |values| pb::AlternateKeyValues { values }.encode_to_vec();
    let (winner, loser) = (bytes(conflict.winner), bytes(conflict.loser));
    let query = sqlx::query(KEEP).bind(map).bind(id).bind(winner).bind(loser).bind(incoming_won);
    query.execute(&mut *session.connection).await.map_err(Error::database)?;
    Ok(())
}
