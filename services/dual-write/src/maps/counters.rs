//! Counts of rows, kept here for a second so that the live path writes nothing for them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use proto::dual_write::v1::Side;

use crate::error::Error;
use crate::store::{self, Store};

/// What has not been written down.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<HashMap<(String, Side), i64>>);

impl Counters {
    pub(super) fn add(&self, map: &str, target: Side, rows: u64) {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((map.to_owned(), target)).or_default();
        *count = count.saturating_add(rows);
    }

    /// Writes all of it down; what cannot be written is kept.
    pub(super) async fn flush(&self, store: &Store) -> Result<(), Error> {
        let mut taken: Vec<_> = {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            counts.drain().collect()
        };
        // Two processes write the same rows: in one order.
        taken.sort_unstable_by(|a, b| a.0.0.cmp(&b.0.0).then((a.0.1 as i32).cmp(&(b.0.1 as i32))));
        if taken.is_empty() {
            return Ok(());
        }
        let written = write(store, &taken).await;
        if written.is_err() {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, rows) in taken {
                let count = counts.entry(key).or_default();
                *count = count.saturating_add(rows);
            }
        }
        written
    }
}

async fn write(store: &Store, counts: &[((String, Side), i64)]) -> Result<(), Error> {
    let mut transaction = store.begin().await?;
    for ((map, target), rows) in counts {
        store::reports::add(&mut transaction, map, *target, *rows).await?;
    }
    Ok(transaction.commit().await?)
}
