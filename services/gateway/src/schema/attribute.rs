//! Columns (spec virtual-entities §3.1, §3.5; lifecycle-and-web-api §2.14).

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as External;
use proto::query::v1::{AttributeType, DateTimeBehavior, RequiredLevel};
use serde_json::{Value, json};

use super::option_set;
use super::parts::{INTRODUCED, extend, id, label, managed};
use crate::metadata::{Snapshot, Source, Table};

const LONGEST_MEMO: i32 = 1_048_576;
/// Beyond which the platform takes no decimal (spec VE-042).
const LARGEST_DECIMAL: i64 = 100_000_000_000;

/// What a type is called: as a member of `AttributeTypeCode`, and in front of `AttributeMetadata`
/// and `Type`.
struct Kind {
    code: &'static str,
    name: &'static str,
}

/// Every column of a table, in the order of publication. `whole`: with the option sets.
pub(super) fn all<'a>(
    snapshot: &'a Snapshot,
    table: &'a Table,
    whole: bool,
) -> impl Iterator<Item = Value> + 'a {
    let columns = table.definition.columns.iter().enumerate();
    columns.filter(|(_, it)| table.by_name(&it.logical_name).is_some()).map(move |(at, column)| {
        let kind = kind(table, column);
        let mut value = common(table, column, &kind, at);
        extend(&mut value, flags(table, column));
        extend(&mut value, own(snapshot, table, column, whole));
        value
    })
}

fn kind(table: &Table, column: &pb::ColumnDefinition) -> Kind {
    let plain = |name: &'static str| Kind { code: name, name };
    match column.r#type() {
        AttributeType::String | AttributeType::Unspecified => plain("String"),
        AttributeType::Memo => plain("Memo"),
        AttributeType::Integer => plain("Integer"),
        AttributeType::BigInt => plain("BigInt"),
        AttributeType::Decimal => plain("Decimal"),
        AttributeType::Double => plain("Double"),
        AttributeType::Boolean => plain("Boolean"),
        AttributeType::DateTime | AttributeType::Date => plain("DateTime"),
        AttributeType::Uniqueidentifier => {
            Kind { code: "Uniqueidentifier", name: "UniqueIdentifier" }
        }
        AttributeType::Lookup => plain("Lookup"),
        AttributeType::Picklist => match column.logical_name.as_str() {
            "statecode" if table.source == Source::Organization => plain("State"),
            "statuscode" if table.source == Source::Organization => plain("Status"),
            _ => plain("Picklist"),
        },
    }
}

fn common(table: &Table, column: &pb::ColumnDefinition, kind: &Kind, at: usize) -> Value {
    let Kind { code, name } = kind;
    let (entity, logical_name) = (table.logical_name.as_str(), column.logical_name.as_str());
    let owner = format!("{entity}/{logical_name}");
    let is_native = table.source == Source::Organization;
    json!({
        "@odata.type": format!("#Microsoft.Dynamics.CRM.{name}AttributeMetadata"),
        "MetadataId": id("attribute", &[entity, logical_name]),
        "HasChanged": null,
        "AttributeOf": null,
        "AttributeType": code,
        "AttributeTypeName": {"Value": format!("{code}Type")},
        "ColumnNumber": at + 1,
        "DeprecatedVersion": null,
        "Description": label(&column.description, &owner, "Description"),
        "DisplayName": label(&column.display_name, &owner, "DisplayName"),
        "EntityLogicalName": entity,
        "ExternalName": if is_native { Value::Null } else { json!(external_name(column)) },
        "InheritsFrom": null,
        "IntroducedVersion": INTRODUCED,
        "IsCustomAttribute": !is_native,
        "IsManaged": true,
        "IsPrimaryId": logical_name == table.definition.primary_id_column,
        "IsPrimaryName": logical_name == table.definition.primary_name_column,
        "LinkedAttributeId": null,
        "LogicalName": logical_name,
        "RequiredLevel": {
            "Value": required_level(column.required_level()),
            "CanBeChanged": false,
            "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
        },
        "SchemaName": column.schema_name,
        "SettingOf": null,
    })
}

/// What may be done with a column. Security by column, auditing, rollups and the like are off
/// (spec virtual-entities §4.2).
fn flags(table: &Table, column: &pb::ColumnDefinition) -> Value {
    let is_id = column.logical_name == table.definition.primary_id_column;
    json!({
        "AutoNumberFormat": null,
        "CanBeSecuredForCreate": false,
        "CanBeSecuredForRead": false,
        "CanBeSecuredForUpdate": false,
        "CanModifyAdditionalSettings": managed(false, "canmodifyadditionalsettings"),
        "IsAuditEnabled": managed(false, "canmodifyauditsettings"),
        "IsCustomizable": managed(false, "iscustomizable"),
        "IsDataSourceSecret": false,
        "IsFilterable": column.filterable,
        "IsGlobalFilterEnabled": managed(false, "canmodifyglobalfiltersettings"),
        "IsLogical": false,
        "IsRenameable": managed(false, "isrenameable"),
        "IsRequiredForForm": false,
        "IsRetrievable": true,
        "IsSearchable": false,
        "IsSecured": false,
        "IsSortableEnabled": managed(column.filterable, "canmodifyissortablesettings"),
        "IsValidForAdvancedFind": managed(column.filterable, "canmodifysearchsettings"),
        "IsValidForCreate": column.valid_for_create,
        "IsValidForForm": !is_id,
        "IsValidForGrid": !is_id,
        "IsValidForRead": true,
        "IsValidForUpdate": column.valid_for_update,
        "IsValidODataAttribute": true,
    })
}

