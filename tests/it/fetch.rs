//! FetchXML against plain SQL over the same rows: joins, aggregates, comparisons, pages.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use percent_encoding::percent_decode_str;
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};
use tests::tables::CUSTOMERS;
use tests::{Web, assert_error, encode};
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    fx_01_what_is_no_fetchxml_is_refused,
    fx_02_every_link_type_gives_what_sql_gives,
    fx_02_links_nest_and_lead_across_the_line,
    fx_02_links_show_only_what_the_caller_may_see,
    fx_03_operators_give_what_sql_gives,
    fx_04_columns_are_compared_with_columns,
    fx_05_outer_joins_are_filtered_on_either_side,
    fx_06_aggregates_give_what_sql_gives,
    fx_06_dates_group_by_their_parts,
    fx_06_an_aggregate_over_too_many_rows_is_refused,
    fx_07_orders_of_links_and_choices,
    fx_08_cookies_lead_through_every_row_once,
    fx_08_an_altered_cookie_is_refused,
    fx_08_pages_are_reached_by_number_too,
    fx_09_columns_are_named_after_their_aliases,
    fx_10_limits_have_their_codes,
    fx_12_stored_queries_run_by_their_ids,
    qe_03_queries_are_converted_both_ways,
    qe_03_a_converted_query_runs_over_grpc,
    clients_dynamics_web_api_fetches_all_pages,
];

const ORDERS: &str = "mserp_salesorderheaderv2entities";
const ORDER: &str = "mserp_salesorderheaderv2entity";
const CUSTOMER: &str = "mserp_custcustomerv3entity";

const PAGING: &str = "odata.include-annotations=\"Microsoft.Dynamics.CRM.fetchxmlpagingcookie,\
     Microsoft.Dynamics.CRM.morerecords\"";

/// The rows of one page.
async fn rows(web: &Web, set: &str, fetch: &str) -> Result<Vec<Value>> {
    let answer = web.json(&path(set, fetch)).await.with_context(|| fetch.to_owned())?;
    Ok(answer["value"].as_array().context("no value")?.clone())
}

fn path(set: &str, fetch: &str) -> String {
    format!("{set}?fetchXml={}", encode(fetch))
}

/// A value as text: numbers with two decimals, what is left out as `-`.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => format!("{:.2}", number.as_f64().unwrap_or(f64::NAN)),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// Rows of plain SQL, as [`text`] writes them.
pub(crate) async fn sql(world: &World, sql: &str) -> Result<Vec<Vec<String>>> {
    let mut connection = world.erp.connect().await?;
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await;
    let rows = rows.with_context(|| sql.to_owned())?;
    let cells = |row: &sqlx::postgres::PgRow| -> Result<Vec<String>> {
        let cell = |at| Ok(row.try_get::<Option<String>, _>(at)?.unwrap_or_else(|| "-".to_owned()));
        (0..row.len()).map(cell).collect()
    };
    rows.iter().map(cells).collect()
}

/// The same rows with the same values, in any order.
async fn check(
    world: &World,
    set: &str,
    fetch: &str,
    keys: &[&str],
    expected: &str,
) -> Result<usize> {
    let got = rows(&world.admin, set, fetch).await?;
    let mut got: Vec<Vec<String>> =
        got.iter().map(|row| keys.iter().map(|it| text(&row[*it])).collect()).collect();
    let mut expected = sql(world, expected).await?;
    got.sort();
    expected.sort();
    ensure!(got == expected, "{fetch}\n got      {got:?}\n expected {expected:?}");
    Ok(got.len())
}

async fn fx_01_what_is_no_fetchxml_is_refused(world: &World) -> Result<()> {
    for (fetch, code, part) in [
        ("", "0x80040203", "Invalid XML at line 1, position 1"),
        ("<fetch", "0x80040203", "Invalid XML"),
        ("<fetch><entity name='x'/></fetch>", "0x80040203", "entity 'x'"),
        (
            "<fetch><entity name='mserp_custcustomerv3entity'><attribute name='nope'/></entity></fetch>",
            "0x80041103",
            "nope",
        ),
        (
            "<fetch><entity name='mserp_custcustomerv3entity'><link-entity name='nope' from='a' to='mserp_notes'/></entity></fetch>",
            "0x80041102",
            "nope",
        ),
        (
            "<fetch top='1' page='1'><entity name='mserp_custcustomerv3entity'/></fetch>",
            "0x80040203",
            "'top'",
        ),
        (
            "<!DOCTYPE fetch [<!ENTITY a 'b'>]><fetch><entity name='&a;'/></fetch>",
            "0x80040203",
            "document types",
        ),
    ] {
        let answer = world.admin.get(&path(CUSTOMERS.set, fetch)).await?;
        assert_error(&answer, 400, code, part).with_context(|| fetch.to_owned())?;
    }
    let fetch = "<fetch top='1'><entity name='mserp_custcustomerv3entity'/></fetch>";
    let both = format!("{}&$filter=mserp_notes eq 'x'", path(CUSTOMERS.set, fetch));
    assert_error(&world.admin.get(&both).await?, 400, "0x80060888", "$filter")
}

/// Customers of a group, and the orders of theirs that were canceled.
const OF_GROUP: &str = "c.dataareaid = 'USMF' AND c.custgroup = '10'";
const CANCELED: &str =
    "o.custaccount = c.accountnum AND o.dataareaid = 'USMF' AND o.salesstatus = 4";

fn customers(inner: &str, filter: &str) -> String {
    format!(
        "<fetch><entity name='{CUSTOMER}'><attribute name='mserp_customeraccount'/>
           <filter><condition attribute='mserp_dataareaid' operator='eq' value='usmf'/>
             <condition attribute='mserp_customergroupid' operator='eq' value='10'/>{filter}</filter>
           {inner}</entity></fetch>"
    )
}

