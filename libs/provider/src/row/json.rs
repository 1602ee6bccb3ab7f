//! Rows as JSON objects, written straight from the database's bytes into one buffer.

use chrono::{NaiveDate, NaiveDateTime, SubsecRound as _, Timelike as _};
use sqlx::postgres::PgRow;

use super::format;
use super::reader::{Cell, Label};
use crate::plan::Output;

/// Writes rows as objects separated by commas.
#[derive(Debug)]
pub(crate) struct JsonWriter {
    members: Vec<Member>,
    buffer: Vec<u8>,
    rows: i64,
    scratch: String,
    label_scratch: String,
}

#[derive(Debug)]
struct Member {
    output: Output,
    /// `"key":`, with the comma before it unless it is the first.
    key: Vec<u8>,
    /// `,"formatted key":`.
    label: Option<(Label, Vec<u8>)>,
    /// `,"key":"value"` for each, one after the other.
    statics: Vec<u8>,
}

impl JsonWriter {
    pub(crate) fn new(outputs: Vec<Output>) -> Self {
        let members =
            outputs.into_iter().enumerate().map(|(at, output)| Member::new(output, at > 0));
        Self {
            members: members.collect(),
            buffer: Vec::new(),
            rows: 0,
            scratch: String::new(),
            label_scratch: String::new(),
        }
    }

    /// Bytes written since the last [`Self::take`].
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// What was written since the last time, and how many rows that is.
    pub(crate) fn take(&mut self) -> (Vec<u8>, i64) {
        // The next batch will be about as long as this one.
        let next = Vec::with_capacity(self.buffer.len());
        (std::mem::replace(&mut self.buffer, next), std::mem::take(&mut self.rows))
    }

    pub(crate) fn write(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
        if self.rows > 0 {
            self.buffer.push(b',');
        }
        self.buffer.push(b'{');
        for member in &self.members {
            let reader = &member.output.reader;
            let out = &mut self.buffer;
            out.extend_from_slice(&member.key);
            let cell = reader.read(row, &mut self.scratch)?;
            write_cell(out, &cell);
            if cell == Cell::Null {
                continue;
            }
            if let Some((label, key)) = &member.label {
                out.extend_from_slice(key);
                self.label_scratch.clear();
                if *label == Label::Company {
                    reader.company_code(row, &mut self.label_scratch)?;
                } else {
                    write_label(&mut self.label_scratch, *label, &cell);
                }
                string(out, &self.label_scratch);
            }
            out.extend_from_slice(&member.statics);
        }
        self.buffer.push(b'}');
        self.rows += 1;
        Ok(())
    }
}

impl Member {
    fn new(output: Output, comma: bool) -> Self {
        let mut key = Vec::new();
        if comma {
            key.push(b',');
        }
        string(&mut key, &output.key);
        key.push(b':');
        let label = output.label().map(|label| {
            let mut key = vec![b','];
            string(&mut key, &output.formatted_key);
            key.push(b':');
            (label, key)
        });
        let mut statics = Vec::new();
        for it in &output.static_members {
            statics.push(b',');
            string(&mut statics, &it.key);
            statics.push(b':');
            string(&mut statics, &it.value);
        }
        Self { output, key, label, statics }
    }
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

fn write_label(out: &mut String, label: Label, cell: &Cell<'_>) {
    match (label, cell) {
        (_, Cell::Choice(it)) => out.push_str(&it.label),
        (Label::Grouped, Cell::Int(it)) => format::grouped(out, itoa::Buffer::new().format(*it)),
        (Label::Decimal, Cell::Decimal(it)) => format::decimal(out, it),
        (_, Cell::Bool(it)) => out.push_str(if *it { "Yes" } else { "No" }),
        (_, Cell::Date(it)) => out.push_str(&format::date(*it)),
        (_, Cell::Moment(it)) => out.push_str(&format::moment(*it)),
        (_, Cell::Text(it) | Cell::Decimal(it)) => out.push_str(it),
        (_, Cell::Int(it)) => out.push_str(itoa::Buffer::new().format(*it)),
        (_, Cell::Guid(_) | Cell::Null) => {}
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
