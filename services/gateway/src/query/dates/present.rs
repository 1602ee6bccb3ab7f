//! From what an operator means to the days and moments that it means at present.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, TimeDelta, Utc};

use super::table::{Recipe, Unit};
use super::{Argument, Calendar, DateError, Edge, Span, Window, YEARS};

/// The present, by the user's calendar.
pub(super) struct Present<'a> {
    pub(super) now: DateTime<Utc>,
    /// Where the user is.
    pub(super) today: NaiveDate,
    pub(super) offset_seconds: i64,
    pub(super) calendar: &'a Calendar,
}

// === impl Present ===

impl Present<'_> {
    pub(super) fn window(
        &self,
        recipe: Recipe,
        arguments: &[Argument],
    ) -> Result<Window, DateError> {
        let span = match recipe {
            Recipe::On => Span::days(Some(day(arguments)?), Some(next(day(arguments)?)?)),
            Recipe::NotOn => {
                let span = Span::days(Some(day(arguments)?), Some(next(day(arguments)?)?));
                return Ok(Window::NotWithin(span));
            }
            Recipe::OnOrAfter => Span::days(Some(day(arguments)?), None),
            Recipe::OnOrBefore => Span::days(None, Some(next(day(arguments)?)?)),
            Recipe::Whole(unit, ahead) => {
                let [] = numbers(arguments)?;
                let start = self.shift(unit, self.start(unit, self.today)?, ahead)?;
                Span::days(Some(start), Some(self.shift(unit, start, 1)?))
            }
            Recipe::LastSeven => {
                let [] = numbers(arguments)?;
                self.last(Unit::Day, 7)?
            }
            Recipe::NextSeven => {
                let [] = numbers(arguments)?;
                self.next(Unit::Day, 7)?
            }
            Recipe::Last(unit) => self.last(unit, units(arguments)?)?,
            Recipe::Next(unit) => self.next(unit, units(arguments)?)?,
            Recipe::Older(unit) => {
                let to = self.ago(unit, units(arguments)?)?;
                Span { from: None, to: Some(to), clock: unit.is_clock() }
            }
            Recipe::InPeriod => {
                let [period] = numbers(arguments)?;
                self.period(period)?;
                return Ok(Window::FiscalPeriod(period));
            }
            Recipe::InYear => {
                let [year] = numbers(arguments)?;
                let start = self.fiscal_start(year, 0)?;
                Span::days(Some(start), Some(self.shift(Unit::FiscalYear, start, 1)?))
            }
            Recipe::InPeriodAndYear => {
                let (start, end) = self.period_of_year(arguments)?;
                Span::days(Some(start), Some(end))
            }
            Recipe::FromPeriodAndYear => Span::days(Some(self.period_of_year(arguments)?.0), None),
            Recipe::UntilPeriodAndYear => Span::days(None, Some(self.period_of_year(arguments)?.1)),
        };
        Ok(Window::Within(span))
    }

    fn last(&self, unit: Unit, count: i64) -> Result<Span, DateError> {
        let behind = TimeDelta::microseconds(1);
        let to = self.now.checked_add_signed(behind).ok_or(DateError::OutOfCalendar)?;
        Ok(Span {
            from: Some(self.ago(unit, count)?),
            to: Some(Edge::Moment(to)),
            clock: unit.is_clock(),
        })
    }

    fn next(&self, unit: Unit, count: i64) -> Result<Span, DateError> {
        let ahead = count.checked_add(1).ok_or(DateError::Units(count))?;
        let to = match unit {
            Unit::Minute | Unit::Hour => self.clock(unit, ahead)?,
            Unit::FiscalPeriod | Unit::FiscalYear => {
                Edge::Day(self.shift(unit, self.start(unit, self.today)?, ahead)?)
            }
            Unit::Day | Unit::Week | Unit::Month | Unit::Year => {
                Edge::Day(next(self.shift(unit, self.today, count)?)?)
            }
        };
        Ok(Span { from: Some(Edge::Moment(self.now)), to: Some(to), clock: unit.is_clock() })
    }

    /// X units before today, the present hour, or the present fiscal period.
    fn ago(&self, unit: Unit, count: i64) -> Result<Edge, DateError> {
        let back = count.checked_neg().ok_or(DateError::Units(count))?;
        match unit {
            Unit::Minute | Unit::Hour => self.clock(unit, back),
            Unit::FiscalPeriod | Unit::FiscalYear => {
                Ok(Edge::Day(self.shift(unit, self.start(unit, self.today)?, back)?))
            }
            Unit::Day | Unit::Week | Unit::Month | Unit::Year => {
                Ok(Edge::Day(self.shift(unit, self.today, back)?))
            }
        }
    }

    /// The start of the present hour or minute on the user's clock, moved by so many.
    fn clock(&self, unit: Unit, count: i64) -> Result<Edge, DateError> {
        let length = if unit == Unit::Minute { 60 } else { 3600 };
        let into = (self.now.timestamp() + self.offset_seconds).rem_euclid(length);
        count
            .checked_mul(length)
            .and_then(|it| (self.now.timestamp() - into).checked_add(it))
            .and_then(|it| DateTime::from_timestamp(it, 0))
            .filter(|it| YEARS.contains(&it.year()))
            .map(Edge::Moment)
            .ok_or(DateError::OutOfCalendar)
    }

    /// The first day of the unit that holds `date`.
    fn start(&self, unit: Unit, date: NaiveDate) -> Result<NaiveDate, DateError> {
        let start = match unit {
            Unit::Minute | Unit::Hour | Unit::Day => Some(date),
            Unit::Week => date.checked_sub_days(Days::new(u64::from(
                date.weekday().days_since(self.calendar.week_start),
            ))),
            Unit::Month => date.with_day(1),
            Unit::Year => NaiveDate::from_ymd_opt(date.year(), 1, 1),
            Unit::FiscalYear => return Ok(self.fiscal_position(date)?.0),
            Unit::FiscalPeriod => {
                let (year, period) = self.fiscal_position(date)?;
                return self.fiscal_start(i64::from(year.year()), period);
            }
        };
        start.ok_or(DateError::OutOfCalendar)
    }

    fn shift(&self, unit: Unit, date: NaiveDate, count: i64) -> Result<NaiveDate, DateError> {
        let shifted = match unit {
            Unit::Minute | Unit::Hour => None,
            Unit::Day => add_days(date, count),
            Unit::Week => count.checked_mul(7).and_then(|it| add_days(date, it)),
            Unit::Month => add_months(date, count),
            Unit::Year => count.checked_mul(12).and_then(|it| add_months(date, it)),
            Unit::FiscalYear => {
                let year = i64::from(self.fiscal_position(date)?.0.year()).checked_add(count);
                return self.fiscal_start(year.ok_or(DateError::Units(count))?, 0);
            }
            Unit::FiscalPeriod => {
                let (year, period) = self.fiscal_position(date)?;
                let most = i64::from(self.calendar.fiscal.periods());
                let total = (i64::from(year.year()) * most + i64::from(period)).checked_add(count);
                let total = total.ok_or(DateError::Units(count))?;
                let period = u32::try_from(total.rem_euclid(most)).unwrap_or_default();
                return self.fiscal_start(total.div_euclid(most), period);
            }
        };
        shifted.filter(|it| YEARS.contains(&it.year())).ok_or(DateError::OutOfCalendar)
    }

    /// The start of the fiscal year that holds the day, and the number of its period, from 0.
    fn fiscal_position(&self, date: NaiveDate) -> Result<(NaiveDate, u32), DateError> {
        let this_year = self.fiscal_start(i64::from(date.year()), 0)?;
        let start = if date < this_year {
            self.fiscal_start(i64::from(date.year()) - 1, 0)?
        } else {
            this_year
        };
        let year = i64::from(start.year());
        let mut period = 0;
        while period + 1 < self.calendar.fiscal.periods()
            && self.fiscal_start(year, period + 1)? <= date
        {
            period += 1;
        }
        Ok((start, period))
    }

    /// The first day of a period, from 0, of the fiscal year of this name.
    fn fiscal_start(&self, year: i64, period: u32) -> Result<NaiveDate, DateError> {
        let fiscal = self.calendar.fiscal;
        let months = i64::from(period) * i64::from(12 / fiscal.periods());
        i32::try_from(year)
            .ok()
            .filter(|it| YEARS.contains(it))
            .and_then(|it| NaiveDate::from_ymd_opt(it, fiscal.start_month, 1))
            .and_then(|it| add_months(it, months))
            .and_then(|it| {
                let last = u32::from(it.num_days_in_month());
                it.with_day(fiscal.start_day.clamp(1, last))
            })
            .filter(|it| YEARS.contains(&it.year()))
            .ok_or(DateError::OutOfCalendar)
    }

    /// A period's number as people count, turned into one from 0.
    fn period(&self, period: i64) -> Result<u32, DateError> {
        let most = self.calendar.fiscal.periods();
        u32::try_from(period)
            .ok()
            .filter(|it| (1..=most).contains(it))
            .map(|it| it - 1)
            .ok_or(DateError::Period { period, most })
    }

    fn period_of_year(&self, arguments: &[Argument]) -> Result<(NaiveDate, NaiveDate), DateError> {
        let [period, year] = numbers(arguments)?;
        let start = self.fiscal_start(year, self.period(period)?)?;
        Ok((start, self.shift(Unit::FiscalPeriod, start, 1)?))
    }
}

