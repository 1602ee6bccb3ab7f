//! Actions of the model: each has its function, and the functions keep the ERP's rules.

use std::path::Path;

use anyhow::{Context, Result};
use model::{Action, ActionBinding, Implementation, ValueType};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::business_rules::FIXTURE;
use crate::postgres::Postgres;

#[tokio::test]
async fn every_action_has_its_function() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    demo_erp::create(&mut connection, 10, |_, _, _| {}).await?;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
    let model = model::load(&dir).unwrap_or_else(|error| panic!("{error}"));
    let actions: Vec<_> = model.entities.iter().flat_map(|it| &it.actions).collect();
    for binding in [ActionBinding::Row, ActionBinding::Entity, ActionBinding::None] {
        assert!(actions.iter().any(|it| it.binding == binding), "{binding:?}");
    }
    for action in actions {
        check_function(&mut connection, action).await.with_context(|| action.name.clone())?;
    }
    Ok(())
}

/// By the names that PostgreSQL has for the types of its arguments and of its result.
async fn check_function(connection: &mut PgConnection, action: &Action) -> Result<()> {
    let Implementation::Function { schema, name } = &action.implementation else { return Ok(()) };
    let signature: (String, String) = sqlx::query_as(
        "SELECT oidvectortypes(p.proargtypes), format_type(p.prorettype, NULL)
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname = $1 AND p.proname = $2",
    )
    .bind(schema)
    .bind(name)
    .fetch_one(connection)
    .await?;
    // Every entity of the demo ERP is identified by one bigint.
    let of_row = (action.binding == ActionBinding::Row).then_some("bigint");
    let arguments: Vec<_> =
        of_row.into_iter().chain(action.parameters.iter().map(|it| sql(it.value_type))).collect();
    let result = action.returns.map_or("void", sql);
    assert_eq!(signature, (arguments.join(", "), result.to_owned()), "{}", action.name);
    Ok(())
}

fn sql(it: ValueType) -> &'static str {
    match it {
        ValueType::String | ValueType::Memo => "text",
        ValueType::Integer => "integer",
        ValueType::Long => "bigint",
        ValueType::Decimal => "numeric",
        ValueType::Boolean => "boolean",
        ValueType::Date => "date",
        ValueType::DateTime => "timestamp with time zone",
        ValueType::Guid => "uuid",
    }
}

/// What runs; what it says, or what the rows then are.
const OUTCOMES: &[(&str, &str, &str)] = &[
    (
        "SELECT set_config('tombolo.user', 'ada', true);
         SELECT erp.hold_customer(recid, 'Bad cheque') FROM erp.custtable WHERE accountnum = 'TEST'",
        "SELECT blocked || substr(memo, 17) FROM erp.custtable WHERE accountnum = 'TEST'",
        "2 ada: put on hold: Bad cheque",
    ),
    (
        "UPDATE erp.custtable SET blocked = 1, memo = 'Old' WHERE accountnum = 'TEST'",
        "SELECT erp.release_customer(recid) || ' ' || erp.release_customer(recid)
         FROM erp.custtable WHERE accountnum = 'TEST'",
        "true false",
    ),
    (
        "SELECT erp.confirm_sales_order(recid, '2030-05-17') FROM erp.salestable WHERE salesid = 'T-1'",
        "SELECT string_agg(DISTINCT it::text, ' ') FROM (
             SELECT shippingdaterequested FROM erp.salestable WHERE salesid = 'T-1' UNION ALL
             SELECT shippingdaterequested FROM erp.salesline WHERE salesid = 'T-1') days (it)",
        "2030-05-17",
    ),
    (
        "UPDATE erp.salestable SET shippingdaterequested = '2030-01-01' WHERE salesid = 'T-1';
         SELECT erp.confirm_sales_order(recid, NULL) FROM erp.salestable WHERE salesid = 'T-1'",
        "SELECT shippingdaterequested || right(notes, 9) FROM erp.salestable WHERE salesid = 'T-1'",
        "2030-01-01confirmed",
    ),
    (
        "",
        "SELECT (erp.cancel_sales_order(recid, NULL) = ordertotal)::text FROM erp.salestable WHERE salesid = 'T-1'",
        "true",
    ),
    (
        "SELECT set_config('tombolo.user', 'ada', true), set_config('tombolo.companies', 'DEMF', true)",
        "SELECT erp.open_orders_of_group('10', 'usmf')::text",
        "0",
    ),
    (
        "SELECT set_config('tombolo.user', 'ada', true)",
        "SELECT erp.open_orders_of_group('10', NULL)::text",
        "0",
    ),
    (
        "SELECT set_config('tombolo.user', 'ada', true), set_config('tombolo.companies', '*', true)",
        "SELECT (erp.open_orders_of_group('10', NULL) > erp.open_orders_of_group('10', 'USMF'))::text",
        "true",
    ),
    (
        "SELECT set_config('tombolo.user', 'ada', true), set_config('tombolo.companies', 'DEMF,USMF', true)",
        "SELECT (erp.open_orders_of_group('10', 'usmf') = sum(ordertotal) AND sum(ordertotal) > 0)::text
         FROM erp.salestable o JOIN erp.custtable c ON c.accountnum = o.custaccount AND c.dataareaid = o.dataareaid
         WHERE c.dataareaid = 'USMF' AND custgroup = '10' AND salesstatus = 1",
        "true",
    ),
];

const REFUSALS: &[(&str, &str, &str)] = &[
    (
        "UPDATE erp.custtable SET blocked = 2 WHERE accountnum = 'TEST'",
        "SELECT erp.hold_customer(recid, 'x') FROM erp.custtable WHERE accountnum = 'TEST'",
        "is on hold already",
    ),
    (
        "",
        "SELECT erp.hold_customer(recid, ' ') FROM erp.custtable WHERE accountnum = 'TEST'",
        "Say why customer TEST of company USMF",
    ),
    (
        "UPDATE erp.salestable SET salesstatus = 2 WHERE salesid = 'T-1'",
        "SELECT erp.cancel_sales_order(recid, 'x') FROM erp.salestable WHERE salesid = 'T-1'",
        "is not open and cannot be canceled",
    ),
    (
        "DELETE FROM erp.salesline WHERE salesid = 'T-1'",
        "SELECT erp.confirm_sales_order(recid, NULL) FROM erp.salestable WHERE salesid = 'T-1'",
        "has no lines and cannot be confirmed",
    ),
];

#[tokio::test]
async fn actions_do_what_they_say() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    demo_erp::create(&mut connection, 50, |_, _, _| {}).await?;
    for (first, asked, expected) in OUTCOMES {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(FIXTURE).execute(&mut *transaction).await?;
        sqlx::raw_sql(*first).execute(&mut *transaction).await.context(*first)?;
        let it: String = sqlx::query_scalar(AssertSqlSafe(*asked))
            .fetch_one(&mut *transaction)
            .await
            .context(*asked)?;
        assert_eq!(it, *expected, "{asked}");
        transaction.rollback().await?;
    }
    for (first, refused, says) in REFUSALS {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(FIXTURE).execute(&mut *transaction).await?;
        sqlx::raw_sql(*first).execute(&mut *transaction).await.context(*first)?;
        let outcome = sqlx::raw_sql(*refused).execute(&mut *transaction).await;
        let message = outcome.err().context(*refused)?.to_string();
        assert!(message.contains(says), "{refused}: {message}");
        transaction.rollback().await?;
    }
    Ok(())
}
