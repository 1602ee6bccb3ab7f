//! A map's definition, tied to the tables of both sides.

use std::sync::Arc;

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::{MapType, Side, ValidationIssue};

use super::issue;
use super::issue::Finding;
use super::schema::{ColumnSchema, Kind, Schemas, TableSchema};
use super::transform::{Direction, Pipeline};

/// A column of the platform, or of the row that a lookup leads to.
#[derive(Clone, Debug)]
pub(crate) struct PlatformColumn {
    /// `accountnumber`, `transactioncurrencyid.isocurrencycode`.
    pub(crate) path: String,
    pub(crate) lookup: Option<Lookup>,
    /// What holds the value: of the table, or of the lookup's target.
    pub(crate) leaf: ColumnSchema,
}

/// A lookup that is written by the key of its target.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub(crate) column: ColumnSchema,
    pub(crate) target: Arc<TableSchema>,
}

impl PlatformColumn {
    /// Of the table itself.
    pub(crate) fn own(&self) -> &ColumnSchema {
        self.lookup.as_ref().map_or(&self.leaf, |it| &it.column)
    }
}

/// One row of a map.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Absent where a constant is written to the platform.
    pub(crate) erp: Option<ColumnSchema>,
    /// Absent where a constant is written to the ERP.
    pub(crate) platform: Option<PlatformColumn>,
    pub(crate) to_platform: Option<Pipeline>,
    pub(crate) to_erp: Option<Pipeline>,
}

impl Field {
    pub(crate) fn is_bidirectional(&self) -> bool {
        self.to_platform.is_some() && self.to_erp.is_some()
    }

    pub(crate) fn pipeline(&self, direction: Direction) -> Option<&Pipeline> {
        match direction {
            Direction::ToPlatform => self.to_platform.as_ref(),
            Direction::ToFinanceAndOperations => self.to_erp.as_ref(),
        }
    }

    /// Nothing is read for it.
    pub(crate) fn is_constant(&self) -> bool {
        self.erp.is_none() || self.platform.is_none()
    }
}

/// A definition whose names mean something.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) erp: Arc<TableSchema>,
    pub(crate) platform: Arc<TableSchema>,
    pub(crate) fields: Vec<Field>,
}

/// Ties a definition to its tables; what does not fit is left out and told.
pub(crate) fn bind(
    version: &pb::MapVersion,
    erp: &str,
    platform: &str,
    schemas: &Schemas,
) -> (Option<Definition>, Vec<ValidationIssue>) {
    let found_erp = schemas.get(Side::FinanceAndOperations, erp);
    let found_platform = schemas.get(Side::Platform, platform);
    let (Some(erp_table), Some(platform_table)) = (found_erp, found_platform) else {
        let missing_erp = issue::NO_SOURCE_SCHEMA.at(Side::FinanceAndOperations, "");
        let missing_platform = issue::NO_DESTINATION_SCHEMA.at(Side::Platform, "");
        let erp = found_erp.is_none().then_some(missing_erp);
        return (
            None,
            erp.into_iter().chain(found_platform.is_none().then_some(missing_platform)).collect(),
        );
    };
    let mut issues = Vec::new();
    let fields = version.field_maps.iter();
    let fields = fields.filter_map(|it| {
        let bound = Binding { erp: erp_table, platform: platform_table, schemas, row: it }.bind();
        bound.map_err(|it| issues.push(*it)).ok()
    });
    let fields = fields.collect();
    let (erp, platform) = (Arc::clone(erp_table), Arc::clone(platform_table));
    (Some(Definition { erp, platform, fields }), issues)
}

/// Which ways a row is read.
fn directions(map_type: MapType) -> Option<(bool, bool, bool)> {
    Some(match map_type {
        MapType::Unspecified => return None,
        MapType::Equal => (true, true, false),
        MapType::TransformBoth => (true, true, true),
        MapType::ToPlatform => (true, false, false),
        MapType::TransformToPlatform => (true, false, true),
        MapType::ToFinanceAndOperations => (false, true, false),
        MapType::TransformToFinanceAndOperations => (false, true, true),
    })
}

struct Binding<'b> {
    erp: &'b TableSchema,
    platform: &'b TableSchema,
    schemas: &'b Schemas,
    row: &'b pb::FieldMap,
}

