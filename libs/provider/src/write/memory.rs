//! Descriptions of tables, kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::table::Table;

/// After this long a table is described anew.
const LIFETIME: Duration = Duration::from_secs(300);

/// Tables by schema and name.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    known: Mutex<HashMap<(String, String), Known>>,
}

#[derive(Debug)]
struct Known {
    since: Instant,
    table: Arc<Table>,
}

impl Tables {
    pub(super) fn recall(&self, schema: &str, name: &str) -> Option<Arc<Table>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let it = known.get(&(schema.to_owned(), name.to_owned()))?;
        (it.since.elapsed() < LIFETIME).then(|| Arc::clone(&it.table))
    }

    pub(super) fn remember(&self, table: Table) -> Arc<Table> {
        let (name, table) = ((table.schema.clone(), table.name.clone()), Arc::new(table));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name, Known { since: Instant::now(), table: Arc::clone(&table) });
        table
    }

    /// The database is not what it was.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
