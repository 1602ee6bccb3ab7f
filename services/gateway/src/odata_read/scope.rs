//! The rows that a query speaks of: the one it stands at, those that its paths lead to, and those
//! that its lambdas range over. Paths become outer joins, the same path the same join.

use std::cell::Cell;
use std::sync::Arc;

use odata::Path;
use proto::query::v1 as pb;
use proto::query::v1::JoinOperator;
use proto::query::v1::column_ref::Column as Named;
use proto::query::v1::link_entity::Target;

use crate::error::GatewayError;
use crate::metadata::{Column, Navigation, Snapshot, Table};

/// Names the row that the whole query stands at, from anywhere in it.
const ROOT: &str = "$it";

/// Numbers links, so that no two of a read have the same alias.
#[derive(Debug, Default)]
pub(super) struct Serial(Cell<u32>);

/// Where names are looked up.
pub(super) struct Scope<'a> {
    pub(super) snapshot: &'a Snapshot,
    serial: &'a Serial,
    /// The query's own row, then one for each lambda around the place; never empty.
    frames: Vec<Frame>,
}

/// A row that paths may begin at.
struct Frame {
    variable: Option<String>,
    table: Arc<Table>,
    alias: String,
    links: Vec<pb::LinkEntity>,
}

/// A column, and how the tree names it where it was found.
pub(super) struct Found {
    pub(super) table: Arc<Table>,
    pub(super) column: Column,
    pub(super) named: pb::ColumnRef,
}

impl Serial {
    pub(super) fn alias(&self, word: &str) -> String {
        let number = self.0.get().saturating_add(1);
        self.0.set(number);
        format!("{word} {number}")
    }
}

