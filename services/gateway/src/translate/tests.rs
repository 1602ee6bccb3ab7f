//! Platform names in, a provider's names out: `check(filter, expected)`.

use std::collections::HashMap;
use std::sync::Arc;

use odata::{Aliases, Key, Resource};
use proptest::prelude::*;
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as External;
use proto::query::v1::value::Kind;
use uuid::Uuid;

use super::*;
use crate::error::GatewayError;
use crate::metadata::{Snapshot, Table};

#[path = "../../tests/it/fixture.rs"]
mod fixture;

fn customers() -> Arc<Table> {
    let snapshot = Snapshot::new(&[Some(fixture::catalog()), Some(fixture::organization())]);
    Arc::clone(snapshot.by_set(fixture::CUSTOMERS).unwrap())
}

fn companies_table() -> Arc<Table> {
    let snapshot = Snapshot::new(&[Some(fixture::organization())]);
    Arc::clone(snapshot.by_set("cdm_companies").unwrap())
}

fn translated(table: &Table, text: &str) -> Result<String, GatewayError> {
    let companies = HashMap::from([(Uuid::from_u128(fixture::USMF), "USMF".to_owned())]);
    let expr = odata::parse_filter(text, &Aliases::new())?;
    Ok(render(&filter(&expr, Terms { table, companies: &companies })?))
}

fn render(filter: &pb::FilterExpression) -> String {
    let parts: Vec<_> = filter
        .conditions
        .iter()
        .map(render_condition)
        .chain(filter.filters.iter().map(|it| format!("({})", render(it))))
        .collect();
    let word = if filter.operator() == pb::FilterOperator::Or { " or " } else { " and " };
    parts.join(word)
}

fn render_condition(condition: &pb::ConditionExpression) -> String {
    let operator = format!("{:?}", condition.operator());
    let column = render_column(condition.column.as_ref());
    let values: Vec<_> = condition.values.iter().map(render_value).collect();
    match &condition.compare_column {
        Some(_) => {
            format!("{column} {operator} {}", render_column(condition.compare_column.as_ref()))
        }
        None => format!("{column} {operator} [{}]", values.join(",")),
    }
}

fn render_column(column: Option<&pb::ColumnRef>) -> String {
    match column.and_then(|it| it.column.as_ref()) {
        Some(External::Field(name)) => name.clone(),
        Some(External::System(it)) => format!("{:?}", pb::SystemColumn::try_from(*it)),
        None => "?".into(),
    }
}

