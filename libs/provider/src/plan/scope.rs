//! Scopes: every entity that a statement reads is one, with its own grant, its own tables and a query
//! level of its own. The root's tables stand in the statement's FROM; a link is a derived table,
//! nested as the links are, which exports what is asked of it.
//!
//! Names of derived tables have a space in them, so that none clashes with an alias of a model, and a
//! number, so that none hides another.

use std::fmt::Write as _;
use std::sync::Arc;

use super::column::Column;
use super::inline::Inline;
use super::{Planner, and_all};
use crate::binding::{Binding, SourceSet};
use crate::error::Error;
use crate::grant::Grant;

/// Number of the scope of the query's own entity.
pub(super) const ROOT: usize = 0;

/// One entity's rows, or rows by value, at one place of the query.
#[derive(Debug)]
pub(super) struct Scope<'q> {
    pub(super) body: Body<'q>,
    pub(super) join: Join,
    /// Where the scope's rows come into the statement.
    pub(super) outer: Place,
    /// Sources that the statement needs.
    needs: SourceSet,
    /// What the derived table selects, as `c0`, `c1` and so on.
    exports: Vec<String>,
    /// What deeper levels need of this one's tables. It goes by a name of its own, because their
    /// tables may be called alike.
    mirror: Vec<String>,
    /// Links joined to it, in order.
    pub(super) children: Vec<usize>,
    /// Conditions within.
    pub(super) filter: Vec<String>,
    /// Conditions on which it is joined.
    pub(super) on: Vec<String>,
    /// Its join finds one row at most.
    pub(super) single: bool,
    /// Something within depends on rows beside it.
    lateral: bool,
}

#[derive(Debug)]
pub(super) enum Body<'q> {
    Entity(Grant),
    Rows(Inline<'q>),
}

/// How a scope is joined to the one around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    Root,
    Inner,
    LeftOuter,
    FirstRow,
    /// Within EXISTS or a scalar subquery: its rows do not become rows of the result.
    Subquery,
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Whose columns are meant where no link is named.
    pub(super) here: usize,
    /// The scope in whose query level it is evaluated.
    pub(super) frame: usize,
    /// Of the links joined at that level, those from this number on cannot be seen.
    pub(super) before: usize,
    /// The innermost subquery, of those that stand at that level, whose rows can be seen.
    pub(super) subquery: Option<usize>,
}

impl Place {
    /// In the query level of a scope, behind all of its joins.
    pub(super) fn within(scope: usize) -> Self {
        Self { here: scope, frame: scope, before: usize::MAX, subquery: None }
    }

    /// The same place, where unnamed columns are those of `here`.
    pub(super) fn of(self, here: usize) -> Self {
        Self { here, ..self }
    }
}

impl<'q> Scope<'q> {
    pub(super) fn new(body: Body<'q>, join: Join, outer: Place) -> Self {
        let mut needs = SourceSet::default();
        if let Body::Entity(grant) = &body {
            // The root and every inner join decide which rows there are, whoever looks at them.
            for (index, source) in grant.binding().sources.iter().enumerate() {
                if source.join.as_ref().is_none_or(|it| !it.optional) {
                    needs = needs.with(SourceSet::of(index));
                }
            }
        }
        Self {
            body,
            join,
            outer,
            needs,
            exports: Vec::new(),
            mirror: Vec::new(),
            children: Vec::new(),
            filter: Vec::new(),
            on: Vec::new(),
            single: join == Join::FirstRow,
            lateral: join == Join::FirstRow,
        }
    }

    pub(super) fn need(&mut self, sources: SourceSet) {
        self.needs = self.needs.with(sources);
    }

    /// The FROM clause of its own tables, without optional joins that nothing needs: such a join
    /// finds one row at most, so leaving it out changes no result.
    fn tables(&self, number: usize) -> String {
        let sources = match &self.body {
            Body::Entity(grant) => &grant.binding().sources,
            Body::Rows(rows) => return rows.table(number),
        };
        let mut needs = self.needs;
        for (index, source) in sources.iter().enumerate().rev() {
            if let (true, Some(join)) = (needs.contains(index), &source.join) {
                needs = needs.with(join.needs);
            }
        }
        let mut sql = String::new();
        for (index, source) in sources.iter().enumerate() {
            if !needs.contains(index) {
                continue;
            }
            let (table, alias) = (&source.table, &source.alias);
            let _ = match &source.join {
                None => write!(sql, "{table} AS {alias}"),
                Some(join) => {
                    let kind = if join.optional { "LEFT JOIN" } else { "JOIN" };
                    write!(sql, " {kind} {table} AS {alias} ON {}", join.condition)
                }
            };
        }
        sql
    }
}

impl<'q> Planner<'q> {
    /// The entity of a scope; rows by value have none.
    pub(super) fn binding(&self, scope: usize) -> Option<Arc<Binding>> {
        match self.scopes.get(scope).map(|it| &it.body) {
            Some(Body::Entity(grant)) => Some(grant.shared_binding()),
            _ => None,
        }
    }

