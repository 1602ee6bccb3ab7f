//! What a column's type becomes.

use model::DataType;

use crate::catalog::{Catalog, Oid, Type, TypeKind};

/// Text that may be looked up needs a bound on the platform: the longest that it offers.
const LOOKED_UP_LENGTH: u32 = 4000;
/// Types that are read as text and whose text is short.
const SHORT_LENGTH: u32 = 100;
/// What the platform's decimals may show.
const MAX_SCALE: u8 = 10;

/// A type without the domains around it.
pub(crate) struct BaseType<'a> {
    pub(crate) oid: Oid,
    pub(crate) r#type: &'a Type,
    /// What the type says in brackets; `None` for nothing.
    pub(crate) modifier: Option<i32>,
    pub(crate) not_null: bool,
    pub(crate) has_default: bool,
    /// The domains, from the outside in.
    pub(crate) domains: Vec<Oid>,
}

/// What a field of the type is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FieldType {
    pub(crate) kind: Kind,
    /// As [`model::Field::storage`].
    pub(crate) storage: Option<String>,
    /// PostgreSQL takes its text, but what it accepts no platform type can say.
    pub(crate) is_read_only: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain(DataType),
    /// The enum `NoYes`.
    NoYes,
    /// The PostgreSQL enum of that number.
    Enum(Oid),
}

/// `None` only for a type that vanished in between.
pub(crate) fn base_type(catalog: &Catalog, oid: Oid, modifier: i32) -> Option<BaseType<'_>> {
    let mut base = BaseType {
        oid,
        r#type: catalog.types.get(&oid)?,
        modifier: (modifier >= 0).then_some(modifier),
        not_null: false,
        has_default: false,
        domains: Vec::new(),
    };
    while let TypeKind::Domain { base: inner, modifier, not_null, has_default } = &base.r#type.kind
    {
        base.domains.push(base.oid);
        base.oid = *inner;
        base.r#type = catalog.types.get(inner)?;
        base.modifier = (*modifier >= 0).then_some(*modifier);
        base.not_null |= not_null;
        base.has_default |= has_default;
    }
    Some(base)
}

/// What a column of this type becomes, or why it is left out. `is_looked_up`: rows are found by it,
/// through a key or a foreign key.
pub(crate) fn field_type(base: &BaseType<'_>, is_looked_up: bool) -> Result<FieldType, String> {
    let r#type = base.r#type;
    let usual = |it| FieldType { kind: Kind::Plain(it), storage: None, is_read_only: false };
    let stored = |it| FieldType { storage: Some(sql_name(r#type)), ..usual(it) };
    let shown = |it| FieldType { is_read_only: true, ..stored(it) };
    match &r#type.kind {
        TypeKind::Enum { labels } if labels.is_empty() => {
            return Err(format!("the enum {} has no values", r#type.display));
        }
        TypeKind::Enum { .. } => {
            return Ok(FieldType { kind: Kind::Enum(base.oid), ..stored(DataType::Memo) });
        }
        TypeKind::Other | TypeKind::Domain { .. } => return Err(not_offered(r#type)),
        TypeKind::Base => {}
    }
    if r#type.name == "citext" {
        return Ok(stored(text(base.modifier, DataType::String { max_length: LOOKED_UP_LENGTH })));
    }
    if r#type.schema != "pg_catalog" {
        return Err(not_offered(r#type));
    }
    let short = DataType::String { max_length: SHORT_LENGTH };
    let bounded = DataType::String { max_length: LOOKED_UP_LENGTH };
    Ok(match r#type.name.as_str() {
        "int2" | "int4" => usual(DataType::Integer),
        "int8" => usual(DataType::Long),
        "numeric" => usual(DataType::Decimal { scale: numeric_scale(base.modifier) }),
        "float4" | "float8" => stored(DataType::Decimal { scale: MAX_SCALE }),
        "money" => stored(DataType::Decimal { scale: 2 }),
        "bool" => FieldType { kind: Kind::NoYes, ..usual(DataType::Boolean) },
        "varchar" => usual(text(base.modifier, bounded)),
        // Read as text, so that the blanks at the end are gone.
        "bpchar" => stored(text(base.modifier, bounded)),
        "text" if is_looked_up => usual(bounded),
        "text" => usual(DataType::Memo),
        "name" => stored(DataType::String { max_length: 63 }),
        "char" => stored(DataType::String { max_length: 1 }),
        "date" => usual(DataType::Date),
        "timestamp" => usual(DataType::DateTime),
        "timestamptz" => stored(DataType::DateTime),
        "uuid" => usual(DataType::Guid),
        "json" | "jsonb" | "xml" => shown(DataType::Memo),
        "time" | "timetz" | "interval" | "inet" | "cidr" | "macaddr" | "macaddr8" => shown(short),
        _ => return Err(not_offered(r#type)),
    })
}

fn not_offered(r#type: &Type) -> String {
    format!("the platform has no type for {}", r#type.display)
}

/// Longer texts than the platform's longest line are memos.
fn text(modifier: Option<i32>, unbounded: DataType) -> DataType {
    // PostgreSQL counts the four bytes of its own header.
    let length = modifier.and_then(|it| u32::try_from(it - 4).ok());
    match length {
        None => unbounded,
        Some(max_length) if max_length <= LOOKED_UP_LENGTH => DataType::String { max_length },
        Some(_) => DataType::Memo,
    }
}

/// The scale is the lower eleven bits, with a sign, of what follows the header.
fn numeric_scale(modifier: Option<i32>) -> u8 {
    let Some(modifier) = modifier else { return MAX_SCALE };
    let scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
    u8::try_from(scale.max(0)).unwrap_or(MAX_SCALE).min(MAX_SCALE)
}

/// As SQL writes the type; PostgreSQL's own need no schema.
fn sql_name(r#type: &Type) -> String {
    let name = quoted(&r#type.name);
    match r#type.schema.as_str() {
        // Without quotes this would be another type.
        "pg_catalog" if r#type.name == "char" => "pg_catalog.\"char\"".to_owned(),
        "pg_catalog" => name,
        schema => format!("{}.{name}", quoted(schema)),
    }
}

/// A reserved word among types' names is so rare that quotes may be for whatever is not plain.
fn quoted(name: &str) -> String {
    let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    let starts_well = name.starts_with(|it: char| it.is_ascii_lowercase() || it == '_');
    match starts_well && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_of_numerics() {
        let modifier = |precision: i32, scale: i32| Some(((precision << 16) | (scale & 0x7ff)) + 4);
        assert_eq!(numeric_scale(modifier(10, 2)), 2);
        assert_eq!(numeric_scale(modifier(10, 0)), 0);
        assert_eq!(numeric_scale(modifier(3, -2)), 0);
        assert_eq!(numeric_scale(modifier(38, 20)), 10);
        assert_eq!(numeric_scale(None), 10);
    }
}
