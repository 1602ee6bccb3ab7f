//! Actions of rows and entities: functions of a real database, and services over a real network.

use crate::who;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::Scratch;
use proto::catalog::v1 as catalog;
use proto::catalog::v1::{ActionBinding, FieldType, entity_action::Implementation};
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Outcome;
use proto::query::v1::value::Kind;
use provider::{
    Authority, Binding, BusinessLogic, Error, Grant, Pool, PoolOptions, Privilege, Provider,
    Refusal, Refused, Transaction,
};
use rpc::{CallContext, Caller};
use sqlx::{Connection as _, PgConnection};

mod services;

/// An overload that the casts must not pick, and one of each kind of result.
const SCHEMA: &str = "
    CREATE TABLE customers (
        id bigint PRIMARY KEY, company text NOT NULL, code text NOT NULL, credit numeric NOT NULL,
        held boolean NOT NULL DEFAULT false, changed_by text
    );
    INSERT INTO customers VALUES (1, 'A1', 'C1', 100.50), (2, 'B1', 'C2', 7);
    CREATE FUNCTION raise_credit(customer bigint, amount text) RETURNS numeric LANGUAGE sql
        RETURN -1;
    CREATE FUNCTION raise_credit(customer bigint, amount numeric) RETURNS numeric LANGUAGE plpgsql
    AS $$
    BEGIN
        IF amount > 1000 THEN RAISE EXCEPTION 'More than 1000 is for the controller.'; END IF;
        IF amount < 0 THEN
            RAISE EXCEPTION 'An amount is positive.' USING ERRCODE = 'check_violation';
        END IF;
        UPDATE customers SET credit = credit + coalesce(amount, 1),
            changed_by = current_setting('tombolo.user') WHERE id = customer;
        RETURN (SELECT credit FROM customers WHERE id = customer);
    END $$;
    CREATE FUNCTION hold(customer bigint) RETURNS void LANGUAGE sql
        BEGIN ATOMIC UPDATE customers SET held = true WHERE id = customer; END;
    CREATE FUNCTION echo(a integer, b bigint, c text, d boolean, e date, f timestamptz, g uuid)
        RETURNS text LANGUAGE sql RETURN concat_ws('|', a, b, c, d, e, f, g);
    CREATE FUNCTION moment() RETURNS timestamptz LANGUAGE sql
        RETURN '2026-11-21 12:00:00.25+02'::timestamptz;
    CREATE FUNCTION forever() RETURNS date LANGUAGE sql RETURN 'infinity'::date;
    CREATE FUNCTION several() RETURNS SETOF text LANGUAGE sql RETURN 'x';
    CREATE FUNCTION nothing() RETURNS uuid LANGUAGE sql RETURN NULL::uuid;
    CREATE FUNCTION twice() RETURNS void LANGUAGE sql
        BEGIN ATOMIC INSERT INTO customers VALUES (1, 'A1', 'C1', 0); END;";

/// The database, the entity, and who asks.
pub(crate) struct World {
    _scratch: Scratch,
    provider: Provider,
    connection: PgConnection,
    rights: Rules,
    context: CallContext,
}

#[derive(Debug)]
struct Rules(Arc<Binding>);

impl Authority for Rules {
    fn grant(&self, caller: &Caller, entity: &str, privilege: Privilege) -> Result<Grant, Refused> {
        match entity {
            "Customers" => {
                Grant::of(caller, Arc::clone(&self.0), privilege).map_err(Refused::Denied)
            }
            _ => Err(Refused::Unknown),
        }
    }
}

/// Who calls business-logic services.
fn adapter() -> rpc::ServiceIdentity {
    rpc::Environment::generate().identity("query").unwrap()
}

impl World {
    async fn new() -> Self {
        Self::with(&BTreeMap::new()).await
    }

