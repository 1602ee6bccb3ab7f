//! Statements of actions: the lock on the row that one runs on, and the call of a function.

use proto::query::v1 as pb;
use rpc::Caller;

use super::acting::settings;
use super::argument::{Argument, Arguments};
use super::scope::ROOT;
use super::{Planner, Statement, retrieve};
use crate::binding::Identity;
use crate::error::Error;
use crate::grant::Grants;

/// A function to be called, and what it is given besides the columns of a record id.
pub(crate) struct Call<'a> {
    /// Quoted.
    pub(crate) function: &'a str,
    /// Whose work it does.
    pub(crate) caller: &'a Caller,
    /// Values and their SQL types, which tell functions of the same name apart. None is null.
    pub(crate) arguments: Vec<(Option<Argument>, &'static str)>,
    /// The SQL type of what it returns, if that is wanted.
    pub(crate) result: Option<&'static str>,
}

/// Plans the reading of one row that nobody else changes until the transaction ends.
pub(crate) fn lock<'q>(
    grants: &'q Grants<'q>,
    request: &'q pb::RetrieveRequest,
) -> Result<Statement, Error> {
    let statement = retrieve(grants, request)?;
    let binding = grants.root().binding();
    let root = binding.sources.first().ok_or(Error::Missing("source"))?;
    let sql = format!("{} FOR UPDATE OF {}", statement.sql, root.alias);
    Ok(Statement { sql, ..statement })
}

/// Plans the call of a function, on the row of the key where there is one. Its result is read as text.
pub(crate) fn call<'q>(
    grants: &'q Grants<'q>,
    key: Option<&'q pb::RecordKey>,
    call: Call<'_>,
) -> Result<(String, Arguments), Error> {
    let mut planner = Planner::new(grants, None);
    let acting = settings(call.caller, "", &mut planner.arguments);
    let binding = planner.root();
    let mut arguments = Vec::new();
    if key.is_some() {
        match &binding.identity {
            Identity::Integer { column } | Identity::Uuid { column } => {
                arguments.push(column.clone());
            }
            Identity::Hash { columns, .. } => arguments.extend_from_slice(columns),
        }
    }
    for (value, sql_type) in call.arguments {
        arguments.push(match value {
            Some(value) => format!("{}::{sql_type}", planner.arguments.push(value)),
            None => format!("NULL::{sql_type}"),
        });
    }
    // Functions of sets cannot stand within COALESCE, and are no actions.
    let called = format!("COALESCE({}({}))", call.function, arguments.join(", "));
    let result = match call.result {
        Some(sql_type) => format!("{called}::{sql_type}::text"),
        None => format!("{called} IS NULL"),
    };
    // The FROM clause is done before the function is called, so the function knows its user.
    let mut sql = format!(
        "WITH \"acting user\" AS MATERIALIZED (SELECT {acting}) SELECT {result} FROM \"acting user\""
    );
    if let Some(key) = key {
        let key = key.key.as_ref().ok_or(Error::Missing("key"))?;
        let mut predicate = planner.key(key)?;
        if let Some(policy) = planner.policy(ROOT) {
            predicate = format!("{predicate} AND {policy}");
        }
        sql = format!("{sql} CROSS JOIN {} WHERE {predicate}", planner.from(ROOT));
    }
    Ok((sql, planner.arguments))
}
