//! What is wrong with a definition (spec DW-25).

use std::collections::BTreeSet;

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::{Side, ValidationIssue};

use super::definition::{Definition, Field, PlatformColumn, bind};
use super::filter::{Language, parse};
use super::issue;
use super::key::{integration_key, key_fields};
use super::schema::{COMPANY_TABLE, ColumnSchema, Schemas, TableSchema};
use super::transform::Direction;

/// From here on the original does not support a map's lookups.
const MANY_LOOKUPS: usize = 10;

/// Everything that is wrong with a definition, each with the original's code and message.
pub(crate) fn validate(
    version: &pb::MapVersion,
    finance_and_operations_entity: &str,
    platform_table: &str,
    company_specific: bool,
    schemas: &Schemas,
) -> Vec<ValidationIssue> {
    let (definition, mut issues) =
        bind(version, finance_and_operations_entity, platform_table, schemas);
    if !is_version(&version.version) || version.publisher.trim().is_empty() {
        issues.push(issue::PUBLISHER.at(Side::Unspecified, ""));
    }
    if version.field_maps.is_empty() {
        issues.push(issue::EMPTY.at(Side::Unspecified, ""));
    }
    let Some(definition) = definition else { return issues };
    let check = Check { definition: &definition, company_specific, schemas };
    check.company(&mut issues);
    check.versions(&mut issues);
    check.duplicates(&mut issues);
    check.mandatory(version, &mut issues);
    check.key(version, &mut issues);
    check.lookups(&mut issues);
    check.lengths(&mut issues);
    check.filters(version, &mut issues);
    issues
}

/// Whether there is none but warnings.
pub(crate) fn is_valid(issues: &[ValidationIssue]) -> bool {
    issues.iter().all(|it| it.warning)
}

/// `1.0.0.5`
pub(crate) fn is_version(version: &str) -> bool {
    let is_number = |it: &str| {
        !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()) && it.parse::<u32>().is_ok()
    };
    version.split('.').count() == 4 && version.split('.').all(is_number)
}

struct Check<'c> {
    definition: &'c Definition,
    company_specific: bool,
    schemas: &'c Schemas,
}

