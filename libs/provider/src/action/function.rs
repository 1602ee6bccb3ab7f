//! Actions that are functions of the database.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use sqlx::AssertSqlSafe;
use sqlx::Row as _;
use sqlx::postgres::PgDatabaseError;

use super::definition::ValueType;
use super::parameters;
use super::{Refusal, Run};
use crate::error::Error;
use crate::plan::{self, Call};
use crate::transaction::Transaction;

/// Calls the function in the transaction, which tells it whose work it does.
pub(super) async fn call(
    transaction: &mut Transaction,
    run: Run<'_>,
    function: &str,
) -> Result<Option<pb::Value>, Error> {
    let Run { action, .. } = run;
    let entity = run.grants.root().binding().name();
    let typed = action.parameters.iter().zip(&run.parameters).map(|(parameter, value)| {
        let value_type = parameter.value_type;
        (value.as_ref().and_then(|it| parameters::argument(value_type, it)), value_type.sql())
    });
    let call = Call {
        function,
        caller: transaction.caller(),
        arguments: typed.collect(),
        result: action.result.map(ValueType::sql),
    };
    let key = run.row.as_ref().map(|it| &it.key);
    let (sql, arguments) = plan::call(run.grants, key, call)?;
    let of = |error| Error::of(entity, error);
    let arguments = arguments.encode().map_err(of)?;
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
    let connection = transaction.connection().map_err(of)?;
    let row = query.fetch_optional(connection).await;
    let row = row.map_err(|error| sorted(entity, &action.name, error))?;
    let row = row.ok_or(Error::RecordNotFound)?;
    let Some(value_type) = action.result else { return Ok(None) };
    let text: Option<String> = row.try_get(0).map_err(Error::Row)?;
    let kind = match text {
        None => Kind::NullValue(pb::NullMarker {}),
        Some(text) => parameters::parse(value_type, &text).ok_or_else(|| Refusal::Result {
            action: action.name.clone(),
            expected: value_type.expected(),
        })?,
    };
    Ok(Some(pb::Value { kind: Some(kind) }))
}

/// By what the caller can do about it. Only what the function says on purpose is told.
fn sorted(entity: &str, action: &str, error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|it| it.code()).unwrap_or_default();
    // Whatever its code says, but for conflicts, which are for us to settle.
    let raised = error.as_database_error().filter(|it| {
        let postgres = it.try_downcast_ref::<PgDatabaseError>();
        let by_statement = postgres.is_some_and(|it| it.routine() == Some("exec_stmt_raise"));
        by_statement && !code.starts_with("40")
    });
    if let Some(raised) = raised {
        return Refusal::Rule(raised.message().to_owned()).into();
    }
    let action = action.to_owned();
    match code.as_ref() {
        // No such function, several, a procedure, one of sets, or one of another result.
        "42883" | "42725" | "42809" | "0A000" | "42846" | "42P01" | "42703" | "3F000" => {
            Refusal::Function { action, source: error }.into()
        }
        code if code.starts_with("23") || code.starts_with("22") => {
            tracing::info!(entity, action, %error, "an action was given up by the database");
            let why = match code.starts_with("23") {
                true => "It would break a rule of the database.",
                false => "A value is out of the range of what it can compute with.",
            };
            Refusal::Rule(format!("The action '{action}' was not done: {why}")).into()
        }
        _ => Error::of(entity, error),
    }
}
