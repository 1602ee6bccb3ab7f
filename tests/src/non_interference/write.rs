//! What viewers write, and whether what changed was theirs to change.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

use super::twins::Twins;
use super::viewer::Viewer;
use super::world::World;
use crate::Answer;
use crate::batch::{Batch, Part};
use crate::differential::Schema;
use crate::differential::rows::key_cell;
use crate::differential::schema::{Kind, Table};
use crate::differential::write::plain;
use crate::random::Random;
use crate::tables::Cell;

/// Rows that nobody has.
const NEW: usize = 500;

const BULK: [&str; 3] = ["CreateMultiple", "UpdateMultiple", "UpsertMultiple"];

/// A write over HTTP.
#[derive(Clone, Debug)]
pub struct Write {
    parts: Vec<One>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Alone,
    Batch,
    ChangeSet,
    /// `CreateMultiple`, `UpdateMultiple` or `UpsertMultiple` of the first one's set.
    Bulk(&'static str),
}

#[derive(Clone, Debug)]
struct One {
    method: Method,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<Value>,
}

/// Rows of a table of a database by their key, each as JSON by column.
type Dump = Vec<BTreeMap<String, Map<String, Value>>>;

impl Write {
    /// The same for the same seed.
    #[must_use]
    pub fn random(random: &mut Random, world: &World) -> Self {
        let maker = Maker { world, schema: &world.sides[0].schema };
        let form = match random.below(8) {
            0 => Form::Batch,
            1 => Form::ChangeSet,
            2 => Form::Bulk(random.pick::<&str>(&BULK)),
            _ => Form::Alone,
        };
        if let Form::Bulk(action) = form {
            return maker.bulk(random, action);
        }
        let many = if form == Form::Alone { 1 } else { 1 + random.below(3) };
        Self { parts: (0..many).map(|_| maker.one(random)).collect(), form }
    }

    /// Does it on the first side.
    pub async fn send(&self, world: &World, viewer: &Viewer) -> Result<Answer> {
        let web = &world.sides[0].webs[viewer.sender.name];
        let acting = world.headers(viewer);
        let acting: Vec<_> = acting.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        let first = self.parts.first().context("nothing to write")?;
        match self.form {
            Form::Alone | Form::Bulk(_) => {
                let headers = [&acting[..], &first.headers[..]].concat();
                web.send(first.method.clone(), &first.path, &headers, first.body.clone()).await
            }
            Form::Batch => {
                let parts = self.parts.iter().map(One::part);
                let batch = parts.fold(Batch::default(), Batch::and);
                batch
                    .send(web, &[&acting[..], &[("Prefer", "odata.continue-on-error")]].concat())
                    .await
            }
            Form::ChangeSet => {
                let parts: Vec<_> = self.parts.iter().map(One::part).collect();
                Batch::default().change_set(parts).send(web, &acting).await
            }
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = self.parts.iter().map(|it| {
            let body = it.body.as_ref().map(Value::to_string).unwrap_or_default();
            format!("{} {} {:?} {body}", it.method, it.path, it.headers)
        });
        format!("{:?}: {}", self.form, parts.collect::<Vec<_>>().join("\n  "))
    }
}

impl One {
    fn part(&self) -> Part {
        let part = Part::new(self.method.clone(), self.path.clone());
        let part = self.headers.iter().fold(part, |it, (name, value)| it.header(name, *value));
        self.body.iter().fold(part, Part::body)
    }
}

struct Maker<'w> {
    world: &'w World,
    schema: &'w Schema,
}

impl Maker<'_> {
    fn one(&self, random: &mut Random) -> One {
        let at = random.below(self.schema.tables.len());
        let table = &self.schema.tables[at];
        let row = self.address(random, at);
        let whole = |random: &mut Random| self.whole(random, at);
        let body = |values| Some(Value::Object(values));
        let no_headers = Vec::new;
        match random.below(9) {
            0 | 1 => One {
                method: Method::POST,
                path: self.world.sets[at].clone(),
                headers: if random.one_in(2) {
                    vec![("Prefer", "return=representation")]
                } else {
                    no_headers()
                },
                body: body(whole(random)),
            },
            2 => One { method: Method::DELETE, path: row, headers: no_headers(), body: None },
            3 => One {
                method: Method::PATCH,
                path: row,
                headers: vec![("If-None-Match", "*")],
                body: body(whole(random)),
            },
            4 => One {
                method: Method::DELETE,
                path: format!("{row}/{}", random.pick(&table.columns).logical()),
                headers: no_headers(),
                body: None,
            },
            5 => {
                let column = random.pick(&table.columns);
                let value = json(column.kind, &column.kind.value(random));
                let mut values = Map::new();
                values.insert("value".to_owned(), value);
                One {
                    method: Method::PUT,
                    path: format!("{row}/{}", column.logical()),
                    headers: no_headers(),
                    body: body(values),
                }
            }
            _ => One {
                method: Method::PATCH,
                path: row,
                headers: if random.one_in(2) { vec![("If-Match", "*")] } else { no_headers() },
                body: body(self.some(random, at)),
            },
        }
    }