    async fn with(services: &BTreeMap<String, String>) -> Self {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("actions").await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&mut connection).await.unwrap();
        let pool = Pool::new(&url, &PoolOptions::default()).unwrap();
        let provider = Provider::new(pool, "test")
            .with_business_logic(BusinessLogic::new(services, &adapter()).unwrap());
        let rights = Rules(Arc::new(Binding::try_from(entity()).unwrap()));
        let context = clerk(&["A1"], who::ALL);
        Self { _scratch: scratch, provider, connection, rights, context }
    }

    /// Runs an action in a transaction of its own.
    async fn run(
        &self,
        action: &str,
        key: Option<pb::RecordKey>,
        parameters: Vec<pb::FieldValue>,
    ) -> Result<Option<pb::Value>, Error> {
        let mut transaction = Transaction::begin(&self.provider, &self.context).await?;
        let request = pb::PerformActionRequest {
            entity_name: "Customers".into(),
            action: action.into(),
            key,
            parameters,
            idempotency_key: String::new(),
        };
        let operation = pb::Operation { operation: Some(Operation::PerformAction(request)) };
        let done = transaction.execute(&self.rights, operation).await?;
        transaction.commit().await?;
        match done.result {
            Some(Outcome::PerformAction(done)) => Ok(done.result),
            other => panic!("{other:?}"),
        }
    }

    async fn refused(
        &self,
        action: &str,
        key: Option<pb::RecordKey>,
        parameters: Vec<pb::FieldValue>,
    ) -> String {
        self.run(action, key, parameters).await.unwrap_err().to_string()
    }

    /// Credit, whether it is held, and who changed it last.
    async fn customer(&mut self, id: i64) -> (String, bool, Option<String>) {
        let sql = "SELECT credit::text, held, changed_by FROM customers WHERE id = $1";
        sqlx::query_as(sql).bind(id).fetch_one(&mut self.connection).await.unwrap()
    }
}

/// May touch customers of these companies.
fn clerk(companies: &[&str], operations: &[who::Operation]) -> CallContext {
    let grants = vec![who::grant(&["Customers"], operations)];
    who::context(who::clerk("clk1", who::only(companies), grants))
}

fn entity() -> catalog::DataEntity {
    let field = |name: &str, r#type: FieldType| catalog::DataField {
        name: name.to_uppercase(),
        source: Some(catalog::data_field::Source::Column(catalog::ColumnPath {
            alias: "c".into(),
            column: name.into(),
        })),
        r#type: r#type.into(),
        allow_edit: true,
        allow_edit_on_create: true,
        scale: if r#type == FieldType::Decimal { 2 } else { 0 },
        ..Default::default()
    };
    let changed_by = field("changed_by", FieldType::String);
    catalog::DataEntity {
        name: "Customers".into(),
        entity_id: 2_001,
        sources: vec![catalog::DataSource {
            alias: "c".into(),
            schema: "public".into(),
            table: "customers".into(),
            ..Default::default()
        }],
        record_identity: Some(catalog::RecordIdentity {
            kind: catalog::RecordIdentityKind::Integer.into(),
            columns: vec!["id".into()],
        }),
        fields: vec![
            field("company", FieldType::String),
            field("code", FieldType::String),
            field("credit", FieldType::Decimal),
            field("held", FieldType::Boolean),
            catalog::DataField { nullable: true, ..changed_by },
        ],
        key: vec!["COMPANY".into(), "CODE".into()],
        company_field: "COMPANY".into(),
        actions: actions(),
        ..Default::default()
    }
}

fn actions() -> Vec<catalog::EntityAction> {
    use FieldType::{Boolean, Date, DateTime, Decimal, Guid, Integer, Long, String as Text};
    let row = ActionBinding::Entity;
    let none = ActionBinding::Global;
    let of = |name: &str, binding, parameters: &[(&str, FieldType, bool)], result| {
        let parameter =
            |(name, r#type, mandatory): &(&str, FieldType, bool)| catalog::ActionParameter {
                name: (*name).into(),
                r#type: (*r#type).into(),
                mandatory: *mandatory,
                max_length: if *r#type == Text { 5 } else { 0 },
                label: String::new(),
            };
        let function = catalog::SqlFunction { schema: "public".into(), name: name.into() };
        catalog::EntityAction {
            name: name.into(),
            binding: ActionBinding::into(binding),
            implementation: Some(Implementation::Function(function)),
            parameters: parameters.iter().map(parameter).collect(),
            result: FieldType::into(result),
            ..Default::default()
        }
    };
    let void = FieldType::Unspecified;
    let all = [
        ("a", Integer, true),
        ("b", Long, false),
        ("c", Text, false),
        ("d", Boolean, false),
        ("e", Date, false),
        ("f", DateTime, false),
        ("g", Guid, false),
    ];
    let by_service = |name: &str| catalog::EntityAction {
        name: name.into(),
        implementation: Some(Implementation::Service("credit".into())),
        ..of(name, row, &[("Amount", Decimal, true)], Decimal)
    };
    let unknown = catalog::EntityAction {
        implementation: Some(Implementation::Service("nowhere".into())),
        ..of("lost", none, &[], void)
    };
    vec![
        of("raise_credit", row, &[("Amount", Decimal, false)], Decimal),
        of("hold", row, &[], void),
        of("echo", none, &all, Text),
        of("moment", ActionBinding::EntityCollection, &[], DateTime),
        of("forever", none, &[], Date),
        of("several", none, &[], Text),
        of("nothing", none, &[], Guid),
        of("twice", none, &[], void),
        of("absent", none, &[], void),
        by_service("Grant"),
        unknown,
    ]
}

