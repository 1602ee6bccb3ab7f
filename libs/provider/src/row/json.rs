//! Rows as JSON objects, written straight from the database's bytes into one buffer.

use chrono::{NaiveDate, NaiveDateTime, SubsecRound as _, Timelike as _};
use sqlx::postgres::PgRow;

use super::label::Labels;
use super::reader::Cell;
use crate::error::Error;
use crate::plan::Output;

/// Writes rows as objects separated by commas.
#[derive(Debug)]
pub(crate) struct JsonWriter {
    members: Vec<Member>,
    buffer: Vec<u8>,
    /// The byte behind each row.
    ends: Vec<u32>,
    scratch: Scratch,
}

/// Rows as they were written, and the byte behind each.
#[derive(Debug)]
pub(crate) struct JsonRows {
    pub(crate) json: Vec<u8>,
    pub(crate) ends: Vec<u32>,
}

#[derive(Debug)]
struct Member {
    output: Output,
    /// `,"key":`.
    key: Vec<u8>,
    /// `,"formatted key":`.
    label: Option<(Labels, Vec<u8>)>,
    /// `,"key":"value"` for each, one after the other.
    statics: Vec<u8>,
    /// Where there are any, an object of these stands in place of the value.
    members: Vec<Member>,
}

#[derive(Debug, Default)]
struct Scratch {
    value: String,
    label: String,
}

impl JsonWriter {
    pub(crate) fn new(outputs: Vec<Output>) -> Result<Self, Error> {
        let members = outputs.into_iter().map(Member::new).collect::<Result<_, _>>()?;
        Ok(Self { members, buffer: Vec::new(), ends: Vec::new(), scratch: Scratch::default() })
    }

    /// Bytes written since the last [`Self::take`].
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// What was written since the last time.
    pub(crate) fn take(&mut self) -> JsonRows {
        // The next batch will be about as long as this one.
        let next = Vec::with_capacity(self.buffer.len());
        JsonRows {
            json: std::mem::replace(&mut self.buffer, next),
            ends: std::mem::take(&mut self.ends),
        }
    }

    pub(crate) fn write(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        if !self.ends.is_empty() {
            self.buffer.push(b',');
        }
        write_object(&self.members, row, &mut self.buffer, &mut self.scratch)?;
        self.ends.push(u32::try_from(self.buffer.len()).unwrap_or(u32::MAX));
        Ok(())
    }
}

impl Member {
    fn new(mut output: Output) -> Result<Self, Error> {
        let key = member_key(&output.key);
        let label = Labels::of(&output)?.map(|it| (it, member_key(&output.formatted_key)));
        let mut statics = Vec::new();
        for it in &output.static_members {
            statics.extend_from_slice(&member_key(&it.key));
            string(&mut statics, &it.value);
        }
        let members = std::mem::take(&mut output.members);
        let members = members.into_iter().map(Self::new).collect::<Result<_, _>>()?;
        Ok(Self { output, key, label, statics, members })
    }

    fn write(
        &self,
        row: &PgRow,
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> Result<(), sqlx::Error> {
        let reader = &self.output.reader;
        let cell = reader.read(row, &mut scratch.value)?;
        if cell == Cell::Null {
            if !self.output.omit_null {
                out.extend_from_slice(&self.key);
                out.extend_from_slice(b"null");
            }
            return Ok(());
        }
        out.extend_from_slice(&self.key);
        if !self.members.is_empty() {
            write_object(&self.members, row, out, scratch)?;
        } else {
            let quote = self.output.number_as_string;
            let is_number = matches!(cell, Cell::Int(_) | Cell::Decimal(_));
            if quote && is_number {
                out.push(b'"');
            }
            write_cell(out, &cell);
            if quote && is_number {
                out.push(b'"');
            }
            if let Some((labels, key)) = &self.label {
                labels.write(reader, row, &cell, &mut scratch.label)?;
                out.extend_from_slice(key);
                string(out, &scratch.label);
            }
        }
        out.extend_from_slice(&self.statics);
        Ok(())
    }
}

fn write_object(
    members: &[Member],
    row: &PgRow,
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Result<(), sqlx::Error> {
    let start = out.len();
    for member in members {
        member.write(row, out, scratch)?;
    }
    // The comma before the first member becomes the brace.
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
    Ok(())
}

/// `,"key":`.
fn member_key(key: &str) -> Vec<u8> {
    let mut out = vec![b','];
    string(&mut out, key);
    out.push(b':');
    out
}

fn write_cell(out: &mut Vec<u8>, cell: &Cell<'_>) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Int(it) => out.extend_from_slice(itoa::Buffer::new().format(*it).as_bytes()),
        Cell::Bool(it) => out.extend_from_slice(if *it { b"true" } else { b"false" }),
        Cell::Decimal(it) => out.extend_from_slice(it.as_bytes()),
        Cell::Choice(it) => out.extend_from_slice(itoa::Buffer::new().format(it.value).as_bytes()),
        Cell::Text(it) => string(out, it),
        Cell::Guid(it) => {
            let mut buffer = uuid::Uuid::encode_buffer();
            out.push(b'"');
            out.extend_from_slice(it.hyphenated().encode_lower(&mut buffer).as_bytes());
            out.push(b'"');
        }
        // A calendar date travels as the midnight that begins it (spec VE-040).
        Cell::Date(it) => {
            out.push(b'"');
            date(out, *it);
            out.extend_from_slice(b"T00:00:00Z\"");
        }
        Cell::Moment(it) => moment(out, *it),
    }
}

fn date(out: &mut Vec<u8>, it: NaiveDate) {
    use std::io::Write as _;
    // Writing into memory cannot fail.
    let _ = write!(out, "{it}");
}

fn moment(out: &mut Vec<u8>, it: NaiveDateTime) {
    use std::io::Write as _;
    out.push(b'"');
    date(out, it.date());
    let _ = write!(out, "T{:02}:{:02}:{:02}", it.hour(), it.minute(), it.second());
    let micros = it.trunc_subsecs(6).nanosecond() / 1_000;
    if micros > 0 {
        let digits = format!("{micros:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
    out.extend_from_slice(b"Z\"");
}

/// Writes a JSON string.
fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => &[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 0xf)],
            ],
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        out.extend_from_slice(escape);
        plain = at + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_read_back(text: String) {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn moments_have_no_more_digits_than_they_need() {
        let check = |micros: u32, expected: &str| {
            let day = NaiveDate::from_ymd_opt(2021, 1, 1).unwrap();
            let mut out = Vec::new();
            moment(&mut out, day.and_hms_micro_opt(6, 0, 0, micros).unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(0, "\"2021-01-01T06:00:00Z\"");
        check(120_000, "\"2021-01-01T06:00:00.12Z\"");
        check(1, "\"2021-01-01T06:00:00.000001Z\"");
    }
}
