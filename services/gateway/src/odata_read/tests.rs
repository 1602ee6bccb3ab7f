//! What OData says, as the tree in the platform's words, and as what a provider is asked.

use std::sync::Arc;

use chrono::Utc;
use odata::{Aliases, QueryOptions};
use proptest::prelude::*;
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as External;
use proto::query::v1::value::Kind;
use uuid::Uuid;

use super::*;
use crate::companies::Codes;
use crate::fixture;
use crate::query::{Calendar, Context, lower};

fn snapshot() -> Snapshot {
    Snapshot::new(&[Some(fixture::catalog()), Some(fixture::organization())])
}

fn customers() -> Arc<Table> {
    Arc::clone(snapshot().by_set(fixture::CUSTOMERS).unwrap())
}

fn companies_table() -> Arc<Table> {
    Arc::clone(snapshot().by_set("cdm_companies").unwrap())
}

/// What a request for a table's rows asks, in the platform's words.
fn asked(set: &str, query: &str) -> Result<Request, GatewayError> {
    let snapshot = snapshot();
    let place = Place::all(snapshot.by_set(set).unwrap());
    let options = QueryOptions::parse(&query.replace(' ', "%20"))?;
    collection(&snapshot, &place, &options, &Preferences::default())
}

/// What the provider is asked, then.
fn lowered(read: &Read) -> Result<pb::QueryExpression, GatewayError> {
    let snapshot = snapshot();
    let companies = Codes::from([(Uuid::from_u128(fixture::USMF), "USMF".to_owned())]);
    let context = Context {
        snapshot: &snapshot,
        companies: &companies,
        calendar: &Calendar::default(),
        now: Utc::now(),
        language: 1033,
        style: &read.style,
        may_read: &|_, _| true,
    };
    lower(context, read).map(|it| it.query)
}

fn translated(table: &Table, text: &str) -> Result<String, GatewayError> {
    let snapshot = snapshot();
    let expr = odata::parse_filter(text, &Aliases::new())?;
    let serial = Serial::default();
    let table = Arc::clone(snapshot.by_name(&table.logical_name).unwrap());
    let mut scope = Scope::new(&snapshot, &serial, Arc::clone(&table));
    let criteria = Some(filter::filter(&expr, &mut scope)?);
    let tree = pb::QueryExpression {
        entity_name: table.logical_name.clone(),
        criteria,
        links: scope.into_links(),
        ..Default::default()
    };
    let style = style(&Preferences::default());
    let read = Read { tree, expands: Vec::new(), style, position: None };
    Ok(lowered(&read)?.criteria.as_ref().map(render).unwrap_or_default())
}

fn render(filter: &pb::FilterExpression) -> String {
    let link = |it: &pb::LinkEntity| {
        let mut inner = it.criteria.as_ref().map(render).unwrap_or_default();
        for link in &it.links {
            inner.push_str(&format!(" join {}", link.alias));
        }
        format!("{:?} {:?} ({inner})", it.join(), target(it))
    };
    let parts: Vec<_> = filter
        .conditions
        .iter()
        .map(render_condition)
        .chain(filter.filters.iter().map(|it| format!("({})", render(it))))
        .chain(filter.links.iter().map(link))
        .collect();
    let word = if filter.operator() == pb::FilterOperator::Or { " or " } else { " and " };
    parts.join(word)
}

fn target(link: &pb::LinkEntity) -> &str {
    match &link.target {
        Some(pb::link_entity::Target::EntityName(name)) => name,
        Some(pb::link_entity::Target::Rows(_)) => "rows",
        None => "?",
    }
}

fn render_condition(condition: &pb::ConditionExpression) -> String {
    let operator = format!("{:?}", condition.operator());
    let column = render_column(condition.column.as_ref());
    let values: Vec<_> = condition.values.iter().map(render_value).collect();
    match &condition.compare_column {
        Some(other) => format!("{column} {operator} {}", render_column(Some(other))),
        None => format!("{column} {operator} [{}]", values.join(",")),
    }
}

fn render_column(column: Option<&pb::ColumnRef>) -> String {
    let Some(column) = column else { return "?".to_owned() };
    let name = match &column.column {
        Some(External::Field(name)) => name.clone(),
        Some(External::System(it)) => format!("{:?}", pb::SystemColumn::try_from(*it)),
        Some(External::Relation(name)) => format!("relation {name}"),
        None => "?".into(),
    };
    if column.link.is_empty() { name } else { format!("{}.{name}", column.link) }
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
    check(&format!("mserp_changed eq {finer}"), "Ok(RecordId) In []");
    check(&format!("mserp_changed ne {finer}"), "Ok(RecordId) NotIn []");
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
    check("mserp_account in ('x',null)", "(Account In ['x'] or Account Null [])");
    check("mserp_account in (null)", "(Account In [] or Account Null [])");
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
        "(dataAreaId In ['USMF'] or dataAreaId Null [])"
    });
}

