//! Who may see what; and that nobody comes in without a token.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::tables::{AGREEMENTS, CUSTOMERS};
use tests::{Start, System, Web, assert_error};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    the_clerk_sees_customers_and_orders_of_usmf_only,
    the_clerk_sees_nothing_of_other_tables,
    the_reader_sees_everything_of_demf_only,
    rows_of_other_companies_do_not_exist_for_a_user,
    counts_pages_and_filters_stay_within_the_companies,
    who_am_i_says_who_asks,
    nobody_comes_in_without_a_token,
    a_token_past_its_time_or_for_others_is_refused,
    a_token_of_another_issuer_is_refused,
];

const ORDERS: &str = "mserp_salesorderheaderv2entities";

async fn companies(web: &Web, set: &str) -> Result<BTreeSet<String>> {
    let (rows, _) = web.pages(&format!("{set}?$select=mserp_dataareaid"), 5_000).await?;
    let code =
        |row: &Value| row["mserp_dataareaid"].as_str().map(str::to_owned).context("no company");
    rows.iter().map(code).collect()
}

async fn the_clerk_sees_customers_and_orders_of_usmf_only(world: &World) -> Result<()> {
    for set in
        [CUSTOMERS.set, ORDERS, "mserp_salesorderlinev2entities", "mserp_custcustomergroupentities"]
    {
        let seen = companies(&world.clerk, set).await?;
        ensure!(seen == BTreeSet::from(["USMF".to_owned()]), "{set}: {seen:?}");
    }
    Ok(())
}

async fn the_clerk_sees_nothing_of_other_tables(world: &World) -> Result<()> {
    for set in [
        "mserp_vendvendorv2entities",
        AGREEMENTS.set,
        "mserp_companyinfoentities",
        "mserp_dirpartyv2entities",
    ] {
        let list = format!("{set}?$top=1");
        for path in [
            list.clone(),
            format!("{set}/$count"),
            format!("{set}(00000000-0000-0000-0000-000000000001)"),
        ] {
            let answer = world.clerk.get(&path).await?;
            assert_error(&answer, 403, "0x80040220", "")?;
        }
        ensure!(world.admin.get(&list).await?.status == 200, "{set} is not there at all");
    }
    Ok(())
}

async fn the_reader_sees_everything_of_demf_only(world: &World) -> Result<()> {
    let document = world.reader.json("").await?;
    for set in document["value"].as_array().context("no value")? {
        let set = set["name"].as_str().context("no name")?;
        if !set.starts_with("mserp_") || set == "mserp_financeandoperationsentities" {
            continue;
        }
        let list = world.reader.json(&format!("{set}?$top=5000")).await?;
        let rows = list["value"].as_array().context("no rows")?;
        let foreign =
            rows.iter().find(|it| it.get("mserp_dataareaid").is_some_and(|it| it != "DEMF"));
        ensure!(foreign.is_none(), "{set}: {foreign:?}");
    }
    let expected =
        world.erp.count("SELECT count(*) FROM erp.custtable WHERE dataareaid = 'DEMF'").await?;
    let list = world.reader.json(&format!("{}?$top=0&$count=true", CUSTOMERS.set)).await?;
    ensure!(list["@odata.count"] == expected, "{} of {expected}", list["@odata.count"]);
    Ok(())
}

async fn rows_of_other_companies_do_not_exist_for_a_user(world: &World) -> Result<()> {
    let path = format!("{}?$filter=mserp_dataareaid eq 'GBSI'&$top=5", CUSTOMERS.set);
    let foreign = world.admin.json(&path).await?;
    let foreign = foreign["value"].as_array().context("no rows")?;
    ensure!(foreign.len() == 5, "{} rows", foreign.len());
    for row in foreign {
        let id = row[CUSTOMERS.id].as_str().context("no id")?;
        let account = row["mserp_customeraccount"].as_str().context("no account")?;
        let by_key =
            format!("{}(mserp_dataareaid='GBSI',mserp_customeraccount='{account}')", CUSTOMERS.set);
        for web in [&world.clerk, &world.reader] {
            let answer = web.get(&format!("{}({id})", CUSTOMERS.set)).await?;
            assert_error(&answer, 404, "0x80040217", "Does Not Exist")?;
            assert_error(&web.get(&by_key).await?, 404, "0x80060891", "does not exist")?;
        }
        ensure!(world.admin.get(&by_key).await?.status == 200);
    }
    Ok(())
}

async fn counts_pages_and_filters_stay_within_the_companies(world: &World) -> Result<()> {
    let expected =
        world.erp.count("SELECT count(*) FROM erp.custtable WHERE dataareaid = 'USMF'").await?;
    let set = CUSTOMERS.set;
    let number = world.clerk.get(&format!("{set}/$count")).await?.body;
    ensure!(number.trim_start_matches('\u{feff}') == expected.to_string(), "{number}");
    let (rows, _) = world
        .clerk
        .pages(&format!("{set}?$select=mserp_dataareaid&$orderby=mserp_organizationname"), 50)
        .await?;
    ensure!(rows.len() as i64 == expected, "{} rows of {expected}", rows.len());
    let attempts = [
        "mserp_dataareaid eq 'DEMF'",
        "mserp_dataareaid ne 'USMF'",
        "not (mserp_dataareaid eq 'USMF')",
        "mserp_dataareaid eq 'USMF' and mserp_dataareaid eq 'DEMF' or mserp_dataareaid eq 'GBSI'",
    ];
    for filter in attempts {
        let list = world.clerk.json(&format!("{set}?$count=true&$filter={filter}")).await?;
        ensure!(
            list["@odata.count"] == 0 && list["value"].as_array().is_some_and(Vec::is_empty),
            "{filter}: {list}"
        );
    }
    // A next link of somebody who sees more shows no more.
    let page = world
        .admin
        .get_prefer(
            &format!("{set}?$select=mserp_dataareaid&$orderby=mserp_organizationname"),
            "odata.maxpagesize=100",
        )
        .await?
        .ok()?;
    let link = page["@odata.nextLink"].as_str().context("no next link")?;
    let answer = world.clerk.get(link).await?;
    if answer.status == 200 {
        let list = answer.ok()?;
        let foreign = list["value"]
            .as_array()
            .context("no rows")?
            .iter()
            .find(|it| it["mserp_dataareaid"] != "USMF");
        ensure!(foreign.is_none(), "{foreign:?}");
    } else {
        assert_error(&answer, 400, "0x80040203", "")?;
    }
    Ok(())
}

