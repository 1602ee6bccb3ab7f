//! TOML with the line of everything, which goes on after a mistake so that all are told at once.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::load::Problem;

/// A file that is being read, and what is wrong with it so far.
pub(crate) struct Document<'a> {
    path: PathBuf,
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

/// A value and the line it stands on.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) line: u32,
    pub(crate) value: T,
}

/// A table of a [`Document`]. Take what it may have, then [`Table::finish`].
pub(crate) struct Table<'a> {
    document: &'a Document<'a>,
    line: u32,
    entries: DeTable<'a>,
}

/// A scalar that may be several things.
#[derive(Clone, Debug)]
pub(crate) enum Scalar {
    Int(i64),
    Text(String),
    Bool(bool),
}

/// Names with their places, each with its text.
pub(crate) type Pairs = Vec<(At<String>, String)>;

// === impl Document ===

impl<'a> Document<'a> {
    pub(crate) fn new(path: &Path, text: &'a str) -> Self {
        Self { path: path.to_owned(), text, problems: RefCell::default() }
    }

    pub(crate) fn report(&self, line: u32, reason: impl Into<String>) {
        let problem = Problem { file: self.path.clone(), line, reason: reason.into() };
        self.problems.borrow_mut().push(problem);
    }

    /// By line.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|it| it.line);
        problems
    }

    /// `None` if the text is not TOML.
    pub(crate) fn root(&self) -> Option<Table<'_>> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(0, |it| it.start);
            self.report(self.line_of(at), error.message());
        }
        let entries = root.into_inner();
        errors.is_empty().then_some(Table { document: self, line: 1, entries })
    }

    fn line_of(&self, offset: usize) -> u32 {
        let before = self.text.as_bytes().iter().take(offset);
        let breaks = before.filter(|it| **it == b'\n').count();
        u32::try_from(breaks).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn wrong_type(&self, line: u32, key: &str, expected: &str) {
        self.report(line, format!("`{key}` must be {expected}"));
    }
}

// === impl Table ===

impl<'a> Table<'a> {
    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    pub(crate) fn report(&self, line: u32, reason: impl Into<String>) {
        self.document.report(line, reason);
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Says what is wrong with a value, if anything.
    pub(crate) fn check<T>(&self, line: u32, result: Result<T, String>) -> Option<T> {
        result.map_err(|reason| self.report(line, reason)).ok()
    }

    /// Whatever was not taken has no meaning.
    pub(crate) fn finish(self) {
        for (key, _) in &self.entries {
            let line = self.document.line_of(key.span().start);
            self.document.report(line, format!("unknown key `{}`", key.get_ref()));
        }
    }

    pub(crate) fn required_text(&mut self, key: &str) -> At<String> {
        if !self.has(key) {
            self.report(self.line, format!("`{key}` is missing"));
        }
        let text = self.text(key);
        if let Some(At { line, value }) = &text
            && value.is_empty()
        {
            self.report(*line, format!("`{key}` is empty"));
        }
        text.unwrap_or(At { line: self.line, value: String::new() })
    }

    pub(crate) fn text(&mut self, key: &str) -> Option<At<String>> {
        self.take(key, "text", |it| match it {
            DeValue::String(it) => Some(it.into_owned()),
            _ => None,
        })
    }

    pub(crate) fn flag(&mut self, key: &str) -> Option<At<bool>> {
        self.take(key, "true or false", |it| match it {
            DeValue::Boolean(it) => Some(it),
            _ => None,
        })
    }

    pub(crate) fn date(&mut self, key: &str) -> Option<At<toml::value::Date>> {
        self.take(key, "a date, such as 1900-01-01", |it| match it {
            DeValue::Datetime(it) if it.time.is_none() => it.date,
            _ => None,
        })
    }

    /// An integer of at least `least` that `T` can hold.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self, key: &str, least: i64) -> Option<At<T>> {
        self.take(key, &format!("a number, at least {least}"), |it| match scalar(it) {
            Some(Scalar::Int(it)) if it >= least => T::try_from(it).ok(),
            _ => None,
        })
    }

    pub(crate) fn scalar(&mut self, key: &str) -> Option<At<Scalar>> {
        self.take(key, "a number, text, true or false", scalar)
    }

    /// One text or a list of them.
    pub(crate) fn texts(&mut self, key: &str) -> Option<At<Vec<At<String>>>> {
        let document = self.document;
        let line_of = |span: std::ops::Range<usize>| document.line_of(span.start);
        let (line, value) = self.raw(key)?;
        let list: Option<Vec<_>> = match value {
            DeValue::String(it) => Some(vec![At { line, value: it.into_owned() }]),
            DeValue::Array(items) => items
                .into_iter()
                .map(|item| {
                    let line = line_of(item.span());
                    match item.into_inner() {
                        DeValue::String(it) => Some(At { line, value: it.into_owned() }),
                        _ => None,
                    }
                })
                .collect(),
            _ => None,
        };
        let Some(value) = list else {
            self.document.wrong_type(line, key, "text or a list of texts");
            return None;
        };
        Some(At { line, value })
    }

    /// `{ a = "b", c = "d" }`, in the order of the file.
    pub(crate) fn pairs(&mut self, key: &str) -> Option<At<Pairs>> {
        let (line, value) = self.raw(key)?;
        let expected = "a table of texts, such as { a = \"b\" }";
        let DeValue::Table(table) = value else {
            self.document.wrong_type(line, key, expected);
            return None;
        };
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let mut pairs = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let line = self.document.line_of(name.span().start);
            let DeValue::String(text) = value.into_inner() else {
                self.document.wrong_type(line, key, expected);
                return None;
            };
            let name = At { line, value: name.into_inner().into_owned() };
            pairs.push((name, text.into_owned()));
        }
        Some(At { line, value: pairs })
    }

    pub(crate) fn table(&mut self, key: &str) -> Option<Table<'a>> {
        let (line, value) = self.raw(key)?;
        let DeValue::Table(entries) = value else {
            self.document.wrong_type(line, key, "a table");
            return None;
        };
        Some(Table { document: self.document, line, entries })
    }

    pub(crate) fn tables(&mut self, key: &str) -> Vec<Table<'a>> {
        let Some((line, value)) = self.raw(key) else { return Vec::new() };
        let DeValue::Array(items) = value else {
            self.document.wrong_type(line, key, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items {
            let line = self.document.line_of(item.span().start);
            match item.into_inner() {
                DeValue::Table(entries) => {
                    tables.push(Table { document: self.document, line, entries });
                }
                _ => self.document.wrong_type(line, key, "a list of tables"),
            }
        }
        tables
    }

    fn take<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(DeValue<'a>) -> Option<T>,
    ) -> Option<At<T>> {
        let (line, value) = self.raw(key)?;
        let value = read(value);
        if value.is_none() {
            self.document.wrong_type(line, key, expected);
        }
        value.map(|value| At { line, value })
    }

    fn raw(&mut self, key: &str) -> Option<(u32, DeValue<'a>)> {
        let (name, value) = self.entries.remove_entry(key)?;
        Some((self.document.line_of(name.span().start), value.into_inner()))
    }
}

fn scalar(value: DeValue<'_>) -> Option<Scalar> {
    match value {
        DeValue::Integer(it) => i64::from_str_radix(it.as_str(), it.radix()).ok().map(Scalar::Int),
        DeValue::String(it) => Some(Scalar::Text(it.into_owned())),
        DeValue::Boolean(it) => Some(Scalar::Bool(it)),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
