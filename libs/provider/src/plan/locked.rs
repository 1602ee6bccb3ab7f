//! Images of rows that are locked, and what is asked behind the locks.

use super::images::{ImageQuery, ImageStatement, Which, statement};
use super::{Argument, Arguments};
use crate::error::Error;
use crate::grant::Grants;

/// What is asked of a map behind the locks of rows: `tombolo.dual_write_look`.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) map: String,
    /// As of which snapshot it was looked at before.
    pub(crate) known: Option<String>,
    /// What a statement may take from then on, in milliseconds.
    pub(crate) patience: u128,
}

/// Images of rows whose part in the entity's root is locked until the transaction ends. Behind their flags is the
/// statement's snapshot, of which they are: what was waited for is not in it. Behind that comes what the look says, with
/// the first row; where there is none, in a row of its own.
pub(crate) fn lock_images<'q>(
    grants: &'q Grants<'q>,
    query: &ImageQuery<'q>,
    which: &Which<'q>,
    look: Option<Look>,
) -> Result<ImageStatement, Error> {
    let mut statement = statement(grants, query, which, None, ", pg_current_snapshot()::text")?;
    let binding = grants.root().shared_binding();
    if let Some(root) = binding.sources.first().filter(|it| it.has_version) {
        // In the order of ids, so that no two wait for each other.
        let place = statement.flags + 3;
        statement.sql =
            format!("{} ORDER BY 1, {place} FOR UPDATE OF {}", statement.sql, root.alias);
    }
    if let Some(look) = look {
        let asked = look.call(&mut statement.arguments, "counted.locks");
        statement.sql = format!(
            "WITH locked AS MATERIALIZED ({}) \
             SELECT locked.*, looked.since, looked.present, looked.waits, \
                 CASE WHEN row_number() OVER () = 1 THEN looked.definition END \
             FROM (SELECT count(*) AS locks FROM locked) AS counted \
             CROSS JOIN LATERAL {asked} AS looked LEFT JOIN locked ON true",
            statement.sql
        );
    }
    Ok(statement)
}

/// The look by itself: its columns, as behind locks.
pub(crate) fn look(look: Look) -> (String, Arguments) {
    let mut arguments = Arguments::default();
    let asked = look.call(&mut arguments, "0");
    (format!("SELECT since, present, waits, definition FROM {asked}"), arguments)
}

impl Look {
    fn call(self, arguments: &mut Arguments, locks: &str) -> String {
        let map = arguments.push(Argument::Text(self.map));
        // No snapshot is empty.
        let known = arguments.push(Argument::Text(self.known.unwrap_or_default()));
        let patience = arguments.push(Argument::Text(self.patience.to_string()));
        format!(
            "tombolo.dual_write_look({map}::text, nullif({known}::text, '')::pg_snapshot, \
             {patience}::text, {locks})"
        )
    }
}
