//! Values that name rows of other entities: of those that the caller may not see, none may be named. The
//! database would tell them from rows that are not there; the caller is told the same of both.

use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;

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
        if target.is_ok_and(|it| !it.sees_all_by(&entity.binding, &relation.pairs)) {
            found.push(Veiled { relation: name.clone(), column: column.clone() });
        }
    }
    // One text for each shape.
    found.sort_by(|one, other| one.relation.cmp(&other.relation));
    found
}

/// The column of the first that names a row that is not there for the caller; asked before anything is
/// written, because what the database says of a write may tell of the row that it names ([`discreet`]).
pub(super) async fn unseen(
    session: &mut Session<'_>,
    entity: &Entity,
    values: &[pb::FieldValue],
    veiled: &[Veiled],
) -> Result<Option<String>, Error> {
    for veiled in veiled {
        let Some(relation) = entity.binding.relations.get(&veiled.relation) else { continue };
        let given = |own: &str| values.iter().find(|it| it.field == own)?.value.as_ref();
        let pairs = relation.pairs.iter();
        let named: Vec<_> =
            pairs.filter_map(|(own, theirs)| Some((theirs.as_str(), given(own)?))).collect();
        if given(&veiled.column).is_none_or(names_nothing) {
            continue;
        }
        let target = session.authority.grant(session.caller, &relation.entity, Privilege::Read);
        // What is no value of the target's field is judged where every value is.
        let Some(Ok((sql, arguments))) = target.ok().map(|it| plan::target(&it, &named)) else {
            continue;
        };
        let found = statement::fetch(session.connection, &sql, arguments).await;
        if found.map_err(|error| Error::of(entity.name(), error))?.is_none() {
            return Ok(Some(veiled.column.clone()));
        }
    }
    Ok(None)
}

/// What is told of a write that failed: of one that names an [`unseen`] row, that and nothing else,
/// whatever the ERP says of a row that may be there.
pub(super) fn discreet(error: Error, unseen: Option<&str>) -> Error {
    match (error, unseen) {
        (
            Error::BusinessRule { .. }
            | Error::Refused { .. }
            | Error::RecordExists { .. }
            | Error::InUse { .. }
            | Error::InvalidQuery(_)
            | Error::Denied(_),
            Some(column),
        ) => Error::NoSuchReference { column: column.to_owned() },
        (error, _) => error,
    }
}

fn names_nothing(value: &pb::Value) -> bool {
    match &value.kind {
        None | Some(Value::NullValue(_)) => true,
        Some(Value::StringValue(it)) => it.is_empty(),
        Some(_) => false,
    }
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
