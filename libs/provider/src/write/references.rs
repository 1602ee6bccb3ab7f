//! Values that name rows of other entities: of those that the caller may not see, none may be named. The
//! database would tell them from rows that are not there; the caller is told the same of both.

use proto::query::v1 as pb;

use super::create::{Links, root_is};
use super::entity::Entity;
use super::{Session, statement};
use crate::authority::Privilege;
use crate::error::Error;
use crate::grant::Grants;
use crate::plan;

/// A relation to an entity of which the caller may see some rows only.
#[derive(Debug)]
pub(super) struct Veiled {
    relation: String,
    /// The field that is to blame.
    column: String,
}

/// The relations that values are given for, whose rows the caller may not see all of.
pub(super) fn veiled(
    session: &Session<'_>,
    entity: &Entity,
    values: &[pb::FieldValue],
) -> Vec<Veiled> {
    let company = entity.binding.company_field().map(|it| it.name.as_str());
    let mut found: Vec<Veiled> = Vec::new();
    for (name, relation) in &entity.binding.relations {
        let mut own = relation.pairs.iter().filter(|it| Some(it.0.as_str()) != company);
        let Some((column, _)) = own.find(|it| values.iter().any(|value| value.field == it.0))
        else {
            continue;
        };
        let target = session.authority.grant(session.caller, &relation.entity, Privilege::Read);
        if target.is_ok_and(|it| !it.sees_all_by(&relation.pairs)) {
            found.push(Veiled { relation: name.clone(), column: column.clone() });
        }
    }
    // One text for each shape.
    found.sort_by(|one, other| one.relation.cmp(&other.relation));
    found
}

/// Refuses a row, as it was written, that refers to one that the caller may not see.
pub(super) async fn check(
    session: &mut Session<'_>,
    entity: &Entity,
    links: &Links,
    veiled: &[Veiled],
) -> Result<(), Error> {
    if veiled.is_empty() {
        return Ok(());
    }
    let (authority, caller) = (session.authority, session.caller);
    let read = |name: &str| authority.grant(caller, name, Privilege::Read);
    let grants = Grants::new(entity.grant.clone(), read);
    let relations: Vec<&str> = veiled.iter().map(|it| it.relation.as_str()).collect();
    let mut parts = plan::references(&grants, &relations)?;
    let condition = root_is(entity, links, &mut parts.arguments)?;
    let checks = parts.checks.join(", ");
    let sql = format!("SELECT {checks} FROM {} WHERE {condition} LIMIT 1", parts.from);
    let row = statement::fetch(session.connection, &sql, parts.arguments).await;
    let row = row.map_err(|error| Error::of(entity.name(), error))?.ok_or(Error::Conflict)?;
    for (at, veiled) in veiled.iter().enumerate() {
        if statement::boolean(&row, at)? != Some(true) {
            return Err(Error::NoSuchReference { column: veiled.column.clone() });
        }
    }
    Ok(())
}
