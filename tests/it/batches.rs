//! `$batch`: change sets are atomic, over one store and over both; Content-IDs name rows of earlier
//! requests; what stands outside a change set is on its own.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::Web;
use tests::batch::{Batch, Part, PartAnswer, parts};

use crate::write_world::{
    CUSTOMER_SET, Case, LINE_SET, ORDER, ORDER_SET, World, customer, customer_key, matches, row,
};

pub(crate) const CASES: &[Case] = tests::cases![World:
    a_change_set_is_answered_part_by_part,
    content_ids_stand_in_addresses_and_bodies,
    an_unknown_content_id_is_told,
    a_change_set_over_both_stores_is_written,
    a_change_set_over_both_stores_fails_as_one,
    a_change_set_over_one_store_fails_as_one,
    requests_outside_change_sets_are_on_their_own,
    an_order_with_lines_is_one_change_set,
    a_change_set_sees_its_own_writes,
    versions_are_compared_within_a_change_set,
    batches_of_real_clients_are_read,
];

fn account(name: &str) -> Part {
    Part::post("accounts", &json!({ "name": name }))
}

/// The one part that tells why a change set failed.
fn refusal(answers: &[PartAnswer], status: u16, text: &str) -> Result<()> {
    let last = answers.last().context("no parts")?;
    ensure!(
        last.status == status && last.body.contains(text),
        "expected {status} {text:?}: {last:?}"
    );
    let error = &last.json()?["error"];
    ensure!(error["code"].is_string() && error["message"].is_string(), "{last:?}");
    Ok(())
}

async fn named(world: &World, name: &str) -> Result<(i64, i64)> {
    let customers = format!("SELECT count(*) FROM erp.dirpartytable WHERE name = '{name}'");
    let accounts = format!(
        "SELECT (SELECT count(*) FROM organization.account WHERE name = '{name}')
        + (SELECT count(*) FROM organization.contact WHERE lastname = '{name}')"
    );
    Ok((world.erp.count(&customers).await?, world.platform.count(&accounts).await?))
}

async fn a_change_set_is_answered_part_by_part(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let batch = Batch::default().change_set([
        account("B 1").id("1"),
        account("B 1").id("two"),
        Part::delete("$1").id("3"),
    ]);
    let answers = batch.parts(&admin, &[], 200).await?;
    ensure!(answers.len() == 3 && answers.iter().all(|it| it.in_change_set), "{answers:?}");
    let ids: Vec<_> = answers.iter().map(|it| it.content_id.as_deref()).collect();
    ensure!(ids == [Some("1"), Some("two"), Some("3")], "{ids:?}");
    for answer in &answers {
        ensure!(answer.status == 204 && answer.header("odata-version") == "4.0", "{answer:?}");
    }
    let (first, second) = (answers[0].id()?, answers[1].id()?);
    let address = format!("{}{}", admin.base(), row("accounts", &second));
    ensure!(answers[1].header("odata-entityid") == address, "{:?}", answers[1]);
    ensure!(answers[1].header("location") == address, "{:?}", answers[1]);
    admin.json(&row("accounts", &second)).await?;
    ensure!(admin.get(&row("accounts", &first)).await?.status == 404, "it was deleted");
    // A part may ask for what was stored.
    let part = account("B 1").id("1").header("Prefer", "return=representation");
    let answers = Batch::default().change_set([part]).parts(&admin, &[], 200).await?;
    ensure!(answers[0].status == 201 && answers[0].json()?["name"] == "B 1", "{answers:?}");
    Ok(())
}

async fn content_ids_stand_in_addresses_and_bodies(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let contact = |name: &str| Part::post("contacts", &json!({ "lastname": name }));
    let bound = json!({ "name": "B 2", "primarycontactid@odata.bind": "$1" });
    let batch = Batch::default().change_set([
        contact("first").id("1"),
        Part::post("accounts", &bound).id("2"),
        Part::patch("$2", &json!({ "telephone1": "2" })).id("3"),
        Part::new(Method::PUT, "$2/websiteurl")
            .body(&json!({ "value": "https://x.example" }))
            .id("4"),
        contact("second").id("5"),
        Part::new(Method::PUT, "$2/primarycontactid/$ref")
            .body(&json!({ "@odata.id": "$5" }))
            .id("6"),
        Part::post("$2/contact_customer_accounts/$ref", &json!({ "@odata.id": "$1" })).id("7"),
    ]);
    let answers = batch.parts(&admin, &[], 200).await?;
    ensure!(answers.iter().all(|it| it.status == 204), "{answers:#?}");
    let (first, account, second) = (answers[0].id()?, answers[1].id()?, answers[4].id()?);
    let expected = json!({ "telephone1": "2", "websiteurl": "https://x.example",
        "_primarycontactid_value": second });
    matches(&admin.json(&row("accounts", &account)).await?, &expected)?;
    let read = admin.json(&row("contacts", &first)).await?;
    ensure!(read["_parentcustomerid_value"] == account.as_str(), "{read}");
    Ok(())
}

