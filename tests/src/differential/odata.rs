//! Made-up reads in OData: how they are made, written and made smaller. Whether their answers are
//! right is in [`answer`].

mod answer;

use std::collections::BTreeSet;

use super::filter::Filter;
use super::groups::Group;
use super::make::{Dialect, Sight};
use super::schema::Schema;
use super::write::odata_filter;
use crate::encode;
use crate::random::Random;

/// What is read of a table.
#[derive(Clone, Debug)]
pub struct Read {
    /// Its position.
    pub table: usize,
    /// Columns beside the tag.
    pub select: Vec<usize>,
    /// Foreign keys whose lookups are read, too.
    pub lookups: Vec<usize>,
    /// Which rows.
    pub filter: Option<Filter>,
    /// Columns, and whether they are descending.
    pub orders: Vec<(usize, bool)>,
    /// `$top`.
    pub top: Option<usize>,
    /// Related rows.
    pub expands: Vec<Expand>,
}

/// `$expand` of one navigation property.
#[derive(Clone, Debug)]
pub enum Expand {
    /// The row that a foreign key leads to.
    One(usize, Read),
    /// The rows whose foreign key leads here.
    Many(usize, Read),
}

/// A read of an entity set.
#[derive(Clone, Debug)]
pub struct Query {
    /// What.
    pub read: Read,
    /// Read page by page, of this size, to the end.
    pub page_size: Option<usize>,
    /// `$count=true`.
    pub count: bool,
    /// `$apply` instead of rows.
    pub group: Option<Group>,
}

impl Read {
    fn random(random: &mut Random, schema: &Schema, table: usize) -> Self {
        let columns = schema.tables[table].columns.len();
        let select = (0..random.below(4)).map(|_| random.below(columns)).collect::<BTreeSet<_>>();
        Self {
            table,
            select: select.into_iter().collect(),
            lookups: (0..schema.tables[table].foreign_keys.len())
                .filter(|_| random.one_in(4))
                .collect(),
            filter: None,
            orders: Vec::new(),
            top: None,
            expands: Vec::new(),
        }
    }

    fn with_filter(
        mut self,
        random: &mut Random,
        schema: &Schema,
        depth: usize,
        plain: bool,
    ) -> Self {
        let sight = Sight {
            schema,
            dialect: Dialect::OData,
            tables: vec![self.table],
            bases: vec![0],
            plain,
        };
        self.filter = Some(sight.filter(random, depth));
        self
    }

    fn with_orders(mut self, random: &mut Random, schema: &Schema) -> Self {
        let columns = &schema.tables[self.table].columns;
        let mut taken = BTreeSet::new();
        for _ in 0..random.below(3) {
            let at = random.below(columns.len());
            // GUIDs have no order that the platform and PostgreSQL share.
            if columns[at].kind != super::schema::Kind::Guid && taken.insert(at) {
                self.orders.push((at, random.one_in(2)));
            }
        }
        self
    }

    /// `depth` more levels; orders and `$top` have no place where any are nested.
    fn with_expands(
        mut self,
        random: &mut Random,
        schema: &Schema,
        depth: usize,
        flat: bool,
    ) -> Self {
        let mut taken = BTreeSet::new();
        for _ in 0..1 + random.below(2) {
            let foreign_keys = &schema.tables[self.table].foreign_keys;
            let at = random.below(foreign_keys.len());
            if random.one_in(2) && taken.insert((self.table, at, true)) {
                let mut read = Self::random(random, schema, foreign_keys[at].target);
                if depth > 0 && random.one_in(2) {
                    read = read.with_expands(random, schema, depth - 1, false);
                }
                self.expands.push(Expand::One(at, read));
                continue;
            }
            let source = random.below(schema.tables.len());
            let keys = &schema.tables[source].foreign_keys;
            let key = random.below(keys.len());
            if keys[key].target == self.table && taken.insert((source, key, false)) {
                let mut read = Self::random(random, schema, source);
                if random.one_in(2) {
                    read = read.with_filter(random, schema, 1, true);
                }
                if flat && random.one_in(2) {
                    read = read.with_orders(random, schema);
                    read.top = random.one_in(2).then(|| 1 + random.below(4));
                }
                self.expands.push(Expand::Many(key, read));
            }
        }
        self
    }

