//! Page tokens of lists of changes: the end of the window, and the last row that was told.

use change_log::{Cursor, Position};

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageToken {
    pub(super) until: Position,
    pub(super) after: Cursor,
}

impl PageToken {
    pub(super) fn encode(&self) -> String {
        let Cursor { transaction, entry } = self.after;
        format!("{}.{transaction}.{entry}", self.until.encode())
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let until = Position::decode(parts.next()?).ok()?;
        let mut number = || parts.next()?.parse().ok();
        let after = Cursor { transaction: number()?, entry: number()? };
        parts.next().is_none().then_some(Self { until, after })
    }
}