fn canceled(link_type: &str, attributes: &str) -> String {
    format!(
        "<link-entity name='{ORDER}' from='mserp_orderingcustomeraccountnumber'
             to='mserp_customeraccount' link-type='{link_type}' alias='o'>{attributes}
           <filter><condition attribute='mserp_dataareaid' operator='eq' value='USMF'/>
             <condition attribute='mserp_salesorderstatus' operator='eq' value='200000003'/></filter>
         </link-entity>"
    )
}

async fn fx_02_every_link_type_gives_what_sql_gives(world: &World) -> Result<()> {
    let number = "<attribute name='mserp_salesordernumber'/>";
    let joined = ["mserp_customeraccount", "o.mserp_salesordernumber"];
    for (kind, join) in [("inner", "JOIN"), ("outer", "LEFT JOIN")] {
        let select = format!(
            "SELECT c.accountnum::text, o.salesid::text FROM erp.custtable c
             {join} erp.salestable o ON {CANCELED} WHERE {OF_GROUP}"
        );
        let fetch = customers(&canceled(kind, number), "");
        let found = check(world, CUSTOMERS.set, &fetch, &joined, &select).await?;
        ensure!(found > 0, "{kind}: there is nothing to join in the demo ERP");
    }
    let any = format!("EXISTS (SELECT FROM erp.salestable o WHERE {CANCELED})");
    let matching =
        "EXISTS (SELECT FROM erp.salestable o WHERE o.custaccount = c.accountnum)".to_owned();
    for (kind, in_filter, condition) in [
        ("exists", false, any.clone()),
        ("in", false, any.clone()),
        ("any", true, any.clone()),
        ("not any", true, format!("NOT {any}")),
        ("not all", true, any.clone()),
        ("all", true, format!("{matching} AND NOT {any}")),
    ] {
        let link = canceled(kind, "");
        let fetch = if in_filter { customers("", &link) } else { customers(&link, "") };
        let select = format!(
            "SELECT c.accountnum::text FROM erp.custtable c WHERE {OF_GROUP} AND {condition}"
        );
        check(world, CUSTOMERS.set, &fetch, &["mserp_customeraccount"], &select).await?;
    }
    let either = format!(
        "<filter type='or'><condition attribute='mserp_creditlimit' operator='gt' value='500000'/>{}</filter>",
        canceled("any", "")
    );
    let select = format!(
        "SELECT c.accountnum::text FROM erp.custtable c
         WHERE {OF_GROUP} AND (c.creditmax > 500000 OR {any})"
    );
    let fetch = customers("", &either);
    check(world, CUSTOMERS.set, &fetch, &["mserp_customeraccount"], &select).await?;
    first_rows(world).await
}

/// Which of the related rows comes is undefined; that it is one of them is not.
async fn first_rows(world: &World) -> Result<()> {
    let link =
        canceled("matchfirstrowusingcrossapply", "<attribute name='mserp_salesordernumber'/>");
    let got = rows(&world.admin, CUSTOMERS.set, &customers(&link, "")).await?;
    let select = format!(
        "SELECT c.accountnum::text, o.salesid::text FROM erp.custtable c
         LEFT JOIN erp.salestable o ON {CANCELED} WHERE {OF_GROUP}"
    );
    let possible: BTreeSet<_> = sql(world, &select).await?.into_iter().collect();
    let customers: BTreeSet<_> = possible.iter().map(|it| it[0].clone()).collect();
    ensure!(got.len() == customers.len(), "{} rows for {} customers", got.len(), customers.len());
    for row in got {
        let pair =
            vec![text(&row["mserp_customeraccount"]), text(&row["o.mserp_salesordernumber"])];
        ensure!(possible.contains(&pair), "{row}");
    }
    Ok(())
}

async fn fx_02_links_nest_and_lead_across_the_line(world: &World) -> Result<()> {
    let fetch = format!(
        "<fetch><entity name='{ORDER}'><attribute name='mserp_salesordernumber'/>
           <filter><condition attribute='mserp_dataareaid' operator='eq' value='USRT'/>
             <condition attribute='mserp_salesorderstatus' operator='eq' value='200000003'/></filter>
           <link-entity name='{CUSTOMER}' from='mserp_customeraccount' to='mserp_orderingcustomeraccountnumber' alias='c'>
             <attribute name='mserp_organizationname'/>
             <filter><condition attribute='mserp_dataareaid' operator='eq' value='USRT'/></filter>
             <link-entity name='mserp_custcustomergroupentity' from='mserp_customergroupid' to='mserp_customergroupid' alias='g'>
               <attribute name='mserp_description' alias='grp'/>
               <filter><condition attribute='mserp_dataareaid' operator='eq' value='USRT'/></filter>
             </link-entity>
             <link-entity name='cdm_company' from='cdm_companyid' to='mserp_dataareaid_id' alias='n'>
               <attribute name='cdm_companycode'/>
             </link-entity>
           </link-entity></entity></fetch>"
    );
    let select = "SELECT o.salesid::text, p.name::text, g.name::text, 'USRT' FROM erp.salestable o
        JOIN erp.custtable c ON c.accountnum = o.custaccount AND c.dataareaid = 'USRT'
        JOIN erp.dirpartytable p ON p.recid = c.party
        JOIN erp.custgroup g ON g.custgroup = c.custgroup AND g.dataareaid = 'USRT'
        WHERE o.dataareaid = 'USRT' AND o.salesstatus = 4";
    let keys = ["mserp_salesordernumber", "c.mserp_organizationname", "grp", "n.cdm_companycode"];
    let found = check(world, ORDERS, &fetch, &keys, select).await?;
    ensure!(found > 0, "no canceled order in USRT");
    Ok(())
}

