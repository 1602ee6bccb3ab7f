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
    OptionalTexts(Option<Vec<String>>),
    OptionalGuid(Option<Uuid>),
    NullableInts(Vec<Option<i64>>),
    NullableTexts(Vec<Option<String>>),
    NullableBools(Vec<Option<bool>>),
    NullableGuids(Vec<Option<Uuid>>),
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

    /// Forgets all but the first ones.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// As SQL literals, for people to read.
    pub(crate) fn literals(&self) -> Vec<String> {
        self.0.iter().map(Argument::literal).collect()
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
                Argument::OptionalTexts(it) => encoded.add(it),
                Argument::OptionalGuid(it) => encoded.add(it),
                Argument::NullableInts(it) => encoded.add(it),
                Argument::NullableTexts(it) => encoded.add(it),
                Argument::NullableBools(it) => encoded.add(it),
                Argument::NullableGuids(it) => encoded.add(it),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(encoded)
    }
}

impl Argument {
    /// The type that it is bound as, where it is one value.
    pub(crate) fn wire(&self) -> &'static str {
        match self {
            Self::Int(_) => "bigint",
            Self::Bool(_) => "boolean",
            Self::Guid(_) => "uuid",
            _ => "text",
        }
    }

    /// Values as one array of elements of the type; `None` where one is bound as another.
    pub(crate) fn list(wire: &str, values: Vec<Option<Self>>) -> Option<Self> {
        fn each<T>(
            values: Vec<Option<Argument>>,
            take: impl Fn(Argument) -> Option<T>,
        ) -> Option<Vec<Option<T>>> {
            values.into_iter().map(|it| it.map_or(Some(None), |it| take(it).map(Some))).collect()
        }
        match wire {
            "bigint" => each(values, |it| if let Self::Int(it) = it { Some(it) } else { None })
                .map(Self::NullableInts),
            "boolean" => each(values, |it| if let Self::Bool(it) = it { Some(it) } else { None })
                .map(Self::NullableBools),
            "uuid" => each(values, |it| if let Self::Guid(it) = it { Some(it) } else { None })
                .map(Self::NullableGuids),
            _ => each(values, |it| if let Self::Text(it) = it { Some(it) } else { None })
                .map(Self::NullableTexts),
        }
    }

    fn literal(&self) -> String {
        match self {
            Self::Int(it) => it.to_string(),
            Self::Text(it) => quoted(it),
            Self::Bool(it) => it.to_string(),
            Self::Guid(it) => quoted(&it.to_string()),
            Self::Ints(it) => array(it.iter().map(ToString::to_string)),
            Self::Texts(it) => array(it.iter().map(|it| quoted(it))),
            Self::Bools(it) => array(it.iter().map(ToString::to_string)),
            Self::Guids(it) => array(it.iter().map(|it| quoted(&it.to_string()))),
            Self::OptionalTexts(it) => or_null(it, |it| array(it.iter().map(|it| quoted(it)))),
            Self::OptionalGuid(it) => or_null(it, |it| quoted(&it.to_string())),
            Self::NullableInts(it) => array(it.iter().map(|it| or_null(it, ToString::to_string))),
            Self::NullableTexts(it) => array(it.iter().map(|it| or_null(it, |it| quoted(it)))),
            Self::NullableBools(it) => array(it.iter().map(|it| or_null(it, ToString::to_string))),
            Self::NullableGuids(it) => {
                array(it.iter().map(|it| or_null(it, |it| quoted(&it.to_string()))))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn array(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    format!("ARRAY[{}]", values.join(", "))
}

fn or_null<T>(value: &Option<T>, write: impl Fn(&T) -> String) -> String {
    value.as_ref().map_or_else(|| "NULL".to_owned(), write)
}
