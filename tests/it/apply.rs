//! `$apply` against plain SQL over the same rows.

use anyhow::{Context as _, Result, ensure};
use tests::assert_error;

use crate::fetch::{sql, text};
use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    ve_076_api_15_groups_and_aggregates_are_those_of_sql,
    api_15_null_group_keys_are_left_out,
    api_15_what_cannot_be_applied_is_refused,
];

const ORDERS: &str = "mserp_salesorderheaderv2entities";
const LINES: &str = "mserp_salesorderlinev2entities";

async fn ve_076_api_15_groups_and_aggregates_are_those_of_sql(world: &World) -> Result<()> {
    let group = "mserp_custcustomergroupentity_mserp_customergroupid";
    for (set, apply, keys, expected) in [
        (
            ORDERS,
            "groupby((mserp_currencycode),aggregate($count as n,mserp_salesordernumber with countdistinct as numbers))",
            &["mserp_currencycode", "n", "numbers"][..],
            "SELECT currencycode::text, to_char(count(*), 'FM9990.00'),
             to_char(count(DISTINCT salesid), 'FM9990.00') FROM erp.salestable GROUP BY 1",
        ),
        (
            LINES,
            "filter(mserp_orderedsalesquantity gt 5)/aggregate(mserp_lineamount with sum as total,\
             mserp_lineamount with min as least,mserp_lineamount with max as most,$count as n)",
            &["total", "least", "most", "n"],
            "SELECT to_char(sum(lineamount), 'FM999999990.00'), to_char(min(lineamount), 'FM999999990.00'),
             to_char(max(lineamount), 'FM999999990.00'), to_char(count(*), 'FM999999990.00')
             FROM erp.salesline WHERE salesqty > 5",
        ),
        (
            ORDERS,
            "filter(mserp_salesorderstatus eq 200000003)/groupby((mserp_FK_CustomerGroup_id/mserp_customergroupid),\
             aggregate($count as n))",
            &[group, "n"],
            "SELECT c.custgroup::text, to_char(count(*), 'FM9990.00') FROM erp.salestable o
             JOIN erp.custtable c ON c.accountnum = o.custaccount AND c.dataareaid = o.dataareaid
             WHERE o.salesstatus = 4 GROUP BY 1",
        ),
        (
            ORDERS,
            "groupby((mserp_currencycode))",
            &["mserp_currencycode"],
            "SELECT DISTINCT currencycode::text FROM erp.salestable",
        ),
    ] {
        let answer = world.admin.json(&format!("{set}?$apply={apply}")).await?;
        let rows = answer["value"].as_array().context("no value")?;
        let mut got: Vec<Vec<String>> =
            rows.iter().map(|row| keys.iter().map(|it| text(&row[*it])).collect()).collect();
        let mut expected = sql(world, expected).await?;
        got.sort();
        expected.sort();
        ensure!(got == expected && !got.is_empty(), "{apply}\n got      {got:?}\n expected {expected:?}");
        let context = answer["@odata.context"].as_str().unwrap_or_default();
        ensure!(context.ends_with(&format!("#{set}")), "{context}");
        ensure!(rows.iter().all(|it| it["@odata.etag"].is_null()), "groups have no version");
    }
    Ok(())
}

async fn api_15_null_group_keys_are_left_out(world: &World) -> Result<()> {
    let path = "accounts?$apply=groupby((primarycontactid/fullname),aggregate($count as n))";
    let answer = world.admin.json(path).await?;
    let rows = answer["value"].as_array().context("no value")?;
    let without = rows.iter().filter(|it| it.get("contact_fullname").is_none()).count();
    ensure!(rows.len() > 1 && without == 1, "{answer}");
    ensure!(rows.iter().all(|it| it["n"].is_i64()), "{answer}");
    Ok(())
}

async fn api_15_what_cannot_be_applied_is_refused(world: &World) -> Result<()> {
    for (apply, code, text) in [
        (
            "aggregate($count as n)&$orderby=n",
            "0x80060888",
            "The query node SingleValueOpenPropertyAccess is not supported",
        ),
        ("compute(1 as x)", "0x80060888", "'compute'"),
        ("groupby((nope))", "0x0", "'nope'"),
        ("aggregate(mserp_salesordernumber with sum as n)", "0x80060888", "mserp_salesordernumber"),
        ("groupby(", "0x0", "Syntax error"),
    ] {
        let answer = world.admin.get(&format!("{ORDERS}?$apply={apply}")).await?;
        assert_error(&answer, 400, code, text)?;
    }
    Ok(())
}
