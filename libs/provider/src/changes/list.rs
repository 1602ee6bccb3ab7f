//! Runs the statement, in a transaction in which the log stands still.

use std::collections::HashMap;

use change_log::{Cursor, Error as LogError, Window};
use proto::query::v1::EntityChange;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::statement::{self, ID, NoColumn, Types, Visibility, touched};
use crate::binding::{Binding, Casing, Identity};
use crate::error::Error;
use crate::grant::Grant;
use crate::ids::{hashed_guid, record_guid};
use crate::plan::{self, Argument, Arguments};

/// Why changes could not be listed.
#[derive(Debug)]
pub(crate) enum Failure {
    Log(LogError),
    Provider(Error),
    /// What cannot be captured until somebody does something about it.
    Unmet(String),
}

/// A page of changes.
pub(super) struct Changes {
    pub(super) changes: Vec<EntityChange>,
    /// Where the next page begins, if there is one.
    pub(super) next: Option<Cursor>,
}

const TYPES: &str = "
    SELECT wanted.index - 1, attname::text, format_type(atttypid, -1)
    FROM unnest($1::text[]) WITH ORDINALITY AS wanted(relation, index)
    JOIN pg_attribute ON attrelid = to_regclass(wanted.relation)
    WHERE attnum > 0 AND NOT attisdropped AND atttypid <> 'bytea'::regtype
    ORDER BY 1, attnum";

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Provider(error)
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// The entity's tables, as the log names them.
pub(crate) fn relations(binding: &Binding) -> Vec<String> {
    binding.sources.iter().map(|it| it.table.clone()).collect()
}

/// The rows that changed, behind `after`.
pub(super) async fn list(
    connection: &mut PgConnection,
    grant: &Grant,
    window: &Window,
    after: Cursor,
    limit: usize,
) -> Result<Changes, Failure> {
    let binding = grant.binding();
    let of = |error| Failure::Provider(Error::of(binding.name(), error));
    let (touched, mut arguments) = statement(connection, grant, window).await?;
    let (transaction, entry) = (arguments.int(after.transaction), arguments.int(after.entry));
    let most = arguments.int(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1));
    let seen = plan::seen(grant, ID, &mut arguments);
    let sql = format!("{touched}{}", statement::list(&seen, &transaction, &entry, &most));
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments.encode().map_err(of)?);
    let rows = query.fetch_all(connection).await.map_err(of)?;
    let mut page = Changes { changes: Vec::with_capacity(rows.len().min(limit)), next: None };
    let mut last = after;
    for row in &rows {
        use sqlx::Row as _;
        let unreadable = |error| Failure::Provider(Error::Row(error));
        if page.changes.len() == limit {
            page.next = Some(last);
            break;
        }
        let id: String = row.try_get(0).map_err(unreadable)?;
        last = Cursor {
            transaction: row.try_get(1).map_err(unreadable)?,
            entry: row.try_get(2).map_err(unreadable)?,
        };
        let no_id = || unreadable(sqlx::Error::Decode("a record id that is none".into()));
        let id = record_id(binding, &id).ok_or_else(no_id)?;
        page.changes.push(EntityChange {
            record_id: id.into_bytes().to_vec().into(),
            was_visible: row.try_get(3).map_err(unreadable)?,
        });
    }
    Ok(page)
}

/// How many rows changed.
pub(super) async fn count(
    connection: &mut PgConnection,
    grant: &Grant,
    window: &Window,
) -> Result<i64, Failure> {
    let of = |error| Failure::Provider(Error::of(grant.binding().name(), error));
    let (touched, mut arguments) = statement(connection, grant, window).await?;
    let counted = statement::count(&plan::seen(grant, ID, &mut arguments));
    let sql = format!("{touched}{counted}");
    let query = sqlx::query_scalar_with(AssertSqlSafe(sql), arguments.encode().map_err(of)?);
    query.fetch_one(connection).await.map_err(of)
}

async fn statement(
    connection: &mut PgConnection,
    grant: &Grant,
    window: &Window,
) -> Result<(String, Arguments), Failure> {
    let binding = grant.binding();
    let mismatch = |source| {
        Failure::Provider(Error::SchemaMismatch { entity: binding.name().to_owned(), source })
    };
    let types = types(connection, binding).await.map_err(mismatch)?;
    let mut arguments = Arguments::default();
    arguments.push(Argument::Text(window.after().snapshot()));
    arguments.push(Argument::Text(window.until().snapshot()));
    arguments.push(Argument::Texts(relations(binding)));
    arguments.push(Argument::Texts(allowed(grant)));
    let policies = grant.policies();
    let policy = policies.map(|it| (it.predicate(binding, &mut arguments), it.needs()));
    let visibility = Visibility {
        decisive: grant.restricted_field(),
        policy,
        // Every parameter is to have a type.
        anything: "(true OR $4::text[] IS NULL)",
    };
    let touched = touched(binding, &types, &visibility)
        .map_err(|NoColumn(name)| mismatch(sqlx::Error::ColumnNotFound(name)))?;
    Ok((touched, arguments))
}

/// In the letter case in which they are compared.
fn allowed(grant: &Grant) -> Vec<String> {
    let exact = grant.restricted_field().is_some_and(|it| it.casing == Casing::Exact);
    let allowed = grant.allowed().iter();
    allowed.map(|it| if exact { it.clone() } else { it.to_lowercase() }).collect()
}

async fn types(connection: &mut PgConnection, binding: &Binding) -> Result<Types, sqlx::Error> {
    let query = sqlx::query_as(TYPES).bind(relations(binding));
    let rows: Vec<(i64, String, String)> = query.fetch_all(connection).await?;
    let mut types: Types = HashMap::new();
    for (index, name, r#type) in rows {
        types.entry(usize::try_from(index).unwrap_or_default()).or_default().push((name, r#type));
    }
    Ok(types)
}

pub(crate) fn record_id(binding: &Binding, text: &str) -> Option<Uuid> {
    match &binding.identity {
        Identity::Integer { .. } => Some(record_guid(binding.entity_id, text.parse().ok()?)),
        Identity::Uuid { .. } => text.parse().ok(),
        Identity::Hash { .. } => hashed_guid(binding.entity_id, text),
    }
}
