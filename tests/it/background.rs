//! Requests that are answered before they are done: what becomes of them, also when the system stops.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tests::{Answer, Web};
use uuid::Uuid;

use crate::write_world::{CUSTOMER_SET, Case, World, customer, row};

pub(crate) const CASES: &[Case] = tests::cases![World:
    api_36_a_write_is_done_behind_its_answer,
    api_36_an_operation_is_told_to_its_owner_and_administrators,
    api_36_a_stop_interrupts_what_is_under_way_and_a_repetition_mends_it,
];

const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions, as clients ask them.
const PAUSE: Duration = Duration::from_millis(50);
const WAITING: i64 = 0;
const RUNNING: i64 = 20;
pub(crate) const SUCCEEDED: i64 = 30;
const FAILED: i64 = 31;

async fn later(web: &Web, method: Method, path: &str, id: &str, body: &Value) -> Result<Answer> {
    let headers = [("Prefer", "respond-async"), ("x-ms-client-request-id", id)];
    let answer = web.send(method, path, &headers, Some(body.clone())).await?.expect(202)?;
    ensure!(answer.header("preference-applied") == "respond-async", "{answer:?}");
    let location = answer.header("location");
    let operation = answer.header("x-ms-dyn-backgroundoperationid");
    ensure!(location.ends_with(&format!("/api/backgroundoperation/{operation}")), "{answer:?}");
    Ok(answer)
}

fn status(told: &Value) -> i64 {
    told["backgroundOperationStatusCode"].as_i64().unwrap_or(-1)
}

/// Asks until the operation has this status.
pub(crate) async fn reached(web: &Web, location: &str, wanted: i64) -> Result<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let told = web.json(location).await?;
        if status(&told) == wanted {
            return Ok(told);
        }
        let passing = matches!(status(&told), WAITING | RUNNING) && Instant::now() < until;
        ensure!(passing, "{wanted} was expected: {told}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// A customer, and a transaction of the ERP's own that holds its row.
async fn held(world: &World, web: &Web, account: &str) -> Result<(String, PgConnection)> {
    let path = row(CUSTOMER_SET, &web.create(CUSTOMER_SET, customer(account, "Later")).await?);
    let mut erp = world.erp.connect().await?;
    sqlx::raw_sql("BEGIN").execute(&mut erp).await?;
    sqlx::query("SELECT 1 FROM erp.custtable WHERE accountnum = $1 FOR UPDATE")
        .bind(account)
        .fetch_one(&mut erp)
        .await?;
    Ok((path, erp))
}

async fn api_36_a_write_is_done_behind_its_answer(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    for (set, body) in
        [(CUSTOMER_SET, customer("B-1", "Behind")), ("accounts", json!({ "name": "Behind" }))]
    {
        let id = Uuid::new_v4().to_string();
        let made = later(&admin, Method::POST, set, &id, &body).await?;
        let told = reached(&admin, made.header("location"), SUCCEEDED).await?;
        let url = told["entityUrl"].as_str().context("no row")?;
        admin.json(url).await?;
        // Asked again it is the same row, whether it is waited for or not.
        let headers = [("x-ms-client-request-id", id.as_str())];
        let again = admin.send(Method::POST, set, &headers, Some(body)).await?.expect(204)?;
        ensure!(again.header("odata-entityid") == url, "{again:?}");
    }
    let taken = customer("B-1", "Again");
    let id = Uuid::new_v4().to_string();
    let refused = later(&admin, Method::POST, CUSTOMER_SET, &id, &taken).await?;
    let told = reached(&admin, refused.header("location"), FAILED).await?;
    let code = told["backgroundOperationErrorCode"].as_i64().context("no code")?;
    ensure!(code == i64::from(0x8006_0892_u32.cast_signed()), "{told}");
    ensure!(told["backgroundOperationErrorMessage"].as_str().is_some(), "{told}");
    Ok(())
}

async fn api_36_an_operation_is_told_to_its_owner_and_administrators(world: &World) -> Result<()> {
    let (admin, clerk, reader) =
        (world.admin().await?, world.clerk().await?, world.reader().await?);
    let (path, erp) = held(world, &clerk, "B-2").await?;
    let change = json!({ "mserp_notes": "later" });
    let answer = later(&clerk, Method::PATCH, &path, "b-2", &change).await?;
    let location = answer.header("location");
    reached(&clerk, location, RUNNING).await?;
    let too_late = clerk.delete(location).await?.expect(409)?;
    ensure!(too_late.body.contains("has begun"), "{too_late:?}");
    reader.get(location).await?.expect(404)?;
    reader.delete(location).await?.expect(404)?;
    ensure!(status(&admin.json(location).await?) == RUNNING);
    // The ERP's transaction ends with its connection.
    erp.close().await?;
    reached(&clerk, location, SUCCEEDED).await?;
    ensure!(admin.json(&path).await?["mserp_notes"] == "later");
    reader.get(location).await?.expect(404)?;
    Ok(())
}

async fn api_36_a_stop_interrupts_what_is_under_way_and_a_repetition_mends_it(
    world: &World,
) -> Result<()> {
    let admin = world.admin().await?;
    let (path, erp) = held(world, &admin, "B-3").await?;
    let change = json!({ "mserp_notes": "interrupted" });
    let answer = later(&admin, Method::PATCH, &path, "b-3", &change).await?;
    let operation = answer.header("x-ms-dyn-backgroundoperationid").to_owned();
    reached(&admin, answer.header("location"), RUNNING).await?;
    world.restart().await?;
    let admin = world.admin().await?;
    // The lease of the gateway that is gone runs out, sooner than it would by itself.
    let ended = format!(
        "UPDATE organization.backgroundoperation SET leaseuntil = now() - interval '1 second'
         WHERE backgroundoperationid = '{operation}'"
    );
    world.platform.execute(&ended).await?;
    let location = format!("http://{}/api/backgroundoperation/{operation}", admin.authority());
    let told = reached(&admin, &location, FAILED).await?;
    let advice = told["backgroundOperationErrorMessage"].as_str().unwrap_or_default();
    ensure!(advice.contains("interrupted") && advice.contains("'b-3'"), "{told}");
    erp.close().await?;
    let headers = [("x-ms-client-request-id", "b-3")];
    admin.patch(&path, &headers, change.clone()).await?.expect(204)?;
    let once = admin.json(&path).await?;
    ensure!(once["mserp_notes"] == "interrupted", "{once}");
    admin.patch(&path, &headers, change).await?.expect(204)?;
    ensure!(admin.json(&path).await?["@odata.etag"] == once["@odata.etag"], "written again");
    Ok(())
}
