//! What was read about indexes, kept for a while: indexes change seldom, and a statement that counts on
//! one that is gone is slow, not wrong.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Indexes;

/// After this long the indexes of a table are read anew.
const LIFETIME: Duration = Duration::from_secs(300);

/// The indexes of tables that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    tables: Mutex<HashMap<(String, String), Known>>,
}

#[derive(Debug)]
struct Known {
    /// When somebody last went to read them.
    since: Instant,
    indexes: Option<Arc<Indexes>>,
}

impl Memory {
    /// What is known of a table, and whether the caller should go and read it.
    pub(crate) fn recall(&self, schema: &str, table: &str) -> (Option<Arc<Indexes>>, bool) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (known, wanted) = match tables.entry((schema.to_owned(), table.to_owned())) {
            Entry::Vacant(entry) => (entry.insert(Known { since: now, indexes: None }), true),
            Entry::Occupied(entry) => {
                let known = entry.into_mut();
                let is_old = now.duration_since(known.since) > LIFETIME;
                (known, is_old)
            }
        };
        if wanted {
            known.since = now;
        }
        (known.indexes.clone(), wanted)
    }

    pub(crate) fn remember(&self, schema: &str, table: &str, indexes: Indexes) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let known = Known { since: Instant::now(), indexes: Some(Arc::new(indexes)) };
        tables.insert((schema.to_owned(), table.to_owned()), known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asker_is_sent_and_the_others_are_told() {
        let memory = Memory::default();
        assert!(matches!(memory.recall("erp", "cust"), (None, true)));
        assert!(matches!(memory.recall("erp", "cust"), (None, false)));
        assert!(matches!(memory.recall("erp", "vend"), (None, true)));
        memory.remember("erp", "cust", Indexes::default());
        assert!(matches!(memory.recall("erp", "cust"), (Some(_), false)));
    }
}
