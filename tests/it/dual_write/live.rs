//! A save on one side is on the other when it returns.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::assert_error;
use tests::batch::{Batch, Part, parts};

use super::world::{Case, World};
use crate::write_world::{CUSTOMER_SET, customer, customer_key};

pub(super) const CASES: &[Case] = tests::cases![World:
    a_change_of_address_is_in_the_erp,
    a_raised_credit_limit_is_in_the_erp,
    what_the_erps_rules_refuse_is_on_neither_side,
    a_virtual_row_is_an_account,
    an_action_of_the_erp_is_on_the_platform,
    rows_come_and_go_on_each_side,
    a_change_set_of_two_rows_is_all_or_nothing,
    a_change_set_may_write_on_both_sides,
];

async fn a_change_of_address_is_in_the_erp(world: &World) -> Result<()> {
    let account = world.customer("DW-ADDRESS").await?;
    let address = json!({ "address1_line1": "1 Elm Street", "address1_city": "Redmond",
        "address1_postalcode": "98052", "address1_stateorprovince": "WA" });
    world.save(&account, address).await?;
    let columns = [("a.street", "1 Elm Street"), ("a.city", "Redmond"), ("a.zipcode", "98052")];
    for (column, expected) in columns {
        let found = world.in_erp("DW-ADDRESS", column).await?;
        ensure!(found == expected, "{column} is {found:?}");
    }
    // And the next one.
    world.save(&account, json!({ "address1_city": "Bellevue" })).await?;
    ensure!(world.in_erp("DW-ADDRESS", "a.city").await? == "Bellevue");
    ensure!(world.in_erp("DW-ADDRESS", "a.street").await? == "1 Elm Street");
    Ok(())
}

async fn a_raised_credit_limit_is_in_the_erp(world: &World) -> Result<()> {
    let account = world.customer("DW-CREDIT").await?;
    for (limit, expected) in [(2_000, "2000"), (5_000, "5000")] {
        world.save(&account, json!({ "creditlimit": limit })).await?;
        let found = world.in_erp("DW-CREDIT", "trim_scale(c.creditmax)").await?;
        ensure!(found == expected, "{found}");
    }
    Ok(())
}

async fn what_the_erps_rules_refuse_is_on_neither_side(world: &World) -> Result<()> {
    let account = world.customer("DW-ONCE").await?;
    world.save(&account, json!({ "msdyn_isonetimecustomer": true })).await?;
    let before = world.both().await?;
    let path = format!("accounts({account})");
    let credit = json!({ "creditlimit": 5_000, "description": "refused" });
    let answer = world.web.patch(&path, &[("If-Match", "*")], credit).await?;
    let text = "Write failed for entity Customers V3 (accounts) with unknown exception - \
                A one-time customer gets no credit limit. Correlation id: ";
    assert_error(&answer, 400, "0x80040265", text)?;
    let message = answer.parse()?["error"]["message"].as_str().unwrap_or_default().to_owned();
    let inner: serde_json::Value = serde_json::from_str(&message)?;
    ensure!(inner["RecordError0"].is_string(), "{message}");
    world.unchanged(&before).await
}

async fn a_virtual_row_is_an_account(world: &World) -> Result<()> {
    world.customer("DW-VIRTUAL").await?;
    let values = json!({ "mserp_creditlimit": 700, "mserp_organizationname": "Virtual" });
    world.save_customer("DW-VIRTUAL", values).await?;
    let credit = world.on_platform("DW-VIRTUAL", "trim_scale(creditlimit)").await?;
    let name = world.on_platform("DW-VIRTUAL", "name").await?;
    ensure!(credit == "700" && name == "Virtual", "{credit} {name}");
    Ok(())
}

async fn an_action_of_the_erp_is_on_the_platform(world: &World) -> Result<()> {
    world.customer("DW-HOLD").await?;
    let names = crate::actions::names(&world.web).await?;
    let action = names.iter().find(|it| it.ends_with("_HoldCustomer")).context("no action")?;
    let path = format!("{}/Microsoft.Dynamics.CRM.{action}", customer_key("DW-HOLD"));
    let held = world.web.post(&path, json!({ "Reason": "does not pay" })).await?;
    ensure!(held.status.is_success(), "{held:?}");
    let status = world.on_platform("DW-HOLD", "msdyn_onholdstatus").await?;
    let notes = world.on_platform("DW-HOLD", "description").await?;
    ensure!(status == "192350002" && notes.contains("does not pay"), "{status} {notes}");
    Ok(())
}

