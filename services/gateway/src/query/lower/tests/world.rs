//! Tables of two stores, and queries as text.

use chrono::{DateTime, Utc};
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as External;
use proto::query::v1::link_entity::Target;
use proto::query::v1::value::Kind;
use proto::query::v1::{
    AttributeType as Type, ConditionOperator as Operator, FilterOperator, SystemColumn,
};
use uuid::Uuid;

use super::super::{Context, Lowered, lower};
use crate::companies::Codes;
use crate::error::GatewayError;
use crate::http::Annotations;
use crate::metadata::Snapshot;
use crate::query::dates::Calendar;
use crate::query::{Dialect, Expand, Read, Style};

pub(super) const USMF: u128 = 0xA1;

/// What a query is asked with.
pub(super) struct World {
    pub(super) snapshot: Snapshot,
    pub(super) calendar: Calendar,
    pub(super) dialect: Dialect,
    pub(super) annotations: &'static str,
    /// A table that the caller may not read.
    pub(super) hidden: &'static str,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            snapshot: Snapshot::new(&[Some(erp()), Some(organization())]),
            calendar: Calendar { zone: chrono_tz::Europe::Berlin, ..Calendar::default() },
            dialect: Dialect::Fetch,
            annotations: "",
            hidden: "",
        }
    }

    pub(super) fn lower(
        &self,
        tree: pb::QueryExpression,
        expands: Vec<Expand>,
    ) -> Result<Lowered, GatewayError> {
        let style = Style {
            annotations: Annotations::parse(self.annotations),
            dialect: self.dialect,
            numbers_as_strings: false,
        };
        let companies = Codes::from([(Uuid::from_u128(USMF), "USMF".to_owned())]);
        let context = Context {
            snapshot: &self.snapshot,
            companies: &companies,
            calendar: &self.calendar,
            now: "2024-06-12T22:30:00Z".parse::<DateTime<Utc>>().unwrap(),
            language: 1031,
            style: &style,
            may_read: &|it, _| it.logical_name != self.hidden,
        };
        lower(context, &Read { tree, expands, style: style.clone(), position: None })
    }

    /// The query that a provider is asked, as text.
    pub(super) fn text(&self, tree: pb::QueryExpression) -> String {
        match self.lower(tree, Vec::new()) {
            Ok(lowered) => query(&lowered.query),
            Err(error) => format!("refused: {error}"),
        }
    }

    /// What a FetchXML document's filter becomes.
    pub(super) fn filter(&self, entity: &str, conditions: &str) -> String {
        let document = format!(
            "<fetch><entity name='{entity}'><attribute name='{entity}id'/>\
             <filter>{conditions}</filter></entity></fetch>"
        );
        match self.lower(fetchxml::parse(&document).unwrap(), Vec::new()) {
            Ok(lowered) => lowered.query.criteria.as_ref().map(filter).unwrap_or_default(),
            Err(error) => format!("refused: {error}"),
        }
    }
}

fn erp() -> pb::WatchTablesResponse {
    let option = |value, symbol: &str, label: &str| pb::Option {
        value,
        external_name: symbol.into(),
        label: label.into(),
    };
    let mut status = field("mserp_status", "Status", Type::Picklist);
    status.option_set = "mserp_Status".into();
    let mut placed = field("mserp_placed", "Placed", Type::DateTime);
    placed.set_date_time_behavior(pb::DateTimeBehavior::UserLocal);
    let customer = lookup("mserp_fk_customer_id", "Customer", "mserp_customer");
    let mut company = lookup("mserp_dataareaid_id", "", "cdm_company");
    company.external = column(External::System(SystemColumn::CompanyId.into()));
    let orders = pb::TableDefinition {
        columns: vec![
            id("mserp_orderid"),
            field("mserp_number", "Number", Type::String),
            field("mserp_total", "Total", Type::Decimal),
            field("mserp_lines", "Lines", Type::Integer),
            field("mserp_open", "Open", Type::Boolean),
            field("mserp_due", "Due", Type::Date),
            field("mserp_shipped", "Shipped", Type::DateTime),
            status,
            placed,
            customer,
        ],
        relationships: vec![pb::Relationship {
            schema_name: "mserp_FK_Order_Customer".into(),
            column: "mserp_fk_customer_id".into(),
            target: "mserp_customer".into(),
            navigation_property: "mserp_fk_customer_id".into(),
            collection_navigation_property: "mserp_FK_Order_Customer".into(),
            pairs: vec![pair("Company", "Company"), pair("CustomerAccount", "Account")],
            exact: true,
            ..Default::default()
        }],
        ..table("mserp_order", "Order", pb::TableSource::Erp, "mserp_number")
    };
    let customers = pb::TableDefinition {
        columns: vec![
            id("mserp_customerid"),
            field("mserp_account", "Account", Type::String),
            field("mserp_name", "Name", Type::String),
            field("mserp_dataareaid", "Company", Type::String),
            company,
        ],
        ..table("mserp_customer", "Customer", pb::TableSource::Erp, "mserp_name")
    };
    pb::WatchTablesResponse {
        tables: vec![orders, customers],
        option_sets: vec![pb::OptionSet {
            name: "mserp_Status".into(),
            options: vec![
                option(1, "Open", "Still open"),
                option(2, "Done", "Done"),
                option(3, "Gone", "Written off"),
            ],
            ..Default::default()
        }],
        declared_relationships: vec![pb::DeclaredRelationship {
            schema_name: "customer_account".into(),
            source: "mserp_customer".into(),
            target: "account".into(),
            column: "mserp_nativeaccount".into(),
            navigation_property: "mserp_NativeAccount".into(),
            display_name: "Account".into(),
            pairs: vec![pb::DeclaredRelationshipPair {
                column: "mserp_account".into(),
                target: "accountnumber".into(),
            }],
        }],
        ..Default::default()
    }
}

