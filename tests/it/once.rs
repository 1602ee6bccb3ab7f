//! A request that is sent again because its answer was lost has one effect and the same answer.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::batch::{Batch, Part, parts};
use tests::{Answer, Web};
use uuid::Uuid;

use crate::write_world::{CUSTOMER_SET, Case, World, customer, customer_key, row};

pub(crate) const CASES: &[Case] = tests::cases![World:
    the_same_request_twice_writes_one_row,
    many_at_once_write_one_row,
    a_repeated_update_or_delete_is_answered_as_before,
    the_same_id_with_another_request_is_another_request,
    what_failed_may_be_tried_again,
    a_change_set_is_done_once,
    a_restart_forgets_nothing,
];

const AT_ONCE: usize = 32;

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

async fn send(web: &Web, method: Method, path: &str, id: &str, body: &Value) -> Result<Answer> {
    let headers = [("x-ms-client-request-id", id)];
    let body = (method != Method::DELETE).then(|| body.clone());
    web.send(method, path, &headers, body).await
}

/// A customer whose number the ERP gives, and an account: bodies that could be stored many times.
fn bodies(name: &str) -> [(&'static str, Value); 2] {
    let numbered = json!({ "mserp_dataareaid": "USMF", "mserp_organizationname": name,
        "mserp_customergroupid": "10" });
    [(CUSTOMER_SET, numbered), ("accounts", json!({ "name": name }))]
}

async fn count(world: &World, name: &str) -> Result<(i64, i64)> {
    let erp = format!(
        "SELECT count(*) FROM erp.custtable c JOIN erp.dirpartytable p
        ON p.recid = c.party WHERE p.name = '{name}'"
    );
    let native = format!("SELECT count(*) FROM organization.account WHERE name = '{name}'");
    Ok((world.erp.count(&erp).await?, world.platform.count(&native).await?))
}

async fn the_same_request_twice_writes_one_row(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    for (set, body) in bodies("Once 1") {
        let id = new_id();
        let first = send(&admin, Method::POST, set, &id, &body).await?.expect(204)?;
        let second = send(&admin, Method::POST, set, &id, &body).await?.expect(204)?;
        ensure!(first.id()? == second.id()?, "{first:?}\n{second:?}");
        let headers =
            [("x-ms-client-request-id", id.as_str()), ("Prefer", "return=representation")];
        let third = admin.send(Method::POST, set, &headers, Some(body)).await?;
        ensure!(third.status == 201 || third.status == 204, "{third:?}");
    }
    ensure!(count(world, "Once 1").await? == (1, 1), "{:?}", count(world, "Once 1").await?);
    // Without an id nothing is the same.
    for (set, body) in bodies("Once 2") {
        for _ in 0..2 {
            admin.post(set, body.clone()).await?.expect(204)?;
        }
    }
    ensure!(count(world, "Once 2").await? == (2, 2));
    Ok(())
}

async fn many_at_once_write_one_row(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    for (set, body) in bodies("Once 3") {
        let id = new_id();
        let requests = (0..AT_ONCE).map(|_| send(&admin, Method::POST, set, &id, &body));
        let answers = futures::future::try_join_all(requests).await?;
        let mut ids = Vec::new();
        for answer in answers {
            ids.push(answer.expect(204)?.id()?);
        }
        ids.sort();
        ids.dedup();
        ensure!(ids.len() == 1, "{set}: {ids:?}");
    }
    ensure!(count(world, "Once 3").await? == (1, 1), "{:?}", count(world, "Once 3").await?);
    Ok(())
}

async fn a_repeated_update_or_delete_is_answered_as_before(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    for ((set, body), column) in bodies("Once 4").into_iter().zip(["mserp_notes", "description"]) {
        let path = row(set, &admin.create(set, body).await?);
        let tag = admin.json(&path).await?["@odata.etag"].as_str().context("no tag")?.to_owned();
        let id = new_id();
        let headers = [("x-ms-client-request-id", id.as_str()), ("If-Match", tag.as_str())];
        let change = json!({ (column): "once" });
        // The version that the second one names is gone because the first one was done.
        admin.patch(&path, &headers, change.clone()).await?.expect(204)?;
        let version = admin.json(&path).await?["@odata.etag"].clone();
        admin.patch(&path, &headers, change).await?.expect(204)?;
        ensure!(admin.json(&path).await?["@odata.etag"] == version, "written again");
        let id = new_id();
        send(&admin, Method::DELETE, &path, &id, &Value::Null).await?.expect(204)?;
        send(&admin, Method::DELETE, &path, &id, &Value::Null).await?.expect(204)?;
        send(&admin, Method::DELETE, &path, &new_id(), &Value::Null).await?.expect(404)?;
    }
    Ok(())
}

async fn the_same_id_with_another_request_is_another_request(world: &World) -> Result<()> {
    let (admin, clerk) = (world.admin().await?, world.clerk().await?);
    let id = new_id();
    for name in ["Once 5", "Once 6"] {
        for (set, body) in bodies(name) {
            send(&admin, Method::POST, set, &id, &body).await?.expect(204)?;
        }
        ensure!(count(world, name).await? == (1, 1), "{name}");
    }
    // Somebody else's is somebody else's.
    let (set, body) = bodies("Once 5")[0].clone();
    send(&clerk, Method::POST, set, &id, &body).await?.expect(204)?;
    ensure!(count(world, "Once 5").await? == (2, 1));
    Ok(())
}

async fn what_failed_may_be_tried_again(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = new_id();
    admin.create(CUSTOMER_SET, customer("O-7", "In the way")).await?;
    let body = customer("O-7", "Once 7");
    send(&admin, Method::POST, CUSTOMER_SET, &id, &body).await?.expect(412)?;
    admin.delete(&customer_key("O-7")).await?.expect(204)?;
    send(&admin, Method::POST, CUSTOMER_SET, &id, &body).await?.expect(204)?;
    ensure!(count(world, "Once 7").await?.0 == 1);
    Ok(())
}

fn change_set(name: &str) -> Batch {
    let parts = bodies(name).map(|(set, body)| Part::post(set, &body));
    let [first, second] = parts;
    Batch::default().change_set([first.id("1"), second.id("2")])
}

async fn a_change_set_is_done_once(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = new_id();
    let headers = [("x-ms-client-request-id", id.as_str())];
    let batch = change_set("Once 8");
    let requests = (0..AT_ONCE).map(|_| batch.send(&admin, &headers));
    let mut answers = Vec::new();
    for answer in futures::future::try_join_all(requests).await? {
        // Those that wait for the first hold connections; who finds none left is told to come again.
        match parts(&answer)?.as_slice() {
            [busy] if answer.status == 400 && busy.status == 503 => {
                answers.push(batch.parts(&admin, &headers, 200).await?);
            }
            parts => answers.push(parts.to_vec()),
        }
    }
    for answer in &answers {
        ensure!(answer.len() == 2, "{answer:?}");
        for (one, other) in answer.iter().zip(&answers[0]) {
            ensure!(one.status == 204 && one.id()? == other.id()?, "{one:?} {other:?}");
        }
    }
    ensure!(count(world, "Once 8").await? == (1, 1), "{:?}", count(world, "Once 8").await?);
    Ok(())
}

async fn a_restart_forgets_nothing(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = new_id();
    let headers = [("x-ms-client-request-id", id.as_str())];
    let mut ids = Vec::new();
    for (set, body) in bodies("Once 9") {
        ids.push(send(&admin, Method::POST, set, &id, &body).await?.expect(204)?.id()?);
    }
    let before = change_set("Once 10").parts(&admin, &headers, 200).await?;
    world.restart().await?;
    let admin = world.admin().await?;
    for ((set, body), before) in bodies("Once 9").into_iter().zip(ids) {
        let again = send(&admin, Method::POST, set, &id, &body).await?.expect(204)?;
        ensure!(again.id()? == before, "{again:?}");
    }
    let after = change_set("Once 10").parts(&admin, &headers, 200).await?;
    for (one, other) in before.iter().zip(&after) {
        ensure!(one.status == 204 && one.id()? == other.id()?, "{one:?} {other:?}");
    }
    ensure!(count(world, "Once 9").await? == (1, 1) && count(world, "Once 10").await? == (1, 1));
    Ok(())
}
