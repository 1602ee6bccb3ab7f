use std::collections::HashSet;

use model::{ColumnPath, Field, FieldSource, RecordId, RecordIdKind, Source, TableName};
use proto::query::v1::{AttributeType, RequiredLevel, SystemColumn};

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
        default: None,
        min: None,
        max: None,
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
        rules: Vec::new(),
        actions: Vec::new(),
        policies: Vec::new(),
        change_tracking: false,
    }
}

/// The table of an entity without relations.
fn alone(entity: &Entity) -> pb::TableDefinition {
    virtual_table(entity, 7, |_| None)
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
    let table = alone(&entity("CustV3Entity", &["dataAreaId", "CustomerAccount"], fields));
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
fn types_follow_the_vendors_map_and_native_ones_their_own() {
    let check = |data_type: DataType, r#virtual, native| {
        let entity = entity("E", &[], vec![field("F", data_type)]);
        let table = alone(&entity);
        assert_eq!(column(&table, "mserp_f").r#type(), r#virtual);
        assert_eq!(column(&native_table(&entity, "F"), "f").r#type(), native);
    };
    let same = |data_type, expected| check(data_type, expected, expected);
    same(text(), AttributeType::String);
    same(DataType::Memo, AttributeType::Memo);
    same(DataType::Integer, AttributeType::Integer);
    check(DataType::Long, AttributeType::Decimal, AttributeType::BigInt);
    same(DataType::Decimal { scale: 2 }, AttributeType::Decimal);
    same(DataType::Enum("NoYes".into()), AttributeType::Picklist);
    same(DataType::Boolean, AttributeType::Boolean);
    same(DataType::Date, AttributeType::Date);
    same(DataType::DateTime, AttributeType::DateTime);
    same(DataType::Guid, AttributeType::Uniqueidentifier);
}

#[test]
fn types_keep_their_size() {
    let check = |data_type, length, scale, options: &str| {
        let table = alone(&entity("E", &[], vec![field("F", data_type)]));
        let column = column(&table, "mserp_f");
        let found = (column.max_length, column.scale, column.option_set.as_str());
        assert_eq!(found, (length, scale, options));
    };
    check(text(), 20, 0, "");
    check(DataType::String { max_length: u32::MAX }, i32::MAX, 0, "");
    check(DataType::Decimal { scale: 6 }, 0, 6, "");
    check(DataType::Long, 0, 0, "");
    check(DataType::Enum("NoYes".into()), 0, 0, "mserp_NoYes");
}

#[test]
fn a_field_cannot_take_the_name_of_the_tables_own_columns() {
    let fields =
        vec![field("Eid", text()), field("PrimaryField", text()), field("primaryfield2", text())];
    let table = alone(&entity("E", &["Eid"], fields));
    assert_eq!(table.primary_id_column, "mserp_eid");
    let names: Vec<&str> = table.columns.iter().map(|it| it.logical_name.as_str()).collect();
    let expected = [
        "mserp_eid",
        "mserp_primaryfield",
        "mserp_eid2",
        // Not 2, which is another field's own name.
        "mserp_primaryfield3",
        "mserp_primaryfield2",
    ];
    assert_eq!(names, expected);
    let schema_names: HashSet<String> =
        table.columns.iter().map(|it| it.schema_name.to_lowercase()).collect();
    assert_eq!(schema_names, expected.map(str::to_owned).into());
    assert_eq!(table.alternate_keys[0].columns, ["mserp_eid2"]);
    assert!(column(&table, "mserp_primaryfield").filterable);
}

#[test]
fn the_company_lookup_comes_before_a_field_of_its_name() {
    let fields = vec![field("dataAreaId", text()), field("DataAreaId_Id", text())];
    let table = alone(&entity("E", &[], fields));
    assert_eq!(column(&table, "mserp_dataareaid_id").r#type(), AttributeType::Lookup);
    assert_eq!(column(&table, "mserp_dataareaid_id2").r#type(), AttributeType::String);
}

#[test]
fn only_company_entities_have_a_company_lookup() {
    let global = Entity { company: None, ..entity("E", &[], vec![field("dataAreaId", text())]) };
    let table = alone(&global);
    assert!(table.columns.iter().all(|it| it.r#type() != AttributeType::Lookup));
    assert_eq!(column(&table, "mserp_dataareaid").required_level(), RequiredLevel::None);
}

#[test]
fn required_levels_follow_the_vendors() {
    let mandatory = |name: &str| Field { mandatory: true, ..field(name, text()) };
    let fields = vec![mandatory("dataAreaId"), mandatory("Must"), field("May", text())];
    let table = alone(&entity("E", &["Must"], fields));
    let check =
        |name: &str, level| assert_eq!(column(&table, name).required_level(), level, "{name}");
    check("mserp_eid", RequiredLevel::SystemRequired);
    check("mserp_primaryfield", RequiredLevel::None);
    check("mserp_dataareaid", RequiredLevel::Recommended);
    check("mserp_dataareaid_id", RequiredLevel::Recommended);
    check("mserp_must", RequiredLevel::ApplicationRequired);
    check("mserp_may", RequiredLevel::None);
}

#[test]
fn the_primary_field_can_be_filtered_only_if_it_is_one_text() {
    let check = |key: &[&str], expected| {
        let fields = vec![
            field("Text", text()),
            field("Memo", DataType::Memo),
            field("Number", DataType::Integer),
            field("Mood", DataType::Enum("Mood".into())),
        ];
        let table = alone(&entity("E", key, fields));
        assert_eq!(column(&table, "mserp_primaryfield").filterable, expected, "{key:?}");
        assert_eq!(column(&table, "mserp_primaryfield").max_length, 256);
        assert!(column(&table, "mserp_number").filterable);
    };
    check(&["Text"], true);
    check(&["Memo"], true);
    check(&["Number"], false);
    check(&["Mood"], false);
    check(&["Text", "Memo"], false);
    check(&[], false);
}

#[test]
fn what_may_be_written_is_what_the_model_says() {
    let check = |field: Field, create, update| {
        let table = alone(&entity("E", &[], vec![field]));
        let column = column(&table, "mserp_f");
        assert_eq!((column.valid_for_create, column.valid_for_update), (create, update));
    };
    let plain = || field("F", text());
    check(plain(), true, true);
    check(Field { allow_edit: false, ..plain() }, true, false);
    check(Field { allow_edit_on_create: false, ..plain() }, false, true);
    let computed = FieldSource::Expression("1".into());
    check(Field { source: computed, ..plain() }, false, false);
}

#[test]
fn columns_are_named_to_the_provider_by_field_or_by_system_column() {
    let fields = vec![field("dataAreaId", text()), field("Code", text())];
    let table = alone(&entity("E", &["Code"], fields));
    let check = |name: &str, expected| {
        let external = column(&table, name).external.clone().and_then(|it| it.column);
        assert_eq!(external, Some(expected), "{name}");
    };
    let system = |it: SystemColumn| pb::column_ref::Column::System(it.into());
    check("mserp_eid", system(SystemColumn::RecordId));
    check("mserp_primaryfield", system(SystemColumn::PrimaryField));
    check("mserp_dataareaid_id", system(SystemColumn::CompanyId));
    check("mserp_code", pb::column_ref::Column::Field("Code".into()));
}

#[test]
fn a_native_table_is_named_as_its_model_says() {
    let fields = vec![field("cdm_CompanyCode", text()), field("cdm_name", text())];
    let table = native_table(&entity("cdm_company", &["cdm_CompanyCode"], fields), "cdm_name");
    assert_eq!(table.logical_name, "cdm_company");
    assert_eq!(table.entity_set_name, "cdm_companies");
    assert_eq!(table.primary_id_column, "cdm_companyid");
    assert_eq!(table.primary_name_column, "cdm_name");
    assert_eq!(table.source(), pb::TableSource::Organization);
    assert_eq!(table.alternate_keys[0].columns, ["cdm_companycode"]);
    assert_eq!(column(&table, "cdm_companycode").schema_name, "cdm_CompanyCode");
    assert!(table.columns.iter().all(|it| !it.logical_name.starts_with("mserp_")));
}

#[test]
fn options_have_the_values_that_are_given() {
    let member = |symbol: &str| Member {
        symbol: symbol.into(),
        label: format!("{symbol}!"),
        stored: model::Stored::Text(symbol.into()),
    };
    let mood = Enum {
        name: "Mood".into(),
        label: "Humour".into(),
        members: vec![member("Low"), member("High")],
    };
    let set = option_set(&mood, |_, member| match member.symbol.as_str() {
        "Low" => FIRST_OPTION + 5,
        _ => FIRST_OPTION,
    });
    assert_eq!((set.name.as_str(), set.display_name.as_str()), ("mserp_Mood", "Humour"));
    let options: Vec<_> = set
        .options
        .iter()
        .map(|it| (it.value, it.external_name.as_str(), it.label.as_str()))
        .collect();
    assert_eq!(options, [(200_000_005, "Low", "Low!"), (200_000_000, "High", "High!")]);
}

fn relation(name: &str, entity: &str, fields: &[(&str, &str)]) -> model::Relation {
    let pair = |(field, related): &(&str, &str)| model::RelationField {
        field: (*field).into(),
        related: (*related).into(),
    };
    model::Relation {
        name: name.into(),
        entity: entity.into(),
        fields: fields.iter().map(pair).collect(),
    }
}

/// Orders lead to customers of the same company, and to countries, which have none.
fn shop() -> [Entity; 3] {
    let relations = vec![
        relation("Customer", "CustEntity", &[("Account", "Id")]),
        relation("Country", "CountryEntity", &[("CountryId", "Code")]),
    ];
    let fields = || vec![field("dataAreaId", text()), field("Id", text())];
    let mut order = fields();
    order.extend([field("Account", text()), field("CountryId", text())]);
    [
        Entity { relations, ..entity("OrderEntity", &["Id"], order) },
        entity("CustEntity", &["Id"], fields()),
        entity("CountryEntity", &["Code"], vec![field("Code", text())]),
    ]
}

fn published(entities: &[Entity], names: &[&str]) -> pb::TableDefinition {
    let find = |name: &str| entities.iter().find(|it| it.name == name && names.contains(&name));
    virtual_table(&entities[0], 7, find)
}

fn pairs(relationship: &pb::Relationship) -> Vec<(String, String)> {
    let name = |it: &Option<pb::ColumnRef>| match it.as_ref().and_then(|it| it.column.as_ref()) {
        Some(pb::column_ref::Column::Field(name)) => name.clone(),
        other => panic!("{other:?}"),
    };
    relationship.pairs.iter().map(|it| (name(&it.column), name(&it.target))).collect()
}

#[test]
fn ve_055_a_relation_becomes_a_relationship_with_a_lookup() {
    let shop = shop();
    let table = published(&shop, &["OrderEntity", "CustEntity", "CountryEntity"]);
    let found = |name: &str| {
        table
            .relationships
            .iter()
            .find(|it| it.schema_name == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    let customer = found("mserp_FK_OrderEntity_Customer");
    assert_eq!(customer.column, "mserp_fk_customer_id");
    assert_eq!(customer.target, "mserp_custentity");
    assert_eq!(customer.navigation_property, "mserp_FK_Customer_id");
    assert_eq!(customer.collection_navigation_property, "mserp_FK_OrderEntity_Customer");
    assert_eq!(customer.origin(), pb::RelationshipOrigin::Model);
    assert!(customer.exact);
    let of = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()
    };
    assert_eq!(pairs(customer), of(&[("dataAreaId", "dataAreaId"), ("Account", "Id")]));
    assert_eq!(pairs(found("mserp_FK_OrderEntity_Country")), of(&[("CountryId", "Code")]));
    let lookup = column(&table, "mserp_fk_customer_id");
    assert_eq!(lookup.r#type(), AttributeType::Lookup);
    assert_eq!(lookup.target, "mserp_custentity");
    assert_eq!(lookup.navigation_property, "mserp_FK_Customer_id");
    let external = lookup.external.clone().and_then(|it| it.column);
    assert_eq!(external, Some(pb::column_ref::Column::Relation("Customer".into())));
}

#[test]
fn ve_055_a_relation_is_there_as_soon_as_its_target_is() {
    let shop = shop();
    let names = |published_names: &[&str]| -> Vec<String> {
        let table = published(&shop, published_names);
        let lookups = table.columns.iter().filter(|it| it.r#type() == AttributeType::Lookup);
        assert_eq!(lookups.count(), table.relationships.len());
        table.relationships.into_iter().map(|it| it.schema_name).collect()
    };
    let company = "mserp_cdm_company_OrderEntity_dataAreaId";
    assert_eq!(names(&["OrderEntity"]), [company]);
    let both = names(&["OrderEntity", "CountryEntity"]);
    assert_eq!(both, [company, "mserp_FK_OrderEntity_Country"]);
}

#[test]
fn ve_028_a_relationship_with_too_long_a_name_is_left_out() {
    let mut shop = shop();
    // `mserp_FK_OrderEntity_` is 21 of the 92.
    let (fits, too_long) = ("F".repeat(71), "T".repeat(72));
    shop[0].relations =
        [&fits, &too_long].map(|name| relation(name, "CustEntity", &[("Account", "Id")])).into();
    let table = published(&shop, &["CustEntity"]);
    let found: Vec<&str> = table
        .relationships
        .iter()
        .filter(|it| it.origin() == pb::RelationshipOrigin::Model)
        .map(|it| it.navigation_property.as_str())
        .collect();
    assert_eq!(found, [format!("mserp_FK_{fits}_id")]);
}

#[test]
fn the_company_lookup_is_a_relationship_to_the_platforms_companies() {
    let shop = shop();
    let table = published(&shop, &[]);
    let [company] = table.relationships.as_slice() else { panic!("{:?}", table.relationships) };
    assert_eq!(company.column, "mserp_dataareaid_id");
    assert_eq!(company.target, "cdm_company");
    assert_eq!(company.navigation_property, "mserp_dataAreaId_id");
    assert_eq!(pairs(company), [("dataAreaId".to_owned(), "cdm_companycode".to_owned())]);
    assert_eq!(company.origin(), pb::RelationshipOrigin::Company);
    assert!(!company.exact);
}

#[test]
fn a_relations_lookup_gives_way_to_a_field_of_its_name() {
    let mut shop = shop();
    shop[0].fields.push(field("FK_Customer_id", text()));
    let table = published(&shop, &["CustEntity"]);
    assert_eq!(column(&table, "mserp_fk_customer_id").r#type(), AttributeType::String);
    let lookup = column(&table, "mserp_fk_customer_id2");
    assert_eq!(lookup.navigation_property, "mserp_FK_Customer_id2");
}

#[test]
fn an_action_has_a_name_of_its_own_in_the_organization() {
    let action = model::Action {
        name: "HoldCredit".into(),
        label: "Hold".into(),
        description: String::new(),
        binding: model::ActionBinding::Row,
        implementation: model::Implementation::Service("credit".into()),
        parameters: vec![model::Parameter {
            name: "Reason".into(),
            label: "Reason".into(),
            value_type: model::ValueType::Long,
            mandatory: true,
            max_length: None,
        }],
        returns: None,
    };
    let mut customer = entity("CustV3Entity", &[], vec![field("Name", text())]);
    customer.actions.push(action);
    customer.change_tracking = true;
    let table = alone(&customer);
    assert!(table.change_tracking_enabled);
    let [action] = table.actions.as_slice() else { panic!("{:?}", table.actions) };
    assert_eq!(action.unique_name, "mserp_CustV3Entity_HoldCredit");
    assert_eq!(action.external_name, "HoldCredit");
    assert_eq!(action.target(), pb::ActionTarget::Entity);
    assert_eq!(action.result(), AttributeType::Unspecified);
    assert_eq!(action.parameters[0].r#type(), AttributeType::BigInt);
    assert!(action.parameters[0].required);
    assert_eq!(native_table(&customer, "Name").actions[0].unique_name, "CustV3Entity_HoldCredit");
}