async fn rows_come_and_go_on_each_side(world: &World) -> Result<()> {
    let id = world.web.create("accounts", world.new_account("DW-MADE-P")).await?;
    ensure!(world.in_erp("DW-MADE-P", "p.name").await? == "New");
    ensure!(world.in_erp("DW-MADE-P", "c.custgroup").await? == "10");
    world.web.delete(&format!("accounts({id})")).await?.expect(204)?;
    ensure!(world.in_erp("DW-MADE-P", "c.accountnum").await?.is_empty(), "it is still there");

    world.web.create(CUSTOMER_SET, customer("DW-MADE-E", "Made there")).await?;
    ensure!(world.on_platform("DW-MADE-E", "name").await? == "Made there");
    world.web.delete(&customer_key("DW-MADE-E")).await?.expect(204)?;
    ensure!(world.on_platform("DW-MADE-E", "name").await?.is_empty(), "it is still there");

    // What there is on the other side already is refused, and made on neither.
    world.customer("DW-TWICE").await?;
    let before = world.both().await?;
    let twice = world.web.post("accounts", world.new_account("DW-TWICE")).await?;
    ensure!(twice.status.is_client_error(), "{twice:?}");
    world.unchanged(&before).await
}

async fn a_change_set_of_two_rows_is_all_or_nothing(world: &World) -> Result<()> {
    let (first, second) = (world.customer("DW-SET-1").await?, world.customer("DW-SET-2").await?);
    world.save(&second, json!({ "msdyn_isonetimecustomer": true })).await?;
    let change = |id: &str, account: &str, body: serde_json::Value| {
        Part::patch(format!("accounts({account})"), &body).id(id)
    };
    let good = [
        change("1", &first, json!({ "msdyn_namealias": "one" })),
        change("2", &second, json!({ "msdyn_namealias": "two" })),
    ];
    let answer = Batch::default().change_set(good).send(&world.web, &[]).await?;
    ensure!(parts(&answer)?.iter().all(|it| it.status == 204), "{answer:?}");
    let found = (
        world.in_erp("DW-SET-1", "p.namealias").await?,
        world.in_erp("DW-SET-2", "p.namealias").await?,
    );
    ensure!(found == ("one".to_owned(), "two".to_owned()), "{found:?}");

    let before = world.both().await?;
    let refused = [
        change("1", &first, json!({ "msdyn_namealias": "never" })),
        change("2", &second, json!({ "creditlimit": 9 })),
    ];
    let answer = Batch::default().change_set(refused).send(&world.web, &[]).await?;
    ensure!(answer.body.contains("0x80040265"), "{answer:?}");
    world.unchanged(&before).await
}

async fn a_change_set_may_write_on_both_sides(world: &World) -> Result<()> {
    let account = world.customer("DW-MIXED-P").await?;
    world.customer("DW-MIXED-E").await?;
    let both = |rating: &str, limit: i64| {
        let platform = json!({ "msdyn_creditrating": rating });
        let erp = json!({ "mserp_creditrating": rating, "mserp_creditlimit": limit });
        [
            Part::patch(format!("accounts({account})"), &platform).id("1"),
            Part::patch(customer_key("DW-MIXED-E"), &erp).id("2"),
        ]
    };
    let answer = Batch::default().change_set(both("A", 10)).send(&world.web, &[]).await?;
    ensure!(parts(&answer)?.iter().all(|it| it.status == 204), "{answer:?}");
    for number in ["DW-MIXED-P", "DW-MIXED-E"] {
        let found = (
            world.on_platform(number, "msdyn_creditrating").await?,
            world.in_erp(number, "c.creditrating").await?,
        );
        ensure!(found == ("A".to_owned(), "A".to_owned()), "{number} {found:?}");
    }
    world.save_customer("DW-MIXED-E", json!({ "mserp_creditlimit": 0 })).await?;
    let other = world.account_id("DW-MIXED-E").await?.context("no account")?;
    world.save(&other, json!({ "msdyn_isonetimecustomer": true })).await?;
    let before = world.both().await?;
    let answer = Batch::default().change_set(both("B", 10)).send(&world.web, &[]).await?;
    let refused = parts(&answer).map_or(answer.status.is_client_error(), |them| {
        them.iter().any(|it| (400..500).contains(&it.status))
    });
    ensure!(refused, "{answer:?}");
    world.unchanged(&before).await
}
