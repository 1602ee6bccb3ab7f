//! One network hop and one SQL statement for each read, shown by a trace and by PostgreSQL itself.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tests::collector::{attribute, names};
use tests::tables::CUSTOMERS;
use uuid::Uuid;

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    each_read_is_one_hop_and_one_statement,
    a_list_of_all_columns_counts_in_the_same_statement,
];

/// The span that our requests say they come from.
const PARENT_SPAN: [u8; 8] = [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];
/// A session lives for half a minute, and so its end may fall among these reads.
const MOST_RENEWALS: usize = 1;
const EXPORTED_WITHIN: Duration = Duration::from_secs(20);
/// The upkeep of change tracking runs once in a while, and may fall among the reads of a try, not of all.
const TRIES: usize = 3;

async fn each_read_is_one_hop_and_one_statement(world: &World) -> Result<()> {
    let row = world.admin.json(&format!("{}?$top=1", CUSTOMERS.set)).await?;
    let id = row["value"][0][CUSTOMERS.id].as_str().context("no id")?.to_owned();
    let set = CUSTOMERS.set;
    let page = world
        .admin
        .get_prefer(&format!("{set}?$select={}", CUSTOMERS.id), "odata.maxpagesize=50")
        .await?
        .ok()?;
    let next = page["@odata.nextLink"].as_str().context("no next link")?.to_owned();
    let company = row["value"][0]["_mserp_dataareaid_id_value"].as_str().context("no company")?;
    let reads = [
        format!("{set}({id})"),
        format!("{set}(mserp_dataareaid='USMF',mserp_customeraccount='US-000001')"),
        format!("{set}?$select=mserp_organizationname&$top=50"),
        format!(
            "{set}?$filter=mserp_creditlimit gt 1000 and contains(mserp_addresscity,'a')&$orderby=mserp_organizationname desc&$top=20"
        ),
        format!("{set}?$count=true&$top=5"),
        format!("{set}/$count"),
        next,
        format!("{set}?$filter=_mserp_dataareaid_id_value eq {company}&$top=5"),
        "mserp_ecoresreleasedproductv2entities?$orderby=mserp_salesmargin desc&$top=10".to_owned(),
    ];
    let mut traces = Vec::new();
    for read in &reads {
        // What only a cold start asks for is asked for now.
        world.admin.warm_up(read).await?;
        traces.push(read_once(world, read).await.with_context(|| read.clone())?);
    }
    // Spans are exported in the order in which they end: with this one, all before it are there.
    let last = read_once(world, "WhoAmI").await?;
    world.collector.trace(*last.as_bytes(), EXPORTED_WITHIN, has_server_span).await?;
    let mut renewals = 0;
    for (read, trace_id) in reads.iter().zip(traces) {
        renewals += check_trace(world, trace_id).await.with_context(|| read.clone())?;
    }
    ensure!(renewals <= MOST_RENEWALS, "the caller was asked for {renewals} times");
    Ok(())
}

/// Reads in a trace of our own. PostgreSQL must count one statement, or none for what is not the ERP's.
async fn read_once(world: &World, path: &str) -> Result<Uuid> {
    let expected = i64::from(path != "WhoAmI");
    let mut tries = 1..=TRIES;
    loop {
        let last = tries.next().is_none_or(|it| it == TRIES);
        world.erp.forget_statements().await?;
        let trace_id = Uuid::new_v4();
        let parent = format!("00-{}-00f067aa0ba902b7-01", trace_id.simple());
        let headers = [("traceparent", parent.as_str())];
        let answer = world.admin.send(reqwest::Method::GET, path, &headers, None).await?;
        ensure!(answer.status == 200, "{answer:?}");
        let statements = world.erp.statements().await?;
        let calls: i64 = statements.iter().map(|(_, calls)| calls).sum();
        if calls == expected {
            return Ok(trace_id);
        }
        ensure!(!last, "{calls} statements: {statements:#?}");
    }
}

fn has_server_span(spans: &[Span]) -> bool {
    spans.iter().any(|it| it.parent_span_id == PARENT_SPAN)
}

/// Returns how often the session was renewed, which is no part of reading.
async fn check_trace(world: &World, trace_id: Uuid) -> Result<usize> {
    let spans =
        world.collector.trace(*trace_id.as_bytes(), EXPORTED_WITHIN, has_server_span).await?;
    let calls = spans.iter().filter(|it| is_client(it) && !attribute(it, "rpc.system").is_empty());
    let (renewals, hops): (Vec<_>, Vec<_>) =
        calls.partition(|it| attribute(it, "rpc.method").contains("ResolveCaller"));
    ensure!(hops.len() == 1, "{} hops: {:#?}", hops.len(), names(&spans));
    ensure!(attribute(hops[0], "rpc.method").contains("DataProviderService"), "{:?}", hops[0]);
    let queries: Vec<_> = spans
        .iter()
        .filter(|it| is_client(it) && attribute(it, "db.system.name") == "postgresql")
        .collect();
    ensure!(queries.len() == 1, "{} SQL spans: {:#?}", queries.len(), names(&spans));
    Ok(renewals.len())
}

fn is_client(span: &Span) -> bool {
    span.kind == SpanKind::Client as i32
}

async fn a_list_of_all_columns_counts_in_the_same_statement(world: &World) -> Result<()> {
    let set = CUSTOMERS.set;
    let path = format!("{set}?$count=true&$orderby=mserp_organizationname");
    world.admin.json(&path).await?;
    let mut tries = 1..=TRIES;
    loop {
        let last = tries.next().is_none_or(|it| it == TRIES);
        world.erp.forget_statements().await?;
        for _ in 0..10 {
            world.admin.json(&path).await?;
        }
        // Beside what looks after the log, which nobody waits for.
        let of_log = |it: &str| {
            ["tombolo.", "to_regclass", "pg_control_system"].iter().any(|word| it.contains(word))
        };
        let mut statements = world.erp.statements().await?;
        statements.retain(|(text, _)| !of_log(text));
        // One text, run ten times: nothing around it, and it stays prepared.
        if statements.len() == 1 && statements[0].1 == 10 {
            return Ok(());
        }
        ensure!(!last, "{statements:#?}");
    }
}