#[test]
fn lists_are_bounded() {
    let table = customers();
    let list = |length| format!("mserp_visits in ({})", vec!["1"; length].join(","));
    assert!(translated(&table, &list(5_000)).is_ok());
    let error = translated(&table, &list(5_001)).unwrap_err();
    assert_eq!(error.platform().0.as_u16(), 400);
    assert!(error.to_string().contains("5000"), "{error}");
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
    check("mserp_fk/name eq 'x'", 400, "named 'mserp_fk'");
    check("mserp_fk/any(o:o/a eq 1)", 400, "named 'mserp_fk'");
    check("Microsoft.Dynamics.CRM.Today(PropertyName='mserp_visits')", 400, "Today");
    check("Other.In(PropertyName='a')", 400, "unknown function");
    check("Microsoft.Dynamics.CRM.In(PropertyName='a',PropertyValues=['x'])", 400, "'a'");
    check("Microsoft.Dynamics.CRM.In(PropertyValues=['x'])", 400, "needs a 'PropertyName'");
    let not_in = "not Microsoft.Dynamics.CRM.In(PropertyName='mserp_account',PropertyValues=['x'])";
    check(not_in, 405, "Not operator along with the Custom Named Condition operators");
    let many = vec!["mserp_visits eq 1"; 501].join(" or ");
    check(&many, 400, "Number of conditions in query exceeded maximum limit.");
    assert!(translated(&table, &vec!["mserp_visits eq 1"; 500].join(" or ")).is_ok());
}

/// `check(filter, criteria in the platform's words, joins)`, of orders.
fn of_orders(text: &str) -> Result<(String, Vec<String>), GatewayError> {
    let request = asked(fixture::ORDERS, &format!("$filter={text}"))?;
    lowered(&request.read)?;
    let tree = request.read.tree;
    let joins = tree.links.iter().map(|it| format!("{}: {}", it.alias, it.navigation));
    Ok((tree.criteria.as_ref().map(render).unwrap_or_default(), joins.collect()))
}

#[test]
fn api_09_paths_are_joins_and_the_same_path_is_the_same_join() {
    let check = |text: &str, expected: &str, joins: &[&str]| {
        let (found, links) = of_orders(text).unwrap_or_else(|it| panic!("{text}: {it}"));
        assert_eq!(
            (found.as_str(), links),
            (expected, joins.iter().map(|it| (*it).to_owned()).collect())
        );
    };
    check(
        "mserp_Customer/mserp_account eq 'A'",
        "path 1.mserp_account Equal ['A']",
        &["path 1: mserp_Customer"],
    );
    check(
        "mserp_Customer/mserp_account eq 'A' or mserp_Customer/mserp_visits gt 1",
        "path 1.mserp_account Equal ['A'] or path 1.mserp_visits GreaterThan [1]",
        &["path 1: mserp_Customer"],
    );
    check(
        "mserp_Customer/mserp_account eq mserp_number",
        "path 1.mserp_account Equal mserp_number",
        &["path 1: mserp_Customer"],
    );
    let id = Uuid::from_u128(7);
    check(
        &format!("mserp_Customer/mserp_custcustomerv3entityid eq {id}"),
        &format!("mserp_customer_id Equal [{id}]"),
        &[],
    );
    check(
        &format!("_mserp_customer_id_value ne {id}"),
        &format!("mserp_customer_id NotEqual [{id}]"),
        &[],
    );
    check(
        "mserp_Customer/mserp_dataAreaId_id/cdm_active",
        "path 2.cdm_active Equal [true]",
        &["path 1: mserp_Customer"],
    );
    check("$it/mserp_number eq 'x'", "mserp_number Equal ['x']", &[]);
    check(
        "mserp_Customer/Microsoft.Dynamics.CRM.In(PropertyName='mserp_account',PropertyValues=['x'])",
        "path 1.mserp_account In ['x']",
        &["path 1: mserp_Customer"],
    );
}

