//! Rows given by value, as a table: one array each column, of those columns that are used.

use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;
use uuid::Uuid;

use super::Planner;
use super::argument::{Argument, Arguments};
use super::bind::moment_text;
use super::column::{Column, GuidForm};
use super::scope::Body;
use crate::binding::{Casing, EnumBinding, EnumStorage, Kind, Stored};
use crate::error::Error;
use crate::ids;

/// Most rows by value.
const MAX_ROWS: i64 = 100_000;

/// Rows by value, and what of them the statement uses.
#[derive(Debug)]
pub(super) struct Inline<'q> {
    rows: &'q pb::InlineRows,
    used: Vec<Used>,
    /// Placeholder of the number of rows.
    count: String,
}

/// One array of the table.
#[derive(Debug)]
struct Used {
    key: String,
    read: Read,
    /// The placeholder, with its type.
    array: String,
}

/// As what the values of a column are taken.
#[derive(Clone, Debug)]
pub(super) enum Read {
    AsTheyAre,
    /// GUIDs of the rows of an entity, as what those are made of; null for other GUIDs.
    RowIds {
        entity_id: u32,
        form: GuidForm,
    },
    /// Options of an enum, as what the database holds.
    Options(std::sync::Arc<EnumBinding>),
}

impl<'q> Inline<'q> {
    pub(super) fn new(rows: &'q pb::InlineRows, arguments: &mut Arguments) -> Result<Self, Error> {
        if !(0..=MAX_ROWS).contains(&rows.row_count) {
            return Err(Error::InvalidQuery(format!("at most {MAX_ROWS} rows come by value")));
        }
        Ok(Self { rows, used: Vec::new(), count: arguments.int(rows.row_count) })
    }

    /// The FROM clause; `ord` numbers the rows.
    pub(super) fn table(&self, number: usize) -> String {
        let names: Vec<String> = (0..self.used.len()).map(|index| format!("c{index}, ")).collect();
        let arrays: Vec<&str> = self.used.iter().map(|it| it.array.as_str()).collect();
        let numbers = format!("generate_series(1, {}::bigint)", self.count);
        if self.used.is_empty() {
            return format!("{numbers} AS \"rows {number}\"(ord)");
        }
        format!(
            "unnest({}) WITH ORDINALITY AS \"rows {number}\"({}ord)",
            arrays.join(", "),
            names.concat()
        )
    }
}

impl Planner<'_> {
    /// A column of rows by value, at their own level; `None` when they have none of this name.
    pub(super) fn inline_column(
        &mut self,
        scope: usize,
        key: &str,
        read: &Read,
    ) -> Result<Option<Column>, Error> {
        let Some(Body::Rows(inline)) = self.scopes.get_mut(scope).map(|it| &mut it.body) else {
            return Ok(None);
        };
        let columns = inline.rows.columns.as_ref().map_or(&[][..], |it| &it.columns);
        let Some(values) = columns.iter().find(|it| it.key == key) else { return Ok(None) };
        let kind = kind(values, read)?;
        let known = inline.used.iter().position(|it| it.key == key && it.read.is(read));
        let index = match known {
            Some(index) => index,
            None => {
                let (argument, r#type) = array(values, read, inline.rows.row_count)?;
                let placeholder = self.arguments.push(argument);
                let array = format!("{placeholder}::{}", r#type);
                inline.used.push(Used { key: key.to_owned(), read: read.clone(), array });
                inline.used.len() - 1
            }
        };
        Ok(Some(Column {
            name: key.to_owned(),
            sql: format!("\"rows {scope}\".c{index}"),
            kind,
            nullable: true,
            casing: Casing::Any,
            null_date: None,
            rows: Some(scope),
        }))
    }
}

impl Read {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AsTheyAre, Self::AsTheyAre) => true,
            (
                Self::RowIds { entity_id, form },
                Self::RowIds { entity_id: other_id, form: other_form },
            ) => entity_id == other_id && form == other_form,
            (Self::Options(one), Self::Options(other)) => std::sync::Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

fn kind(values: &pb::ColumnValues, read: &Read) -> Result<Kind, Error> {
    Ok(match (read, &values.values) {
        (Read::RowIds { form, .. }, Some(Values::Guids(_))) => form.kind(),
        (Read::Options(members), Some(Values::Ints(_))) => Kind::Enum(members.clone()),
        (Read::AsTheyAre, Some(values)) => match values {
            Values::Bools(_) => Kind::Boolean,
            Values::Ints(_) => Kind::Integer,
            Values::Doubles(_) | Values::Decimals(_) => Kind::Decimal,
            Values::Strings(_) => Kind::Text,
            Values::Guids(_) => Kind::Guid,
            Values::Dates(_) => Kind::Date,
            Values::Timestamps(_) => Kind::DateTime { zoned: false },
        },
        _ => return Err(unfit()),
    })
}

/// The values as one argument, and the type that its placeholder is cast to.
fn array(
    column: &pb::ColumnValues,
    read: &Read,
    rows: i64,
) -> Result<(Argument, &'static str), Error> {
    let values = column.values.as_ref().ok_or_else(unfit)?;
    let nulls: std::collections::HashSet<u32> = column.nulls.iter().copied().collect();
    let list = List { nulls: &nulls, rows: usize::try_from(rows).unwrap_or_default() };
    Ok(match (read, values) {
        (Read::RowIds { entity_id, form }, Values::Guids(it)) => {
            row_ids(&list.guids(it)?, *entity_id, *form)
        }
        (Read::Options(members), Values::Ints(it)) => options(&list.of(&it.values)?, members),
        (_, Values::Bools(it)) => (Argument::NullableBools(list.of(&it.values)?), "boolean[]"),
        (_, Values::Ints(it)) => (Argument::NullableInts(list.of(&it.values)?), "bigint[]"),
        (_, Values::Doubles(it)) => {
            let texts: Vec<String> = it.values.iter().map(ToString::to_string).collect();
            (Argument::NullableTexts(list.of(&texts)?), "text[]::numeric[]")
        }
        (_, Values::Decimals(it)) => (list.texts(&it.values)?, "text[]::numeric[]"),
        (_, Values::Strings(it)) => (list.texts(&it.values)?, "text[]"),
        (_, Values::Guids(it)) => (Argument::NullableGuids(list.guids(it)?), "uuid[]"),
        (_, Values::Dates(it)) => (list.texts(&it.values)?, "text[]::date[]"),
        (_, Values::Timestamps(it)) => {
            let moments = list.of(&it.values)?.into_iter();
            let texts =
                moments.map(|it| it.map(|it| moment_text(it).ok_or_else(unfit)).transpose());
            (Argument::NullableTexts(texts.collect::<Result<_, _>>()?), "text[]::timestamp[]")
        }
    })
}

/// How to read the arrays of a column.
struct List<'a> {
    nulls: &'a std::collections::HashSet<u32>,
    rows: usize,
}

