use chrono::{TimeZone as _, Utc};
use chrono_tz::{America, Asia, Europe, Pacific};
use proptest::prelude::*;

use super::table::RECIPES;
use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// New York, 11:45:30 on Saturday 21 November 2026; a fiscal year from July in quarters.
fn here() -> (DateTime<Utc>, Calendar) {
    let fiscal = Fiscal { start_month: 7, start_day: 1, period: FiscalPeriodType::Quarterly };
    let calendar = Calendar { zone: America::New_York, week_start: Weekday::Sun, fiscal };
    (at("2026-11-21T16:45:30Z"), calendar)
}

fn dates(operator: Op, arguments: &[Argument]) -> String {
    let (now, calendar) = here();
    let span = |span: Span| match span.dates(calendar.zone) {
        Ok(Range { from, to }) => format!(
            "{}..{}",
            from.map(|it| it.to_string()).unwrap_or_default(),
            to.map(|it| it.to_string()).unwrap_or_default()
        ),
        Err(error) => error.to_string(),
    };
    match window(operator, arguments, now, &calendar) {
        Ok(Window::Within(it)) => span(it),
        Ok(Window::NotWithin(it)) => format!("not {}", span(it)),
        Ok(Window::FiscalPeriod(it)) => format!("period {it}"),
        Err(error) => error.to_string(),
    }
}

fn moments(operator: Op, arguments: &[Argument]) -> String {
    let (now, calendar) = here();
    let Ok(Window::Within(span)) = window(operator, arguments, now, &calendar) else {
        return String::from("no range");
    };
    let Range { from, to } = span.moments(calendar.zone).unwrap();
    let text = |it: Option<DateTime<Utc>>| {
        it.map(|it| it.format("%Y-%m-%dT%H:%M:%S%.f").to_string()).unwrap_or_default()
    };
    format!("{}..{}", text(from), text(to))
}

const NO_CLOCK: &str = "a column that holds dates has no hours or minutes to compare";

#[test]
fn fx_03_api_10_each_operator_is_a_range_of_days() {
    use Argument::{Day, Number as N};
    let d = Day(day("2026-02-28"));
    #[rustfmt::skip]
    let table: &[(Op, &[Argument], &str)] = &[
        (Op::On, &[d], "2026-02-28..2026-03-01"),
        (Op::NotOn, &[d], "not 2026-02-28..2026-03-01"),
        (Op::OnOrAfter, &[d], "2026-02-28.."),
        (Op::OnOrBefore, &[d], "..2026-03-01"),
        (Op::Yesterday, &[], "2026-11-20..2026-11-21"),
        (Op::Today, &[], "2026-11-21..2026-11-22"),
        (Op::Tomorrow, &[], "2026-11-22..2026-11-23"),
        (Op::LastSevenDays, &[], "2026-11-14..2026-11-22"),
        (Op::NextSevenDays, &[], "2026-11-21..2026-11-29"),
        (Op::LastWeek, &[], "2026-11-08..2026-11-15"),
        (Op::ThisWeek, &[], "2026-11-15..2026-11-22"),
        (Op::NextWeek, &[], "2026-11-22..2026-11-29"),
        (Op::LastMonth, &[], "2026-10-01..2026-11-01"),
        (Op::ThisMonth, &[], "2026-11-01..2026-12-01"),
        (Op::NextMonth, &[], "2026-12-01..2027-01-01"),
        (Op::LastYear, &[], "2025-01-01..2026-01-01"),
        (Op::ThisYear, &[], "2026-01-01..2027-01-01"),
        (Op::NextYear, &[], "2027-01-01..2028-01-01"),
        (Op::LastXHours, &[N(2)], NO_CLOCK),
        (Op::LastXDays, &[N(2)], "2026-11-19..2026-11-22"),
        (Op::LastXWeeks, &[N(2)], "2026-11-07..2026-11-22"),
        (Op::LastXMonths, &[N(2)], "2026-09-21..2026-11-22"),
        (Op::LastXYears, &[N(2)], "2024-11-21..2026-11-22"),
        (Op::NextXHours, &[N(2)], NO_CLOCK),
        (Op::NextXDays, &[N(2)], "2026-11-21..2026-11-24"),
        (Op::NextXWeeks, &[N(2)], "2026-11-21..2026-12-06"),
        (Op::NextXMonths, &[N(2)], "2026-11-21..2027-01-22"),
        (Op::NextXYears, &[N(2)], "2026-11-21..2028-11-22"),
        (Op::OlderThanXMinutes, &[N(2)], NO_CLOCK),
        (Op::OlderThanXHours, &[N(2)], NO_CLOCK),
        (Op::OlderThanXDays, &[N(2)], "..2026-11-19"),
        (Op::OlderThanXWeeks, &[N(2)], "..2026-11-07"),
        (Op::OlderThanXMonths, &[N(2)], "..2026-09-21"),
        (Op::OlderThanXYears, &[N(2)], "..2024-11-21"),
        (Op::LastFiscalPeriod, &[], "2026-07-01..2026-10-01"),
        (Op::ThisFiscalPeriod, &[], "2026-10-01..2027-01-01"),
        (Op::NextFiscalPeriod, &[], "2027-01-01..2027-04-01"),
        (Op::LastFiscalYear, &[], "2025-07-01..2026-07-01"),
        (Op::ThisFiscalYear, &[], "2026-07-01..2027-07-01"),
        (Op::NextFiscalYear, &[], "2027-07-01..2028-07-01"),
        (Op::LastXFiscalPeriods, &[N(2)], "2026-04-01..2026-11-22"),
        (Op::NextXFiscalPeriods, &[N(2)], "2026-11-21..2027-07-01"),
        (Op::LastXFiscalYears, &[N(2)], "2024-07-01..2026-11-22"),
        (Op::NextXFiscalYears, &[N(2)], "2026-11-21..2029-07-01"),
        (Op::InFiscalPeriod, &[N(4)], "period 4"),
        (Op::InFiscalYear, &[N(2023)], "2023-07-01..2024-07-01"),
        (Op::InFiscalPeriodAndYear, &[N(3), N(2023)], "2024-01-01..2024-04-01"),
        (Op::InOrAfterFiscalPeriodAndYear, &[N(3), N(2023)], "2024-01-01.."),
        (Op::InOrBeforeFiscalPeriodAndYear, &[N(3), N(2023)], "..2024-04-01"),
    ];
    let first = Op::On as i32;
    let last = Op::InOrBeforeFiscalPeriodAndYear as i32;
    for number in first..=last {
        let operator = Op::try_from(number).unwrap();
        assert!(is_date_operator(operator), "{operator:?}");
        assert!(table.iter().any(|(it, ..)| *it == operator), "{operator:?} has no row here");
    }
    assert_eq!(RECIPES.len(), table.len());
    for (operator, arguments, expected) in table {
        assert_eq!(dates(*operator, arguments), *expected, "{operator:?}");
    }
}

