//! Links: which table each leads to, and what is equal in both rows.

use std::sync::Arc;

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as Named;
use proto::query::v1::link_entity::Target;
use proto::query::v1::{FilterOperator, JoinOperator};

use super::{FarDraft, FarPair, Lowering, MAX_DEPTH, MAX_LINKS, Place, Spot, find, is_near};
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Navigation, Table};

/// One pair of columns, in the words of the providers that hold them.
pub(super) struct Pair {
    pub(super) column: pb::ColumnRef,
    pub(super) parent: pb::ColumnRef,
    pub(super) exact: bool,
}

impl Lowering<'_> {
    pub(super) fn links(
        &mut self,
        links: &[pb::LinkEntity],
        parent: &str,
        depth: usize,
    ) -> Result<Vec<pb::LinkEntity>, GatewayError> {
        links.iter().map(|it| self.link(it, parent, depth)).collect()
    }

    /// A link, joined to the row called `parent`.
    pub(super) fn link(
        &mut self,
        link: &pb::LinkEntity,
        parent: &str,
        depth: usize,
    ) -> Result<pb::LinkEntity, GatewayError> {
        self.links += 1;
        if self.links > MAX_LINKS || depth > MAX_DEPTH {
            return Err(GatewayError::TooManyLinks);
        }
        let above = self.spot(parent, "")?;
        let parent_table = self.table_at(&above)?;
        let (table, pairs) = self.related(link, &parent_table)?;
        let alias = match link.alias.as_str() {
            "" => self.free_alias(&table.logical_name),
            alias => alias.to_owned(),
        };
        if self.places.contains_key(&alias) {
            return Err(GatewayError::InvalidQuery(format!(
                "The alias '{alias}' names more than one link-entity."
            )));
        }
        if is_near(&self.table, &table) {
            self.places.insert(alias.clone(), Place::Near(table.clone()));
            let links = self.links(&link.links, &alias, depth + 1)?;
            let criteria = self.link_criteria(link, &alias, depth)?;
            let mut on = Vec::with_capacity(pairs.len());
            for it in pairs {
                let near = self.refer(parent, &above, &it.parent)?;
                on.push(pb::JoinPair {
                    column: Some(it.column),
                    parent: Some(near),
                    exact: it.exact,
                });
            }
            let target = Some(Target::EntityName(table.external_name.clone()));
            return Ok(pb::LinkEntity {
                alias,
                target,
                join: link.join,
                on,
                criteria,
                links,
                ..Default::default()
            });
        }
        let draft = self.far_draft(link, &alias, table, depth)?;
        self.far_link(link, draft, (parent, &above), pairs)
    }

    /// A name that no other link has so far.
    fn free_alias(&self, table: &str) -> String {
        let mut number = self.links;
        loop {
            let alias = format!("{table}{number}");
            if !self.places.contains_key(&alias) {
                return alias;
            }
            number += 1;
        }
    }

    fn link_criteria(
        &mut self,
        link: &pb::LinkEntity,
        alias: &str,
        depth: usize,
    ) -> Result<Option<pb::FilterExpression>, GatewayError> {
        match &link.criteria {
            Some(filter) => self.filter(filter, alias, depth + 1).map(Some),
            None => Ok(None),
        }
    }

    /// The far side filters and joins for itself.
    fn far_draft(
        &mut self,
        link: &pb::LinkEntity,
        alias: &str,
        table: Arc<Table>,
        depth: usize,
    ) -> Result<usize, GatewayError> {
        let mut lowering = Lowering::new(self.context, table);
        lowering.is_far = true;
        lowering.prefix = format!("{alias} ");
        lowering.links = self.links;
        lowering.conditions = self.conditions;
        let links = lowering.links(&link.links, "", depth + 1)?;
        let criteria = lowering.link_criteria(link, "", depth)?;
        self.links = lowering.links;
        self.conditions = lowering.conditions;
        let inner: Vec<String> = lowering.places.keys().cloned().collect();
        let index = self.fars.len();
        for name in inner.into_iter().chain([alias.to_owned()]) {
            self.places.insert(name, Place::Far(index));
        }
        self.fars.push(FarDraft {
            alias: alias.to_owned(),
            lowering,
            criteria,
            links,
            columns: Vec::new(),
            pairs: Vec::new(),
            parent: String::new(),
        });
        Ok(index)
    }

    /// What is left here of a far link: its rows, which will be given by value.
    fn far_link(
        &mut self,
        link: &pb::LinkEntity,
        index: usize,
        (parent, above): (&str, &Spot),
        pairs: Vec<Pair>,
    ) -> Result<pb::LinkEntity, GatewayError> {
        let alias = self.fars.get(index).map(|it| it.alias.clone()).unwrap_or_default();
        let spot = Spot { alias: alias.clone(), far: Some(index) };
        let mut on = Vec::with_capacity(pairs.len());
        for it in pairs {
            let near = self.refer(parent, above, &it.parent)?;
            let shipped = self.refer("", &spot, &it.column)?;
            on.push(pb::JoinPair {
                column: Some(pb::ColumnRef { link: String::new(), ..shipped }),
                parent: Some(near.clone()),
                exact: it.exact,
            });
            if let Some(draft) = self.fars.get_mut(index) {
                draft.pairs.push(FarPair { far: it.column, near, exact: it.exact });
            }
        }
        if let Some(draft) = self.fars.get_mut(index) {
            parent.clone_into(&mut draft.parent);
        }
        let target = Some(Target::Rows(pb::InlineRows::default()));
        Ok(pb::LinkEntity { alias, target, join: link.join, on, ..Default::default() })
    }

    /// A column of the row that a lookup leads to, or null. The link is one that no client named.
    pub(super) fn beside(
        &mut self,
        spot: &Spot,
        navigation: &Navigation,
        column: &pb::ColumnRef,
    ) -> Result<pb::ColumnRef, GatewayError> {
        let beside = self.side(spot, navigation)?;
        self.refer("", &beside, column)
    }

    fn side(&mut self, spot: &Spot, navigation: &Navigation) -> Result<Spot, GatewayError> {
        if let Some((index, draft)) = spot.far.and_then(|it| Some((it, self.fars.get_mut(it)?))) {
            let inner = draft.inner(spot)?;
            let Spot { alias, .. } = draft.lowering.side(&inner, navigation)?;
            self.places.insert(alias.clone(), Place::Far(index));
            return Ok(Spot { alias, far: Some(index) });
        }
        let key = (spot.alias.clone(), navigation.name.clone());
        if let Some(alias) = self.sides.get(&key).cloned() {
            return self.spot("", &alias);
        }
        let target = find(self.context.snapshot, &navigation.target)?;
        let alias = format!("{}lookup {}", self.prefix, self.sides.len() + 1);
        self.sides.insert(key, alias.clone());
        let outer = pb::LinkEntity { join: JoinOperator::LeftOuter.into(), ..Default::default() };
        let link = if is_near(&self.table, &target) {
            self.places.insert(alias.clone(), Place::Near(Arc::clone(&target)));
            let mut on = Vec::new();
            for it in pairs_of(navigation) {
                let parent = Some(self.refer("", spot, &it.parent)?);
                on.push(pb::JoinPair { column: Some(it.column), parent, exact: it.exact });
            }
            let target = Some(Target::EntityName(target.external_name.clone()));
            pb::LinkEntity { alias: alias.clone(), target, on, ..outer }
        } else {
            let draft = self.far_draft(&outer, &alias, target, 0)?;
            self.far_link(&outer, draft, ("", spot), pairs_of(navigation))?
        };
        self.extra.push(link);
        self.spot("", &alias)
    }

    /// A link within a filter. `ALL` across the line becomes the two questions that it is.
    pub(super) fn semi_join(
        &mut self,
        link: &pb::LinkEntity,
        current: &str,
        depth: usize,
    ) -> Result<pb::FilterExpression, GatewayError> {
        let parent = self.table_at(&self.spot(current, "")?)?;
        let (table, _) = self.related(link, &parent)?;
        if is_near(&self.table, &table) || link.join() != JoinOperator::All {
            let link = self.link(link, current, depth)?;
            return Ok(pb::FilterExpression {
                operator: FilterOperator::And.into(),
                links: vec![link],
                ..Default::default()
            });
        }
        let with = |join: JoinOperator, criteria, alias: String| pb::LinkEntity {
            join: join.into(),
            criteria,
            alias,
            ..link.clone()
        };
        let any = with(JoinOperator::Any, None, String::new());
        let none = with(JoinOperator::NotAny, link.criteria.clone(), link.alias.clone());
        // The one that has a name first: the other takes what is free.
        let links = vec![self.link(&none, current, depth)?, self.link(&any, current, depth)?];
        let operator = FilterOperator::And.into();
        Ok(pb::FilterExpression { operator, links, ..Default::default() })
    }

    /// The table that a link leads to from `parent`, and what is equal in both rows.
    pub(super) fn related(
        &self,
        link: &pb::LinkEntity,
        parent: &Table,
    ) -> Result<(Arc<Table>, Vec<Pair>), GatewayError> {
        if !link.navigation.is_empty() {
            let navigation = navigation(parent, &link.navigation)?;
            let table = find(self.context.snapshot, &navigation.target)?;
            return Ok((table, pairs_of(navigation)));
        }
        let Some(Target::EntityName(name)) = &link.target else {
            return Err(GatewayError::InvalidQuery("A link-entity has no name.".to_owned()));
        };
        let table = find(self.context.snapshot, name)?;
        if link.on.is_empty() {
            return Err(GatewayError::InvalidQuery(format!(
                "The link-entity '{name}' does not say which columns must be equal."
            )));
        }
        let mut pairs = Vec::with_capacity(link.on.len());
        for it in &link.on {
            let missing = || GatewayError::InvalidQuery("A join lacks a column.".to_owned());
            let from = self.column(&table, it.column.as_ref().ok_or_else(missing)?)?;
            let to = self.column(parent, it.parent.as_ref().ok_or_else(missing)?)?;
            pairs.extend(joined(&table, from, parent, to)?);
        }
        Ok((table, pairs))
    }
}

