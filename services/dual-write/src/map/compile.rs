//! A map that is ready to run: positions instead of names.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::{Side, ValidationIssue};
use proto::query::v1::{FilterExpression, MapSide, SharePhase};

use super::definition::{Field, bind};
use super::filter::{Filter, Language, parse};
use super::issue;
use super::key::{integration_key, key_fields};
use super::schema::{ColumnSchema, Kind, Schemas, TableSchema};
use super::transform::Direction;
use super::validate::{is_valid, validate};

/// A map that translates and compares.
#[derive(Clone, Debug)]
pub(crate) struct CompiledMap {
    pub(crate) name: String,
    pub(crate) company_specific: bool,
    pub(crate) erp: Half,
    pub(crate) platform: Half,
    pub(crate) fields: Vec<CompiledField>,
    /// Positions in `fields`, in the order of the keys of both sides.
    pub(crate) key: Vec<usize>,
    /// Each lookup that is written, with the positions of its fields.
    pub(crate) lookups: BTreeMap<String, Vec<usize>>,
    /// Column of the platform that says which team owns a row.
    pub(crate) owner: Option<String>,
}

/// What a map is to one side.
#[derive(Clone, Debug)]
pub(crate) struct Half {
    pub(crate) table: Arc<TableSchema>,
    /// Of an image.
    pub(crate) columns: Vec<String>,
    pub(crate) key_columns: Vec<usize>,
    tracked_columns: Vec<usize>,
    filter: Option<FilterExpression>,
    filter_columns: Vec<String>,
}

/// A field of the map, and where its values are in images.
#[derive(Clone, Debug)]
pub(crate) struct CompiledField {
    pub(crate) field: Field,
    pub(crate) erp_position: Option<usize>,
    pub(crate) platform_position: Option<usize>,
}

impl CompiledMap {
    /// # Errors
    ///
    /// Those of [`validate`], when there is more than warnings.
    pub(crate) fn compile(
        map: &pb::TableMap,
        version: &pb::MapVersion,
        schemas: &Schemas,
    ) -> Result<Self, Vec<ValidationIssue>> {
        let (entity, table) = (&map.finance_and_operations_entity, &map.platform_table);
        let issues = validate(version, entity, table, map.company_specific, schemas);
        if !is_valid(&issues) {
            return Err(issues);
        }
        let (Some(definition), _) = bind(version, entity, table, schemas) else {
            return Err(issues);
        };
        let key = integration_key(version, &definition.platform, &definition.fields);
        let (key, _) = key_fields(&key, &definition.platform, &definition.fields);
        let mut erp = Half::new(definition.erp, &version.source_filter, Language::Range)?;
        let filter = &version.reversed_source_filter;
        let mut platform = Half::new(definition.platform, filter, Language::OData)?;
        let fields: Vec<CompiledField> = definition
            .fields
            .into_iter()
            .map(|field| CompiledField::new(field, &mut erp, &mut platform))
            .collect();
        for position in &key {
            let Some(field) = fields.get(*position) else { continue };
            erp.key_columns.extend(field.erp_position);
            platform.key_columns.extend(field.platform_position);
        }
        erp.track_filter();
        platform.track_filter();
        let mut it = Self {
            name: map.name.clone(),
            company_specific: map.company_specific,
            owner: owner(&platform.table),
            lookups: lookups(&fields),
            erp,
            platform,
            fields,
            key,
        };
        it.track_key();
        Ok(it)
    }

    /// As a side knows the map. `companies` are the linked ones.
    pub(crate) fn side(
        &self,
        side: Side,
        epoch: i64,
        phase: SharePhase,
        companies: &[String],
        link: &str,
    ) -> MapSide {
        let half = self.half(side);
        let company = half.table.company_path().filter(|_| self.company_specific);
        let positions = |of: &[usize]| of.iter().filter_map(|it| i32::try_from(*it).ok()).collect();
        MapSide {
            map: self.name.clone(),
            epoch,
            phase: phase.into(),
            entity_name: half.table.name.clone(),
            columns: half.columns.clone(),
            key_columns: positions(&half.key_columns),
            companies: if company.is_some() { companies.to_vec() } else { Vec::new() },
            company_column: company.unwrap_or_default(),
            filter: half.filter.clone(),
            tracked_columns: positions(&half.tracked_columns),
            link: link.to_owned(),
            description: None,
        }
    }