#[test]
fn fx_03_api_10_moments_begin_with_the_users_day_and_end_with_now() {
    use Argument::{Day, Number as N};
    #[rustfmt::skip]
    let table: &[(Op, &[Argument], &str)] = &[
        (Op::On, &[Day(day("2026-07-04"))], "2026-07-04T04:00:00..2026-07-05T04:00:00"),
        (Op::Today, &[], "2026-11-21T05:00:00..2026-11-22T05:00:00"),
        (Op::LastSevenDays, &[], "2026-11-14T05:00:00..2026-11-21T16:45:30.000001"),
        (Op::NextSevenDays, &[], "2026-11-21T16:45:30..2026-11-29T05:00:00"),
        (Op::LastXHours, &[N(2)], "2026-11-21T14:00:00..2026-11-21T16:45:30.000001"),
        (Op::NextXHours, &[N(2)], "2026-11-21T16:45:30..2026-11-21T19:00:00"),
        (Op::OlderThanXMinutes, &[N(2)], "..2026-11-21T16:43:00"),
        (Op::OlderThanXHours, &[N(2)], "..2026-11-21T14:00:00"),
        (Op::OlderThanXDays, &[N(30)], "..2026-10-22T04:00:00"),
        (Op::NextXYears, &[N(1)], "2026-11-21T16:45:30..2027-11-22T05:00:00"),
    ];
    for (operator, arguments, expected) in table {
        assert_eq!(moments(*operator, arguments), *expected, "{operator:?}");
    }
}

#[test]
fn a_day_whose_midnight_is_skipped_begins_where_the_clock_jumps_to() {
    // Beirut skips 00:00 to 01:00; Apia once skipped a whole day; Nepal's offset moved by 15 minutes.
    let cases = [
        (Asia::Beirut, "2026-03-29", "2026-03-28T22:00:00Z"),
        (Pacific::Apia, "2011-12-30", "2011-12-30T10:00:00Z"),
        (Asia::Kathmandu, "1986-01-01", "1985-12-31T18:30:00Z"),
        (Europe::Berlin, "2026-03-29", "2026-03-28T23:00:00Z"),
    ];
    for (zone, date, expected) in cases {
        assert_eq!(start_of_day(day(date), zone).unwrap(), at(expected), "{zone} {date}");
    }
}

#[test]
fn an_hour_begins_where_the_users_clock_says_so() {
    let calendar = Calendar { zone: Asia::Kolkata, ..Calendar::default() };
    let now = at("2026-11-21T16:45:30Z");
    let span = match window(Op::OlderThanXHours, &[Argument::Number(1)], now, &calendar).unwrap() {
        Window::Within(it) => it,
        other => panic!("{other:?}"),
    };
    // 22:15 in Kolkata: 21:00 there.
    assert_eq!(span.moments(calendar.zone).unwrap().to, Some(at("2026-11-21T15:30:00Z")));
}