fn id(number: i64) -> Option<pb::RecordKey> {
    let guid = provider::record_guid(2_001, number);
    let key = pb::record_key::Key::RecordId(guid.as_bytes().to_vec().into());
    Some(pb::RecordKey { key: Some(key) })
}

fn given(field: &str, kind: Kind) -> pb::FieldValue {
    pb::FieldValue { field: field.into(), value: Some(pb::Value { kind: Some(kind) }) }
}

fn amount(text: &str) -> Vec<pb::FieldValue> {
    vec![given("Amount", Kind::DecimalValue(text.into()))]
}

fn kind(value: Option<pb::Value>) -> Option<Kind> {
    value.and_then(|it| it.kind)
}

#[tokio::test]
async fn a_function_of_a_row_knows_row_user_and_parameters() {
    let mut world = World::new().await;
    let result = world.run("raise_credit", id(1), amount("0.25")).await.unwrap();
    assert_eq!(kind(result), Some(Kind::DecimalValue("100.75".into())));
    assert_eq!(world.customer(1).await, ("100.75".into(), false, Some("clk1".into())));

    let alternate = pb::record_key::Key::Alternate(pb::AlternateKeyValues {
        values: vec![
            given("COMPANY", Kind::StringValue("a1".into())),
            given("CODE", Kind::StringValue("C1".into())),
        ],
    });
    let key = Some(pb::RecordKey { key: Some(alternate) });
    assert_eq!(world.run("hold", key, Vec::new()).await.unwrap(), None);
    assert!(world.customer(1).await.1);

    // A parameter that is not given is null.
    let result = world.run("raise_credit", id(1), Vec::new()).await.unwrap();
    assert_eq!(kind(result), Some(Kind::DecimalValue("101.75".into())));
}

#[tokio::test]
async fn rows_of_other_companies_are_not_there() {
    let mut world = World::new().await;
    let refused = world.run("hold", id(2), Vec::new()).await.unwrap_err();
    assert!(matches!(refused, Error::RecordNotFound), "{refused:?}");
    let refused = world.run("hold", id(99), Vec::new()).await.unwrap_err();
    assert!(matches!(refused, Error::RecordNotFound), "{refused:?}");
    assert!(!world.customer(2).await.1);
    world.context = clerk(&["A1", "B1"], who::READ);
    let refused = world.run("hold", id(2), Vec::new()).await.unwrap_err();
    assert!(matches!(refused, Error::Denied(_)), "{refused:?}");
    world.context = clerk(&["B1"], who::ALL);
    world.run("hold", id(2), Vec::new()).await.unwrap();
    assert!(world.customer(2).await.1);
}