#[test]
fn api_11_lambdas_are_semi_joins_and_nest() {
    let check = |text: &str, expected: &str| {
        let request = asked(fixture::CUSTOMERS, &format!("$filter={text}"));
        let request = request.unwrap_or_else(|it| panic!("{text}: {it}"));
        lowered(&request.read).unwrap_or_else(|it| panic!("{text}: {it}"));
        let found = request.read.tree.criteria.as_ref().map(render).unwrap();
        assert_eq!(found, expected, "{text}");
    };
    let order = "\"mserp_order\"";
    check("mserp_Orders/any()", &format!("Any {order} ()"));
    check("not mserp_Orders/any()", &format!("NotAny {order} ()"));
    check(
        "mserp_Orders/any(o:o/mserp_total gt 5)",
        &format!("Any {order} (mserp_total GreaterThan [5])"),
    );
    check(
        "mserp_Orders/all(o:o/mserp_total gt 5)",
        &format!("NotAny {order} (mserp_total LessEqual [5])"),
    );
    check(
        "not mserp_Orders/all(o:o/mserp_total gt 5)",
        &format!("Any {order} (mserp_total LessEqual [5])"),
    );
    check(
        "mserp_Orders/any(o:o/mserp_total gt 5 and o/mserp_number ne 'x') or mserp_visits eq 1",
        &format!(
            "mserp_visits Equal [1] or Any {order} (mserp_total GreaterThan [5] and mserp_number \
             NotEqual ['x'])"
        ),
    );
    check(
        "mserp_Orders/any(o:o/mserp_Customer/mserp_account eq 'A')",
        &format!("Any {order} (path 2.mserp_account Equal ['A'] join path 2)"),
    );
    check(
        "mserp_Orders/any(o:o/mserp_number eq $it/mserp_account)",
        &format!("Any {order} (mserp_number Equal $it.mserp_account)"),
    );
    let nested = "mserp_Orders/any(o:o/mserp_Customer/mserp_Orders/all(p:p/mserp_total gt 5))";
    check(
        nested,
        &format!(
            "Any {order} (NotAny \"mserp_custcustomerv3entity\" (Any {order} (mserp_total LessEqual \
             [5])))"
        ),
    );
    check(
        "mserp_Orders/all(o:o/Microsoft.Dynamics.CRM.In(PropertyName='mserp_number',PropertyValues=['x']))",
        &format!("NotAny {order} (mserp_number NotIn ['x'])"),
    );
    for (bad, part) in [
        (
            "mserp_Orders/any(o:not o/Microsoft.Dynamics.CRM.Today(PropertyName='mserp_placed'))",
            "Not operator",
        ),
        (
            "mserp_Orders/all(o:o/Microsoft.Dynamics.CRM.Today(PropertyName='mserp_placed'))",
            "'all'",
        ),
        ("mserp_dataAreaId_id/any()", "need a collection"),
        ("mserp_Orders/mserp_number eq 'x'", "leads to a collection"),
        ("nope/any()", "'nope'"),
        ("mserp_Orders/any(o:o/nope eq 1)", "'nope' on type 'Microsoft.Dynamics.CRM.mserp_order'"),
        (
            "mserp_Orders/any(o:o/mserp_Customer/mserp_Orders/any(o:o/mserp_total gt 5))",
            "already been declared",
        ),
    ] {
        let error = asked(fixture::CUSTOMERS, &format!("$filter={bad}")).unwrap_err();
        assert!(error.to_string().contains(part), "{bad}: {error}");
    }
}

#[test]
fn api_10_every_function_takes_its_arguments() {
    let mut checked = 0;
    for (name, operator, shape) in functions::FUNCTIONS {
        let arguments = match shape {
            functions::Shape::Bare => "",
            functions::Shape::One => ",PropertyValue='2'",
            functions::Shape::Many => ",PropertyValues=['2','3']",
            functions::Shape::Two => ",PropertyValue1='1',PropertyValue2='2'",
        };
        let call = format!("Microsoft.Dynamics.CRM.{name}(PropertyName='mserp_number'{arguments})");
        let request = asked(fixture::ORDERS, &format!("$filter={call}")).unwrap();
        let criteria = request.read.tree.criteria.unwrap();
        assert_eq!(criteria.conditions[0].operator(), operator, "{name}");
        let count = match shape {
            functions::Shape::Bare => 0,
            functions::Shape::One => 1,
            functions::Shape::Many | functions::Shape::Two => 2,
        };
        assert_eq!(criteria.conditions[0].values.len(), count, "{name}");
        let negated = asked(fixture::ORDERS, &format!("$filter=not {call}")).unwrap_err();
        assert!(matches!(negated, GatewayError::NegatedFunction), "{name}: {negated}");
        if shape != functions::Shape::Bare {
            let bare = call.replace(arguments, "");
            let error = asked(fixture::ORDERS, &format!("$filter={bare}")).unwrap_err();
            assert!(error.to_string().contains("needs a 'PropertyValue"), "{name}: {error}");
        }
        checked += 1;
    }
    assert_eq!(checked, 69);
}