impl<'a> Scope<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, serial: &'a Serial, table: Arc<Table>) -> Self {
        let root = Frame { variable: None, table, alias: String::new(), links: Vec::new() };
        Self { snapshot, serial, frames: vec![root] }
    }

    /// The joins that the query's own row needs.
    pub(super) fn into_links(self) -> Vec<pb::LinkEntity> {
        self.frames.into_iter().next().map(|it| it.links).unwrap_or_default()
    }

    /// The property that a path leads to, over any number of rows.
    pub(super) fn find(&mut self, path: &Path) -> Result<Found, GatewayError> {
        let (at, rest) = self.start(&path.0)?;
        let (name, navigations) = rest.split_last().ok_or_else(|| not_a_property(path))?;
        self.find_from(at, navigations, name, Table::by_property)
    }

    /// The column that a query function names, on the row that the function is called on, or on the
    /// innermost one.
    pub(super) fn find_named(
        &mut self,
        on: Option<&Path>,
        text: &str,
    ) -> Result<Found, GatewayError> {
        let mut path: Vec<String> = on.map(|it| it.0.clone()).unwrap_or_default();
        path.extend(text.split('/').map(str::to_owned));
        let (mut at, rest) = self.start(&path)?;
        if on.is_none() && rest.len() == path.len() {
            at = self.frames.len().saturating_sub(1);
        }
        let (name, navigations) =
            rest.split_last().ok_or_else(|| not_a_property(&Path(path.clone())))?;
        self.find_from(at, navigations, name, by_any_name)
    }

    fn find_from(
        &mut self,
        at: usize,
        navigations: &[String],
        name: &str,
        lookup: for<'t> fn(&'t Table, &str) -> Option<&'t Column>,
    ) -> Result<Found, GatewayError> {
        let mut navigations = navigations.to_vec();
        let mut column_name = name.to_owned();
        let mut table = self.table_at(at, &navigations)?;
        let mut column = lookup(&table, name).cloned();
        // The key of a related row is what the lookup holds: no join is needed.
        if let Some((last, before)) = navigations.split_last()
            && table.primary_id == name
        {
            let nearer = self.table_at(at, before)?;
            let held = single(&nearer, last)?.lookup.clone();
            if let Some(found) = nearer.by_name(&held).filter(|it| it.filterable && !it.is_across())
            {
                column = Some(found.clone());
                table = nearer;
                navigations = before.to_vec();
            }
        }
        // A lookup into another store is held by nobody: the row it leads to says its key.
        if let Some(across) = column.as_ref().filter(|it| it.is_across()) {
            let leads = table
                .navigations()
                .find(|it| !it.is_collection && it.lookup == across.logical_name);
            let leads = leads.ok_or_else(|| GatewayError::unknown_column(&table, name))?;
            navigations.push(leads.name.clone());
            table = self.table_at(at, &navigations)?;
            column_name.clone_from(&table.primary_id);
            column = table.by_name(&column_name).cloned();
        }
        let column = column.ok_or_else(|| GatewayError::unknown_column(&table, &column_name))?;
        let link = self.follow(at, &navigations)?;
        let field = Some(Named::Field(column.logical_name.clone()));
        Ok(Found { table, column, named: pb::ColumnRef { column: field, link } })
    }

    /// The frame that a path begins at, and the rest of the path.
    fn start<'p>(&self, path: &'p [String]) -> Result<(usize, &'p [String]), GatewayError> {
        let Some((first, rest)) = path.split_first() else { return Ok((0, path)) };
        if first == ROOT {
            return Ok((0, rest));
        }
        let named = self.frames.iter().rposition(|it| it.variable.as_ref() == Some(first));
        Ok(named.map_or((0, path), |at| (at, rest)))
    }

    /// The table at the end of a path.
    fn table_at(&self, at: usize, navigations: &[String]) -> Result<Arc<Table>, GatewayError> {
        let frame = self.frames.get(at).ok_or(GatewayError::Internal)?;
        let mut table = Arc::clone(&frame.table);
        for name in navigations {
            let target = &single(&table, name)?.target;
            table = known(self.snapshot, target)?;
        }
        Ok(table)
    }

    /// Joins the rows of a path; returns how the last one is named here.
    fn follow(&mut self, at: usize, navigations: &[String]) -> Result<String, GatewayError> {
        let innermost = at + 1 == self.frames.len();
        let frame = self.frames.get_mut(at).ok_or(GatewayError::Internal)?;
        let mut alias = match (innermost, at) {
            (true, _) => String::new(),
            (false, 0) => ROOT.to_owned(),
            (false, _) => frame.alias.clone(),
        };
        let mut table = Arc::clone(&frame.table);
        let mut links = &mut frame.links;
        for name in navigations {
            let target = single(&table, name)?.target.clone();
            let place = links.iter().position(|it| it.navigation == *name);
            let place = place.unwrap_or_else(|| {
                links.push(pb::LinkEntity {
                    alias: self.serial.alias("path"),
                    target: Some(Target::EntityName(target.clone())),
                    join: JoinOperator::LeftOuter.into(),
                    navigation: name.clone(),
                    ..Default::default()
                });
                links.len() - 1
            });
            table = known(self.snapshot, &target)?;
            let link = links.get_mut(place).ok_or(GatewayError::Internal)?;
            alias.clone_from(&link.alias);
            links = &mut link.links;
        }
        Ok(alias)
    }

    /// Enters the rows of a lambda: the last name of the path is a collection of the innermost row, or
    /// of a row that single-valued navigations lead to from there. Returns the link for each of them,
    /// outermost first, still without criteria.
    pub(super) fn enter(
        &mut self,
        path: &Path,
        variable: Option<&str>,
    ) -> Result<Vec<pb::LinkEntity>, GatewayError> {
        let (at, rest) = self.start(&path.0)?;
        if at + 1 != self.frames.len() {
            return Err(GatewayError::NotOffered(format!(
                "A lambda over '{path}', which does not begin at the innermost variable,"
            )));
        }
        if variable
            .is_some_and(|it| self.frames.iter().any(|at| at.variable.as_deref() == Some(it)))
        {
            return Err(GatewayError::InvalidFilter(format!(
                "The range variable '{}' has already been declared.",
                variable.unwrap_or_default()
            )));
        }
        let mut links = Vec::with_capacity(rest.len());
        for (number, name) in rest.iter().enumerate() {
            let last = number + 1 == rest.len();
            let here = self.frames.last().map(|it| Arc::clone(&it.table));
            let here = here.ok_or(GatewayError::Internal)?;
            let navigation = here.navigation(name);
            let navigation = navigation.ok_or_else(|| GatewayError::unknown_column(&here, name))?;
            if navigation.is_collection != last {
                return Err(GatewayError::InvalidFilter(format!(
                    "The operators 'any' and 'all' need a collection; '{path}' is not one."
                )));
            }
            let table = known(self.snapshot, &navigation.target)?;
            let alias = self.serial.alias("any");
            links.push(pb::LinkEntity {
                alias: alias.clone(),
                target: Some(Target::EntityName(navigation.target.clone())),
                join: JoinOperator::Any.into(),
                navigation: name.clone(),
                ..Default::default()
            });
            let variable = variable.filter(|_| last).map(str::to_owned);
            self.frames.push(Frame { variable, table, alias, links: Vec::new() });
        }
        Ok(links)
    }

    /// Leaves the innermost row; returns what is joined to it.
    pub(super) fn leave(&mut self) -> Vec<pb::LinkEntity> {
        match self.frames.len() {
            0 | 1 => Vec::new(),
            _ => self.frames.pop().map(|it| it.links).unwrap_or_default(),
        }
    }

    /// Names the innermost row's own key.
    pub(super) fn own_id(&self) -> pb::ColumnRef {
        let id = self.frames.last().map(|it| it.table.primary_id.clone()).unwrap_or_default();
        pb::ColumnRef { column: Some(Named::Field(id)), link: String::new() }
    }
}

fn by_any_name<'t>(table: &'t Table, name: &str) -> Option<&'t Column> {
    table.by_property(name).or_else(|| table.by_name(name))
}

/// A navigation property that leads to one row at most.
pub(super) fn single<'t>(table: &'t Table, name: &str) -> Result<&'t Navigation, GatewayError> {
    let navigation = table.navigation(name);
    let navigation = navigation.ok_or_else(|| GatewayError::unknown_column(table, name))?;
    if navigation.is_collection {
        return Err(GatewayError::InvalidFilter(format!(
            "The navigation property '{name}' leads to a collection; a path goes through \
             single-valued ones only."
        )));
    }
    Ok(navigation)
}

pub(super) fn known(snapshot: &Snapshot, name: &str) -> Result<Arc<Table>, GatewayError> {
    let table = snapshot.by_name(name).cloned();
    table.ok_or_else(|| GatewayError::UnknownTable(name.to_owned()))
}

fn not_a_property(path: &Path) -> GatewayError {
    GatewayError::InvalidFilter(format!("A property is expected where '{path}' was found."))
}
