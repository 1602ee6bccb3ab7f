//! What a changed row of one side is to the other.

use proto::dual_write::v1::Side;
use proto::query::v1::{ApplyKind, ApplyRow, Image, ImageKey, SharedKind, SharedRow, Value};

use super::compile::{CompiledField, CompiledMap};
use super::definition::Lookup;
use super::schema::ColumnSchema;
use super::transform::Direction;
use super::value;
use super::value::Misfit;
use super::way::Way;

/// What a translation depends on, beside the map and the row.
#[derive(Clone, Debug)]
pub(crate) struct TranslateContext {
    /// Wins where both sides changed a column.
    pub(crate) primary_side: Side,
    /// Owns new platform rows without company. Those of a company are its owning team's, to which the platform gives
    /// them by itself.
    pub(crate) owning_team: Option<Owner>,
    /// Lookups that find nothing are left for later.
    pub(crate) optional_references: bool,
    /// Instead of what the row's kind says.
    pub(crate) kind: Option<ApplyKind>,
    /// Of a row that is there, what its writer left alone stays as the other side has it, which may have changed it
    /// since.
    pub(crate) only_changes: bool,
}

impl Default for TranslateContext {
    fn default() -> Self {
        Self {
            primary_side: Side::FinanceAndOperations,
            owning_team: None,
            optional_references: false,
            kind: None,
            only_changes: false,
        }
    }
}

/// A team.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Owner {
    /// Its 16 bytes.
    Id(Vec<u8>),
    Name(String),
}

impl Owner {
    /// As a map's settings name it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let id = uuid::Uuid::parse_str(text).map(|it| Self::Id(it.into_bytes().to_vec()));
        (!text.is_empty()).then(|| id.unwrap_or_else(|_| Self::Name(text.to_owned())))
    }
}

/// A row that cannot be translated.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TranslateError {
    #[error(
        "the value `{value}` of the field `{source_field}` cannot be written to the field `{field}`: {misfit}"
    )]
    Value { source_field: String, field: String, value: String, misfit: Misfit },
    #[error("the integration key field `{0}` has no value")]
    NoKey(String),
    #[error("the row has no company, which the map needs")]
    NoCompany,
    #[error("the row is not of the shape that the map has now")]
    Shape,
}

impl TranslateError {
    /// Column of the side that is written, where one is at fault.
    pub(crate) fn field(&self) -> &str {
        match self {
            Self::Value { field, .. } | Self::NoKey(field) => field,
            Self::NoCompany | Self::Shape => "",
        }
    }
}

/// Where rows of a side go.
pub(crate) fn direction_from(source: Side) -> Direction {
    match source {
        Side::Platform => Direction::ToFinanceAndOperations,
        Side::FinanceAndOperations | Side::Unspecified => Direction::ToPlatform,
    }
}

impl CompiledMap {
    /// What has to become of the row on the other side; absent: nothing.
    ///
    /// # Errors
    ///
    /// When a value of the row is none that the other side can hold, or its key has none.
    pub(crate) fn translate(
        &self,
        source: Side,
        row: &SharedRow,
        context: &TranslateContext,
    ) -> Result<Option<ApplyRow>, TranslateError> {
        let direction = direction_from(source);
        if row.kind() == SharedKind::Left || !self.writes(direction) {
            return Ok(None);
        }
        let image = row.image.as_ref().ok_or(TranslateError::Shape)?;
        let way = Way { map: self, direction, image, row, context };
        way.check()?;
        let previous_key = match row.previous_key.as_slice() {
            [] => Vec::new(),
            values => way.key(values)?,
        };
        let mut apply = ApplyRow {
            map: self.name.clone(),
            entity_name: way.target().name.clone(),
            key: way.key(&way.key_values())?,
            previous_key,
            kind: ApplyKind::Delete.into(),
            wins: context.primary_side == source,
            created: row.kind() == SharedKind::Created && context.kind.is_none(),
            ..ApplyRow::default()
        };
        if row.kind() != SharedKind::Deleted {
            apply.set_kind(context.kind.unwrap_or(ApplyKind::Upsert));
            way.values(&mut apply)?;
            // Under another key it may meet a row that was another one's.
            if context.only_changes && apply.previous_key.is_empty() {
                let left_alone = apply.values.extract_if(.., |it| !it.changed);
                apply.create_values.extend(left_alone);
            }
        }
        Ok(Some(apply))
    }