#[test]
fn api_08_and_12_columns_and_orders() {
    let request = asked(
        fixture::ORDERS,
        "$select=mserp_number,_mserp_customer_id_value&$orderby=mserp_Customer/mserp_account desc,_mserp_customer_id_value",
    )
    .unwrap();
    assert_eq!(request.names, ["mserp_number", "_mserp_customer_id_value"]);
    let tree = &request.read.tree;
    let columns: Vec<_> = tree.columns.iter().map(|it| render_column(it.column.as_ref())).collect();
    assert_eq!(columns, ["mserp_number", "mserp_customer_id"]);
    let orders: Vec<_> =
        tree.orders.iter().map(|it| (render_column(it.column.as_ref()), it.descending)).collect();
    let expected = [("path 1.mserp_account", true), ("mserp_customer_id", false)];
    assert_eq!(orders, expected.map(|(name, it)| (name.to_owned(), it)));
    lowered(&request.read).unwrap();
    assert!(asked(fixture::ORDERS, "$select=*").unwrap().read.tree.all_columns);
    for bad in ["nope", "mserp_customer_id", "a/b"] {
        for option in ["$select", "$orderby"] {
            let error = asked(fixture::ORDERS, &format!("{option}={bad}")).unwrap_err();
            assert!(matches!(error, GatewayError::UnknownColumn { .. }), "{option}={bad}: {error}");
        }
    }
    assert!(matches!(
        asked(fixture::ORDERS, "$orderby=mserp_number up"),
        Err(GatewayError::Syntax(_))
    ));
    let size = |query: &str| asked(fixture::ORDERS, query).unwrap().read.tree.page.unwrap().size;
    assert_eq!(
        [size(""), size("$top=3"), size("$top=9999"), size("$top=0")],
        [5_000, 3, 5_000, -1]
    );
}

#[test]
fn api_14_expands_nest_and_say_so_in_the_context() {
    let request = asked(
        fixture::CUSTOMERS,
        "$select=mserp_account&$expand=mserp_Orders($select=mserp_number;$filter=mserp_total gt 5;\
         $orderby=mserp_number desc;$top=2;$expand=mserp_Customer($select=mserp_alias)),mserp_dataAreaId_id/$ref",
    )
    .unwrap();
    assert_eq!(
        request.names,
        [
            "mserp_account",
            "mserp_Orders(mserp_number,mserp_Customer(mserp_alias))",
            "mserp_dataAreaId_id,mserp_dataAreaId_id/$ref()",
        ]
    );
    let orders = &request.read.expands[0];
    assert_eq!((orders.tree.top_count, orders.tree.orders.len()), (2, 1));
    assert_eq!(render(orders.tree.criteria.as_ref().unwrap()), "mserp_total GreaterThan [5]");
    assert_eq!(orders.expands[0].navigation, "mserp_Customer");
    assert!(
        orders.link_options.starts_with("$select=mserp_number&$filter="),
        "{}",
        orders.link_options
    );
    assert!(request.read.expands[1].references_only);
    lowered(&request.read).unwrap();
    let refused = |query: &str, part: &str| {
        let error = asked(fixture::CUSTOMERS, &format!("$expand={query}")).unwrap_err();
        assert!(error.to_string().contains(part), "{query}: {error}");
        assert_eq!(error.platform().0.as_u16(), 400, "{query}: {error}");
    };
    refused(
        "mserp_Orders/$ref",
        "Expand with $ref is only supported on lookup type navigation property.",
    );
    refused("mserp_dataAreaId_id($top=1)", {
        "Only $select and $filter clause can be provided while doing $expand on many-to-one relationship or \
         nested one-to-many relationship."
    });
    refused(
        "mserp_Orders($expand=mserp_Customer($expand=mserp_Orders($top=1)))",
        "Only $select and $filter",
    );
    refused("mserp_dataAreaId_id/$ref($expand=x)", {
        "The navigation property 'mserp_dataAreaId_id' cannot be expanded. Only many-to-one relationships"
    });
    refused("mserp_Orders($skip=1)", "The query parameter '$skip' is not supported.");
    refused("mserp_Orders($levels=2)", "'$levels'");
    refused("mserp_Orders/$count", "is not supported");
    refused("*", "name one navigation property");
    refused("nope", "'nope'");
    refused("mserp_Orders,mserp_Orders", "more than once");
    let deep = |levels: usize| {
        (0..levels).fold("mserp_dataAreaId_id".to_owned(), |inner, level| match level % 2 {
            0 => format!("mserp_Customer($expand={inner})"),
            _ => format!("mserp_Orders($expand={inner})"),
        })
    };
    assert!(asked(fixture::ORDERS, &format!("$expand={}", deep(13))).is_ok());
    let error = asked(fixture::ORDERS, &format!("$expand={}", deep(15))).unwrap_err();
    assert!(matches!(error, GatewayError::TooManyLinks), "{error}");
}

