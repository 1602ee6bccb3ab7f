//! Actions of the model: bound to a row, to a table, and to nothing.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::batch::{Batch, Part};
use tests::{Web, assert_error};
use uuid::Uuid;

use crate::write_world::{
    CUSTOMER_SET, Case, GROUP_SET, LINE_SET, ORDER, ORDER_SET, World, customer, matches, row,
};

pub(crate) const CASES: &[Case] = tests::cases![World:
    an_action_of_a_row_changes_the_row,
    an_action_returns_what_its_function_returns,
    an_action_of_a_table_takes_parameters,
    an_action_of_nothing_is_called_by_its_name,
    parameters_that_do_not_fit_are_named,
    an_action_is_part_of_a_change_set,
    an_action_is_done_once,
    an_action_takes_the_right_to_write,
];

/// Names of all actions, from `$metadata`.
pub(crate) async fn names(web: &Web) -> Result<Vec<String>> {
    let metadata = web.get("$metadata").await?.expect(200)?;
    let names = metadata.body.split("<Action Name=\"").skip(1);
    Ok(names.filter_map(|it| it.split('"').next()).map(str::to_owned).collect())
}

async fn name(web: &Web, ending: &str) -> Result<String> {
    let names = names(web).await?;
    let found = names.iter().find(|it| it.ends_with(ending));
    Ok(found.with_context(|| format!("no {ending} in {names:?}"))?.clone())
}

async fn bound(web: &Web, path: &str, ending: &str) -> Result<String> {
    Ok(format!("{path}/Microsoft.Dynamics.CRM.{}", name(web, ending).await?))
}

async fn an_action_of_a_row_changes_the_row(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let path = row(CUSTOMER_SET, &admin.create(CUSTOMER_SET, customer("A-1", "Held")).await?);
    let hold = bound(&admin, &path, "HoldCustomer").await?;
    let answer = admin.post(&hold, json!({ "Reason": "does not pay" })).await?.expect(204)?;
    ensure!(answer.body.is_empty(), "{answer:?}");
    let held = admin.json(&path).await?;
    matches(&held, &json!({ "mserp_onholdstatus": 200_000_002 }))?;
    // The function knows who acts.
    let notes = held["mserp_notes"].as_str().unwrap_or_default().to_owned();
    ensure!(notes.ends_with("put on hold: does not pay"), "{notes}");
    let before = world.both().await?;
    let answer = admin.post(&hold, json!({ "Reason": "again" })).await?;
    assert_error(&answer, 400, "0x80048d0b", "Customer A-1 of company USMF is on hold already.")?;
    world.unchanged(&before).await?;
    // By the row's alternate key just as well.
    let key = crate::write_world::customer_key("A-1");
    let release = bound(&admin, &key, "ReleaseCustomer").await?;
    let answer = admin.send(Method::POST, &release, &[], None).await?.ok()?;
    ensure!(answer["value"] == true || answer.to_string().contains("true"), "{answer}");
    matches(&admin.json(&path).await?, &json!({ "mserp_onholdstatus": 200_000_000 }))?;
    let nobody = row(CUSTOMER_SET, "00000000-0000-0000-0000-000000000001");
    let hold = bound(&admin, &nobody, "HoldCustomer").await?;
    let answer = admin.post(&hold, json!({ "Reason": "x" })).await?;
    assert_error(&answer, 404, "0x80040217", "")
}

async fn order(world: &World, web: &Web, account: &str) -> Result<String> {
    web.create(CUSTOMER_SET, customer(account, account)).await?;
    let order =
        json!({ "mserp_dataareaid": "USMF", "mserp_orderingcustomeraccountnumber": account });
    let order = row(ORDER_SET, &web.create(ORDER_SET, order).await?);
    let line = json!({ "mserp_dataareaid": "USMF", "mserp_itemnumber": world.item().await?,
        "mserp_orderedsalesquantity": 2, "mserp_salesprice": 4.25, (format!("{ORDER}@odata.bind")): order });
    web.create(LINE_SET, line).await?;
    Ok(order)
}

/// The one value of an answer.
fn value(answer: &Value) -> Result<Value> {
    let members = answer.as_object().context("no object")?;
    let mut values = members.iter().filter(|it| !it.0.starts_with('@'));
    let (Some((_, value)), None) = (values.next(), values.next()) else {
        anyhow::bail!("not one value: {answer}")
    };
    Ok(value.clone())
}

async fn an_action_returns_what_its_function_returns(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let order = order(world, &admin, "A-2").await?;
    let confirm = bound(&admin, &order, "ConfirmSalesOrder").await?;
    let answer = admin.post(&confirm, json!({ "ShippingDate": "2027-05-06" })).await?.ok()?;
    ensure!(
        answer["@odata.context"].as_str().is_some_and(|it| it.contains("$metadata#")),
        "{answer}"
    );
    let moment = value(&answer)?;
    ensure!(
        moment.as_str().is_some_and(|it| it.starts_with("20") && it.ends_with('Z')),
        "{answer}"
    );
    matches(
        &admin.json(&order).await?,
        &json!({ "mserp_requestedshippingdate": "2027-05-06T00:00:00Z" }),
    )?;
    // Parameters that need not be given.
    let cancel = bound(&admin, &order, "CancelSalesOrder").await?;
    let answer = admin.send(Method::POST, &cancel, &[], None).await?.ok()?;
    ensure!(value(&answer)?.as_f64() == Some(8.5), "{answer}");
    let answer = admin.post(&cancel, json!({ "Reason": null })).await?;
    assert_error(&answer, 400, "0x80048d0b", "is not open and cannot be canceled.")
}

