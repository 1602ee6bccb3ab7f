//! Native tables: the same requests, GUIDs of the client's choice, single properties and references.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Web, assert_error};
use uuid::Uuid;

use crate::write_world::{CUSTOMER_SET, Case, World, customer, matches, row};

pub(crate) const CASES: &[Case] = tests::cases![World:
    an_account_is_created_changed_and_deleted,
    a_native_row_takes_the_clients_guid,
    an_upsert_by_guid_creates_that_row,
    an_upsert_by_alternate_key_copies_the_key,
    the_moment_of_change_is_kept,
    lookups_are_bound_in_every_form,
    rows_are_inserted_with_those_they_lead_to,
    a_property_is_put_and_deleted_by_itself,
    references_are_set_and_removed,
    a_lookup_is_cleared_by_null,
    who_may_not_write_is_refused,
];

async fn account(web: &Web, name: &str) -> Result<String> {
    web.create("accounts", json!({ "name": name })).await
}

async fn an_account_is_created_changed_and_deleted(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let body = json!({
        "name": "N 1 日本", "accountnumber": "N-1", "revenue": 12345.6789, "creditonhold": true,
        "numberofemployees": 12, "industrycode": 3, "description": "two\nlines", "telephone1": "1",
    });
    let id = admin.create("accounts", body.clone()).await?;
    let stored = admin.json(&row("accounts", &id)).await?;
    matches(&stored, &body)?;
    matches(&stored, &json!({ "statecode": 0, "statuscode": 1 }))?;
    let change = json!({ "telephone1": null, "revenue": 0.5, "creditonhold": false });
    admin
        .patch("accounts(accountnumber='N-1')", &[("If-Match", "*")], change.clone())
        .await?
        .expect(204)?;
    let changed = admin.json("accounts(accountnumber='n-1')").await?;
    matches(&changed, &change)?;
    matches(&changed, &json!({ "name": "N 1 日本", "accountid": id }))?;
    admin.delete(&row("accounts", &id)).await?.expect(204)?;
    let answer = admin.delete(&row("accounts", &id)).await?;
    assert_error(&answer, 404, "0x80040217", &format!("With Id = {id} Does Not Exist"))
}

async fn a_native_row_takes_the_clients_guid(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = Uuid::new_v4().to_string();
    let body = json!({ "accountid": id, "name": "Own id" });
    ensure!(admin.create("accounts", body.clone()).await? == id, "another id");
    ensure!(admin.json(&row("accounts", &id)).await?["name"] == "Own id");
    let before = world.both().await?;
    let answer = admin.post("accounts", body).await?;
    assert_error(&answer, 412, "0x80040237", "")?;
    // The ERP numbers its rows itself.
    let mut refused = customer("N-OWN", "Own id");
    refused["mserp_custcustomerv3entityid"] = json!(id);
    admin.post(CUSTOMER_SET, refused).await?.expect(400)?;
    world.unchanged(&before).await
}

async fn an_upsert_by_guid_creates_that_row(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = Uuid::new_v4().to_string();
    let path = row("accounts", &id);
    let answer = admin.patch(&path, &[("If-Match", "*")], json!({ "name": "x" })).await?;
    assert_error(&answer, 404, "0x80040217", &format!("With Id = {id} Does Not Exist"))?;
    ensure!(admin.patch(&path, &[], json!({ "name": "Made" })).await?.expect(204)?.id()? == id);
    ensure!(admin.patch(&path, &[], json!({ "name": "Changed" })).await?.expect(204)?.id()? == id);
    ensure!(admin.json(&path).await?["name"] == "Changed");
    let answer = admin.patch(&path, &[("If-None-Match", "*")], json!({ "name": "x" })).await?;
    assert_error(&answer, 412, "0x80040237", "A record with matching key values already exists.")
}