impl List<'_> {
    fn of<T: Clone>(&self, values: &[T]) -> Result<Vec<Option<T>>, Error> {
        if values.len() != self.rows {
            return Err(unfit());
        }
        let values = (0_u32..).zip(values);
        Ok(values.map(|(at, it)| (!self.nulls.contains(&at)).then(|| it.clone())).collect())
    }

    fn texts(&self, values: &[String]) -> Result<Argument, Error> {
        // PostgreSQL's text cannot hold NUL.
        if values.iter().any(|it| it.contains('\0')) {
            return Err(unfit());
        }
        Ok(Argument::NullableTexts(self.of(values)?))
    }

    fn guids(&self, bytes: &[u8]) -> Result<Vec<Option<Uuid>>, Error> {
        let guids: Result<Vec<Uuid>, _> = bytes.chunks(16).map(Uuid::from_slice).collect();
        self.of(&guids.map_err(|_| unfit())?)
    }
}

fn row_ids(guids: &[Option<Uuid>], entity: u32, form: GuidForm) -> (Argument, &'static str) {
    match form {
        GuidForm::Uuid => (Argument::NullableGuids(guids.to_vec()), "uuid[]"),
        GuidForm::Integer => {
            let ids = guids.iter().map(|it| it.and_then(|it| ids::decode_record_guid(entity, it)));
            (Argument::NullableInts(ids.collect()), "bigint[]")
        }
        GuidForm::Hash => {
            let hashes =
                guids.iter().map(|it| it.and_then(|it| ids::decode_hashed_guid(entity, it)));
            (Argument::NullableTexts(hashes.collect()), "text[]")
        }
    }
}

fn options(values: &[Option<i64>], members: &EnumBinding) -> (Argument, &'static str) {
    let stored: Vec<Option<&Stored>> = values
        .iter()
        .map(|value| {
            let members = members.members.iter();
            members
                .map(|it| (i64::from(it.option_value), &it.stored))
                .find_map(|(option, it)| (Some(option) == *value).then_some(it))
        })
        .collect();
    match members.storage {
        EnumStorage::Int => {
            let list = stored.iter().map(|it| match it {
                Some(Stored::Int(it)) => Some(*it),
                _ => None,
            });
            (Argument::NullableInts(list.collect()), "bigint[]")
        }
        EnumStorage::Text => {
            let list = stored.iter().map(|it| match it {
                Some(Stored::Text(it)) => Some(it.clone()),
                _ => None,
            });
            (Argument::NullableTexts(list.collect()), "text[]")
        }
        EnumStorage::Bool => {
            let list = stored.iter().map(|it| match it {
                Some(Stored::Bool(it)) => Some(*it),
                _ => None,
            });
            (Argument::NullableBools(list.collect()), "boolean[]")
        }
    }
}

fn unfit() -> Error {
    Error::InvalidQuery("rows by value are not as many, or not of the type, they should be".into())
}