    pub(crate) fn half(&self, side: Side) -> &Half {
        match side {
            Side::Platform => &self.platform,
            Side::FinanceAndOperations | Side::Unspecified => &self.erp,
        }
    }

    /// Whether changes go there at all.
    pub(crate) fn writes(&self, direction: Direction) -> bool {
        let mut fields = self.fields.iter().map(|it| &it.field);
        fields.any(|it| !it.is_constant() && it.pipeline(direction).is_some())
    }

    /// Tables of the platform that lookups lead to.
    pub(crate) fn looked_up_tables(&self) -> impl Iterator<Item = &str> {
        let columns = self.fields.iter().filter_map(|it| it.field.platform.as_ref());
        columns.filter_map(|it| it.lookup.as_ref()).map(|it| it.target.name.as_str())
    }

    /// The row before its key changed has to be known on the other side, too.
    fn track_key(&mut self) {
        for direction in [Direction::ToPlatform, Direction::ToFinanceAndOperations] {
            if !self.writes(direction) {
                continue;
            }
            let half = match direction {
                Direction::ToPlatform => &mut self.erp,
                Direction::ToFinanceAndOperations => &mut self.platform,
            };
            half.tracked_columns.extend(&half.key_columns);
            half.tracked_columns.sort_unstable();
            half.tracked_columns.dedup();
        }
    }
}

impl Half {
    fn new(
        table: Arc<TableSchema>,
        filter: &str,
        language: Language,
    ) -> Result<Self, Vec<ValidationIssue>> {
        let finding = match language {
            Language::Range => issue::ERP_FILTER,
            Language::OData => issue::PLATFORM_FILTER,
        };
        let side = table.side;
        let refused =
            |error: super::filter::FilterError| vec![finding.because(side, "", &error.to_string())];
        let filter = parse(filter, language).map_err(refused)?;
        let bound = filter.as_ref().map(|it| it.bind(&table)).transpose().map_err(refused)?;
        let columns = filter.as_ref().map(Filter::columns).unwrap_or_default();
        let name = |it: &str| table.column(it).map(|it| it.name.clone());
        Ok(Self {
            filter: bound,
            filter_columns: columns.into_iter().filter_map(name).collect(),
            columns: Vec::new(),
            key_columns: Vec::new(),
            tracked_columns: Vec::new(),
            table,
        })
    }

    fn position(&mut self, name: &str, is_tracked: bool) -> usize {
        let known = self.columns.iter().position(|it| it == name);
        let position = known.unwrap_or_else(|| {
            self.columns.push(name.to_owned());
            self.columns.len() - 1
        });
        if is_tracked && !self.tracked_columns.contains(&position) {
            self.tracked_columns.push(position);
        }
        position
    }

    /// A row comes and goes by what the filter reads.
    fn track_filter(&mut self) {
        for name in self.filter_columns.clone() {
            self.position(&name, true);
        }
    }

    /// Whether a column decides on which rows take part.
    pub(crate) fn filters_by(&self, column: &str) -> bool {
        self.filter_columns.iter().any(|it| it == column)
    }
}

impl CompiledField {
    fn new(field: Field, erp: &mut Half, platform: &mut Half) -> Self {
        // What is only ever written is of no interest to its side, and a constant to neither.
        let is_constant = field.is_constant();
        let of_erp = field.erp.as_ref().filter(|_| !is_constant);
        let erp_position = of_erp.map(|it| erp.position(&it.name, field.to_platform.is_some()));
        let of_platform = field.platform.as_ref().filter(|_| !is_constant);
        let platform_position =
            of_platform.map(|it| platform.position(&it.path, field.to_erp.is_some()));
        Self { field, erp_position, platform_position }
    }
}

fn lookups(fields: &[CompiledField]) -> BTreeMap<String, Vec<usize>> {
    let mut lookups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (position, it) in fields.iter().enumerate() {
        let lookup = it.field.platform.as_ref().and_then(|it| it.lookup.as_ref());
        let Some(lookup) = lookup.filter(|_| it.field.to_platform.is_some()) else { continue };
        lookups.entry(lookup.column.name.clone()).or_default().push(position);
    }
    lookups
}

fn owner(platform: &TableSchema) -> Option<String> {
    let is_owner = |it: &&ColumnSchema| {
        it.kind == Kind::Lookup && it.creatable && it.lookup_target.as_deref() == Some("team")
    };
    let named = |name: &str| platform.columns.iter().filter(is_owner).find(|it| it.name == name);
    named("owningteam").or_else(|| named("ownerid")).map(|it| it.name.clone())
}
