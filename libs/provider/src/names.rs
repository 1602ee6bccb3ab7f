//! SQL identifiers, quoted so that no name can be anything else.

use std::fmt::{self, Write as _};

/// Writes `"name"`, doubling quotes.
pub(crate) struct Ident<'a>(pub(crate) &'a str);

impl fmt::Display for Ident<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            if character == '"' {
                f.write_char('"')?;
            }
            f.write_char(character)?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_end_an_identifier() {
        assert_eq!(Ident("a\"; drop table b --").to_string(), "\"a\"\"; drop table b --\"");
    }
}
