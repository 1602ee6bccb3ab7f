//! What rows have lost in conflicts that nobody has settled. Both sides may meet the same conflict, each in its own
//! words, and so does a replay that meets its end again: it is told once.

use std::collections::{BTreeSet, HashSet};

use prost::Message as _;
use proto::dual_write::v1 as pb;
use proto::query::v1::FieldValue;
use sqlx::PgConnection;

use super::{Failed, number};
use crate::error::Error;

/// Of one side of a map the last so many are known: as many as a side tells at a time.
const KNOWN: i64 = 1_000;

/// Losses that are told.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    known: HashSet<Loss>,
}

/// Lost values of a row. Values are compared by their bytes.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Loss {
    /// In the words of one side: its own id of the row.
    OfRecord { of: (String, i32), record_id: Vec<u8>, values: Vec<u8> },
    /// In the words of either: the row's key, and values without the names of their columns.
    OfKey { of: (String, i32), company: String, key: Vec<Vec<u8>>, values: Vec<Vec<u8>> },
}

// === impl Losses ===

impl Losses {
    /// Those of the maps and sides of these conflicts. Nobody else stores any until the transaction ends.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        conflicts: &[Failed],
    ) -> Result<Self, Error> {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext('dual_write'), hashtext('conflicts'))")
            .execute(&mut *connection)
            .await?;
        let of = conflicts.iter().map(|it| (it.row.map.as_str(), number(it.side as i32)));
        let (maps, sides): (Vec<&str>, Vec<i16>) = of.collect::<BTreeSet<_>>().into_iter().unzip();
        let stored: Vec<(String, i16, Vec<u8>)> = sqlx::query_as(
            "SELECT wanted.map, wanted.side, change
             FROM unnest($1::text[], $2::smallint[]) AS wanted (map, side)
             CROSS JOIN LATERAL (
                 SELECT change FROM failed_change AS f
                 WHERE f.map = wanted.map AND f.side = wanted.side
                   AND kind = 10 AND retry_state <> 3
                 ORDER BY id DESC LIMIT $3
             ) AS last",
        )
        .bind(maps)
        .bind(sides)
        .bind(KNOWN)
        .fetch_all(connection)
        .await?;
        let mut losses = Self::default();
        for (map, side, change) in stored {
            if let Ok(change) = pb::PendingChange::decode(change.as_slice()) {
                losses.known.extend(both(&(map, side.into()), &change));
            }
        }
        Ok(losses)
    }

    /// Whether it is told already; from now on it is.
    pub(crate) fn has(&mut self, lost: &Failed) -> bool {
        let of = (lost.row.map.clone(), lost.side as i32);
        let losses: Vec<Loss> = both(&of, &lost.change).collect();
        let is_known = losses.iter().any(|it| self.known.contains(it));
        self.known.extend(losses);
        is_known
    }
}

/// A loss in both ways in which it may be known.
fn both(of: &(String, i32), change: &pb::PendingChange) -> impl Iterator<Item = Loss> {
    let record = change.record.clone().unwrap_or_default();
    let values = |of: &[FieldValue]| -> Vec<Vec<u8>> {
        of.iter().map(|it| it.value.clone().unwrap_or_default().encode_to_vec()).collect()
    };
    let named = pb::PendingChange { after: change.after.clone(), ..Default::default() };
    let of_record = Loss::OfRecord {
        of: of.clone(),
        record_id: record.record_id.to_vec(),
        values: named.encode_to_vec(),
    };
    let of_key = (!record.key.is_empty()).then(|| Loss::OfKey {
        of: of.clone(),
        company: record.company.clone(),
        key: values(&record.key),
        values: values(&change.after),
    });
    std::iter::once(of_record).chain(of_key)
}
