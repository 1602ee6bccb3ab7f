//! Rows of `operation_hold`: what an operation keeps others from changing, with all that is below it.
//!
//! Names are a tree: an add-in's is below its environment's. Whoever holds, or looks for holds, first locks
//! the trees that it is about until its transaction ends, before any other row of the environments: so of
//! several that want what overlaps, the first gets it and the others see that.

use proto::lifecycle::v1::{OperationKind, OperationState};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::operation::{COLUMNS, Operation};
use crate::error::Error;
use crate::words::Word as _;

/// What an operation that is about to hold something makes of operations that hold what is below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Below {
    /// They are in its way.
    Refuses,
    /// It gives them up itself, and waits for them.
    Ends,
}

impl Below {
    /// Of an operation of this kind.
    pub(crate) fn of(kind: OperationKind) -> Self {
        match kind {
            OperationKind::DeleteEnvironment => Self::Ends,
            _ => Self::Refuses,
        }
    }
}

/// Of several trees, so that nobody else holds or lets go anything there until the transaction ends.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    targets: &[String],
) -> Result<(), sqlx::Error> {
    let mut roots: Vec<&str> = targets.iter().map(|it| root(it)).collect();
    // In one order, so that two never wait for each other.
    roots.sort_unstable();
    roots.dedup();
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('lifecycle.hold.' || $1, 0))";
    for root in roots {
        sqlx::query(lock).bind(root).execute(&mut *connection).await?;
    }
    Ok(())
}

/// `platformEnvironments/6f1c…` of whatever is below it.
fn root(target: &str) -> &str {
    let end = target.match_indices('/').nth(1).map_or(target.len(), |it| it.0);
    target.get(..end).unwrap_or(target)
}

/// Holds these, unless another operation holds one of them, what it is below of, or what is below it.
pub(crate) async fn take(
    connection: &mut PgConnection,
    operation: Uuid,
    targets: &[String],
    below: Below,
) -> Result<(), Error> {
    lock(connection, targets).await?;
    let insert = "INSERT INTO operation_hold (target, operation) VALUES ($1, $2)
                  ON CONFLICT (target) DO NOTHING";
    for target in targets {
        refuse_if_held(connection, target, Some(operation), below).await?;
        sqlx::query(insert).bind(target).bind(operation).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Refused while an operation holds the target, or what it is below of; after [`lock`].
pub(crate) async fn refuse_held(connection: &mut PgConnection, target: &str) -> Result<(), Error> {
    refuse_if_held(connection, target, None, Below::Refuses).await
}

/// The trees of what an operation holds: before its row is locked.
pub(crate) async fn lock_of(
    connection: &mut PgConnection,
    operation: Uuid,
) -> Result<(), sqlx::Error> {
    let held = held_by(connection, operation).await?;
    lock(connection, &held).await
}

/// An operation goes on that stood still: refused while another one that began meanwhile is in its way; after
/// [`lock_of`].
pub(crate) async fn refuse_overtaken(
    connection: &mut PgConnection,
    operation: &Operation,
) -> Result<(), Error> {
    let (id, below) = (Some(operation.id), Below::of(operation.kind));
    for target in held_by(connection, operation.id).await? {
        refuse_if_held(connection, &target, id, below).await?;
    }
    Ok(())
}

async fn held_by(
    connection: &mut PgConnection,
    operation: Uuid,
) -> Result<Vec<String>, sqlx::Error> {
    let held = "SELECT target FROM operation_hold WHERE operation = $1 ORDER BY target";
    sqlx::query_scalar(held).bind(operation).fetch_all(connection).await
}

async fn refuse_if_held(
    connection: &mut PgConnection,
    target: &str,
    operation: Option<Uuid>,
    below: Below,
) -> Result<(), Error> {
    match in_the_way(connection, target, operation, below).await? {
        None => Ok(()),
        Some((held, other)) => Err(refusal(target, &held, &other)),
    }
}

/// An operation other than this one that keeps the target from being changed, and what it holds. A setup that
/// failed at dual-write leaves all that add-ins need: what is below its environments goes on (spec §1.3).
async fn in_the_way(
    connection: &mut PgConnection,
    target: &str,
    operation: Option<Uuid>,
    below: Below,
) -> Result<Option<(String, Operation)>, sqlx::Error> {
    let sql = "
        SELECT h.target, h.operation FROM operation_hold h JOIN operation o ON o.id = h.operation
        WHERE ($2::uuid IS NULL OR h.operation <> $2)
          AND (h.target = $1
               OR $3 AND starts_with(h.target, $1 || '/')
               OR starts_with($1, h.target || '/')
                  AND NOT (o.kind = 'setup' AND o.state = 'failed' AND EXISTS (
                      SELECT FROM operation_stage s WHERE s.operation = o.id
                      AND s.stage = 'dual_write_platform_setup' AND s.state = 'failed')))
        ORDER BY length(h.target), h.target LIMIT 1";
    let found: Option<(String, Uuid)> = sqlx::query_as(sql)
        .bind(target)
        .bind(operation)
        .bind(below == Below::Refuses)
        .fetch_optional(&mut *connection)
        .await?;
    let Some((held, id)) = found else { return Ok(None) };
    let found = super::operation::find(connection, id).await?;
    Ok(found.map(|it| (held, it)))
}

fn refusal(target: &str, held: &str, other: &Operation) -> Error {
    let (name, kind) = (other.name(), other.kind.word().replace('_', " "));
    let waits = match other.state {
        OperationState::Failed => " It waits to be resumed or cancelled.",
        _ => "",
    };
    Error::InvalidState {
        resource: target.to_owned(),
        state: name.clone(),
        message: format!("`{held}` is being changed by `{name}` ({kind}).{waits}"),
    }
}

/// Lets others change a target that this operation holds: only for who begins an operation that takes over.
pub(crate) async fn let_go(
    connection: &mut PgConnection,
    operation: Uuid,
    target: &str,
) -> Result<(), sqlx::Error> {
    let delete = "DELETE FROM operation_hold WHERE target = $2 AND operation = $1";
    sqlx::query(delete).bind(operation).bind(target).execute(connection).await?;
    Ok(())
}

/// The operation that holds just this target.
pub(crate) async fn holder(
    connection: &mut PgConnection,
    target: &str,
) -> Result<Option<Operation>, sqlx::Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM operation WHERE id = (SELECT operation FROM operation_hold WHERE target = $1)"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(target).fetch_optional(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_an_environment_is_of_its_tree() {
        for name in ["links/a", "links/a/b", "links/a/b/c"] {
            assert_eq!(root(name), "links/a");
        }
        assert_eq!(root("links"), "links");
    }
}
