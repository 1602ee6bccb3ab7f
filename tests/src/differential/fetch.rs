//! Made-up reads in FetchXML: how they are made, written, read and made smaller. What they must
//! answer is in [`expected`], whether they do in [`answer`].

mod answer;
mod expected;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::World;
use super::filter::{Filter, Join};
use super::groups::Group;
use super::make::{Dialect, Sight};
use super::schema::{Kind, Schema};
use super::write::{escape, fetch_filter, fetch_link, wrapped};
use crate::encode;
use crate::random::Random;

/// What a client that reads pages asks for.
pub const ANNOTATIONS: &str = "odata.include-annotations=\"Microsoft.Dynamics.CRM.fetchxmlpagingcookie,Microsoft.Dynamics.CRM.morerecords\"";

/// The platform takes fifteen; an `all` across the line may count as two.
const MOST_LINKS: usize = 7;

/// How a link joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkType {
    Inner,
    Outer,
    /// Which row is not defined, so nothing of it is read.
    MatchFirst,
    Exists,
    In,
}

/// A `link-entity`; its number in the scope is its position and one.
#[derive(Clone, Debug)]
struct Link {
    /// In the scope; 0 is the root.
    parent: usize,
    join: Join,
    kind: LinkType,
    /// Columns of the link are those of a scope of its own.
    criteria: Option<Filter>,
    select: Vec<usize>,
}

/// A `fetch`.
#[derive(Clone, Debug)]
pub struct Query {
    table: usize,
    select: Vec<usize>,
    links: Vec<Link>,
    filter: Option<Filter>,
    /// Columns of the root, and whether they are descending.
    orders: Vec<(usize, bool)>,
    top: Option<usize>,
    page_size: Option<usize>,
    distinct: bool,
    /// Of the table at this position in the scope.
    group: Option<(usize, Group)>,
}

impl LinkType {
    fn name(self) -> &'static str {
        match self {
            Self::Inner => "inner",
            Self::Outer => "outer",
            Self::MatchFirst => "matchfirstrowusingcrossapply",
            Self::Exists => "exists",
            Self::In => "in",
        }
    }

    /// Whether the link's rows are there to be read.
    fn has_rows(self) -> bool {
        matches!(self, Self::Inner | Self::Outer)
    }
}

impl Query {
    /// A new one.
    pub fn random(random: &mut Random, schema: &Schema) -> Self {
        let table = random.below(schema.tables.len());
        let mut query = Self {
            table,
            select: some_columns(random, schema, table),
            links: Vec::new(),
            filter: None,
            orders: Vec::new(),
            top: None,
            page_size: None,
            distinct: false,
            group: None,
        };
        if random.one_in(2) {
            query.add_links(random, schema);
        }
        if !random.one_in(6) {
            query.filter = Some(query.random_filter(random, schema));
        }
        if query.count_links() > MOST_LINKS {
            query.filter = None;
            query.links.iter_mut().for_each(|it| it.criteria = None);
        }
        if random.one_in(6) {
            let readable = |it: &usize| *it == 0 || query.links[it - 1].kind.has_rows();
            let all: Vec<usize> = (0..=query.links.len()).filter(readable).collect();
            let at = *random.pick(&all);
            let table = &schema.tables[query.table_of(at)];
            query.group = Some((at, Group::random_fetch(random, table)));
            return query;
        }
        if random.one_in(8) && !query.select.is_empty() {
            query.distinct = true;
            return query;
        }
        let columns = &schema.tables[table].columns;
        let mut taken = BTreeSet::new();
        for _ in 0..random.below(3) {
            let at = random.below(columns.len());
            // GUIDs have no order that PostgreSQL shares, and options sort by their labels.
            let sorts = columns[at].kind != Kind::Guid && !columns[at].kind.is_option();
            if sorts && taken.insert(at) {
                query.orders.push((at, random.one_in(2)));
            }
        }
        match random.below(4) {
            0 => query.page_size = Some(1 + random.below(20)),
            1 => query.top = Some(1 + random.below(12)),
            _ => {}
        }
        query
    }

