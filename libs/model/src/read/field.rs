//! One field of an entity.

use rust_decimal::Decimal;

use crate::entity::{Casing, ColumnPath, DataType, Field, FieldSource, Source};
use crate::read::entity::parse_known_path;
use crate::read::{Settings, read_name};
use crate::toml_reader::{At, Scalar, Table};

pub(crate) const STRING_LENGTH: u32 = 255;
pub(crate) const DECIMAL_SCALE: u8 = 6;

/// What the platform's decimals may show.
const MAX_SCALE: u8 = 10;

/// A field, its name, and the line of its default, which may name fields that are not read yet.
pub(crate) fn read_field(
    mut table: Table<'_>,
    sources: &[Source],
    settings: &Settings,
) -> (At<String>, Option<u32>, Field) {
    let name = read_name(&mut table);
    let label = table.text("label").map_or_else(|| name.value.clone(), |it| it.value);
    let description = table.text("description").map_or_else(String::new, |it| it.value);
    let data_type = read_type(&mut table, settings);
    let source = read_source(&mut table, sources);
    let writable = matches!(source, FieldSource::Column(_));
    let nullable = table.flag("nullable").is_some_and(|it| it.value);
    let mandatory = table.flag("mandatory");
    let allow_edit_on_create = read_edit(&mut table, "allow_edit_on_create", writable);
    let allow_edit = read_edit(&mut table, "allow_edit", writable);
    if let Some(At { line, value: true }) = mandatory
        && !allow_edit_on_create
    {
        table.report(line, "a field that may not be set on create cannot be mandatory");
    }
    let casing = read_casing(&mut table, "casing");
    if let Some(At { line, .. }) = &casing
        && !matches!(data_type, DataType::String { .. } | DataType::Memo)
    {
        table.report(*line, "`casing` is for text");
    }
    let storage = table.text("storage");
    if let Some(At { line, value }) = &storage
        && (value.trim().is_empty() || value.contains('\0'))
    {
        table.report(*line, "`storage` is no SQL type");
    }
    let default = table.text("default");
    if let Some(At { line, .. }) = &default
        && !writable
    {
        table.report(*line, "an expression is read-only: it cannot have a `default`");
    }
    let (min, max) = read_range(&mut table, &data_type);
    table.finish();
    let default_line = default.as_ref().map(|it| it.line);
    let field = Field {
        name: name.value.clone(),
        label,
        description,
        data_type,
        source,
        nullable,
        mandatory: mandatory.is_some_and(|it| it.value),
        allow_edit_on_create,
        allow_edit,
        casing: casing.map(|it| it.value),
        storage: storage.map(|it| it.value),
        default: default.map(|it| it.value),
        min,
        max,
    };
    (name, default_line, field)
}

/// The least and the greatest value, each a number that the field can hold.
fn read_range(table: &mut Table<'_>, kind: &DataType) -> (Option<String>, Option<String>) {
    let min = read_bound(table, "min", kind);
    let max = read_bound(table, "max", kind);
    if let (Some((least, At { line, .. })), Some((greatest, _))) = (&max, &min)
        && least < greatest
    {
        table.report(*line, "`max` is less than `min`");
    }
    (min.map(|it| it.1.value), max.map(|it| it.1.value))
}

fn read_bound(table: &mut Table<'_>, key: &str, kind: &DataType) -> Option<(Decimal, At<String>)> {
    let At { line, value } = table.scalar(key)?;
    let digits = match value {
        Scalar::Int(it) => it.to_string(),
        Scalar::Text(it) => it,
        Scalar::Bool(it) => it.to_string(),
    };
    let scale = match kind {
        DataType::Integer | DataType::Long => 0,
        DataType::Decimal { scale } => u32::from(*scale),
        _ => {
            table.report(line, format!("`{key}` is for numbers"));
            return None;
        }
    };
    match Decimal::from_str_exact(&digits) {
        Ok(it) if it.normalize().scale() <= scale => Some((it, At { line, value: digits })),
        Ok(_) => {
            table.report(line, format!("`{key}` has more digits after the point than the field"));
            None
        }
        Err(_) => {
            table.report(line, format!("`{key}` must be a number, such as \"0.01\""));
            None
        }
    }
}