fn organization() -> pb::WatchTablesResponse {
    let accounts = pb::TableDefinition {
        columns: vec![
            id("accountid"),
            field("name", "Name", Type::String),
            field("accountnumber", "Number", Type::String),
            lookup("parentaccountid", "Parent", "account"),
        ],
        alternate_keys: vec![pb::AlternateKey {
            name: "number".into(),
            columns: vec!["accountnumber".into()],
        }],
        relationships: vec![pb::Relationship {
            schema_name: "account_parent_account".into(),
            column: "parentaccountid".into(),
            target: "account".into(),
            navigation_property: "parentaccountid".into(),
            collection_navigation_property: "account_parent_account".into(),
            pairs: vec![pb::RelationshipPair {
                column: column(External::Field("ParentId".into())),
                target: column(External::System(SystemColumn::RecordId.into())),
            }],
            exact: true,
            ..Default::default()
        }],
        ..table("account", "account", pb::TableSource::Organization, "name")
    };
    let companies = pb::TableDefinition {
        columns: vec![
            id("cdm_companyid"),
            field("cdm_companycode", "Code", Type::String),
            field("cdm_name", "Name", Type::String),
        ],
        ..table("cdm_company", "cdm_company", pb::TableSource::Organization, "cdm_name")
    };
    pb::WatchTablesResponse { tables: vec![accounts, companies], ..Default::default() }
}

fn table(name: &str, external: &str, source: pb::TableSource, label: &str) -> pb::TableDefinition {
    pb::TableDefinition {
        logical_name: name.into(),
        schema_name: name.into(),
        entity_set_name: format!("{name}s"),
        external_name: external.into(),
        source: source.into(),
        primary_id_column: format!("{name}id"),
        primary_name_column: label.into(),
        ..Default::default()
    }
}

fn column(external: External) -> Option<pb::ColumnRef> {
    Some(pb::ColumnRef { column: Some(external), ..Default::default() })
}

fn field(name: &str, external: &str, kind: Type) -> pb::ColumnDefinition {
    pb::ColumnDefinition {
        logical_name: name.into(),
        external: column(External::Field(external.into())),
        r#type: kind.into(),
        filterable: true,
        ..Default::default()
    }
}

fn id(name: &str) -> pb::ColumnDefinition {
    let external = column(External::System(SystemColumn::RecordId.into()));
    pb::ColumnDefinition { external, ..field(name, "", Type::Uniqueidentifier) }
}

fn lookup(name: &str, relation: &str, target: &str) -> pb::ColumnDefinition {
    pb::ColumnDefinition {
        external: column(External::Relation(relation.into())),
        target: target.into(),
        navigation_property: name.into(),
        ..field(name, "", Type::Lookup)
    }
}

fn pair(this: &str, target: &str) -> pb::RelationshipPair {
    let field = |it: &str| column(External::Field(it.into()));
    pb::RelationshipPair { column: field(this), target: field(target) }
}

/// A query as text.
pub(super) fn query(query: &pb::QueryExpression) -> String {
    let columns: Vec<_> = query.columns.iter().map(output).collect();
    let mut text = format!("{} [{}]", query.entity_name, columns.join(", "));
    for it in &query.links {
        text.push_str(&format!(" {}", link(it)));
    }
    if let Some(it) = &query.criteria {
        text.push_str(&format!(" where {}", filter(it)));
    }
    for it in &query.orders {
        let label = if it.by_label { " by label" } else { "" };
        let way = if it.descending { " desc" } else { "" };
        text.push_str(&format!(" order {}{label}{way}", name(it.column.as_ref())));
    }
    text
}