#[test]
fn weeks_and_fiscal_years_begin_where_the_organization_says() {
    let (now, mut calendar) = here();
    calendar.week_start = Weekday::Mon;
    calendar.fiscal =
        Fiscal { start_month: 2, start_day: 29, period: FiscalPeriodType::Semiannually };
    let dates = |operator, arguments: &[Argument]| match window(operator, arguments, now, &calendar)
    {
        Ok(Window::Within(it)) => it.dates(calendar.zone).unwrap(),
        other => panic!("{other:?}"),
    };
    let range = |from, to| Range { from: Some(day(from)), to: Some(day(to)) };
    assert_eq!(dates(Op::ThisWeek, &[]), range("2026-11-16", "2026-11-23"));
    assert_eq!(dates(Op::ThisFiscalYear, &[]), range("2026-02-28", "2027-02-28"));
    assert_eq!(dates(Op::ThisFiscalPeriod, &[]), range("2026-08-29", "2027-02-28"));
    let leap = dates(Op::InFiscalYear, &[Argument::Number(2024)]);
    assert_eq!(leap, range("2024-02-29", "2025-02-28"));
}

#[test]
fn values_that_make_no_sense_are_refused() {
    use Argument::{Day, Number as N};
    let d = Day(day("2026-02-28"));
    for (operator, arguments, expected) in [
        (Op::Equal, &[d][..], "the operator does not compare dates"),
        (Op::On, &[], "the operator takes 1 value(s), not 0"),
        (Op::On, &[N(1)], "the operator takes a date"),
        (Op::LastXDays, &[d], "the operator takes a whole number"),
        (Op::LastXDays, &[N(0)], "0 is not a number of units that the operator can count"),
        (Op::Today, &[N(1)], "the operator takes 0 value(s), not 1"),
        (Op::LastXDays, &[N(i64::from(i32::MAX))], "the range reaches beyond the years 1 to 9999"),
        (Op::InFiscalPeriod, &[N(5)], "a fiscal year has 4 period(s); there is no period 5"),
        (Op::InFiscalYear, &[N(10_000)], "the range reaches beyond the years 1 to 9999"),
    ] {
        assert_eq!(dates(operator, arguments), expected, "{operator:?}");
    }
}

fn argument() -> impl Strategy<Value = Argument> {
    let numbers = prop_oneof![
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX),
        Just(i64::from(i32::MAX)),
        -3..20_000_i64,
    ];
    let days = prop_oneof![
        Just(NaiveDate::MIN),
        Just(NaiveDate::MAX),
        Just(day("9999-12-31")),
        (-400_000..4_000_000_i32).prop_filter_map("a day", NaiveDate::from_num_days_from_ce_opt),
    ];
    prop_oneof![numbers.prop_map(Argument::Number), days.prop_map(Argument::Day)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn fx_03_no_input_panics_and_every_range_runs_forward(
        operator in 0..90_i32,
        arguments in proptest::collection::vec(argument(), 0..3),
        now in prop_oneof![
            Just(DateTime::<Utc>::MIN_UTC), Just(DateTime::<Utc>::MAX_UTC),
            (-62_135_596_800..253_402_300_800_i64)
                .prop_filter_map("a moment", |it| DateTime::from_timestamp(it, 999_999_999)),
        ],
        zone in 0..chrono_tz::TZ_VARIANTS.len(),
        start_month in 0..14_u32,
        start_day in any::<u32>(),
        period in 0..5_i32,
    ) {
        let period = FiscalPeriodType::try_from(period).unwrap();
        let zone = chrono_tz::TZ_VARIANTS[zone];
        let fiscal = Fiscal { start_month, start_day, period };
        let calendar = Calendar { zone, week_start: Weekday::Sat, fiscal };
        let operator = Op::try_from(operator).unwrap_or_default();
        if let Ok(Window::Within(span) | Window::NotWithin(span)) =
            window(operator, &arguments, now, &calendar)
        {
            if let Ok(Range { from: Some(from), to: Some(to) }) = span.moments(zone) {
                prop_assert!(from <= to, "{operator:?} {from} {to}");
            }
            if let Ok(Range { from: Some(from), to: Some(to) }) = span.dates(zone) {
                prop_assert!(from < to, "{operator:?} {from} {to}");
            }
        }
    }

    #[test]
    fn a_day_begins_with_its_first_moment(days in 0..800_000_i32, zone in 0..chrono_tz::TZ_VARIANTS.len()) {
        let zone = chrono_tz::TZ_VARIANTS[zone];
        let date = NaiveDate::from_num_days_from_ce_opt(days + 1).unwrap();
        let start = start_of_day(date, zone).unwrap();
        prop_assert!(zone.from_utc_datetime(&start.naive_utc()).date_naive() >= date);
        let before = start - TimeDelta::microseconds(1);
        prop_assert!(before.with_timezone(&zone).date_naive() < date);
    }
}
