//! `models/demo` says nothing about the database that is not true.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use toml::{Table, Value};

use crate::postgres::Postgres;

struct Entity(Table);

impl Entity {
    fn name(&self) -> &str {
        text(&self.0, "name")
    }

    fn list(&self, key: &str) -> impl Iterator<Item = &Table> {
        self.0.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
    }

    /// The FROM clause.
    fn from(&self) -> String {
        let mut sql = String::new();
        for source in self.list("sources") {
            let (table, alias) = (text(source, "table"), text(source, "alias"));
            match source.get("join").and_then(Value::as_str) {
                None => sql = format!("{table} {alias}"),
                Some(join) => {
                    let join = if join == "optional" { "LEFT JOIN" } else { "JOIN" };
                    let on = source.get("on").and_then(Value::as_table).into_iter().flatten();
                    let on: Vec<_> = on
                        .map(|(column, other)| {
                            format!("{alias}.{column} = {}", other.as_str().unwrap_or("?"))
                        })
                        .collect();
                    sql += &format!(" {join} {table} {alias} ON {}", on.join(" AND "));
                }
            }
        }
        sql
    }

    fn root(&self) -> Result<&Table> {
        self.list("sources").next().with_context(|| format!("{}: no sources", self.name()))
    }

    /// SQL of a field; `dataAreaId` is the company's column.
    fn sql(&self, field: &str) -> Result<String> {
        if field == "dataAreaId" {
            return Ok(text(&self.0, "company").to_owned());
        }
        let field = self
            .list("fields")
            .find(|it| text(it, "name") == field)
            .with_context(|| format!("{}: no field {field}", self.name()))?;
        Ok(sql_of(field).to_owned())
    }
}

