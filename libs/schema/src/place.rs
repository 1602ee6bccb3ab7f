//! Where a schema is, when messages say so.

use sqlx::postgres::PgConnectOptions;

/// Longer names are cut by PostgreSQL.
const LONGEST_NAME: usize = 63;

/// Another database of the server, and the role as which it is used. Its names are ones that need no
/// quotes: lower case letters, digits and `_`, after a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    database: String,
    role: Option<String>,
}

/// A text that is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{field}` is no name: it takes a lower case letter, then lower case letters, digits and `_`, \
     {LONGEST_NAME} at most"
)]
pub struct InvalidName {
    /// `database` or `role`.
    pub field: &'static str,
}

impl Place {
    /// A database, and the role that owns it; of an empty role, as whoever connects.
    ///
    /// # Errors
    ///
    /// When one of them is no name.
    pub fn new(database: &str, role: &str) -> Result<Self, InvalidName> {
        check("database", database)?;
        let role = Some(role).filter(|it| !it.is_empty());
        role.map(|it| check("role", it)).transpose()?;
        Ok(Self { database: database.to_owned(), role: role.map(str::to_owned) })
    }

    /// `options`, for this place.
    pub(crate) fn of(&self, options: PgConnectOptions) -> PgConnectOptions {
        let options = options.database(&self.database);
        match &self.role {
            Some(role) => options.options([("role", role)]),
            None => options,
        }
    }
}

fn check(field: &'static str, name: &str) -> Result<(), InvalidName> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|it| it.is_ascii_lowercase());
    let goes_on = bytes.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_');
    match begins && goes_on && name.len() <= LONGEST_NAME {
        true => Ok(()),
        false => Err(InvalidName { field }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quotes() {
        let longest = "a".repeat(LONGEST_NAME);
        for name in ["a", "env_0f", "platform", &longest] {
            assert!(Place::new(name, name).is_ok(), "{name}");
        }
        let long = "a".repeat(LONGEST_NAME + 1);
        let wrong = [
            "",
            "1a",
            "_a",
            "A",
            "a b",
            "a\"",
            "a'; DROP DATABASE x",
            "a-b",
            "ä",
            "a\0",
            "a=b",
            &long,
        ];
        for name in wrong {
            assert_eq!(Place::new(name, "a"), Err(InvalidName { field: "database" }), "{name}");
        }
        for name in wrong.iter().filter(|it| !it.is_empty()) {
            assert_eq!(Place::new("a", name), Err(InvalidName { field: "role" }), "{name}");
        }
        assert!(Place::new("a", "").is_ok());
    }
}
