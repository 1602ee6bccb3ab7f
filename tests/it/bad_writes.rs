//! Writes that cannot be: the answer names what is wrong, and neither database is touched.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::batch::{Batch, Part};
use tests::{Web, assert_error, raw_http};

use crate::write_world::{
    CUSTOMER_SET, Case, GROUP_SET, LINE_SET, ORDER_SET, World, customer, customer_key, row,
};

pub(crate) const CASES: &[Case] = tests::cases![World:
    a_wrong_value_names_its_column,
    what_cannot_be_written_is_named,
    a_key_that_is_taken_is_told,
    bodies_that_are_none_are_refused,
    a_body_that_is_cut_off_writes_nothing,
    half_a_batch_writes_nothing,
    a_change_set_with_a_get_is_refused,
    wrong_methods_and_addresses_write_nothing,
];

/// A member that makes a good body bad, and what the answer says.
struct Bad {
    set: &'static str,
    column: &'static str,
    value: Value,
    code: &'static str,
    text: &'static str,
}

fn bad(
    set: &'static str,
    column: &'static str,
    value: Value,
    code: &'static str,
    text: &'static str,
) -> Bad {
    Bad { set, column, value, code, text }
}

/// Any code will do.
const ANY: &str = "*";

fn good(set: &str) -> Value {
    match set {
        CUSTOMER_SET => customer("BAD-1", "Bad"),
        GROUP_SET => json!({ "mserp_dataareaid": "USMF", "mserp_customergroupid": "B1" }),
        ORDER_SET => {
            json!({ "mserp_dataareaid": "USMF", "mserp_orderingcustomeraccountnumber": "BAD-0" })
        }
        "contacts" => json!({ "lastname": "Bad" }),
        _ => json!({ "name": "Bad" }),
    }
}

fn check(what: &str, answer: &tests::Answer, code: &str, text: &str) -> Result<()> {
    let error = answer.parse()?["error"].clone();
    let message = error["message"].as_str().unwrap_or_default();
    let right = answer.status == 400
        && !message.is_empty()
        && (code == ANY || error["code"] == code)
        && message.contains(text);
    ensure!(right, "{what}: expected 400 {code} {text:?}, got {} {error}", answer.status);
    ensure!(
        !["INSERT", "SELECT", "_fkey", "_check", "erp.", "constraint"]
            .iter()
            .any(|it| message.contains(it)),
        "{what}: tells of the database: {message}"
    );
    Ok(())
}