async fn fx_02_links_show_only_what_the_caller_may_see(world: &World) -> Result<()> {
    // The same account numbers are in use in every company; a join by them crosses companies.
    let fetch = |kind: &str, attribute: &str| {
        format!(
            "<fetch><entity name='{CUSTOMER}'><attribute name='mserp_customeraccount'/>
               <link-entity name='{ORDER}' from='mserp_orderingcustomeraccountnumber' to='mserp_customeraccount' link-type='{kind}' alias='o'>
                 {attribute}<filter><condition attribute='mserp_salesorderstatus' operator='eq' value='200000003'/></filter>
               </link-entity></entity></fetch>"
        )
    };
    let number = "<attribute name='mserp_salesordernumber'/>";
    let got = rows(&world.reader, CUSTOMERS.set, &fetch("inner", number)).await?;
    let mut got: Vec<_> = got
        .iter()
        .map(|it| vec![text(&it["mserp_customeraccount"]), text(&it["o.mserp_salesordernumber"])])
        .collect();
    got.sort();
    let mut expected = sql(
        world,
        "SELECT c.accountnum::text, o.salesid::text FROM erp.custtable c
         JOIN erp.salestable o ON o.custaccount = c.accountnum
         WHERE c.dataareaid = 'DEMF' AND o.dataareaid = 'DEMF' AND o.salesstatus = 4",
    )
    .await?;
    expected.sort();
    ensure!(!got.is_empty() && got == expected, "{} rows, not {}", got.len(), expected.len());
    // Whether there is such a row is not to be found out either.
    for (kind, attribute) in [("inner", number), ("outer", ""), ("exists", ""), ("in", "")] {
        let hidden = fetch(kind, attribute)
            .replace(ORDER, "mserp_vendvendorv2entity")
            .replace("mserp_orderingcustomeraccountnumber", "mserp_vendoraccountnumber")
            .replace("mserp_salesordernumber", "mserp_vendoraccountnumber");
        let hidden = hidden.replace(
            "<condition attribute='mserp_salesorderstatus' operator='eq' value='200000003'/>",
            "<condition attribute='mserp_vendoraccountnumber' operator='not-null'/>",
        );
        let answer = world.admin.get(&path(CUSTOMERS.set, &hidden)).await?;
        ensure!(answer.status == 200, "{kind}: the query itself is wrong: {answer:?}");
        let answer = world.clerk.get(&path(CUSTOMERS.set, &hidden)).await?;
        assert_error(&answer, 403, "0x80040220", "prvRead").with_context(|| kind.to_owned())?;
    }
    let count = format!(
        "<fetch aggregate='true'><entity name='{CUSTOMER}'>
           <attribute name='mserp_notes' alias='n' aggregate='count'/></entity></fetch>"
    );
    let customers = world.rows(&CUSTOMERS).await?;
    for (web, company) in [(&world.clerk, "USMF"), (&world.reader, "DEMF")] {
        let own = customers.iter().filter(|it| it.company == company).count();
        let counted = rows(web, CUSTOMERS.set, &count).await?;
        ensure!(counted[0]["n"] == own, "{company}: {counted:?}, not {own}");
    }
    Ok(())
}

async fn fx_03_operators_give_what_sql_gives(world: &World) -> Result<()> {
    for (condition, sql) in [
        (
            "attribute='mserp_organizationname' operator='like' value='%a[m-r]%'",
            "p.name ~* 'a[m-r]'",
        ),
        (
            "attribute='mserp_organizationname' operator='begins-with' value='zeb'",
            "p.name ILIKE 'zeb%'",
        ),
        (
            "attribute='mserp_organizationname' operator='not-begin-with' value='a'",
            "p.name NOT ILIKE 'a%'",
        ),
        ("attribute='mserp_creditlimit' operator='gt' value='700000'", "c.creditmax > 700000"),
        ("attribute='mserp_onholdstatus' operator='eq' value='200000002'", "c.blocked = 2"),
        ("attribute='mserp_paymentterms' operator='null'", "c.paymtermid IS NULL"),
        (
            "attribute='mserp_paymentterms' operator='ne' value='Net30'",
            "c.paymtermid IS DISTINCT FROM 'Net30'",
        ),
        (
            "attribute='mserp_creditreviewdate' operator='not-null'",
            "c.creditreviewdate <> '1900-01-01'",
        ),
        (
            "attribute='mserp_creditreviewdate' operator='on-or-before' value='2025-12-31'",
            "c.creditreviewdate <> '1900-01-01' AND c.creditreviewdate <= '2025-12-31'",
        ),
    ] {
        let fetch = format!(
            "<fetch><entity name='{CUSTOMER}'><attribute name='mserp_customeraccount'/><attribute name='mserp_dataareaid'/>
               <filter><condition {condition}/></filter></entity></fetch>"
        );
        let select = format!(
            "SELECT c.accountnum::text, c.dataareaid::text FROM erp.custtable c
             JOIN erp.dirpartytable p ON p.recid = c.party WHERE {sql}"
        );
        let keys = ["mserp_customeraccount", "mserp_dataareaid"];
        check(world, CUSTOMERS.set, &fetch, &keys, &select).await?;
    }
    let lists = format!(
        "<fetch><entity name='{CUSTOMER}'><attribute name='mserp_customeraccount'/><attribute name='mserp_dataareaid'/>
           <filter><condition attribute='mserp_customergroupid' operator='in'><value>10</value><value>30</value></condition>
             <condition attribute='mserp_creditlimit' operator='between'><value>100000</value><value>200000</value></condition>
             <condition attribute='mserp_dataareaid' operator='not-in'><value>usmf</value></condition></filter>
         </entity></fetch>"
    );
    let select = "SELECT c.accountnum::text, c.dataareaid::text FROM erp.custtable c
        WHERE c.custgroup IN ('10', '30') AND c.creditmax BETWEEN 100000 AND 200000
        AND c.dataareaid <> 'USMF'";
    let keys = ["mserp_customeraccount", "mserp_dataareaid"];
    check(world, CUSTOMERS.set, &lists, &keys, select).await?;
    Ok(())
}

