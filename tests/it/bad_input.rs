//! What bad input gets: status, code and message of the platform.

use anyhow::{Result, ensure};
use reqwest::Method;
use tests::tables::CUSTOMERS;
use tests::{Answer, assert_error, encode};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    unknown_names_say_what_is_unknown,
    api_16_malformed_options_say_what_is_wrong,
    bad_keys_say_what_is_wrong,
    values_beyond_their_type_are_no_errors_of_the_server,
    wrong_methods_are_not_allowed,
    too_long_urls_are_refused,
    too_many_conditions_are_refused,
    deep_nesting_is_refused,
    a_path_that_is_none_of_ours_is_unknown,
    what_comes_later_says_so,
];

type Refusal = (&'static str, u16, &'static str, &'static str);

const TYPE: &str = "on type 'Microsoft.Dynamics.CRM.mserp_custcustomerv3entity'.";

async fn check(world: &World, refusals: &[Refusal]) -> Result<()> {
    for (path, status, code, message) in refusals {
        let path = path.replace("CUSTOMERS", CUSTOMERS.set);
        let answer = world.admin.get(&path).await?;
        assert_error(&answer, *status, code, message)?;
        ensure!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
        ensure!(answer.header("odata-version") == "4.0", "{answer:?}");
    }
    Ok(())
}

async fn unknown_names_say_what_is_unknown(world: &World) -> Result<()> {
    let property = |name: &str| format!("Could not find a property named '{name}' {TYPE}");
    check(
        world,
        &[
            (
                "nosuchtables",
                404,
                "0x8006088a",
                "Resource not found for the segment 'nosuchtables'.",
            ),
            ("mserp_CustCustomerV3Entities", 404, "0x8006088a", "'mserp_CustCustomerV3Entities'"),
            ("nosuchtables(1)?$select=x", 404, "0x8006088a", "'nosuchtables'"),
            ("NoSuchFunction(A=1)", 404, "0x8006088a", "'NoSuchFunction'"),
            ("CUSTOMERS/nosuchsegment", 404, "0x8006088a", ""),
        ],
    )
    .await?;
    for (query, name) in [
        ("$select=nope", "nope"),
        ("$select=mserp_notes,nope", "nope"),
        ("$select=MSERP_NOTES", "MSERP_NOTES"),
        ("$filter=nope eq 1", "nope"),
        ("$filter=contains(nope,'a')", "nope"),
        ("$orderby=nope desc", "nope"),
        ("$filter=Microsoft.Dynamics.CRM.In(PropertyName='nope',PropertyValues=['a'])", "nope"),
    ] {
        let answer = world.admin.get(&format!("{}?{query}", CUSTOMERS.set)).await?;
        assert_error(&answer, 400, "0x0", &property(name))?;
    }
    Ok(())
}

async fn api_16_malformed_options_say_what_is_wrong(world: &World) -> Result<()> {
    check(world, &[
        ("CUSTOMERS?$skip=1", 400, "0x80060888", "The query parameter '$skip' is not supported."),
        ("CUSTOMERS?$search=a", 400, "0x80060888", "'$search'"),
        ("CUSTOMERS?$format=json", 400, "0x80060888", "'$format'"),
        ("CUSTOMERS?$Filter=a", 400, "0x80060888", "'$Filter'"),
        ("CUSTOMERS?$top=-1", 400, "0x80060888", "$top"),
        ("CUSTOMERS?$top=ten", 400, "0x80060888", "$top"),
        ("CUSTOMERS?$top=99999999999999999999999", 400, "0x80060888", "$top"),
        ("CUSTOMERS?$count=maybe", 400, "0x80060888", "$count"),
        ("CUSTOMERS?$top=1&$top=2", 400, "0x80060888", "more than once"),
        ("CUSTOMERS?$filter=mserp_creditlimit eq", 400, "0x0", ""),
        ("CUSTOMERS?$filter=", 400, "0x0", ""),
        ("CUSTOMERS?$filter=(mserp_creditlimit eq 1", 400, "0x0", ""),
        ("CUSTOMERS?$filter=mserp_creditlimit eq 1)", 400, "0x0", ""),
        ("CUSTOMERS?$filter=mserp_creditlimit foo 1", 400, "0x0", ""),
        ("CUSTOMERS?$filter=mserp_notes eq 'open", 400, "0x0", ""),
        ("CUSTOMERS?$filter=mserp_notes", 400, "0x0", ""),
        ("CUSTOMERS?$filter=1 eq 1", 400, "0x0", ""),
        ("CUSTOMERS?$filter=%ff", 400, "0x80060888", "UTF-8"),
        ("CUSTOMERS?$orderby=mserp_notes sideways", 400, "0x0", ""),
        ("CUSTOMERS?$select=mserp_notes,,mserp_creditlimit", 400, "0x0", ""),
        ("CUSTOMERS?$skiptoken=garbage", 400, "0x80040203", "paging cookie"),
        ("CUSTOMERS?$filter=mserp_primaryfield eq 'USMF'", 400, "0x80060888", "mserp_primaryfield"),
        ("CUSTOMERS?$filter=mserp_creditlimit eq 'abc'", 400, "0x0",
            "A binary operator with incompatible operand types was detected. Found operand types 'Edm.Decimal' and 'Edm.String' for operator kind 'Equal'."),
        ("CUSTOMERS?$filter=mserp_onholdstatus eq 'All'", 400, "0x0", "'Edm.Int32' and 'Edm.String'"),
        ("CUSTOMERS?$filter=mserp_notes gt 5", 400, "0x0", "'Edm.String'"),
        ("CUSTOMERS?$filter=mserp_creditreviewdate eq 5", 400, "0x0", "incompatible"),
        ("CUSTOMERS?$filter=mserp_creditreviewdate eq 2024-13-45", 400, "0x0", ""),
        ("CUSTOMERS?$filter=mserp_creditlimit eq mserp_notes", 400, "0x0", "incompatible"),
        ("CUSTOMERS?$filter=contains(mserp_creditlimit,'1')", 400, "0x0", ""),
        ("CUSTOMERS?$filter=not Microsoft.Dynamics.CRM.In(PropertyName='mserp_notes',PropertyValues=['a'])", 405, "0x80060888",
            "Not operator along with the Custom Named Condition operators is not allowed"),
    ])
    .await
}

async fn bad_keys_say_what_is_wrong(world: &World) -> Result<()> {
    const NOBODY: &str = "00000000-0000-0000-0000-000000000001";
    check(world, &[
        ("CUSTOMERS(00000000-0000-0000-0000-000000000001)", 404, "0x80040217",
            "Entity 'mserp_custcustomerv3entity' With Id = 00000000-0000-0000-0000-000000000001 Does Not Exist"),
        ("CUSTOMERS(mserp_dataareaid='USMF',mserp_customeraccount='NOBODY')", 404, "0x80060891",
            "A record with the specified key values does not exist in mserp_custcustomerv3entity entity"),
        ("CUSTOMERS(not-a-guid)", 400, "0x0", ""),
        ("CUSTOMERS(1234)", 400, "0x0", ""),
        ("CUSTOMERS()", 400, "0x0", ""),
        ("CUSTOMERS(null)", 400, "0x0", ""),
        ("CUSTOMERS(mserp_dataareaid='USMF')", 400, "0x0", "key"),
        ("CUSTOMERS(mserp_nope='USMF',mserp_customeraccount='1')", 400, "0x0", "mserp_nope"),
        ("CUSTOMERS(mserp_dataareaid=5,mserp_customeraccount='1')", 400, "0x0", ""),
        ("CUSTOMERS(mserp_notes='x')", 400, "0x0", ""),
        ("CUSTOMERS(00000000-0000-0000-0000-000000000001", 400, "0x0", ""),
    ])
    .await?;
    let answer = world.admin.get(&format!("{}({NOBODY})?$top=1", CUSTOMERS.set)).await?;
    assert_error(&answer, 400, "0x80060888", "$top")
}

/// Numbers and moments that no column can hold match nothing, or are refused; never a failure.
async fn values_beyond_their_type_are_no_errors_of_the_server(world: &World) -> Result<()> {
    let filters = [
        "mserp_creditreviewintervaldays eq 99999999999",
        "mserp_creditreviewintervaldays lt 9223372036854775807",
        "mserp_creditreviewintervaldays gt -9223372036854775808",
        "mserp_creditreviewintervaldays eq 99999999999999999999999999",
        "mserp_recordversion eq 2147483648",
        "mserp_creditlimit lt 99999999999999999999999999999999999999999999999999",
        "mserp_creditlimit lt 1e300",
        "mserp_creditlimit lt 1e999",
        "mserp_creditlimit gt -0.00000000000000000000000000000000000001",
        "mserp_onholdstatus eq 5",
        "mserp_onholdstatus eq 99999999999",
        "mserp_creditreviewdate lt 9999-12-31T23:59:59.999999Z",
        "mserp_createddatetime gt 0001-01-01T00:00:00Z",
        "mserp_createddatetime lt 9999-12-31T23:59:59.9999999Z",
        "mserp_creditreviewdate gt 0001-01-01",
        "mserp_creditreviewdate eq 99999-01-01",
        "mserp_notes eq 'a%00b'",
        "contains(mserp_notes,'%00')",
        "contains(mserp_notes,'%F0%9F%A6%93')",
        "mserp_notes eq '\\'",
        "contains(mserp_notes,'[')",
        "contains(mserp_notes,'[z-a]')",
        "contains(mserp_notes,'\\')",
        "mserp_externalid eq 00000000-0000-0000-0000-000000000000",
    ];
    for filter in filters {
        let answer = world.admin.get(&format!("{}?$top=1&$filter={filter}", CUSTOMERS.set)).await?;
        let fine = answer.status == 200
            || (answer.status == 400 && answer.parse()?["error"]["message"].is_string());
        ensure!(fine, "{filter}: {answer:?}");
    }
    Ok(())
}

async fn wrong_methods_are_not_allowed(world: &World) -> Result<()> {
    let set = CUSTOMERS.set;
    let record = format!("{set}(00000000-0000-0000-0000-000000000001)");
    let requests = [
        (Method::PATCH, set.to_owned()),
        (Method::PUT, set.to_owned()),
        (Method::DELETE, set.to_owned()),
        (Method::POST, record.clone()),
        (Method::POST, format!("{set}/$count")),
        (Method::POST, String::new()),
        (Method::DELETE, String::new()),
    ];
    for (method, path) in requests {
        let body = serde_json::json!({ "mserp_notes": "x" });
        let answer = world.admin.send(method, &path, &[], Some(body)).await?;
        assert_error(&answer, 405, "0x80060888", "")?;
        ensure!(!answer.header("allow").is_empty(), "{answer:?}");
    }
    let answer = world.admin.send(Method::POST, "WhoAmI", &[], None).await?;
    assert_error(&answer, 404, "", "No HTTP resource was found that matches the request URI")
}

fn refused(answer: &Answer) -> Result<()> {
    let error = answer.parse()?;
    ensure!(
        error["error"]["code"].is_string() && error["error"]["message"].is_string(),
        "{answer:?}"
    );
    Ok(())
}

async fn too_long_urls_are_refused(world: &World) -> Result<()> {
    let filter = |length: usize| encode(&format!("mserp_notes eq '{}'", "x".repeat(length)));
    let fits = world.admin.get(&format!("{}?$filter={}", CUSTOMERS.set, filter(32_000))).await?;
    ensure!(fits.status == 200, "{} {}", fits.status, fits.body);
    let answer = world.admin.get(&format!("{}?$filter={}", CUSTOMERS.set, filter(33_000))).await?;
    assert_error(&answer, 414, "0x80060888", "32768")?;
    // Beyond what the HTTP library takes, it answers by itself.
    for length in [70_000, 500_000] {
        let answer =
            world.admin.get(&format!("{}?$filter={}", CUSTOMERS.set, filter(length))).await;
        if let Ok(answer) = answer {
            ensure!([414, 431].contains(&answer.status.as_u16()), "{}", answer.status);
        }
    }
    ensure!(world.admin.get(&format!("{}?$top=1", CUSTOMERS.set)).await?.status == 200);
    Ok(())
}

async fn too_many_conditions_are_refused(world: &World) -> Result<()> {
    let filter = |count: usize| encode(&vec!["mserp_recordversion ne 0"; count].join(" or "));
    let most =
        world.admin.get(&format!("{}?$top=1&$filter={}", CUSTOMERS.set, filter(500))).await?;
    ensure!(most.status == 200, "{} {}", most.status, most.body);
    let answer =
        world.admin.get(&format!("{}?$top=1&$filter={}", CUSTOMERS.set, filter(501))).await?;
    assert_error(
        &answer,
        400,
        "0x8004430C",
        "Number of conditions in query exceeded maximum limit.",
    )
}

async fn deep_nesting_is_refused(world: &World) -> Result<()> {
    for (open, close) in [
        ("(", ")"),
        ("not (", ")"),
        ("mserp_recordversion ne 0 and (mserp_recordversion eq 1 or (", "))"),
    ] {
        let depth = 4_000 / open.len();
        let filter =
            format!("{}mserp_recordversion ne 0{}", open.repeat(depth), close.repeat(depth));
        let answer = world
            .admin
            .get(&format!("{}?$top=1&$filter={}", CUSTOMERS.set, encode(&filter)))
            .await?;
        ensure!(answer.status == 400, "{} {}", answer.status, answer.body);
        refused(&answer)?;
    }
    Ok(())
}

async fn a_path_that_is_none_of_ours_is_unknown(world: &World) -> Result<()> {
    let host = &world.system.http;
    for path in [
        "/",
        "/favicon.ico",
        "/api",
        "/api/data",
        "/api/data/v1.0/accounts",
        "/api/search/v2.0/query",
    ] {
        let answer = world.admin.get(&format!("{host}{path}")).await?;
        assert_error(&answer, 404, "", "No HTTP resource was found that matches the request URI")?;
    }
    for version in ["v9.0", "v9.1", "v9.2"] {
        let answer = world.admin.get(&format!("{host}/api/data/{version}/")).await?;
        ensure!(answer.status == 200, "{answer:?}");
    }
    Ok(())
}

async fn what_comes_later_says_so(world: &World) -> Result<()> {
    check(
        world,
        &[
            ("EntityDefinitions(LogicalName='a')", 404, "0x80040217", "LogicalName='a'"),
            ("CUSTOMERS?sql=SELECT 1", 501, "0x80060888", "sql"),
        ],
    )
    .await
}