impl Check<'_> {
    fn fields(&self) -> &[Field] {
        &self.definition.fields
    }

    fn writes(&self, direction: Direction) -> bool {
        self.fields().iter().any(|it| !it.is_constant() && it.pipeline(direction).is_some())
    }

    fn company(&self, issues: &mut Vec<ValidationIssue>) {
        let (erp, platform) = (&self.definition.erp, &self.definition.platform);
        let fits = if self.company_specific {
            erp.company.is_some() && platform.company.is_some()
        } else {
            let is_required = platform
                .company
                .as_ref()
                .and_then(|it| platform.column(it))
                .is_some_and(|it| it.required);
            erp.company.is_none() && !is_required
        };
        if !fits {
            let side = match erp.company {
                Some(_) if self.company_specific => Side::Platform,
                _ => Side::FinanceAndOperations,
            };
            issues.push(issue::COMPANY_KINDS.at(side, ""));
        }
        let has_companies = self.schemas.get(Side::Platform, COMPANY_TABLE).is_some();
        if self.company_specific && !has_companies {
            issues.push(issue::NO_COMPANY_TABLE.at(Side::Platform, COMPANY_TABLE));
        }
    }

    fn versions(&self, issues: &mut Vec<ValidationIssue>) {
        for table in [&self.definition.erp, &self.definition.platform] {
            if !table.has_version {
                issues.push(issue::NO_VERSION.at(table.side, ""));
            }
        }
    }

    fn duplicates(&self, issues: &mut Vec<ValidationIssue>) {
        let mut sources = BTreeSet::new();
        let mut destinations = BTreeSet::new();
        let mut erp_destinations = BTreeSet::new();
        for field in self.fields() {
            let erp = field.erp.as_ref().map(|it| it.name.as_str());
            let platform = field.platform.as_ref().map(|it| it.path.as_str());
            if let Some(name) = platform.filter(|_| field.to_platform.is_some())
                && !destinations.insert(name)
            {
                issues.push(issue::DESTINATION_TWICE.at(Side::Platform, name));
            }
            let Some(name) = erp else { continue };
            if field.is_bidirectional() && !sources.insert(name) {
                issues.push(issue::SOURCE_TWICE.at(Side::FinanceAndOperations, name));
            } else if field.to_erp.is_some() && !erp_destinations.insert(name) {
                issues.push(issue::DESTINATION_TWICE.at(Side::FinanceAndOperations, name));
            }
        }
    }

    /// What a new row needs, on each side that gets some. A column that the definition names is left
    /// out where it is named wrongly, which was told.
    fn mandatory(&self, version: &pb::MapVersion, issues: &mut Vec<ValidationIssue>) {
        let named = |table: &TableSchema, column: &ColumnSchema| {
            version.field_maps.iter().any(|it| match table.side {
                Side::Platform => {
                    let own = it.platform_column.split('.').next().unwrap_or_default();
                    own.eq_ignore_ascii_case(&column.name)
                }
                Side::FinanceAndOperations | Side::Unspecified => {
                    it.finance_and_operations_field.eq_ignore_ascii_case(&column.name)
                }
            })
        };
        let tables = [
            (&self.definition.platform, Direction::ToPlatform),
            (&self.definition.erp, Direction::ToFinanceAndOperations),
        ];
        for (table, direction) in tables {
            let written = self.written(direction);
            let required = table.columns.iter().filter(|it| it.required);
            let missing = required.filter(|it| !written.contains(it.name.as_str()));
            for column in missing.filter(|_| self.writes(direction)) {
                let is_bound = self.fields().iter().any(|it| names(it, table.side, &column.name));
                if !table.is_company(&column.name) && (is_bound || !named(table, column)) {
                    issues.push(issue::MANDATORY.at(table.side, &column.name));
                }
            }
        }
    }

    fn written(&self, direction: Direction) -> BTreeSet<&str> {
        let fields = self.fields().iter().filter(|it| it.pipeline(direction).is_some());
        fields
            .filter_map(|it| match direction {
                Direction::ToPlatform => it.platform.as_ref().map(|it| it.own().name.as_str()),
                Direction::ToFinanceAndOperations => it.erp.as_ref().map(|it| it.name.as_str()),
            })
            .collect()
    }

    fn key(&self, version: &pb::MapVersion, issues: &mut Vec<ValidationIssue>) {
        let Definition { erp, platform, fields } = self.definition;
        let key = integration_key(version, platform, fields);
        if key.is_empty() {
            issues.push(issue::NO_KEY.at(Side::Platform, ""));
            return;
        }
        for column in &key {
            if platform.column(column.split('.').next().unwrap_or_default()).is_none() {
                issues.push(issue::KEY_UNMAPPED.at(Side::Platform, column));
            }
        }
        let (found, missing) = key_fields(&key, platform, fields);
        issues.extend(missing);
        let found = || found.iter().filter_map(|it| fields.get(*it));
        if fields.iter().any(Field::is_bidirectional) {
            for field in found().filter(|it| !it.is_bidirectional()) {
                let path = field.platform.as_ref().map_or("", |it| it.path.as_str());
                issues.push(issue::KEY_ONE_WAY.at(Side::Platform, path));
            }
        }
        if !self.writes(Direction::ToFinanceAndOperations) {
            return;
        }
        let mapped: BTreeSet<&str> =
            found().filter_map(|it| it.erp.as_ref()).map(|it| it.name.as_str()).collect();
        let is_found =
            |columns: &Vec<String>| columns.iter().all(|it| mapped.contains(it.as_str()));
        if !erp.keys.iter().any(|(_, columns)| is_found(columns)) {
            let names = erp.keys.first().map(|it| it.1.join(", ")).unwrap_or_default();
            issues.push(issue::ENTITY_KEY.at(Side::FinanceAndOperations, &names));
        }
    }

    /// All columns of a key of what a lookup leads to, or it finds nothing, or too much.
    fn lookups(&self, issues: &mut Vec<ValidationIssue>) {
        let columns = || self.fields().iter().filter_map(|it| it.platform.as_ref());
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for column in columns() {
            let Some(lookup) = &column.lookup else { continue };
            let name = lookup.column.name.as_str();
            if !seen.insert(name) {
                continue;
            }
            let is_mapped = |key: &String| {
                columns()
                    .any(|it| it.own().name == name && it.lookup.is_some() && it.leaf.name == *key)
            };
            if !lookup.target.keys.iter().any(|(_, key)| key.iter().all(is_mapped)) {
                let is_written = self.fields().iter().any(|it| {
                    it.to_platform.is_some()
                        && it.platform.as_ref().is_some_and(|it| it.own().name == name)
                });
                let finding =
                    if is_written { issue::LOOKUP_DESTINATION } else { issue::LOOKUP_SOURCE };
                issues.push(finding.at(Side::Platform, &column.path));
            }
            if lookup.target.company.is_some() && !self.company_specific {
                let target = &lookup.target;
                let required = target.company.as_ref().and_then(|it| target.column(it));
                if required.is_some_and(|it| it.required) {
                    issues.push(issue::RELATED_COMPANY.at(Side::Platform, name));
                }
            }
        }
        if seen.len() >= MANY_LOOKUPS {
            issues.push(issue::MANY_LOOKUPS.at(Side::Platform, ""));
        }
    }

    fn lengths(&self, issues: &mut Vec<ValidationIssue>) {
        for field in self.fields() {
            let (Some(erp), Some(platform)) = (&field.erp, &field.platform) else { continue };
            let ways = [
                (Side::Platform, &field.to_platform, erp, &platform.leaf, platform.path.as_str()),
                (Side::FinanceAndOperations, &field.to_erp, &platform.leaf, erp, erp.name.as_str()),
            ];
            for (side, pipeline, from, to, name) in ways {
                let is_plain = pipeline.as_ref().is_some_and(|it| !it.is_lossy());
                let longest = from.max_length.unwrap_or(usize::MAX);
                let is_text = from.kind.is_text() && to.kind.is_text();
                if is_plain && is_text && to.max_length.is_some_and(|it| it < longest) {
                    issues.push(issue::LENGTH.at(side, name));
                }
            }
        }
    }

    fn filters(&self, version: &pb::MapVersion, issues: &mut Vec<ValidationIssue>) {
        let Definition { erp, platform, .. } = self.definition;
        let filters = [
            (&version.source_filter, Language::Range, erp, issue::ERP_FILTER),
            (&version.reversed_source_filter, Language::OData, platform, issue::PLATFORM_FILTER),
        ];
        for (text, language, table, finding) in filters {
            let filter = match parse(text, language) {
                Ok(None) => continue,
                Ok(Some(filter)) => filter,
                Err(error) => {
                    issues.push(finding.because(table.side, "", &error.to_string()));
                    continue;
                }
            };
            if let Err(error) = filter.bind(table) {
                issues.push(finding.because(table.side, "", &error.to_string()));
                continue;
            }
            for name in filter.columns() {
                let is_mapped = self.fields().iter().any(|it| names(it, table.side, name));
                let own = name.strip_prefix('_').and_then(|it| it.strip_suffix("_value"));
                let is_lookup = own.is_some_and(|own| {
                    table.is_company(own)
                        || self.fields().iter().any(|it| names(it, table.side, own))
                });
                if !is_mapped && !is_lookup && !table.is_company(name) {
                    issues.push(issue::FILTER_UNMAPPED.at(table.side, name));
                }
            }
        }
    }
}

fn names(field: &Field, side: Side, column: &str) -> bool {
    let name = match side {
        Side::Platform => field.platform.as_ref().map(PlatformColumn::own),
        Side::FinanceAndOperations | Side::Unspecified => field.erp.as_ref(),
    };
    name.is_some_and(|it| it.name.eq_ignore_ascii_case(column))
}