fn output(it: &pb::OutputColumn) -> String {
    let mut text = format!("{}={}", it.key, name(it.column.as_ref()));
    if !it.formatted_key.is_empty() {
        text.push_str(" labelled");
    }
    if !it.members.is_empty() {
        let members: Vec<_> = it.members.iter().map(output).collect();
        text.push_str(&format!(" {{{}}}", members.join(", ")));
    }
    text
}

fn link(it: &pb::LinkEntity) -> String {
    let target = match &it.target {
        Some(Target::EntityName(name)) => name.clone(),
        Some(Target::Rows(_)) => "rows".to_owned(),
        None => "?".to_owned(),
    };
    let on: Vec<_> = it
        .on
        .iter()
        .map(|it| {
            let sign = if it.exact { "==" } else { "=" };
            format!("{}{sign}{}", name(it.column.as_ref()), name(it.parent.as_ref()))
        })
        .collect();
    let mut text = format!("{:?} {target} as '{}' on {}", it.join(), it.alias, on.join(" and "));
    if let Some(criteria) = &it.criteria {
        text.push_str(&format!(" if {}", filter(criteria)));
    }
    for nested in &it.links {
        text.push_str(&format!(" ({})", link(nested)));
    }
    text
}

/// A filter as text.
pub(super) fn filter(it: &pb::FilterExpression) -> String {
    let parts: Vec<String> = it
        .conditions
        .iter()
        .map(condition)
        .chain(it.filters.iter().map(|it| format!("({})", filter(it))))
        .chain(it.links.iter().map(|it| format!("<{}>", link(it))))
        .collect();
    let join = if it.operator() == FilterOperator::Or { " or " } else { " and " };
    parts.join(join)
}

fn condition(it: &pb::ConditionExpression) -> String {
    let part = match it.date_part() {
        pb::DateGrouping::Unspecified => String::new(),
        part => format!("{part:?} in {} of ", it.time_zone),
    };
    let operator = match it.operator() {
        Operator::Equal => "=".to_owned(),
        Operator::NotEqual => "<>".to_owned(),
        Operator::GreaterThan => ">".to_owned(),
        Operator::GreaterEqual => ">=".to_owned(),
        Operator::LessThan => "<".to_owned(),
        Operator::LessEqual => "<=".to_owned(),
        other => format!("{other:?}"),
    };
    let values: Vec<_> = it.values.iter().map(value).collect();
    let right = match &it.compare_column {
        Some(other) => name(Some(other)),
        None => values.join(","),
    };
    format!("{part}{} {operator} {right}", name(it.column.as_ref())).trim_end().to_owned()
}

fn value(it: &pb::Value) -> String {
    match it.kind.as_ref().unwrap() {
        Kind::NullValue(_) => "null".to_owned(),
        Kind::BoolValue(it) => it.to_string(),
        Kind::Int64Value(it) => it.to_string(),
        Kind::DecimalValue(it) => it.clone(),
        Kind::DoubleValue(it) => format!("{it:e}"),
        Kind::StringValue(it) => format!("'{it}'"),
        Kind::GuidValue(it) => format!("#{:x}", Uuid::from_slice(it).unwrap().as_u128()),
        Kind::DateValue(it) => it.clone(),
        Kind::TimestampMicrosValue(it) => {
            DateTime::from_timestamp_micros(*it).unwrap().format("%FT%T%.fZ").to_string()
        }
    }
}

fn name(it: Option<&pb::ColumnRef>) -> String {
    let Some(it) = it else { return "*".to_owned() };
    let column = match &it.column {
        Some(External::Field(name)) => name.clone(),
        Some(External::System(it)) => match SystemColumn::try_from(*it).unwrap() {
            SystemColumn::RecordId => "$id".to_owned(),
            SystemColumn::RowVersion => "$version".to_owned(),
            other => format!("{other:?}"),
        },
        Some(External::Relation(it)) => format!("->{it}"),
        None => "?".to_owned(),
    };
    if it.link.is_empty() { column } else { format!("{}.{column}", it.link) }
}

/// Expands a navigation, with these columns.
pub(super) fn expand(navigation: &str, target: &str, columns: &[&str]) -> Expand {
    let column = |it: &&str| pb::OutputColumn {
        column: column(External::Field((*it).to_owned())),
        ..Default::default()
    };
    let tree = pb::QueryExpression {
        entity_name: target.to_owned(),
        columns: columns.iter().map(column).collect(),
        ..Default::default()
    };
    Expand {
        navigation: navigation.to_owned(),
        tree,
        expands: Vec::new(),
        references_only: false,
        link_options: String::new(),
    }
}

/// Rows of a table, with these columns.
pub(super) fn rows(entity: &str, columns: &[&str]) -> pb::QueryExpression {
    expand("", entity, columns).tree
}
