//! What the provider learns about the database beside the queries it runs.

use std::sync::Arc;
use std::time::Duration;

use super::Provider;
use crate::indexes::{self, Indexes};
use crate::plan::{Argument, Arguments};

/// Reading the catalog takes longer only when something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

impl Provider {
    /// The indexes of a table, if they are known; if not, they will be soon. No query waits for them.
    pub(crate) fn known_indexes(&self, schema: &str, table: &str) -> Option<Arc<Indexes>> {
        let (known, wanted) = self.memory.recall(schema, table);
        if wanted {
            let (provider, schema, table) = (self.clone(), schema.to_owned(), table.to_owned());
            tokio::spawn(async move { provider.learn(&schema, &table).await });
        }
        known
    }

    /// Reads the indexes of a table.
    pub(crate) async fn learn(&self, schema: &str, table: &str) {
        let mut arguments = Arguments::default();
        arguments.push(Argument::Texts(vec![schema.to_owned()]));
        arguments.push(Argument::Texts(vec![table.to_owned()]));
        let read = self.fetch_text(table, indexes::READ, arguments);
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(json)) => {
                if let Some(indexes) = Indexes::parse(&json) {
                    self.memory.remember(schema, table, indexes);
                }
            }
            Ok(Err(error)) => tracing::warn!(table, %error, "indexes could not be read"),
            Err(_) => tracing::warn!(table, "indexes could not be read in time"),
        }
    }
}
