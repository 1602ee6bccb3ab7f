//! Changes of rows that nobody may see, on one side: whoever follows the changes sees none.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;

use super::viewer::{VIEWERS, Viewer};
use super::world::World;
use crate::Answer;

/// The side on which something is changed.
const SIDE: usize = 1;
/// Added to the tags of rows that are changed.
const ODD: usize = 100_000;

/// Delta links of all viewers and tables, secret changes, and the links again.
pub(super) async fn run(world: &World) -> Result<()> {
    let mut links = Vec::new();
    for viewer in &VIEWERS {
        for set in &world.sets {
            let answer = get(world, viewer, set, &[("Prefer", "odata.track-changes")]).await?;
            // Some may not read it at all.
            if answer.status == 200 {
                let link = answer.ok()?["@odata.deltaLink"].as_str().map(str::to_owned);
                links.push((viewer, set, link.with_context(|| format!("no delta link of {set}"))?));
            }
        }
    }
    ensure!(!links.is_empty(), "nobody follows any changes");
    let admin = &world.sides[SIDE].admin;
    let mut all = Vec::new();
    for set in &world.sets {
        let answer = admin.get_prefer(set, "odata.track-changes").await?.ok()?;
        all.push(answer["@odata.deltaLink"].as_str().context("no delta link")?.to_owned());
    }
    world.sides[SIDE].erp.execute(&secret_changes(world)?).await?;
    for (viewer, set, link) in &links {
        let answer = get(world, viewer, link, &[]).await?;
        let rows = answer.clone().ok()?;
        let none = rows["value"].as_array().is_some_and(Vec::is_empty);
        ensure!(none, "{} is told of changes of {set}: {}", viewer.name, answer.body);
    }
    let mut told = 0;
    for link in &all {
        told += admin.json(link).await?["value"].as_array().map_or(0, Vec::len);
    }
    ensure!(told > 0, "not even an administrator is told of any change");
    Ok(())
}

async fn get(world: &World, viewer: &Viewer, path: &str, more: &[(&str, &str)]) -> Result<Answer> {
    let acting = world.headers(viewer);
    let mut headers: Vec<_> = acting.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    headers.extend_from_slice(more);
    world.sides[SIDE].webs[viewer.sender.name].send(Method::GET, path, &headers, None).await
}

/// Every secret row is changed; those that nothing leads to are deleted after that.
fn secret_changes(world: &World) -> Result<String> {
    let schema = &world.sides[SIDE].schema;
    let first = &world.sides[0].schema;
    let mut sql = String::new();
    for (at, table) in schema.tables.iter().enumerate() {
        let secret = (0..table.rows.len()).filter(|it| world.twins.is_secret(schema, at, *it));
        for row in secret {
            let tag = crate::differential::rows::literal(
                &table.rows[row][table.tag()],
                &table.columns[table.tag()],
            );
            let name = table.name;
            writeln!(sql, "UPDATE {name} SET tag = tag + {ODD} WHERE tag = {tag};")?;
            let is_new = !first.tables[at]
                .rows
                .iter()
                .any(|it| it[..table.key] == table.rows[row][..table.key]);
            if is_new {
                writeln!(sql, "DELETE FROM {name} WHERE tag = {tag} + {ODD};")?;
            }
        }
    }
    ensure!(!sql.is_empty(), "nothing is secret");
    Ok(sql)
}