async fn fx_04_columns_are_compared_with_columns(world: &World) -> Result<()> {
    let fetch = |condition: &str| {
        format!(
            "<fetch><entity name='{ORDER}'><attribute name='mserp_salesordernumber'/><attribute name='mserp_dataareaid'/>
               <filter>{condition}<condition attribute='mserp_dataareaid' operator='eq' value='DEMF'/></filter>
               <link-entity name='{CUSTOMER}' from='mserp_customeraccount' to='mserp_orderingcustomeraccountnumber' alias='c'>
                 <filter><condition attribute='mserp_dataareaid' operator='eq' value='DEMF'/></filter>
               </link-entity></entity></fetch>"
        )
    };
    let keys = ["mserp_salesordernumber", "mserp_dataareaid"];
    for (condition, sql) in [
        (
            "<condition attribute='mserp_invoicecustomeraccountnumber' operator='ne' valueof='mserp_orderingcustomeraccountnumber'/>",
            "o.invoiceaccount <> o.custaccount",
        ),
        (
            "<condition attribute='mserp_ordertotalamount' operator='gt' valueof='c.mserp_creditlimit'/>",
            "o.ordertotal > c.creditmax",
        ),
        (
            "<condition entityname='c' attribute='mserp_creditlimit' operator='le' valueof='mserp_salesorderheaderv2entity.mserp_ordertotalamount'/>",
            "c.creditmax <= o.ordertotal",
        ),
    ] {
        let select = format!(
            "SELECT o.salesid::text, o.dataareaid::text FROM erp.salestable o
             JOIN erp.custtable c ON c.accountnum = o.custaccount AND c.dataareaid = 'DEMF'
             WHERE o.dataareaid = 'DEMF' AND {sql}"
        );
        check(world, ORDERS, &fetch(condition), &keys, &select).await?;
    }
    Ok(())
}

async fn fx_05_outer_joins_are_filtered_on_either_side(world: &World) -> Result<()> {
    let none = "<condition entityname='o' attribute='mserp_salesordernumber' operator='null'/>";
    let fetch = customers(&canceled("outer", ""), none);
    let select = format!(
        "SELECT c.accountnum::text FROM erp.custtable c WHERE {OF_GROUP}
         AND NOT EXISTS (SELECT FROM erp.salestable o WHERE {CANCELED})"
    );
    let keys = ["mserp_customeraccount"];
    let without = check(world, CUSTOMERS.set, &fetch, &keys, &select).await?;
    ensure!(without > 0, "every customer has canceled an order");
    // By the table's name, where the link has no alias; after the join the link's filter is as good
    // as an inner join.
    let link = canceled("outer", "").replace(" alias='o'", "");
    let some = format!(
        "<condition entityname='{ORDER}' attribute='mserp_salesordernumber' operator='not-null'/>"
    );
    let select = format!(
        "SELECT c.accountnum::text FROM erp.custtable c JOIN erp.salestable o ON {CANCELED}
         WHERE {OF_GROUP}"
    );
    check(world, CUSTOMERS.set, &customers(&link, &some), &keys, &select).await?;
    Ok(())
}

async fn fx_06_aggregates_give_what_sql_gives(world: &World) -> Result<()> {
    let numbers = "<attribute name='mserp_ordertotalamount' alias='total' aggregate='sum'/>
        <attribute name='mserp_ordertotalamount' alias='mean' aggregate='avg'/>
        <attribute name='mserp_ordertotalamount' alias='least' aggregate='min'/>
        <attribute name='mserp_ordertotalamount' alias='most' aggregate='max'/>
        <attribute name='mserp_salesordernumber' alias='n' aggregate='count'/>
        <attribute name='mserp_paymenttermsname' alias='terms' aggregate='countcolumn'/>
        <attribute name='mserp_orderingcustomeraccountnumber' alias='who' aggregate='countcolumn' distinct='true'/>";
    let select = |group: &str| {
        format!(
            "SELECT {group} sum(o.ordertotal)::numeric(32,2)::text, avg(o.ordertotal)::numeric(32,2)::text,
               min(o.ordertotal)::numeric(32,2)::text, max(o.ordertotal)::numeric(32,2)::text,
               count(*)::numeric(32,2)::text, count(o.paymtermid)::numeric(32,2)::text,
               count(DISTINCT o.custaccount)::numeric(32,2)::text FROM erp.salestable o"
        )
    };
    let values = ["total", "mean", "least", "most", "n", "terms", "who"];
    let all = format!("<fetch aggregate='true'><entity name='{ORDER}'>{numbers}</entity></fetch>");
    check(world, ORDERS, &all, &values, &select("")).await?;
    let grouped = format!(
        "<fetch aggregate='true'><entity name='{ORDER}'>{numbers}
           <attribute name='mserp_dataareaid' alias='company' groupby='true'/>
           <attribute name='mserp_paymenttermsname' alias='pay' groupby='true'/>
           <order alias='company'/></entity></fetch>"
    );
    let keys = [["company", "pay"].as_slice(), &values].concat();
    let by = format!(
        "{} GROUP BY o.dataareaid, o.paymtermid",
        select("o.dataareaid::text, o.paymtermid::text,")
    );
    ensure!(check(world, ORDERS, &grouped, &keys, &by).await? > 1, "a single group");
    // Over a link: customers and the number of their orders, most of them first.
    let linked = format!(
        "<fetch aggregate='true'><entity name='{CUSTOMER}'>
           <attribute name='mserp_customergroupid' alias='grp' groupby='true'/>
           <filter><condition attribute='mserp_dataareaid' operator='eq' value='USMF'/></filter>
           <link-entity name='{ORDER}' from='mserp_orderingcustomeraccountnumber' to='mserp_customeraccount' alias='o'>
             <attribute name='mserp_salesordernumber' alias='n' aggregate='count'/>
             <filter><condition attribute='mserp_dataareaid' operator='eq' value='USMF'/></filter>
             <order alias='n' descending='true'/>
           </link-entity></entity></fetch>"
    );
    let by_group = "SELECT c.custgroup::text, count(*)::numeric(32,2)::text FROM erp.custtable c
        JOIN erp.salestable o ON o.custaccount = c.accountnum AND o.dataareaid = 'USMF'
        WHERE c.dataareaid = 'USMF' GROUP BY 1";
    check(world, CUSTOMERS.set, &linked, &["grp", "n"], by_group).await?;
    let numbers = rows(&world.admin, CUSTOMERS.set, &linked).await?;
    let counts: Vec<_> = numbers.iter().filter_map(|it| it["n"].as_i64()).collect();
    ensure!(counts.is_sorted_by(|a, b| a >= b), "not sorted: {counts:?}");
    // Nothing to count is still one row, unless there are groups.
    let nothing = "<filter><condition attribute='mserp_salesordernumber' operator='eq' value='none'/></filter>";
    let empty = all.replace("</entity>", &format!("{nothing}</entity>"));
    let got = rows(&world.admin, ORDERS, &empty).await?;
    ensure!(got.len() == 1 && got[0]["n"] == 0 && got[0].get("mean").is_none(), "{got:?}");
    let empty = grouped.replace("</entity>", &format!("{nothing}</entity>"));
    ensure!(rows(&world.admin, ORDERS, &empty).await?.is_empty(), "a group of nothing");
    Ok(())
}