async fn an_upsert_by_alternate_key_copies_the_key(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let prefer = [("Prefer", "return=representation")];
    let path = "accounts(accountnumber='N-UP')";
    let made = admin.patch(path, &prefer, json!({ "name": "Up" })).await?.expect(201)?.parse()?;
    matches(&made, &json!({ "accountnumber": "N-UP", "name": "Up" }))?;
    let answer = admin.patch(path, &prefer, json!({ "name": "Up 2" })).await?.expect(200)?;
    let changed = answer.parse()?;
    ensure!(changed["accountid"] == made["accountid"], "another row");
    ensure!(changed["@odata.etag"] != made["@odata.etag"], "the version did not change");
    Ok(())
}

async fn the_moment_of_change_is_kept(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = account(&admin, "Moments").await?;
    let first = admin.json(&row("accounts", &id)).await?;
    admin.patch(&row("accounts", &id), &[], json!({ "telephone1": "2" })).await?.expect(204)?;
    let second = admin.json(&row("accounts", &id)).await?;
    ensure!(first["createdon"] == second["createdon"], "{second}");
    let (earlier, later) = (first["modifiedon"].as_str(), second["modifiedon"].as_str());
    ensure!(earlier <= later && later.is_some(), "{earlier:?} {later:?}");
    Ok(())
}

async fn lookups_are_bound_in_every_form(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = admin.create("accounts", json!({ "name": "Bound", "accountnumber": "N-B" })).await?;
    let forms = [
        format!("/accounts({id})"),
        format!("accounts({id})"),
        format!("{}accounts({id})", admin.base()),
        format!("/api/data/v9.2/accounts({id})"),
        "accounts(accountnumber='N-B')".to_owned(),
        format!("/accounts({})", id.to_uppercase()),
    ];
    for form in forms {
        let body = json!({ "lastname": "B", "parentcustomerid_account@odata.bind": form });
        let contact = admin.create("contacts", body).await?;
        let read = admin.json(&row("contacts", &contact)).await?;
        ensure!(read["_parentcustomerid_value"] == id.as_str(), "{form}: {read}");
    }
    let before = world.both().await?;
    let bad = [
        ("parentcustomerid_account", "/contacts(00000000-0000-0000-0000-000000000001)", 400, ""),
        (
            "parentcustomerid_account",
            "/accounts(00000000-0000-0000-0000-000000000001)",
            404,
            "Exist",
        ),
        ("parentcustomerid_account", "/accounts(accountnumber='N-NONE')", 404, ""),
        ("parentcustomerid_account", "not an address", 400, ""),
        (
            "ParentCustomerId_account",
            "/accounts(00000000-0000-0000-0000-000000000001)",
            400,
            "ParentCustomerId_account",
        ),
        ("nosuch", "/accounts(00000000-0000-0000-0000-000000000001)", 400, "nosuch"),
    ];
    for (name, target, status, text) in bad {
        let body = json!({ "lastname": "B", (format!("{name}@odata.bind")): target });
        let answer = admin.post("contacts", body).await?;
        let right = answer.status == status && answer.body.contains(text);
        ensure!(right, "{name} to {target}: expected {status} {text:?}, got {answer:?}");
    }
    world.unchanged(&before).await
}

async fn rows_are_inserted_with_those_they_lead_to(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let body = json!({
        "name": "Deep", "accountnumber": "N-D",
        "primarycontactid": { "lastname": "Primary", "firstname": "P" },
        "contact_customer_accounts": [{ "lastname": "One" }, { "lastname": "Two" }],
        "account_parent_account": [{ "name": "Child", "primarycontactid": { "lastname": "Grandchild" } }],
    });
    let id = admin.create("accounts", body).await?;
    let path = format!(
        "accounts({id})?$select=name&$expand=primarycontactid($select=lastname),\
        contact_customer_accounts($select=lastname;$orderby=lastname),account_parent_account($select=name)"
    );
    let read = admin.json(&path).await?;
    ensure!(read["primarycontactid"]["lastname"] == "Primary", "{read}");
    let names = |member: &str, name: &str| -> Vec<String> {
        let rows = read[member].as_array().into_iter().flatten();
        rows.filter_map(|it| it[name].as_str()).map(str::to_owned).collect()
    };
    ensure!(names("contact_customer_accounts", "lastname") == ["One", "Two"], "{read}");
    ensure!(names("account_parent_account", "name") == ["Child"], "{read}");
    let before = world.both().await?;
    let half = json!({ "name": "Half", "contact_customer_accounts": [{ "lastname": "Good" }, { "firstname": "Bad" }] });
    admin.post("accounts", half).await?.expect(400)?;
    world.unchanged(&before).await
}