#[tokio::test]
async fn every_entity_fits_the_database() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    demo_erp::create(&mut connection, 2000, |_, _, _| {}).await?;
    let entities = load()?;
    assert!(entities.len() >= 14, "{}", entities.len());
    for entity in entities.values() {
        rows_are_the_roots(&mut connection, entity).await?;
        key_is_unique(&mut connection, entity).await?;
        for field in entity.list("fields") {
            field_holds(&mut connection, entity, field)
                .await
                .with_context(|| format!("{}.{}", entity.name(), text(field, "name")))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn relations_find_rows() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut connection = postgres.database("demo").await?;
    demo_erp::create(&mut connection, 2000, |_, _, _| {}).await?;
    let entities = load()?;
    for entity in entities.values() {
        for relation in entity.list("relations") {
            let place = format!("{}.{}", entity.name(), text(relation, "name"));
            let target = entities.get(text(relation, "entity")).context(place.clone())?;
            let pairs = relation.get("fields").and_then(Value::as_table).context(place.clone())?;
            let mut mine = Vec::new();
            let mut theirs = Vec::new();
            for (field, related) in pairs {
                mine.push(entity.sql(field)?);
                theirs.push(target.sql(related.as_str().unwrap_or_default())?);
            }
            if entity.0.contains_key("company") && target.0.contains_key("company") {
                mine.push(entity.sql("dataAreaId")?);
                theirs.push(target.sql("dataAreaId")?);
            }
            let set = |columns: &[String], of: &Entity| {
                format!("SELECT DISTINCT {} FROM {}", columns.join(", "), of.from())
            };
            let given =
                mine.iter().map(|it| format!("{it} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
            let (mine, theirs) = (set(&mine, entity), set(&theirs, target));
            let found = format!("SELECT count(*) FROM ({mine} INTERSECT {theirs}) it");
            assert!(number(&mut connection, &found).await? > 0, "{place} finds nothing");
            let lost = format!("SELECT count(*) FROM ({mine} WHERE {given} EXCEPT {theirs}) it");
            assert_eq!(number(&mut connection, &lost).await?, 0, "{place} loses rows");
        }
    }
    Ok(())
}

#[test]
fn every_data_type_occurs_and_users_name_entities() -> Result<()> {
    let entities = load()?;
    for data_type in
        "string memo integer long decimal enum boolean date datetime guid".split_whitespace()
    {
        let occurs =
            entities.values().any(|it| it.list("fields").any(|f| text(f, "type") == data_type));
        assert!(occurs, "{data_type}");
    }
    let users: Table = std::fs::read_to_string(folder().join("users.toml"))?.parse()?;
    for user in users.get("users").and_then(Value::as_array).into_iter().flatten() {
        let privileges = user.get("privileges").and_then(Value::as_array);
        for privilege in privileges.into_iter().flatten() {
            for entity in privilege.get("entities").and_then(Value::as_array).into_iter().flatten()
            {
                let entity = entity.as_str().unwrap_or_default();
                assert!(entity == "*" || entities.contains_key(entity), "{entity}");
            }
        }
    }
    Ok(())
}

/// Inner joins lose no row, optional joins add none, and the record id tells rows apart.
async fn rows_are_the_roots(connection: &mut PgConnection, entity: &Entity) -> Result<()> {
    let root = entity.root()?;
    let rows = number(connection, &format!("SELECT count(*) FROM {}", entity.from())).await?;
    let roots =
        number(connection, &format!("SELECT count(*) FROM {}", text(root, "table"))).await?;
    let ids = format!(
        "SELECT count(DISTINCT {}.{}) FROM {}",
        text(root, "alias"),
        text(&entity.0, "record_id"),
        entity.from()
    );
    let ids = number(connection, &ids).await?;
    ensure!(rows > 0 && rows == roots && rows == ids, "{}: {rows} {roots} {ids}", entity.name());
    Ok(())
}

async fn key_is_unique(connection: &mut PgConnection, entity: &Entity) -> Result<()> {
    let Some(key) = entity.0.get("key").and_then(Value::as_array) else { return Ok(()) };
    let columns: Vec<_> =
        key.iter().map(|it| entity.sql(it.as_str().unwrap_or_default())).collect::<Result<_>>()?;
    let columns = columns.join(", ");
    let repeated = format!(
        "SELECT count(*) FROM (SELECT {columns} FROM {} GROUP BY {columns} HAVING count(*) > 1) it",
        entity.from()
    );
    ensure!(number(connection, &repeated).await? == 0, "{}: key", entity.name());
    Ok(())
}

async fn field_holds(connection: &mut PgConnection, entity: &Entity, field: &Table) -> Result<()> {
    let (sql, from) = (sql_of(field), entity.from());
    let sql_type: String = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT pg_typeof({sql})::text FROM {from} LIMIT 1"
    )))
    .fetch_one(&mut *connection)
    .await?;
    let expected: &[&str] = match text(field, "type") {
        "string" | "memo" => &["character varying", "text"],
        "integer" => &["integer"],
        "long" => &["bigint"],
        "decimal" => &["numeric"],
        "enum" => &["integer", "character varying", "boolean"],
        "boolean" => &["boolean"],
        "date" => &["date"],
        "datetime" => &["timestamp without time zone"],
        "guid" => &["uuid"],
        other => anyhow::bail!("unknown type {other}"),
    };
    ensure!(expected.contains(&sql_type.as_str()), "is {sql_type}");

    let mut violations = Vec::new();
    if field.get("nullable").and_then(Value::as_bool) != Some(true) {
        violations.push(format!("{sql} IS NULL"));
    }
    if let Some(casing) = field.get("casing").and_then(Value::as_str) {
        violations.push(format!("{sql} <> {casing}({sql})"));
    }
    if let Some(length) = field.get("max_length").and_then(Value::as_integer) {
        violations.push(format!("length({sql}) > {length}"));
    }
    if let Some(name) = field.get("enum").and_then(Value::as_str) {
        violations.push(format!("{sql} NOT IN ({})", stored_values(name)?));
    }
    for violation in violations {
        let count = format!("SELECT count(*) FROM {from} WHERE {violation}");
        ensure!(number(connection, &count).await? == 0, "{violation}");
    }
    Ok(())
}

/// As SQL literals.
fn stored_values(name: &str) -> Result<String> {
    let model: Table = std::fs::read_to_string(folder().join("model.toml"))?.parse()?;
    let enums = model.get("enums").and_then(Value::as_array).context("enums")?;
    let found = enums
        .iter()
        .find(|it| it.get("name").and_then(Value::as_str) == Some(name))
        .with_context(|| format!("no enum {name}"))?;
    let members = found.get("members").and_then(Value::as_array).context("members")?;
    let literals: Vec<_> = members
        .iter()
        .filter_map(|it| it.get("stored"))
        .map(|it| it.as_str().map_or_else(|| it.to_string(), |text| format!("'{text}'")))
        .collect();
    Ok(literals.join(", "))
}

fn load() -> Result<BTreeMap<String, Entity>> {
    let mut entities = BTreeMap::new();
    for file in std::fs::read_dir(folder().join("entities"))? {
        let path = file?.path();
        let entity: Table =
            std::fs::read_to_string(&path)?.parse().with_context(|| path.display().to_string())?;
        entities.insert(text(&entity, "name").to_owned(), Entity(entity));
    }
    Ok(entities)
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/demo"))
}

fn sql_of(field: &Table) -> &str {
    if field.contains_key("column") { text(field, "column") } else { text(field, "expression") }
}

/// Empty if absent, which no query accepts.
fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

async fn number(connection: &mut PgConnection, sql: &str) -> Result<i64> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(connection)
        .await
        .with_context(|| sql.to_owned())
}
