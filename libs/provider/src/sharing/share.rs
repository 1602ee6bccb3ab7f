//! What a transaction has changed so far, for the other side to follow in the same commit.

use std::collections::{BTreeMap, BTreeSet};

use proto::query::v1 as pb;
use sqlx::postgres::PgConnection;

use super::entries::{Columns, Entries};
use super::map::Map;
use super::maps::{self, Live};
use super::own;
use super::rights::Unrestricted;
use super::rows::{self, Changed};
use crate::error::Error;
use crate::plan::{Argument, Arguments};
use crate::provider::Provider;
use crate::write::Session;

/// The transaction's own changes behind an entry; and the last of these.
pub(crate) async fn share(
    session: &mut Session<'_>,
    link: &str,
    after: i64,
) -> Result<(Vec<pb::SharedRow>, i64), Error> {
    if !maps::are_there(session.connection, session.provider).await.map_err(Error::database)? {
        return Ok((Vec::new(), after));
    }
    let live = maps::live(session.connection, link, after).await.map_err(Error::database)?;
    if live.is_empty() {
        return Ok((Vec::new(), after));
    }
    let rights = Unrestricted(session.authority);
    let (mut found, mut last) = (Vec::new(), after);
    for Live { side, up_to, entries: own } in live {
        last = last.max(up_to);
        let map = Map::compile(&rights, side)?;
        let entries = own_entries(&map, after);
        let connection = &mut *session.connection;
        let (touched, columns) = match own::touched(&map.binding, &own) {
            Some(touched) => (touched, None),
            None => {
                let columns = Columns::of(connection, &map).await?;
                let touched = entries.touched(connection, &map, &columns, None).await?;
                (touched, Some(columns))
            }
        };
        let source = (&entries, columns.as_ref());
        let changed = rows::changed(connection, &rights, &map, source, touched).await?;
        found.push((map, changed));
    }
    Ok((in_order(found), last))
}

/// SQL that fails where the transaction has changed something that [`share`] would still answer for the link; nothing
/// where no link is named.
pub(crate) async fn nothing_left(
    connection: &mut PgConnection,
    provider: &Provider,
    link: &str,
) -> Result<String, Error> {
    if link.is_empty() || !maps::are_there(connection, provider).await.map_err(Error::database)? {
        return Ok(String::new());
    }
    // Several statements in one message take no arguments: as digits it is itself, whatever is in it.
    let digits: String = link.bytes().map(|it| format!("{it:02x}")).collect();
    Ok(format!(
        "SELECT tombolo.dual_write_nothing_left(convert_from(decode('{digits}', 'hex'), 'UTF8'))"
    ))
}

/// What it means that a transaction did not end behind [`nothing_left`].
pub(crate) fn of_end(error: commit::Error) -> Error {
    /// As `tombolo.dual_write_nothing_left` says it.
    const LEFT: &str = "TBS01";
    match error {
        commit::Error::Database(cause)
            if cause.as_database_error().and_then(|it| it.code()).is_some_and(|it| it == LEFT) =>
        {
            Error::Unshared
        }
        other => other.into(),
    }
}

fn own_entries(map: &Map, after: i64) -> Entries {
    let mut arguments = Arguments::default();
    let relations = arguments.push(Argument::Texts(map.relations()));
    let after = arguments.int(after);
    let condition = format!(
        "relation = ANY({relations}::text[]) AND xid = pg_current_xact_id_if_assigned() \
         AND origin IS NULL AND seq > {after}::bigint"
    );
    Entries { condition, arguments }
}

/// Parents before children; what is gone last, children first.
fn in_order(found: Vec<(Map, Vec<Changed>)>) -> Vec<pb::SharedRow> {
    let ranks = ranks(&found);
    let mut rows: Vec<(usize, i64, pb::SharedRow)> = Vec::new();
    for (map, changed) in found {
        let rank = ranks.get(map.binding.name()).copied().unwrap_or_default();
        rows.extend(changed.into_iter().map(|it| (rank, it.touched.first, it.row)));
    }
    rows.sort_by_key(|it| (it.0, it.1));
    let is_gone = |it: &(usize, i64, pb::SharedRow)| it.2.kind() == pb::SharedKind::Deleted;
    let (gone, mut kept): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_gone);
    kept.extend(gone.into_iter().rev());
    kept.into_iter().map(|it| it.2).collect()
}

/// How far each entity is from those that refer to none of the others.
fn ranks(found: &[(Map, Vec<Changed>)]) -> BTreeMap<String, usize> {
    let mut entities: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (map, _) in found {
        let targets = map.targets.iter().map(String::as_str);
        entities.entry(map.binding.name()).or_default().extend(targets);
    }
    let mut ranks: BTreeMap<String, usize> =
        entities.keys().map(|it| ((*it).to_owned(), 0)).collect();
    // Where they refer to each other in a circle there is no order; it ends all the same.
    for _ in 0..entities.len() {
        let mut is_settled = true;
        for (entity, targets) in &entities {
            let others = targets.iter().filter(|it| *it != entity);
            let above = others.filter_map(|it| ranks.get(*it)).max().map_or(0, |it| it + 1);
            let rank = ranks.entry((*entity).to_owned()).or_default();
            if *rank < above && above <= entities.len() {
                *rank = above;
                is_settled = false;
            }
        }
        if is_settled {
            break;
        }
    }
    ranks
}