#[test]
fn api_15_apply_filters_then_groups() {
    let request = asked(
        fixture::ORDERS,
        "$apply=filter(mserp_total gt 5)/filter(mserp_number ne null)/groupby((mserp_Customer/mserp_account,mserp_number),\
         aggregate(mserp_total with sum as total,$count as n))&$orderby=mserp_number desc&$top=3",
    )
    .unwrap();
    let tree = &request.read.tree;
    let keys: Vec<_> =
        tree.columns.iter().map(|it| (it.key.as_str(), it.group_by, it.aggregate())).collect();
    use pb::Aggregate::{Count, Sum, Unspecified};
    assert_eq!(
        keys,
        [
            ("mserp_custcustomerv3entity_mserp_account", true, Unspecified),
            ("mserp_number", true, Unspecified),
            ("total", false, Sum),
            ("n", false, Count),
        ]
    );
    assert_eq!(tree.criteria.as_ref().unwrap().conditions.len(), 2);
    assert_eq!((tree.orders[0].output.as_str(), tree.links.len()), ("mserp_number", 1));
    let provider = lowered(&request.read).unwrap();
    let nulls: Vec<_> = provider.columns.iter().map(|it| it.omit_null).collect();
    assert_eq!(nulls[..2], [true, true], "group keys that are null are left out");
    let refused = |query: &str, part: &str| {
        let error = asked(fixture::ORDERS, &format!("$apply={query}")).unwrap_err();
        assert!(error.to_string().contains(part), "{query}: {error}");
        assert_eq!(error.platform().0.as_u16(), 400, "{query}: {error}");
    };
    refused("filter(mserp_total gt 5)", "end with 'groupby' or 'aggregate'");
    refused("aggregate($count as n)/filter(n gt 5)", "Nothing can follow");
    refused("compute(1 as x)", "'compute'");
    refused("groupby((nope))", "'nope'");
    refused("aggregate($count as n,mserp_total with sum as n)", "more than one value");
    refused("aggregate($count as n)&$orderby=n", "SingleValueOpenPropertyAccess");
    refused("aggregate($count as n)&$filter=mserp_total gt 5", "'$filter'");
    refused("aggregate($count as n)&$select=n", "'$select'");
}

#[test]
fn api_17_aliases_stand_for_values() {
    let request = asked(fixture::ORDERS, "$filter=mserp_number eq @p and mserp_total gt @q&@p='x'");
    let tree = request.unwrap().read.tree;
    let found = tree.criteria.as_ref().map(render).unwrap();
    assert_eq!(
        found,
        "mserp_number Equal ['x'] and mserp_total GreaterThan [NullValue(NullMarker)]"
    );
}

#[test]
fn api_07_keys_take_lookups_and_any_order() {
    let snapshot = snapshot();
    let place = Place::all(snapshot.by_set(fixture::CUSTOMERS).unwrap());
    let company = Uuid::from_u128(fixture::USMF);
    let keyed = |key: &str| {
        let path = format!("t({key})");
        let Ok(odata::Resource::Named { key, .. }) = odata::Resource::parse(&path) else {
            panic!("{path}")
        };
        place.with_key(&key).map(|it| render(it.criteria.as_ref().unwrap()))
    };
    assert_eq!(
        keyed(&format!("mserp_account='A',_mserp_dataareaid_id_value={company}")).unwrap(),
        { format!("mserp_account Equal ['A'] and mserp_dataareaid_id Equal [{company}]") }
    );
    assert_eq!(keyed("mserp_dataareaid='usmf',mserp_account='A'").unwrap(), {
        "mserp_dataareaid Equal ['usmf'] and mserp_account Equal ['A']"
    });
    assert_eq!(keyed(&company.to_string()).unwrap(), {
        format!("mserp_custcustomerv3entityid Equal [{company}]")
    });
    for bad in ["mserp_account='A'", "5", "nope=1", "mserp_alias='x',mserp_account='A'"] {
        assert_eq!(keyed(bad).unwrap_err().platform().0.as_u16(), 400, "{bad}");
    }
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
                "mserp_Orders/any(o:", "mserp_Orders/all(p:", "o/mserp_total", "$it/mserp_account",
            ]),
            1..12,
        )
    ) {
        let _ = translated(&customers(), &words.join(" "));
    }
}
