//! Bound values. A value becomes a parameter with a cast, never a piece of the statement.

use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use uuid::Uuid;

/// One bound value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Argument {
    Int(i64),
    Text(String),
    Bool(bool),
    Guid(Uuid),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    Bools(Vec<bool>),
    Guids(Vec<Uuid>),
}

/// The bound values of a statement, in order of their numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Arguments(Vec<Argument>);

impl Arguments {
    /// Binds a value; returns its placeholder.
    pub(crate) fn push(&mut self, argument: Argument) -> String {
        self.0.push(argument);
        format!("${}", self.0.len())
    }

    pub(crate) fn int(&mut self, value: i64) -> String {
        self.push(Argument::Int(value))
    }

    /// As the driver takes them.
    pub(crate) fn encode(self) -> Result<PgArguments, sqlx::Error> {
        let mut encoded = PgArguments::default();
        for argument in self.0 {
            match argument {
                Argument::Int(it) => encoded.add(it),
                Argument::Text(it) => encoded.add(it),
                Argument::Bool(it) => encoded.add(it),
                Argument::Guid(it) => encoded.add(it),
                Argument::Ints(it) => encoded.add(it),
                Argument::Texts(it) => encoded.add(it),
                Argument::Bools(it) => encoded.add(it),
                Argument::Guids(it) => encoded.add(it),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(encoded)
    }
}
