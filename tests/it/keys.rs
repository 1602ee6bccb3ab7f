//! One row by its GUID and by its alternate key.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::assert_error;
use tests::tables::{AGREEMENTS, CUSTOMERS};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    a_row_is_found_by_its_guid_however_it_is_written,
    api_07_a_row_is_found_by_its_alternate_key_in_any_order_and_case,
    one_account_number_is_a_different_customer_in_each_company,
    a_key_may_hold_a_date,
    a_guid_of_another_table_names_no_row,
    a_single_row_has_context_and_etag,
];

async fn first(world: &World) -> Result<Value> {
    let list = world
        .admin
        .json(&format!("{}?$top=1&$orderby=mserp_customeraccount desc", CUSTOMERS.set))
        .await?;
    list["value"].get(0).cloned().context("no customers")
}

async fn a_row_is_found_by_its_guid_however_it_is_written(world: &World) -> Result<()> {
    let row = first(world).await?;
    let id = row[CUSTOMERS.id].as_str().context("no id")?;
    let forms = [
        id.to_owned(),
        id.to_uppercase(),
        format!("'{id}'"),
        format!("{}={id}", CUSTOMERS.id),
        format!("%20{id}%20"),
    ];
    for form in forms {
        let mut found = world.admin.json(&format!("{}({form})", CUSTOMERS.set)).await?;
        if let Some(members) = found.as_object_mut() {
            members.remove("@odata.context");
        }
        ensure!(found == row, "{form}: {found}\n{row}");
    }
    Ok(())
}

async fn api_07_a_row_is_found_by_its_alternate_key_in_any_order_and_case(
    world: &World,
) -> Result<()> {
    let row = first(world).await?;
    let account = row["mserp_customeraccount"].as_str().context("no account")?;
    let company = row["mserp_dataareaid"].as_str().context("no company")?;
    let (lower, lower_company) = (account.to_lowercase(), company.to_lowercase());
    let forms = [
        format!("mserp_dataareaid='{company}',mserp_customeraccount='{account}'"),
        format!("mserp_customeraccount='{account}',mserp_dataareaid='{company}'"),
        format!("mserp_customeraccount='{lower}',mserp_dataareaid='{lower_company}'"),
        format!("mserp_customeraccount%3D%27{account}%27%2C%20mserp_dataareaid%3D%27{company}%27"),
    ];
    for form in forms {
        let found = world.admin.json(&format!("{}({form})", CUSTOMERS.set)).await?;
        ensure!(found[CUSTOMERS.id] == row[CUSTOMERS.id], "{form}: {found}");
    }
    Ok(())
}

async fn one_account_number_is_a_different_customer_in_each_company(world: &World) -> Result<()> {
    let mut ids = std::collections::BTreeSet::new();
    for company in ["USMF", "USRT", "DEMF"] {
        let key = format!("mserp_dataareaid='{company}',mserp_customeraccount='US-000001'");
        let row = world.admin.json(&format!("{}({key})", CUSTOMERS.set)).await?;
        ensure!(row["mserp_dataareaid"] == company, "{row}");
        ids.insert(row[CUSTOMERS.id].as_str().map(str::to_owned));
    }
    ensure!(ids.len() == 3, "{ids:?}");
    Ok(())
}

async fn a_key_may_hold_a_date(world: &World) -> Result<()> {
    let list = world.admin.json(&format!("{}?$top=1", AGREEMENTS.set)).await?;
    let row = &list["value"][0];
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let day = text("mserp_priceapplicablefromdate");
    for day in [&day[..10.min(day.len())], day.as_str()] {
        let key = format!(
            "mserp_itemnumber='{}',mserp_priceapplicablefromdate={day},mserp_dataareaid='{}',mserp_pricecustomeraccountnumber='{}'",
            text("mserp_itemnumber"),
            text("mserp_dataareaid"),
            text("mserp_pricecustomeraccountnumber"),
        );
        let found = world.admin.json(&format!("{}({key})", AGREEMENTS.set)).await?;
        ensure!(found[AGREEMENTS.id] == row[AGREEMENTS.id], "{found}");
    }
    Ok(())
}

async fn a_guid_of_another_table_names_no_row(world: &World) -> Result<()> {
    let row = first(world).await?;
    let id = row[CUSTOMERS.id].as_str().context("no id")?;
    let answer = world.admin.get(&format!("{}({id})", AGREEMENTS.set)).await?;
    assert_error(&answer, 404, "0x80040217", "Does Not Exist")
}

async fn a_single_row_has_context_and_etag(world: &World) -> Result<()> {
    let row = first(world).await?;
    let id = row[CUSTOMERS.id].as_str().context("no id")?;
    let path = format!("{}({id})?$select=mserp_customeraccount", CUSTOMERS.set);
    let answer = world.admin.get(&path).await?;
    let tag = answer.header("etag").to_owned();
    let row = answer.ok()?;
    let context =
        format!("{}$metadata#{}(mserp_customeraccount)/$entity", world.admin.base(), CUSTOMERS.set);
    ensure!(row["@odata.context"] == context, "{row}");
    ensure!(row["@odata.etag"] == tag.as_str() && !tag.is_empty(), "{tag} {row}");
    Ok(())
}
