//! One row, from one side to the other: its key, its values, its references.

use std::collections::{BTreeMap, BTreeSet};

use proto::dual_write::v1::Side;
use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;
use proto::query::v1::{ApplyRow, ApplyValue, Image, Reference, SharedKind, SharedRow, Value};

use super::compile::{CompiledField, CompiledMap};
use super::definition::Lookup;
use super::schema::{COMPANY_CODE, COMPANY_TABLE, ColumnSchema, TableSchema};
use super::transform::{Direction, Pipeline};
use super::translate::{Owner, TranslateContext, TranslateError, key_value};
use super::value;

/// One row on its way.
pub(super) struct Way<'w> {
    pub(super) map: &'w CompiledMap,
    pub(super) direction: Direction,
    pub(super) image: &'w Image,
    pub(super) row: &'w SharedRow,
    pub(super) context: &'w TranslateContext,
}

impl Way<'_> {
    fn source_side(&self) -> Side {
        match self.direction {
            Direction::ToPlatform => Side::FinanceAndOperations,
            Direction::ToFinanceAndOperations => Side::Platform,
        }
    }

    pub(super) fn target(&self) -> &TableSchema {
        match self.direction {
            Direction::ToPlatform => &self.map.platform.table,
            Direction::ToFinanceAndOperations => &self.map.erp.table,
        }
    }

    pub(super) fn check(&self) -> Result<(), TranslateError> {
        let half = self.map.half(self.source_side());
        let previous = self.row.previous_key.len();
        if self.image.values.len() != half.columns.len()
            || (previous != 0 && previous != half.key_columns.len())
        {
            return Err(TranslateError::Shape);
        }
        if self.map.company_specific && self.image.company.is_empty() {
            return Err(TranslateError::NoCompany);
        }
        Ok(())
    }

    pub(super) fn key_values(&self) -> Vec<Value> {
        self.map.own_key(self.source_side(), self.image).values
    }

    /// Key columns of the target; those of one lookup make one reference.
    pub(super) fn key(&self, values: &[Value]) -> Result<Vec<ApplyValue>, TranslateError> {
        let mut key: Vec<ApplyValue> = self.company(self.target()).into_iter().collect();
        let mut of_lookups: BTreeMap<&str, (&Lookup, BTreeMap<&str, Value>)> = BTreeMap::new();
        for (position, value) in self.map.key.iter().zip(values) {
            let field = self.map.fields.get(*position).ok_or(TranslateError::Shape)?;
            let column = field.own_destination(self.direction).ok_or(TranslateError::Shape)?;
            let converted = key_value(field, self.direction, value)?;
            if value::is_none(&converted) {
                return Err(TranslateError::NoKey(column.name.clone()));
            }
            match field.lookup(self.direction) {
                None => key.push(given(&column.name, converted, false)),
                Some(lookup) => {
                    let leaf = field.destination(self.direction).map_or("", |it| &it.name);
                    let parts = of_lookups.entry(&column.name).or_insert((lookup, BTreeMap::new()));
                    parts.1.insert(leaf, converted);
                }
            }
        }
        for (name, (lookup, parts)) in of_lookups {
            let reference = self.reference(lookup, parts, false);
            key.push(ApplyValue {
                column: name.to_owned(),
                content: Some(Content::Reference(reference)),
                changed: false,
                filled: false,
            });
        }
        Ok(key)
    }

    pub(super) fn values(&self, apply: &mut ApplyRow) -> Result<(), TranslateError> {
        let changed: BTreeSet<usize> =
            self.row.changed_columns.iter().filter_map(|it| usize::try_from(*it).ok()).collect();
        let is_created = self.row.kind() == SharedKind::Created;
        let is_silent = is_created && self.context.kind.is_none();
        for (position, field) in self.map.fields.iter().enumerate() {
            let Some(column) = field.own_destination(self.direction) else { continue };
            let is_key = self.map.key.contains(&position);
            if field.lookup(self.direction).is_some() || (is_key && apply.previous_key.is_empty()) {
                continue;
            }
            let Some(pipeline) = field.field.pipeline(self.direction) else {
                // It goes the other way only: what the other side fills in comes back.
                if is_silent && field.field.pipeline(self.direction.back()).is_some() {
                    apply.create_values.push(given(&column.name, value::null(), false));
                }
                continue;
            };
            let source = field.source_position(self.direction);
            let null = value::null();
            let from = source.and_then(|it| self.image.values.get(it)).unwrap_or(&null);
            let value = pipeline.apply(from);
            let value = value.map_err(|it| field.refused(self.direction, from, it))?;
            let is_changed = is_created || source.is_some_and(|it| changed.contains(&it));
            if value::is_none(&value) && is_silent {
                // Nobody said anything: what the other side fills in comes back.
                apply.create_values.push(given(&column.name, value::null(), false));
                continue;
            }
            if value::is_none(&value) && is_created && !column.nullable {
                continue;
            }
            let returns = field.field.pipeline(self.direction.back()).is_some();
            let filled = returns && value::is_none(from) && !value::is_none(&value);
            let value = if value::is_none(&value) { value::nothing(column) } else { value };
            let value = ApplyValue { filled, ..given(&column.name, value, is_changed) };
            if !is_key && self.only_creates(field, pipeline, column, is_changed) {
                apply.create_values.push(value);
            } else {
                apply.values.push(value);
            }
        }
        if self.direction == Direction::ToPlatform {
            self.references(apply, &changed, is_created)?;
            apply.create_values.extend(self.owner());
        }
        Ok(())
    }

    /// Whether a value is for new rows only: where the column does not change later and nobody tried; where nothing is
    /// said about the row but what it must have to take part; where the value lost something on the way
    /// and nobody changed it.
    fn only_creates(
        &self,
        field: &CompiledField,
        pipeline: &Pipeline,
        column: &ColumnSchema,
        is_changed: bool,
    ) -> bool {
        let filters = self.map.half(match self.direction {
            Direction::ToPlatform => Side::Platform,
            Direction::ToFinanceAndOperations => Side::FinanceAndOperations,
        });
        let is_constant = field.field.is_constant() && !filters.filters_by(&column.name);
        // A change that cannot follow has to be refused there.
        let is_fixed = !column.editable && (self.row.kind() == SharedKind::Created || !is_changed);
        is_fixed || is_constant || (pipeline.is_lossy() && !is_changed)
    }

    fn references(
        &self,
        apply: &mut ApplyRow,
        changed: &BTreeSet<usize>,
        is_created: bool,
    ) -> Result<(), TranslateError> {
        for (name, positions) in &self.map.lookups {
            let is_key = positions.iter().any(|it| self.map.key.contains(it));
            if is_key && apply.previous_key.is_empty() {
                continue;
            }
            let fields = || positions.iter().filter_map(|it| self.map.fields.get(*it));
            let Some(lookup) = fields().find_map(|it| it.lookup(self.direction)) else { continue };
            let mut parts = BTreeMap::new();
            for field in fields() {
                let Some(pipeline) = field.field.pipeline(self.direction) else { continue };
                let null = value::null();
                let source = field.erp_position.and_then(|it| self.image.values.get(it));
                let source = source.unwrap_or(&null);
                let value = pipeline.apply(source);
                let value = value.map_err(|it| field.refused(self.direction, source, it))?;
                let leaf = field.destination(self.direction).map_or("", |it| it.name.as_str());
                parts.insert(leaf, value);
            }
            let is_changed = is_created
                || fields().filter_map(|it| it.erp_position).any(|it| changed.contains(&it));
            let optional = self.context.optional_references && !is_key;
            let value = ApplyValue {
                column: name.clone(),
                content: Some(Content::Reference(self.reference(lookup, parts, optional))),
                changed: is_changed,
                filled: false,
            };
            let is_silent = is_created && self.context.kind.is_none() && names_nothing(&value);
            if !is_silent && (lookup.column.editable || is_key || (is_changed && !is_created)) {
                apply.values.push(value);
            } else {
                apply.create_values.push(value);
            }
        }
        Ok(())
    }

    /// A key of which a part is missing is no key: the lookup is null.
    fn reference(
        &self,
        lookup: &Lookup,
        mut parts: BTreeMap<&str, Value>,
        optional: bool,
    ) -> Reference {
        let target = &lookup.target;
        let entity_name = target.name.clone();
        if parts.values().any(value::is_none) {
            return Reference { entity_name, key: Vec::new(), optional };
        }
        let mut key: Vec<ApplyValue> = self.company(target).into_iter().collect();
        let covered = target.keys.iter().find(|(_, key)| {
            key.len() == parts.len() && key.iter().all(|it| parts.contains_key(it.as_str()))
        });
        for name in covered.map_or(&[][..], |it| &it.1) {
            key.extend(parts.remove(name.as_str()).map(|it| given(name, it, false)));
        }
        key.extend(parts.into_iter().map(|(name, it)| given(name, it, false)));
        Reference { entity_name, key, optional }
    }

    /// The row's company, as a column of a table that has one.
    fn company(&self, table: &TableSchema) -> Option<ApplyValue> {
        let column = table.company.as_ref().filter(|_| self.map.company_specific)?;
        let code = value::text(&self.image.company);
        Some(match table.side {
            Side::Platform => ApplyValue {
                column: column.clone(),
                content: Some(Content::Reference(Reference {
                    entity_name: COMPANY_TABLE.to_owned(),
                    key: vec![given(COMPANY_CODE, code, false)],
                    optional: false,
                })),
                changed: false,
                filled: false,
            },
            Side::FinanceAndOperations | Side::Unspecified => given(column, code, false),
        })
    }

    fn owner(&self) -> Option<ApplyValue> {
        let column = self.map.owner.as_ref()?;
        let owner = self.context.owning_team.clone().filter(|_| !self.map.company_specific);
        Some(match owner? {
            Owner::Id(id) => given(column, value::of(pb::value::Kind::GuidValue(id.into())), false),
            Owner::Name(name) => ApplyValue {
                column: column.clone(),
                content: Some(Content::Reference(Reference {
                    entity_name: "team".to_owned(),
                    key: vec![given("name", value::text(name), false)],
                    optional: false,
                })),
                changed: false,
                filled: false,
            },
        })
    }
}

fn given(column: &str, value: Value, changed: bool) -> ApplyValue {
    let (column, content) = (column.to_owned(), Some(Content::Value(value)));
    ApplyValue { column, content, changed, filled: false }
}

fn names_nothing(value: &ApplyValue) -> bool {
    matches!(&value.content, Some(Content::Reference(it)) if it.key.is_empty())
}