async fn a_wrong_value_names_its_column(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    admin.create(CUSTOMER_SET, customer("BAD-0", "Not bad")).await?;
    let long = "x".repeat(300);
    let cases = [
        // Wrong types.
        bad(CUSTOMER_SET, "mserp_creditlimit", json!("many"), ANY, "mserp_creditlimit"),
        bad(CUSTOMER_SET, "mserp_organizationname", json!(5), ANY, "mserp_organizationname"),
        bad(
            CUSTOMER_SET,
            "mserp_organizationname",
            json!({ "a": 1 }),
            ANY,
            "mserp_organizationname",
        ),
        bad(CUSTOMER_SET, "mserp_organizationname", json!(["a"]), ANY, "mserp_organizationname"),
        bad(
            CUSTOMER_SET,
            "mserp_creditreviewdate",
            json!("2027-02-30"),
            ANY,
            "mserp_creditreviewdate",
        ),
        bad(
            CUSTOMER_SET,
            "mserp_creditreviewdate",
            json!(20_270_101),
            ANY,
            "mserp_creditreviewdate",
        ),
        bad(CUSTOMER_SET, "mserp_onholdstatus", json!("All"), ANY, "mserp_onholdstatus"),
        bad(CUSTOMER_SET, "mserp_onholdstatus", json!(200_000_099), ANY, "mserp_onholdstatus"),
        bad(CUSTOMER_SET, "mserp_onholdstatus", json!(2), ANY, "mserp_onholdstatus"),
        bad(
            CUSTOMER_SET,
            "mserp_creditreviewintervaldays",
            json!(1.5),
            ANY,
            "mserp_creditreviewintervaldays",
        ),
        bad(
            CUSTOMER_SET,
            "mserp_creditreviewintervaldays",
            json!(true),
            ANY,
            "mserp_creditreviewintervaldays",
        ),
        bad(CUSTOMER_SET, "mserp_externalid", json!("not-a-guid"), ANY, "mserp_externalid"),
        bad("accounts", "creditonhold", json!("yes"), ANY, "creditonhold"),
        bad("accounts", "numberofemployees", json!("12"), ANY, "numberofemployees"),
        bad("accounts", "revenue", json!([]), ANY, "revenue"),
        bad("contacts", "birthdate", json!("yesterday"), ANY, "birthdate"),
        bad("contacts", "donotemail", json!(1), ANY, "donotemail"),
        bad("accounts", "industrycode", json!(99), ANY, "industrycode"),
        // Too long, too large, too fine.
        bad(
            CUSTOMER_SET,
            "mserp_organizationname",
            json!(long),
            "0x80044331",
            "The length of the 'mserp_organizationname' attribute of the 'mserp_custcustomerv3entity' entity exceeded the maximum allowed length of '255'.",
        ),
        bad(
            CUSTOMER_SET,
            "mserp_creditrating",
            json!("12345678901"),
            "0x80044331",
            "mserp_creditrating",
        ),
        bad(
            "accounts",
            "name",
            json!(long),
            "0x80044331",
            "exceeded the maximum allowed length of '255'",
        ),
        bad("contacts", "lastname", json!(long), "0x80044331", "lastname"),
        bad(
            CUSTOMER_SET,
            "mserp_creditreviewintervaldays",
            json!(3_000_000_000_i64),
            ANY,
            "mserp_creditreviewintervaldays",
        ),
        bad(CUSTOMER_SET, "mserp_creditlimit", json!(0.000_000_1), ANY, "mserp_creditlimit"),
        bad("accounts", "revenue", json!(0.000_01), ANY, "revenue"),
        bad("accounts", "numberofemployees", json!(-3_000_000_000_i64), ANY, "numberofemployees"),
        // What the ERP's own constraints refuse.
        bad(CUSTOMER_SET, "mserp_creditlimit", json!(-1), ANY, "mserp_creditlimit"),
        bad(
            CUSTOMER_SET,
            "mserp_creditreviewintervaldays",
            json!(-1),
            ANY,
            "mserp_creditreviewintervaldays",
        ),
        bad(CUSTOMER_SET, "mserp_customergroupid", json!("NONE"), ANY, "mserp_customergroupid"),
        bad(CUSTOMER_SET, "mserp_paymentterms", json!("NONE"), ANY, "mserp_paymentterms"),
        bad(CUSTOMER_SET, "mserp_salescurrencycode", json!("ZZZ"), ANY, "mserp_salescurrencycode"),
        bad(CUSTOMER_SET, "mserp_invoiceaccount", json!("NOBODY"), ANY, "mserp_invoiceaccount"),
        bad(CUSTOMER_SET, "mserp_organizationname", json!("   "), ANY, "mserp_organizationname"),
        bad(
            CUSTOMER_SET,
            "mserp_primarycontactemail",
            json!("a@b@c"),
            "0x80048d0b",
            "E-mail address a@b@c is not valid.",
        ),
        bad(ORDER_SET, "mserp_orderingcustomeraccountnumber", json!("NOBODY"), ANY, ""),
        bad(GROUP_SET, "mserp_dataareaid", json!("ZZZZ"), ANY, "mserp_dataareaid"),
        // Nothing where something must be.
        bad(CUSTOMER_SET, "mserp_organizationname", Value::Null, ANY, "mserp_organizationname"),
        bad(CUSTOMER_SET, "mserp_customergroupid", Value::Null, ANY, "mserp_customergroupid"),
        bad(CUSTOMER_SET, "mserp_dataareaid", Value::Null, ANY, "mserp_dataareaid"),
        bad("contacts", "lastname", Value::Null, ANY, "lastname"),
        bad(CUSTOMER_SET, "mserp_notes", json!("a\u{0}b"), ANY, "mserp_notes"),
    ];
    let before = world.both().await?;
    let mut wrong = Vec::new();
    for it in &cases {
        let mut body = good(it.set);
        body[it.column] = it.value.clone();
        let what = format!("POST {} {}={:.40}", it.set, it.column, it.value.to_string());
        let answer = admin.post(it.set, body).await?;
        let outcome = check(&what, &answer, it.code, it.text);
        wrong.extend(outcome.err().map(|it| format!("{it:#}")));
        if let Err(error) = world.unchanged(&before).await {
            anyhow::bail!("{what}: {error:#}\nbefore that: {wrong:#?}");
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The same on an update.
    let existing = customer_key("BAD-0");
    for it in cases.iter().filter(|it| {
        it.set == CUSTOMER_SET && it.column != "mserp_dataareaid" && it.column != "mserp_externalid"
    }) {
        let what = format!("PATCH {}={:.40}", it.column, it.value.to_string());
        let body = json!({ (it.column): it.value });
        let answer = admin.patch(&existing, &[("If-Match", "*")], body).await?;
        wrong.extend(check(&what, &answer, it.code, it.text).err().map(|it| format!("{it:#}")));
    }
    world.unchanged(&before).await?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

async fn what_cannot_be_written_is_named(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let mut wrong = Vec::new();
    let id = admin.create(CUSTOMER_SET, customer("BAD-2", "Not bad")).await?;
    let existing = row(CUSTOMER_SET, &id);
    let before = world.both().await?;
    // Unknown and read-only columns, and what must be there.
    let with = |column: &str, value: Value| {
        let mut body = customer("BAD-3", "Bad");
        body[column] = value;
        body
    };
    let without = |column: &str| {
        let mut body = customer("BAD-3", "Bad");
        if let Some(members) = body.as_object_mut() {
            members.remove(column);
        }
        body
    };
    let creates = [
        (
            with("mserp_nosuch", json!(1)),
            "0x0",
            "Could not find a property named 'mserp_nosuch' on type 'Microsoft.Dynamics.CRM.mserp_custcustomerv3entity'.",
        ),
        (with("MSERP_NOTES", json!("x")), "0x0", "MSERP_NOTES"),
        (with("mserp_partynumber", json!("P-1")), ANY, "mserp_partynumber"),
        (with("mserp_recordversion", json!(7)), ANY, "mserp_recordversion"),
        (
            with("mserp_createddatetime", json!("2020-01-01T00:00:00Z")),
            ANY,
            "mserp_createddatetime",
        ),
        (
            with("_mserp_fk_customergroup_id_value", json!("00000000-0000-0000-0000-000000000001")),
            ANY,
            "_mserp_fk_customergroup_id_value",
        ),
        (without("mserp_organizationname"), ANY, "mserp_organizationname"),
        (without("mserp_customergroupid"), ANY, "mserp_customergroupid"),
        (without("mserp_dataareaid"), ANY, "mserp_dataareaid"),
    ];
    for (body, code, text) in creates {
        let answer = admin.post(CUSTOMER_SET, body).await?;
        wrong.extend(check("POST", &answer, code, text).err().map(|it| format!("{it:#}")));
    }
    let updates = [
        (json!({ "mserp_customeraccount": "BAD-4" }), "mserp_customeraccount"),
        (json!({ "mserp_partytype": 200_000_001 }), "mserp_partytype"),
        (json!({ "mserp_modifieddatetime": "2020-01-01T00:00:00Z" }), "mserp_modifieddatetime"),
        (json!({ "mserp_nosuch": 1 }), "mserp_nosuch"),
    ];
    for (body, text) in updates {
        let answer = admin.patch(&existing, &[("If-Match", "*")], body).await?;
        wrong.extend(check("PATCH", &answer, ANY, text).err().map(|it| format!("{it:#}")));
    }
    for (set, body, text) in [
        ("contacts", json!({ "lastname": "x", "fullname": "y" }), "fullname"),
        ("accounts", json!({ "name": "x", "createdon": "2020-01-01T00:00:00Z" }), "createdon"),
        ("accounts", json!({ "accountnumber": "x" }), "name"),
        ("accounts", json!({ "name": "x", "nosuch": null }), "nosuch"),
    ] {
        let answer = admin.post(set, body).await?;
        wrong.extend(check(set, &answer, ANY, text).err().map(|it| format!("{it:#}")));
    }
    // A row that belongs to nobody, and tables that are not written.
    let line = json!({ "mserp_dataareaid": "USMF", "mserp_salesordernumber": "SO-NONE",
        "mserp_itemnumber": world.item().await?, "mserp_orderedsalesquantity": 1 });
    let answer = admin.post(LINE_SET, line).await?;
    wrong.extend(check("line", &answer, ANY, "").err().map(|it| format!("{it:#}")));
    world.unchanged(&before).await?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

async fn a_key_that_is_taken_is_told(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    admin.create(CUSTOMER_SET, customer("BAD-5", "First")).await?;
    admin.create("accounts", json!({ "name": "First", "accountnumber": "BAD-5" })).await?;
    let before = world.both().await?;
    let second = [
        (CUSTOMER_SET, customer("BAD-5", "Second"), "mserp_customeraccount"),
        (CUSTOMER_SET, customer("bad-5", "Second"), "mserp_customeraccount"),
        ("accounts", json!({ "name": "Second", "accountnumber": "bad-5" }), "accountnumber"),
    ];
    for (set, body, _column) in second {
        let answer = admin.post(set, body).await?;
        assert_error(&answer, 412, "0x80060892", "")
            .or_else(|_| assert_error(&answer, 412, "0x80040237", ""))?;
    }
    world.unchanged(&before).await
}

async fn bodies_that_are_none_are_refused(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let before = world.both().await?;
    let json_type = ("Content-Type", "application/json");
    let deep = format!("{{\"name\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies = [
        "{",
        "[]",
        "null",
        "5",
        "\"text\"",
        "{\"name\":}",
        "{\"name\":\"a\",}",
        "{'name':'a'}",
        "{\"name\":\"a\"} trailing",
        "\u{feff}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        deep.as_str(),
        "{\"name\":\"\\ud800\"}",
        "{\"name\":01}",
        "name=a",
    ];
    let mut wrong = Vec::new();
    for body in bodies {
        let answer =
            admin.send_text(Method::POST, "accounts", &[json_type], body.to_owned()).await?;
        if answer.status != 400 || answer.parse().is_err() {
            wrong.push(format!("{body:.60}: {} {:.200}", answer.status, answer.body));
        }
    }
    let answer = admin.send_text(Method::POST, "accounts", &[json_type], String::new()).await?;
    if answer.status != 400 && answer.status != 411 {
        wrong.push(format!("no body: {answer:?}"));
    }
    let answer = admin
        .send_text(Method::POST, "accounts", &[("Content-Type", "text/xml")], "<a/>".to_owned())
        .await?;
    if ![400, 415].contains(&answer.status.as_u16()) {
        wrong.push(format!("XML: {answer:?}"));
    }
    world.unchanged(&before).await?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A request whose body ends before its length says, and one whose chunks do not end.
async fn a_body_that_is_cut_off_writes_nothing(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let before = world.both().await?;
    let body = json!({ "name": "Cut" }).to_string();
    let batch =
        Batch::default().change_set([Part::post("accounts", &json!({ "name": "Cut" }))]).text();
    let half = &batch[..batch.len() - 40];
    let head = |path: &str, kind: &str, length: &str| {
        format!(
            "POST /api/data/v9.2/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
            Content-Type: {kind}\r\n{length}\r\nConnection: close\r\n\r\n",
            admin.token()
        )
    };
    let requests = [
        head("accounts", "application/json", &format!("Content-Length: {}", body.len() + 10))
            + body.as_str(),
        head("accounts", "application/json", "Transfer-Encoding: chunked")
            + format!("{:x}\r\n{body}", body.len()).as_str(),
        head("accounts", "application/json", "Transfer-Encoding: chunked")
            + format!("{:x}\r\n{body}\r\n", body.len()).as_str(),
        head("$batch", &Batch::content_type(), &format!("Content-Length: {}", batch.len())) + half,
    ];
    for request in requests {
        raw_http::send_and_hang_up(admin.authority(), request.as_bytes()).await?;
    }
    // Whole as HTTP, but not as a batch.
    let request =
        head("$batch", &Batch::content_type(), &format!("Content-Length: {}", half.len())) + half;
    let answer = raw_http::send(admin.authority(), request.as_bytes()).await?;
    ensure!(answer.status == 400, "{answer:?}");
    // The server is still there, and had its chance to write.
    admin.warm_up("accounts?$top=1").await?;
    world.unchanged(&before).await
}

async fn half_a_batch_writes_nothing(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let before = world.both().await?;
    let good = Part::post("accounts", &json!({ "name": "Half" }));
    let text = Batch::default().change_set([good.clone().id("1"), good.clone().id("2")]).text();
    let content_type = Batch::content_type();
    // Cut at every line: whatever is missing, the change set is not whole.
    let lines: Vec<_> = text.split_inclusive("\r\n").collect();
    for count in 0..lines.len() - 2 {
        let half = lines[..count].concat();
        let answer = admin
            .send_text(Method::POST, "$batch", &[("Content-Type", &content_type)], half)
            .await?;
        ensure!(answer.status == 400, "{count} lines: {answer:?}");
    }
    world.unchanged(&before).await
}

async fn a_change_set_with_a_get_is_refused(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let before = world.both().await?;
    let good = || Part::post("accounts", &json!({ "name": "With a GET" })).id("1");
    for set in [
        vec![good(), Part::get("accounts?$top=1").id("2")],
        vec![Part::get("accounts?$top=1").id("1"), good().id("2")],
    ] {
        let answer = Batch::default().change_set(set).send(&admin, &[]).await?;
        ensure!(answer.status == 400, "{answer:?}");
        world.unchanged(&before).await?;
    }
    // Nor is there a batch in a batch.
    let inner = Part::new(Method::POST, "$batch").header("Content-Type", Batch::content_type());
    let answer = Batch::default().and(inner).send(&admin, &[]).await?;
    ensure!(answer.status == 400, "{answer:?}");
    let many = (0..1_001).fold(Batch::default(), |batch, _| batch.and(good()));
    let answer = many.send(&admin, &[]).await?;
    ensure!(
        answer.status == 400 && answer.body.contains("1000") || answer.body.contains("1,000"),
        "{} {:.300}",
        answer.status,
        answer.body
    );
    world.unchanged(&before).await
}

async fn wrong_methods_and_addresses_write_nothing(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let before = world.both().await?;
    let nobody = "00000000-0000-0000-0000-000000000001";
    let body = || Some(json!({ "name": "x" }));
    let cases: [(Method, String, Option<Value>, &[u16]); 7] = [
        (Method::POST, "nosuch".to_owned(), body(), &[404]),
        (Method::PATCH, "accounts".to_owned(), body(), &[405]),
        (Method::DELETE, "accounts".to_owned(), None, &[405]),
        (Method::POST, row("accounts", nobody), body(), &[405]),
        (Method::DELETE, row("accounts", "not-a-guid"), None, &[400]),
        (Method::PATCH, "accounts(nosuch='x')".to_owned(), body(), &[400]),
        (Method::DELETE, row("accounts", nobody), None, &[404]),
    ];
    for (method, path, body, statuses) in cases {
        let answer = admin.send(method, &path, &[], body).await?;
        ensure!(statuses.contains(&answer.status.as_u16()) && answer.parse().is_ok(), "{answer:?}");
    }
    let anonymous = Web::new(&admin.base().replace("/api/data/v9.2/", ""), None);
    let answer = anonymous.post("accounts", json!({ "name": "x" })).await?;
    ensure!(answer.status == 401, "{answer:?}");
    world.unchanged(&before).await
}
