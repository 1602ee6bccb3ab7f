//! Links: how related rows are joined, and how their being there decides about a row.

use std::collections::HashSet;

use proto::query::v1 as pb;
use proto::query::v1::{FilterOperator, JoinOperator};

use super::bounds::{Part, names_only};
use super::inline::Inline;
use super::scope::{Body, Join, Place, Scope};
use super::{Planner, and_all};
use crate::binding::{Casing, Field, Kind};
use crate::error::Error;
use crate::grant::Refused;

impl<'q> Planner<'q> {
    /// Joins links to a scope.
    pub(super) fn join_all(
        &mut self,
        links: &'q [pb::LinkEntity],
        parent: usize,
    ) -> Result<(), Error> {
        for link in links {
            let join = match link.join() {
                JoinOperator::Unspecified | JoinOperator::Inner => Join::Inner,
                JoinOperator::LeftOuter => Join::LeftOuter,
                JoinOperator::MatchFirstRow => Join::FirstRow,
                // The others are conditions, wherever they stand.
                _ => {
                    let condition = self.related(link, Place::within(parent))?;
                    self.scopes[parent].filter.push(condition);
                    continue;
                }
            };
            self.join(link, join, parent)?;
        }
        Ok(())
    }

    fn join(&mut self, link: &'q pb::LinkEntity, join: Join, parent: usize) -> Result<(), Error> {
        let number = self.scopes.len();
        let outer = Place { before: number, ..Place::within(parent) };
        self.open(link, join, outer)?;
        self.scopes[parent].children.push(number);
        self.join_all(&link.links, number)?;
        self.scopes[number].single |= self.is_single(link, number);
        // The first row must be found among the related ones; otherwise rows are compared beside
        // each other.
        let junction = match join {
            Join::FirstRow => Place::within(number),
            _ => Place { before: number + 1, ..outer }.of(number),
        };
        let on = self.junction(link, number, junction, parent)?;
        match join {
            Join::FirstRow => self.scopes[number].filter.extend(on),
            _ => self.scopes[number].on = on,
        }
        Ok(())
    }

    /// Whether a link's pairs are by what is unique of its entity.
    fn is_single(&self, link: &pb::LinkEntity, number: usize) -> bool {
        use pb::column_ref::Column as Ref;
        let Some(binding) = self.binding(number) else { return false };
        let own = |it: &&pb::JoinPair| {
            it.column.as_ref().is_some_and(|it| it.link.is_empty() || it.link == link.alias)
        };
        let mut fields = HashSet::new();
        for pair in link.on.iter().filter(own) {
            match pair.column.as_ref().and_then(|it| it.column.as_ref()) {
                Some(Ref::System(it)) if *it == pb::SystemColumn::RecordId as i32 => return true,
                // What differs in letter case alone may be several rows.
                Some(Ref::Field(name)) => {
                    let field = binding.field(name);
                    let is_caseless = |it: &Field| {
                        matches!(it.kind, Kind::Text) && it.casing == Casing::Any && !pair.exact
                    };
                    if field.is_some_and(|it| !is_caseless(it)) {
                        fields.insert(name.as_str());
                    }
                }
                _ => {}
            }
        }
        let mut key = binding.key_fields().peekable();
        key.peek().is_some() && key.all(|it| fields.contains(it.name.as_str()))
    }

    /// Whether there are related rows, as the link's operator has it.
    pub(super) fn related(&mut self, link: &'q pb::LinkEntity, at: Place) -> Result<String, Error> {
        match link.join() {
            JoinOperator::In | JoinOperator::Exists | JoinOperator::Any | JoinOperator::NotAll => {
                self.exists(link, at, true)
            }
            JoinOperator::NotAny => Ok(format!("NOT {}", self.exists(link, at, true)?)),
            JoinOperator::All => {
                let any = self.exists(link, at, false)?;
                let matching = self.exists(link, at, true)?;
                Ok(format!("{any} AND NOT {matching}"))
            }
            _ => {
                let message = "a link in a filter is one of in, exists, any, not any, all, not all";
                Err(Error::InvalidQuery(message.to_owned()))
            }
        }
    }

    fn exists(
        &mut self,
        link: &'q pb::LinkEntity,
        at: Place,
        matching: bool,
    ) -> Result<String, Error> {
        let number = self.open(link, Join::Subquery, at)?;
        let junction = Place { subquery: Some(number), ..at }.of(number);
        let on = if matching {
            self.join_all(&link.links, number)?;
            self.junction(link, number, junction, at.here)?
        } else {
            self.paired(link, number, junction, at.here)?
        };
        Ok(self.subquery("1", number, &on, "EXISTS "))
    }