async fn fx_06_dates_group_by_their_parts(world: &World) -> Result<()> {
    for (part, sql) in [
        ("day", "extract(day FROM d)"),
        ("week", "extract(week FROM d)"),
        ("month", "extract(month FROM d)"),
        ("quarter", "extract(quarter FROM d)"),
        ("year", "extract(year FROM d)"),
    ] {
        let fetch = format!(
            "<fetch aggregate='true'><entity name='{ORDER}'>
               <attribute name='mserp_requestedshippingdate' alias='part' groupby='true' dategrouping='{part}' usertimezone='false'/>
               <attribute name='mserp_salesordernumber' alias='n' aggregate='count'/></entity></fetch>"
        );
        let select = format!(
            "SELECT {sql}::numeric(32,2)::text, count(*)::numeric(32,2)::text
             FROM (SELECT NULLIF(shippingdaterequested, '1900-01-01') AS d FROM erp.salestable) o
             GROUP BY {sql}"
        );
        check(world, ORDERS, &fetch, &["part", "n"], &select).await?;
    }
    let fiscal = format!(
        "<fetch aggregate='true'><entity name='{ORDER}'>
           <attribute name='mserp_requestedshippingdate' alias='fy' groupby='true' dategrouping='fiscal-year'/>
           <attribute name='mserp_requestedshippingdate' alias='fp' groupby='true' dategrouping='fiscal-period'/>
           <attribute name='mserp_salesordernumber' alias='n' aggregate='count'/></entity></fetch>"
    );
    for row in rows(&world.admin, ORDERS, &fiscal).await? {
        let (year, period) = (text(&row["fy"]), text(&row["fp"]));
        let labelled = year.starts_with("FY") && period.ends_with(&format!(" {year}"));
        ensure!(labelled || (year == "-" && period == "-"), "{row}");
    }
    Ok(())
}

async fn fx_06_an_aggregate_over_too_many_rows_is_refused(world: &World) -> Result<()> {
    let fetch = |limit: usize| {
        format!(
            "<fetch aggregate='true' aggregatelimit='{limit}'><entity name='{CUSTOMER}'>
               <attribute name='mserp_notes' alias='n' aggregate='count'/></entity></fetch>"
        )
    };
    let customers = world.rows(&CUSTOMERS).await?.len();
    let enough = rows(&world.admin, CUSTOMERS.set, &fetch(customers)).await?;
    ensure!(enough[0]["n"] == customers, "{enough:?}");
    let answer = world.admin.get(&path(CUSTOMERS.set, &fetch(customers - 1))).await?;
    assert_error(&answer, 400, "0x8004E023", "AggregateQueryRecordLimit exceeded")
}