fn read_type(table: &mut Table<'_>, settings: &Settings) -> DataType {
    let kind = table.required_text("type");
    let max_length = table.number("max_length", 1);
    let scale = table.number("scale", 0);
    let enum_name = table.text("enum");
    let stray = [
        ("max_length", "string", max_length.as_ref().map(|it| it.line)),
        ("scale", "decimal", scale.as_ref().map(|it| it.line)),
        ("enum", "enum", enum_name.as_ref().map(|it| it.line)),
    ];
    for (key, owner, line) in stray {
        if let Some(line) = line.filter(|_| kind.value != owner) {
            table.report(line, format!("`{key}` is for type {owner}"));
        }
    }
    match kind.value.as_str() {
        "string" => {
            DataType::String { max_length: max_length.map_or(STRING_LENGTH, |it| it.value) }
        }
        "decimal" => DataType::Decimal { scale: checked_scale(table, scale) },
        "enum" => DataType::Enum(known_enum(table, &kind, enum_name, settings)),
        "memo" => DataType::Memo,
        "integer" => DataType::Integer,
        "long" => DataType::Long,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date,
        "datetime" => DataType::DateTime,
        "guid" => DataType::Guid,
        "" => DataType::Memo,
        _ => {
            let known = "string, memo, integer, long, decimal, enum, boolean, date, datetime, guid";
            table.report(kind.line, format!("`type` must be one of {known}"));
            DataType::Memo
        }
    }
}

fn checked_scale(table: &Table<'_>, scale: Option<At<u8>>) -> u8 {
    let Some(scale) = scale else { return DECIMAL_SCALE };
    if scale.value > MAX_SCALE {
        table.report(scale.line, format!("`scale` must be at most {MAX_SCALE}"));
    }
    scale.value
}

fn known_enum(
    table: &Table<'_>,
    kind: &At<String>,
    name: Option<At<String>>,
    settings: &Settings,
) -> String {
    let Some(name) = name else {
        table.report(kind.line, "`enum` is missing: which enum this field holds");
        return String::new();
    };
    if settings.enums_known && settings.model.find_enum(&name.value).is_none() {
        table.report(name.line, format!("the model has no enum `{}`", name.value));
    }
    name.value
}

fn read_source(table: &mut Table<'_>, sources: &[Source]) -> FieldSource {
    let column = table.text("column");
    let expression = table.text("expression");
    match (column, expression) {
        (Some(column), None) => {
            let path = table.check(column.line, parse_known_path(&column.value, sources));
            FieldSource::Column(path.unwrap_or_else(no_column))
        }
        (None, Some(expression)) => {
            if expression.value.trim().is_empty() || expression.value.contains('\0') {
                table.report(expression.line, "`expression` is no SQL");
            }
            FieldSource::Expression(expression.value)
        }
        (Some(_), Some(expression)) => {
            table.report(expression.line, "a field has a `column` or an `expression`, not both");
            FieldSource::Column(no_column())
        }
        (None, None) => {
            table.report(table.line(), "`column` is missing: where the value comes from");
            FieldSource::Column(no_column())
        }
    }
}

fn no_column() -> ColumnPath {
    ColumnPath { alias: String::new(), column: String::new() }
}

/// Whether a value may be given; an expression's may never.
fn read_edit(table: &mut Table<'_>, key: &str, writable: bool) -> bool {
    let Some(At { line, value }) = table.flag(key) else { return writable };
    if value && !writable {
        table.report(line, format!("an expression is read-only: `{key}` cannot be true"));
    }
    value
}

pub(crate) fn read_casing(table: &mut Table<'_>, key: &str) -> Option<At<Casing>> {
    let At { line, value } = table.text(key)?;
    let casing = match value.as_str() {
        "upper" => Casing::Upper,
        "lower" => Casing::Lower,
        _ => {
            table.report(line, format!("`{key}` must be upper or lower"));
            return None;
        }
    };
    Some(At { line, value: casing })
}
