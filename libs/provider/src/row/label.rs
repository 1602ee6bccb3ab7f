//! Values as text for people: decided once for a column, written once for a value.

use chrono::{Offset as _, TimeZone as _};
use chrono_tz::Tz;
use sqlx::postgres::PgRow;

use super::format;
use super::reader::{Cell, Label, Reader};
use crate::error::Error;
use crate::plan::Output;

/// How the values of one column read for people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    label: Label,
    /// Moments are shown as clocks there show them.
    zone: Tz,
}

impl Labels {
    /// `None` where no labels were asked for, or the values have none.
    pub(super) fn of(output: &Output) -> Result<Option<Self>, Error> {
        let Some(label) = output.label() else { return Ok(None) };
        let zone = match output.time_zone.as_str() {
            "" => Tz::UTC,
            name => name
                .parse()
                .map_err(|_| Error::InvalidQuery(format!("there is no time zone `{name}`")))?,
        };
        Ok(Some(Self { label, zone }))
    }

    /// Puts the text of a value that is not null into `out`.
    pub(super) fn write(
        &self,
        reader: &Reader,
        row: &PgRow,
        cell: &Cell<'_>,
        out: &mut String,
    ) -> Result<(), sqlx::Error> {
        out.clear();
        if self.label == Label::Company {
            reader.company_code(row, out)?;
        } else {
            self.write_cell(cell, out);
        }
        Ok(())
    }

    fn write_cell(&self, cell: &Cell<'_>, out: &mut String) {
        match (self.label, cell) {
            (_, Cell::Choice(it)) => out.push_str(&it.label),
            (Label::Grouped, Cell::Int(it)) => {
                format::grouped(out, itoa::Buffer::new().format(*it));
            }
            (Label::Grouped, Cell::Decimal(it)) => format::grouped(out, it),
            (Label::Decimal, Cell::Decimal(it)) => format::decimal(out, it),
            (_, Cell::Bool(it)) => out.push_str(if *it { "Yes" } else { "No" }),
            (_, Cell::Date(it)) => out.push_str(&format::date(*it)),
            (_, Cell::Moment(it)) => {
                // At the ends of the calendar there may be no such time.
                let offset = self.zone.offset_from_utc_datetime(it).fix();
                out.push_str(&format::moment(it.checked_add_offset(offset).unwrap_or(*it)));
            }
            (_, Cell::Text(it) | Cell::Decimal(it)) => out.push_str(it),
            (_, Cell::Int(it)) => out.push_str(itoa::Buffer::new().format(*it)),
            (_, Cell::Guid(_) | Cell::Null) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{NaiveDate, NaiveDateTime};

    fn shown(zone: &str, moment: NaiveDateTime) -> String {
        let labels = Labels { label: Label::Moment, zone: zone.parse().unwrap() };
        let mut out = String::new();
        labels.write_cell(&Cell::Moment(moment), &mut out);
        out
    }

    #[test]
    fn moments_are_shown_in_the_time_zone_of_the_reader() {
        let day = |month| NaiveDate::from_ymd_opt(2023, month, 7).unwrap();
        let winter = day(1).and_hms_opt(23, 59, 0).unwrap();
        let summer = day(7).and_hms_opt(23, 59, 0).unwrap();
        assert_eq!(shown("UTC", winter), "1/7/2023 11:59 PM");
        assert_eq!(shown("Europe/Berlin", winter), "1/8/2023 12:59 AM");
        assert_eq!(shown("Europe/Berlin", summer), "7/8/2023 1:59 AM");
        assert_eq!(shown("America/New_York", summer), "7/7/2023 7:59 PM");
    }

    #[test]
    fn the_ends_of_the_calendar_are_shown_in_every_time_zone() {
        for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            assert!(!shown(zone, NaiveDateTime::MIN).is_empty());
            assert!(!shown(zone, NaiveDateTime::MAX).is_empty());
        }
    }
}
