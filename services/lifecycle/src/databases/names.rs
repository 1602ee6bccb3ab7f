//! What databases are called, and how a name becomes part of a statement.

use uuid::Uuid;

/// Of an identifier.
pub(crate) const LONGEST: usize = 63;

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

/// Whether a name is one of these.
pub(super) fn is_made_here(name: &str) -> bool {
    let of_guid = ["env_", "new_", "old_"]
        .iter()
        .any(|prefix| name.strip_prefix(prefix).is_some_and(|it| Uuid::try_parse(it).is_ok()));
    of_guid || name.starts_with("fno_")
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

    #[test]
    fn what_is_made_here_is_told_by_its_name() {
        let made = [platform(Uuid::max()), beside(Uuid::max()), replaced(Uuid::max())];
        for made in made.iter().chain([&finance_and_operations("a")]) {
            assert!(is_made_here(made), "{made}");
        }
        for other in ["erp", "env_prod", "new_erp", "old_erp", "fno"] {
            assert!(!is_made_here(other), "{other}");
        }
    }
}