    /// A subquery over one scope; `select` stands at its level.
    pub(super) fn subquery(
        &self,
        select: &str,
        number: usize,
        on: &[String],
        before: &str,
    ) -> String {
        let filter = and_all(on).map(|it| format!(" WHERE {it}")).unwrap_or_default();
        format!("{before}(SELECT {select} FROM {}{filter})", self.derived(number))
    }

    fn open(&mut self, link: &'q pb::LinkEntity, join: Join, outer: Place) -> Result<usize, Error> {
        let body = match link.target.as_ref().ok_or(Error::Missing("target"))? {
            pb::link_entity::Target::EntityName(name) => match self.grants.of(name) {
                Ok(grant) => Body::Entity(grant),
                Err(Refused::Denied(denied)) => return Err(Error::Denied(denied)),
                Err(Refused::Unknown) => return Err(Error::EntityNotFound(name.clone())),
            },
            pb::link_entity::Target::Rows(rows) => {
                Body::Rows(Inline::new(rows, &mut self.arguments)?)
            }
        };
        self.scopes.push(Scope::new(body, join, outer));
        let number = self.scopes.len() - 1;
        self.aliases.insert(&link.alias, number);
        Ok(number)
    }

    /// The pairs of a link, its criteria and its entity's policy. What concerns the link alone goes
    /// into its scope; the rest is returned.
    fn junction(
        &mut self,
        link: &'q pb::LinkEntity,
        number: usize,
        at: Place,
        parent: usize,
    ) -> Result<Vec<String>, Error> {
        let mut on = self.pairs(link, at, parent)?;
        if let Some(criteria) = &link.criteria {
            on.extend(self.criteria(link, criteria, number, at)?);
        }
        self.guard(number);
        Ok(on)
    }

    /// The pairs of a link and its entity's policy.
    fn paired(
        &mut self,
        link: &'q pb::LinkEntity,
        number: usize,
        at: Place,
        parent: usize,
    ) -> Result<Vec<String>, Error> {
        let on = self.pairs(link, at, parent)?;
        self.guard(number);
        Ok(on)
    }

    /// Puts the caller's policy into a scope.
    pub(super) fn guard(&mut self, number: usize) {
        if let Some(policy) = self.policy(number) {
            self.scopes[number].filter.push(policy);
        }
    }

    fn pairs(
        &mut self,
        link: &'q pb::LinkEntity,
        at: Place,
        parent: usize,
    ) -> Result<Vec<String>, Error> {
        if link.on.is_empty() {
            return Err(Error::Missing("on"));
        }
        let mut on = Vec::with_capacity(link.on.len());
        for pair in &link.on {
            let column = self.named(pair.column.as_ref(), at)?;
            let other = self.named(pair.parent.as_ref(), at.of(parent))?;
            on.push(self.equal_columns(&column, &other, pair.exact, at)?);
        }
        Ok(on)
    }

    fn criteria(
        &mut self,
        link: &'q pb::LinkEntity,
        criteria: &'q pb::FilterExpression,
        number: usize,
        at: Place,
    ) -> Result<Vec<String>, Error> {
        let mut own = HashSet::from([link.alias.as_str()]);
        let mut open: Vec<&pb::LinkEntity> = link.links.iter().collect();
        while let Some(nested) = open.pop() {
            own.insert(&nested.alias);
            open.extend(&nested.links);
        }
        let inside = Place::within(number);
        let mut beside = Vec::new();
        for part in conjuncts(criteria) {
            let is_own = names_only(part, &own);
            let place = if is_own { inside } else { at };
            if let Some(predicate) = self.part(part, place)? {
                if is_own {
                    self.scopes[number].filter.push(predicate);
                } else {
                    beside.push(predicate);
                }
            }
        }
        Ok(beside)
    }

    fn part(&mut self, part: Part<'q>, at: Place) -> Result<Option<String>, Error> {
        match part {
            Part::Condition(it) => self.condition(it, at).map(Some),
            Part::Filter(it) => self.filter(it, at),
            Part::Link(it) => self.related(it, at).map(Some),
        }
    }
}

/// The parts of a filter that must all hold.
fn conjuncts(filter: &pb::FilterExpression) -> Vec<Part<'_>> {
    if filter.operator() == FilterOperator::Or {
        return vec![Part::Filter(filter)];
    }
    let conditions = filter.conditions.iter().map(Part::Condition);
    let parts = conditions.chain(filter.filters.iter().map(Part::Filter));
    parts.chain(filter.links.iter().map(Part::Link)).collect()
}