    fn add_links(&mut self, random: &mut Random, schema: &Schema) {
        let kinds = [
            LinkType::Inner,
            LinkType::Inner,
            LinkType::Outer,
            LinkType::Outer,
            LinkType::MatchFirst,
            LinkType::Exists,
            LinkType::In,
        ];
        for _ in 0..1 + random.below(3) {
            let parents: Vec<usize> = (0..=self.links.len())
                .filter(|it| *it == 0 || self.links[it - 1].kind.has_rows())
                .collect();
            let parent = *random.pick(&parents);
            let join = schema.join(random, self.table_of(parent));
            let kind = *random.pick(&kinds);
            let criteria = random.one_in(2).then(|| {
                let sight = Sight {
                    schema,
                    dialect: Dialect::Fetch,
                    tables: vec![join.table],
                    bases: vec![0],
                    plain: false,
                };
                let depth = random.below(2);
                sight.filter(random, depth)
            });
            let select = match kind.has_rows() {
                true => some_columns(random, schema, join.table),
                false => Vec::new(),
            };
            self.links.push(Link { parent, join, kind, criteria, select });
        }
    }

    fn random_filter(&self, random: &mut Random, schema: &Schema) -> Filter {
        let mut tables = vec![self.table];
        tables.extend(self.links.iter().map(|it| it.join.table));
        let mut bases = vec![0];
        // Conditions on links, decided after the joins.
        if random.one_in(2) {
            let readable = |it: &usize| self.links[it - 1].kind.has_rows();
            bases.extend((1..=self.links.len()).filter(readable));
        }
        let depth = random.below(3);
        Sight { schema, dialect: Dialect::Fetch, tables, bases, plain: false }.filter(random, depth)
    }

    /// Those in filters among them.
    fn count_links(&self) -> usize {
        let filters =
            self.filter.iter().chain(self.links.iter().filter_map(|it| it.criteria.as_ref()));
        self.links.len() + filters.map(Filter::count_links).sum::<usize>()
    }

    fn table_of(&self, number: usize) -> usize {
        if number == 0 { self.table } else { self.links[number - 1].join.table }
    }

    fn tables(&self) -> Vec<usize> {
        (0..=self.links.len()).map(|it| self.table_of(it)).collect()
    }

    /// The document; a page of it by size, number and cookie.
    #[must_use]
    pub fn xml(&self, schema: &Schema, page: Option<(usize, usize, &str)>) -> String {
        let table = &schema.tables[self.table];
        let mut xml = String::from("<fetch");
        if self.group.is_some() {
            xml += " aggregate=\"true\"";
        }
        if self.distinct {
            xml += " distinct=\"true\"";
        }
        if let Some(top) = self.top {
            xml += &format!(" top=\"{top}\"");
        }
        if let Some((size, number, cookie)) = page {
            xml += &format!(" count=\"{size}\" page=\"{number}\"");
            if !cookie.is_empty() {
                xml += &format!(" paging-cookie=\"{}\"", escape(cookie));
            }
        }
        xml += &format!("><entity name=\"{}\">", table.logical());
        if let Some((at, group)) = &self.group {
            if *at == 0 {
                xml += &group.fetch(table);
            }
        } else {
            if !self.distinct {
                xml += &format!("<attribute name=\"{}\"/>", table.columns[table.tag()].logical());
            }
            for at in &self.select {
                xml += &format!("<attribute name=\"{}\"/>", table.columns[*at].logical());
            }
        }
        for (at, descending) in &self.orders {
            let name = table.columns[*at].logical();
            xml += &format!("<order attribute=\"{name}\" descending=\"{descending}\"/>");
        }
        if let Some(filter) = &self.filter {
            xml += &wrapped(&fetch_filter(schema, &self.tables(), 0, filter));
        }
        xml + &self.links_xml(schema, 0) + "</entity></fetch>"
    }

