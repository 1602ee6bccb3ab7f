//! Relative dates, calendar days and fiscal periods as ranges (spec FX-03, API-10): pure, and one
//! table. Boundaries are those of wire-and-semantics §1.4; where it is silent, a range of X units
//! that ends or begins with the present includes the unit that the present is in.
//!
//! [`window`] says what an operator means now, in the user's time zone; the [`Window`] then says it
//! once more as moments, for columns that hold moments, or as days, for columns that hold dates.

mod present;
mod table;

use chrono::{
    DateTime, Datelike as _, NaiveDate, NaiveTime, Offset as _, TimeDelta, TimeZone as _,
    Timelike as _, Utc, Weekday,
};
use chrono_tz::Tz;
use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator as Op;
use proto::query::v1::FiscalPeriodType;

use self::present::{Present, next};
use self::table::{Recipe, recipe};

/// Years that both PostgreSQL and the platform can write.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// How the organization and the user count days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {
    pub(crate) zone: Tz,
    pub(crate) week_start: Weekday,
    pub(crate) fiscal: Fiscal,
}

/// The organization's fiscal year, named after the calendar year it begins in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fiscal {
    /// 1 to 12.
    pub(crate) start_month: u32,
    /// 1 to 31; the last day of a shorter month.
    pub(crate) start_day: u32,
    pub(crate) period: FiscalPeriodType,
}

/// What the operators take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    Day(NaiveDate),
    Number(i64),
}

/// What an operator asks of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// The value lies in the range.
    Within(Span),
    /// It does not, or there is none.
    NotWithin(Span),
    /// It lies in this fiscal period of any year: no range, but `date_part` = this number.
    FiscalPeriod(i64),
}

/// A half-open range; an absent end is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range<T> {
    pub(crate) from: Option<T>,
    pub(crate) to: Option<T>,
}

/// A half-open range before it is known what the column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    from: Option<Edge>,
    to: Option<Edge>,
    /// Counted in hours or minutes, which a date has not.
    clock: bool,
}

/// Why an operator has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DateError {
    /// An operator that is not about dates.
    #[error("the operator does not compare dates")]
    NotADateOperator,
    /// Too few or too many values.
    #[error("the operator takes {expected} value(s), not {found}")]
    Count { expected: usize, found: usize },
    /// A number where a date belongs, or the other way round.
    #[error("the operator takes {0}")]
    Kind(&'static str),
    /// Zero or less, or more units than a calendar has.
    #[error("{0} is not a number of units that the operator can count")]
    Units(i64),
    /// `Quarter 5`.
    #[error("a fiscal year has {most} period(s); there is no period {period}")]
    Period { period: i64, most: u32 },
    /// Before year 1 or after year 9999.
    #[error("the range reaches beyond the years 1 to 9999")]
    OutOfCalendar,
    /// Hours of a column that holds dates.
    #[error("a column that holds dates has no hours or minutes to compare")]
    NoClock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// The start of this day, wherever the user is.
    Day(NaiveDate),
    Moment(DateTime<Utc>),
}

/// Whether the operator is one of these.
pub(crate) fn is_date_operator(operator: Op) -> bool {
    recipe(operator).is_some()
}

/// Whether the operator's values are days rather than numbers.
pub(crate) fn takes_days(operator: Op) -> bool {
    use Recipe::{NotOn, On, OnOrAfter, OnOrBefore};
    matches!(recipe(operator), Some(On | NotOn | OnOrAfter | OnOrBefore))
}

/// What the operator means at this moment.
pub(crate) fn window(
    operator: Op,
    arguments: &[Argument],
    now: DateTime<Utc>,
    calendar: &Calendar,
) -> Result<Window, DateError> {
    let recipe = recipe(operator).ok_or(DateError::NotADateOperator)?;
    // The platform knows no nanoseconds, and neither does PostgreSQL.
    let micros = now.nanosecond() % 1_000_000_000 / 1_000 * 1_000;
    let now = now.with_nanosecond(micros).ok_or(DateError::OutOfCalendar)?;
    let offset = calendar.zone.offset_from_utc_datetime(&now.naive_utc()).fix();
    let today = now
        .naive_utc()
        .checked_add_offset(offset)
        .map(|it| it.date())
        .filter(|it| YEARS.contains(&it.year()))
        .ok_or(DateError::OutOfCalendar)?;
    Present { now, today, offset_seconds: i64::from(offset.local_minus_utc()), calendar }
        .window(recipe, arguments)
}

