//! Tables to test with, as their owners would publish them.

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column;
use proto::query::v1::{AttributeType as Type, SystemColumn};

pub(crate) const CUSTOMERS: &str = "mserp_custcustomerv3entities";
pub(crate) const ORDERS: &str = "mserp_orders";
pub(crate) const USMF: u128 = 0xA1;

/// What the catalog publishes.
pub(crate) fn catalog() -> pb::WatchTablesResponse {
    let option = |value, symbol: &str| pb::Option {
        value,
        external_name: symbol.into(),
        label: symbol.into(),
    };
    pb::WatchTablesResponse {
        revision: 7,
        tables: vec![customers(), orders(), catalog_table()],
        option_sets: vec![pb::OptionSet {
            name: "mserp_Blocked".into(),
            display_name: "Blocked".into(),
            options: vec![
                option(200_000_000, "No"),
                option(200_000_001, "Invoice"),
                option(200_000_002, "All"),
            ],
        }],
        declared_relationships: vec![],
    }
}

/// What the organization publishes.
pub(crate) fn organization() -> pb::WatchTablesResponse {
    let company = pb::TableDefinition {
        logical_name: "cdm_company".into(),
        entity_set_name: "cdm_companies".into(),
        external_name: "cdm_company".into(),
        source: pb::TableSource::Organization.into(),
        primary_id_column: "cdm_companyid".into(),
        columns: vec![
            system("cdm_companyid", SystemColumn::RecordId, Type::Uniqueidentifier),
            field("cdm_companycode", "cdm_companycode", Type::String),
            field("cdm_active", "cdm_active", Type::Boolean),
        ],
        ..Default::default()
    };
    pb::WatchTablesResponse { revision: 3, tables: vec![company], ..Default::default() }
}

fn customers() -> pb::TableDefinition {
    let mut blocked = field("mserp_blocked", "Blocked", Type::Picklist);
    blocked.option_set = "mserp_Blocked".into();
    let mut alias = field("mserp_alias", "Alias", Type::String);
    alias.max_length = 8;
    let mut company = system("mserp_dataareaid_id", SystemColumn::CompanyId, Type::Lookup);
    company.target = "cdm_company".into();
    company.navigation_property = "mserp_dataAreaId_id".into();
    let mut primary = system("mserp_primaryfield", SystemColumn::PrimaryField, Type::String);
    primary.filterable = false;
    let id = "mserp_custcustomerv3entityid";
    pb::TableDefinition {
        logical_name: "mserp_custcustomerv3entity".into(),
        schema_name: "mserp_CustCustomerV3Entity".into(),
        entity_set_name: CUSTOMERS.into(),
        external_name: "CustCustomerV3Entity".into(),
        source: pb::TableSource::Erp.into(),
        primary_id_column: id.into(),
        primary_name_column: "mserp_primaryfield".into(),
        columns: vec![
            system(id, SystemColumn::RecordId, Type::Uniqueidentifier),
            primary,
            field("mserp_dataareaid", "dataAreaId", Type::String),
            company,
            field("mserp_account", "Account", Type::String),
            alias,
            field("mserp_credit", "Credit", Type::Decimal),
            field("mserp_visits", "Visits", Type::Integer),
            blocked,
            field("mserp_opened", "Opened", Type::Date),
            field("mserp_changed", "Changed", Type::DateTime),
        ],
        alternate_keys: vec![pb::AlternateKey {
            name: "key".into(),
            columns: vec!["mserp_dataareaid".into(), "mserp_account".into()],
        }],
        relationships: vec![pb::Relationship {
            schema_name: "mserp_cdm_company_CustCustomerV3Entity_dataAreaId".into(),
            column: "mserp_dataareaid_id".into(),
            target: "cdm_company".into(),
            navigation_property: "mserp_dataAreaId_id".into(),
            collection_navigation_property: "mserp_cdm_company_CustCustomerV3Entity_dataAreaId"
                .into(),
            pairs: vec![pb::RelationshipPair {
                column: field("", "dataAreaId", Type::String).external,
                target: field("", "cdm_companycode", Type::String).external,
            }],
            exact: false,
            origin: pb::RelationshipOrigin::Company.into(),
        }],
        actions: actions(),
        change_tracking_enabled: true,
        ..Default::default()
    }
}

