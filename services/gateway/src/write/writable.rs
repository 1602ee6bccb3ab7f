//! Which columns and lookups of a table requests may set.

use proto::query::v1::{ColumnRef, SystemColumn};

use super::change_set::Assignment;
use super::payload::Purpose;
use crate::error::GatewayError;
use crate::metadata::{Column, Navigation, Table};

/// Whether what holds a lookup may be set. The field that says whose row it is may stay as it is, so it
/// forbids nothing where there are others.
pub(super) fn is_writable(
    table: &Table,
    navigation: &Navigation,
    allows: impl Fn(&Column) -> bool,
) -> bool {
    let lookup = table.by_name(&navigation.lookup).filter(|_| !navigation.is_collection);
    if lookup.is_some_and(&allows) {
        return true;
    }
    let company = table.columns.iter().find(|it| it.is(SystemColumn::CompanyId));
    let company = company.and_then(|it| table.company_code(it));
    let behind = |own: &ColumnRef| {
        table.columns.iter().find(|it| it.external.column == own.column && it.field().is_some())
    };
    let columns: Option<Vec<&Column>> =
        navigation.pairs.iter().map(|(own, _)| behind(own)).collect();
    let Some(columns) = columns else { return false };
    let is_company = |it: &Column| company.is_some_and(|code| code.logical_name == it.logical_name);
    let only = columns.len() == 1;
    !columns.is_empty() && columns.into_iter().all(|it| (is_company(it) && !only) || allows(it))
}

/// Refuses values for both columns over the company's one field.
pub(super) fn check_company(
    table: &Table,
    values: &[Assignment],
    action: &str,
) -> Result<(), GatewayError> {
    let lookup = table.columns.iter().find(|it| it.is(SystemColumn::CompanyId));
    let Some((lookup, code)) = lookup.and_then(|it| Some((it, table.company_code(it)?))) else {
        return Ok(());
    };
    let field = code.field().unwrap_or_default();
    let by_code = |it: &Assignment| matches!(it, Assignment::Field(it) if it.field == field);
    let by_lookup = |it: &Assignment| {
        matches!(it, Assignment::Lookup { navigation, .. }
            if table.navigation(navigation).is_some_and(|it| it.lookup == lookup.logical_name))
    };
    if values.iter().any(by_code) && values.iter().any(by_lookup) {
        return Err(GatewayError::BusinessRule(format!(
            "The same external field was defined by more than one logical field, which is not \
             supported. LogicalFields:[{}, {}] ExternalField: {field} Action: {action}",
            lookup.logical_name, code.logical_name
        )));
    }
    Ok(())
}

pub(super) fn read_only(table: &Table, property: &str, purpose: Purpose<'_>) -> GatewayError {
    let (table, column) = (table.logical_name.clone(), property.to_owned());
    GatewayError::ReadOnly { action: purpose.verb(), table, column }
}