    /// Options joined by `&`, or by `;` within an expand.
    fn options(&self, schema: &Schema, nested: bool) -> String {
        let table = &schema.tables[self.table];
        let name = |at: &usize| table.columns[*at].logical();
        let mut select = vec![name(&table.tag())];
        select.extend(self.select.iter().map(name));
        let lookups = self.lookups.iter().map(|it| &table.foreign_keys[*it]);
        select.extend(lookups.map(|it| format!("_{}_value", it.lookup)));
        let unique: BTreeSet<_> = select.into_iter().collect();
        let value = |text: String| if nested { text } else { encode(&text) };
        let mut options =
            vec![format!("$select={}", unique.into_iter().collect::<Vec<_>>().join(","))];
        if let Some(filter) = &self.filter {
            options.push(format!("$filter={}", value(odata_filter(schema, &[self.table], filter))));
        }
        if !self.orders.is_empty() {
            let orders = self.orders.iter().map(|(at, descending)| {
                format!("{}{}", name(at), if *descending { " desc" } else { "" })
            });
            options.push(format!("$orderby={}", value(orders.collect::<Vec<_>>().join(","))));
        }
        if let Some(top) = self.top {
            options.push(format!("$top={top}"));
        }
        if !self.expands.is_empty() {
            let expands = self.expands.iter().map(|it| match it {
                Expand::One(at, read) => {
                    format!(
                        "{}({})",
                        table.foreign_keys[*at].navigation,
                        read.options(schema, true)
                    )
                }
                Expand::Many(key, read) => {
                    let source = &schema.tables[read.table];
                    let name = &source.foreign_keys[*key].collection;
                    format!("{name}({})", read.options(schema, true))
                }
            });
            options.push(format!("$expand={}", value(expands.collect::<Vec<_>>().join(","))));
        }
        options.join(if nested { ";" } else { "&" })
    }

    fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut change = |change: &dyn Fn(&mut Self)| {
            let mut smaller = self.clone();
            change(&mut smaller);
            all.push(smaller);
        };
        if let Some(filter) = &self.filter {
            change(&|it| it.filter = None);
            for less in filter.smaller() {
                change(&|it| it.filter = Some(less.clone()));
            }
        }
        for at in 0..self.expands.len() {
            change(&|it| drop(it.expands.remove(at)));
        }
        for at in 0..self.orders.len() {
            change(&|it| _ = it.orders.remove(at));
        }
        if !self.select.is_empty() {
            change(&|it| it.select.clear());
        }
        if !self.lookups.is_empty() {
            change(&|it| it.lookups.clear());
        }
        if self.top.is_some() {
            change(&|it| it.top = None);
        }
        for (at, expand) in self.expands.iter().enumerate() {
            let (Expand::One(_, read) | Expand::Many(_, read)) = expand;
            for less in read.smaller() {
                change(&|it| match &mut it.expands[at] {
                    Expand::One(_, read) | Expand::Many(_, read) => *read = less.clone(),
                });
            }
        }
        all
    }
}

impl Query {
    /// A new one.
    pub fn random(random: &mut Random, schema: &Schema) -> Self {
        let table = random.below(schema.tables.len());
        let mut read = Read::random(random, schema, table);
        let depth = random.below(4);
        if !random.one_in(8) {
            read = read.with_filter(random, schema, depth, false);
        }
        if random.one_in(8) {
            let group = Some(Group::random(random, &schema.tables[table]));
            return Self { read, page_size: None, count: false, group };
        }
        if random.one_in(2) {
            read = read.with_orders(random, schema);
        }
        if random.one_in(4) {
            let flat = random.one_in(2);
            read = read.with_expands(random, schema, usize::from(!flat), flat);
        }
        let page_size = random.one_in(4).then(|| 1 + random.below(15));
        if page_size.is_none() && random.one_in(4) {
            read.top = Some(1 + random.below(12));
        }
        Self { read, page_size, count: random.one_in(6), group: None }
    }

    /// Below the service root.
    #[must_use]
    pub fn path(&self, sets: &[String], schema: &Schema) -> String {
        let set = &sets[self.read.table];
        match &self.group {
            Some(group) => {
                let filter = self.read.filter.as_ref();
                let filter = filter.map(|it| odata_filter(schema, &[self.read.table], it));
                let before = filter.map_or_else(String::new, |it| format!("filter({it})/"));
                let apply = group.odata(&schema.tables[self.read.table]);
                format!("{set}?$apply={}", encode(&format!("{before}{apply}")))
            }
            None => {
                let count = if self.count { "&$count=true" } else { "" };
                format!("{set}?{}{count}", self.read.options(schema, false))
            }
        }
    }

    /// The same with less in it.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        let mut all: Vec<Self> =
            self.read.smaller().into_iter().map(|read| Self { read, ..self.clone() }).collect();
        if self.page_size.is_some() {
            all.push(Self { page_size: None, ..self.clone() });
        }
        if self.count {
            all.push(Self { count: false, ..self.clone() });
        }
        if let Some(group) = &self.group {
            let less = group.smaller().into_iter();
            all.extend(less.map(|it| Self { group: Some(it), ..self.clone() }));
        }
        all
    }
}
