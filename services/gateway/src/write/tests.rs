//! What requests mean, step by step.

use std::sync::Arc;
use std::time::Instant;

use axum::http::Method;
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use uuid::Uuid;

use super::{Asked, Assignment, ChangeSet, Planned, References, RowRef, StepAction, once, plan};
use crate::callers::Session;
use crate::error::GatewayError;
use crate::fixture::{self, CUSTOMERS, ORDERS};
use crate::http::{Ask, Preferences};
use crate::metadata::Snapshot;
use crate::translate::RowKey;

const ROOT: &str = "http://org.test:8080/api/data/v9.2";
const A: &str = "00000000-0000-0000-0000-00000000000a";
const B: &str = "00000000-0000-0000-0000-00000000000b";

fn snapshot() -> Snapshot {
    Snapshot::new(&[Some(fixture::catalog()), Some(fixture::organization())])
}

fn ask() -> Ask {
    Ask {
        session: Arc::new(Session::of_nobody()),
        deadline: Instant::now().into(),
        root: ROOT.into(),
        prefer: Preferences::default(),
        if_match: None,
        if_none_match: None,
        request_id: String::new(),
        client_request_id: None,
    }
}

/// `POST path?query`.
fn planned(
    ask: &Ask,
    line: &str,
    body: &str,
    references: &References,
    changes: &mut ChangeSet,
) -> Result<Planned, GatewayError> {
    let (method, url) = line.split_once(' ').unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let asked = Asked { method: &method, path, query, body: body.as_bytes() };
    plan(ask, &snapshot(), asked, references, changes)
}

fn steps_of(ask: &Ask, line: &str, body: &str) -> Result<Vec<String>, GatewayError> {
    let mut changes = ChangeSet::default();
    planned(ask, line, body, &References::new(), &mut changes)?;
    Ok(described(&changes))
}

/// Steps in few words: `update order 0a Number="x" Customer->customer#0`.
fn described(changes: &ChangeSet) -> Vec<String> {
    changes
        .steps
        .iter()
        .map(|it| format!("{}{}", it.table.logical_name, action(&it.action)))
        .collect()
}

fn action(action: &StepAction) -> String {
    match action {
        StepAction::Create { id, values } => {
            let id = id.map(|it| format!(" {}", short(it))).unwrap_or_default();
            format!(" create{id}{}", assignments(values))
        }
        StepAction::Update { row, values, etag } => {
            format!(" update {}{}{}", row_ref(row), assignments(values), version(etag.as_ref()))
        }
        StepAction::Upsert { key, values, create_only } => {
            let only = if *create_only { " only-create" } else { "" };
            format!(" upsert {}{}{only}", row_key(key), assignments(values))
        }
        StepAction::Delete { row, etag } => {
            format!(" delete {}{}", row_ref(row), version(etag.as_ref()))
        }
        StepAction::Perform { action, .. } => format!(" perform {action}"),
        StepAction::RequireRelated { row, navigation, other } => {
            format!(" require {} {navigation} {}", row_ref(row), row_ref(other))
        }
    }
}

fn version(etag: Option<&String>) -> String {
    etag.map(|it| format!(" if {it}")).unwrap_or_default()
}

fn assignments(values: &[Assignment]) -> String {
    values.iter().map(|it| format!(" {}", assignment(it))).collect()
}

fn assignment(assignment: &Assignment) -> String {
    match assignment {
        Assignment::Field(it) => field(it),
        Assignment::Lookup { navigation, target: None } => format!("{navigation}->"),
        Assignment::Lookup { navigation, target: Some((table, row)) } => {
            format!("{navigation}->{} {}", table.logical_name, row_ref(row))
        }
    }
}

fn field(it: &pb::FieldValue) -> String {
    let value = match it.value.as_ref().and_then(|it| it.kind.as_ref()).unwrap() {
        Kind::NullValue(_) => "null".into(),
        Kind::BoolValue(it) => it.to_string(),
        Kind::Int64Value(it) => it.to_string(),
        Kind::DoubleValue(it) => format!("{it}f"),
        Kind::DecimalValue(it) => format!("{it}d"),
        Kind::StringValue(it) => format!("{it:?}"),
        Kind::GuidValue(it) => short(Uuid::from_slice(it).unwrap()),
        Kind::DateValue(it) => it.clone(),
        Kind::TimestampMicrosValue(it) => format!("{it}us"),
    };
    format!("{}={value}", it.field)
}

fn row_ref(row: &RowRef) -> String {
    match row {
        RowRef::Key(key) => row_key(key),
        RowRef::Step(at) => format!("#{at}"),
    }
}

fn row_key(key: &RowKey) -> String {
    match key {
        RowKey::Id(id) => short(*id),
        RowKey::Alternate(values) => {
            let values: Vec<_> = values.iter().map(field).collect();
            format!("({})", values.join(","))
        }
    }
}

/// The last byte tells them apart.
fn short(id: Uuid) -> String {
    format!("{:02x}", id.as_u128() & 0xff)
}