/// One of a row, one of the table, one of nothing.
fn actions() -> Vec<pb::ActionDefinition> {
    use pb::ActionTarget::{Entity, EntityCollection, Global};
    let action = |name: &str, target: pb::ActionTarget, parameters: &[_], result: Type| {
        let parameter = |&(name, r#type, required): &(&str, Type, bool)| {
            let r#type = r#type.into();
            pb::ActionParameterDefinition { name: name.into(), r#type, required }
        };
        pb::ActionDefinition {
            unique_name: format!("mserp_CustCustomerV3Entity_{name}"),
            external_name: name.into(),
            display_name: format!("{name} & more"),
            description: String::new(),
            target: target.into(),
            parameters: parameters.iter().map(parameter).collect(),
            result: result.into(),
        }
    };
    let amount = ("Amount", Type::Decimal, true);
    let all = [amount, ("Reason", Type::String, false), ("Until", Type::Date, false)];
    vec![
        action("RaiseCredit", Entity, &all, Type::Decimal),
        action("Hold", Entity, &[], Type::Unspecified),
        action("Count", EntityCollection, &[], Type::BigInt),
        action("Ping", Global, &[("Text", Type::String, false)], Type::String),
    ]
}

fn orders() -> pb::TableDefinition {
    let id = "mserp_orderid";
    let mut customer =
        column("mserp_customer_id", Column::Relation("Customer".into()), Type::Lookup);
    customer.target = "mserp_custcustomerv3entity".into();
    customer.navigation_property = "mserp_Customer".into();
    (customer.valid_for_create, customer.valid_for_update) = (true, true);
    let pair = |this: &str, target: &str| pb::RelationshipPair {
        column: field("", this, Type::String).external,
        target: field("", target, Type::String).external,
    };
    pb::TableDefinition {
        logical_name: "mserp_order".into(),
        schema_name: "mserp_Order".into(),
        entity_set_name: ORDERS.into(),
        external_name: "Order".into(),
        source: pb::TableSource::Erp.into(),
        primary_id_column: id.into(),
        primary_name_column: "mserp_number".into(),
        columns: vec![
            system(id, SystemColumn::RecordId, Type::Uniqueidentifier),
            field("mserp_number", "Number", Type::String),
            field("mserp_total", "Total", Type::Decimal),
            field("mserp_placed", "Placed", Type::DateTime),
            customer,
        ],
        relationships: vec![pb::Relationship {
            schema_name: "mserp_order_customer".into(),
            column: "mserp_customer_id".into(),
            target: "mserp_custcustomerv3entity".into(),
            navigation_property: "mserp_Customer".into(),
            collection_navigation_property: "mserp_Orders".into(),
            pairs: vec![pair("Company", "dataAreaId"), pair("CustomerAccount", "Account")],
            exact: true,
            origin: pb::RelationshipOrigin::Model.into(),
        }],
        ..Default::default()
    }
}

fn catalog_table() -> pb::TableDefinition {
    let id = "mserp_financeandoperationsentityid";
    let generated = field("mserp_hasbeengenerated", "visible", Type::Boolean);
    let mut name = field("mserp_physicalname", "name", Type::String);
    (name.valid_for_create, name.valid_for_update) = (false, false);
    pb::TableDefinition {
        logical_name: "mserp_financeandoperationsentity".into(),
        entity_set_name: "mserp_financeandoperationsentities".into(),
        external_name: "CDSVirtualEntityListEntity".into(),
        source: pb::TableSource::Catalog.into(),
        primary_id_column: id.into(),
        columns: vec![system(id, SystemColumn::RecordId, Type::Uniqueidentifier), name, generated],
        ..Default::default()
    }
}

fn field(name: &str, external: &str, kind: Type) -> pb::ColumnDefinition {
    pb::ColumnDefinition {
        valid_for_create: true,
        valid_for_update: true,
        ..column(name, Column::Field(external.into()), kind)
    }
}

fn system(name: &str, external: SystemColumn, kind: Type) -> pb::ColumnDefinition {
    column(name, Column::System(external.into()), kind)
}

fn column(name: &str, external: Column, kind: Type) -> pb::ColumnDefinition {
    pb::ColumnDefinition {
        logical_name: name.into(),
        external: Some(pb::ColumnRef { column: Some(external), ..Default::default() }),
        r#type: kind.into(),
        filterable: true,
        ..Default::default()
    }
}
