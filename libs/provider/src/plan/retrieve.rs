//! One row, and whether a key names one.

use proto::query::v1 as pb;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::scope::ROOT;
use super::{Guard, Planner, Statement, and, bounds, group};
use crate::binding::Binding;
use crate::error::Error;
use crate::grant::Grants;

/// Plans the retrieval of one row.
pub(crate) fn retrieve<'q>(
    grants: &'q Grants<'q>,
    request: &'q pb::RetrieveRequest,
) -> Result<Statement, Error> {
    bounds::check_tree(None, &request.links)?;
    bounds::check_columns(&request.columns)?;
    if request.columns.iter().any(group::is_computed) {
        return Err(Error::InvalidQuery("one row is not grouped".to_owned()));
    }
    let multiplies = |it: &pb::LinkEntity| {
        !matches!(it.join(), pb::JoinOperator::LeftOuter | pb::JoinOperator::MatchFirstRow)
    };
    if request.links.iter().any(multiplies) {
        return Err(Error::InvalidQuery("links to one row are outer ones".to_owned()));
    }
    let mut planner = Planner::new(grants, None);
    let key = request.key.as_ref().and_then(|it| it.key.as_ref()).ok_or(Error::Missing("key"))?;
    let mut predicate = planner.key(key)?;
    if let Some(policy) = planner.policy(ROOT) {
        predicate = and(Some(predicate), policy);
    }
    let alike = planner.alike(key, &predicate);
    planner.join_all(&request.links, ROOT)?;
    let shape = planner.select(&request.columns, &request.keys)?;
    let (columns, from) = (shape.list(false), planner.from(ROOT));
    let guard = alike.is_some().then_some(Guard { column: shape.columns.len(), limit: 1 });
    let alike = alike.map(|it| format!(", {it}")).unwrap_or_default();
    let sql = format!("SELECT {columns}{alike} FROM {from} WHERE {predicate} LIMIT 1");
    let statement = planner.statement(sql, shape, Vec::new(), 1)?;
    Ok(Statement { guard, ..statement })
}

/// Refuses a row that is only one of several with its key, by the guard of its statement.
pub(crate) fn check_sole(
    guard: Option<Guard>,
    row: &PgRow,
    binding: &Binding,
) -> Result<(), Error> {
    let Some(Guard { column, limit }) = guard else { return Ok(()) };
    let alike: i64 = row.try_get(column).map_err(Error::Row)?;
    if alike > limit { Err(not_unique(binding)) } else { Ok(()) }
}

/// Several rows have the entity's key.
fn not_unique(binding: &Binding) -> Error {
    Error::KeyNotUnique { columns: binding.key_fields().map(|it| it.name.clone()).collect() }
}

// === impl Planner ===

impl Planner<'_> {
    /// How many rows a predicate finds, where it is that of a key and may find several: counted to 2.
    ///
    /// A key of the model need not be one of the database: counting costs one more look into the index, and
    /// no statement.
    pub(super) fn alike(&self, key: &pb::record_key::Key, predicate: &str) -> Option<String> {
        match key {
            pb::record_key::Key::RecordId(_) => None,
            pb::record_key::Key::Alternate(_) => {
                let from = self.from(ROOT);
                let found = format!("SELECT 1 FROM {from} WHERE {predicate} LIMIT 2");
                Some(format!("(SELECT count(*) FROM ({found}) AS \"alike\")"))
            }
        }
    }
}