async fn an_unknown_content_id_is_told(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let before = world.both().await?;
    let bound = json!({ "lastname": "x", "parentcustomerid_account@odata.bind": "$9" });
    for part in [Part::patch("$9", &json!({ "name": "x" })), Part::post("contacts", &bound)] {
        let batch = Batch::default().change_set([account("B 3").id("1"), part.id("2")]);
        let answer = batch.send(&admin, &[]).await?;
        let text = "Content-ID Reference: '$9' does not exist in the batch context.";
        ensure!(answer.status == 400 && answer.body.contains(text), "{answer:?}");
    }
    world.unchanged(&before).await?;
    // Those of one change set mean nothing in the next.
    let batch = Batch::default().change_set([account("B 3b").id("1")]).change_set([Part::patch(
        "$1",
        &json!({ "name": "x" }),
    )
    .id("2")]);
    let answer = batch.send(&admin, &[]).await?;
    ensure!([200, 400].contains(&answer.status.as_u16()), "{answer:?}");
    if answer.status == 400 {
        ensure!(answer.body.contains("'$1'"), "{answer:?}");
    }
    Ok(())
}

fn over_both(account: &str, name: &str) -> Vec<Part> {
    let contact = json!({ "lastname": name, "parentcustomerid_account@odata.bind": "$2" });
    vec![
        Part::post(CUSTOMER_SET, &customer(account, name)).id("1"),
        Part::post("accounts", &json!({ "name": name, "accountnumber": account })).id("2"),
        Part::post("contacts", &contact).id("3"),
        Part::patch("$1", &json!({ "mserp_notes": "both" })).id("4"),
        Part::patch("$2", &json!({ "description": "both" })).id("5"),
    ]
}

async fn a_change_set_over_both_stores_is_written(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let batch = Batch::default().change_set(over_both("B-4", "B 4"));
    let answers = batch.parts(&admin, &[], 200).await?;
    ensure!(answers.len() == 5 && answers.iter().all(|it| it.status == 204), "{answers:#?}");
    let read = admin.json(&row(CUSTOMER_SET, &answers[0].id()?)).await?;
    matches(&read, &json!({ "mserp_customeraccount": "B-4", "mserp_notes": "both" }))?;
    let read = admin.json(&row("accounts", &answers[1].id()?)).await?;
    matches(&read, &json!({ "accountnumber": "B-4", "description": "both" }))?;
    ensure!(named(world, "B 4").await? == (1, 2));
    nothing_prepared(world).await
}

async fn nothing_prepared(world: &World) -> Result<()> {
    let prepared = "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'tombolo:%'";
    ensure!(world.platform.count(prepared).await? == 0, "a prepared transaction is left");
    ensure!(world.erp.count(prepared).await? == 0, "the ERP never prepares");
    Ok(())
}

/// Whichever of them fails, in whichever store.
async fn a_change_set_over_both_stores_fails_as_one(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let nobody = "accounts(00000000-0000-0000-0000-000000000001)";
    let bad: [(Part, u16, &str); 7] = [
        (
            Part::post(
                CUSTOMER_SET,
                &json!({ "mserp_dataareaid": "USMF", "mserp_organizationname": "x", "mserp_customergroupid": "NONE" }),
            ),
            400,
            "mserp_customergroupid",
        ),
        (Part::post(CUSTOMER_SET, &json!({ "mserp_nosuch": 1 })), 400, "mserp_nosuch"),
        (Part::post("accounts", &json!({ "name": "x", "accountnumber": "US-000001" })), 412, ""),
        (Part::post("accounts", &json!({ "name": "x".repeat(300) })), 400, "name"),
        (
            Part::patch(nobody, &json!({ "name": "x" })).header("If-Match", "*"),
            404,
            "Does Not Exist",
        ),
        (Part::delete(nobody), 404, "Does Not Exist"),
        (Part::delete(customer_key("NOBODY")), 404, ""),
    ];
    let before = world.both().await?;
    for (part, status, text) in bad {
        for place in [0, 2, 5] {
            let mut set = over_both("B-5", "B 5");
            set.insert(place, part.clone().id("bad"));
            let answers = Batch::default().change_set(set).parts(&admin, &[], 400).await?;
            ensure!(answers.len() == 1, "{answers:#?}");
            refusal(&answers, status, text).with_context(|| format!("at {place}: {part:?}"))?;
            world.unchanged(&before).await.with_context(|| format!("at {place}: {part:?}"))?;
        }
    }
    // What the ERP refuses only when it is told to commit.
    world.erp.execute(
        "CREATE FUNCTION erp.refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'Too late for %.', NEW.accountnum; END $$;
         CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON erp.custtable DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW WHEN (NEW.accountnum = 'B-5') EXECUTE FUNCTION erp.refuse_late()",
    ).await?;
    let answers =
        Batch::default().change_set(over_both("B-5", "B 5")).parts(&admin, &[], 400).await;
    let undone = world.erp.execute("DROP FUNCTION erp.refuse_late() CASCADE").await;
    refusal(&answers?, 400, "Too late for B-5.")?;
    undone?;
    world.unchanged(&before).await?;
    nothing_prepared(world).await
}

