//! Thousands of requests that no client would send. The server answers each, in time, in the
//! platform's shape, and stays alive.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tests::random::Random;
use tests::raw_http;
use tests::tables::CUSTOMERS;

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] =
    tests::cases![World: mutated_requests_are_answered_in_the_platforms_shape];

const REQUESTS: usize = 4_000;
const IN_TIME: Duration = Duration::from_secs(5);

const SEEDS: [&str; 16] = [
    "CUSTOMERS?$select=mserp_notes,mserp_creditlimit&$top=3",
    "CUSTOMERS?$filter=mserp_creditlimit%20gt%201000.5%20and%20(mserp_notes%20ne%20'a''b'%20or%20not%20(mserp_onholdstatus%20eq%20200000001))&$top=2",
    "CUSTOMERS?$filter=contains(mserp_organizationname,'%25[a-c]_')&$orderby=mserp_organizationname%20desc,mserp_creditlimit&$count=true&$top=1",
    "CUSTOMERS?$filter=Microsoft.Dynamics.CRM.In(PropertyName='mserp_customergroupid',PropertyValues=[%2210%22,%2220%22])&$top=1",
    "CUSTOMERS?$filter=mserp_creditreviewdate%20ge%202024-01-01T00:00:00Z&$top=1",
    "CUSTOMERS?$filter=mserp_externalid%20eq%200b1d39e0-0000-0000-0000-000000000000&$top=1",
    "CUSTOMERS?$filter=mserp_notes%20eq%20@p&@p='x'&$top=1",
    "CUSTOMERS(mserp_dataareaid='USMF',mserp_customeraccount='US-000001')?$select=mserp_notes",
    "CUSTOMERS(00000001-0000-0000-0000-005001000000)",
    "CUSTOMERS/$count",
    "CUSTOMERS?$skiptoken=%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie%22%20istracking=%22False%22%20/%3E",
    "mserp_financeandoperationsentities?$filter=mserp_hasbeengenerated%20eq%20true&$top=2",
    "systemusers?$filter=contains(fullname,'a')",
    "cdm_companies?$orderby=cdm_companycode",
    "WhoAmI()",
    "",
];

const FRAGMENTS: [&str; 40] = [
    "'",
    "''",
    "(",
    ")",
    "((((",
    "%27",
    "%",
    "%00",
    "%ff%fe",
    "%F0%9F%A6%93",
    "&",
    "=",
    "?",
    "/",
    "//",
    "/../",
    ";",
    ",",
    "+",
    "@",
    "$",
    " eq ",
    "%20eq%20null",
    "%20and%20",
    "not%20",
    "null",
    "true",
    "-",
    "1e999",
    "99999999999999999999",
    "-0",
    "0x1",
    "NaN",
    "9999-99-99",
    "$filter=",
    "$orderby=",
    "&$top=1",
    "$count=true",
    "[%5e-]",
    "\\",
];

const HEADERS: [&str; 9] = [
    "",
    "Prefer: odata.maxpagesize=0\r\n",
    "Prefer: odata.maxpagesize=-5\r\n",
    "Prefer: odata.maxpagesize=99999999999999\r\n",
    "Prefer: odata.include-annotations=\"\r\n",
    "Prefer: ,,;;==\r\n",
    "If-None-Match: W/\"x\r\n",
    "If-Match: *\r\n",
    "X-Forwarded-Proto: javascript\r\n",
];

async fn mutated_requests_are_answered_in_the_platforms_shape(world: &World) -> Result<()> {
    let mut random = Random::for_case("mutated_requests_are_answered_in_the_platforms_shape");
    let mut refused = 0;
    for number in 0..REQUESTS {
        let request = request(world, &mut random);
        let started = Instant::now();
        let answer = raw_http::send(world.admin.authority(), request.as_bytes()).await;
        let answer = answer.with_context(|| format!("request {number}: {request}"))?;
        ensure!(started.elapsed() < IN_TIME, "{:?} for {request}", started.elapsed());
        ensure!(answer.status != 500 && answer.status < 505, "{answer:?} for {request}");
        if answer.status >= 400 {
            refused += 1;
            let error: Result<serde_json::Value, _> = serde_json::from_str(&answer.body);
            let shaped = error.is_ok_and(|it| {
                it["error"]["code"].is_string() && it["error"]["message"].is_string()
            });
            // What is not HTTP at all never reaches us.
            let not_http = answer.status == 400 && answer.body.is_empty();
            ensure!(shaped || not_http, "{answer:?} for {request}");
        }
    }
    ensure!(refused > REQUESTS / 4 && refused < REQUESTS, "{refused} of {REQUESTS} were refused");
    let alive = world.admin.json(&format!("{}?$top=1", CUSTOMERS.set)).await?;
    ensure!(alive["value"].as_array().map(Vec::len) == Some(1), "{alive}");
    let log = world.system.log();
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

fn request(world: &World, random: &mut Random) -> String {
    let mut target = random.pick(&SEEDS).replace("CUSTOMERS", CUSTOMERS.set);
    for _ in 0..random.below(4) {
        mutate(&mut target, random);
    }
    // A request line ends at the first blank; everything else may stand in a target.
    let target: String =
        target.chars().map(|it| if it.is_ascii_graphic() { it } else { '+' }).collect();
    let method = if random.one_in(20) {
        *random.pick(&["POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE", "BREW"])
    } else {
        "GET"
    };
    let method = if method == "HEAD" { "GET" } else { method };
    let header = if random.one_in(4) { *random.pick(&HEADERS) } else { "" };
    format!(
        "{method} /api/data/v9.2/{target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{header}Connection: close\r\n\r\n",
        world.admin.authority(),
        world.admin.token()
    )
}

fn mutate(target: &mut String, random: &mut Random) {
    let length = target.chars().count();
    let at = target.char_indices().nth(random.below(length + 1)).map_or(target.len(), |(at, _)| at);
    match random.below(5) {
        0 => target.insert_str(at, FRAGMENTS[random.below(FRAGMENTS.len())]),
        1 => target.truncate(at),
        2 if at < target.len() => {
            target.remove(at);
        }
        3 if at < target.len() => {
            target.remove(at);
            target.insert(at, char::from(33 + random.below(94) as u8));
        }
        _ => {
            let part = target[at..].chars().take(random.below(30)).collect::<String>();
            target.insert_str(at, &part);
        }
    }
}
