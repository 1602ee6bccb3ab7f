//! One table and its columns.

use std::collections::{HashMap, HashSet};

use model::{
    COMPANY_FIELD, Casing, ColumnPath, DataType, Entity, Field, FieldSource, RecordId, Source,
    Stored, TableName,
};

use super::identity::{Identity, is_never_null};
use super::{Draft, path};
use crate::Skipped;
use crate::catalog::{Catalog, Column, Key, Oid, Table};
use crate::checks::{Rule, rules};
use crate::enums::Enums;
use crate::names::{Names, alias, humanised, pascal_case};
use crate::types::{BaseType, FieldType, Kind, base_type, field_type};

/// Longer comments are descriptions, not labels.
const LABEL_LENGTH: usize = 60;

pub(super) struct TableReader<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) table: &'a Table,
    pub(super) looked_up: &'a HashSet<(Oid, i16)>,
    pub(super) skipped: &'a mut Vec<Skipped>,
}

impl TableReader<'_> {
    /// `None` if nothing of the table can be offered.
    pub(super) fn read(mut self, name: String, enums: &mut Enums) -> Option<Draft> {
        let table = self.table;
        let identity = Identity::of(self.catalog, table)?;
        let alias = alias(&table.name);
        let mut names = Names::default();
        let mut by_column = HashMap::new();
        let mut fields = Vec::new();
        for column in &table.columns {
            match self.field(&name, column, &alias, &mut names, enums) {
                Ok(mut field) => {
                    // A row that changed its key would be another row.
                    field.allow_edit &= !identity.key.columns.contains(&column.number);
                    by_column.insert(column.number, field.name.clone());
                    fields.push(field);
                }
                Err(reason) => self.skip(column, reason),
            }
        }
        if fields.is_empty() {
            let reason = "none of its columns can be offered".to_owned();
            self.skipped.push(Skipped { what: path(table), reason });
            return None;
        }
        let (label, description) = texts(table.comment.as_deref(), &table.name);
        let entity = Entity {
            name,
            collection_label: label.clone(),
            label,
            description,
            public: true,
            visible: true,
            sources: vec![self.source(alias)],
            record_id: self.record_id(&identity),
            company: None,
            key: self.entity_key(identity.key, &by_column),
            fields,
            relations: Vec::new(),
            rules: Vec::new(),
            actions: Vec::new(),
            policies: Vec::new(),
            change_tracking: false,
        };
        Some(Draft { entity, fields: by_column })
    }

    fn skip(&mut self, column: &Column, reason: String) {
        let what = format!("{}.{}", path(self.table), column.name);
        self.skipped.push(Skipped { what, reason });
    }

    fn source(&self, alias: String) -> Source {
        let table = TableName { schema: self.table.schema.clone(), name: self.table.name.clone() };
        Source { alias, table, join: None, is_view: false }
    }

    fn record_id(&self, identity: &Identity<'_>) -> RecordId {
        let columns = identity.key.columns.iter().filter_map(|it| self.table.column(*it));
        RecordId { kind: identity.kind, columns: columns.map(|it| it.name.clone()).collect() }
    }

    /// What people know a row by: a unique index that is not what identifies it anyway.
    fn entity_key(&self, identity: &Key, fields: &HashMap<i16, String>) -> Vec<String> {
        let names = |key: &Key| {
            key.columns.iter().map(|it| fields.get(it).cloned()).collect::<Option<Vec<_>>>()
        };
        let others = self.table.keys.iter().filter(|it| it.columns != identity.columns);
        let business = others.filter(|it| is_never_null(self.table, it)).filter_map(names);
        let shortest = business.min_by_key(Vec::len);
        shortest.or_else(|| names(identity)).unwrap_or_default()
    }

    fn field(
        &self,
        entity: &str,
        column: &Column,
        alias: &str,
        names: &mut Names,
        enums: &mut Enums,
    ) -> Result<Field, String> {
        let base = base_type(self.catalog, column.type_oid, column.type_modifier)
            .ok_or("its type is not there any more")?;
        let is_looked_up = self.looked_up.contains(&(self.table.oid, column.number));
        let FieldType { kind, storage, is_read_only } = field_type(&base, is_looked_up)?;
        let name = names.take(&field_name(&column.name));
        let (label, description) = texts(column.comment.as_deref(), &column.name);
        let rules = self.rules(column, &base);
        let data_type = match kind {
            Kind::NoYes => DataType::Enum(enums.no_yes()),
            Kind::Enum(oid) => {
                let name = enums.of_type(self.catalog, oid);
                DataType::Enum(name.ok_or("its type is not there any more")?)
            }
            // A value that others refer to keeps the type that theirs has.
            Kind::Plain(plain) if is_looked_up => plain,
            Kind::Plain(plain) => match allowed_values(&rules, &plain, storage.as_deref()) {
                Some(values) => {
                    let wanted = format!("{entity}{name}");
                    DataType::Enum(enums.of_values(&wanted, &label, values))
                }
                None => plain,
            },
        };
        let is_text = matches!(data_type, DataType::String { .. } | DataType::Memo);
        let nullable = !(column.not_null || base.not_null);
        let writable = !(column.is_generated || is_read_only);
        Ok(Field {
            name,
            label,
            description,
            data_type,
            source: FieldSource::Column(ColumnPath {
                alias: alias.to_owned(),
                column: column.name.clone(),
            }),
            nullable,
            mandatory: writable && !nullable && !column.has_default && !base.has_default,
            // A number of one's own would collide with one that the sequence gives out later.
            allow_edit_on_create: writable && !column.is_numbered,
            allow_edit: writable,
            casing: casing(&rules).filter(|_| is_text && !is_read_only),
            storage,
            default: None,
            min: None,
            max: None,
        })
    }

    /// Of the column and of the domains that it is of.
    fn rules(&self, column: &Column, base: &BaseType<'_>) -> Vec<Rule> {
        let own = self.table.checks.iter().filter(|it| it.column == column.number);
        let own = own.map(|it| it.expression.as_str());
        let of_domains = base.domains.iter().filter_map(|it| self.catalog.domain_checks.get(it));
        own.chain(of_domains.flatten().map(String::as_str)).flat_map(rules).collect()
    }
}

