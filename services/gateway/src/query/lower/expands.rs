//! Expands: a row in a row. One of the same provider comes with the statement itself; any other, and
//! every collection, by a statement of its own for all parents.

use proto::query::v1 as pb;
use proto::query::v1::JoinOperator;
use proto::query::v1::link_entity::Target;

use super::columns::record_id;
use super::links::{navigation, pairs_of};
use super::{Child, Lowering, MAX_LINKS, PAGE_SIZE, Place, find, is_near};
use crate::error::GatewayError;
use crate::metadata::{Column, Table};
use crate::query::Expand;

/// What an expand becomes.
pub(super) enum Expanded {
    /// An object within the row, from the same statement.
    Inline(pb::OutputColumn),
    /// A statement of its own.
    Child(Box<Child>),
}

impl Lowering<'_> {
    /// Adds an expand of the row called `parent`.
    pub(super) fn expand(
        &mut self,
        expand: &Expand,
        parent: &str,
        depth: usize,
        keys: &mut Vec<pb::ColumnRef>,
    ) -> Result<Expanded, GatewayError> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(GatewayError::TooManyLinks);
        }
        if self.can_inline(expand, parent, depth)? {
            return self.inline(expand, parent, depth).map(Expanded::Inline);
        }
        self.child(expand, parent, keys).map(|it| Expanded::Child(Box::new(it)))
    }

    /// To one row, of the same provider, and so all the way down.
    fn can_inline(
        &self,
        expand: &Expand,
        parent: &str,
        depth: usize,
    ) -> Result<bool, GatewayError> {
        let table = self.table_at(&self.spot(parent, "")?)?;
        self.inlines(expand, &table, depth)
    }

    fn inlines(&self, expand: &Expand, table: &Table, depth: usize) -> Result<bool, GatewayError> {
        let navigation = navigation(table, &expand.navigation)?;
        let target = find(self.context.snapshot, &navigation.target)?;
        let across = expand.tree.columns.iter().filter_map(|it| it.column.as_ref());
        let across = across.filter_map(|it| self.column(&target, it).ok()).any(Column::is_across);
        let is_far = across || !is_near(&self.table, &target);
        if navigation.is_collection || is_far || depth > MAX_LINKS {
            return Ok(false);
        }
        for nested in &expand.expands {
            if !self.inlines(nested, &target, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn inline(
        &mut self,
        expand: &Expand,
        parent: &str,
        depth: usize,
    ) -> Result<pb::OutputColumn, GatewayError> {
        let above = self.spot(parent, "")?;
        let table = self.table_at(&above)?;
        let navigation = navigation(&table, &expand.navigation)?;
        let target = find(self.context.snapshot, &navigation.target)?;
        let alias = format!("expand {}", self.links);
        self.places.insert(alias.clone(), Place::Near(target.clone()));
        let mut on = Vec::new();
        for it in pairs_of(navigation) {
            let parent = self.refer(parent, &above, &it.parent)?;
            let column = Some(it.column);
            on.push(pb::JoinPair { column, parent: Some(parent), exact: it.exact });
        }
        let criteria = match &expand.tree.criteria {
            Some(filter) => Some(self.filter(filter, &alias, depth + 1)?),
            None => None,
        };
        let mut inner = Lowering::new(self.context, target.clone());
        inner.prefix = format!("{alias} ");
        let members = inner.columns(&expand.tree)?;
        let mut members: Vec<_> = members.into_iter().map(|it| at(it, &alias)).collect();
        let link = pb::LinkEntity {
            alias: alias.clone(),
            target: Some(Target::EntityName(target.external_name.clone())),
            join: JoinOperator::LeftOuter.into(),
            on,
            criteria,
            links: inner.extra,
            ..Default::default()
        };
        // Before those that are nested in it, which look for it.
        nest(&mut self.extra, parent, link);
        for nested in &expand.expands {
            self.links += 1;
            if self.links > MAX_LINKS {
                return Err(GatewayError::TooManyLinks);
            }
            members.push(self.inline(nested, &alias, depth + 1)?);
        }
        Ok(pb::OutputColumn {
            column: Some(pb::ColumnRef { link: alias, ..record_id() }),
            key: expand.navigation.clone(),
            members,
            ..Default::default()
        })
    }

    fn child(
        &mut self,
        expand: &Expand,
        parent: &str,
        keys: &mut Vec<pb::ColumnRef>,
    ) -> Result<Child, GatewayError> {
        let above = self.spot(parent, "")?;
        let table = self.table_at(&above)?;
        let navigation = navigation(&table, &expand.navigation)?.clone();
        let target = find(self.context.snapshot, &navigation.target)?;
        let mut key = |column: pb::ColumnRef| {
            keys.iter().position(|it| *it == column).unwrap_or_else(|| {
                keys.push(column);
                keys.len() - 1
            })
        };
        let mut pairs = Vec::new();
        for it in pairs_of(&navigation) {
            let near = self.refer("", &above, &it.parent)?;
            pairs.push((key(near), it.column, it.exact));
        }
        let id = key(self.refer("", &above, &record_id())?);
        let mut lowering = Lowering::new(self.context, target);
        lowering.links = self.links;
        let mut query = lowering.body(&expand.tree)?;
        let mut child_keys = Vec::new();
        let mut children = Vec::new();
        for nested in &expand.expands {
            match lowering.expand(nested, "", 0, &mut child_keys)? {
                Expanded::Inline(member) => query.columns.push(member),
                Expanded::Child(child) => children.push(*child),
            }
        }
        self.links = lowering.links;
        query.fiscal_calendar = Some(self.context.calendar.fiscal.to_proto());
        let limit = match (navigation.is_collection, expand.tree.top_count) {
            (false, _) => 1,
            (true, 0) => PAGE_SIZE,
            (true, top) => top.clamp(1, PAGE_SIZE),
        };
        Ok(Child {
            navigation: expand.navigation.clone(),
            is_collection: navigation.is_collection,
            pairs,
            query: lowering.finish(query, child_keys, children)?,
            limit,
            options: expand.link_options.clone(),
            id,
        })
    }
}

/// The same column, of a link; one of a link within it stays as it is.
fn at(mut output: pb::OutputColumn, alias: &str) -> pb::OutputColumn {
    if let Some(column) = &mut output.column
        && column.link.is_empty()
    {
        alias.clone_into(&mut column.link);
    }
    output.members = output.members.into_iter().map(|it| at(it, alias)).collect();
    output
}

/// Puts a link into the one called `parent`, or beside the others.
fn nest(links: &mut Vec<pb::LinkEntity>, parent: &str, link: pb::LinkEntity) {
    match find_link(links, parent) {
        Some(found) => found.links.push(link),
        None => links.push(link),
    }
}

fn find_link<'l>(links: &'l mut [pb::LinkEntity], alias: &str) -> Option<&'l mut pb::LinkEntity> {
    for link in links {
        if link.alias == alias {
            return Some(link);
        }
        if let Some(found) = find_link(&mut link.links, alias) {
            return Some(found);
        }
    }
    None
}
