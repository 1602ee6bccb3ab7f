//! `$filter` over related rows, against plain SQL over the same rows.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::tables::CUSTOMERS;
use tests::{Web, assert_error};

use crate::fetch::{sql, text};
use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    ve_071_api_09_paths_filter_by_related_rows,
    api_10_query_functions_answer_what_sql_does,
    ve_073_api_11_lambdas_answer_what_sql_does,
    ve_077_api_12_paths_order_rows,
    api_17_aliases_stand_for_values,
    api_09_limits_have_their_codes,
    api_11_lambdas_show_only_what_the_caller_may_see,
];

const ORDERS: &str = "mserp_salesorderheaderv2entities";
const PLACED: &str = "mserp_FK_SalesOrderHeaderV2Entity_OrderingCustomer";
const LINES: &str = "mserp_FK_SalesOrderLineV2Entity_SalesOrderHeader";
const OF_CUSTOMER: &str = "o.custaccount = c.accountnum AND o.dataareaid = c.dataareaid";
const OF_ORDER: &str = "l.salesid = o.salesid AND l.dataareaid = o.dataareaid";

/// The rows that a filter leaves, and those that SQL gives, as sorted texts; no fewer than one.
async fn check(
    world: &World,
    (set, keys): (&str, &[&str]),
    filter: &str,
    expected: &str,
) -> Result<()> {
    let path = format!("{set}?$select={}&$filter={filter}", keys.join(","));
    let mut got = rows(&world.admin, &path, keys).await?;
    let mut expected = sql(world, expected).await?;
    got.sort();
    expected.sort();
    ensure!(!expected.is_empty(), "{filter}: nothing to find in the demo ERP");
    ensure!(
        got == expected,
        "{filter}\n got      {} {:?}\n expected {} {:?}",
        got.len(),
        got.first(),
        expected.len(),
        expected.first()
    );
    Ok(())
}

async fn rows(web: &Web, path: &str, keys: &[&str]) -> Result<Vec<Vec<String>>> {
    let answer = web.json(path).await.with_context(|| path.to_owned())?;
    let rows = answer["value"].as_array().context("no value")?;
    let cells = |row: &Value| keys.iter().map(|it| text(&row[*it])).collect();
    Ok(rows.iter().map(cells).collect())
}

const CUSTOMER_KEYS: [&str; 2] = ["mserp_dataareaid", "mserp_customeraccount"];
const ORDER_KEYS: [&str; 2] = ["mserp_dataareaid", "mserp_salesordernumber"];

fn customers(condition: &str) -> String {
    format!(
        "SELECT c.dataareaid::text, c.accountnum::text FROM erp.custtable c
         JOIN erp.dirpartytable p ON p.recid = c.party WHERE {condition}"
    )
}

fn orders(condition: &str) -> String {
    format!(
        "SELECT o.dataareaid::text, o.salesid::text FROM erp.salestable o
         LEFT JOIN erp.custtable c ON {OF_CUSTOMER}
         LEFT JOIN erp.custgroup g ON g.dataareaid = c.dataareaid AND g.custgroup = c.custgroup
         WHERE {condition}"
    )
}

async fn ve_071_api_09_paths_filter_by_related_rows(world: &World) -> Result<()> {
    let customer = "mserp_FK_OrderingCustomer_id";
    for (filter, condition) in [
        (format!("{customer}/mserp_creditlimit gt 500000"), "c.creditmax > 500000"),
        (
            format!("{customer}/mserp_FK_CustomerGroup_id/mserp_customergroupid eq '10'"),
            "g.custgroup = '10'",
        ),
        (
            format!("{customer}/mserp_invoiceaccount ne mserp_orderingcustomeraccountnumber"),
            "c.invoiceaccount IS DISTINCT FROM o.custaccount",
        ),
        (
            format!(
                "not ({customer}/mserp_creditlimit gt 500000) and mserp_salesorderstatus eq 200000003"
            ),
            "c.creditmax <= 500000 AND o.salesstatus = 4",
        ),
        ("mserp_dataAreaId_id/cdm_companycode eq 'usmf'".to_owned(), "o.dataareaid = 'USMF'"),
    ] {
        check(world, (ORDERS, &ORDER_KEYS), &filter, &orders(condition)).await?;
    }
    let order = world.admin.json(&format!("{ORDERS}?$top=1")).await?["value"][0].clone();
    let customer_id =
        order["_mserp_fk_orderingcustomer_id_value"].as_str().context("no customer")?;
    let account = order["mserp_orderingcustomeraccountnumber"].as_str().context("no account")?;
    let company = order["mserp_dataareaid"].as_str().context("no company")?;
    let same = orders(&format!(
        "o.custaccount = '{account}' AND upper(o.dataareaid) = upper('{company}')"
    ));
    for filter in [
        format!("{customer}/mserp_custcustomerv3entityid eq {customer_id}"),
        format!("_mserp_fk_orderingcustomer_id_value eq {customer_id}"),
    ] {
        check(world, (ORDERS, &ORDER_KEYS), &filter, &same).await?;
    }
    Ok(())
}