    /// The FROM clause of a scope's query level.
    pub(super) fn from(&self, number: usize) -> String {
        let scope = &self.scopes[number];
        let mut sql = match &self.past {
            Some(past) if number == ROOT => self.past_tables(past),
            _ => scope.tables(number),
        };
        if !scope.mirror.is_empty() {
            let columns = list(&scope.mirror);
            let _ = write!(sql, " CROSS JOIN LATERAL (SELECT {columns}) AS \"row {number}\"");
        }
        for &child in &scope.children {
            let join = &self.scopes[child];
            let kind = if join.join == Join::Inner { "JOIN" } else { "LEFT JOIN" };
            let lateral = if join.lateral { "LATERAL " } else { "" };
            let on = and_all(&join.on).unwrap_or_else(|| "true".to_owned());
            let _ = write!(sql, " {kind} {lateral}{} ON {on}", self.derived(child));
        }
        sql
    }

    /// A scope as a derived table.
    pub(super) fn derived(&self, number: usize) -> String {
        let scope = &self.scopes[number];
        let columns =
            if scope.exports.is_empty() { "true AS c0".to_owned() } else { list(&scope.exports) };
        let filter = and_all(&scope.filter).map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let first = match scope.join {
            Join::FirstRow => format!(" ORDER BY {} LIMIT 1", self.first_by(number)),
            _ => String::new(),
        };
        format!("(SELECT {columns} FROM {}{filter}{first}) AS \"link {number}\"", self.from(number))
    }

    /// The joined scopes that may make several rows of one.
    pub(super) fn multiplying(&self) -> Vec<usize> {
        let mut multiplying = Vec::new();
        let mut open = self.scopes[ROOT].children.clone();
        while let Some(number) = open.pop() {
            let scope = &self.scopes[number];
            if scope.join == Join::FirstRow {
                continue;
            }
            if !scope.single {
                multiplying.push(number);
            }
            open.extend(&scope.children);
        }
        multiplying.sort_unstable();
        multiplying
    }

    /// What says which row of a scope is its first.
    fn first_by(&self, number: usize) -> String {
        use crate::binding::Identity;
        match &self.scopes[number].body {
            Body::Rows(_) => format!("\"rows {number}\".ord"),
            Body::Entity(grant) => match &grant.binding().identity {
                Identity::Integer { column } | Identity::Uuid { column } => column.clone(),
                Identity::Hash { columns, .. } => columns.join(", "),
            },
        }
    }

    /// A column of `owner`, as it is written at another place of the statement.
    pub(super) fn see(&mut self, at: Place, owner: usize, column: Column) -> Result<Column, Error> {
        let mut place = at;
        let mut crossed = Vec::new();
        let path = loop {
            if let Some(path) = self.path(place, owner) {
                break path;
            }
            if place.frame == ROOT {
                let message = "a link is named where its rows cannot be seen";
                return Err(Error::InvalidQuery(message.to_owned()));
            }
            crossed.push(place.frame);
            place = self.scopes[place.frame].outer;
        };
        let mut column = column;
        for &number in &path {
            let scope = &mut self.scopes[number];
            column.nullable |= matches!(scope.join, Join::LeftOuter | Join::FirstRow);
            let index = export(&mut scope.exports, column.sql);
            column.sql = format!("\"link {number}\".c{index}");
        }
        if !crossed.is_empty() && path.is_empty() {
            let index = export(&mut self.scopes[place.frame].mirror, column.sql);
            column.sql = format!("\"row {}\".c{index}", place.frame);
        }
        for frame in crossed {
            self.scopes[frame].lateral = true;
        }
        Ok(column)
    }

    /// The derived tables that lead from a scope out to the level of a place, the innermost first;
    /// `None` where the place cannot see it.
    fn path(&self, at: Place, owner: usize) -> Option<Vec<usize>> {
        let mut path = Vec::new();
        let mut number = owner;
        while number != at.frame {
            let scope = &self.scopes[number];
            match scope.join {
                Join::Root => return None,
                Join::Subquery if !self.is_inside(at, number) => return None,
                Join::Subquery => {}
                _ if scope.outer.frame == at.frame && number >= at.before => return None,
                _ => {}
            }
            path.push(number);
            number = scope.outer.frame;
        }
        Some(path)
    }

    /// Whether a place stands within a subquery of its level.
    fn is_inside(&self, at: Place, subquery: usize) -> bool {
        let mut around = at.subquery;
        while let Some(number) = around {
            if number == subquery {
                return true;
            }
            around = self.scopes[number].outer.subquery;
        }
        false
    }
}

fn list(columns: &[String]) -> String {
    let columns: Vec<String> =
        columns.iter().enumerate().map(|(index, sql)| format!("{sql} AS c{index}")).collect();
    columns.join(", ")
}

fn export(exports: &mut Vec<String>, sql: String) -> usize {
    match exports.iter().position(|it| *it == sql) {
        Some(index) => index,
        None => {
            exports.push(sql);
            exports.len() - 1
        }
    }
}