// === impl Span ===

impl Span {
    fn days(from: Option<NaiveDate>, to: Option<NaiveDate>) -> Self {
        Self { from: from.map(Edge::Day), to: to.map(Edge::Day), clock: false }
    }

    /// For a column that holds moments.
    pub(crate) fn moments(&self, zone: Tz) -> Result<Range<DateTime<Utc>>, DateError> {
        let moment = |edge: Option<Edge>| {
            edge.map(|edge| match edge {
                Edge::Moment(it) => Ok(it),
                Edge::Day(it) => start_of_day(it, zone),
            })
            .transpose()
        };
        Ok(Range { from: moment(self.from)?, to: moment(self.to)? })
    }

    /// For a column that holds dates: every day of which the range has a part.
    pub(crate) fn dates(&self, zone: Tz) -> Result<Range<NaiveDate>, DateError> {
        if self.clock {
            return Err(DateError::NoClock);
        }
        let local = |it: DateTime<Utc>| it.with_timezone(&zone).date_naive();
        let from = self.from.map(|edge| match edge {
            Edge::Day(it) => it,
            Edge::Moment(it) => local(it),
        });
        let to = self.to.map(|edge| match edge {
            Edge::Day(it) => Ok(it),
            // The moment itself is outside; the one before it is inside.
            Edge::Moment(it) => next(local(it - TimeDelta::microseconds(1))),
        });
        Ok(Range { from, to: to.transpose()? })
    }
}

// === impl Fiscal ===

impl Fiscal {
    /// How many periods a year has.
    pub(crate) fn periods(&self) -> u32 {
        match self.period {
            FiscalPeriodType::Annually => 1,
            FiscalPeriodType::Semiannually => 2,
            FiscalPeriodType::Unspecified | FiscalPeriodType::Quarterly => 4,
            FiscalPeriodType::Monthly => 12,
        }
    }

    /// As providers are told.
    pub(crate) fn to_proto(self) -> pb::FiscalCalendar {
        pb::FiscalCalendar {
            start_month: self.start_month.cast_signed(),
            start_day: self.start_day.cast_signed(),
            period_type: self.period.into(),
        }
    }
}

// === impl Calendar ===

impl Default for Calendar {
    /// UTC, weeks from Sunday, quarters from the first of January.
    fn default() -> Self {
        Self {
            zone: Tz::UTC,
            week_start: Weekday::Sun,
            fiscal: Fiscal { start_month: 1, start_day: 1, period: FiscalPeriodType::Quarterly },
        }
    }
}

/// The first moment of a day: where clocks jump over midnight, the moment that they jump to.
pub(crate) fn start_of_day(day: NaiveDate, zone: Tz) -> Result<DateTime<Utc>, DateError> {
    let midnight = day.and_time(NaiveTime::MIN);
    if let Some(found) = zone.from_local_datetime(&midnight).earliest() {
        return Ok(found.with_timezone(&Utc));
    }
    // The clock jumped over midnight: look for the jump, which no zone makes twice in these days.
    let (mut before, mut behind) = (-26 * 3600_i64, 26 * 3600_i64);
    let at = |seconds| midnight.and_utc().checked_add_signed(TimeDelta::seconds(seconds));
    while behind - before > 1 {
        let middle = i64::midpoint(before, behind);
        let moment = at(middle).ok_or(DateError::OutOfCalendar)?;
        if moment.with_timezone(&zone).naive_local() < midnight {
            before = middle;
        } else {
            behind = middle;
        }
    }
    at(behind).ok_or(DateError::OutOfCalendar)
}

#[cfg(test)]
mod tests;
