//! A table as requests need it: looked up by name, with its columns' types resolved.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::SystemColumn;
use proto::query::v1::column_ref::Column as External;

use super::navigation::{Navigation, Navigations};

/// Who holds a table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Organization,
    Erp,
    Catalog,
}

/// A platform table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) logical_name: String,
    pub(crate) set_name: String,
    /// What the provider calls it.
    pub(crate) external_name: String,
    pub(crate) source: Source,
    pub(crate) primary_id: String,
    pub(crate) columns: Vec<Column>,
    /// Each a list of logical names.
    pub(crate) alternate_keys: Vec<Vec<String>>,
    /// As its owner published it.
    pub(crate) definition: pb::TableDefinition,
    pub(super) navigations: Navigations,
    by_property: HashMap<String, usize>,
    by_name: HashMap<String, usize>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) logical_name: String,
    /// The member of a row that holds the value: `_x_value` for a lookup `x`.
    pub(crate) property: String,
    /// What the provider calls it.
    pub(crate) external: pb::ColumnRef,
    pub(crate) kind: ColumnKind,
    pub(crate) filterable: bool,
    pub(crate) valid_for_create: bool,
    pub(crate) valid_for_update: bool,
    /// Characters at most; 0 where there is no such limit.
    pub(crate) max_length: i32,
}

/// What a column holds.
#[derive(Clone, Debug)]
pub(crate) enum ColumnKind {
    Text,
    Integer,
    BigInt,
    Decimal,
    Double,
    Boolean,
    DateTime,
    Date,
    Guid,
    Option(Arc<Options>),
    Lookup { target: String, navigation: String },
}

/// Symbols of an option set by their values.
#[derive(Debug, Default)]
pub(crate) struct Options(pub(crate) BTreeMap<i32, String>);

impl Table {
    /// `None` for a definition that no request could be served from.
    pub(super) fn new(
        definition: pb::TableDefinition,
        option_sets: &HashMap<String, Arc<Options>>,
    ) -> Option<Self> {
        let source = match definition.source() {
            pb::TableSource::Organization => Source::Organization,
            pb::TableSource::Erp => Source::Erp,
            pb::TableSource::Catalog => Source::Catalog,
            pb::TableSource::Unspecified => return None,
        };
        let columns: Vec<Column> = definition
            .columns
            .iter()
            .filter_map(|it| Column::new(it.clone(), option_sets))
            .collect();
        let index = |name: fn(&Column) -> &String| {
            columns.iter().enumerate().map(|(at, it)| (name(it).clone(), at)).collect()
        };
        Some(Self {
            by_property: index(|it| &it.property),
            by_name: index(|it| &it.logical_name),
            logical_name: definition.logical_name.clone(),
            set_name: definition.entity_set_name.clone(),
            external_name: definition.external_name.clone(),
            source,
            primary_id: definition.primary_id_column.clone(),
            columns,
            alternate_keys: definition.alternate_keys.iter().map(|it| it.columns.clone()).collect(),
            navigations: Navigations::default(),
            definition,
        })
    }

    /// The column whose value a row carries under this name.
    pub(crate) fn by_property(&self, property: &str) -> Option<&Column> {
        self.by_property.get(property).and_then(|&at| self.columns.get(at))
    }

    /// The column of this logical name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Column> {
        self.by_name.get(name).and_then(|&at| self.columns.get(at))
    }

    /// The navigation property of this name, to one row or to many.
    pub(crate) fn navigation(&self, name: &str) -> Option<&Navigation> {
        self.navigations.get(name)
    }

    /// Every navigation property.
    pub(crate) fn navigations(&self) -> impl Iterator<Item = &Navigation> {
        self.navigations.iter()
    }

    /// The column that holds a company's code, for the lookup that holds its GUID.
    pub(crate) fn company_code(&self, lookup: &Column) -> Option<&Column> {
        self.by_name(lookup.logical_name.strip_suffix("_id")?)
    }
}

impl Column {
    /// A parameter of an action, which is given values like a column.
    pub(crate) fn of_parameter(parameter: &pb::ActionParameterDefinition) -> Option<Self> {
        let definition = pb::ColumnDefinition {
            logical_name: parameter.name.clone(),
            external: Some(pb::ColumnRef::default()),
            r#type: parameter.r#type,
            ..Default::default()
        };
        Self::new(definition, &HashMap::new())
    }

    fn new(
        definition: pb::ColumnDefinition,
        option_sets: &HashMap<String, Arc<Options>>,
    ) -> Option<Self> {
        let kind = match definition.r#type() {
            pb::AttributeType::String | pb::AttributeType::Memo => ColumnKind::Text,
            pb::AttributeType::Integer => ColumnKind::Integer,
            pb::AttributeType::BigInt => ColumnKind::BigInt,
            pb::AttributeType::Decimal => ColumnKind::Decimal,
            pb::AttributeType::Double => ColumnKind::Double,
            pb::AttributeType::Boolean => ColumnKind::Boolean,
            pb::AttributeType::DateTime => ColumnKind::DateTime,
            pb::AttributeType::Date => ColumnKind::Date,
            pb::AttributeType::Uniqueidentifier => ColumnKind::Guid,
            pb::AttributeType::Picklist => ColumnKind::Option(
                option_sets.get(&definition.option_set).cloned().unwrap_or_default(),
            ),
            pb::AttributeType::Lookup => ColumnKind::Lookup {
                target: definition.target,
                navigation: definition.navigation_property,
            },
            pb::AttributeType::Unspecified => return None,
        };
        let property = match kind {
            ColumnKind::Lookup { .. } => format!("_{}_value", definition.logical_name),
            _ => definition.logical_name.clone(),
        };
        Some(Self {
            logical_name: definition.logical_name,
            property,
            external: definition.external?,
            kind,
            filterable: definition.filterable,
            valid_for_create: definition.valid_for_create,
            valid_for_update: definition.valid_for_update,
            max_length: definition.max_length,
        })
    }

    /// A lookup whose value is in another store: no provider has a name for it, and its relationship
    /// says what finds it.
    pub(crate) fn is_across(&self) -> bool {
        self.external.column.is_none()
    }

    pub(crate) fn is_lookup(&self) -> bool {
        matches!(self.kind, ColumnKind::Lookup { .. })
    }

    pub(crate) fn is(&self, system: SystemColumn) -> bool {
        matches!(self.external.column, Some(External::System(it)) if it == system as i32)
    }

    /// The provider's name of a declared field.
    pub(crate) fn field(&self) -> Option<&str> {
        match &self.external.column {
            Some(External::Field(name)) => Some(name),
            Some(External::System(_) | External::Relation(_)) | None => None,
        }
    }

    /// As OData's messages call the type.
    pub(crate) fn edm_type(&self) -> &'static str {
        match self.kind {
            ColumnKind::Text => "Edm.String",
            ColumnKind::Integer | ColumnKind::Option(_) => "Edm.Int32",
            ColumnKind::BigInt => "Edm.Int64",
            ColumnKind::Decimal => "Edm.Decimal",
            ColumnKind::Double => "Edm.Double",
            ColumnKind::Boolean => "Edm.Boolean",
            ColumnKind::DateTime | ColumnKind::Date => "Edm.DateTimeOffset",
            ColumnKind::Guid | ColumnKind::Lookup { .. } => "Edm.Guid",
        }
    }
}