pub(super) fn next(day: NaiveDate) -> Result<NaiveDate, DateError> {
    day.succ_opt().filter(|it| YEARS.contains(&it.year())).ok_or(DateError::OutOfCalendar)
}

fn add_days(date: NaiveDate, count: i64) -> Option<NaiveDate> {
    let days = Days::new(count.unsigned_abs());
    if count < 0 { date.checked_sub_days(days) } else { date.checked_add_days(days) }
}

fn add_months(date: NaiveDate, count: i64) -> Option<NaiveDate> {
    let months = Months::new(u32::try_from(count.unsigned_abs()).ok()?);
    if count < 0 { date.checked_sub_months(months) } else { date.checked_add_months(months) }
}

fn day(arguments: &[Argument]) -> Result<NaiveDate, DateError> {
    match arguments {
        [Argument::Day(day)] if YEARS.contains(&day.year()) => Ok(*day),
        [Argument::Day(_)] => Err(DateError::OutOfCalendar),
        [Argument::Number(_)] => Err(DateError::Kind("a date")),
        _ => Err(DateError::Count { expected: 1, found: arguments.len() }),
    }
}

fn units(arguments: &[Argument]) -> Result<i64, DateError> {
    let [count] = numbers(arguments)?;
    // As many as the platform's parameter type, Edm.Int32, can say.
    if (1..=i64::from(i32::MAX)).contains(&count) {
        Ok(count)
    } else {
        Err(DateError::Units(count))
    }
}

fn numbers<const N: usize>(arguments: &[Argument]) -> Result<[i64; N], DateError> {
    let arguments: &[Argument; N] = arguments
        .try_into()
        .map_err(|_| DateError::Count { expected: N, found: arguments.len() })?;
    let mut numbers = [0; N];
    for (number, argument) in numbers.iter_mut().zip(arguments) {
        match argument {
            Argument::Number(it) => *number = *it,
            Argument::Day(_) => return Err(DateError::Kind("a whole number")),
        }
    }
    Ok(numbers)
}