async fn fx_07_orders_of_links_and_choices(world: &World) -> Result<()> {
    let fetch = |orders: &str, in_link: &str| {
        format!(
            "<fetch useraworderby='false'><entity name='{ORDER}'><attribute name='mserp_salesordernumber'/>{orders}
               <filter><condition attribute='mserp_dataareaid' operator='eq' value='GBSI'/></filter>
               <link-entity name='{CUSTOMER}' from='mserp_customeraccount' to='mserp_orderingcustomeraccountnumber' alias='c'>
                 <attribute name='mserp_customeraccount' alias='account'/>{in_link}
                 <filter><condition attribute='mserp_dataareaid' operator='eq' value='GBSI'/></filter>
               </link-entity></entity></fetch>"
        )
    };
    let pairs = async |fetch: String| -> Result<Vec<(String, String)>> {
        let rows = rows(&world.admin, ORDERS, &fetch).await?;
        let pair = |it: &Value| (text(&it["account"]), text(&it["mserp_salesordernumber"]));
        Ok(rows.iter().map(pair).collect())
    };
    // The entity's own orders come first, wherever they stand.
    let own = pairs(fetch(
        "<order attribute='mserp_salesordernumber' descending='true'/>",
        "<order attribute='mserp_customeraccount'/>",
    ));
    let own = own.await?;
    ensure!(own.len() > 1 && own.is_sorted_by(|a, b| a.1 >= b.1), "{own:?}");
    // Unless an order names the link.
    let link = pairs(fetch(
        "<order entityname='c' attribute='mserp_customeraccount'/><order attribute='mserp_salesordernumber' descending='true'/>",
        "",
    ));
    let link = link.await?;
    let sorted = link.is_sorted_by(|a, b| a.0 < b.0 || (a.0 == b.0 && a.1 >= b.1));
    ensure!(sorted, "{link:?}");
    // Choices sort by label, by value when asked to.
    let choices = async |raw: &str| -> Result<Vec<i64>> {
        let fetch = format!(
            "<fetch distinct='true' useraworderby='{raw}'><entity name='{CUSTOMER}'>
               <attribute name='mserp_onholdstatus'/><order attribute='mserp_onholdstatus'/></entity></fetch>"
        );
        let rows = rows(&world.admin, CUSTOMERS.set, &fetch).await?;
        Ok(rows.iter().filter_map(|it| it["mserp_onholdstatus"].as_i64()).collect())
    };
    let by_value = choices("true").await?;
    ensure!(by_value.len() > 2 && by_value.is_sorted(), "{by_value:?}");
    let label = |value: &i64| {
        ["No", "Invoice", "All", "Payment", "Requisition", "Never"][(*value - 200_000_000) as usize]
    };
    let by_label = choices("false").await?;
    ensure!(by_label.iter().map(label).is_sorted(), "{by_label:?}");
    Ok(())
}

