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
            let gone = take(session, entity, source, &locked).await?;
            if source == 0 && !gone {
                return Err(dropped(entity));
            }
        }
    }
    let mut left = Vec::new();
    for &source in before.iter().rev() {
        if is_own(entity, source, &locked)
            && is_referred_to(entity, source)?
            && !release(session, entity, &[source], &locked).await?
        {
            left.push(source);
        }
    }
    release_circles(session, entity, left, &locked).await
}

/// There is a row in the source, and the entity writes it.
fn is_own(entity: &Entity, source: usize, locked: &Locked) -> bool {
    entity.writes(source) && locked.present.get(source) == Some(&true)
}

/// Whether the source's rows belong to one row of the entity each.
pub(super) fn depends(entity: &Entity, source: usize) -> Result<bool, Error> {
    let (table, facts) = entity.source(source)?;
    let pairs = table.join.iter().flat_map(|it| &it.pairs);
    let columns: Vec<&str> = pairs.map(|it| it.0.as_str()).collect();
    let refers = entity.tables.iter().any(|it| facts.refers_to(&columns, it));
    Ok(facts.is_unique(&columns) || refers)
}

/// Whether the database knows that another of the entity's tables refers to the source.
pub(super) fn is_referred_to(entity: &Entity, source: usize) -> Result<bool, Error> {
    let (table, facts) = entity.source(source)?;
    let mut pairs = table.join.iter().flat_map(|it| &it.pairs);
    Ok(pairs.any(|(_, other)| {
        let referring = entity.tables.get(other.source);
        referring.is_some_and(|it| it.refers_to(&[other.name.as_str()], facts))
    }))
}

pub(super) async fn take(
    session: &mut Session<'_>,
    entity: &Entity,
    source: usize,
    locked: &Locked,
) -> Result<bool, Error> {
    let mut arguments = Arguments::default();
    let condition = own_row(entity, source, &locked.links, &mut arguments)?;
    statement::delete(session, entity, source, (arguments, &condition)).await
}

/// Rows that need each other can only go together; what they needed goes after them.
async fn release_circles(
    session: &mut Session<'_>,
    entity: &Entity,
    mut left: Vec<usize>,
    locked: &Locked,
) -> Result<(), Error> {
    while let Some(circle) = circles(entity, &left).into_iter().next() {
        let is_released = release(session, entity, &circle, locked).await?;
        left.retain(|it| !circle.contains(it));
        if !is_released {
            continue;
        }
        let mut still = Vec::new();
        for source in left {
            if !release(session, entity, &[source], locked).await? {
                still.push(source);
            }
        }
        left = still;
    }
    Ok(())
}

/// Those of the sources whose tables lead to each other and back by foreign keys.
fn circles(entity: &Entity, sources: &[usize]) -> Vec<Vec<usize>> {
    let refers = |from: usize, to: usize| {
        let tables = entity.tables.get(from).zip(entity.tables.get(to));
        tables.is_some_and(|(from, to)| from.references.iter().any(|it| it.leads_to(to)))
    };
    let reaches = |from: usize| {
        let mut reached: Vec<usize> = Vec::new();
        let mut at = vec![from];
        while let Some(here) = at.pop() {
            for &next in sources {
                if refers(here, next) && !reached.contains(&next) {
                    reached.push(next);
                    at.push(next);
                }
            }
        }
        reached
    };
    let reached: Vec<_> = sources.iter().map(|&it| (it, reaches(it))).collect();
    let mut circles: Vec<Vec<usize>> = Vec::new();
    for (source, others) in &reached {
        if circles.iter().flatten().any(|it| it == source) {
            continue;
        }
        let back = |it: &&(usize, Vec<usize>)| others.contains(&it.0) && it.1.contains(source);
        let circle: Vec<usize> = reached.iter().filter(back).map(|it| it.0).collect();
        if circle.len() > 1 {
            circles.push(circle);
        }
    }
    circles
}

/// Deletes what the row referred to, all of it or nothing: not where somebody else needs any of it.
pub(super) async fn release(
    session: &mut Session<'_>,
    entity: &Entity,
    sources: &[usize],
    locked: &Locked,
) -> Result<bool, Error> {
    let mut arguments = Arguments::default();
    let mut rows = Vec::with_capacity(sources.len());
    for &source in sources {
        let (table, facts) = entity.source(source)?;
        let mut condition = own_row(entity, source, &locked.links, &mut arguments)?;
        // What the database would not refuse at once has to be asked for.
        for referrer in facts.referrers.iter().filter(|it| it.is_soft) {
            let mut needing = needing(referrer, &table.alias);
            for &other in sources.iter().filter(|_| sources.len() > 1) {
                needing += &but_not(entity, other, referrer, locked, &mut arguments)?;
            }
            let _ = write!(condition, " AND NOT EXISTS ({needing})");
        }
        rows.push((source, condition));
    }
    statement::run(session, "SAVEPOINT shared").await?;
    match statement::delete_all(session, entity, &rows, arguments).await {
        Ok(true) => {
            statement::run(session, "RELEASE SAVEPOINT shared").await?;
            Ok(true)
        }
        Ok(false) | Err(Error::InUse { .. } | Error::NotGranted(_)) => {
            let undo = "ROLLBACK TO SAVEPOINT shared; RELEASE SAVEPOINT shared";
            statement::run(session, undo).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The referring row is not the one of a source that goes as well.
fn but_not(
    entity: &Entity,
    source: usize,
    referrer: &Reference,
    locked: &Locked,
    arguments: &mut Arguments,
) -> Result<String, Error> {
    let (table, facts) = entity.source(source)?;
    if !referrer.leads_to(facts) {
        return Ok(String::new());
    }
    let own = own_row(entity, source, &locked.links, arguments)?;
    let (name, alias) = (&table.table, &table.alias);
    Ok(format!(
        " AND NOT EXISTS (SELECT 1 FROM {name} AS {alias} WHERE {own} AND \
         ({alias}.tableoid, {alias}.ctid) = (r.tableoid, r.ctid))"
    ))
}

/// Rows that refer to the one that `alias` is.
fn needing(referrer: &Reference, alias: &str) -> String {
    let pairs = referrer.others.iter().zip(&referrer.columns);
    let pairs = pairs.map(|(other, own)| format!("r.{} = {alias}.{}", Ident(other), Ident(own)));
    let pairs = pairs.collect::<Vec<_>>().join(" AND ");
    let table = format!("{}.{}", Ident(&referrer.schema), Ident(&referrer.table));
    format!("SELECT 1 FROM {table} AS r WHERE {pairs}")
}
