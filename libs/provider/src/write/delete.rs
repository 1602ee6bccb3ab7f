//! A row that goes, with what is its own and nobody else's.

use std::fmt::Write as _;

use proto::query::v1 as pb;

use super::create::dropped;
use super::entity::Entity;
use super::order::order;
use super::table::Reference;
use super::update::{Locked, Purposes, lock, missed, own_row, unchanged};
use super::{Session, statement};
use crate::error::Error;
use crate::names::Ident;
use crate::plan::{Arguments, row_parts};

/// Deletes a row.
pub(super) async fn delete(
    session: &mut Session<'_>,
    entity: &Entity,
    key: &pb::record_key::Key,
    etag: &str,
) -> Result<(), Error> {
    if entity.is_one_table() {
        let mut parts = row_parts(&entity.grant, Some(key))?;
        let condition = unchanged(&mut parts, etag);
        if statement::delete(session, entity, 0, (parts.arguments, &condition)).await? {
            return Ok(());
        }
        return missed(session, entity, key, etag).await?.ok_or(Error::RecordNotFound);
    }
    let locked = lock(session, entity, key, etag, Purposes::Delete).await?;
    let locked = locked.ok_or(Error::RecordNotFound)?;
    let order = order(entity);
    let (before, after): (Vec<usize>, Vec<usize>) = {
        let root = order.iter().position(|it| *it == 0).unwrap_or_default();
        let (before, after) = order.split_at(root);
        (before.to_vec(), after.to_vec())
    };
    // The root is the first of those that come after: it goes last of them.
    for &source in after.iter().rev() {
        let goes = source == 0 || depends(entity, source)?;
        if goes && is_own(entity, source, &locked) {
            let gone = take(session, entity, source, &locked, "").await?;
            if source == 0 && !gone {
                return Err(dropped(entity));
            }
        }
    }
    for &source in before.iter().rev() {
        if is_own(entity, source, &locked) && is_referred_to(entity, source)? {
            release(session, entity, source, &locked).await?;
        }
    }
    Ok(())
}

/// There is a row in the source, and the entity writes it.
fn is_own(entity: &Entity, source: usize, locked: &Locked) -> bool {
    entity.writes(source) && locked.present.get(source) == Some(&true)
}

/// Whether the source's rows belong to one row of the entity each.
fn depends(entity: &Entity, source: usize) -> Result<bool, Error> {
    let (table, facts) = entity.source(source)?;
    let pairs = table.join.iter().flat_map(|it| &it.pairs);
    let columns: Vec<&str> = pairs.map(|it| it.0.as_str()).collect();
    let refers = entity.tables.iter().any(|it| facts.refers_to(&columns, it));
    Ok(facts.is_unique(&columns) || refers)
}

/// Whether the database knows that another of the entity's tables refers to the source.
fn is_referred_to(entity: &Entity, source: usize) -> Result<bool, Error> {
    let (table, facts) = entity.source(source)?;
    let mut pairs = table.join.iter().flat_map(|it| &it.pairs);
    Ok(pairs.any(|(_, other)| {
        let referring = entity.tables.get(other.source);
        referring.is_some_and(|it| it.refers_to(&[other.name.as_str()], facts))
    }))
}

async fn take(
    session: &mut Session<'_>,
    entity: &Entity,
    source: usize,
    locked: &Locked,
    unless: &str,
) -> Result<bool, Error> {
    let mut arguments = Arguments::default();
    let condition = own_row(entity, source, &locked.links, &mut arguments)?;
    let condition = format!("{condition}{unless}");
    statement::delete(session, entity, source, (arguments, &condition)).await
}

/// Deletes what the row referred to, unless somebody else needs it.
async fn release(
    session: &mut Session<'_>,
    entity: &Entity,
    source: usize,
    locked: &Locked,
) -> Result<(), Error> {
    let (table, facts) = entity.source(source)?;
    let mut unless = String::new();
    // What the database would not refuse at once has to be asked for.
    for referrer in facts.referrers.iter().filter(|it| it.is_soft) {
        let _ = write!(unless, " AND NOT EXISTS ({})", needing(referrer, &table.alias));
    }
    statement::run(session, "SAVEPOINT shared").await?;
    match take(session, entity, source, locked, &unless).await {
        Ok(_) => statement::run(session, "RELEASE SAVEPOINT shared").await,
        Err(Error::InUse { .. } | Error::NotGranted(_)) => {
            let undo = "ROLLBACK TO SAVEPOINT shared; RELEASE SAVEPOINT shared";
            statement::run(session, undo).await
        }
        Err(error) => Err(error),
    }
}

/// Rows that refer to the one that `alias` is.
fn needing(referrer: &Reference, alias: &str) -> String {
    let pairs = referrer.others.iter().zip(&referrer.columns);
    let pairs = pairs.map(|(other, own)| format!("r.{} = {alias}.{}", Ident(other), Ident(own)));
    let pairs = pairs.collect::<Vec<_>>().join(" AND ");
    let table = format!("{}.{}", Ident(&referrer.schema), Ident(&referrer.table));
    format!("SELECT 1 FROM {table} AS r WHERE {pairs}")
}
