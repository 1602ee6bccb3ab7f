//! What anybody tries first: the service document, lists, counts, context.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use tests::tables::{self, CUSTOMERS};
use tests::workspace;

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    api_04_the_service_document_names_every_entity_of_the_model,
    every_entity_set_of_the_service_document_is_listable,
    ve_075_api_12_counts_are_those_of_sql,
    a_list_has_the_platforms_envelope,
    ve_070_api_08_select_gives_the_named_columns_and_the_key,
    api_12_top_limits_without_a_next_link,
    native_tables_are_read_like_virtual_ones,
    query_strings_decode_in_both_forms,
    headers_that_clients_send_do_no_harm,
];

async fn api_04_the_service_document_names_every_entity_of_the_model(world: &World) -> Result<()> {
    let document = world.admin.json("").await?;
    let context = document["@odata.context"].as_str().unwrap_or_default();
    ensure!(context.ends_with("/api/data/v9.2/$metadata"), "{context}");
    let sets = document["value"].as_array().context("no value")?;
    for set in sets {
        ensure!(set["kind"] == "EntitySet" && set["name"] == set["url"], "{set}");
    }
    let names: Vec<_> = sets.iter().filter_map(|it| it["name"].as_str()).collect();
    ensure!(names.is_sorted(), "not sorted: {names:?}");
    let files = std::fs::read_dir(workspace().join("models/demo/entities"))?;
    let mut missing = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file?.path())?;
        let name = text.lines().find_map(|it| it.strip_prefix("name = \"")?.strip_suffix('"'));
        let logical = format!("mserp_{}", name.context("no name")?.to_lowercase());
        let stem = logical.strip_suffix('y').unwrap_or(&logical);
        if !names.iter().any(|it| it.starts_with(stem)) {
            missing.insert(logical);
        }
    }
    ensure!(missing.is_empty(), "not in the service document: {missing:?}");
    for native in ["systemusers", "cdm_companies", "mserp_financeandoperationsentities"] {
        ensure!(names.contains(&native), "{native} is missing from {names:?}");
    }
    Ok(())
}