    fn links_xml(&self, schema: &Schema, parent: usize) -> String {
        let mut xml = String::new();
        for (at, link) in self.links.iter().enumerate().filter(|(_, it)| it.parent == parent) {
            let open = fetch_link(schema, link.join, self.table_of(parent));
            let number = at + 1;
            let kind = link.kind.name();
            xml += &format!("<{open} link-type=\"{kind}\" alias=\"a{number}\">");
            let table = &schema.tables[link.join.table];
            if link.kind.has_rows() && self.group.is_none() {
                if !self.distinct {
                    xml +=
                        &format!("<attribute name=\"{}\"/>", table.columns[table.tag()].logical());
                }
                for at in &link.select {
                    xml += &format!("<attribute name=\"{}\"/>", table.columns[*at].logical());
                }
            }
            if let Some((_, group)) = self.group.as_ref().filter(|it| it.0 == number) {
                xml += &group.fetch(table);
            }
            if let Some(filter) = &link.criteria {
                xml += &wrapped(&fetch_filter(schema, &[link.join.table], 0, filter));
            }
            xml += &self.links_xml(schema, number);
            xml += "</link-entity>";
        }
        xml
    }

    /// Below the service root.
    #[must_use]
    pub fn path(
        &self,
        sets: &[String],
        schema: &Schema,
        page: Option<(usize, usize, &str)>,
    ) -> String {
        format!("{}?fetchXml={}", sets[self.table], encode(&self.xml(schema, page)))
    }

    /// Rows of a page, where it is to be read page by page.
    #[must_use]
    pub fn page_size(&self) -> Option<usize> {
        self.page_size
    }

    /// All pages, where pages are asked for: not too many of them.
    async fn read(&self, world: &World, count: usize) -> Result<Vec<Value>> {
        let Some(size) = self.page_size.map(|it| it.max(count / 50)) else {
            let answer = world.web.json(&self.path(&world.sets, &world.schema, None)).await?;
            return Ok(answer["value"].as_array().context("no value")?.clone());
        };
        let (mut rows, mut cookie) = (Vec::new(), String::new());
        for number in 1..10_000 {
            let path = self.path(&world.sets, &world.schema, Some((size, number, &cookie)));
            let page = world.web.get_prefer(&path, ANNOTATIONS).await?.ok()?;
            let value = page["value"].as_array().context("no value")?;
            ensure!(value.len() <= size, "{} rows on a page of {size}", value.len());
            rows.extend(value.iter().cloned());
            if page["@Microsoft.Dynamics.CRM.morerecords"] != true {
                return Ok(rows);
            }
            cookie = next_cookie(&page)?;
        }
        anyhow::bail!("the pages do not end")
    }

    /// The same with less in it.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
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
        } else if let Some(last) = self.links.len().checked_sub(1)
            && self.group.as_ref().is_none_or(|it| it.0 <= last)
        {
            // Nothing else names it: conditions on links are gone, and links below come later.
            change(&|it| drop(it.links.remove(last)));
        }
        for at in 0..self.links.len() {
            if self.links[at].criteria.is_some() {
                change(&|it| it.links[at].criteria = None);
            }
            if !self.links[at].select.is_empty() {
                change(&|it| it.links[at].select.clear());
            }
        }
        for at in 0..self.orders.len() {
            change(&|it| _ = it.orders.remove(at));
        }
        if !self.select.is_empty() && !self.distinct {
            change(&|it| it.select.clear());
        }
        if self.top.is_some() || self.page_size.is_some() {
            change(&|it| (it.top, it.page_size) = (None, None));
        }
        if let Some((at, group)) = &self.group {
            for less in group.smaller() {
                change(&|it| it.group = Some((*at, less.clone())));
            }
        }
        all
    }
}

fn some_columns(random: &mut Random, schema: &Schema, table: usize) -> Vec<usize> {
    let table = &schema.tables[table];
    let columns = (0..random.below(4)).map(|_| random.below(table.columns.len()));
    columns.filter(|it| *it != table.tag()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The cookie of the page after this one; empty where the answer has none.
pub fn next_cookie(page: &Value) -> Result<String> {
    match page["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"].as_str() {
        Some(outer) => inner_cookie(outer),
        None => Ok(String::new()),
    }
}

/// What clients do with the cookie: take the inner one, decode it twice.
fn inner_cookie(outer: &str) -> Result<String> {
    let (_, rest) = outer.split_once("pagingcookie=\"").context("no pagingcookie")?;
    let (twice, _) = rest.split_once('"').context("no end")?;
    let decode = |text: &str| -> Result<String> {
        Ok(percent_encoding::percent_decode_str(text).decode_utf8()?.into_owned())
    };
    decode(&decode(twice)?)
}
