//! Reads beside lists: one row in every way, its parts, counts, batches, changes, and what is malformed.

use reqwest::Method;

use super::world::World;
use crate::batch::{Batch, Part};
use crate::differential::schema::{Kind, Table};
use crate::differential::write::plain;
use crate::differential::{fetch, odata};
use crate::encode;
use crate::random::Random;
use crate::tables::Cell;

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, or POST for what reads by it.
    pub method: Method,
    /// Below the service root.
    pub path: String,
    /// Beside those of every request.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: String,
}

/// What is put where it does not belong.
const SPLINTERS: [&str; 14] =
    ["'", "(", ")", ",", "/", "$", "&", "null", " eq 1", "=", "%00", "mserp_", "/$count", "$value"];

impl Request {
    /// Of rows that a side has.
    #[must_use]
    pub fn random(random: &mut Random, world: &World, side: usize) -> Self {
        let maker = Maker { world, side };
        match random.below(12) {
            0..=2 => Self::get(maker.row(random)),
            3 => Self::get(maker.count(random)),
            4 => Self::get(maker.total(random)),
            5 => Self::get(maker.by_key(random)),
            6 => Self::get(maker.row(random)).with("If-None-Match", "*"),
            7 => maker.batch(random),
            8 => Self::get(maker.tracked(random)).with("Prefer", "odata.track-changes"),
            9 => Self::get(maker.search(random)),
            _ => Self::get(maker.malformed(random)),
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let path = percent_encoding::percent_decode_str(&self.path).decode_utf8_lossy();
        format!("{} {path} {:?} {}", self.method, self.headers, self.body)
    }

    fn get(path: String) -> Self {
        Self { method: Method::GET, path, headers: Vec::new(), body: String::new() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

struct Maker<'w> {
    world: &'w World,
    side: usize,
}

impl Maker<'_> {
    fn table(&self, random: &mut Random) -> (usize, &Table, &str) {
        let tables = &self.world.sides[self.side].schema.tables;
        let at = random.below(tables.len());
        (at, &tables[at], &self.world.sets[at])
    }

    /// A row by its GUID, something that it has, or where it leads.
    fn row(&self, random: &mut Random) -> String {
        let (at, table, set) = self.table(random);
        let id = random.pick(&self.world.sides[self.side].schema.ids[at]);
        let row = format!("{set}({id})");
        let column = |random: &mut Random| random.pick(&table.columns).logical();
        let key = random.pick(&table.foreign_keys);
        let (source, back) = self.back(random, at);
        match random.below(12) {
            0 => row,
            1 | 2 => format!("{row}?$select={},{}", column(random), column(random)),
            3 => format!("{row}?$select=_{}_value", key.lookup),
            4 => format!("{row}/{}", column(random)),
            5 => format!("{row}/{}/$value", column(random)),
            6 => format!("{row}/{}", key.navigation),
            7 => format!("{row}/{}/$ref", key.navigation),
            8 => format!("{row}?$expand={}($select={})", key.navigation, column(random)),
            9 => format!("{row}/{back}?$count=true&$top=3"),
            10 => format!("{row}/{back}/$count"),
            _ => format!("{row}?$expand={back}($select={})", source.columns[0].logical()),
        }
    }

    /// A collection that rows of a table have, and of which table; one that they have not, now and then.
    fn back(&self, random: &mut Random, at: usize) -> (&Table, &str) {
        let tables = &self.world.sides[self.side].schema.tables;
        let keys =
            tables.iter().flat_map(|table| table.foreign_keys.iter().map(move |it| (table, it)));
        let mut keys: Vec<_> = keys.collect();
        if keys.iter().any(|it| it.1.target == at) && !random.one_in(10) {
            keys.retain(|it| it.1.target == at);
        }
        let (table, key) = *random.pick(&keys);
        (table, &key.collection)
    }

    fn count(&self, random: &mut Random) -> String {
        let (_, table, set) = self.table(random);
        let at = random.below(table.columns.len());
        let column = table.columns[at].logical();
        match random.below(3) {
            0 => format!("{set}/$count"),
            1 => format!("{set}?$count=true&$top=0"),
            _ => format!("{set}/$count?$filter={}", encode(&format!("{column} ne null"))),
        }
    }

    fn total(&self, random: &mut Random) -> String {
        let (_, table, _) = self.table(random);
        let (_, other, _) = self.table(random);
        let names = [table.logical(), other.logical(), "account".to_owned()];
        let many = 1 + random.below(names.len());
        let names: Vec<_> = names[..many].iter().map(|it| format!("\"{it}\"")).collect();
        let names = encode(&format!("[{}]", names.join(",")));
        format!("RetrieveTotalRecordCount(EntityNames=@names)?@names={names}")
    }

    /// By the entity's key, or by a column that is none.
    fn by_key(&self, random: &mut Random) -> String {
        let (_, table, set) = self.table(random);
        let row = random.pick(&table.rows);
        let pair = |at: usize| {
            let column = &table.columns[at];
            let value = plain(column.kind, &row[at]);
            let quoted = matches!(column.kind, Kind::Text | Kind::Memo);
            let value = if quoted { format!("'{}'", value.replace('\'', "''")) } else { value };
            format!("{}={}", column.logical(), encode(&value))
        };
        let mut pairs: Vec<_> = (0..table.key).map(pair).collect();
        if random.one_in(4) {
            pairs = vec![pair(random.below(table.columns.len()))];
        }
        let select = random.pick(&table.columns).logical();
        format!("{set}({})?$select={select}", pairs.join(","))
    }

    fn batch(&self, random: &mut Random) -> Request {
        let mut batch = Batch::default();
        for _ in 0..1 + random.below(4) {
            let path = match random.below(4) {
                0 => self.row(random),
                1 => self.count(random),
                2 => self.malformed(random),
                _ => self.by_key(random),
            };
            // What would end the line is not what is tried here.
            batch = batch.and(Part::get(path.replace(' ', "%20")));
        }
        let body = batch.text();
        let post = Request { method: Method::POST, body, ..Request::get("$batch".to_owned()) };
        let post = post.with("Content-Type", &Batch::content_type());
        if random.one_in(2) { post.with("Prefer", "odata.continue-on-error") } else { post }
    }

    fn tracked(&self, random: &mut Random) -> String {
        let (_, table, set) = self.table(random);
        let select = random.pick(&table.columns).logical();
        if random.one_in(2) { set.to_owned() } else { format!("{set}?$select={select}") }
    }

    /// What a column holds, hidden or not, asked for by what may well be there.
    fn search(&self, random: &mut Random) -> String {
        let (_, table, set) = self.table(random);
        let at = random.below(table.columns.len());
        let column = &table.columns[at];
        let cell = &random.pick(&table.rows)[at];
        let value = match (cell, column.kind) {
            (Cell::Null, _) => "null".to_owned(),
            (cell, Kind::Text | Kind::Memo) => {
                format!("'{}'", plain(column.kind, cell).replace('\'', "''"))
            }
            (cell, kind) => plain(kind, cell),
        };
        let op = *random.pick(&["eq", "ne", "gt", "le"]);
        let filter = encode(&format!("{} {op} {value}", column.logical()));
        let order = random.pick(&table.columns).logical();
        format!("{set}?$select={}&$filter={filter}&$orderby={order}", table.primary_id())
    }

    /// A good request with something missing, doubled or put in.
    fn malformed(&self, random: &mut Random) -> String {
        let schema = &self.world.sides[self.side].schema;
        let sets = &self.world.sets;
        let mut path = match random.below(5) {
            0 => self.row(random),
            1 => self.by_key(random),
            2 => self.search(random),
            3 => odata::Query::random(random, schema).path(sets, schema),
            _ => fetch::Query::random(random, schema).path(sets, schema, None),
        };
        for _ in 0..1 + random.below(3) {
            let start = floor(&path, random.below(path.len() + 1));
            let end = floor(&path, (start + random.below(9)).min(path.len()));
            match random.below(4) {
                0 => path.replace_range(start..end, ""),
                1 => path = format!("{}{}", &path[..end], &path[start..]),
                _ => path.insert_str(start, &random.pick::<&str>(&SPLINTERS).replace(' ', "%20")),
            }
        }
        // A `#` would end what is sent, and control characters are not sent at all.
        path.replace(|it: char| it == '#' || it.is_control(), "")
    }
}

/// The nearest boundary of a character before.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|it| text.is_char_boundary(*it)).unwrap_or_default()
}
