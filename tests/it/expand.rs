//! `$expand`: what comes along, beside what its own requests give.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::assert_error;
use tests::tables::CUSTOMERS;

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    ve_072_api_14_expands_hold_what_requests_of_their_own_do,
    api_14_nested_options_shape_the_expanded_rows,
    api_14_a_record_expands_as_a_page_does,
    api_14_what_cannot_be_expanded_is_refused_in_the_platforms_words,
];

const PLACED: &str = "mserp_FK_SalesOrderHeaderV2Entity_OrderingCustomer";
const GROUP: &str = "mserp_FK_CustomerGroup_id";
const WITH_ORDERS: &str = "mserp_FK_SalesOrderHeaderV2Entity_OrderingCustomer/any()";

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().with_context(|| format!("no list: {value}"))
}

async fn ve_072_api_14_expands_hold_what_requests_of_their_own_do(world: &World) -> Result<()> {
    let path = format!(
        "{}?$select=mserp_customeraccount&$filter={WITH_ORDERS}&$top=20&$expand={GROUP}($select=\
         mserp_customergroupid,mserp_description),mserp_dataAreaId_id($select=cdm_companycode),\
         {PLACED}($select=mserp_salesordernumber;$orderby=mserp_salesordernumber),mserp_FK_Party_id/$ref",
        CUSTOMERS.set
    );
    let answer = world.admin.json(&path).await?;
    let context = answer["@odata.context"].as_str().unwrap_or_default();
    let said = "mserp_FK_Party_id,mserp_FK_Party_id/$ref())";
    ensure!(context.ends_with(said), "{context}");
    let customers = list(&answer["value"])?;
    ensure!(customers.len() == 20, "{} customers", customers.len());
    for customer in customers {
        let id = customer[CUSTOMERS.id].as_str().context("no id")?;
        let own = format!("{}({id})", CUSTOMERS.set);
        let group = format!("{own}/{GROUP}?$select=mserp_customergroupid,mserp_description");
        let mut group = world.admin.json(&group).await?;
        group.as_object_mut().context("no group")?.remove("@odata.context");
        ensure!(customer[GROUP] == group, "{} {group}", customer[GROUP]);
        let company = format!("{own}/mserp_dataAreaId_id/cdm_companycode");
        let company = world.admin.json(&company).await?;
        ensure!(customer["mserp_dataAreaId_id"]["cdm_companycode"] == company["value"]);
        let next = customer[format!("{PLACED}@odata.nextLink")].as_str().context("no link")?;
        let orders = world.admin.json(next).await?;
        ensure!(customer[PLACED] == orders["value"], "{} {orders}", customer[PLACED]);
        ensure!(!list(&customer[PLACED])?.is_empty(), "{customer}");
        let party = customer["mserp_FK_Party_id"]["@odata.id"].as_str().context("no address")?;
        world.admin.json(party).await?;
    }
    Ok(())
}

async fn api_14_nested_options_shape_the_expanded_rows(world: &World) -> Result<()> {
    let path = format!(
        "{}?$select=mserp_customeraccount&$filter={WITH_ORDERS}&$top=30&$expand={PLACED}($select=\
         mserp_salesordernumber,mserp_salesorderstatus;$filter=mserp_salesorderstatus ne 200000003;\
         $orderby=mserp_salesordernumber desc;$top=2;$expand=mserp_FK_Currency_id($select=mserp_currencycode))",
        CUSTOMERS.set
    );
    let answer = world.admin.json(&path).await?;
    let mut most = 0;
    for customer in list(&answer["value"])? {
        let orders = list(&customer[PLACED])?;
        most = most.max(orders.len());
        let numbers: Vec<_> =
            orders.iter().map(|it| it["mserp_salesordernumber"].as_str()).collect();
        ensure!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
        for order in orders {
            ensure!(order["mserp_salesorderstatus"] != 200_000_003, "{order}");
            let currency = &order["mserp_FK_Currency_id"];
            ensure!(currency["mserp_currencycode"].is_string(), "{order}");
        }
    }
    ensure!(most == 2, "the most orders of a customer are {most}");
    Ok(())
}

async fn api_14_a_record_expands_as_a_page_does(world: &World) -> Result<()> {
    let options = format!(
        "$select=mserp_customeraccount&$expand={GROUP},{PLACED}($select=mserp_salesordernumber)"
    );
    let page = format!("{}?{options}&$filter={WITH_ORDERS}&$top=1", CUSTOMERS.set);
    let row = world.admin.json(&page).await?["value"][0].clone();
    let id = row[CUSTOMERS.id].as_str().context("no id")?;
    let mut record = world.admin.json(&format!("{}({id})?{options}", CUSTOMERS.set)).await?;
    let context = record.as_object_mut().context("no row")?.remove("@odata.context");
    let context = context.unwrap_or_default().to_string();
    ensure!(context.contains(&format!("{PLACED}(mserp_salesordernumber))/$entity")), "{context}");
    ensure!(record == row, "{record}\n{row}");
    Ok(())
}

async fn api_14_what_cannot_be_expanded_is_refused_in_the_platforms_words(
    world: &World,
) -> Result<()> {
    let only = "Only $select and $filter clause can be provided while doing $expand on many-to-one \
                relationship or nested one-to-many relationship.";
    for (expand, code, text) in [
        (
            format!("{PLACED}/$ref"),
            "0x80060888",
            "Expand with $ref is only supported on lookup type navigation property.",
        ),
        (format!("{GROUP}($orderby=mserp_customergroupid)"), "0x80060888", only),
        (
            format!("{PLACED}($expand=mserp_FK_SalesOrderLineV2Entity_SalesOrderHeader($top=1))"),
            "0x80060888",
            only,
        ),
        (format!("{PLACED}($skip=1)"), "0x80060888", "'$skip' is not supported"),
        ("nope".to_owned(), "0x0", "'nope'"),
        (format!("{PLACED}($select=nope)"), "0x0", "mserp_salesorderheaderv2entity"),
        (format!("{PLACED}("), "0x0", "Syntax error"),
    ] {
        let answer = world.admin.get(&format!("{}?$expand={expand}", CUSTOMERS.set)).await?;
        assert_error(&answer, 400, code, text)?;
    }
    Ok(())
}