async fn every_entity_set_of_the_service_document_is_listable(world: &World) -> Result<()> {
    let document = world.admin.json("").await?;
    let mut wrong = Vec::new();
    for set in document["value"].as_array().context("no value")? {
        let set = set["name"].as_str().context("no name")?;
        let answer = world.admin.get(&format!("{set}?$top=3&$count=true")).await?;
        let list = answer.parse()?;
        let rows = list["value"].as_array().map(|it| it.len() as i64);
        let count = list["@odata.count"].as_i64();
        if rows.is_none() || rows != count.map(|it| it.min(3)) {
            wrong.push(format!("{set}: {} {:.300}", answer.status, answer.body));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

async fn ve_075_api_12_counts_are_those_of_sql(world: &World) -> Result<()> {
    for table in tables::ALL {
        let expected = world.rows(&table).await?.len();
        let list = world.admin.json(&format!("{}?$top=1&$count=true", table.set)).await?;
        ensure!(
            list["@odata.count"] == expected,
            "{}: {} of {expected}",
            table.set,
            list["@odata.count"]
        );
        let alone = world.admin.get(&format!("{}/$count", table.set)).await?;
        let number = alone.body.trim_start_matches('\u{feff}');
        ensure!(number == expected.to_string(), "{}/$count: {alone:?}", table.set);
        let plain = alone.header("content-type").starts_with("text/plain");
        ensure!(plain, "{}", alone.header("content-type"));
    }
    Ok(())
}

async fn a_list_has_the_platforms_envelope(world: &World) -> Result<()> {
    let path = format!("{}?$select=mserp_customeraccount&$top=2", CUSTOMERS.set);
    let answer = world.admin.get(&path).await?;
    ensure!(answer.header("odata-version") == "4.0", "{answer:?}");
    let json = answer.header("content-type").starts_with("application/json");
    ensure!(json && answer.header("content-type").contains("odata.metadata=minimal"), "{answer:?}");
    let list = answer.ok()?;
    let context =
        format!("{}$metadata#{}(mserp_customeraccount)", world.admin.base(), CUSTOMERS.set);
    ensure!(list["@odata.context"] == context, "{}", list["@odata.context"]);
    for row in list["value"].as_array().context("no value")? {
        let tag = row["@odata.etag"].as_str().unwrap_or_default();
        ensure!(tag.starts_with("W/\"") && tag.ends_with('"'), "{row}");
    }
    Ok(())
}

async fn ve_070_api_08_select_gives_the_named_columns_and_the_key(world: &World) -> Result<()> {
    let path = format!(
        "{}?$select=mserp_organizationname,_mserp_dataareaid_id_value&$top=1",
        CUSTOMERS.set
    );
    let list = world.admin.json(&path).await?;
    let row = list["value"][0].as_object().context("no row")?;
    let names: BTreeSet<_> = row.keys().map(String::as_str).collect();
    let expected =
        ["@odata.etag", "mserp_organizationname", "_mserp_dataareaid_id_value", CUSTOMERS.id];
    ensure!(names == expected.into(), "{names:?}");
    // Without $select, every column is there, null or not.
    let list = world.admin.json(&format!("{}?$top=1", CUSTOMERS.set)).await?;
    for column in CUSTOMERS.columns {
        ensure!(list["value"][0].get(column.name).is_some(), "{} is missing", column.name);
    }
    ensure!(list["value"][0].get("mserp_primaryfield").is_some(), "no primary field");
    Ok(())
}

async fn api_12_top_limits_without_a_next_link(world: &World) -> Result<()> {
    for top in [0_usize, 1, 7] {
        let list = world.admin.json(&format!("{}?$top={top}", CUSTOMERS.set)).await?;
        let rows = list["value"].as_array().context("no value")?;
        ensure!(rows.len() == top, "{} rows of {top}", rows.len());
        ensure!(list.get("@odata.nextLink").is_none(), "{list}");
    }
    Ok(())
}

async fn native_tables_are_read_like_virtual_ones(world: &World) -> Result<()> {
    let users =
        world.admin.json("systemusers?$select=fullname,domainname&$orderby=domainname").await?;
    let users = users["value"].as_array().context("no users")?;
    ensure!(users.len() >= 3 && users.iter().all(|it| it["systemuserid"].is_string()), "{users:?}");
    let companies = world.admin.json("cdm_companies?$orderby=cdm_companycode desc").await?;
    let codes = companies["value"].as_array().context("no companies")?.iter();
    let codes: Vec<_> = codes.filter_map(|it| it["cdm_companycode"].as_str()).collect();
    ensure!(codes == ["USRT", "USMF", "GBSI", "DEMF"], "{codes:?}");
    // A row's company lookup is the company's key.
    let id = companies["value"][1]["cdm_companyid"].as_str().context("no id")?;
    let path =
        format!("{}?$filter=_mserp_dataareaid_id_value eq {id}&$count=true&$top=1", CUSTOMERS.set);
    let list = world.admin.json(&path).await?;
    let expected =
        world.erp.count("SELECT count(*) FROM erp.custtable WHERE dataareaid = 'USMF'").await?;
    ensure!(list["@odata.count"] == expected, "{} of {expected}", list["@odata.count"]);
    ensure!(list["value"][0]["_mserp_dataareaid_id_value"] == *id, "{list}");
    Ok(())
}

async fn query_strings_decode_in_both_forms(world: &World) -> Result<()> {
    let set = CUSTOMERS.set;
    let forms = [
        format!(
            "{set}?$filter=mserp_organizationname%20eq%20%27zebra%27&$select=mserp_customeraccount"
        ),
        format!(
            "{set}?%24filter=mserp_organizationname+eq+'ZEBRA'&%24select=mserp_customeraccount"
        ),
        format!(
            "{set}?$filter=mserp_organizationname eq @n&@n='Zebra'&$select=mserp_customeraccount"
        ),
    ];
    for form in forms {
        let list = world.admin.json(&form).await?;
        let count = list["value"].as_array().map(Vec::len);
        ensure!(count == Some(3), "{form}: {count:?} rows");
    }
    Ok(())
}

async fn headers_that_clients_send_do_no_harm(world: &World) -> Result<()> {
    let headers = [
        ("If-None-Match", "null"),
        ("OData-MaxVersion", "4.0"),
        ("Prefer", "odata.include-annotations=OData.Community.Display.V1.FormattedValue"),
        ("Prefer", "odata.maxpagesize=2"),
        ("x-ms-client-request-id", "5f3b"),
        ("Consistency", "Strong"),
    ];
    let answer = world.admin.send(reqwest::Method::GET, CUSTOMERS.set, &headers, None).await?;
    let applied = answer.header("preference-applied").to_owned();
    let list = answer.ok()?;
    ensure!(list["value"].as_array().map(Vec::len) == Some(2), "{list}");
    ensure!(applied.contains("maxpagesize=2"), "{applied}");
    Ok(())
}
