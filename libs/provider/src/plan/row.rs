//! One row as a write sees it: what finds it, what its version is, whether the caller may touch it.

use proto::query::v1 as pb;
use proto::query::v1::ConditionOperator;

use super::argument::{Argument, Arguments};
use super::bind::{Bound, bind};
use super::scope::{Place, ROOT};
use super::select::declared;
use super::{Planner, and};
use crate::binding::{Binding, Field, Identity, Kind, SourceSet};
use crate::error::Error;
use crate::grant::{Grant, Grants};

/// The parts of statements that write a row. Their placeholders are those of `arguments`.
#[derive(Debug)]
pub(crate) struct RowParts {
    pub(crate) arguments: Arguments,
    /// Every source of the entity, joined.
    pub(crate) from: String,
    /// Which row, of those that the caller may touch; nothing where no key was given.
    pub(crate) predicate: Option<String>,
    /// How many such rows there are, counted to 2, where it may be several.
    pub(crate) alike: Option<String>,
    /// Whether the caller may touch the row; nothing where that is so of every row.
    pub(crate) policy: Option<String>,
    /// What the row's GUID is made of.
    pub(crate) identity: String,
    /// Versions of the sources that have one.
    pub(crate) versions: Vec<String>,
}

/// The parts of statements over the row with a key, or over rows that are found otherwise.
pub(crate) fn row_parts(
    grant: &Grant,
    key: Option<&pb::record_key::Key>,
) -> Result<RowParts, Error> {
    let grants = Grants::from(grant.clone());
    let mut planner = Planner::new(&grants, None);
    let binding = grant.shared_binding();
    let named = key.map(|it| planner.key(it)).transpose()?;
    let policy = planner.policy(ROOT);
    let predicate = named.map(|named| match &policy {
        Some(policy) => and(Some(named), policy.clone()),
        None => named,
    });
    let alike = key.zip(predicate.as_ref()).and_then(|(key, it)| planner.alike(key, it));
    for index in 0..binding.sources.len() {
        planner.scopes[ROOT].need(SourceSet::of(index));
    }
    let versions = planner.version(ROOT, Place::within(ROOT))?;
    let versions = versions.into_iter().map(|it| it.sql).collect();
    let identity = match &binding.identity {
        Identity::Integer { column } | Identity::Uuid { column } => column.clone(),
        Identity::Hash { expression, .. } => expression.clone(),
    };
    let from = planner.from(ROOT);
    let arguments = planner.arguments;
    Ok(RowParts { arguments, from, predicate, alike, policy, identity, versions })
}

/// The condition of a row with this identity, a text, that is there and that the caller may see; its
/// values are bound behind those that there are.
pub(crate) fn seen(grant: &Grant, identity: &str, arguments: &mut Arguments) -> String {
    let grants = Grants::from(grant.clone());
    let mut planner = Planner::new(&grants, None);
    planner.arguments = std::mem::take(arguments);
    let is_it = match &grant.binding().identity {
        Identity::Integer { column } => format!("{column} = {identity}::bigint"),
        Identity::Uuid { column } => format!("{column} = {identity}::uuid"),
        Identity::Hash { expression, .. } => format!("{expression} = {identity}"),
    };
    let predicate = match planner.policy(ROOT) {
        Some(policy) => and(Some(is_it), policy),
        None => is_it,
    };
    let from = planner.from(ROOT);
    *arguments = planner.arguments;
    format!("EXISTS (SELECT 1 FROM {from} WHERE {predicate})")
}

/// The condition of rows that a relation with these values, by the target's fields, leads to, and that
/// the caller may see, as a statement that has a row where there is one.
pub(crate) fn target(
    grant: &Grant,
    values: &[(&str, &pb::Value)],
) -> Result<(String, Arguments), Error> {
    let grants = Grants::from(grant.clone());
    let mut planner = Planner::new(&grants, None);
    let at = Place::within(ROOT);
    let mut predicate = None;
    for (field, value) in values {
        let column = planner.any_field(ROOT, field, at)?;
        let equal = planner.equal(&column, value)?;
        predicate = Some(and(predicate, equal));
    }
    if let Some(policy) = planner.policy(ROOT) {
        predicate = Some(and(predicate, policy));
    }
    let (from, predicate) = (planner.from(ROOT), predicate.unwrap_or_else(|| "true".to_owned()));
    Ok((format!("SELECT 1 FROM {from} WHERE {predicate} LIMIT 1"), planner.arguments))
}

/// The parts of a statement that says to what a row refers. Their placeholders are those of `arguments`.
#[derive(Debug)]
pub(crate) struct ReferenceParts {
    pub(crate) arguments: Arguments,
    /// Every source that is needed, joined.
    pub(crate) from: String,
    /// For each of the relations, whether it leads nowhere on purpose, or to a row that the caller may
    /// see.
    pub(crate) checks: Vec<String>,
}

/// Whether relations lead to rows that the caller may see.
pub(crate) fn references(grants: &Grants<'_>, relations: &[&str]) -> Result<ReferenceParts, Error> {
    let mut planner = Planner { is_internal: true, ..Planner::new(grants, None) };
    let at = Place::within(ROOT);
    let binding = planner.root();
    let mut checks = Vec::with_capacity(relations.len());
    for name in relations {
        let lookup = planner.lookup(ROOT, name)?;
        let company = binding.company_field().map(|it| it.name.as_str());
        let mut empty = Vec::new();
        for (own, _) in lookup.pairs.iter().filter(|it| Some(it.0.as_str()) != company) {
            let column = planner.field(ROOT, own, at)?;
            // As the ERPs write "none" where they have no null.
            empty.push(match column.kind {
                Kind::Text => format!("NULLIF({}, '') IS NULL", column.sql),
                Kind::Integer => format!("NULLIF({}, 0) IS NULL", column.sql),
                _ => format!("{} IS NULL", column.sql),
            });
        }
        let leads = planner.compare_lookup(&lookup, ConditionOperator::NotNull, &[], at)?;
        empty.push(leads);
        checks.push(format!("({})", empty.join(" OR ")));
    }
    let from = planner.from(ROOT);
    Ok(ReferenceParts { arguments: planner.arguments, from, checks })
}

/// A value as it is bound where it is to be stored; `None` for one that no column can hold.
pub(crate) fn stored(
    binding: &Binding,
    field: &Field,
    value: &pb::Value,
) -> Result<Option<Argument>, Error> {
    Ok(match bind(&declared(field, binding), value)? {
        Bound::Value(argument) => Some(argument),
        Bound::Impossible => None,
    })
}