    fn bulk(&self, random: &mut Random, action: &'static str) -> Write {
        let at = random.below(self.schema.tables.len());
        let table = &self.schema.tables[at];
        let targets = (0..1 + random.below(4)).map(|_| {
            let mut values = match action {
                "CreateMultiple" => self.whole(random, at),
                _ => self.some(random, at),
            };
            let kind = format!("Microsoft.Dynamics.CRM.{}", table.logical());
            values.insert("@odata.type".to_owned(), kind.into());
            if action != "CreateMultiple" {
                let id = random.pick(&self.schema.ids[at]).clone();
                values.insert(table.primary_id(), id.into());
            }
            Value::Object(values)
        });
        let body = serde_json::json!({ "Targets": targets.collect::<Vec<_>>() });
        let path = format!("{}/Microsoft.Dynamics.CRM.{action}", self.world.sets[at]);
        let one = One { method: Method::POST, path, headers: Vec::new(), body: Some(body) };
        Write { parts: vec![one], form: Form::Bulk(action) }
    }

    /// A row by its GUID, or by its key.
    fn address(&self, random: &mut Random, at: usize) -> String {
        let (table, set) = (&self.schema.tables[at], &self.world.sets[at]);
        let row = random.below(table.rows.len());
        if !random.one_in(3) {
            return format!("{set}({})", self.schema.ids[at][row]);
        }
        let pairs = (0..table.key).map(|it| {
            let value = plain(table.columns[it].kind, &table.rows[row][it]);
            let quoted = table.columns[it].kind == Kind::Text;
            let value = if quoted { format!("'{}'", crate::encode(&value)) } else { value };
            format!("{}={value}", table.columns[it].logical())
        });
        format!("{set}({})", pairs.collect::<Vec<_>>().join(","))
    }

    /// A new row, with all that it may need.
    fn whole(&self, random: &mut Random, of: usize) -> Map<String, Value> {
        let table = &self.schema.tables[of];
        let careful = !random.one_in(5);
        let number = if random.one_in(4) { random.below(20) } else { NEW + random.below(10_000) };
        let mut values = Map::new();
        for (at, column) in table.columns.iter().enumerate() {
            let value = match at {
                _ if at < table.key => json(column.kind, &key_cell(column, number)),
                _ if careful && self.is_denied(of, at) => continue,
                _ if column.nullable && random.one_in(2) => continue,
                _ => self.value_of(random, table, at),
            };
            values.insert(column.logical(), value);
        }
        values
    }

    fn some(&self, random: &mut Random, of: usize) -> Map<String, Value> {
        let table = &self.schema.tables[of];
        let careful = !random.one_in(5);
        let mut values = Map::new();
        for _ in 0..1 + random.below(3) {
            let at = table.key + random.below(table.columns.len() - table.key);
            if careful && self.is_denied(of, at) {
                continue;
            }
            values.insert(table.columns[at].logical(), self.value_of(random, table, at));
        }
        if random.one_in(5) {
            let key = random.pick(&table.foreign_keys);
            let target = random.pick(&self.schema.ids[key.target]);
            let path = format!("/{}({target})", self.world.sets[key.target]);
            values.insert(format!("{}@odata.bind", key.navigation), path.into());
        }
        values
    }

    /// Nobody may write the column.
    fn is_denied(&self, table: usize, column: usize) -> bool {
        let protection = &self.world.twins.protections[table];
        protection.hidden.contains(&column) || protection.read_only.contains(&column)
    }

    /// Mostly one that a row has.
    fn value_of(&self, random: &mut Random, table: &Table, at: usize) -> Value {
        let column = &table.columns[at];
        if random.one_in(4) && at < table.columns.len() - 2 {
            return json(column.kind, &column.kind.value(random));
        }
        json(column.kind, &random.pick(&table.rows)[at])
    }
}

