//! Expressions: what they may be, and what they say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

use std::collections::HashMap;

use proptest::prelude::*;
use rules::{Actor, Expression, InvalidExpression, Row, Value};

const FIELDS: [&str; 6] =
    ["dataAreaId", "CustomerAccount", "CreditLimit", "Blocked", "OrderCount", "InvoiceAccount"];

fn actor() -> Actor {
    let now = "2026-03-14T15:09:26.5Z".parse().unwrap();
    Actor { user: "ada".to_owned(), company: "usmf".to_owned(), now }
}

fn fields(values: &[(&str, Value)]) -> HashMap<String, Value> {
    values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn decimal(digits: &str) -> Value {
    Value::decimal(digits).unwrap()
}

fn row() -> Row {
    let fields = fields(&[
        ("dataAreaId", "usmf".into()),
        ("CustomerAccount", "US-001".into()),
        ("CreditLimit", decimal("1000.10")),
        ("Blocked", "No".into()),
        ("OrderCount", Value::Integer(3)),
    ]);
    Row { fields, old: None }
}

fn compile(text: &str) -> Result<Expression, InvalidExpression> {
    Expression::compile(text, &FIELDS)
}

#[track_caller]
fn check(text: &str, row: &Row, expected: Value) {
    let value = compile(text).unwrap().evaluate(row, &actor());
    assert_eq!(value.unwrap(), expected, "{text}");
}

#[test]
fn money_is_exact() {
    check("CreditLimit * 3", &row(), decimal("3000.30"));
    check("0.1 + 0.2 == 0.3", &row(), Value::Bool(true));
    check("CreditLimit >= 1000", &row(), Value::Bool(true));
    check("1000.10 == CreditLimit", &row(), Value::Bool(true));
    check("round(2.345, 2)", &row(), decimal("2.35"));
    check("-CreditLimit < 0", &row(), Value::Bool(true));
}

#[test]
fn fields_that_have_no_value_are_null() {
    check("InvoiceAccount", &row(), Value::Null);
    check("InvoiceAccount == ()", &row(), Value::Bool(true));
    check("InvoiceAccount ?? CustomerAccount", &row(), "US-001".into());
    check("CreditLimit != ()", &row(), Value::Bool(true));
    check("InvoiceAccount > 5", &row(), Value::Bool(false));
}

#[test]
fn the_stored_row_is_null_until_there_is_one() {
    check("old == ()", &row(), Value::Bool(true));
    check("old.CreditLimit", &row(), Value::Null);
    let stored = fields(&[("CreditLimit", decimal("500"))]);
    let changed = Row { old: Some(stored), ..row() };
    check("old == ()", &changed, Value::Bool(false));
    check("CreditLimit <= old.CreditLimit * 2", &changed, Value::Bool(false));
    check("old.CreditLimit", &changed, decimal("500"));
    check("old.InvoiceAccount", &changed, Value::Null);
}

#[test]
fn who_and_when() {
    check("user + \"@\" + company", &row(), "ada@usmf".into());
    check("today", &row(), "2026-03-14".into());
    check("now", &row(), "2026-03-14T15:09:26.500000Z".into());
    check("add_days(today, 30)", &row(), "2026-04-13".into());
    check("add_days(now, -14)", &row(), "2026-02-28".into());
    check("days_between(\"2026-03-01\", today)", &row(), Value::Integer(13));
    check("now > today && now < \"2026-03-15\"", &row(), Value::Bool(true));
}

#[test]
fn texts_and_choices() {
    check("len(trim(\"  größe \"))", &row(), Value::Integer(5));
    check("starts_with(CustomerAccount, \"US-\")", &row(), Value::Bool(true));
    check("Blocked in [\"No\", \"Invoice\"]", &row(), Value::Bool(true));
    check("OrderCount in [1, 2]", &row(), Value::Bool(false));
    check("3.0 in [OrderCount]", &row(), Value::Bool(true));
    check("Blocked !in [\"All\"]", &row(), Value::Bool(true));
    check("choose(OrderCount > 2, \"many\", \"few\")", &row(), "many".into());
    check("upper(lower(\"Ab\")) + text(1.50)", &row(), "AB1.50".into());
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    let check = |text: &str, reason: &str| {
        let error = compile(text).unwrap_err().to_string();
        assert!(error.to_lowercase().contains(reason), "{text}: {error}");
    };
    check("", "empty");
    check("CreditLimit >", "(character");
    check("1 + Unknown > 5", "no field `unknown` (character 5)");
    check("old.Unknown", "no field `unknown` (character 5)");
    check("CustomerAccount.len", "only `old` has fields");
    check("CustomerAccount.len()", "only `old` has fields");
    check("len()", "`len` takes 1 argument");
    check("sleep(5)", "no function `sleep`");
    check("eval(\"1\")", "(character");
    check("print(user)", "no function `print`");
    check("old[\"CreditLimit\"]", "not allowed");
    check("#{ a: 1 }", "not allowed");
    check("1..5", "(character");
    check("2 ** 5000", "(character");
    check("this", "(character");
    for statement in [
        "CreditLimit = 5",
        "let a = 1",
        "loop { }",
        "while true { }",
        "if true { 1 } else { 2 }",
        "{ 1 }",
        "|x| x",
        "1; 2",
        "switch 1 { _ => 2 }",
        "`${loop {}}`",
        "`${CreditLimit}`",
        "throw 1",
        "import \"a\"",
    ] {
        assert!(compile(statement).is_err(), "{statement}");
    }
    check(&"1+".repeat(5000), "longer than");
    check(&format!("{}1{}", "(".repeat(500), ")".repeat(500)), "(character");
}

#[test]
fn what_has_no_value_is_an_error() {
    let check = |text: &str, reason: &str| {
        let error = compile(text).unwrap().evaluate(&row(), &actor()).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    };
    check("9223372036854775807 + OrderCount", "verflow");
    check("79228162514264337593543950335.0 + CreditLimit", "verflow");
    check("CreditLimit / 0", "zero");
    check("OrderCount % 0", "zero");
    check("CustomerAccount - 1", "-");
    check("add_days(\"soon\", 1)", "`soon` is no date");
    check("add_days(today, 9223372036854775807)", "leaves the calendar");
    check("round(CreditLimit, 99)", "0 to 28");
    check("[1, 2]", "no value");
    let condition = compile("CreditLimit").unwrap().holds(&row(), &actor());
    assert!(condition.unwrap_err().to_string().contains("neither true nor false"));
    assert!(Value::decimal("1.00000000000000000000000000001").is_none());
}

#[test]
fn a_text_cannot_grow_without_bound() {
    let long = Value::Text("x".repeat(700_000));
    let row = Row { fields: fields(&[("CustomerAccount", long)]), old: None };
    let twice = compile("CustomerAccount + CustomerAccount").unwrap();
    assert!(twice.evaluate(&row, &actor()).is_err());
}

/// Pieces that make most texts nearly expressions.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "CreditLimit",
        "old",
        ".",
        "OrderCount",
        "(",
        ")",
        "[",
        "]",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "<",
        "in",
        "!",
        "&&",
        "||",
        "??",
        "\"a\"",
        "'b'",
        "`${",
        "}",
        "{",
        "1",
        "0",
        "2.5",
        "len",
        "round",
        "contains",
        "add_days",
        "today",
        "choose",
        ",",
        "()",
        "9223372036854775807",
        "..",
        "<<",
        ">>",
        "**",
        "if",
        "loop",
        "fn",
        "?.",
        "#{",
        ":",
        ";",
        "/*",
        "//",
        "\\u",
        "as",
    ];
    prop::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        if let Ok(it) = compile(&text) {
            let _ = it.evaluate(&row(), &actor());
        }
    }

    #[test]
    fn no_near_expression_panics(pieces in prop::collection::vec(piece(), 0..14)) {
        if let Ok(it) = compile(&pieces.join(" ")) {
            let _ = it.evaluate(&row(), &actor());
        }
    }

    #[test]
    fn integers_never_wrap(a in any::<i64>(), b in any::<i64>()) {
        let fields = fields(&[("CreditLimit", Value::Integer(a)), ("OrderCount", Value::Integer(b))]);
        let row = Row { fields, old: None };
        let sum = compile("CreditLimit + OrderCount").unwrap().evaluate(&row, &actor());
        prop_assert_eq!(sum.ok(), a.checked_add(b).map(Value::Integer));
    }
}