impl Binding<'_> {
    fn bind(&self) -> Result<Field, Box<ValidationIssue>> {
        let row = self.row;
        let any = if row.platform_column.is_empty() {
            (Side::FinanceAndOperations, row.finance_and_operations_field.as_str())
        } else {
            (Side::Platform, row.platform_column.as_str())
        };
        let (to_platform, to_erp, transforms) = directions(row.map_type())
            .ok_or_else(|| Box::new(issue::NO_MAP_TYPE.at(any.0, any.1)))?;
        if !transforms && !row.transforms.is_empty() {
            return Err(Box::new(issue::PLAIN_TRANSFORM.at(any.0, any.1)));
        }
        // The ERP is the source, but of what goes to it alone.
        let swapped = !to_platform;
        let erp = self.erp_column(swapped, transforms && to_platform && !to_erp)?;
        let platform = self.platform_column(swapped, transforms && to_erp && !to_platform)?;
        if erp.is_none() && platform.is_none() {
            return Err(Box::new(issue::NO_SOURCE.at(any.0, any.1)));
        }
        let mut field = Field { erp, platform, to_platform: None, to_erp: None };
        if to_platform {
            field.to_platform = Some(self.pipeline(&field, Direction::ToPlatform)?);
        }
        if to_erp {
            field.to_erp = Some(self.pipeline(&field, Direction::ToFinanceAndOperations)?);
        }
        Ok(field)
    }

    fn erp_column(
        &self,
        is_destination: bool,
        may_be_constant: bool,
    ) -> Result<Option<ColumnSchema>, Box<ValidationIssue>> {
        let name = self.row.finance_and_operations_field.as_str();
        let side = Side::FinanceAndOperations;
        if name.is_empty() {
            let finding = if is_destination { issue::NO_DESTINATION } else { issue::NO_SOURCE };
            return if may_be_constant {
                Ok(None)
            } else {
                Err(Box::new(finding.at(Side::Platform, &self.row.platform_column)))
            };
        }
        if self.erp.is_company(name) {
            return Err(Box::new(issue::COMPANY_MAPPED.at(side, name)));
        }
        let finding = unknown(is_destination);
        let column = self.erp.column(name).ok_or_else(|| Box::new(finding.at(side, name)))?;
        Ok(Some(column.clone()))
    }

    fn platform_column(
        &self,
        is_source: bool,
        may_be_constant: bool,
    ) -> Result<Option<PlatformColumn>, Box<ValidationIssue>> {
        let path = self.row.platform_column.as_str();
        let side = Side::Platform;
        if path.is_empty() {
            let finding = if is_source { issue::NO_SOURCE } else { issue::NO_DESTINATION };
            let field = &self.row.finance_and_operations_field;
            return if may_be_constant {
                Ok(None)
            } else {
                Err(Box::new(finding.at(Side::FinanceAndOperations, field)))
            };
        }
        let missing = || Box::new(unknown(!is_source).at(side, path));
        let (own, leaf) = path.split_once('.').map_or((path, None), |it| (it.0, Some(it.1)));
        if self.platform.is_company(own) {
            return Err(Box::new(issue::COMPANY_MAPPED.at(side, path)));
        }
        let column = self.platform.column(own).ok_or_else(missing)?;
        let Some(leaf) = leaf else {
            if column.kind == Kind::Lookup {
                let finding =
                    if is_source { issue::LOOKUP_SOURCE } else { issue::LOOKUP_DESTINATION };
                return Err(Box::new(finding.at(side, path)));
            }
            let (path, leaf) = (column.name.clone(), column.clone());
            return Ok(Some(PlatformColumn { path, lookup: None, leaf }));
        };
        let target = column.lookup_target.as_deref().ok_or_else(missing)?;
        let target = self.schemas.get(side, target).ok_or_else(missing)?;
        let leaf = target.column(leaf).ok_or_else(missing)?;
        let path = format!("{}.{}", column.name, leaf.name);
        let lookup = Lookup { column: column.clone(), target: Arc::clone(target) };
        Ok(Some(PlatformColumn { path, lookup: Some(lookup), leaf: leaf.clone() }))
    }

    fn pipeline(
        &self,
        field: &Field,
        direction: Direction,
    ) -> Result<Pipeline, Box<ValidationIssue>> {
        let erp = field.erp.as_ref();
        let platform = field.platform.as_ref();
        let (side, own, from, to) = match direction {
            Direction::ToPlatform => (
                Side::Platform,
                platform.map(PlatformColumn::own),
                erp,
                platform.map(|it| &it.leaf),
            ),
            Direction::ToFinanceAndOperations => {
                (Side::FinanceAndOperations, erp, platform.map(|it| &it.leaf), erp)
            }
        };
        let (Some(own), Some(to)) = (own, to) else {
            return Err(Box::new(issue::NO_DESTINATION.at(side, "")));
        };
        if own.read_only() {
            return Err(Box::new(issue::READ_ONLY.at(side, &own.name)));
        }
        Pipeline::new(&self.row.transforms, direction, from, to).map_err(|finding| {
            // Nothing has to be written to a column that may stay empty.
            let finding = match finding {
                issue::NO_DEFAULT if !own.required => issue::NO_SOURCE,
                it => it,
            };
            Box::new(finding.at(side, &own.name))
        })
    }
}

fn unknown(is_destination: bool) -> Finding {
    if is_destination { issue::UNKNOWN_DESTINATION } else { issue::UNKNOWN_SOURCE }
}