async fn a_property_is_put_and_deleted_by_itself(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = admin.create("accounts", json!({ "name": "P", "telephone1": "1" })).await?;
    let path = row("accounts", &id);
    let put = |value: Value| Some(json!({ "value": value }));
    admin.send(Method::PUT, &format!("{path}/name"), &[], put(json!("Put"))).await?.expect(204)?;
    admin
        .send(Method::PUT, &format!("{path}/revenue"), &[], put(json!(7.25)))
        .await?
        .expect(204)?;
    admin.delete(&format!("{path}/telephone1")).await?.expect(204)?;
    matches(
        &admin.json(&path).await?,
        &json!({ "name": "Put", "revenue": 7.25, "telephone1": null }),
    )?;
    let answer = admin.get(&format!("{path}/name")).await?;
    ensure!(answer.clone().ok()?["value"] == "Put", "{answer:?}");
    let virtual_id = admin.create(CUSTOMER_SET, customer("N-PUT", "P")).await?;
    let notes = format!("{}/mserp_notes", row(CUSTOMER_SET, &virtual_id));
    admin.send(Method::PUT, &notes, &[], put(json!("noted"))).await?.expect(204)?;
    ensure!(admin.json(&notes).await?["value"] == "noted");
    let before = world.both().await?;
    for (method, property, body, status) in [
        (Method::PUT, "nosuch", put(json!(1)), [400, 404]),
        (Method::PUT, "name", Some(json!({ "name": "x" })), [400, 400]),
        (Method::PUT, "name", put(json!({})), [400, 400]),
        (Method::PUT, "createdon", put(json!("2020-01-01T00:00:00Z")), [400, 400]),
        (Method::DELETE, "name", None, [400, 400]),
        (Method::DELETE, "nosuch", None, [400, 404]),
    ] {
        let answer = admin.send(method.clone(), &format!("{path}/{property}"), &[], body).await?;
        ensure!(status.contains(&answer.status.as_u16()), "{method} {property}: {answer:?}");
    }
    world.unchanged(&before).await
}

async fn references_are_set_and_removed(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let parent = account(&admin, "Parent").await?;
    let (one, two) = (
        admin.create("contacts", json!({ "lastname": "R1" })).await?,
        admin.create("contacts", json!({ "lastname": "R2" })).await?,
    );
    let leads_to = async |contact: &str| -> Result<Value> {
        Ok(admin.json(&row("contacts", contact)).await?["_parentcustomerid_value"].clone())
    };
    let single = format!("contacts({one})/parentcustomerid_account/$ref");
    let many = format!("accounts({parent})/contact_customer_accounts");
    let to_parent = json!({ "@odata.id": format!("{}accounts({parent})", admin.base()) });
    admin.send(Method::PUT, &single, &[], Some(to_parent)).await?.expect(204)?;
    ensure!(leads_to(&one).await? == parent.as_str());
    let to_two = json!({ "@odata.id": format!("contacts({two})") });
    admin.post(&format!("{many}/$ref"), to_two).await?.expect(204)?;
    ensure!(leads_to(&two).await? == parent.as_str());
    // Taken away in each of the three ways.
    admin.delete(&single).await?.expect(204)?;
    ensure!(leads_to(&one).await?.is_null());
    admin.delete(&format!("{many}({two})/$ref")).await?.expect(204)?;
    ensure!(leads_to(&two).await?.is_null());
    admin
        .post(&format!("{many}/$ref"), json!({ "@odata.id": format!("contacts({two})") }))
        .await?
        .expect(204)?;
    let other = tests::encode(&format!("{}contacts({two})", admin.base()));
    admin.delete(&format!("{many}/$ref?$id={other}")).await?.expect(204)?;
    ensure!(leads_to(&two).await?.is_null());
    // What is not related cannot be taken apart, and nothing leads to what is not there.
    let before = world.both().await?;
    admin.delete(&format!("{many}({two})/$ref")).await?.expect(404)?;
    let nobody = json!({ "@odata.id": "accounts(00000000-0000-0000-0000-000000000001)" });
    admin.send(Method::PUT, &single, &[], Some(nobody)).await?.expect(404)?;
    let wrong = json!({ "@odata.id": format!("contacts({two})") });
    admin.send(Method::PUT, &single, &[], Some(wrong)).await?.expect(400)?;
    world.unchanged(&before).await
}