/// The name of the company's field means something to the platform; a column of that name does not.
fn field_name(column: &str) -> String {
    let name = pascal_case(column);
    if name.eq_ignore_ascii_case(COMPANY_FIELD) { format!("{name}Code") } else { name }
}

/// Label and description.
fn texts(comment: Option<&str>, name: &str) -> (String, String) {
    match comment.map(str::trim).filter(|it| !it.is_empty()) {
        None => (humanised(name), String::new()),
        Some(it) if it.chars().count() <= LABEL_LENGTH && !it.contains('\n') => {
            (it.to_owned(), String::new())
        }
        Some(it) => (humanised(name), it.to_owned()),
    }
}

fn casing(rules: &[Rule]) -> Option<Casing> {
    rules.iter().find_map(|it| match it {
        Rule::Upper => Some(Casing::Upper),
        Rule::Lower => Some(Casing::Lower),
        Rule::OneOf(_) => None,
    })
}

/// The values of the first CHECK that lists them, as the column holds them.
fn allowed_values(
    rules: &[Rule],
    data_type: &DataType,
    storage: Option<&str>,
) -> Option<Vec<(String, Stored)>> {
    let values = rules.iter().find_map(|it| match it {
        Rule::OneOf(values) => Some(values),
        Rule::Upper | Rule::Lower => None,
    })?;
    let mut seen = HashSet::new();
    let distinct = values.iter().filter(|it| seen.insert(it.as_str()));
    match (data_type, storage) {
        (DataType::Integer | DataType::Long, None) => distinct
            .map(|it| it.parse().ok().map(|number| (it.clone(), Stored::Int(number))))
            .collect(),
        (DataType::String { .. } | DataType::Memo, None) => {
            Some(distinct.map(|it| (it.clone(), Stored::Text(it.clone()))).collect())
        }
        // Compared without the blanks at the end.
        (DataType::String { .. }, Some("bpchar")) => {
            let trimmed = distinct.map(|it| it.trim_end_matches(' ').to_owned());
            Some(trimmed.map(|it| (it.clone(), Stored::Text(it))).collect())
        }
        _ => None,
    }
}
