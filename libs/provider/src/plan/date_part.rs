//! Parts of a date, as numbers: in the time zone of whoever asks, and by the organization's fiscal
//! calendar.

use proto::query::v1 as pb;
use proto::query::v1::{DateGrouping, FiscalPeriodType};

use super::Planner;
use super::argument::Argument;
use super::column::Column;
use crate::binding::{Casing, Kind};
use crate::error::Error;

impl Planner<'_> {
    /// A part of a column's date.
    pub(super) fn date_part(
        &mut self,
        column: &Column,
        part: DateGrouping,
        time_zone: &str,
    ) -> Result<Column, Error> {
        let local = self.local(column, time_zone)?;
        let extract = |part: &str| format!("extract({part} FROM {local})::bigint");
        let value = match part {
            DateGrouping::Unspecified => return Err(Error::Missing("date_part")),
            DateGrouping::Day => extract("day"),
            DateGrouping::Week => extract("week"),
            DateGrouping::Month => extract("month"),
            DateGrouping::Quarter => extract("quarter"),
            DateGrouping::Year => extract("year"),
            DateGrouping::FiscalYear => self.fiscal_year(&local)?,
            DateGrouping::FiscalPeriod => self.fiscal_period(&local)?,
        };
        Ok(number(column, format!("CASE WHEN isfinite({local}) THEN {value} END")))
    }

    /// What rows are grouped by for a part: a fiscal period belongs to its year.
    pub(super) fn date_group(
        &mut self,
        column: &Column,
        part: DateGrouping,
        time_zone: &str,
    ) -> Result<Column, Error> {
        if part != DateGrouping::FiscalPeriod {
            return self.date_part(column, part, time_zone);
        }
        let local = self.local(column, time_zone)?;
        let (year, period) = (self.fiscal_year(&local)?, self.fiscal_period(&local)?);
        let value = format!("({year}) * 100 + {period}");
        Ok(number(column, format!("CASE WHEN isfinite({local}) THEN {value} END")))
    }

    /// A group as people read it; `None` where it is a plain number.
    pub(super) fn group_label(
        &self,
        part: DateGrouping,
        group: &Column,
    ) -> Result<Option<Column>, Error> {
        let sql = &group.sql;
        let label = match part {
            DateGrouping::FiscalYear => format!("'FY' || {sql}"),
            DateGrouping::FiscalPeriod => match self.calendar()?.period_type() {
                FiscalPeriodType::Annually => format!("'FY' || {sql} / 100"),
                it => {
                    let name = period_name(it);
                    format!("'{name} ' || {sql} % 100 || ' FY' || {sql} / 100")
                }
            },
            _ => return Ok(None),
        };
        Ok(Some(Column { kind: Kind::Text, ..group.at(format!("({label})")) }))
    }

    /// The date, or the moment as clocks of a time zone show it.
    fn local(&mut self, column: &Column, time_zone: &str) -> Result<String, Error> {
        let column = column.or_null();
        let sql = column.sql;
        let is_utc = time_zone.is_empty() || time_zone == "UTC";
        let mut zone = || {
            if time_zone.contains('\0') {
                return Err(Error::InvalidQuery("there is no such time zone".to_owned()));
            }
            Ok(self.arguments.push(Argument::Text(time_zone.to_owned())))
        };
        Ok(match column.kind {
            Kind::Date => sql,
            Kind::DateTime { zoned: false } if is_utc => sql,
            Kind::DateTime { zoned: true } if is_utc => format!("({sql} AT TIME ZONE 'UTC')"),
            Kind::DateTime { zoned: false } => {
                format!("(({sql} AT TIME ZONE 'UTC') AT TIME ZONE {}::text)", zone()?)
            }
            Kind::DateTime { zoned: true } => {
                format!("({sql} AT TIME ZONE {}::text)", zone()?)
            }
            _ => {
                let message = format!("`{}` holds no dates", column.name);
                return Err(Error::InvalidQuery(message));
            }
        })
    }

    fn calendar(&self) -> Result<pb::FiscalCalendar, Error> {
        let calendar = self.calendar.ok_or(Error::Missing("fiscal_calendar"))?;
        let has_day = (1..=31).contains(&calendar.start_day);
        if !has_day || !(1..=12).contains(&calendar.start_month) {
            let message = "the fiscal year begins at no day of the calendar";
            return Err(Error::InvalidQuery(message.to_owned()));
        }
        Ok(calendar)
    }

    /// The calendar year that the fiscal year begins in.
    fn fiscal_year(&mut self, local: &str) -> Result<String, Error> {
        let calendar = self.calendar()?;
        let month = self.arguments.int(calendar.start_month.into());
        let day = self.arguments.int(calendar.start_day.into());
        Ok(format!(
            "extract(year FROM {local})::bigint - ((extract(month FROM {local}), \
             extract(day FROM {local})) < ({month}::bigint, {day}::bigint))::int"
        ))
    }

    fn fiscal_period(&mut self, local: &str) -> Result<String, Error> {
        let calendar = self.calendar()?;
        let months = match calendar.period_type() {
            FiscalPeriodType::Annually => 12,
            FiscalPeriodType::Semiannually => 6,
            FiscalPeriodType::Unspecified | FiscalPeriodType::Quarterly => 3,
            FiscalPeriodType::Monthly => 1,
        };
        let month = self.arguments.int(calendar.start_month.into());
        let day = self.arguments.int(calendar.start_day.into());
        Ok(format!(
            "(extract(month FROM {local})::bigint - {month}::bigint + 12 - \
             (extract(day FROM {local}) < {day}::bigint)::int) % 12 / {months} + 1"
        ))
    }
}

fn period_name(it: FiscalPeriodType) -> &'static str {
    match it {
        FiscalPeriodType::Semiannually => "Semester",
        FiscalPeriodType::Monthly => "Month",
        FiscalPeriodType::Annually => "Year",
        FiscalPeriodType::Unspecified | FiscalPeriodType::Quarterly => "Quarter",
    }
}

/// A number made of a column.
fn number(column: &Column, sql: String) -> Column {
    Column {
        name: column.name.clone(),
        sql,
        kind: Kind::Integer,
        nullable: true,
        casing: Casing::Any,
        null_date: None,
        rows: None,
    }
}