async fn a_lookup_is_cleared_by_null(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let parent = account(&admin, "To be left").await?;
    for member in ["parentcustomerid_account@odata.bind", "parentcustomerid_account"] {
        let body = json!({ "lastname": "C", "parentcustomerid_account@odata.bind": row("accounts", &parent) });
        let id = admin.create("contacts", body).await?;
        admin.patch(&row("contacts", &id), &[], json!({ (member): null })).await?.expect(204)?;
        let read = admin.json(&row("contacts", &id)).await?;
        ensure!(read["_parentcustomerid_value"].is_null(), "{member}: {read}");
    }
    Ok(())
}

async fn who_may_not_write_is_refused(world: &World) -> Result<()> {
    let (admin, clerk, reader) =
        (world.admin().await?, world.clerk().await?, world.reader().await?);
    let mine = admin.create(CUSTOMER_SET, customer("N-RIGHTS", "Rights")).await?;
    let list =
        admin.json(&format!("{CUSTOMER_SET}?$top=1&$filter=mserp_dataareaid eq 'DEMF'")).await?;
    let theirs = list["value"][0]["mserp_custcustomerv3entityid"]
        .as_str()
        .context("none of DEMF")?
        .to_owned();
    let before = world.both().await?;
    let note = || json!({ "mserp_notes": "mine" });
    let strict = [("If-Match", "*")];
    assert_error(
        &reader.patch(&row(CUSTOMER_SET, &theirs), &strict, note()).await?,
        403,
        "0x80040220",
        "Write",
    )?;
    assert_error(&reader.delete(&row(CUSTOMER_SET, &theirs)).await?, 403, "0x80040220", "Delete")?;
    assert_error(
        &reader.post(CUSTOMER_SET, customer("X", "X")).await?,
        403,
        "0x80040220",
        "Create",
    )?;
    // Rows of other companies do not exist for the clerk, and none can be put there.
    assert_error(
        &clerk.patch(&row(CUSTOMER_SET, &theirs), &strict, note()).await?,
        404,
        "0x80040217",
        "",
    )?;
    assert_error(&clerk.delete(&row(CUSTOMER_SET, &theirs)).await?, 404, "0x80040217", "")?;
    let mut foreign = customer("X", "X");
    foreign["mserp_dataareaid"] = json!("DEMF");
    let answer = clerk.post(CUSTOMER_SET, foreign).await?.expect(403)?;
    ensure!(answer.parse()?["error"]["code"].is_string(), "{answer:?}");
    world.unchanged(&before).await?;
    clerk.patch(&row(CUSTOMER_SET, &mine), &strict, note()).await?.expect(204)?;
    ensure!(admin.json(&row(CUSTOMER_SET, &mine)).await?["mserp_notes"] == "mine");
    Ok(())
}