/// What a client makes of the annotation: decoded twice, then escaped for an attribute.
fn sent_back(cookie: &str) -> Result<String> {
    let once = percent_decode_str(cookie).decode_utf8()?.into_owned();
    let twice = percent_decode_str(&once).decode_utf8()?.into_owned();
    let (_, rest) = twice.split_once("pagingcookie=\"").context("no inner cookie")?;
    let (inner, _) = rest.split_once("\" istracking").context("no end of the inner cookie")?;
    Ok(inner.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"))
}

async fn fx_08_cookies_lead_through_every_row_once(world: &World) -> Result<()> {
    let all = world.rows(&CUSTOMERS).await?;
    for order in [
        "",
        "<order attribute='mserp_organizationname'/>",
        "<order attribute='mserp_creditreviewdate' descending='true'/>",
        "<order attribute='mserp_onholdstatus'/><order attribute='mserp_paymentterms'/>",
    ] {
        let (mut seen, mut cookie, mut page) = (Vec::new(), String::new(), 1);
        loop {
            let sent = if cookie.is_empty() { cookie } else { format!("paging-cookie='{cookie}'") };
            let fetch = format!(
                "<fetch count='200' page='{page}' {sent}><entity name='{CUSTOMER}'>
                   <attribute name='mserp_customeraccount'/>{order}</entity></fetch>"
            );
            let answer =
                world.admin.get_prefer(&path(CUSTOMERS.set, &fetch), PAGING).await?.ok()?;
            let rows = answer["value"].as_array().context("no value")?;
            for row in rows {
                seen.push(CUSTOMERS.record_id_of(row)?);
            }
            let more = answer["@Microsoft.Dynamics.CRM.morerecords"] == true;
            let next = answer["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"].as_str();
            ensure!(more == next.is_some(), "page {page}: more {more}, cookie {next:?}");
            let Some(next) = next else { break };
            let numbered = format!("<cookie pagenumber=\"{}\" pagingcookie=\"", page + 1);
            ensure!(next.starts_with(&numbered), "{next}");
            ensure!(rows.len() == 200, "page {page} has {} rows", rows.len());
            cookie = sent_back(next)?;
            page += 1;
        }
        let different: BTreeSet<_> = seen.iter().collect();
        ensure!(
            seen.len() == all.len() && different.len() == all.len(),
            "`{order}`: {} rows, {} different, of {}",
            seen.len(),
            different.len(),
            all.len()
        );
    }
    Ok(())
}

async fn fx_08_an_altered_cookie_is_refused(world: &World) -> Result<()> {
    let fetch = |cookie: &str, order: &str| {
        path(
            CUSTOMERS.set,
            &format!(
                "<fetch count='5' page='2' {cookie}><entity name='{CUSTOMER}'>
                   <attribute name='mserp_customeraccount'/><order attribute='{order}'/></entity></fetch>"
            ),
        )
    };
    let first = fetch("", "mserp_organizationname").replace("page%3D%272%27", "page%3D%271%27");
    let answer = world.admin.get_prefer(&first, PAGING).await?.ok()?;
    let cookie = answer["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"].as_str();
    let cookie = sent_back(cookie.context("no cookie")?)?;
    ensure!(cookie.contains("mserp_organizationname last=&quot;"), "not readable: {cookie}");
    let attribute = |cookie: &str| format!("paging-cookie='{cookie}'");
    let good =
        world.admin.get(&fetch(&attribute(&cookie), "mserp_organizationname")).await?.ok()?;
    ensure!(good["value"].as_array().map(Vec::len) == Some(5), "{good}");
    for (what, cookie, order) in [
        ("another query", cookie.clone(), "mserp_notes"),
        (
            "another value",
            cookie.replacen("last=&quot;", "last=&quot;x", 1),
            "mserp_organizationname",
        ),
        (
            "another page",
            cookie.replacen("page=&quot;1", "page=&quot;2", 1),
            "mserp_organizationname",
        ),
        ("no seal", cookie.replacen("mac=", "mad=", 1), "mserp_organizationname"),
        (
            "nothing of ours",
            "&lt;cookie page=&quot;1&quot;/&gt;".to_owned(),
            "mserp_organizationname",
        ),
    ] {
        let answer = world.admin.get(&fetch(&attribute(&cookie), order)).await?;
        assert_error(&answer, 400, "0x80040203", "paging cookie").with_context(|| what)?;
    }
    Ok(())
}

async fn fx_08_pages_are_reached_by_number_too(world: &World) -> Result<()> {
    let fetch = |count: usize, page: usize| {
        path(
            CUSTOMERS.set,
            &format!(
                "<fetch count='{count}' page='{page}' returntotalrecordcount='true'><entity name='{CUSTOMER}'>
                   <attribute name='mserp_customeraccount'/><order attribute='mserp_organizationname'/></entity></fetch>"
            ),
        )
    };
    let all = world.rows(&CUSTOMERS).await?.len();
    let mut seen = BTreeSet::new();
    for page in 1..=all.div_ceil(400) {
        let answer = world.admin.json(&fetch(400, page)).await?;
        ensure!(answer["@odata.count"] == all, "{}", answer["@odata.count"]);
        for row in answer["value"].as_array().context("no value")? {
            ensure!(seen.insert(CUSTOMERS.record_id_of(row)?), "twice: {row}");
        }
    }
    ensure!(seen.len() == all, "{} of {all}", seen.len());
    let behind = world.admin.json(&fetch(400, 100)).await?;
    ensure!(behind["value"].as_array().is_some_and(Vec::is_empty), "{behind}");
    assert_error(&world.admin.get(&fetch(500, 101)).await?, 400, "0x80060888", "50000 rows")?;
    // An order by a link has no cookie, and pages all the same.
    let linked = |page: usize| {
        path(
            ORDERS,
            &format!(
                "<fetch count='50' page='{page}'><entity name='{ORDER}'><attribute name='mserp_salesordernumber'/>
                   <link-entity name='{CUSTOMER}' from='mserp_customeraccount' to='mserp_orderingcustomeraccountnumber' alias='c'>
                     <order attribute='mserp_organizationname'/></link-entity></entity></fetch>"
            ),
        )
    };
    let mut seen = BTreeSet::new();
    for page in 1..=3 {
        let answer = world.admin.get_prefer(&linked(page), PAGING).await?.ok()?;
        ensure!(answer["@Microsoft.Dynamics.CRM.morerecords"] == true, "{answer}");
        ensure!(answer.get("@Microsoft.Dynamics.CRM.fetchxmlpagingcookie").is_none(), "{answer}");
        for row in answer["value"].as_array().context("no value")? {
            seen.insert(row.to_string());
        }
    }
    ensure!(seen.len() > 50, "{} different rows on three pages", seen.len());
    Ok(())
}

async fn fx_09_columns_are_named_after_their_aliases(world: &World) -> Result<()> {
    let fetch = format!(
        "<fetch top='1'><entity name='{ORDER}'><attribute name='mserp_salesordernumber'/>
           <attribute name='mserp_salesorderstatus' alias='state'/><attribute name='mserp_dataareaid_id'/>
           <filter><condition entityname='c' attribute='mserp_invoiceaccount' operator='null'/></filter>
           <link-entity name='{CUSTOMER}' from='mserp_customeraccount' to='mserp_orderingcustomeraccountnumber' alias='c'>
             <attribute name='mserp_organizationname'/><attribute name='mserp_creditlimit' alias='limit'/>
             <attribute name='mserp_invoiceaccount'/><attribute name='mserp_onholdstatus'/>
           </link-entity></entity></fetch>"
    );
    let all = "odata.include-annotations=\"*\"";
    let answer = world.admin.get_prefer(&path(ORDERS, &fetch), all).await?.ok()?;
    let context = answer["@odata.context"].as_str().unwrap_or_default();
    let named =
        format!("$metadata#{ORDERS}(mserp_salesordernumber,state,_mserp_dataareaid_id_value)");
    ensure!(context.ends_with(&named), "{context}");
    let row = &answer["value"][0];
    let names: BTreeSet<_> =
        row.as_object().context("no row")?.keys().filter(|it| !it.contains('@')).cloned().collect();
    let expected = [
        "_mserp_dataareaid_id_value",
        "c.mserp_onholdstatus",
        "c.mserp_organizationname",
        "limit",
        "mserp_salesorderheaderv2entityid",
        "mserp_salesordernumber",
        "state",
    ];
    ensure!(names.iter().map(String::as_str).eq(expected), "{row}");
    ensure!(row["@odata.etag"].as_str().is_some_and(|it| it.starts_with("W/")), "{row}");
    const FORMATTED: &str = "@OData.Community.Display.V1.FormattedValue";
    for name in ["state", "limit", "c.mserp_onholdstatus", "_mserp_dataareaid_id_value"] {
        ensure!(row[format!("{name}{FORMATTED}")].is_string(), "{name} is not formatted: {row}");
    }
    Ok(())
}

async fn fx_10_limits_have_their_codes(world: &World) -> Result<()> {
    let fetch = |inner: String| {
        path(CUSTOMERS.set, &format!("<fetch><entity name='{CUSTOMER}'>{inner}</entity></fetch>"))
    };
    let link = format!("<link-entity name='{CUSTOMER}' from='mserp_notes' to='mserp_notes'/>");
    let answer = world.admin.get(&fetch(link.repeat(16))).await?;
    assert_error(
        &answer,
        400,
        "0x8004430D",
        "Number of link entities in query exceeded maximum limit.",
    )?;
    let condition = "<condition attribute='mserp_notes' operator='null'/>";
    let answer =
        world.admin.get(&fetch(format!("<filter>{}</filter>", condition.repeat(150)))).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let deep = format!("{}{}", "<filter>".repeat(500), "</filter>".repeat(500));
    assert_error(&world.admin.get(&fetch(deep)).await?, 400, "0x80040203", "nested deeper")
}

async fn fx_12_stored_queries_run_by_their_ids(world: &World) -> Result<()> {
    for (option, set, id) in [
        ("savedQuery", "savedqueries", "savedqueryid"),
        ("userQuery", "userqueries", "userqueryid"),
    ] {
        let stored =
            world.admin.json(&format!("{set}?$filter=returnedtypecode eq 'account'")).await?;
        let stored = &stored["value"][0];
        let id = stored[id].as_str().with_context(|| format!("no {set} in the sample data"))?;
        let by_id = world.admin.json(&format!("accounts?{option}={id}")).await?;
        let fetch = stored["fetchxml"].as_str().context("no document")?;
        let by_document = rows(&world.admin, "accounts", fetch).await?;
        ensure!(by_id["value"] == json!(by_document), "{option}: {by_id}");
        let other = format!("{}?{option}={id}", CUSTOMERS.set);
        assert_error(&world.admin.get(&other).await?, 400, "0x80040203", "account")?;
        let unknown = format!("accounts?{option}=00000000-0000-0000-0000-000000000001");
        assert_error(&world.admin.get(&unknown).await?, 404, "0x80040217", "")?;
        let wrong = world.admin.get(&format!("accounts?{option}=x")).await?;
        assert_error(&wrong, 400, "0x80040203", "not a GUID")?;
    }
    Ok(())
}

async fn qe_03_queries_are_converted_both_ways(world: &World) -> Result<()> {
    let fetch = "<fetch top=\"3\"><entity name=\"account\"><attribute name=\"name\"/>\
        <filter type=\"and\"><condition attribute=\"name\" operator=\"like\" value=\"%O&apos;Brian%\"/></filter>\
        </entity></fetch>";
    let quoted = encode(&format!("'{}'", fetch.replace('\'', "''")));
    let path = format!("FetchXmlToQueryExpression(FetchXml=@p)?@p={quoted}");
    let answer = world.admin.json(&path).await?;
    let query = &answer["Query"];
    ensure!(query["EntityName"] == "account" && query["TopCount"] == 3, "{answer}");
    ensure!(query["Criteria"]["Conditions"][0]["Operator"] == "Like", "{answer}");
    let body = json!({ "Query": query });
    let back =
        world.admin.send(Method::POST, "QueryExpressionToFetchXml", &[], Some(body)).await?.ok()?;
    ensure!(back["FetchXml"] == fetch, "{back}");
    let wrong = json!({ "Query": { "EntityName": "account", "Orders": 1 } });
    let answer =
        world.admin.send(Method::POST, "QueryExpressionToFetchXml", &[], Some(wrong)).await?;
    assert_error(&answer, 400, "0x80040203", "Orders: a list is expected")
}

async fn qe_03_a_converted_query_runs_over_grpc(world: &World) -> Result<()> {
    let channel = Endpoint::from_shared(world.system.grpc.clone())?.connect().await?;
    let mut client = GatewayServiceClient::new(channel);
    let fetch = customers(&canceled("outer", "<attribute name='mserp_salesordernumber'/>"), "");
    let request = pb::FetchXmlToQueryExpressionRequest { fetch_xml: fetch.clone() };
    let answer = client.fetch_xml_to_query_expression(with_token(world, request)?).await?;
    let query = answer.into_inner().query.context("no query")?;
    let request = pb::RetrieveMultipleRequest { query: Some(query.clone()), ..Default::default() };
    let mut stream = client.retrieve_multiple(with_token(world, request)?).await?.into_inner();
    let mut count = 0;
    while let Some(batch) = stream.message().await? {
        count += usize::try_from(batch.row_count)?;
    }
    let expected = rows(&world.admin, CUSTOMERS.set, &fetch).await?.len();
    ensure!(count == expected && count > 0, "{count} rows, not {expected}");
    let request = pb::QueryExpressionToFetchXmlRequest { query: Some(query.clone()) };
    let answer = client.query_expression_to_fetch_xml(with_token(world, request)?).await?;
    let fetch_xml = answer.into_inner().fetch_xml;
    let request = pb::FetchXmlToQueryExpressionRequest { fetch_xml };
    let answer = client.fetch_xml_to_query_expression(with_token(world, request)?).await?;
    ensure!(answer.get_ref().query.as_ref() == Some(&query), "{answer:?}");
    let request = pb::FetchXmlToQueryExpressionRequest { fetch_xml: "<fetch/>".to_owned() };
    let refused = client.fetch_xml_to_query_expression(with_token(world, request)?).await;
    let refused = refused.err().context("an empty document was taken for a query")?;
    ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
    Ok(())
}

fn with_token<T>(world: &World, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    let token = format!("Bearer {}", world.admin.token());
    request.metadata_mut().insert("authorization", token.parse()?);
    Ok(request)
}

async fn clients_dynamics_web_api_fetches_all_pages(world: &World) -> Result<()> {
    let got = tests::node::run("fetch.mjs", &world.admin).await?;
    let all = world.rows(&CUSTOMERS).await?;
    let ids = |rows: &Value| -> Result<BTreeSet<i64>> {
        let rows = rows.as_array().context("no rows")?;
        rows.iter().map(|it| CUSTOMERS.record_id_of(it)).collect()
    };
    ensure!(got["one"].as_array().map(Vec::len) == Some(10), "{}", got["one"]);
    ensure!(got["nextPage"] == 2, "{}", got["nextPage"]);
    let (first, second) = (ids(&got["one"])?, ids(&got["two"])?);
    ensure!(second.len() == 10 && first.is_disjoint(&second), "{first:?} {second:?}");
    let expected: BTreeSet<_> = all.iter().map(|it| it.record_id).collect();
    let fetched = got["all"].as_array().map_or(0, Vec::len);
    ensure!(fetched == all.len() && ids(&got["all"])? == expected, "{fetched} rows");
    ensure!(got["groups"].as_array().is_some_and(|it| it.len() > 1), "{}", got["groups"]);
    Ok(())
}
