//! Columns for people. Widths are those of what is in them; nothing is coloured.

use std::fmt;

const GAP: &str = "  ";
/// Between the names of properties and their values.
const NAME_WIDTH: usize = 22;

/// Rows below a head.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns that are aligned at their end.
    numbers: &'static [usize],
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|it| (*it).to_owned()).collect();
        Self { rows: vec![head], numbers: &[] }
    }

    pub(crate) fn numbers(mut self, columns: &'static [usize]) -> Self {
        self.numbers = columns;
        self
    }

    pub(crate) fn rows(mut self, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        self.rows.extend(rows);
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns).map(|it| self.width(it)).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                match self.numbers.contains(&column) {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                }
            });
            writeln!(out, "{}", cells.collect::<Vec<_>>().join(GAP).trim_end())?;
        }
        Ok(())
    }
}

impl Table {
    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|it| it.chars().count()).max().unwrap_or_default()
    }
}

/// A name and its value on each line; those without a value are left out.
pub(crate) fn properties(properties: &[(&str, String)]) -> String {
    let given = properties.iter().filter(|it| !it.1.is_empty());
    given.map(|(name, value)| format!("{name:<NAME_WIDTH$} {value}\n")).collect()
}

/// How much of a whole is used, in `width` characters.
pub(crate) fn bar(used: i64, whole: i64, width: usize) -> String {
    let cells = i64::try_from(width).unwrap_or(i64::MAX);
    let filled = match whole > 0 {
        true => (i128::from(used.max(0)) * i128::from(cells) / i128::from(whole)).min(cells.into()),
        false if used > 0 => cells.into(),
        false => 0,
    };
    let filled = usize::try_from(filled).unwrap_or(width);
    format!("{}{}", "█".repeat(filled), "░".repeat(width.saturating_sub(filled)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [["database", "9.5 GB"], ["Größe", "10.25 GB"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let table = Table::new(&["POOL", "USED"]).numbers(&[1]).rows(rows);
        let expected = "\
POOL          USED
database    9.5 GB
Größe     10.25 GB
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn a_bar_never_leaves_its_width() {
        assert_eq!(bar(5, 10, 10), "█████░░░░░");
        assert_eq!(bar(i64::MAX, 10, 4), "████");
        assert_eq!(bar(-5, 10, 4), "░░░░");
        assert_eq!(bar(1, 0, 4), "████");
        assert_eq!(bar(0, 0, 4), "░░░░");
    }

    #[test]
    fn what_is_not_there_has_no_line() {
        let text = properties(&[("name", "a".to_owned()), ("link", String::new())]);
        assert_eq!(text, "name                   a\n");
    }
}
