//! ETags: what `If-Match` and `If-None-Match` do on reading, changing and deleting.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tests::{Web, assert_error};

use crate::write_world::{CUSTOMER_SET, Case, World, customer, row};

pub(crate) const CASES: &[Case] = tests::cases![World:
    a_stale_version_is_refused_and_changes_nothing,
    a_change_past_tombolo_makes_a_version_stale,
    a_get_of_the_same_version_has_no_body,
    a_tag_that_is_none_is_refused_or_matches_nothing,
];

const STALE: &str =
    "The version of the existing record doesn't match the RowVersion property provided.";

async fn rows(web: &Web, name: &str) -> Result<[(String, &'static str); 2]> {
    let account = format!("V-{name}").to_uppercase();
    let customer = web.create(CUSTOMER_SET, customer(&account, name)).await?;
    let native = web.create("accounts", json!({ "name": name })).await?;
    Ok([(row(CUSTOMER_SET, &customer), "mserp_notes"), (row("accounts", &native), "description")])
}

async fn tag(web: &Web, path: &str) -> Result<String> {
    let answer = web.get(path).await?;
    let tag = answer.header("etag").to_owned();
    let row = answer.ok()?;
    ensure!(tag.starts_with("W/\"") && row["@odata.etag"] == tag.as_str(), "{tag} {row}");
    Ok(tag)
}

async fn a_stale_version_is_refused_and_changes_nothing(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    for (path, column) in rows(&admin, "Stale").await? {
        let first = tag(&admin, &path).await?;
        let change = || json!({ (column): "changed" });
        admin.patch(&path, &[("If-Match", &first)], change()).await?.expect(204)?;
        let second = tag(&admin, &path).await?;
        ensure!(first != second, "{path}: the version stays {first}");
        let before = world.both().await?;
        let answer = admin.patch(&path, &[("If-Match", &first)], change()).await?;
        assert_error(&answer, 412, "0x80060882", STALE)?;
        let answer = admin.send(Method::DELETE, &path, &[("If-Match", &first)], None).await?;
        assert_error(&answer, 412, "0x80060882", STALE)?;
        world.unchanged(&before).await?;
        // A representation carries the version that comes next.
        let headers = [("If-Match", second.as_str()), ("Prefer", "return=representation")];
        let answer =
            admin.patch(&path, &headers, json!({ (column): "again" })).await?.expect(200)?;
        let third = answer.parse()?["@odata.etag"].as_str().context("no tag")?.to_owned();
        ensure!(third == tag(&admin, &path).await?, "not the version that is read");
        admin.send(Method::DELETE, &path, &[("If-Match", &third)], None).await?.expect(204)?;
        let answer = admin.send(Method::DELETE, &path, &[("If-Match", &third)], None).await?;
        assert_error(&answer, 404, "0x80040217", "Does Not Exist")?;
        let answer = admin.patch(&path, &[("If-Match", &third)], change()).await?;
        ensure!([404, 412].contains(&answer.status.as_u16()), "{answer:?}");
    }
    Ok(())
}

async fn a_change_past_tombolo_makes_a_version_stale(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let [(customer, _), (native, _)] = rows(&admin, "Past").await?;
    // In a table that the customer's row has a part in only.
    for (path, change) in [
        (&customer, "UPDATE erp.dirpartytable SET namealias = 'past' WHERE name = 'Past'"),
        (&native, "UPDATE organization.account SET telephone1 = 'past' WHERE name = 'Past'"),
    ] {
        let before = tag(&admin, path).await?;
        if path.starts_with("accounts") {
            world.platform.execute(change).await?;
        } else {
            world.erp.execute(change).await?;
        }
        ensure!(before != tag(&admin, path).await?, "{path}: the version stays {before}");
        let answer = admin.patch(path, &[("If-Match", &before)], json!({})).await?;
        ensure!(answer.status == 412, "{answer:?}");
    }
    Ok(())
}

async fn a_get_of_the_same_version_has_no_body(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    for (path, column) in rows(&admin, "Same").await? {
        let first = tag(&admin, &path).await?;
        let answer = admin.send(Method::GET, &path, &[("If-None-Match", &first)], None).await?;
        ensure!(answer.status == 304 && answer.body.is_empty(), "{answer:?}");
        admin.patch(&path, &[], json!({ (column): "x" })).await?.expect(204)?;
        let answer = admin.send(Method::GET, &path, &[("If-None-Match", &first)], None).await?;
        ensure!(answer.ok()?[column] == "x");
    }
    Ok(())
}

async fn a_tag_that_is_none_is_refused_or_matches_nothing(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    for (path, column) in rows(&admin, "Odd").await? {
        let before = world.both().await?;
        for odd in ["W/\"0\"", "W/\"not ours\"", "garbage", "\"12\"", "W/\"'; DROP TABLE x\"", ""] {
            let answer = admin.patch(&path, &[("If-Match", odd)], json!({ (column): "x" })).await?;
            ensure!([400, 412].contains(&answer.status.as_u16()), "{odd:?}: {answer:?}");
        }
        world.unchanged(&before).await?;
    }
    Ok(())
}
