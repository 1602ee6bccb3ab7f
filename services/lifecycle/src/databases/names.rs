//! What databases are called, and how a name becomes part of a statement.

use uuid::Uuid;

/// Of a platform environment's database, and of the role that owns it.
pub(crate) fn platform(environment: Uuid) -> String {
    format!("env_{}", environment.simple())
}

/// Of the database made for a finance-and-operations environment.
pub(crate) fn finance_and_operations(id: &str) -> String {
    format!("fno_{}", id.replace('-', "_"))
}

/// Where an operation restores before it swaps.
pub(crate) fn beside(operation: Uuid) -> String {
    format!("new_{}", operation.simple())
}

/// What an operation's swap leaves, until it is dropped.
pub(crate) fn replaced(operation: Uuid) -> String {
    format!("old_{}", operation.simple())
}

/// A quoted identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_cannot_end_its_quotes() {
        assert_eq!(quoted("a\"; DROP DATABASE x"), "\"a\"\"; DROP DATABASE x\"");
    }

    #[test]
    fn names_fit_into_an_identifier() {
        for name in [platform(Uuid::max()), beside(Uuid::max()), replaced(Uuid::max())] {
            assert!(name.len() < 64, "{name}");
        }
        assert_eq!(finance_and_operations("contoso-prod"), "fno_contoso_prod");
    }
}