fn render_value(value: &pb::Value) -> String {
    match value.kind.as_ref().unwrap() {
        Kind::Int64Value(it) => it.to_string(),
        Kind::DecimalValue(it) => format!("dec {it}"),
        Kind::StringValue(it) => format!("'{it}'"),
        Kind::BoolValue(it) => it.to_string(),
        Kind::DateValue(it) => format!("date {it}"),
        Kind::TimestampMicrosValue(it) => format!("at {it}"),
        Kind::GuidValue(it) => Uuid::from_slice(it).unwrap().to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn filters_take_the_providers_names_and_values() {
    let table = customers();
    let check = |text: &str, expected: &str| {
        let actual = translated(&table, text).map_err(|it| it.to_string());
        assert_eq!(actual.as_deref(), Ok(expected), "{text}");
    };
    check("mserp_account eq 'US-001'", "Account Equal ['US-001']");
    check("'US-001' eq mserp_account", "Account Equal ['US-001']");
    check("5 lt mserp_visits", "Visits GreaterThan [5]");
    check("mserp_visits eq 5.00", "Visits Equal [5]");
    check("mserp_account eq null", "Account Null []");
    check("mserp_account ne null", "Account NotNull []");
    check("mserp_account ne mserp_alias", "Account NotEqual Alias");
    check("mserp_credit ge 12.50", "Credit GreaterEqual [dec 12.50]");
    check("mserp_credit ge 12", "Credit GreaterEqual [12]");
    check("mserp_account in ('a','b')", "Account In ['a','b']");
    check("contains(mserp_account,'x') eq false", "Account NotContains ['x']");
    check("startswith(mserp_account,'x')", "Account BeginsWith ['x']");
    check("endswith(mserp_account,'x') and true", {
        "Account EndsWith ['x'] and Ok(RecordId) NotIn []"
    });
    check(
        "Microsoft.Dynamics.CRM.In(PropertyName='mserp_blocked',PropertyValues=[\"200000001\",'5'])",
        "Blocked In ['Invoice']",
    );
    check("Microsoft.Dynamics.CRM.NotIn(PropertyName='mserp_account',PropertyValues=['a'])", {
        "Account NotIn ['a']"
    });
}

#[test]
fn options_are_asked_for_by_symbol() {
    let table = customers();
    let check = |text: &str, expected: &str| {
        assert_eq!(translated(&table, text).unwrap(), expected, "{text}");
    };
    check("mserp_blocked eq 200000002", "Blocked Equal ['All']");
    check("mserp_blocked eq 7", "Blocked In []");
    check("mserp_blocked ne 7", "Blocked NotIn []");
    check("mserp_blocked gt 200000000", "Blocked In ['Invoice','All']");
    check("not (mserp_blocked gt 200000000)", "Blocked In ['No']");
    check("mserp_blocked le 99999999999999999999", "Blocked In ['No','Invoice','All']");
}

#[test]
fn companies_are_asked_for_by_code() {
    let table = customers();
    let known = Uuid::from_u128(fixture::USMF);
    let other = Uuid::from_u128(1);
    let check = |text: String, expected: &str| {
        assert_eq!(translated(&table, &text).unwrap(), expected, "{text}");
    };
    check(format!("_mserp_dataareaid_id_value eq {known}"), "dataAreaId Equal ['USMF']");
    check(format!("_mserp_dataareaid_id_value ne {known}"), "dataAreaId NotEqual ['USMF']");
    check(format!("_mserp_dataareaid_id_value eq '{known}'"), "dataAreaId Equal ['USMF']");
    check(format!("_mserp_dataareaid_id_value eq {other}"), "dataAreaId In []");
    check(format!("_mserp_dataareaid_id_value ne {other}"), "dataAreaId NotIn []");
    check(format!("_mserp_dataareaid_id_value in ({known},{other})"), "dataAreaId In ['USMF']");
    check("_mserp_dataareaid_id_value eq null".into(), "dataAreaId Null []");
}

#[test]
fn dates_compare_by_the_day_in_utc() {
    let table = customers();
    let check = |text: &str, expected: &str| {
        assert_eq!(translated(&table, text).unwrap(), expected, "{text}");
    };
    check("mserp_opened eq 2026-11-21", "Opened Equal [date 2026-11-21]");
    check("mserp_opened eq 2026-11-21T02:00:00+02:00", "Opened Equal [date 2026-11-21]");
    check("mserp_opened eq 2026-11-21T10:00:00Z", "Opened In []");
    check("mserp_opened ne 2026-11-21T10:00:00Z", "Opened NotIn []");
    check("mserp_opened ge 2026-11-21T10:00:00Z", "Opened GreaterThan [date 2026-11-21]");
    check("mserp_opened lt 2026-11-21T10:00:00Z", "Opened LessEqual [date 2026-11-21]");
    check("mserp_changed lt 1970-01-02", "Changed LessThan [at 86400000000]");
    check("mserp_changed lt 1970-01-01T01:00:00+01:00", "Changed LessThan [at 0]");
}

#[test]
fn moments_finer_than_rows_have_equal_none() {
    let table = customers();
    let check = |text: &str, expected: &str| {
        assert_eq!(translated(&table, text).unwrap(), expected, "{text}");
    };
    let (whole, finer) = ("1970-01-01T00:00:00.123456Z", "1970-01-01T00:00:00.1234567Z");
    check(&format!("mserp_changed eq {whole}"), "Changed Equal [at 123456]");
    check(&format!("mserp_changed eq {finer}"), "Changed In []");
    check(&format!("mserp_changed ne {finer}"), "Changed NotIn []");
    check(&format!("mserp_changed ge {finer}"), "Changed GreaterThan [at 123456]");
    check(&format!("mserp_changed lt {finer}"), "Changed LessEqual [at 123456]");
    check(&format!("mserp_changed in ({whole},{finer})"), "Changed In [at 123456]");
    check("mserp_changed gt 1969-12-31T23:59:59.9999999Z", "Changed GreaterThan [at -1]");
}

#[test]
fn null_may_be_in_a_list() {
    let table = customers();
    let check = |text: &str, expected: &str| {
        assert_eq!(translated(&table, text).unwrap(), expected, "{text}");
    };
    check("mserp_account in ('x',null)", "Account In ['x'] or Account Null []");
    check("mserp_account in (null)", "Account In [] or Account Null []");
    let neither = "Account NotIn ['x'] and Account NotNull []";
    check("not (mserp_account in ('x',null))", neither);
    check("mserp_visits eq 1 and mserp_account in ('x',null)", {
        "Visits Equal [1] and (Account In ['x'] or Account Null [])"
    });
    check("mserp_visits eq 1 or not (mserp_account in ('x'))", {
        "Visits Equal [1] or Account NotIn ['x']"
    });
    let company = Uuid::from_u128(fixture::USMF);
    check(&format!("_mserp_dataareaid_id_value in ({company},null)"), {
        "dataAreaId In ['USMF'] or dataAreaId Null []"
    });
}

#[test]
fn lists_are_bounded() {
    let table = customers();
    let list = |length| format!("mserp_visits in ({})", vec!["1"; length].join(","));
    assert!(translated(&table, &list(2_000)).is_ok());
    let error = translated(&table, &list(2_001)).unwrap_err();
    assert_eq!(error.platform().0.as_u16(), 400);
    assert!(error.to_string().contains("2000"), "{error}");
}

#[test]
fn not_is_pushed_down_and_groups_are_flat() {
    let table = customers();
    let check = |text: &str, expected: &str| {
        assert_eq!(translated(&table, text).unwrap(), expected, "{text}");
    };
    let (a, b, c) = ("mserp_visits eq 1", "mserp_visits gt 2", "contains(mserp_alias,'x')");
    check(&format!("not ({a} and {b})"), "Visits NotEqual [1] or Visits LessEqual [2]");
    check(&format!("not ({a} or not {c})"), "Visits NotEqual [1] and Alias Contains ['x']");
    check(&format!("({a} and {b}) and {c}"), {
        "Visits Equal [1] and Visits GreaterThan [2] and Alias Contains ['x']"
    });
    check(&format!("{c} or ({a} and {b})"), {
        "Alias Contains ['x'] or (Visits Equal [1] and Visits GreaterThan [2])"
    });
    check("not (mserp_account eq null)", "Account NotNull []");
    check("not (mserp_account in ('a'))", "Account NotIn ['a']");
    let flags = companies_table();
    assert_eq!(translated(&flags, "not cdm_active").unwrap(), "cdm_active NotEqual [true]");
    assert_eq!(translated(&flags, "cdm_active eq false").unwrap(), "cdm_active Equal [false]");
}

#[test]
fn what_cannot_be_asked_says_why() {
    let table = customers();
    let check = |text: &str, status: u16, expected: &str| {
        let error = translated(&table, text).unwrap_err();
        assert_eq!(error.platform().0.as_u16(), status, "{text}: {error}");
        assert!(error.to_string().contains(expected), "{text}: {error}");
    };
    check(
        "nope eq 1",
        400,
        "named 'nope' on type 'Microsoft.Dynamics.CRM.mserp_custcustomerv3entity'",
    );
    check("Mserp_account eq 'x'", 400, "Could not find a property named 'Mserp_account'");
    check("mserp_dataareaid_id eq null", 400, "Could not find a property");
    check("mserp_visits eq 'x'", 400, "'Edm.Int32' and 'Edm.String' for operator kind 'Equal'.");
    check("mserp_visits eq 5.5", 400, "'Edm.Int32' and 'Edm.Decimal'");
    check("mserp_blocked eq 'No'", 400, "incompatible operand types");
    check("mserp_account gt 5", 400, "for operator kind 'GreaterThan'.");
    check("mserp_opened eq '2026-11-21'", 400, "incompatible operand types");
    check("mserp_account eq mserp_visits", 400, "incompatible operand types");
    check("mserp_primaryfield eq 'x'", 400, "cannot be used in a filter");
    check("contains(mserp_visits,'x')", 400, "No function signature");
    check("contains(mserp_account)", 400, "takes two arguments");
    check("1 eq 1", 400, "must name a column");
    check("tolower(mserp_account) eq 'x'", 400, "'tolower' is not supported");
    check("mserp_account", 400, "incompatible operand types");
    check("mserp_fk/name eq 'x'", 501, "is not offered yet");
    check("mserp_fk/any(o:o/a eq 1)", 501, "is not offered yet");
    check("Microsoft.Dynamics.CRM.Today(PropertyName='mserp_opened')", 501, "Today");
    check("Other.In(PropertyName='a')", 400, "unknown function");
    check("Microsoft.Dynamics.CRM.In(PropertyName='a',PropertyValues=['x'])", 400, "'a'");
    check("Microsoft.Dynamics.CRM.In(PropertyValues=['x'])", 400, "needs a 'PropertyName'");
    let not_in = "not Microsoft.Dynamics.CRM.In(PropertyName='mserp_account',PropertyValues=['x'])";
    check(not_in, 405, "Not operator along with the Custom Named Condition operators");
    let many = vec!["mserp_visits eq 1"; 501].join(" or ");
    check(&many, 400, "Number of conditions in query exceeded maximum limit.");
    assert!(translated(&table, &vec!["mserp_visits eq 1"; 500].join(" or ")).is_ok());
}

fn key_of(path: &str) -> Result<RowKey, GatewayError> {
    let Ok(Resource::Named { key, .. }) = Resource::parse(path) else {
        return row_key(&customers(), &Key::Absent);
    };
    row_key(&customers(), &key)
}

#[test]
fn keys_name_a_row_by_id_or_by_alternate_key() {
    let id = Uuid::from_u128(0xab);
    let by_id = |path: String| assert_eq!(key_of(&path).unwrap(), RowKey::Id(id), "{path}");
    by_id(format!("t({id})"));
    by_id(format!("t('{}')", id.to_string().to_uppercase()));
    by_id(format!("t(mserp_custcustomerv3entityid={id})"));
    let field = |field: &str, text: &str| pb::FieldValue {
        field: field.into(),
        value: Some(pb::Value { kind: Some(Kind::StringValue(text.into())) }),
    };
    let key = key_of("t(mserp_account='U''1',mserp_dataareaid='usmf')").unwrap();
    let expected = vec![field("Account", "U'1"), field("dataAreaId", "usmf")];
    assert_eq!(key, RowKey::Alternate(expected));
    for bad in [
        "t(5)",
        "t(not-a-guid)",
        "t()",
        "t(mserp_account='x')",
        "t(mserp_account='x',mserp_account='y')",
        "t(mserp_account=5,mserp_dataareaid='usmf')",
        "t(nope='x')",
    ] {
        assert_eq!(key_of(bad).unwrap_err().platform().0.as_u16(), 400, "{bad}");
    }
}

#[test]
fn rows_carry_their_version_the_selection_and_their_id() {
    let table = customers();
    let keys = |text: Option<&str>, wanted: &str| {
        let selection = select(&table, text).unwrap();
        outputs(&table, &selection, &Annotations::parse(wanted))
    };
    let names = |it: &[pb::OutputColumn]| it.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
    let id = "mserp_custcustomerv3entityid";
    let some = keys(Some("mserp_credit,_mserp_dataareaid_id_value"), "");
    assert_eq!(names(&some), ["@odata.etag", "mserp_credit", "_mserp_dataareaid_id_value", id]);
    assert!(some.iter().all(|it| it.formatted_key.is_empty() && it.static_members.is_empty()));
    assert_eq!(keys(None, "").len(), table.columns.len() + 1);
    let annotated = keys(Some("mserp_account,_mserp_dataareaid_id_value,mserp_blocked"), "*");
    let formatted: Vec<_> = annotated.iter().map(|it| it.formatted_key.as_str()).collect();
    let blocked = "mserp_blocked@OData.Community.Display.V1.FormattedValue";
    let company = "_mserp_dataareaid_id_value@OData.Community.Display.V1.FormattedValue";
    assert_eq!(formatted, ["", "", company, blocked, ""]);
    let members: Vec<_> = annotated.iter().flat_map(|it| &it.static_members).collect();
    assert_eq!(members.len(), 2);
    assert_eq!(
        members[1].key,
        "_mserp_dataareaid_id_value@Microsoft.Dynamics.CRM.lookuplogicalname"
    );
    assert_eq!(members[1].value, "cdm_company");
    for bad in ["nope", "mserp_dataareaid_id", "a/b"] {
        assert!(matches!(select(&table, Some(bad)), Err(GatewayError::UnknownColumn { .. })));
    }
}

#[test]
fn orders_are_translated_in_order() {
    let table = customers();
    let orders = |text: &str| order_by(&table, text, &Aliases::new());
    let found = orders("mserp_account desc,_mserp_dataareaid_id_value").unwrap();
    let found: Vec<_> =
        found.iter().map(|it| (render_column(it.column.as_ref()), it.descending)).collect();
    assert_eq!(found, [("Account".to_owned(), true), ("Ok(CompanyId)".to_owned(), false)]);
    assert!(matches!(orders("nope"), Err(GatewayError::UnknownColumn { .. })));
    assert!(matches!(orders("a/b"), Err(GatewayError::NotOffered(_))));
    assert!(matches!(orders("mserp_account up"), Err(GatewayError::Syntax(_))));
}

proptest! {
    #[test]
    fn every_filter_is_translated_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "mserp_account", "mserp_visits", "mserp_credit", "mserp_blocked", "mserp_opened",
                "_mserp_dataareaid_id_value", "mserp_custcustomerv3entityid", "nope", "eq", "ne",
                "gt", "le", "and", "or", "not", "(", ")", "in (", "contains(", ",", "'x'", "1",
                "-99999999999999999999", "1.5", "1e9", "null", "true", "2026-11-21",
                "2026-11-21T10:00:00Z", "00000000-0000-0000-0000-0000000000a1",
                "Microsoft.Dynamics.CRM.In(PropertyName='mserp_visits',PropertyValues=['1'])",
            ]),
            1..12,
        )
    ) {
        let _ = translated(&customers(), &words.join(" "));
    }
}
