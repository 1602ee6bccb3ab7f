//! Declared relationships (spec VE-056): what they are called, and how they are published.

use model::Model;
use proto::catalog::v1 as catalog;
use proto::query::v1 as pb;
use tables::DeclaredNames;

use crate::error::Error;
use crate::store::DeclaredRow;

const COLLECTION: &str = "relationships/";
/// Relationships with longer names are refused (spec virtual-entities §2.3).
const LONGEST_NAME: usize = 92;

/// The row that a request declares, if it is whole. Whether its tables and columns are there is for
/// those to say who know them all.
pub(crate) fn row(
    request: catalog::CreateRelationshipRequest,
    model: &Model,
) -> Result<DeclaredRow, Error> {
    let id = request.relationship_id;
    let it = request.relationship.unwrap_or_default();
    if !is_name(&id) {
        let reason = "is letters, digits and `_`, and begins with a letter";
        return Err(invalid("relationship_id", reason));
    }
    if it.source.is_empty() || it.target.is_empty() {
        return Err(invalid("relationship", "names two tables"));
    }
    if it.pairs.is_empty() || it.pairs.iter().any(|it| it.column.is_empty() || it.target.is_empty())
    {
        return Err(invalid("relationship.pairs", "names what is equal in both rows"));
    }
    let entity = model.entities.iter().find(|e| tables::virtual_name(&e.name) == it.source);
    let source_name = entity.map_or(it.source.as_str(), |it| it.name.as_str());
    let schema_name = DeclaredNames::new(source_name, &id).schema_name;
    if schema_name.chars().count() > LONGEST_NAME {
        return Err(invalid("relationship_id", "makes a name of more than 92 characters"));
    }
    Ok(DeclaredRow {
        schema_name,
        source: it.source,
        target: it.target,
        pairs: it.pairs.into_iter().map(|it| (it.column, it.target)).collect(),
        display_name: if it.display_name.is_empty() { id.clone() } else { it.display_name },
        created_at: chrono::Utc::now(),
        id,
    })
}

/// For the gateway.
pub(crate) fn published(row: &DeclaredRow) -> pb::DeclaredRelationship {
    // The source's name is part of the schema name only, which is kept.
    let names = DeclaredNames::new("", &row.id);
    let pair = |(column, target): &(String, String)| pb::DeclaredRelationshipPair {
        column: column.clone(),
        target: target.clone(),
    };
    pb::DeclaredRelationship {
        schema_name: row.schema_name.clone(),
        source: row.source.clone(),
        target: row.target.clone(),
        column: names.column,
        navigation_property: names.navigation_property,
        display_name: row.display_name.clone(),
        pairs: row.pairs.iter().map(pair).collect(),
    }
}

/// For the administrator.
pub(crate) fn resource(row: &DeclaredRow) -> catalog::Relationship {
    let pair = |(column, target): &(String, String)| catalog::RelationshipPair {
        column: column.clone(),
        target: target.clone(),
    };
    catalog::Relationship {
        name: format!("{COLLECTION}{}", row.id),
        source: row.source.clone(),
        target: row.target.clone(),
        pairs: row.pairs.iter().map(pair).collect(),
        display_name: row.display_name.clone(),
        schema_name: row.schema_name.clone(),
        create_time: Some(prost_types::Timestamp {
            seconds: row.created_at.timestamp(),
            nanos: i32::try_from(row.created_at.timestamp_subsec_nanos()).unwrap_or_default(),
        }),
    }
}

/// The id in `relationships/ID`.
pub(crate) fn id(name: &str) -> Result<&str, Error> {
    name.strip_prefix(COLLECTION).ok_or_else(|| invalid("name", "is `relationships/ID`"))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|it: char| it.is_ascii_alphabetic())
        && text.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}

fn invalid(column: &str, reason: &'static str) -> Error {
    Error::InvalidValue { column: column.to_owned(), reason }
}
