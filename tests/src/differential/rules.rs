//! How values compare: without regard to case, or to the letter.

use std::cmp::Ordering;

use crate::tables::Cell;

/// What comparing depends on besides the values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// The calendar year in UTC.
    pub year: i32,
    /// Texts are told apart by letter case.
    pub exact: bool,
}

impl Rules {
    /// A text as it is compared.
    #[must_use]
    pub fn fold(self, text: &str) -> String {
        if self.exact { text.to_owned() } else { text.to_lowercase() }
    }

    /// In the platform's order: null first.
    #[must_use]
    pub fn order(self, left: &Cell, right: &Cell) -> Ordering {
        match (left, right) {
            (Cell::Text(left), Cell::Text(right)) => self.fold(left).cmp(&self.fold(right)),
            _ => left.order(right),
        }
    }

    /// Text of a value that is the same for values that are taken for equal.
    #[must_use]
    pub fn folded(self, cell: &Cell) -> String {
        match cell {
            Cell::Null => "null".to_owned(),
            Cell::Text(text) => format!("'{}", self.fold(text)),
            other => format!("{other:?}"),
        }
    }
}