async fn an_action_of_a_table_takes_parameters(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let total = bound(&admin, GROUP_SET, "TotalOpenOrders").await?;
    let sql = |company: &str| {
        format!(
            "SELECT coalesce(sum(o.ordertotal), 0)::text FROM erp.salestable o
        JOIN erp.custtable c ON c.dataareaid = o.dataareaid AND c.accountnum = o.custaccount
        WHERE o.salesstatus = 1 AND c.custgroup = '10' {company}"
        )
    };
    for (body, sql) in [
        (json!({ "CustomerGroupId": "10", "Company": "USMF" }), sql("AND o.dataareaid = 'USMF'")),
        (json!({ "CustomerGroupId": "10" }), sql("")),
    ] {
        let answer = admin.post(&total, body).await?.ok()?;
        let expected: f64 = world.text(&sql).await?.parse()?;
        let got = value(&answer)?.as_f64().context("no number")?;
        ensure!((got - expected).abs() < 1e-6, "{got} of {expected}");
    }
    Ok(())
}

async fn an_action_of_nothing_is_called_by_its_name(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let name = name(&admin, "CurrentMoment").await?;
    let answer = admin.send(Method::POST, &name, &[], None).await?.ok()?;
    ensure!(value(&answer)?.as_str().is_some_and(|it| it.ends_with('Z')), "{answer}");
    admin.post(&name, json!({})).await?.expect(200)?;
    // It is no function, and what is bound is not called without its row.
    let answer = admin.get(&name).await?;
    assert_error(&answer, 404, "", "")?;
    let answer = admin.post("mserp_NoSuchAction", json!({})).await?;
    ensure!(answer.status == 404, "{answer:?}");
    Ok(())
}

async fn parameters_that_do_not_fit_are_named(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let path = row(CUSTOMER_SET, &admin.create(CUSTOMER_SET, customer("A-3", "Parameters")).await?);
    let hold = bound(&admin, &path, "HoldCustomer").await?;
    let before = world.both().await?;
    for (body, text) in [
        (json!({}), "Reason"),
        (json!({ "Reason": null }), "Reason"),
        (json!({ "Reason": 5 }), "Reason"),
        (json!({ "Reason": "x".repeat(300) }), "Reason"),
        (json!({ "Reason": "x", "NoSuch": 1 }), "NoSuch"),
        (json!([]), ""),
    ] {
        let answer = admin.post(&hold, body.clone()).await?;
        ensure!(answer.status == 400 && answer.body.contains(text), "{body}: {answer:?}");
    }
    world.unchanged(&before).await
}

async fn an_action_is_part_of_a_change_set(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let hold = name(&admin, "HoldCustomer").await?;
    let action = |reason: &str| {
        Part::post(format!("$1/Microsoft.Dynamics.CRM.{hold}"), &json!({ "Reason": reason }))
            .id("2")
    };
    let set = |account: &str, reason: &str| {
        [
            Part::post(CUSTOMER_SET, &customer(account, "In a set")).id("1"),
            action(reason),
            Part::post("accounts", &json!({ "name": "In a set", "accountnumber": account }))
                .id("3"),
        ]
    };
    let answers =
        Batch::default().change_set(set("A-4", "in a set")).parts(&admin, &[], 200).await?;
    ensure!(answers.iter().all(|it| it.status == 204), "{answers:#?}");
    let held = admin.json(&row(CUSTOMER_SET, &answers[0].id()?)).await?;
    matches(&held, &json!({ "mserp_onholdstatus": 200_000_002 }))?;
    let before = world.both().await?;
    let answers = Batch::default().change_set(set("A-5", "  ")).parts(&admin, &[], 400).await?;
    ensure!(answers.len() == 1 && answers[0].body.contains("Say why customer A-5"), "{answers:?}");
    world.unchanged(&before).await
}

async fn an_action_is_done_once(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let path = row(CUSTOMER_SET, &admin.create(CUSTOMER_SET, customer("A-6", "Once")).await?);
    let hold = bound(&admin, &path, "HoldCustomer").await?;
    let id = Uuid::new_v4().to_string();
    for _ in 0..2 {
        let headers = [("x-ms-client-request-id", id.as_str())];
        let body = Some(json!({ "Reason": "once" }));
        admin.send(Method::POST, &hold, &headers, body).await?.expect(204)?;
    }
    let notes = admin.json(&path).await?["mserp_notes"].as_str().unwrap_or_default().to_owned();
    ensure!(notes.matches("put on hold").count() == 1, "{notes}");
    Ok(())
}

async fn an_action_takes_the_right_to_write(world: &World) -> Result<()> {
    let (admin, clerk, reader) =
        (world.admin().await?, world.clerk().await?, world.reader().await?);
    let path = row(CUSTOMER_SET, &admin.create(CUSTOMER_SET, customer("A-7", "Rights")).await?);
    let hold = bound(&admin, &path, "HoldCustomer").await?;
    let reason = || json!({ "Reason": "rights" });
    let before = world.both().await?;
    let answer = reader.post(&hold, reason()).await?;
    ensure!([403, 404].contains(&answer.status.as_u16()), "{answer:?}");
    let list =
        admin.json(&format!("{CUSTOMER_SET}?$top=1&$filter=mserp_dataareaid eq 'DEMF'")).await?;
    let theirs =
        list["value"][0]["mserp_custcustomerv3entityid"].as_str().context("none")?.to_owned();
    let foreign = bound(&admin, &row(CUSTOMER_SET, &theirs), "HoldCustomer").await?;
    assert_error(&clerk.post(&foreign, reason()).await?, 404, "0x80040217", "")?;
    world.unchanged(&before).await?;
    clerk.post(&hold, reason()).await?.expect(204)?;
    let notes = admin.json(&path).await?["mserp_notes"].clone();
    ensure!(notes.as_str().is_some_and(|it| it.contains("clerk: put on hold")), "{notes}");
    Ok(())
}
