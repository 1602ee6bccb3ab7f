//! Parts of tables that paths lead to: the row of a key, and what is related to it.

use std::sync::Arc;

use odata::{Key, Literal};
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as Named;
use proto::query::v1::link_entity::Target;
use proto::query::v1::{ConditionOperator as Operator, FilterOperator, JoinOperator};

use super::literal::value_of;
use super::scope::Found;
use crate::error::GatewayError;
use crate::metadata::{Column, Navigation, Snapshot, Table};

/// Some rows of a table.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) table: Arc<Table>,
    pub(crate) criteria: Option<pb::FilterExpression>,
}

impl Place {
    /// Every row.
    pub(crate) fn all(table: &Arc<Table>) -> Self {
        Self { table: Arc::clone(table), criteria: None }
    }

    /// Of these rows the one with the key.
    pub(crate) fn with_key(&self, key: &Key) -> Result<Self, GatewayError> {
        let conditions = conditions_of(&self.table, key)?;
        let own = pb::FilterExpression {
            operator: FilterOperator::And.into(),
            conditions,
            ..Default::default()
        };
        let filters: Vec<_> = self.criteria.iter().cloned().chain([own]).collect();
        Ok(Self { table: Arc::clone(&self.table), criteria: super::apply::all(filters) })
    }

    /// What is related to these rows. `level`: how many steps of the path came before.
    pub(crate) fn related(
        &self,
        snapshot: &Snapshot,
        navigation: &Navigation,
        level: usize,
    ) -> Result<Self, GatewayError> {
        let table = super::scope::known(snapshot, &navigation.target)?;
        let link = pb::LinkEntity {
            alias: format!("step {level}"),
            target: Some(Target::EntityName(self.table.logical_name.clone())),
            join: JoinOperator::Any.into(),
            navigation: navigation.partner.clone(),
            criteria: self.criteria.clone(),
            ..Default::default()
        };
        let criteria = pb::FilterExpression {
            operator: FilterOperator::And.into(),
            links: vec![link],
            ..Default::default()
        };
        Ok(Self { table, criteria: Some(criteria) })
    }
}

/// The columns of a key, each with its value. Names may come in any order; a lookup's part is called
/// `_x_value`, and the company's lookup stands for the company's code.
fn conditions_of(
    table: &Arc<Table>,
    key: &Key,
) -> Result<Vec<pb::ConditionExpression>, GatewayError> {
    let bad = |text: String| GatewayError::BadKey { key: text, table: table.logical_name.clone() };
    if let Some(id) = key.guid() {
        let column = table.by_name(&table.primary_id);
        let column =
            column.ok_or_else(|| GatewayError::unknown_column(table, &table.primary_id))?;
        return Ok(vec![equal(table, column, &Literal::Guid(id))?]);
    }
    let pairs = match key {
        Key::Named(pairs) => pairs,
        Key::Malformed(text) => return Err(bad(text.clone())),
        Key::Single(literal) => return Err(bad(literal.to_string())),
        Key::Absent | Key::Empty | Key::Parameters(_) => return Err(bad(String::new())),
    };
    let mut columns = Vec::with_capacity(pairs.len());
    for (name, literal) in pairs {
        let column = table.by_property(name);
        let column = column.ok_or_else(|| GatewayError::unknown_column(table, name))?;
        columns.push((column, literal));
    }
    if !is_key(table, &columns) {
        let names: Vec<_> = pairs.iter().map(|(name, it)| format!("{name}={it}")).collect();
        return Err(bad(names.join(",")));
    }
    columns.into_iter().map(|(column, it)| equal(table, column, it)).collect()
}

fn is_key(table: &Table, columns: &[(&Column, &Literal)]) -> bool {
    let names: Vec<&str> = columns
        .iter()
        .map(|(column, _)| match table.company_code(column) {
            Some(code) if column.is(pb::SystemColumn::CompanyId) => code.logical_name.as_str(),
            _ => column.logical_name.as_str(),
        })
        .collect();
    let matches = |key: &[String]| {
        key.len() == names.len() && key.iter().all(|it| names.contains(&it.as_str()))
    };
    names.as_slice() == [table.primary_id.as_str()]
        || table.alternate_keys.iter().any(|it| matches(it))
}

fn equal(
    table: &Arc<Table>,
    column: &Column,
    literal: &Literal,
) -> Result<pb::ConditionExpression, GatewayError> {
    let field = Some(Named::Field(column.logical_name.clone()));
    let found = Found {
        table: Arc::clone(table),
        column: column.clone(),
        named: pb::ColumnRef { column: field, link: String::new() },
    };
    let value = value_of(&found, Operator::Equal, literal)?;
    Ok(pb::ConditionExpression {
        column: Some(found.named),
        operator: Operator::Equal.into(),
        values: vec![value],
        ..Default::default()
    })
}