pub(super) fn navigation<'t>(table: &'t Table, name: &str) -> Result<&'t Navigation, GatewayError> {
    table.navigation(name).ok_or_else(|| GatewayError::UnknownColumn {
        column: name.to_owned(),
        table: table.logical_name.clone(),
    })
}

pub(super) fn pairs_of(navigation: &Navigation) -> Vec<Pair> {
    let pair = |(this, target): &(pb::ColumnRef, pb::ColumnRef)| Pair {
        column: target.clone(),
        parent: this.clone(),
        exact: navigation.exact,
    };
    navigation.pairs.iter().map(pair).collect()
}

/// A lookup and the id of the row that it leads to are equal where the relationship's columns are:
/// those have indexes, and GUIDs that are made for clients have none.
fn joined(
    table: &Table,
    from: &Column,
    parent: &Table,
    to: &Column,
) -> Result<Vec<Pair>, GatewayError> {
    let to_one = |here: &Table, lookup: &Column, there: &Table, id: &Column| {
        let found = here.navigations().find(|it| {
            !it.is_collection
                && it.lookup == lookup.logical_name
                && it.target == there.logical_name
                && id.logical_name == there.primary_id
        });
        found.cloned()
    };
    if let Some(navigation) = to_one(parent, to, table, from) {
        return Ok(pairs_of(&navigation));
    }
    if let Some(navigation) = to_one(table, from, parent, to) {
        let turned = pairs_of(&navigation).into_iter();
        return Ok(turned
            .map(|it| Pair { column: it.parent, parent: it.column, exact: it.exact })
            .collect());
    }
    if !is_joinable(&from.kind, &to.kind) {
        return Err(GatewayError::InvalidQuery(format!(
            "The columns '{}' and '{}' hold different kinds of value and cannot be joined.",
            from.logical_name, to.logical_name
        )));
    }
    Ok(vec![Pair { column: from.external.clone(), parent: to.external.clone(), exact: false }])
}

fn is_joinable(one: &ColumnKind, other: &ColumnKind) -> bool {
    use ColumnKind as Kind;
    let is_number =
        |it: &Kind| matches!(it, Kind::Integer | Kind::BigInt | Kind::Decimal | Kind::Double);
    let is_guid = |it: &Kind| matches!(it, Kind::Guid | Kind::Lookup { .. });
    let is_date = |it: &Kind| matches!(it, Kind::Date | Kind::DateTime);
    (is_number(one) && is_number(other))
        || (is_guid(one) && is_guid(other))
        || (is_date(one) && is_date(other))
        || std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// Names a column by its own name.
pub(super) fn field(name: &str, link: &str) -> pb::ColumnRef {
    pb::ColumnRef { column: Some(Named::Field(name.to_owned())), link: link.to_owned() }
}