#[tokio::test]
async fn values_of_every_type_arrive() {
    let world = World::new().await;
    let guid = uuid::Uuid::from_u128(7);
    let all = vec![
        given("g", Kind::GuidValue(guid.as_bytes().to_vec().into())),
        given("a", Kind::Int64Value(-7)),
        given("b", Kind::Int64Value(9_007_199_254_740_993)),
        given("c", Kind::StringValue("ä'\"$1".into())),
        given("d", Kind::BoolValue(true)),
        given("e", Kind::DateValue("2026-02-28".into())),
        given("f", Kind::TimestampMicrosValue(1_500_000)),
    ];
    let result = world.run("echo", None, all).await.unwrap();
    let text = format!("-7|9007199254740993|ä'\"$1|t|2026-02-28|1970-01-01 00:00:01.5+00|{guid}");
    assert_eq!(kind(result), Some(Kind::StringValue(text)));
    let moment = world.run("moment", None, Vec::new()).await.unwrap();
    assert_eq!(kind(moment), Some(Kind::TimestampMicrosValue(1_795_255_200_250_000)));
    let nothing = world.run("nothing", None, Vec::new()).await.unwrap();
    assert_eq!(kind(nothing), Some(Kind::NullValue(pb::NullMarker {})));
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_named() {
    let world = World::new().await;
    let a = || given("a", Kind::Int64Value(1));
    let cases = [
        (vec![], "the parameter `a` is required and must not be null"),
        (
            vec![given("a", Kind::NullValue(pb::NullMarker {}))],
            "the parameter `a` is required and must not be null",
        ),
        (vec![a(), a()], "the parameter `a` is given twice"),
        (
            vec![a(), given("z", Kind::Int64Value(1))],
            "the parameter `z` is no parameter of the action",
        ),
        (
            vec![given("a", Kind::Int64Value(3_000_000_000))],
            "the parameter `a` is not a whole number of 32 bits",
        ),
        (
            vec![a(), given("c", Kind::StringValue("ääääää".into()))],
            "the parameter `c` is longer than 5 characters",
        ),
        (vec![a(), given("c", Kind::StringValue("\0".into()))], "the parameter `c` is not text"),
        (
            vec![a(), given("e", Kind::DateValue("2026-02-30".into()))],
            "the parameter `e` is not a date of the years 1 to 9999",
        ),
    ];
    for (parameters, text) in cases {
        assert_eq!(world.refused("echo", None, parameters).await, text);
    }
    // Money is never a float.
    let float = vec![given("Amount", Kind::DoubleValue(0.1))];
    let text = "the parameter `Amount` is not a decimal number";
    assert_eq!(world.refused("raise_credit", id(1), float).await, text);
}

#[tokio::test]
async fn what_a_function_raises_is_told_as_it_is_and_nothing_stays() {
    let mut world = World::new().await;
    let cases =
        [("2000", "More than 1000 is for the controller."), ("-1", "An amount is positive.")];
    for (number, text) in cases {
        let refused = world.run("raise_credit", id(1), amount(number)).await.unwrap_err();
        assert_eq!(refused.to_string(), text);
        assert!(matches!(refused, Error::Action(Refusal::Rule(_))), "{refused:?}");
    }
    // Names of the ERP's constraints are not.
    let text = world.refused("twice", None, Vec::new()).await;
    assert_eq!(text, "The action 'twice' was not done: It would break a rule of the database.");
    assert_eq!(world.customer(1).await, ("100.50".into(), false, None));
}

#[tokio::test]
async fn functions_that_are_not_what_the_model_says_are_refused() {
    let world = World::new().await;
    for action in ["several", "absent"] {
        let refused = world.run(action, None, Vec::new()).await.unwrap_err();
        assert!(matches!(refused, Error::Action(Refusal::Function { .. })), "{refused:?}");
    }
    let refused = world.run("forever", None, Vec::new()).await.unwrap_err();
    assert!(matches!(refused, Error::Action(Refusal::Result { .. })), "{refused:?}");
    let refused = world.run("nope", None, Vec::new()).await.unwrap_err();
    assert!(matches!(refused, Error::Action(Refusal::NotFound { .. })), "{refused:?}");
    assert_eq!(world.refused("hold", None, Vec::new()).await, "`key` is required");
    let text = "the action `moment` does not run on a row";
    assert_eq!(world.refused("moment", id(1), Vec::new()).await, text);
}

#[tokio::test]
async fn the_row_is_locked_until_the_transaction_ends() {
    let mut world = World::new().await;
    let mut transaction = Transaction::begin(&world.provider, &world.context).await.unwrap();
    let request = pb::PerformActionRequest {
        entity_name: "Customers".into(),
        action: "raise_credit".into(),
        key: id(1),
        parameters: amount("1"),
        idempotency_key: String::new(),
    };
    let operation = pb::Operation { operation: Some(Operation::PerformAction(request)) };
    transaction.execute(&world.rights, operation).await.unwrap();
    let lock = "SELECT 1 FROM customers WHERE id = 1 FOR UPDATE NOWAIT";
    assert!(sqlx::query(lock).execute(&mut world.connection).await.is_err());
    drop(transaction);
    assert_eq!(world.customer(1).await.0, "100.50");
}