async fn who_am_i_says_who_asks(world: &World) -> Result<()> {
    let mut ids = BTreeSet::new();
    for web in [&world.admin, &world.clerk, &world.reader] {
        let answer = web.json("WhoAmI").await?;
        let context = answer["@odata.context"].as_str().unwrap_or_default();
        ensure!(context.ends_with("#Microsoft.Dynamics.CRM.WhoAmIResponse"), "{answer}");
        let id = answer["UserId"].as_str().context("no UserId")?.to_owned();
        ensure!(
            answer["BusinessUnitId"].is_string() && answer["OrganizationId"].is_string(),
            "{answer}"
        );
        let user = world.admin.get(&format!("systemusers({id})")).await?;
        ensure!(user.status == 200, "{user:?}");
        ids.insert(id);
    }
    ensure!(ids.len() == 3, "{ids:?}");
    Ok(())
}

async fn nobody_comes_in_without_a_token(world: &World) -> Result<()> {
    let good = world.admin.token().to_owned();
    let mut parts: Vec<_> = good.split('.').map(str::to_owned).collect();
    ensure!(parts.len() == 3, "not a JWT");
    // "none" as algorithm, and a signature of nothing.
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    let first = parts[2].remove(0);
    parts[2].insert(0, if first == 'A' { 'B' } else { 'A' });
    let forged = parts.join(".");
    let tokens = [
        None,
        Some("garbage".to_owned()),
        Some(String::new()),
        Some(unsigned),
        Some(forged),
        Some("a.b.c".to_owned()),
        Some("x".repeat(8_000)),
    ];
    for token in tokens {
        let web = Web::new(&world.system.http, token.clone());
        for path in ["", CUSTOMERS.set, "WhoAmI", "nosuchtables", "$metadata"] {
            let answer = web.get(path).await?;
            assert_error(
                &answer,
                401,
                "0x8005F101",
                "The requested resource requires authentication.",
            )
            .with_context(|| format!("{token:?}"))?;
            let challenge = answer.header("www-authenticate");
            ensure!(
                challenge.starts_with("Bearer authorization_uri=")
                    && challenge.contains("resource_id="),
                "{challenge}"
            );
        }
    }
    let answer = Web::new(&world.system.http, None)
        .send(
            reqwest::Method::GET,
            CUSTOMERS.set,
            &[("Authorization", &format!("Basic {good}"))],
            None,
        )
        .await?;
    assert_error(&answer, 401, "0x8005F101", "")
}

/// Signed with the right key, as `tombolo token` would, but for one claim.
async fn a_token_past_its_time_or_for_others_is_refused(world: &World) -> Result<()> {
    let key = std::fs::read(world.data().join("issuer/key.pem"))?;
    let remint =
        |change: &dyn Fn(&mut Value)| tests::issuer::remint(world.admin.token(), &key, change);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let status = async |token: String| -> Result<tests::Answer> {
        Web::new(&world.system.http, Some(token)).get(&format!("{}?$top=1", CUSTOMERS.set)).await
    };
    let unchanged = status(remint(&|_| ())?).await?;
    ensure!(unchanged.status == 200, "{unchanged:?}");
    let refused: [(&str, Value); 6] = [
        ("exp", Value::from(now - 3_600)),
        ("exp", Value::from("soon")),
        ("exp", Value::Null),
        ("aud", Value::from("https://elsewhere.example")),
        ("iss", Value::from("https://elsewhere.example/v2.0")),
        ("nbf", Value::from(now + 3_600)),
    ];
    for (claim, value) in refused {
        let answer = status(remint(&|claims| claims[claim] = value.clone())?).await?;
        assert_error(&answer, 401, "0x8005F101", "")
            .with_context(|| format!("{claim} = {value}"))?;
    }
    let stranger = remint(&|claims| {
        claims["oid"] = Value::from("11111111-1111-1111-1111-111111111111");
        claims["preferred_username"] = Value::from("stranger");
    })?;
    assert_error(
        &status(stranger).await?,
        403,
        "0x80072560",
        "The user is not a member of the organization.",
    )
}

/// Another environment's development issuer: the same names, another key.
async fn a_token_of_another_issuer_is_refused(world: &World) -> Result<()> {
    let data = tests::temporary_directory()?;
    let start = Start::dev(data.path()).over(&world.erp.url().await?, &world.erp.model());
    let other = System::start(&start).await?;
    let token = other.token("admin").await?;
    let at_home = Web::new(&other.http, Some(token.clone())).get("").await?;
    other.stop().await?;
    ensure!(at_home.status == 200, "{at_home:?}");
    let answer = Web::new(&world.system.http, Some(token)).get("").await?;
    assert_error(&answer, 401, "0x8005F101", "")
}