/// What only columns of its type have.
fn own(snapshot: &Snapshot, table: &Table, column: &pb::ColumnDefinition, whole: bool) -> Value {
    match column.r#type() {
        AttributeType::String => json!({
            "Format": "Text",
            "FormatName": {"Value": "Text"},
            "ImeMode": "Auto",
            "IsLocalizable": false,
            "MaxLength": column.max_length,
            "DatabaseLength": column.max_length.saturating_mul(2),
            "YomiOf": null,
            "FormulaDefinition": "",
            "SourceTypeMask": 0,
            "SourceType": 0,
        }),
        AttributeType::Memo => json!({
            "Format": "TextArea",
            "FormatName": {"Value": "TextArea"},
            "ImeMode": "Auto",
            "IsLocalizable": false,
            "MaxLength": if column.max_length > 0 { column.max_length } else { LONGEST_MEMO },
        }),
        AttributeType::Integer => json!({
            "Format": "None", "MaxValue": i32::MAX, "MinValue": i32::MIN, "FormulaDefinition": "",
            "SourceTypeMask": 0, "SourceType": 0,
        }),
        AttributeType::BigInt => json!({"MaxValue": i64::MAX, "MinValue": i64::MIN}),
        AttributeType::Decimal => json!({
            "Precision": column.scale, "MaxValue": LARGEST_DECIMAL, "MinValue": -LARGEST_DECIMAL,
            "ImeMode": "Auto", "FormulaDefinition": "", "SourceTypeMask": 0, "SourceType": 0,
        }),
        AttributeType::Double => json!({
            "Precision": column.scale, "MaxValue": LARGEST_DECIMAL, "MinValue": -LARGEST_DECIMAL,
            "ImeMode": "Auto",
        }),
        AttributeType::DateTime | AttributeType::Date => moment(column),
        AttributeType::Boolean => {
            let choices = match whole {
                true => option_set::of_boolean(&table.logical_name, &column.logical_name),
                false => Value::Null,
            };
            json!({"DefaultValue": false, "OptionSet": choices, "GlobalOptionSet": null,
                "FormulaDefinition": "", "SourceTypeMask": 0, "SourceType": 0})
        }
        AttributeType::Picklist => choice(snapshot, table, column, whole),
        AttributeType::Lookup => json!({"Targets": [column.target], "Format": "None"}),
        AttributeType::Uniqueidentifier | AttributeType::Unspecified => json!({}),
    }
}

fn moment(column: &pb::ColumnDefinition) -> Value {
    let is_date = column.r#type() == AttributeType::Date;
    let behavior = match column.date_time_behavior() {
        DateTimeBehavior::UserLocal => "UserLocal",
        DateTimeBehavior::TimeZoneIndependent | DateTimeBehavior::Unspecified => {
            "TimeZoneIndependent"
        }
    };
    json!({
        "Format": if is_date { "DateOnly" } else { "DateAndTime" },
        "DateTimeBehavior": {"Value": behavior},
        "CanChangeDateTimeBehavior": managed(false, "canmodifybehavior"),
        "ImeMode": "Auto",
        "MinSupportedValue": "1753-01-01T00:00:00Z",
        "MaxSupportedValue": "9999-12-30T23:59:59Z",
        "FormulaDefinition": "",
        "SourceTypeMask": 0,
        "SourceType": 0,
    })
}

fn choice(snapshot: &Snapshot, table: &Table, column: &pb::ColumnDefinition, whole: bool) -> Value {
    let global = !option_set::is_local_to(table.source);
    let set = match whole {
        true => option_set::of_column(snapshot, &column.option_set, global),
        false => Value::Null,
    };
    json!({
        "DefaultFormValue": -1,
        "GlobalOptionSet": if global { &set } else { &Value::Null },
        "OptionSet": set,
        "ParentPicklistLogicalName": null,
        "ChildPicklistLogicalNames": [],
        "FormulaDefinition": "",
        "SourceTypeMask": 0,
        "SourceType": 0,
    })
}

/// What the ERP calls the column (spec virtual-entities §2.3: `FK_<relation>`).
fn external_name(column: &pb::ColumnDefinition) -> String {
    match column.external.as_ref().and_then(|it| it.column.as_ref()) {
        Some(External::Field(name)) => name.clone(),
        Some(External::Relation(name)) => format!("FK_{name}"),
        Some(External::System(it)) if *it == pb::SystemColumn::CompanyId as i32 => {
            "dataAreaId".to_owned()
        }
        Some(External::System(_)) | None => String::new(),
    }
}

fn required_level(level: RequiredLevel) -> &'static str {
    match level {
        RequiredLevel::None | RequiredLevel::Unspecified => "None",
        RequiredLevel::Recommended => "Recommended",
        RequiredLevel::ApplicationRequired => "ApplicationRequired",
        RequiredLevel::SystemRequired => "SystemRequired",
    }
}
