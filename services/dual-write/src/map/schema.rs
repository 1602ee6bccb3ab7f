//! What the tables of both sides look like, in one form.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use proto::catalog::v1 as catalog;
use proto::catalog::v1::FieldType;
use proto::dual_write::v1::Side;
use proto::query::v1 as query;
use proto::query::v1::{AttributeType, RequiredLevel, column_ref};

/// The platform's lookup that says which company a row belongs to.
pub(crate) const COMPANY_LOOKUP: &str = "msdyn_company";
/// The platform's companies.
pub(crate) const COMPANY_TABLE: &str = "cdm_company";
/// Holds a company's code there.
pub(crate) const COMPANY_CODE: &str = "cdm_companycode";

/// What a column holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Text,
    Memo,
    Integer,
    Long,
    Decimal,
    Double,
    Boolean,
    Date,
    DateTime,
    /// One of the column's members, by symbol.
    Enum,
    Guid,
    /// The id of a row of another table.
    Lookup,
}

impl Kind {
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Memo)
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Long | Self::Decimal | Self::Double)
    }
}

/// One choice of an enum.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Member {
    pub(crate) symbol: String,
    pub(crate) label: String,
    /// The option's value on the platform.
    pub(crate) value: i32,
}

/// A column of an entity or a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ColumnSchema {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// A new row needs it, and nothing gives it by itself.
    pub(crate) required: bool,
    pub(crate) nullable: bool,
    pub(crate) creatable: bool,
    pub(crate) editable: bool,
    /// Characters; absent: any number.
    pub(crate) max_length: Option<usize>,
    /// Digits after the point; absent: not known.
    pub(crate) scale: Option<u32>,
    pub(crate) lookup_target: Option<String>,
    pub(crate) members: Arc<[Member]>,
}

impl ColumnSchema {
    /// Nothing can be written to it, ever.
    pub(crate) fn read_only(&self) -> bool {
        !self.creatable && !self.editable
    }

    /// The member that a symbol, an option's value or a label names.
    pub(crate) fn member(&self, text: &str) -> Option<&Member> {
        let by_symbol = self.members.iter().find(|it| it.symbol.eq_ignore_ascii_case(text));
        by_symbol
            .or_else(|| text.parse().ok().and_then(|number: i64| self.member_of(number)))
            .or_else(|| self.members.iter().find(|it| it.label.eq_ignore_ascii_case(text)))
    }

    /// The member with an option's value.
    pub(crate) fn member_of(&self, value: i64) -> Option<&Member> {
        self.members.iter().find(|it| i64::from(it.value) == value)
    }
}

/// An entity of the ERP or a native table of the platform.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TableSchema {
    pub(crate) side: Side,
    pub(crate) name: String,
    pub(crate) display_name: String,
    /// What the Web API calls the table's rows; of the platform only.
    pub(crate) set_name: String,
    pub(crate) columns: Vec<ColumnSchema>,
    /// Columns that together name one row, without the company.
    pub(crate) keys: Vec<(String, Vec<String>)>,
    /// Column of the company.
    pub(crate) company: Option<String>,
    /// Rows tell when they were changed.
    pub(crate) has_version: bool,
}

impl TableSchema {
    /// An entity of the ERP, as the catalog describes it.
    pub(crate) fn of_entity(entity: &catalog::DataEntity) -> Self {
        let company = &entity.company_field;
        let key: Vec<String> = entity.key.iter().filter(|it| *it != company).cloned().collect();
        Self {
            side: Side::FinanceAndOperations,
            name: entity.name.clone(),
            display_name: entity.name.clone(),
            set_name: String::new(),
            columns: entity.fields.iter().map(of_field).collect(),
            keys: if key.is_empty() { Vec::new() } else { vec![("EntityKey".to_owned(), key)] },
            company: (!company.is_empty()).then(|| company.clone()),
            has_version: entity.sources.first().is_some_and(|it| !it.is_view),
        }
    }

    /// A table of the platform, with the option sets that came with it.
    pub(crate) fn of_table(
        table: &query::TableDefinition,
        option_sets: &HashMap<&str, &query::OptionSet>,
    ) -> Self {
        let columns: Vec<ColumnSchema> =
            table.columns.iter().map(|it| of_column(it, option_sets)).collect();
        let leads_to_company =
            |it: &&ColumnSchema| it.lookup_target.as_deref() == Some(COMPANY_TABLE);
        let company = columns.iter().filter(leads_to_company).find(|it| it.name == COMPANY_LOOKUP);
        let company = company.map(|it| it.name.clone());
        let key = |it: &query::AlternateKey| {
            let columns = it.columns.iter().filter(|it| Some(*it) != company.as_ref());
            (it.name.clone(), columns.cloned().collect::<Vec<_>>())
        };
        Self {
            side: Side::Platform,
            name: table.logical_name.clone(),
            display_name: table.display_name.clone(),
            set_name: table.entity_set_name.clone(),
            keys: table.alternate_keys.iter().map(key).filter(|it| !it.1.is_empty()).collect(),
            columns,
            company,
            has_version: table.source() == query::TableSource::Organization,
        }
    }