async fn a_change_set_over_one_store_fails_as_one(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let before = world.both().await?;
    let native = [
        account("B 6").id("1"),
        account("B 6").id("2"),
        Part::post("accounts", &json!({ "nosuch": 1 })).id("3"),
    ];
    let answers = Batch::default().change_set(native).parts(&admin, &[], 400).await?;
    refusal(&answers, 400, "nosuch")?;
    world.unchanged(&before).await?;
    let erp = [
        Part::post(CUSTOMER_SET, &customer("B-6", "B 6")).id("1"),
        Part::patch("$1", &json!({ "mserp_creditlimit": -1 })).id("2"),
    ];
    let answers = Batch::default().change_set(erp).parts(&admin, &[], 400).await?;
    refusal(&answers, 400, "mserp_creditlimit")?;
    ensure!(answers.len() == 1, "{answers:?}");
    world.unchanged(&before).await
}

async fn requests_outside_change_sets_are_on_their_own(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let batch = || {
        Batch::default()
            .and(account("B 7"))
            .and(Part::get("accounts?$top=1&$select=name"))
            .and(Part::post("accounts", &json!({ "nosuch": 1 })))
            .change_set([account("B 7").id("1"), Part::delete("$7").id("2")])
            .change_set([account("B 7").id("1")])
            .and(account("B 7"))
    };
    // Stops at the first that fails.
    let answers = batch().parts(&admin, &[], 400).await?;
    let statuses: Vec<_> = answers.iter().map(|it| it.status).collect();
    ensure!(statuses == [204, 200, 400], "{statuses:?}");
    ensure!(named(world, "B 7").await?.1 == 1);
    // Goes on.
    let go_on = [("Prefer", "odata.continue-on-error")];
    let answer = batch().send(&admin, &go_on).await?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(answer.header("preference-applied").contains("continue-on-error"), "{answer:?}");
    let answers = parts(&answer)?;
    let statuses: Vec<_> = answers.iter().map(|it| it.status).collect();
    ensure!(statuses == [204, 200, 400, 400, 204, 204], "{statuses:?} {answers:#?}");
    ensure!(named(world, "B 7").await?.1 == 4, "{:?}", named(world, "B 7").await?);
    Ok(())
}

async fn an_order_with_lines_is_one_change_set(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    admin.create(CUSTOMER_SET, customer("B-8", "B 8")).await?;
    let item = world.item().await?;
    let order = json!({ "mserp_dataareaid": "USMF", "mserp_orderingcustomeraccountnumber": "B-8" });
    let line = |quantity: i32| {
        Part::post(
            LINE_SET,
            &json!({ "mserp_dataareaid": "USMF", "mserp_itemnumber": item,
            "mserp_orderedsalesquantity": quantity, "mserp_salesprice": 5,
            (format!("{ORDER}@odata.bind")): "$1" }),
        )
    };
    let set =
        |last: i32| [Part::post(ORDER_SET, &order).id("1"), line(1).id("2"), line(last).id("3")];
    let answers = Batch::default().change_set(set(2)).parts(&admin, &[], 200).await?;
    let read = admin.json(&row(ORDER_SET, &answers[0].id()?)).await?;
    matches(&read, &json!({ "mserp_ordertotalamount": 15, "mserp_numberoflines": 2 }))?;
    let before = world.both().await?;
    let answers = Batch::default().change_set(set(-2)).parts(&admin, &[], 400).await?;
    refusal(&answers, 400, "mserp_orderedsalesquantity")?;
    world.unchanged(&before).await
}