fn json(kind: Kind, cell: &Cell) -> Value {
    match (kind, cell) {
        (_, Cell::Null) => Value::Null,
        (_, Cell::Int(number)) => (*number).into(),
        (Kind::Decimal | Kind::Long, cell) => {
            serde_json::from_str(&plain(kind, cell)).unwrap_or(Value::Null)
        }
        (kind, cell) => plain(kind, cell).into(),
    }
}

/// What the first side's database holds.
pub(super) async fn dump(world: &World) -> Result<Dump> {
    let mut connection = world.sides[0].erp.connect().await?;
    let mut dump = Vec::new();
    for table in &world.twins.sides[0].tables {
        let key = table.columns[..table.key].iter().map(|it| it.name.as_str());
        let key = key.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT jsonb_build_array({key})::text, to_jsonb(t)::text FROM {} t",
            table.name
        );
        let rows: Vec<(String, String)> =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connection).await?;
        let rows = rows.into_iter().map(|(key, row)| Ok((key, serde_json::from_str(&row)?)));
        dump.push(rows.collect::<Result<BTreeMap<_, _>>>()?);
    }
    Ok(dump)
}

/// Every difference must be one that the viewer may make. Returns how many rows there were.
pub(super) fn check(twins: &Twins, viewer: &Viewer, before: &Dump, after: &Dump) -> Result<usize> {
    let mut changed = 0;
    for (at, table) in twins.sides[0].tables.iter().enumerate() {
        let keys: BTreeSet<_> = before[at].keys().chain(after[at].keys()).collect();
        for key in keys {
            let (old, new) = (before[at].get(key), after[at].get(key));
            if old == new {
                continue;
            }
            changed += 1;
            let judge = Judge { twins, viewer, at, before, after };
            let judged = judge.judge(old, new);
            judged.with_context(|| format!("{} {key}:\n  {old:?}\n  {new:?}", table.name))?;
        }
    }
    Ok(changed)
}

/// Knows from the databases alone what a viewer may do.
struct Judge<'w> {
    twins: &'w Twins,
    viewer: &'w Viewer,
    at: usize,
    before: &'w Dump,
    after: &'w Dump,
}

type Row = Map<String, Value>;

impl Judge<'_> {
    fn judge(&self, old: Option<&Row>, new: Option<&Row>) -> Result<()> {
        let protection = &self.twins.protections[self.at];
        let operation = match (old, new) {
            (None, _) => "create",
            (_, None) => "delete",
            _ => "update",
        };
        let may = |operation: &str| {
            self.viewer.principals().all(|it| protection.operations(it.role).contains(&operation))
        };
        ensure!(may(operation), "{} may not {operation}", self.viewer.name);
        if let Some(old) = old {
            ensure!(self.sees(old, self.before), "a row that {} may not see", self.viewer.name);
        }
        if let Some(new) = new {
            ensure!(self.belongs(new), "a row of another legal entity");
            ensure!(self.sees(new, self.after), "a row that {} may not see now", self.viewer.name);
        }
        let Some(new) = new else { return Ok(()) };
        let table = &self.twins.sides[0].tables[self.at];
        for column in protection.hidden.union(&protection.read_only) {
            let name = &table.columns[*column].name;
            let was = old.map_or(&Value::Null, |it| &it[name]);
            // Who makes a row may have to leave it to the database what it says.
            ensure!(new[name] == *was, "{name} is not for {} to write", self.viewer.name);
        }
        Ok(())
    }

    fn belongs(&self, row: &Row) -> bool {
        let area = row["dataareaid"].as_str().unwrap_or_default();
        !self.twins.protections[self.at].company
            || self.viewer.principals().all(|it| it.areas.contains(&area))
    }

    fn sees(&self, row: &Row, dump: &Dump) -> bool {
        let protection = &self.twins.protections[self.at];
        let table = &self.twins.sides[0].tables[self.at];
        self.viewer.principals().all(|principal| {
            let holds = |row: &Row| row["holder"] == "all" || row["holder"] == principal.name;
            let binds = protection.holder.as_ref();
            let binds = binds.is_some_and(|it| it.is_empty() || it.contains(&principal.role));
            let via = protection.via.is_none_or(|key| {
                let foreign_key = &table.foreign_keys[key];
                let names = foreign_key.columns.iter().map(|it| &table.columns[*it].name);
                let key: Vec<_> = names.map(|it| row[it].clone()).collect();
                let key = Value::Array(key);
                let mut rows = dump[foreign_key.target].iter();
                let found =
                    rows.find(|it| serde_json::from_str(it.0).is_ok_and(|it: Value| it == key));
                found.is_some_and(|it| holds(it.1))
            });
            self.belongs(row) && (!binds || holds(row)) && via
        })
    }
}
