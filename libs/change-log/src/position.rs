//! Positions: what had been committed at a moment, and of which log.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// More transactions than can be in progress on one server, prepared ones and all.
const MAX_IN_PROGRESS: usize = 20_000;
/// The longest encoding that is looked at.
const MAX_TEXT: usize = 64 * 1024;
const FORMAT: u8 = 1;

/// A moment of a log: the transactions that it sees are exactly those that had been committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub(crate) log: Uuid,
    pub(crate) at: DateTime<Utc>,
    /// All before it are seen.
    pub(crate) xmin: u64,
    /// It and all after it are not.
    pub(crate) xmax: u64,
    /// Those between that are not seen, ascending.
    pub(crate) in_progress: Vec<u64>,
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position of a change log")]
pub struct InvalidPosition;

// === impl Position ===

impl Position {
    /// When it was.
    #[must_use]
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// What the log holds, in the letters of [`Self::encode`]: the same for two moments between which nothing was
    /// committed.
    #[must_use]
    pub fn state(&self) -> String {
        Self { at: DateTime::UNIX_EPOCH, ..self.clone() }.encode()
    }

    /// In letters, digits, `-` and `_` only.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(self.log.as_bytes());
        bytes.extend_from_slice(&self.at.timestamp_micros().to_be_bytes());
        write_number(&mut bytes, self.xmin);
        write_number(&mut bytes, self.xmax - self.xmin);
        let mut last = self.xmin;
        for xid in &self.in_progress {
            write_number(&mut bytes, xid - last);
            last = *xid;
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Of what [`Self::encode`] wrote.
    ///
    /// # Errors
    ///
    /// When it is anything else.
    pub fn decode(text: &str) -> Result<Self, InvalidPosition> {
        if text.len() > MAX_TEXT {
            return Err(InvalidPosition);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidPosition)?;
        read(&bytes).ok_or(InvalidPosition)
    }

    /// As PostgreSQL writes it: `xmin:xmax:in,progress`.
    #[must_use]
    pub fn snapshot(&self) -> String {
        let mut text = format!("{}:{}:", self.xmin, self.xmax);
        for (index, xid) in self.in_progress.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{xid}");
        }
        text
    }

    /// Of a snapshot as PostgreSQL writes it.
    pub(crate) fn of_snapshot(log: Uuid, at: DateTime<Utc>, text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let listed = parts.next()?.split(',').filter(|it| !it.is_empty());
        let in_progress = listed.map(|it| it.parse().ok()).collect::<Option<Vec<u64>>>()?;
        Self { log, at, xmin, xmax, in_progress }.checked()
    }

    /// Whether the transaction had been committed, if it ever was.
    pub(crate) fn sees(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.in_progress.binary_search(&xid).is_err())
    }

    /// As PostgreSQL demands it of snapshots.
    fn checked(self) -> Option<Self> {
        let in_order = self.in_progress.windows(2).all(|it| it[0] < it[1]);
        let first = self.in_progress.first().is_none_or(|it| *it >= self.xmin);
        let last = self.in_progress.last().is_none_or(|it| *it < self.xmax);
        // Greater ones are not transaction ids, and would not fit into SQL's whole numbers.
        let sane = self.xmax <= i64::MAX.unsigned_abs();
        let given = self.xmin > 0 && self.xmin <= self.xmax;
        (in_order && first && last && given && sane).then_some(self)
    }
}

fn read(mut bytes: &[u8]) -> Option<Position> {
    let input = &mut bytes;
    let (format, rest) = input.split_first()?;
    if *format != FORMAT {
        return None;
    }
    *input = rest;
    let (log, rest) = input.split_first_chunk::<16>()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    *input = rest;
    let xmin = read_number(input)?;
    let xmax = xmin.checked_add(read_number(input)?)?;
    let (mut in_progress, mut last) = (Vec::new(), xmin);
    while !input.is_empty() {
        if in_progress.len() >= MAX_IN_PROGRESS {
            return None;
        }
        last = last.checked_add(read_number(input)?)?;
        in_progress.push(last);
    }
    let at = DateTime::from_timestamp_micros(i64::from_be_bytes(*at))?;
    Position { log: Uuid::from_bytes(*log), at, xmin, xmax, in_progress }.checked()
}

/// Seven bits a byte, lowest first; the eighth says that more follow.
fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if bits.checked_shl(shift)? >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            // A number has one way to be written.
            return (shift == 0 || *byte != 0).then_some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(xmin: u64, gaps: &[u64], beyond: u64) -> Position {
        let (mut in_progress, mut last) = (Vec::new(), xmin);
        for gap in gaps {
            last += gap;
            in_progress.push(last);
            last += 1;
        }
        let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        Position { log: Uuid::from_u128(7), at, xmin, xmax: last + beyond, in_progress }
    }

    proptest! {
        #[test]
        fn positions_come_back(
            xmin in 1_u64..1 << 60,
            gaps in prop::collection::vec(0_u64..1000, 0..50),
            beyond in 0_u64..1000,
        ) {
            let position = position(xmin, &gaps, beyond);
            prop_assert_eq!(Position::decode(&position.encode()), Ok(position.clone()));
            let again = Position::of_snapshot(position.log, position.at, &position.snapshot());
            prop_assert_eq!(again, Some(position));
        }

        #[test]
        fn anything_else_is_refused_or_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            for start in [&[][..], &[FORMAT]] {
                let text = URL_SAFE_NO_PAD.encode([start, &bytes].concat());
                if let Ok(position) = Position::decode(&text) {
                    prop_assert_eq!(position.encode(), text);
                }
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Position::decode(&text);
            let _ = Position::of_snapshot(Uuid::nil(), Utc::now(), &text);
        }
    }

    #[test]
    fn what_cannot_be_a_snapshot_is_refused() {
        let good = position(100, &[3, 4], 5);
        assert!(Position::decode(&good.encode()).is_ok());
        let broken = [
            Position { xmin: 0, ..good.clone() },
            Position { in_progress: vec![good.xmax], ..good.clone() },
            Position { in_progress: vec![104, 104], ..good.clone() },
            Position { xmax: u64::MAX, ..good },
        ];
        for position in broken {
            assert_eq!(Position::decode(&position.encode()), Err(InvalidPosition), "{position:?}");
        }
        assert_eq!(Position::decode(&"A".repeat(MAX_TEXT + 1)), Err(InvalidPosition));
        assert_eq!(Position::decode(""), Err(InvalidPosition));
    }

    #[test]
    fn time_is_no_part_of_a_state() {
        let one = position(100, &[3, 4], 5);
        let later = Position { at: one.at + chrono::TimeDelta::seconds(1), ..one.clone() };
        assert_eq!(one.state(), later.state());
        assert_ne!(one.encode(), later.encode());
        for other in [position(100, &[3], 5), position(100, &[3, 4], 6), position(101, &[3, 4], 5)]
        {
            assert_ne!(one.state(), other.state(), "{other:?}");
        }
        let state = one.state();
        assert_ne!(state, Position { log: Uuid::from_u128(8), ..one }.state());
    }

    #[test]
    fn a_position_sees_what_was_committed() {
        let position = position(100, &[3, 4], 5);
        assert_eq!(position.in_progress, [103, 108]);
        assert_eq!(position.snapshot(), "100:114:103,108");
        let seen: Vec<u64> = (98..117).filter(|it| position.sees(*it)).collect();
        assert_eq!(seen, [98, 99, 100, 101, 102, 104, 105, 106, 107, 109, 110, 111, 112, 113]);
    }
}