#[track_caller]
fn check(line: &str, body: &str, expected: &[&str]) {
    check_with(&ask(), line, body, expected);
}

#[track_caller]
fn check_with(ask: &Ask, line: &str, body: &str, expected: &[&str]) {
    let steps = steps_of(ask, line, body).unwrap_or_else(|error| panic!("{line} {body}: {error}"));
    assert_eq!(steps, expected, "{line} {body}");
}

#[track_caller]
fn refuse(line: &str, body: &str, status: u16, code: &str, words: &str) {
    let error = match steps_of(&ask(), line, body) {
        Err(error) => error,
        Ok(steps) => panic!("{line} {body}: {steps:?}"),
    };
    let (actual, actual_code) = error.platform();
    let message = error.to_string();
    assert_eq!((actual.as_u16(), actual_code), (status, code), "{line} {body}: {message}");
    assert!(message.contains(words), "{line} {body}: {message}");
}

#[test]
fn bodies_are_values() {
    let post = format!("POST {CUSTOMERS}");
    let customer = "mserp_custcustomerv3entity create";
    let cases = [
        ("{}", ""),
        (r#"{"mserp_account":"a \"b\""}"#, r#" Account="a \"b\"""#),
        (r#"{"mserp_account":""}"#, r#" Account="""#),
        (r#"{"mserp_account":null}"#, " Account=null"),
        (r#"{"mserp_alias":"12345678"}"#, r#" Alias="12345678""#),
        (r#"{"mserp_alias":"äöüäöüäö"}"#, r#" Alias="äöüäöüäö""#),
        (r#"{"mserp_credit":0.10}"#, " Credit=0.10d"),
        (r#"{"mserp_credit":12345678901234567890.12}"#, " Credit=12345678901234567890.12d"),
        (r#"{"mserp_credit":12345678901234567890}"#, " Credit=12345678901234567890d"),
        (r#"{"mserp_credit":1.5e3}"#, " Credit=1500"),
        (r#"{"mserp_credit":1.5e1}"#, " Credit=15"),
        (r#"{"mserp_credit":1.25E+1}"#, " Credit=12.5d"),
        (r#"{"mserp_credit":-125e-4}"#, " Credit=-0.0125d"),
        (r#"{"mserp_credit":-7}"#, " Credit=-7"),
        (r#"{"mserp_credit":"10.25"}"#, " Credit=10.25d"),
        (r#"{"mserp_visits":2147483647}"#, " Visits=2147483647"),
        (r#"{"mserp_visits":2.0}"#, " Visits=2"),
        (r#"{"mserp_visits":1.2e1}"#, " Visits=12"),
        (r#"{"mserp_visits":-0}"#, " Visits=0"),
        (r#"{"mserp_blocked":200000001}"#, r#" Blocked="Invoice""#),
        (r#"{"mserp_opened":"2026-11-21"}"#, " Opened=2026-11-21"),
        (r#"{"mserp_opened":"2026-11-21T00:00:00Z"}"#, " Opened=2026-11-21"),
        (r#"{"mserp_opened":"2026-11-21T00:00:00+02:00"}"#, " Opened=2026-11-21"),
        (r#"{"mserp_changed":"1970-01-01T00:00:01Z"}"#, " Changed=1000000us"),
        (r#"{"mserp_changed":"1970-01-01T00:00:01"}"#, " Changed=1000000us"),
        (r#"{"mserp_changed":"1970-01-01T00:00:01.1234567Z"}"#, " Changed=1123456us"),
        (r#"{"mserp_changed":"1970-01-01T01:00:00+01:00"}"#, " Changed=0us"),
        (r#"{"mserp_changed":"1970-01-02"}"#, " Changed=86400000000us"),
        (r##"{"@odata.type":"#x","@odata.etag":"W/\"1\"","mserp_alias@odata.type":"y"}"##, ""),
        (r#"{"a@OData.Community.Display.V1.FormattedValue":"x"}"#, ""),
    ];
    for (body, values) in cases {
        check(&post, body, &[&format!("{customer}{values}")]);
    }
    let own = format!(r#"{{"mserp_custcustomerv3entityid":"{{{A}}}"}}"#);
    check(&post, &own, &[&format!("{customer} 0a")]);
    check(&post, r#"{"mserp_custcustomerv3entityid":null}"#, &[customer]);
    let none = Uuid::nil();
    let body = format!(r#"{{"mserp_custcustomerv3entityid":"{none}"}}"#);
    refuse(&post, &body, 400, "0x80040203", "Expected non-empty Guid.");
    let patch = format!("PATCH {CUSTOMERS}({none})");
    refuse(&patch, "{}", 400, "0x80040203", "Expected non-empty Guid.");
}

#[test]
fn bodies_that_do_not_fit_are_refused() {
    let post = format!("POST {CUSTOMERS}");
    let syntax = [
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        r#"{"mserp_alias":"x""#,
        r#"{"mserp_alias":"x",}"#,
        r#"{"mserp_alias":1,"mserp_alias":2}"#,
    ];
    for body in syntax {
        refuse(&post, body, 400, "0x80048d19", "mserp_custcustomerv3entities");
    }
    let wrong = [
        ("mserp_account", "1", "Edm.String"),
        ("mserp_account", "true", "Edm.String"),
        ("mserp_account", "[]", "Edm.String"),
        ("mserp_account", "{}", "Edm.String"),
        ("mserp_credit", "true", "Edm.Decimal"),
        ("mserp_credit", "\"ten\"", "Edm.Decimal"),
        ("mserp_credit", "\"1.\"", "Edm.Decimal"),
        ("mserp_credit", "\"\"", "Edm.Decimal"),
        ("mserp_credit", "1e400", "Edm.Decimal"),
        ("mserp_credit", "1e-400", "Edm.Decimal"),
        ("mserp_credit", "1e99999999999", "Edm.Decimal"),
        ("mserp_visits", "1.5", "Edm.Int32"),
        ("mserp_visits", "2147483648", "Edm.Int32"),
        ("mserp_visits", "1e10", "Edm.Int32"),
        ("mserp_visits", "\"1\"", "Edm.Int32"),
        ("mserp_blocked", "\"Invoice\"", "Edm.Int32"),
        ("mserp_blocked", "1.5", "Edm.Int32"),
        ("mserp_opened", "\"2026-11-21T10:00:00Z\"", "Edm.DateTimeOffset"),
        ("mserp_opened", "\"2026-02-30\"", "Edm.DateTimeOffset"),
        ("mserp_opened", "20261121", "Edm.DateTimeOffset"),
        ("mserp_changed", "\"yesterday\"", "Edm.DateTimeOffset"),
        ("mserp_changed", "\"2026-11-21T25:00:00Z\"", "Edm.DateTimeOffset"),
        ("mserp_custcustomerv3entityid", "\"x\"", "Edm.Guid"),
    ];
    let day = r#"{"mserp_opened":"2026-02-30"}"#;
    refuse(&post, day, 400, "0x80048d19", "'Edm.DateTimeOffset', and not '2026-02-30'.");
    for (property, value, kind) in wrong {
        let body = format!("{{\"{property}\":{value}}}");
        refuse(&post, &body, 400, "0x80048d19", property);
        refuse(&post, &body, 400, "0x80048d19", kind);
    }
    refuse(&post, r#"{"mserp_blocked":7}"#, 400, "0x80040203", "mserp_blocked");
    refuse(&post, r#"{"mserp_blocked":99999999999}"#, 400, "0x80040203", "mserp_blocked");
    let long = "The length of the 'mserp_alias' attribute of the 'mserp_custcustomerv3entity' entity \
                exceeded the maximum allowed length of '8'.";
    refuse(&post, r#"{"mserp_alias":"123456789"}"#, 400, "0x80044331", long);
    refuse(&post, r#"{"nope":1}"#, 400, "0x0", "Could not find a property named 'nope'");
    refuse(&post, r#"{"MSERP_ALIAS":"x"}"#, 400, "0x0", "MSERP_ALIAS");
    let deep = format!("{{\"mserp_alias\":{}{}}}", "[".repeat(70), "]".repeat(70));
    refuse(&post, &deep, 400, "0x80048d19", "levels");
}

#[test]
fn what_cannot_be_given_a_value_is_refused() {
    let text = |it: &str| format!("not allowed for field 'mserp_custcustomerv3entity.{it}'");
    for (property, value) in [
        ("mserp_primaryfield", "\"x\"".to_owned()),
        ("_mserp_dataareaid_id_value", format!("\"{A}\"")),
    ] {
        let body = format!("{{\"{property}\":{value}}}");
        let words = text(property);
        refuse(&format!("POST {CUSTOMERS}"), &body, 400, "0x80048d0b", &format!("create {words}"));
        let patch = format!("PATCH {CUSTOMERS}({A})");
        refuse(&patch, &body, 400, "0x80048d0b", &format!("update {words}"));
    }
    let body = format!(r#"{{"mserp_custcustomerv3entityid":"{B}"}}"#);
    let words = text("mserp_custcustomerv3entityid");
    refuse(&format!("PATCH {CUSTOMERS}({A})"), &body, 400, "0x80048d0b", &words);
}

#[test]
fn rows_lead_to_rows() {
    let post = format!("POST {ORDERS}");
    let order = "mserp_order create mserp_Customer->mserp_custcustomerv3entity";
    let addresses = [
        format!("{CUSTOMERS}({A})"),
        format!("/{CUSTOMERS}({A})"),
        format!("{CUSTOMERS}({})", A.to_uppercase()),
        format!("{ROOT}/{CUSTOMERS}({A})"),
        format!("HTTPS://ORG.test:8080/api/data/v9.0/{CUSTOMERS}({A})"),
        format!("/api/data/v9.2/{CUSTOMERS}({A})/"),
        format!("{CUSTOMERS}(mserp_custcustomerv3entityid={A})"),
    ];
    for address in addresses {
        let body = format!(r#"{{"mserp_Customer@odata.bind":"{address}"}}"#);
        check(&post, &body, &[&format!("{order} 0a")]);
    }
    let alternate = format!("{CUSTOMERS}(mserp_account='C 1',mserp_dataareaid='usmf')");
    let expected = format!(r#"{order} (Account="C 1",dataAreaId="usmf")"#);
    for address in [alternate.clone(), alternate.replace('\'', "%27").replace(' ', "%20")] {
        let body = format!(r#"{{"mserp_Customer@odata.bind":"{address}"}}"#);
        check(&post, &body, &[&expected]);
    }
    let odd = format!("{CUSTOMERS}(mserp_account='a?/b#',mserp_dataareaid='usmf')");
    let body = format!(r#"{{"mserp_Customer@odata.bind":"{odd}"}}"#);
    check(&post, &body, &[&format!(r#"{order} (Account="a?/b#",dataAreaId="usmf")"#)]);
    for nothing in ["mserp_Customer@odata.bind", "mserp_Customer"] {
        let body = format!(r#"{{"{nothing}":null}}"#);
        check(&post, &body, &["mserp_order create"]);
        let cleared = "mserp_order update 0b mserp_Customer->";
        let existing = Ask { if_match: Some("*".into()), ..ask() };
        check_with(&existing, &format!("PATCH {ORDERS}({B})"), &body, &[cleared]);
    }
}

#[test]
fn addresses_that_are_none_are_refused() {
    let post = format!("POST {ORDERS}");
    let cases = [
        (format!("http://elsewhere/api/data/v9.2/{CUSTOMERS}({A})"), "0x80060888"),
        (format!("http://org.test:8080/{CUSTOMERS}({A})"), "0x80060888"),
        ("http://org.test:8080".into(), "0x80060888"),
        (CUSTOMERS.to_owned(), "0x80060888"),
        (String::new(), "0x80060888"),
        ("$metadata".into(), "0x80048d19"),
        (format!("{CUSTOMERS}({A})/mserp_Orders"), "0x80060888"),
        (format!("{CUSTOMERS}(7)"), "0x0"),
        (format!("{CUSTOMERS}(mserp_alias='x')"), "0x0"),
        (format!("{ORDERS}({A})"), "0x80048d19"),
        ("$7".into(), "0x80048d19"),
    ];
    for (address, code) in cases {
        let body = format!(r#"{{"mserp_Customer@odata.bind":"{address}"}}"#);
        refuse(&post, &body, 400, code, "");
    }
    let by_company = format!("{CUSTOMERS}(_mserp_dataareaid_id_value={A},mserp_account='x')");
    let body = format!(r#"{{"mserp_Customer@odata.bind":"{by_company}"}}"#);
    refuse(&post, &body, 501, "0x80060888", "named by a lookup");
    let body = format!(r#"{{"mserp_Customer@odata.bind":"nothing({A})"}}"#);
    refuse(&post, &body, 404, "0x8006088a", "nothing");
    for body in [
        r#"{"mserp_Nobody@odata.bind":"x"}"#,
        r#"{"mserp_Customer@odata.bind":7}"#,
        r#"{"mserp_Customer@odata.bind":[]}"#,
        r#"{"mserp_Customer":"x"}"#,
        r#"{"mserp_Customer":[]}"#,
        r#"{"mserp_Customer":null,"mserp_Customer@odata.bind":null}"#,
    ] {
        refuse(&post, body, 400, "0x80048d19", "mserp_");
    }
}

#[test]
fn rows_are_made_within_rows() {
    let body = r#"{"mserp_number":"1","mserp_Customer":{"mserp_account":"C"}}"#;
    check(
        &format!("POST {ORDERS}"),
        body,
        &[
            r#"mserp_custcustomerv3entity create Account="C""#,
            r#"mserp_order create Number="1" mserp_Customer->mserp_custcustomerv3entity #0"#,
        ],
    );
    let body = format!(
        r#"{{"mserp_account":"C","mserp_Orders":[{{"mserp_number":"1"}},{{"mserp_number":"2"}}],
            "mserp_Orders@odata.bind":["{ORDERS}({A})"]}}"#
    );
    refuse(&format!("POST {CUSTOMERS}"), &body, 400, "0x80048d19", "mserp_Orders");
    let body = r#"{"mserp_account":"C","mserp_Orders":[{"mserp_number":"1"},{}]}"#;
    let lead = "mserp_Customer->mserp_custcustomerv3entity #0";
    check(
        &format!("POST {CUSTOMERS}"),
        body,
        &[
            r#"mserp_custcustomerv3entity create Account="C""#,
            &format!(r#"mserp_order create Number="1" {lead}"#),
            &format!("mserp_order create {lead}"),
        ],
    );
    let body = format!(r#"{{"mserp_Orders@odata.bind":["{ORDERS}({A})","/{ORDERS}({B})"]}}"#);
    check(
        &format!("POST {CUSTOMERS}"),
        &body,
        &[
            "mserp_custcustomerv3entity create",
            &format!("mserp_order update 0a {lead}"),
            &format!("mserp_order update 0b {lead}"),
        ],
    );
    let deep = r#"{"cdm_companycode":"X","mserp_cdm_company_CustCustomerV3Entity_dataAreaId":
        [{"mserp_Orders":[{}]}]}"#;
    check(
        "POST cdm_companies",
        deep,
        &[
            r#"cdm_company create cdm_companycode="X""#,
            "mserp_custcustomerv3entity create mserp_dataAreaId_id->cdm_company #0",
            "mserp_order create mserp_Customer->mserp_custcustomerv3entity #1",
        ],
    );
    for body in [r#"{"mserp_Orders":[1]}"#, r#"{"mserp_Orders":{}}"#, r#"{"mserp_Orders":null}"#] {
        refuse(&format!("POST {CUSTOMERS}"), body, 400, "0x80048d19", "mserp_Orders");
    }
    let nested = r#"{"mserp_Customer":{}}"#;
    refuse(&format!("PATCH {ORDERS}({A})"), nested, 400, "0x80048d19", "mserp_Customer");
    let many = format!(r#"{{"mserp_Orders":[{}{{}}]}}"#, "{},".repeat(5_000));
    refuse(&format!("POST {CUSTOMERS}"), &many, 400, "0x80060888", "5000 rows");
}

#[test]
fn rows_are_made_where_they_lead() {
    check(
        &format!("POST {CUSTOMERS}({A})/mserp_Orders"),
        r#"{"mserp_number":"1"}"#,
        &[r#"mserp_order create Number="1" mserp_Customer->mserp_custcustomerv3entity 0a"#],
    );
    let again = format!(r#"{{"mserp_Customer@odata.bind":"{CUSTOMERS}({B})"}}"#);
    let post = format!("POST {CUSTOMERS}({A})/mserp_Orders");
    refuse(&post, &again, 400, "0x80048d19", "mserp_Customer");
}

#[test]
fn a_company_is_given_once() {
    let both = format!(
        r#"{{"mserp_dataareaid":"usmf","mserp_dataAreaId_id@odata.bind":"cdm_companies({A})"}}"#
    );
    let text = "The same external field was defined by more than one logical field, which is not \
                supported. LogicalFields:[mserp_dataareaid_id, mserp_dataareaid] ExternalField: \
                dataAreaId Action: ";
    let create = format!("{text}Create");
    refuse(&format!("POST {CUSTOMERS}"), &both, 400, "0x80048d0b", &create);
    let update = format!("{text}Update");
    refuse(&format!("PATCH {CUSTOMERS}({A})"), &both, 400, "0x80048d0b", &update);
    let body = format!(r#"{{"mserp_dataAreaId_id@odata.bind":"cdm_companies({A})"}}"#);
    let expected = "mserp_custcustomerv3entity create mserp_dataAreaId_id->cdm_company 0a";
    check(&format!("POST {CUSTOMERS}"), &body, &[expected]);
}

#[test]
fn conditions_say_what_a_patch_is() {
    let patch = format!("PATCH {CUSTOMERS}({A})");
    let body = r#"{"mserp_alias":"x"}"#;
    let customer = "mserp_custcustomerv3entity";
    let check_conditions = |if_match: Option<&str>, if_none_match: Option<&str>, expected: &str| {
        let [if_match, if_none_match] = [if_match, if_none_match].map(|it| it.map(str::to_owned));
        let ask = Ask { if_match, if_none_match, ..ask() };
        for line in [patch.clone(), patch.replace("PATCH", "PUT")] {
            check_with(&ask, &line, body, &[&format!("{customer} {expected}")]);
        }
    };
    check_conditions(None, None, r#"upsert 0a Alias="x""#);
    check_conditions(Some("*"), None, r#"update 0a Alias="x""#);
    check_conditions(Some("W/\"7\""), None, r#"update 0a Alias="x" if W/"7""#);
    check_conditions(None, Some("*"), r#"upsert 0a Alias="x" only-create"#);
    for (if_match, if_none_match) in [(None, Some("W/\"7\"")), (Some("*"), Some("*"))] {
        let [if_match, if_none_match] = [if_match, if_none_match].map(|it| it.map(str::to_owned));
        let ask = Ask { if_match, if_none_match, ..ask() };
        assert!(steps_of(&ask, &patch, body).is_err());
    }
    let versioned = Ask { if_match: Some("W/\"7\"".into()), ..ask() };
    let delete = format!("DELETE {CUSTOMERS}({A})");
    check_with(&versioned, &delete, "", &[&format!("{customer} delete 0a if W/\"7\"")]);
    check(&delete, "", &[&format!("{customer} delete 0a")]);
}

#[test]
fn values_of_the_key_may_be_repeated() {
    let patch = format!("PATCH {CUSTOMERS}(mserp_dataareaid='usmf',mserp_account='C1')");
    let upsert = r#"mserp_custcustomerv3entity upsert (dataAreaId="usmf",Account="C1")"#;
    let same = r#"{"mserp_account":"C1","mserp_dataareaid":"usmf","mserp_alias":"x"}"#;
    check(&patch, same, &[&format!(r#"{upsert} Alias="x""#)]);
    check(&patch, r#"{"mserp_account":"C2"}"#, &[&format!(r#"{upsert} Account="C2""#)]);
    let own = format!(r#"{{"mserp_custcustomerv3entityid":"{}"}}"#, A.to_uppercase());
    let by_id = "mserp_custcustomerv3entity upsert 0a";
    check(&format!("PATCH {CUSTOMERS}({A})"), &own, &[by_id]);
    refuse(&patch, &own, 400, "0x80048d0b", "mserp_custcustomerv3entityid");
    let null = format!("PATCH {CUSTOMERS}(mserp_dataareaid='usmf',mserp_account=null)");
    refuse(&null, "{}", 400, "0x0", "'(mserp_dataareaid='usmf',mserp_account=null)'");
}

#[test]
fn what_cannot_be_changed_may_be_given_as_it_is() {
    let mut catalog = fixture::catalog();
    for column in &mut catalog.tables[0].columns {
        if ["mserp_account", "mserp_dataareaid", "mserp_credit"].contains(&&*column.logical_name) {
            (column.valid_for_create, column.valid_for_update) = (true, false);
        }
    }
    let snapshot = Snapshot::new(&[Some(catalog), Some(fixture::organization())]);
    let ask = Ask { if_match: Some("*".into()), ..ask() };
    let update = |key: &str, body: &str| {
        let path = format!("{CUSTOMERS}({key})");
        let asked = Asked { method: &Method::PATCH, path: &path, query: "", body: body.as_bytes() };
        let mut changes = ChangeSet::default();
        plan(&ask, &snapshot, asked, &References::new(), &mut changes)?;
        Ok::<_, GatewayError>(described(&changes).concat())
    };
    let key = "mserp_dataareaid='usmf',mserp_account='C1'";
    let by_key = r#"mserp_custcustomerv3entity update (dataAreaId="usmf",Account="C1")"#;
    let same = r#"{"mserp_account":"c1","mserp_dataareaid":"USMF","mserp_alias":"x"}"#;
    assert_eq!(update(key, same).unwrap(), format!(r#"{by_key} Alias="x""#));
    // Only the store knows what they are.
    let by_id = "mserp_custcustomerv3entity update 0a";
    assert_eq!(update(A, r#"{"mserp_account":"C1"}"#).unwrap(), format!(r#"{by_id} Account="C1""#));
    let company = format!(r#"{{"mserp_dataAreaId_id@odata.bind":"cdm_companies({B})"}}"#);
    let stays = format!("{by_id} mserp_dataAreaId_id->cdm_company 0b");
    assert_eq!(update(A, &company).unwrap(), stays);
    for (key, body) in [
        (key, r#"{"mserp_account":"C2"}"#),
        (key, r#"{"mserp_account":null}"#),
        (A, r#"{"mserp_credit":1}"#),
        (A, r#"{"mserp_dataAreaId_id@odata.bind":null}"#),
    ] {
        let refused = update(key, body).unwrap_err().to_string();
        assert!(refused.starts_with("update not allowed for field"), "{body}: {refused}");
    }
}

#[test]
fn single_properties_are_put_and_deleted() {
    let customer = "mserp_custcustomerv3entity update 0a";
    let path = format!("{CUSTOMERS}({A})/mserp_credit");
    check(&format!("PUT {path}"), r#"{"value":1.50}"#, &[&format!("{customer} Credit=1.50d")]);
    check(&format!("PUT {path}"), r#"{"value":null}"#, &[&format!("{customer} Credit=null")]);
    check(&format!("DELETE {path}"), "", &[&format!("{customer} Credit=null")]);
    refuse(&format!("PUT {path}"), "{}", 400, "0x80048d19", "'value'");
    refuse(&format!("PUT {path}"), r#"{"value":true}"#, 400, "0x80048d19", "mserp_credit");
    for path in ["mserp_primaryfield", "mserp_custcustomerv3entityid", "_mserp_dataareaid_id_value"]
    {
        let line = format!("DELETE {CUSTOMERS}({A})/{path}");
        refuse(&line, "", 400, "0x80048d0b", path);
    }
    refuse(&format!("PATCH {path}"), "{}", 405, "0x80060888", "PATCH");
    refuse(&format!("DELETE {path}/$value"), "", 404, "0x8006088a", "$value");
}

#[test]
fn references_relate_rows() {
    let to = |set: &str| format!(r#"{{"@odata.id":"{ROOT}/{set}({B})"}}"#);
    let lead = "mserp_Customer->mserp_custcustomerv3entity";
    let many = format!("{CUSTOMERS}({A})/mserp_Orders");
    let one = format!("{ORDERS}({A})/mserp_Customer");
    check(
        &format!("POST {many}/$ref"),
        &to(ORDERS),
        &[&format!("mserp_order update 0b {lead} 0a")],
    );
    check(
        &format!("PUT {one}/$ref"),
        &to(CUSTOMERS),
        &[&format!("mserp_order update 0a {lead} 0b")],
    );
    let taken = [
        "mserp_custcustomerv3entity require 0a mserp_Orders 0b",
        "mserp_order update 0b mserp_Customer->",
    ];
    check(&format!("DELETE {many}({B})/$ref"), "", &taken);
    check(&format!("DELETE {many}/$ref?$id={ROOT}/{ORDERS}({B})"), "", &taken);
    check(&format!("DELETE {many}/$ref?%24id=/{ORDERS}%28{B}%29"), "", &taken);
    check(&format!("DELETE {one}/$ref"), "", &["mserp_order update 0a mserp_Customer->"]);
    check(
        &format!("DELETE {one}/$ref?$id={CUSTOMERS}({B})"),
        "",
        &["mserp_order require 0a mserp_Customer 0b", "mserp_order update 0a mserp_Customer->"],
    );
    refuse(&format!("DELETE {many}/$ref"), "", 400, "0x80060888", "$id");
    refuse(&format!("DELETE {many}({B})/$ref?$id={ORDERS}({B})"), "", 400, "0x80060888", "twice");
    refuse(&format!("POST {many}/$ref"), "{}", 400, "0x80048d19", "@odata.id");
    refuse(&format!("POST {many}/$ref"), &to(CUSTOMERS), 400, "0x80048d19", "mserp_order");
    refuse(&format!("POST {one}/$ref"), &to(CUSTOMERS), 405, "0x80060888", "POST");
    refuse(&format!("PUT {many}/$ref"), &to(ORDERS), 405, "0x80060888", "PUT");
    refuse(&format!("PUT {many}({B})/$ref"), &to(ORDERS), 405, "0x80060888", "PUT");
    refuse(&format!("DELETE {one}({B})/$ref"), "", 405, "0x80060888", "DELETE");
    refuse(
        &format!("POST {CUSTOMERS}({A})/nothing/$ref"),
        &to(ORDERS),
        404,
        "0x8006088a",
        "nothing",
    );
}

#[test]
fn rows_are_written_many_at_a_time() {
    let post = |message: &str| format!("POST {CUSTOMERS}/Microsoft.Dynamics.CRM.{message}");
    let typed = |members: &str| {
        format!(
            r##"{{"@odata.type":"#Microsoft.Dynamics.CRM.mserp_custcustomerv3entity"{members}}}"##
        )
    };
    let targets = |items: &[String]| format!(r#"{{"Targets":[{}]}}"#, items.join(","));
    let customer = "mserp_custcustomerv3entity";
    let two = targets(&[typed(r#","mserp_alias":"a""#), typed("").replace('#', "")]);
    let made = [format!(r#"{customer} create Alias="a""#), format!("{customer} create")];
    check(&post("CreateMultiple"), &two, &made.each_ref().map(String::as_str));
    let id = format!(r#","mserp_custcustomerv3entityid":"{A}","mserp_alias":"a""#);
    let key = format!(
        r#","@odata.id":"{CUSTOMERS}(mserp_dataareaid='usmf',mserp_account='C')","mserp_credit":1"#
    );
    let both = targets(&[typed(&id), typed(&key)]);
    let by_key = r#"(dataAreaId="usmf",Account="C") Credit=1"#;
    for (message, verb) in [("UpdateMultiple", "update"), ("UpsertMultiple", "upsert")] {
        let expected =
            [format!(r#"{customer} {verb} 0a Alias="a""#), format!("{customer} {verb} {by_key}")];
        check(&post(message), &both, &expected.each_ref().map(String::as_str));
    }
    check(&post("CreateMultiple"), r#"{"Targets":[]}"#, &[]);
    let bad = [
        ("CreateMultiple", r#"{"Targets":[{"mserp_alias":"a"}]}"#.to_owned(), "@odata.type"),
        ("CreateMultiple", r#"{"Targets":[{"@odata.type":"x"}]}"#.to_owned(), "@odata.type"),
        ("CreateMultiple", r#"{"Targets":[7]}"#.to_owned(), "a number"),
        ("CreateMultiple", r#"{"Targets":{}}"#.to_owned(), "Targets"),
        ("CreateMultiple", "{}".to_owned(), "Targets"),
        ("UpdateMultiple", targets(&[typed("")]), "mserp_custcustomerv3entityid"),
    ];
    for (message, body, words) in bad {
        refuse(&post(message), &body, 400, "0x80048d19", words);
    }
    let words = "DeleteMultiple has not yet been implemented.";
    refuse(&post("DeleteMultiple"), &two, 400, "0x80040800", words);
    refuse(&post("NoMessage"), "{}", 404, "0x8006088a", "NoMessage");
    refuse(&format!("POST {CUSTOMERS}/Other.CreateMultiple"), &two, 404, "0x8006088a", "Other");
    let get = post("CreateMultiple").replace("POST", "PATCH");
    refuse(&get, &two, 405, "0x80060888", "PATCH");
}

#[test]
fn requests_name_rows_of_others() {
    let (ask, mut changes, mut references) = (ask(), ChangeSet::default(), References::new());
    let customers = format!("POST {CUSTOMERS}");
    let first = planned(&ask, &customers, "{}", &references, &mut changes).unwrap();
    assert_eq!(first.steps, 0..1);
    references.insert("1".into(), first.row.unwrap());
    let body = r#"{"mserp_Customer@odata.bind":"$1"}"#;
    let second = planned(&ask, &format!("POST {ORDERS}"), body, &references, &mut changes).unwrap();
    assert_eq!(second.steps, 1..2);
    references.insert("2".into(), second.row.unwrap());
    let within = r#"{"mserp_Customer":{"mserp_alias":"x"}}"#;
    let third =
        planned(&ask, &format!("POST {ORDERS}"), within, &references, &mut changes).unwrap();
    assert_eq!(third.steps, 2..4);
    let mut add = |line: &str, body: &str| {
        planned(&ask, line, body, &references, &mut changes).unwrap();
    };
    add("PATCH $2", r#"{"mserp_number":"7"}"#);
    add("POST $1/mserp_Orders", "{}");
    add("POST $1/mserp_Orders/$ref", r#"{"@odata.id":"$2"}"#);
    add("PUT $2/mserp_Customer/$ref", r#"{"@odata.id":"/$1"}"#);
    add("DELETE $2", "");
    let lead = "mserp_Customer->mserp_custcustomerv3entity";
    assert_eq!(
        described(&changes),
        [
            "mserp_custcustomerv3entity create".to_owned(),
            format!("mserp_order create {lead} #0"),
            r#"mserp_custcustomerv3entity create Alias="x""#.to_owned(),
            format!("mserp_order create {lead} #2"),
            r#"mserp_order update #1 Number="7""#.to_owned(),
            format!("mserp_order create {lead} #0"),
            format!("mserp_order update #1 {lead} #0"),
            format!("mserp_order update #1 {lead} #0"),
            "mserp_order delete #1".to_owned(),
        ]
    );
    let missing = planned(&ask, "PATCH $9", "{}", &references, &mut changes);
    assert!(matches!(missing, Err(GatewayError::UnknownContentId(id)) if id == "9"));
}

#[test]
fn methods_that_mean_nothing_are_refused() {
    let cases = [
        (format!("DELETE {CUSTOMERS}"), "GET, POST"),
        (format!("PATCH {CUSTOMERS}"), "GET, POST"),
        (format!("POST {CUSTOMERS}({A})"), "GET, PATCH, PUT, DELETE"),
        (format!("DELETE {CUSTOMERS}({A})/mserp_Orders"), "GET, POST"),
        (format!("PATCH {ORDERS}({A})/mserp_Customer"), "GET"),
        ("POST mserp_financeandoperationsentities".to_owned(), "GET"),
        (format!("DELETE mserp_financeandoperationsentities({A})"), "GET, PATCH"),
    ];
    for (line, allowed) in cases {
        match steps_of(&ask(), &line, "{}") {
            Err(GatewayError::MethodNotAllowed { allow, .. }) => {
                assert_eq!(allow, allowed, "{line}")
            }
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn what_cannot_be_shown_is_said_before_anything_is_done() {
    let mut ask = ask();
    ask.prefer.representation = true;
    let line = format!("POST {CUSTOMERS}?$select=nope");
    assert!(matches!(steps_of(&ask, &line, "{}"), Err(GatewayError::UnknownColumn { .. })));
    let line = format!("POST {CUSTOMERS}?$select=mserp_alias");
    assert!(steps_of(&ask, &line, "{}").is_ok());
}

#[test]
fn the_same_request_is_known_by_all_that_it_asks() {
    let ask = ask();
    let key = |id: Option<&str>, method: &Method, path: &str, body: &str| {
        let asked = Asked { method, path, query: "", body: body.as_bytes() };
        once(id, [(&ask, asked)]).map(|it| it.key)
    };
    let first = key(Some("id"), &Method::POST, "a", "{}");
    assert_eq!(first, key(Some("id"), &Method::POST, "a", "{}"));
    assert_eq!(key(None, &Method::POST, "a", "{}"), None);
    let others = [
        key(Some("other"), &Method::POST, "a", "{}"),
        key(Some("id"), &Method::PATCH, "a", "{}"),
        key(Some("id"), &Method::POST, "b", "{}"),
        key(Some("id"), &Method::POST, "a", "{ }"),
        key(Some("id"), &Method::POST, "a{", "}"),
    ];
    for other in others {
        assert_ne!(first, other);
    }
    assert!(first.is_some_and(|it| it.starts_with("http:") && it.len() < 256));
}