    /// The key of the same row on the other side, as that side's `MapSide.key_columns`.
    ///
    /// # Errors
    ///
    /// When the key is none that the other side can have.
    pub(crate) fn counterpart_key(
        &self,
        source: Side,
        image: &Image,
    ) -> Result<ImageKey, TranslateError> {
        let direction = direction_from(source);
        let half = self.half(source);
        let mut values = Vec::with_capacity(self.key.len());
        for (position, column) in self.key.iter().zip(&half.key_columns) {
            let field = self.fields.get(*position).ok_or(TranslateError::Shape)?;
            let value = image.values.get(*column).ok_or(TranslateError::Shape)?;
            values.push(key_value(field, direction, value)?);
        }
        let company = if self.company_specific { image.company.clone() } else { String::new() };
        Ok(ImageKey { company, values })
    }

    /// The key of a row on its own side.
    pub(crate) fn own_key(&self, side: Side, image: &Image) -> ImageKey {
        let values = self.half(side).key_columns.iter();
        let values = values.map(|it| image.values.get(*it).cloned().unwrap_or_default());
        ImageKey { company: image.company.clone(), values: values.collect() }
    }
}

/// A key also crosses where the field itself goes the other way only.
pub(super) fn key_value(
    field: &CompiledField,
    direction: Direction,
    value: &Value,
) -> Result<Value, TranslateError> {
    let column = field.destination(direction).ok_or(TranslateError::Shape)?;
    let converted = match field.field.pipeline(direction) {
        Some(pipeline) => pipeline.apply(value),
        None => value::convert(value, column, None),
    };
    converted.map_err(|it| field.refused(direction, value, it))
}

impl CompiledField {
    /// What holds the value where it goes.
    pub(crate) fn destination(&self, direction: Direction) -> Option<&ColumnSchema> {
        match direction {
            Direction::ToPlatform => self.field.platform.as_ref().map(|it| &it.leaf),
            Direction::ToFinanceAndOperations => self.field.erp.as_ref(),
        }
    }

    /// Column of the row where it goes.
    pub(super) fn own_destination(&self, direction: Direction) -> Option<&ColumnSchema> {
        match direction {
            Direction::ToPlatform => self.field.platform.as_ref().map(|it| it.own()),
            Direction::ToFinanceAndOperations => self.field.erp.as_ref(),
        }
    }

    pub(crate) fn source_position(&self, direction: Direction) -> Option<usize> {
        match direction {
            Direction::ToPlatform => self.erp_position,
            Direction::ToFinanceAndOperations => self.platform_position,
        }
    }

    pub(super) fn lookup(&self, direction: Direction) -> Option<&Lookup> {
        match direction {
            Direction::ToPlatform => self.field.platform.as_ref().and_then(|it| it.lookup.as_ref()),
            Direction::ToFinanceAndOperations => None,
        }
    }

    pub(crate) fn refused(
        &self,
        direction: Direction,
        value: &Value,
        misfit: Misfit,
    ) -> TranslateError {
        let erp = self.field.erp.as_ref().map(|it| it.name.clone()).unwrap_or_default();
        let platform = self.field.platform.as_ref().map(|it| it.path.clone()).unwrap_or_default();
        let (source_field, field) = match direction {
            Direction::ToPlatform => (erp, platform),
            Direction::ToFinanceAndOperations => (platform, erp),
        };
        TranslateError::Value { source_field, field, value: value::display(value), misfit }
    }
}
