//! The accrual table.

use sqlx::PgConnection;

use crate::accruals::{Accrual, ProductKind};
use crate::error::Error;
use crate::pool::Amounts;

/// A row, and which version of it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) accrual: Accrual,
    pub(crate) version: i64,
}

type Row = (String, String, i16, Vec<i64>, Vec<i64>, bool, String, i64);

/// Takes over the rows of this release; an administrator's rows stay.
pub(crate) async fn import(
    connection: &mut PgConnection,
    accruals: &[Accrual],
) -> Result<(), Error> {
    for it in accruals {
        let imported = put(connection, it, false).await?;
        if !imported {
            tracing::debug!(accrual = it.id, "the accrual is an administrator's, and stays");
        }
    }
    Ok(())
}

/// Writes a row; answers whether it did. What comes with a release replaces no administrator's row, and
/// touches no row that says the same.
pub(crate) async fn put(
    connection: &mut PgConnection,
    it: &Accrual,
    administered: bool,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO accrual AS known (id, display_name, kind, tenant_amounts, unit_amounts,
             permits_setup, source, administered)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET
             display_name = excluded.display_name, kind = excluded.kind,
             tenant_amounts = excluded.tenant_amounts, unit_amounts = excluded.unit_amounts,
             permits_setup = excluded.permits_setup, source = excluded.source,
             administered = excluded.administered, version = known.version + 1
         WHERE excluded.administered OR NOT known.administered
             AND (known.display_name, known.kind, known.tenant_amounts, known.unit_amounts,
                 known.permits_setup, known.source)
             IS DISTINCT FROM (excluded.display_name, excluded.kind, excluded.tenant_amounts,
                 excluded.unit_amounts, excluded.permits_setup, excluded.source)",
    )
    .bind(&it.id)
    .bind(&it.display_name)
    .bind(it.kind.number())
    .bind(it.tenant_amounts.to_vec())
    .bind(it.unit_amounts.to_vec())
    .bind(it.permits_setup)
    .bind(&it.source)
    .bind(administered)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// In the order of ids.
pub(crate) async fn list(
    connection: &mut PgConnection,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, display_name, kind, tenant_amounts, unit_amounts, permits_setup, source, version
         FROM accrual WHERE id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after.unwrap_or_default())
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(stored).collect()
}

/// One row, and nobody changes it before this transaction ends.
pub(crate) async fn lock(connection: &mut PgConnection, id: &str) -> Result<Option<Stored>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, display_name, kind, tenant_amounts, unit_amounts, permits_setup, source, version
         FROM accrual WHERE id = $1 FOR UPDATE",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    row.map(stored).transpose()
}

pub(crate) async fn get(connection: &mut PgConnection, id: &str) -> Result<Option<Stored>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, display_name, kind, tenant_amounts, unit_amounts, permits_setup, source, version
         FROM accrual WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    row.map(stored).transpose()
}

/// Products of which the user holds a licence inside its term; without a user, those that the tenant
/// has bought.
pub(crate) async fn held(
    connection: &mut PgConnection,
    user_key: Option<&str>,
) -> Result<Vec<Stored>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, display_name, kind, tenant_amounts, unit_amounts, permits_setup, source, version
         FROM accrual WHERE EXISTS (
             SELECT FROM licence WHERE licence.accrual = accrual.id
                 AND start_time <= now() AND (end_time IS NULL OR now() < end_time)
                 AND ($1::text IS NULL OR EXISTS (
                     SELECT FROM assignment
                     WHERE assignment.licence = licence.id AND user_key = $1)))
         ORDER BY id",
    )
    .bind(user_key)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(stored).collect()
}

/// How many licences there are of each of these products: what the user holds, or the tenant has bought.
pub(crate) async fn quantities(
    connection: &mut PgConnection,
    user_key: Option<&str>,
    ids: &[String],
) -> Result<Vec<i64>, Error> {
    let quantities = sqlx::query_scalar(
        "SELECT coalesce(sum(CASE WHEN $1::text IS NULL THEN quantity ELSE (
                     SELECT count(*) FROM assignment
                     WHERE assignment.licence = licence.id AND user_key = $1) END), 0)::bigint
         FROM unnest($2::text[]) WITH ORDINALITY AS product (id, position)
         LEFT JOIN licence ON licence.accrual = product.id
             AND start_time <= now() AND (end_time IS NULL OR now() < end_time)
         GROUP BY position ORDER BY position",
    )
    .bind(user_key)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(quantities)
}

fn stored(row: Row) -> Result<Stored, Error> {
    let (id, display_name, kind, tenant, unit, permits_setup, source, version) = row;
    let kind = ProductKind::of_number(kind)
        .ok_or_else(|| Error::Stored(format!("accrual `{id}` is of kind {kind}")))?;
    let (tenant_amounts, unit_amounts) = (Amounts::try_from(tenant)?, Amounts::try_from(unit)?);
    let accrual =
        Accrual { id, display_name, kind, tenant_amounts, unit_amounts, permits_setup, source };
    Ok(Stored { accrual, version })
}