    /// Columns are found whatever the letter case, as people write them in maps.
    pub(crate) fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.columns.iter().find(|it| it.name.eq_ignore_ascii_case(name))
    }

    /// Whether a column is the one of the company.
    pub(crate) fn is_company(&self, name: &str) -> bool {
        self.company.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(name))
    }

    /// Column or path that holds the company's code, as `MapSide.company_column`.
    pub(crate) fn company_path(&self) -> Option<String> {
        let company = self.company.as_ref()?;
        Some(match self.side {
            Side::Platform => format!("{company}.{COMPANY_CODE}"),
            Side::FinanceAndOperations | Side::Unspecified => company.clone(),
        })
    }
}

/// All tables of both sides, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schemas {
    finance_and_operations: BTreeMap<String, Arc<TableSchema>>,
    platform: BTreeMap<String, Arc<TableSchema>>,
}

impl Schemas {
    pub(crate) fn new(tables: impl IntoIterator<Item = TableSchema>) -> Self {
        let mut all = Self::default();
        for table in tables {
            let side = match table.side {
                Side::Platform => &mut all.platform,
                Side::FinanceAndOperations | Side::Unspecified => &mut all.finance_and_operations,
            };
            side.insert(table.name.to_lowercase(), Arc::new(table));
        }
        all
    }

    /// What the catalog and the organization say there is.
    pub(crate) fn read<'e>(
        entities: impl IntoIterator<Item = &'e catalog::DataEntity>,
        platform: &query::WatchTablesResponse,
    ) -> Self {
        let sets = platform.option_sets.iter().map(|it| (it.name.as_str(), it)).collect();
        let tables = platform.tables.iter().map(|it| TableSchema::of_table(it, &sets));
        Self::new(entities.into_iter().map(TableSchema::of_entity).chain(tables))
    }

    pub(crate) fn get(&self, side: Side, name: &str) -> Option<&Arc<TableSchema>> {
        let name = name.to_lowercase();
        match side {
            Side::Platform => self.platform.get(&name),
            Side::FinanceAndOperations => self.finance_and_operations.get(&name),
            Side::Unspecified => None,
        }
    }
}

fn of_field(field: &catalog::DataField) -> ColumnSchema {
    let is_column = matches!(field.source, Some(catalog::data_field::Source::Column(_)));
    let kind = match field.r#type() {
        FieldType::Unspecified | FieldType::String => Kind::Text,
        FieldType::Memo => Kind::Memo,
        FieldType::Integer => Kind::Integer,
        FieldType::Long => Kind::Long,
        FieldType::Decimal => Kind::Decimal,
        FieldType::Enum => Kind::Enum,
        FieldType::Date => Kind::Date,
        FieldType::DateTime => Kind::DateTime,
        FieldType::Guid => Kind::Guid,
        FieldType::Boolean => Kind::Boolean,
    };
    let member = |it: &catalog::EnumMember| Member {
        symbol: it.symbol.clone(),
        label: it.label.clone(),
        value: it.option_value,
    };
    ColumnSchema {
        name: field.name.clone(),
        kind,
        required: field.mandatory && field.default_expression.is_empty(),
        nullable: field.nullable,
        creatable: is_column && field.allow_edit_on_create,
        editable: is_column && field.allow_edit,
        max_length: positive(field.max_length),
        scale: positive(field.scale),
        lookup_target: None,
        members: field.members.iter().map(member).collect(),
    }
}

fn of_column(
    column: &query::ColumnDefinition,
    option_sets: &HashMap<&str, &query::OptionSet>,
) -> ColumnSchema {
    let kind = match column.r#type() {
        AttributeType::Unspecified | AttributeType::String => Kind::Text,
        AttributeType::Memo => Kind::Memo,
        AttributeType::Integer => Kind::Integer,
        AttributeType::BigInt => Kind::Long,
        AttributeType::Decimal => Kind::Decimal,
        AttributeType::Double => Kind::Double,
        AttributeType::Boolean => Kind::Boolean,
        AttributeType::DateTime => Kind::DateTime,
        AttributeType::Date => Kind::Date,
        AttributeType::Picklist => Kind::Enum,
        AttributeType::Uniqueidentifier => Kind::Guid,
        AttributeType::Lookup => Kind::Lookup,
    };
    let system = matches!(
        column.external.as_ref().and_then(|it| it.column.as_ref()),
        Some(column_ref::Column::System(_))
    );
    let options = option_sets.get(column.option_set.as_str()).map_or(&[][..], |it| &it.options);
    let member = |it: &query::Option| Member {
        symbol: it.external_name.clone(),
        label: it.label.clone(),
        value: it.value,
    };
    ColumnSchema {
        name: column.logical_name.clone(),
        kind,
        required: !system && column.required_level() == RequiredLevel::ApplicationRequired,
        nullable: true,
        creatable: column.valid_for_create,
        editable: column.valid_for_update,
        max_length: positive(column.max_length),
        scale: positive(column.scale),
        lookup_target: (kind == Kind::Lookup).then(|| column.target.clone()),
        members: options.iter().map(member).collect(),
    }
}

fn positive<N: TryFrom<i32> + PartialOrd + Default>(number: i32) -> Option<N> {
    N::try_from(number).ok().filter(|it| *it > N::default())
}
