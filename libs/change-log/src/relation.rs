//! Names of tables.

use std::fmt;

/// A table, as the log names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Relation {
    schema: String,
    name: String,
}

impl Relation {
    /// The table of these names, unquoted.
    #[must_use]
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

impl fmt::Display for Relation {
    /// `"schema"."name"`, which is SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// An identifier that no name can end.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text that no value can end, whatever `standard_conforming_strings` is.
pub(crate) fn literal(text: &str) -> String {
    let quotes = text.replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", quotes.replace('\\', "\\\\")),
        false => format!("'{quotes}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_its_quotes() {
        assert_eq!(Relation::new("a\"b", "c.d").to_string(), r#""a""b"."c.d""#);
        assert_eq!(literal(r"it's \ here"), r"E'it''s \\ here'");
        assert_eq!(literal("plain"), "'plain'");
    }
}