async fn api_10_query_functions_answer_what_sql_does(world: &World) -> Result<()> {
    let call = |name: &str, column: &str, arguments: &str| {
        format!("Microsoft.Dynamics.CRM.{name}(PropertyName='{column}'{arguments})")
    };
    for (filter, condition) in [
        (
            call("Between", "mserp_creditlimit", ",PropertyValues=['700000','800000']"),
            "c.creditmax BETWEEN 700000 AND 800000",
        ),
        (
            call("NotBetween", "mserp_creditlimit", ",PropertyValue1=700000,PropertyValue2=800000"),
            "c.creditmax NOT BETWEEN 700000 AND 800000",
        ),
        (
            call("NotIn", "mserp_customergroupid", ",PropertyValues=['10','20']"),
            "c.custgroup NOT IN ('10', '20')",
        ),
        (
            call("OnOrAfter", "mserp_creditreviewdate", ",PropertyValue='2024-01-01'"),
            "c.creditreviewdate >= '2024-01-01'",
        ),
        (
            call("LastXYears", "mserp_createddatetime", ",PropertyValue=2"),
            "c.createddatetime >= date_trunc('day', now() AT TIME ZONE 'UTC') - interval '2 years'
             AND c.createddatetime <= now() AT TIME ZONE 'UTC'",
        ),
        (
            call("OlderThanXMonths", "mserp_createddatetime", ",PropertyValue=12"),
            "c.createddatetime < date_trunc('day', now() AT TIME ZONE 'UTC') - interval '12 months'
             AND c.createddatetime > '1900-01-01'",
        ),
    ] {
        check(world, (CUSTOMERS.set, &CUSTOMER_KEYS), &filter, &customers(condition)).await?;
    }
    let owned = format!("accounts?$select=name&$filter={}", call("EqualUserId", "ownerid", ""));
    let owned = world.admin.json(&owned).await?;
    let all = world.admin.json("accounts?$select=_ownerid_value").await?;
    let me = world.admin.json("WhoAmI").await?;
    let rows = all["value"].as_array().context("no accounts")?;
    let mine = rows.iter().filter(|it| it["_ownerid_value"] == me["UserId"]).count();
    ensure!(owned["value"].as_array().map(Vec::len) == Some(mine), "{mine} accounts are mine");
    let negated =
        format!("{}?$filter=not {}", CUSTOMERS.set, call("Today", "mserp_createddatetime", ""));
    assert_error(&world.admin.get(&negated).await?, 405, "0x80060888", "Not operator along with")
}

async fn ve_073_api_11_lambdas_answer_what_sql_does(world: &World) -> Result<()> {
    let canceled =
        format!("EXISTS (SELECT FROM erp.salestable o WHERE {OF_CUSTOMER} AND o.salesstatus = 4)");
    let is_canceled = "o/mserp_salesorderstatus eq 200000003";
    let large = format!(
        "EXISTS (SELECT FROM erp.salestable o WHERE {OF_CUSTOMER} AND
          EXISTS (SELECT FROM erp.salesline l WHERE {OF_ORDER} AND l.salesqty > 5))"
    );
    for (filter, condition) in [
        (format!("{PLACED}/any()"), format!("EXISTS (SELECT FROM erp.salestable o WHERE {OF_CUSTOMER})")),
        (
            format!("not {PLACED}/any()"),
            format!("NOT EXISTS (SELECT FROM erp.salestable o WHERE {OF_CUSTOMER})"),
        ),
        (format!("{PLACED}/any(o:{is_canceled})"), canceled.clone()),
        (format!("not {PLACED}/any(o:{is_canceled})"), format!("NOT {canceled}")),
        (
            format!("{PLACED}/all(o:{is_canceled}) and {PLACED}/any()"),
            format!(
                "EXISTS (SELECT FROM erp.salestable o WHERE {OF_CUSTOMER}) AND NOT EXISTS (SELECT FROM
                 erp.salestable o WHERE {OF_CUSTOMER} AND o.salesstatus <> 4)"
            ),
        ),
        (
            format!("{PLACED}/any(o:o/{LINES}/any(l:l/mserp_orderedsalesquantity gt 5))"),
            large.clone(),
        ),
        (
            format!("mserp_creditlimit gt 800000 or {PLACED}/any(o:{is_canceled})"),
            format!("c.creditmax > 800000 OR {canceled}"),
        ),
        (
            format!("{PLACED}/any(o:o/mserp_FK_Currency_id/mserp_currencycode eq 'EUR')"),
            format!("EXISTS (SELECT FROM erp.salestable o WHERE {OF_CUSTOMER} AND o.currencycode = 'EUR')"),
        ),
        (
            format!(
                "{PLACED}/any(o:Microsoft.Dynamics.CRM.In(PropertyName='mserp_salesorderstatus',\
                 PropertyValues=['200000003']))"
            ),
            canceled,
        ),
    ] {
        check(world, (CUSTOMERS.set, &CUSTOMER_KEYS), &filter, &customers(&condition)).await?;
    }
    let wrong = format!("{}?$filter={PLACED}/any(o:o/nope eq 1)", CUSTOMERS.set);
    assert_error(&world.admin.get(&wrong).await?, 400, "0x0", "'nope'")
}

