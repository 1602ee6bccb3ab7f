//! Relationships that administrators declare across the line between virtual and native tables
//! (spec VE-056): what one means, as long as everything that it names is there.

use std::collections::HashSet;

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as External;
use proto::query::v1::{AttributeType, RequiredLevel, SystemColumn, TableSource};

/// Why a declaration means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidDeclaration {
    #[error("there is no table `{0}`")]
    NoTable(String),
    #[error("`{table}` has no column `{column}`")]
    NoColumn { table: String, column: String },
    #[error("one of `{0}` and `{1}` must be a virtual table and the other a native one")]
    NotAcross(String, String),
    #[error("`{column}` and `{target}` are of different types")]
    Types { column: String, target: String },
    #[error("`{0}` cannot tell rows apart: name a column that holds a value of the row itself")]
    NoValue(String),
    #[error(
        "the columns of `{table}` must include its id or all columns of an alternate key, so that \
         one row matches at most"
    )]
    NoKey { table: String },
    #[error("`{0}` is the name of something else already")]
    Taken(String),
}

/// The lookup column and the relationship that a declaration adds to its source.
pub(crate) fn resolve(
    declared: &pb::DeclaredRelationship,
    source: &pb::TableDefinition,
    target: &pb::TableDefinition,
) -> Result<(pb::ColumnDefinition, pb::Relationship), InvalidDeclaration> {
    let sides = (source.source(), target.source());
    let across = [
        (TableSource::Erp, TableSource::Organization),
        (TableSource::Organization, TableSource::Erp),
    ];
    if !across.contains(&sides) {
        let names = (source.logical_name.clone(), target.logical_name.clone());
        return Err(InvalidDeclaration::NotAcross(names.0, names.1));
    }
    let taken = |name: &str| {
        let columns = source.columns.iter().map(|it| it.logical_name.as_str());
        let navigations = source.relationships.iter().map(|it| it.navigation_property.as_str());
        columns.chain(navigations).any(|it| it == name)
    };
    for name in [&declared.column, &declared.navigation_property] {
        if taken(name) {
            return Err(InvalidDeclaration::Taken(name.clone()));
        }
    }
    let pairs = declared.pairs.iter().map(|it| pair(source, target, it));
    let relationship = pb::Relationship {
        schema_name: declared.schema_name.clone(),
        column: declared.column.clone(),
        target: declared.target.clone(),
        navigation_property: declared.navigation_property.clone(),
        collection_navigation_property: declared.schema_name.clone(),
        pairs: pairs.collect::<Result<_, _>>()?,
        exact: false,
        origin: pb::RelationshipOrigin::Declared.into(),
    };
    if !identifies(declared, target) {
        return Err(InvalidDeclaration::NoKey { table: target.logical_name.clone() });
    }
    Ok((lookup(declared), relationship))
}

/// Its value is found by the pairs, in another store, so no provider has a name for it.
fn lookup(declared: &pb::DeclaredRelationship) -> pb::ColumnDefinition {
    pb::ColumnDefinition {
        logical_name: declared.column.clone(),
        schema_name: declared.navigation_property.clone(),
        external: Some(pb::ColumnRef::default()),
        r#type: AttributeType::Lookup.into(),
        display_name: declared.display_name.clone(),
        target: declared.target.clone(),
        navigation_property: declared.navigation_property.clone(),
        required_level: RequiredLevel::None.into(),
        filterable: true,
        ..pb::ColumnDefinition::default()
    }
}

fn pair(
    source: &pb::TableDefinition,
    target: &pb::TableDefinition,
    pair: &pb::DeclaredRelationshipPair,
) -> Result<pb::RelationshipPair, InvalidDeclaration> {
    let (from, to) = (column(source, &pair.column)?, column(target, &pair.target)?);
    if kind(from) != kind(to) || kind(from).is_none() {
        let (column, target) = (pair.column.clone(), pair.target.clone());
        return Err(InvalidDeclaration::Types { column, target });
    }
    Ok(pb::RelationshipPair { column: Some(own_value(from)?), target: Some(own_value(to)?) })
}

fn column<'t>(
    table: &'t pb::TableDefinition,
    name: &str,
) -> Result<&'t pb::ColumnDefinition, InvalidDeclaration> {
    let found = table.columns.iter().find(|it| it.logical_name == name);
    found.ok_or_else(|| InvalidDeclaration::NoColumn {
        table: table.logical_name.clone(),
        column: name.to_owned(),
    })
}

/// The provider's name of a column that is stored, or of the row's id.
fn own_value(column: &pb::ColumnDefinition) -> Result<pb::ColumnRef, InvalidDeclaration> {
    let external = column.external.as_ref().filter(|it| match &it.column {
        Some(External::Field(_)) => true,
        Some(External::System(it)) => *it == SystemColumn::RecordId as i32,
        Some(External::Relation(_)) | None => false,
    });
    external.cloned().ok_or_else(|| InvalidDeclaration::NoValue(column.logical_name.clone()))
}

/// What values are compared as; options are numbers of their own tables, and compare with nothing.
#[derive(PartialEq, Eq)]
enum Kind {
    Text,
    Whole,
    Fraction,
    Boolean,
    Moment,
    Date,
    Guid,
}

fn kind(column: &pb::ColumnDefinition) -> Option<Kind> {
    Some(match column.r#type() {
        AttributeType::String | AttributeType::Memo => Kind::Text,
        AttributeType::Integer | AttributeType::BigInt => Kind::Whole,
        // How virtual tables show 64-bit integers.
        AttributeType::Decimal if column.scale == 0 => Kind::Whole,
        AttributeType::Decimal => Kind::Fraction,
        AttributeType::Boolean => Kind::Boolean,
        AttributeType::DateTime => Kind::Moment,
        AttributeType::Date => Kind::Date,
        AttributeType::Uniqueidentifier | AttributeType::Lookup => Kind::Guid,
        AttributeType::Double | AttributeType::Picklist | AttributeType::Unspecified => {
            return None;
        }
    })
}

/// Whether no two rows of the target have the same values in these columns.
fn identifies(declared: &pb::DeclaredRelationship, target: &pb::TableDefinition) -> bool {
    let columns: HashSet<&str> = declared.pairs.iter().map(|it| it.target.as_str()).collect();
    let id = std::slice::from_ref(&target.primary_id_column);
    let keys = target.alternate_keys.iter().map(|it| it.columns.as_slice());
    std::iter::once(id)
        .chain(keys)
        .any(|key| !key.is_empty() && key.iter().all(|it| columns.contains(it.as_str())))
}
