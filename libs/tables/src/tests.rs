use model::{ColumnPath, Field, FieldSource, RecordId, RecordIdKind, Source, TableName};
use proto::query::v1::{AttributeType, RequiredLevel};

use super::*;

fn field(name: &str, data_type: DataType) -> Field {
    Field {
        name: name.into(),
        label: name.into(),
        description: String::new(),
        data_type,
        source: FieldSource::Column(ColumnPath { alias: "t".into(), column: name.into() }),
        nullable: false,
        mandatory: false,
        allow_edit_on_create: true,
        allow_edit: true,
        casing: None,
        storage: None,
    }
}

fn text() -> DataType {
    DataType::String { max_length: 20 }
}

fn entity(name: &str, key: &[&str], fields: Vec<Field>) -> Entity {
    let company = fields.iter().any(|it| it.name == model::COMPANY_FIELD);
    Entity {
        name: name.into(),
        label: name.into(),
        collection_label: name.into(),
        description: String::new(),
        public: true,
        visible: true,
        sources: vec![Source {
            alias: "t".into(),
            table: TableName { schema: "public".into(), name: "t".into() },
            join: None,
            is_view: false,
        }],
        record_id: RecordId { kind: RecordIdKind::Integer, columns: vec!["id".into()] },
        company: company.then(|| ColumnPath { alias: "t".into(), column: "company".into() }),
        key: key.iter().map(|it| (*it).into()).collect(),
        fields,
        relations: Vec::new(),
    }
}

fn column<'t>(table: &'t pb::TableDefinition, name: &str) -> &'t pb::ColumnDefinition {
    table.columns.iter().find(|it| it.logical_name == name).unwrap()
}

#[test]
fn sets_are_named_as_the_platform_names_them() {
    let check = |name, expected| assert_eq!(entity_set_name(name), expected);
    check("mserp_custcustomerv3entity", "mserp_custcustomerv3entities");
    check("mserp_powerappfilesaving", "mserp_powerappfilesavings");
    check("mserp_address", "mserp_addresses");
    check("account", "accounts");
    check("cdm_company", "cdm_companies");
}

#[test]
fn a_virtual_table_has_the_vendors_names() {
    let fields = vec![field("dataAreaId", text()), field("CustomerAccount", text())];
    let table =
        virtual_table(&entity("CustV3Entity", &["dataAreaId", "CustomerAccount"], fields), 7);
    assert_eq!(table.logical_name, "mserp_custv3entity");
    assert_eq!(table.entity_set_name, "mserp_custv3entities");
    assert_eq!(table.primary_id_column, "mserp_custv3entityid");
    assert_eq!(table.primary_name_column, "mserp_primaryfield");
    assert_eq!(table.alternate_keys[0].columns, ["mserp_dataareaid", "mserp_customeraccount"]);
    let lookup = column(&table, "mserp_dataareaid_id");
    assert_eq!(lookup.r#type(), AttributeType::Lookup);
    assert_eq!(lookup.navigation_property, "mserp_dataAreaId_id");
    assert_eq!(lookup.target, "cdm_company");
    assert_eq!(lookup.required_level(), RequiredLevel::Recommended);
    assert!(!column(&table, "mserp_primaryfield").filterable);
}

#[test]
fn types_follow_the_vendors_map() {
    let check = |data_type, expected| {
        let table = virtual_table(&entity("E", &[], vec![field("F", data_type)]), 7);
        assert_eq!(column(&table, "mserp_f").r#type(), expected);
    };
    check(text(), AttributeType::String);
    check(DataType::Memo, AttributeType::Memo);
    check(DataType::Integer, AttributeType::Integer);
    check(DataType::Long, AttributeType::Decimal);
    check(DataType::Decimal { scale: 2 }, AttributeType::Decimal);
    check(DataType::Enum("NoYes".into()), AttributeType::Picklist);
    check(DataType::Date, AttributeType::Date);
    check(DataType::DateTime, AttributeType::DateTime);
    check(DataType::Guid, AttributeType::Uniqueidentifier);
    let native = native_table(&entity("E", &[], vec![field("F", DataType::Long)]), "F");
    assert_eq!(column(&native, "f").r#type(), AttributeType::BigInt);
}

#[test]
fn a_field_cannot_take_the_name_of_the_tables_own_columns() {
    let fields =
        vec![field("Eid", text()), field("PrimaryField", text()), field("primaryfield2", text())];
    let table = virtual_table(&entity("E", &["Eid"], fields), 7);
    assert_eq!(table.primary_id_column, "mserp_eid");
    let names: Vec<&str> = table.columns.iter().map(|it| it.logical_name.as_str()).collect();
    let expected = [
        "mserp_eid",
        "mserp_primaryfield",
        "mserp_eid2",
        "mserp_primaryfield2",
        "mserp_primaryfield22",
    ];
    assert_eq!(names, expected);
    assert_eq!(table.alternate_keys[0].columns, ["mserp_eid2"]);
    assert!(column(&table, "mserp_primaryfield").filterable);
}

#[test]
fn mandatory_fields_are_required_by_the_application() {
    let mandatory = Field { mandatory: true, ..field("F", text()) };
    let table = virtual_table(&entity("E", &[], vec![mandatory]), 7);
    assert_eq!(column(&table, "mserp_f").required_level(), RequiredLevel::ApplicationRequired);
    assert_eq!(column(&table, "mserp_eid").required_level(), RequiredLevel::SystemRequired);
}