async fn a_change_set_sees_its_own_writes(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let by_key =
        Part::patch(customer_key("B-9"), &json!({ "mserp_notes": "seen" })).header("If-Match", "*");
    let set = [
        Part::post(CUSTOMER_SET, &customer("B-9", "B 9")).id("1"),
        by_key.id("2"),
        Part::post("accounts", &json!({ "name": "B 9", "accountnumber": "B-9" })).id("3"),
        Part::patch("accounts(accountnumber='B-9')", &json!({ "description": "seen" }))
            .header("If-Match", "*")
            .id("4"),
        Part::delete("accounts(accountnumber='B-9')").id("5"),
    ];
    let answers = Batch::default().change_set(set).parts(&admin, &[], 200).await?;
    ensure!(answers.iter().all(|it| it.status == 204), "{answers:#?}");
    ensure!(admin.json(&customer_key("B-9")).await?["mserp_notes"] == "seen");
    ensure!(named(world, "B 9").await? == (1, 0));
    Ok(())
}

async fn versions_are_compared_within_a_change_set(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let customer_id = admin.create(CUSTOMER_SET, customer("B-10", "B 10")).await?;
    let account_id = admin.create("accounts", json!({ "name": "B 10" })).await?;
    let (customer, account) = (row(CUSTOMER_SET, &customer_id), row("accounts", &account_id));
    let tag = async |web: &Web, path: &str| -> Result<String> {
        Ok(web.json(path).await?["@odata.etag"].as_str().context("no tag")?.to_owned())
    };
    let set = |customer_tag: &str, account_tag: &str| {
        [
            Part::patch(&customer, &json!({ "mserp_notes": "v" }))
                .header("If-Match", customer_tag)
                .id("1"),
            Part::patch(&account, &json!({ "description": "v" }))
                .header("If-Match", account_tag)
                .id("2"),
        ]
    };
    let (first, second) = (tag(&admin, &customer).await?, tag(&admin, &account).await?);
    let answers = Batch::default().change_set(set(&first, &second)).parts(&admin, &[], 200).await?;
    ensure!(answers.iter().all(|it| it.status == 204), "{answers:#?}");
    let before = world.both().await?;
    let (third, fourth) = (tag(&admin, &customer).await?, tag(&admin, &account).await?);
    for set in [set(&first, &fourth), set(&third, &second)] {
        let answers = Batch::default().change_set(set).parts(&admin, &[], 400).await?;
        refusal(&answers, 412, "RowVersion")?;
        world.unchanged(&before).await?;
    }
    Ok(())
}

/// Their odd line ends, blanks and boundaries.
async fn batches_of_real_clients_are_read(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let text = Batch::default()
        .change_set([account("B 11").id("1")])
        .and(Part::get("accounts?$top=1"))
        .text();
    let absolute = text.replace("POST accounts", &format!("POST {}accounts", admin.base()));
    let rooted = text.replace("POST accounts", "POST /api/data/v9.2/accounts");
    let cases = [
        ("as it is", text.clone()),
        ("absolute", absolute),
        ("rooted", rooted),
        ("a line before", format!("\r\n{text}")),
        ("LF", text.replace("\r\n", "\n")),
        ("a blank line at the end", format!("{text} \r\n")),
        (
            "no space after colons",
            text.replace("Content-Type: ", "Content-Type:").replace("Content-ID: ", "Content-ID:"),
        ),
        ("an entry", text.replace("application/json", "application/json; type=entry")),
        (
            "lower case",
            text.replace("Content-Type", "content-type").replace("Content-ID", "content-id"),
        ),
    ];
    let count = cases.len() as i64;
    for (what, text) in cases {
        for kind in
            [Batch::content_type(), Batch::content_type().replace('"', "").replace("; ", ";")]
        {
            let answer = admin
                .send_text(Method::POST, "$batch", &[("Content-Type", &kind)], text.clone())
                .await?;
            ensure!(answer.status == 200, "{what}, {kind}: {answer:?}");
            let answers = parts(&answer).with_context(|| what.to_owned())?;
            let statuses: Vec<_> = answers.iter().map(|it| it.status).collect();
            ensure!(statuses == [204, 200], "{what}: {answers:#?}");
        }
    }
    ensure!(named(world, "B 11").await?.1 == 2 * count);
    let first: Value = admin.json("accounts?$top=1").await?;
    ensure!(first["value"].is_array());
    Ok(())
}
