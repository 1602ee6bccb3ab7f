//! What a table looks like: `EntityDefinitions`.

use serde::Deserialize;

use super::{ApiError, WebApi};
use crate::table::{Column, Kind};

/// A table, and the columns that can be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) logical_name: String,
    /// The column that tells rows apart.
    pub(crate) primary_id: String,
    /// Whether its changes are tracked.
    pub(crate) tracked: bool,
    /// As rows name them.
    pub(crate) columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Many<T> {
    value: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entity {
    logical_name: String,
    primary_id_attribute: String,
    #[serde(default)]
    change_tracking_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    logical_name: String,
    attribute_type: String,
    /// Not a column of its own, such as the name beside a choice.
    #[serde(default)]
    attribute_of: Option<String>,
    #[serde(default)]
    is_valid_for_read: Option<bool>,
    #[serde(default, rename = "IsValidODataAttribute")]
    is_valid_odata_attribute: Option<bool>,
    #[serde(default)]
    precision: Option<i64>,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    date_time_behavior: Option<Behavior>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Behavior {
    value: String,
}

pub(super) async fn read(api: &WebApi, set: &str) -> Result<Definition, ApiError> {
    let query = format!(
        "EntityDefinitions?$select=LogicalName,PrimaryIdAttribute,ChangeTrackingEnabled\
         &$filter=EntitySetName eq '{set}'"
    );
    let body = api.get(api.resource(&query)?, "").await?;
    let entities: Many<Entity> = parse(&body)?;
    let no_table = || ApiError::NoTable(set.to_owned());
    let entity = entities.value.into_iter().next().ok_or_else(no_table)?;
    let query = format!("EntityDefinitions(LogicalName='{}')/Attributes", entity.logical_name);
    let body = api.get(api.resource(&query)?, "").await?;
    let attributes: Many<Attribute> = parse(&body)?;
    let mut columns: Vec<Column> = attributes.value.iter().filter_map(column).collect();
    columns.sort_by(|one, other| one.name.cmp(&other.name));
    let primary_id = entity.primary_id_attribute;
    if !columns.iter().any(|it| it.name == primary_id && it.kind == Kind::Uuid) {
        return Err(ApiError::Malformed(format!("`{set}` has no column `{primary_id}` of ids")));
    }
    let (logical_name, tracked) = (entity.logical_name, entity.change_tracking_enabled);
    Ok(Definition { logical_name, primary_id, tracked, columns })
}

fn parse<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<Many<T>, ApiError> {
    serde_json::from_slice(body)
        .map_err(|it| ApiError::Malformed(format!("the tables' definitions cannot be read: {it}")))
}

/// None for what rows do not show.
fn column(attribute: &Attribute) -> Option<Column> {
    let hidden = attribute.attribute_of.is_some()
        || attribute.is_valid_for_read == Some(false)
        || attribute.is_valid_odata_attribute == Some(false);
    if hidden {
        return None;
    }
    let name = &attribute.logical_name;
    let column = |kind: Kind| Some(Column { name: name.clone(), kind });
    match attribute.attribute_type.as_str() {
        "String" | "Memo" => column(Kind::String),
        "Uniqueidentifier" => column(Kind::Uuid),
        "Integer" | "Picklist" | "State" | "Status" => column(Kind::Int32),
        "BigInt" => column(Kind::Int64),
        "Boolean" => column(Kind::Boolean),
        "Double" => column(Kind::Double),
        "Decimal" | "Money" => {
            column(attribute.precision.and_then(Kind::decimal).unwrap_or(Kind::String))
        }
        "DateTime" => column(if is_day(attribute) { Kind::Date } else { Kind::Timestamp }),
        "Lookup" | "Customer" | "Owner" => {
            Some(Column { name: format!("_{name}_value"), kind: Kind::Uuid })
        }
        _ => None,
    }
}

/// Days of one calendar for everybody; what has days in the user's own time zone is a moment.
fn is_day(attribute: &Attribute) -> bool {
    let behavior = attribute.date_time_behavior.as_ref().map(|it| it.value.as_str());
    let date_only = attribute.format.as_deref() == Some("DateOnly");
    behavior == Some("DateOnly") || (date_only && behavior == Some("TimeZoneIndependent"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn columns_are_as_rows_show_them() {
        let check = |attribute: Value, expected: Option<(&str, Kind)>| {
            let attribute: Attribute = serde_json::from_value(attribute).unwrap();
            let found = column(&attribute);
            assert_eq!(found.as_ref().map(|it| (it.name.as_str(), it.kind)), expected);
        };
        let of = |kind: &str| json!({"LogicalName": "a", "AttributeType": kind});
        let with = |kind: &str, more: Value| {
            let mut value = of(kind);
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            value
        };
        check(of("Memo"), Some(("a", Kind::String)));
        check(of("Status"), Some(("a", Kind::Int32)));
        check(of("Owner"), Some(("_a_value", Kind::Uuid)));
        check(with("Money", json!({"Precision": 4})), Some(("a", Kind::Decimal { scale: 4 })));
        check(with("Decimal", json!({"Precision": 99})), Some(("a", Kind::String)));
        check(of("Decimal"), Some(("a", Kind::String)));
        check(with("String", json!({"AttributeOf": "b"})), None);
        check(with("String", json!({"IsValidForRead": false})), None);
        check(of("Virtual"), None);
        let moment = |format: &str, behavior: &str| {
            with("DateTime", json!({"Format": format, "DateTimeBehavior": {"Value": behavior}}))
        };
        check(moment("DateOnly", "DateOnly"), Some(("a", Kind::Date)));
        check(moment("DateOnly", "TimeZoneIndependent"), Some(("a", Kind::Date)));
        check(moment("DateOnly", "UserLocal"), Some(("a", Kind::Timestamp)));
        check(moment("DateAndTime", "TimeZoneIndependent"), Some(("a", Kind::Timestamp)));
        check(of("DateTime"), Some(("a", Kind::Timestamp)));
    }
}
