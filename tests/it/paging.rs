//! Pages together hold every row once, also while rows are being inserted, and their tokens cannot
//! be made up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use percent_encoding::percent_decode_str;
use sqlx::AssertSqlSafe;
use tests::tables::CUSTOMERS;
use tests::{assert_error, encode};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    every_byte_of_a_page_token_is_guarded,
    a_page_token_belongs_to_its_query,
    api_13_a_page_token_survives_clients_that_rewrite_it,
    ve_074_api_13_pages_hold_every_row_once_while_rows_are_inserted,
];

const INSERT: &str = "
    WITH party AS (INSERT INTO erp.dirpartytable (name) VALUES ($NAME) RETURNING recid)
    INSERT INTO erp.custtable (dataareaid, party, custgroup) SELECT $COMPANY, recid, '10' FROM party";

async fn token(world: &World, path: &str) -> Result<(String, String)> {
    let page = world.admin.get_prefer(path, "odata.maxpagesize=10").await?.ok()?;
    let link = page["@odata.nextLink"].as_str().context("no next link")?;
    let (before, token) = link.split_once("$skiptoken=").context("no $skiptoken")?;
    Ok((before.to_owned(), percent_decode_str(token).decode_utf8()?.into_owned()))
}

async fn every_byte_of_a_page_token_is_guarded(world: &World) -> Result<()> {
    let path =
        format!("{}?$select={}&$orderby=mserp_organizationname", CUSTOMERS.set, CUSTOMERS.id);
    let (link, token) = token(world, &path).await?;
    ensure!(token.starts_with("<cookie pagenumber=\"2\""), "{token}");
    let good = world.admin.get(&format!("{link}$skiptoken={}", encode(&token))).await?;
    let second_page = good.ok()?;
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] ^= 1;
        let tampered = String::from_utf8_lossy(&bytes).into_owned();
        let answer = world.admin.get(&format!("{link}$skiptoken={}", encode(&tampered))).await?;
        if answer.status == 200 {
            // Case of a percent escape, say: another spelling of the same token.
            ensure!(answer.parse()?["value"] == second_page["value"], "byte {at}: {tampered}");
            anyhow::bail!("byte {at} may be changed: {tampered}");
        }
        assert_error(&answer, 400, "0x80040203", "paging cookie")
            .with_context(|| format!("byte {at}"))?;
    }
    for at in 0..token.len() {
        let answer = world.admin.get(&format!("{link}$skiptoken={}", encode(&token[..at]))).await?;
        assert_error(&answer, 400, "0x80040203", "").with_context(|| format!("cut at {at}"))?;
    }
    Ok(())
}

async fn a_page_token_belongs_to_its_query(world: &World) -> Result<()> {
    let path = format!(
        "{}?$filter=mserp_dataareaid eq 'USMF'&$orderby=mserp_organizationname",
        CUSTOMERS.set
    );
    let (_, token) = token(world, &path).await?;
    let token = encode(&token);
    let others = [
        format!(
            "{}?$filter=mserp_dataareaid eq 'DEMF'&$orderby=mserp_organizationname&$skiptoken={token}",
            CUSTOMERS.set
        ),
        format!(
            "{}?$filter=mserp_dataareaid eq 'USMF'&$orderby=mserp_notes&$skiptoken={token}",
            CUSTOMERS.set
        ),
        format!("{}?$orderby=mserp_organizationname&$skiptoken={token}", CUSTOMERS.set),
        format!("mserp_vendvendorv2entities?$skiptoken={token}"),
    ];
    for other in others {
        let answer = world.admin.get(&other).await?;
        assert_error(&answer, 400, "0x80040203", "paging cookie")?;
    }
    Ok(())
}

async fn api_13_a_page_token_survives_clients_that_rewrite_it(world: &World) -> Result<()> {
    let path = format!("{}?$select={}", CUSTOMERS.set, CUSTOMERS.id);
    let (link, token) = token(world, &path).await?;
    let page =
        async |query: String| -> Result<serde_json::Value> {
            Ok(world
                .admin
                .get_prefer(&format!("{link}{query}"), "odata.maxpagesize=10")
                .await?
                .ok()?["value"]
                .clone())
        };
    let expected = page(format!("$skiptoken={}", encode(&token))).await?;
    // Decoded and encoded again by another rule, and with the slash that one client appends.
    let lenient = token
        .replace('%', "%25")
        .replace(' ', "+")
        .replace('"', "%22")
        .replace('<', "%3C")
        .replace('>', "%3E");
    for form in [
        format!("$skiptoken={lenient}"),
        format!("$skiptoken={}/", encode(&token)),
        format!("%24skiptoken={}", encode(&token)),
    ] {
        ensure!(page(form.clone()).await? == expected, "{form}");
    }
    Ok(())
}

async fn ve_074_api_13_pages_hold_every_row_once_while_rows_are_inserted(
    world: &World,
) -> Result<()> {
    let orders = [
        "",
        "&$orderby=mserp_organizationname",
        "&$orderby=mserp_dataareaid desc,mserp_creditrating",
        "&$orderby=mserp_createddatetime desc",
    ];
    let (stop, inserted) = (AtomicBool::new(false), AtomicUsize::new(0));
    let insert = async {
        let mut connection = world.erp.connect().await?;
        while !stop.load(Ordering::Relaxed) {
            let number = inserted.fetch_add(1, Ordering::Relaxed);
            // Names and companies from all over the order, in front of and behind any page.
            let name = format!("'{}nserted {number}'", char::from(b'a' + (number % 26) as u8));
            let company = ["'USMF'", "'DEMF'", "'GBSI'", "'USRT'"][number % 4];
            let sql = INSERT.replace("$NAME", &name).replace("$COMPANY", company);
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let read = async {
        for order in orders {
            let before: Vec<_> =
                world.rows(&CUSTOMERS).await?.iter().map(|it| it.record_id).collect();
            let during = inserted.load(Ordering::Relaxed);
            let path = format!("{}?$select={}{order}", CUSTOMERS.set, CUSTOMERS.id);
            let (rows, sizes) = world.admin.pages(&path, 23).await?;
            ensure!(sizes.len() > 20, "too few pages to show anything");
            let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
            for row in &rows {
                *seen.entry(CUSTOMERS.record_id_of(row)?).or_default() += 1;
            }
            let twice = seen.iter().find(|(_, count)| **count > 1);
            ensure!(twice.is_none(), "{order}: more than once: {twice:?}");
            let missing: Vec<_> = before.iter().filter(|it| !seen.contains_key(it)).collect();
            ensure!(missing.is_empty(), "{order}: missing: {missing:?}");
            let during = inserted.load(Ordering::Relaxed) - during;
            ensure!(during > 20, "{order}: only {during} rows were inserted meanwhile");
        }
        Ok::<_, anyhow::Error>(())
    };
    let read = async {
        let outcome = read.await;
        stop.store(true, Ordering::Relaxed);
        outcome
    };
    let (read, insert) = tokio::join!(read, insert);
    insert.and(read)
}