async fn ve_077_api_12_paths_order_rows(world: &World) -> Result<()> {
    let path = format!(
        "{ORDERS}?$select=mserp_salesordernumber,mserp_dataareaid&$orderby=mserp_FK_OrderingCustomer_id/\
         mserp_creditlimit desc,mserp_dataareaid,mserp_salesordernumber"
    );
    let got = rows(&world.admin, &path, &ORDER_KEYS).await?;
    let expected =
        format!("{} ORDER BY c.creditmax DESC NULLS LAST, o.dataareaid, o.salesid", orders("true"));
    ensure!(got == sql(world, &expected).await?, "the order differs");
    let (paged, sizes) = world.admin.pages(&path, 200).await?;
    ensure!(sizes.len() > 1 && paged.len() == got.len(), "{sizes:?}");
    let paged: Vec<_> = paged.iter().map(|it| text(&it["mserp_salesordernumber"])).collect();
    let all: Vec<_> = got.iter().map(|it| it[1].clone()).collect();
    ensure!(paged == all, "pages are in another order");
    Ok(())
}

async fn api_17_aliases_stand_for_values(world: &World) -> Result<()> {
    let filter =
        "mserp_customergroupid eq @group and mserp_creditlimit gt @limit&@group='10'&@limit=500000";
    let expected = customers("c.custgroup = '10' AND c.creditmax > 500000");
    check(world, (CUSTOMERS.set, &CUSTOMER_KEYS), filter, &expected).await?;
    let unassigned = format!("{}?$filter=mserp_customergroupid eq @nothing", CUSTOMERS.set);
    let none = world.admin.json(&unassigned).await?;
    ensure!(
        none["value"].as_array().is_some_and(Vec::is_empty),
        "an alias without a value is null"
    );
    let ordered = format!(
        "{}?$select=mserp_customeraccount&$orderby=@by&@by=mserp_creditlimit&$top=3",
        CUSTOMERS.set
    );
    let plain = ordered.replace("@by&@by=", "");
    ensure!(world.admin.json(&ordered).await?["value"] == world.admin.json(&plain).await?["value"]);
    Ok(())
}

async fn api_09_limits_have_their_codes(world: &World) -> Result<()> {
    let many = vec!["mserp_creditlimit eq 1"; 501].join(" or ");
    let answer = world.admin.get(&format!("{}?$filter={many}", CUSTOMERS.set)).await?;
    assert_error(&answer, 400, "0x8004430C", "Number of conditions in query exceeded")?;
    let links = vec![format!("{PLACED}/any()"); 16].join(" or ");
    let answer = world.admin.get(&format!("{}?$filter={links}", CUSTOMERS.set)).await?;
    assert_error(&answer, 400, "0x8004430D", "Number of link entities in query exceeded")
}

/// Orders of other companies are no orders to who may not see them.
async fn api_11_lambdas_show_only_what_the_caller_may_see(world: &World) -> Result<()> {
    let path = "cdm_companies?$select=cdm_companycode&$filter=\
        mserp_cdm_company_SalesOrderHeaderV2Entity_dataAreaId/any()";
    let seen = |answer: Value| -> Result<Vec<String>> {
        let rows = answer["value"].as_array().context("no value")?.clone();
        Ok(rows.iter().map(|it| text(&it["cdm_companycode"])).collect())
    };
    let all = seen(world.admin.json(path).await?)?;
    let clerk = seen(world.clerk.json(path).await?)?;
    ensure!(all.len() > 1, "{all:?}");
    ensure!(clerk == ["USMF"], "{clerk:?}");
    Ok(())
}
