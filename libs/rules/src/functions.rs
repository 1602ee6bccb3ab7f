//! The functions that an expression may call. All are pure, and take no more time than their
//! arguments are long.

use chrono::{Days, NaiveDate};
use rhai::{Array, Dynamic, Engine, EvalAltResult, Position};
use rust_decimal::{Decimal, RoundingStrategy};

type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// Names and numbers of arguments.
pub(crate) const FUNCTIONS: [(&str, usize); 13] = [
    ("len", 1),
    ("upper", 1),
    ("lower", 1),
    ("trim", 1),
    ("text", 1),
    ("contains", 2),
    ("starts_with", 2),
    ("ends_with", 2),
    ("abs", 1),
    ("round", 2),
    ("choose", 3),
    ("add_days", 2),
    ("days_between", 2),
];

pub(crate) const OPERATORS: [&str; 13] =
    ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "!", "contains"];

pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_fn("len", |it: &str| i64::try_from(it.chars().count()).unwrap_or(i64::MAX))
        .register_fn("upper", |it: &str| it.to_uppercase())
        .register_fn("lower", |it: &str| it.to_lowercase())
        .register_fn("trim", |it: &str| it.trim().to_owned())
        .register_fn("text", |it: &str| it.to_owned())
        .register_fn("text", |it: i64| it.to_string())
        .register_fn("text", |it: Decimal| it.to_string())
        .register_fn("text", |it: bool| it.to_string())
        .register_fn("contains", |text: &str, part: &str| text.contains(part))
        .register_fn("contains", |list: Array, it: Dynamic| list.iter().any(|one| same(one, &it)))
        .register_fn("starts_with", |text: &str, part: &str| text.starts_with(part))
        .register_fn("ends_with", |text: &str, part: &str| text.ends_with(part))
        .register_fn("abs", |it: Decimal| it.abs())
        .register_fn("abs", |it: i64| it.checked_abs().ok_or_else(|| failed("`abs` overflows")))
        .register_fn("round", |it: i64, _places: i64| it)
        .register_fn("round", round)
        .register_fn(
            "choose",
            |condition: bool, yes: Dynamic, no: Dynamic| {
                if condition { yes } else { no }
            },
        )
        .register_fn("add_days", add_days)
        .register_fn("days_between", days_between)
        // The stored row of a row that is being made: every field of it is null.
        .register_indexer_get(|_: &mut (), _field: &str| Dynamic::UNIT);
}

fn failed(reason: impl Into<String>) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(reason.into().into(), Position::NONE).into()
}

/// As `==` does: whole numbers equal decimals of the same size.
fn same(one: &Dynamic, other: &Dynamic) -> bool {
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return one == other;
    }
    if one.is_unit() && other.is_unit() {
        return true;
    }
    if let (Ok(one), Ok(other)) = (one.as_bool(), other.as_bool()) {
        return one == other;
    }
    let text = |it: &Dynamic| it.clone().into_immutable_string().ok();
    matches!((text(one), text(other)), (Some(one), Some(other)) if one == other)
}

fn number(it: &Dynamic) -> Option<Decimal> {
    it.as_decimal().ok().or_else(|| it.as_int().ok().map(Decimal::from))
}

/// Halves go away from zero, as PostgreSQL rounds.
fn round(value: Decimal, places: i64) -> Outcome<Decimal> {
    let places = u32::try_from(places).ok().filter(|it| *it <= Decimal::MAX_SCALE);
    let places = places.ok_or_else(|| failed("`round` takes 0 to 28 places"))?;
    Ok(value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero))
}

fn add_days(date: &str, days: i64) -> Outcome<String> {
    let start = day(date)?;
    let count = Days::new(days.unsigned_abs());
    let day = if days < 0 { start.checked_sub_days(count) } else { start.checked_add_days(count) };
    let day = day.ok_or_else(|| failed("`add_days` leaves the calendar"))?;
    Ok(day.to_string())
}

fn days_between(start: &str, end: &str) -> Outcome<i64> {
    Ok(day(end)?.signed_duration_since(day(start)?).num_days())
}

/// Of a date, or of a moment.
fn day(text: &str) -> Outcome<NaiveDate> {
    let date = text.get(..10).unwrap_or(text);
    NaiveDate::parse_from_str(date, "%Y-%m-%d").map_err(|_| failed(format!("`{text}` is no date")))
}
