//! By what the rows of both sides are told to be one (spec DW-22).

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::{Side, ValidationIssue};

use super::definition::Field;
use super::issue;
use super::schema::TableSchema;

/// The definition's, or else the table's own alternate key that the definition maps best.
pub(crate) fn integration_key(
    version: &pb::MapVersion,
    platform: &TableSchema,
    fields: &[Field],
) -> Vec<String> {
    let own = |path: &String| path.split('.').next().is_some_and(|it| platform.is_company(it));
    let given: Vec<String> =
        version.integration_key.iter().filter(|it| !own(it)).cloned().collect();
    if !given.is_empty() {
        return given;
    }
    candidates(platform, fields).into_iter().next().map(|it| it.columns).unwrap_or_default()
}

/// The table's alternate keys, those first of which the most is mapped.
pub(crate) fn candidates(platform: &TableSchema, fields: &[Field]) -> Vec<pb::IntegrationKey> {
    let is_mapped = |column: &&String| {
        fields.iter().filter_map(|it| it.platform.as_ref()).any(|it| it.own().name == **column)
    };
    let mut keys: Vec<_> = platform.keys.iter().collect();
    keys.sort_by_key(|(_, columns)| columns.iter().filter(|it| !is_mapped(it)).count());
    keys.into_iter()
        .map(|(name, columns)| pb::IntegrationKey {
            alternate_key: name.clone(),
            columns: columns.clone(),
        })
        .collect()
}

/// Positions of the fields that a key is made of, and what of it none maps. A lookup stands for all of
/// its mapped columns.
pub(crate) fn key_fields(
    key: &[String],
    platform: &TableSchema,
    fields: &[Field],
) -> (Vec<usize>, Vec<ValidationIssue>) {
    let mut positions = Vec::new();
    let mut missing = Vec::new();
    for path in key {
        let is_path =
            |it: &Field| it.platform.as_ref().is_some_and(|it| it.path.eq_ignore_ascii_case(path));
        let is_of_lookup = |it: &Field| {
            it.platform.as_ref().is_some_and(|it| it.own().name.eq_ignore_ascii_case(path))
        };
        let found = |test: &dyn Fn(&Field) -> bool| -> Vec<usize> {
            let fields = fields.iter().enumerate();
            fields.filter(|(_, it)| it.erp.is_some() && test(it)).map(|it| it.0).collect()
        };
        let mut these = found(&is_path);
        if these.is_empty() {
            these = found(&is_of_lookup);
        }
        if these.is_empty() {
            let column = platform.column(path.split('.').next().unwrap_or_default());
            let is_lookup = column.is_some_and(|it| it.lookup_target.is_some());
            let finding = if is_lookup { issue::KEY_LOOKUP_UNMAPPED } else { issue::KEY_UNMAPPED };
            missing.push(finding.at(Side::Platform, path));
        }
        positions.extend(these);
    }
    positions.dedup();
    (positions, missing)
}
