//! Text that is meant to become SQL, XML or paths, in every place that takes text or a name: it stays
//! text. Nothing is changed, nothing of the database is told, and the server goes on.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use proto::query::v1 as query;
use proto::query::v1::value::Kind;
use reqwest::Method;
use serde_json::{Value, json};
use tests::batch::Batch;
use tests::{Answer, Web, encode};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};

use crate::write_world::{CUSTOMER_SET, Case, World, customer, customer_key, row};

pub(crate) const CASES: &[Case] = tests::cases![World:
    hostile_text_in_urls_has_no_effect,
    hostile_text_in_fetchxml_has_no_effect,
    xml_entities_are_refused_unread,
    hostile_text_in_headers_has_no_effect,
    hostile_text_in_bodies_has_no_effect,
    hostile_text_over_grpc_has_no_effect,
    hostile_text_is_kept_to_the_letter,
];

/// What no request takes that is refused, or finds nothing.
const SOON: Duration = Duration::from_secs(8);
/// Bytes of a name that can be told to a gRPC client.
const MOST_TOLD: usize = 40_000;
const ACCOUNT: &str = "INJECTED";
const LOGICAL: &str = "mserp_custcustomerv3entity";

/// What only the database could have said.
const OF_THE_DATABASE: [&str; 12] = [
    "syntax error at or near",
    "unterminated quoted",
    "erp.custtable",
    "erp.dirpartytable",
    "SQLSTATE",
    "operator does not exist",
    "does not exist at character",
    "invalid input syntax",
    "current transaction is aborted",
    "invalid byte sequence",
    "PostgreSQL",
    "canary-row",
];

fn hostile() -> Vec<String> {
    let mut all: Vec<String> = [
        "'",
        "''",
        "\"",
        "\\",
        "\\'",
        "';--",
        "' OR '1'='1",
        "' OR 1=1--",
        "\" OR \"\"=\"",
        "'; DROP TABLE erp.canary; --",
        "\"; DROP TABLE erp.canary; --",
        "'); DROP TABLE erp.canary; --",
        "')); DELETE FROM erp.canary; --",
        "1; DELETE FROM erp.canary",
        "1) UNION SELECT name FROM erp.canary--",
        "' UNION ALL SELECT NULL, name, NULL FROM erp.canary --",
        "'||(SELECT name FROM erp.canary LIMIT 1)||'",
        "(SELECT pg_sleep(20))",
        "'; SELECT pg_sleep(20); --",
        "$$; DROP TABLE erp.canary; $$",
        "$tag$'$tag$",
        "$1",
        "$2::int",
        ":user",
        "{{7*7}}",
        "E'\\x27; DROP TABLE erp.canary; --'",
        "U&'\\0027; DROP TABLE erp.canary; --'",
        "\u{2019}; DROP TABLE erp.canary; --",
        "\u{ff07}; DROP TABLE erp.canary; --",
        "\u{02bc} OR 1=1",
        "/* ' */ OR /* \" */ 1=1 --",
        "/**/",
        "--",
        "#",
        "%",
        "_",
        "%' OR 1=1 --",
        "[a-z]%",
        "%27%20OR%201%3D1--",
        "%2527",
        "&#39; OR 1=1",
        "<!--",
        "]]>",
        "<x/>",
        "\u{0}",
        "a\u{0}'; DROP TABLE erp.canary; --",
        "\u{1}\u{1f}\u{7f}",
        "\r\nX-Injected: yes\r\n\r\n",
        "\u{202e}'\u{202d}",
        "\u{fffd}\u{ffff}",
        "../../../etc/passwd",
        "${jndi:ldap://127.0.0.1/a}",
        "NULL",
        "xmin",
        "ctid",
        "pg_catalog.pg_authid",
        "cust.recid",
        "current_user",
        "COPY erp.canary TO PROGRAM 'id'",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push("'".repeat(3_000));
    all.push("a".repeat(9_000));
    all.push("(".repeat(2_000));
    all
}

/// A table that much of the text is after.
async fn canary(world: &World) -> Result<()> {
    let sql = "CREATE TABLE IF NOT EXISTS erp.canary (name text PRIMARY KEY);
        INSERT INTO erp.canary VALUES ('canary-row') ON CONFLICT DO NOTHING";
    world.erp.execute(sql).await
}

async fn sings(world: &World) -> Result<()> {
    let count = world.erp.count("SELECT count(*) FROM erp.canary").await?;
    ensure!(count == 1, "the canary is gone");
    Ok(())
}

fn innocent(answer: &Answer, text: &str, started: Instant) -> Result<()> {
    let told = || {
        let shown: String = answer.body.chars().take(600).collect();
        format!("{} ({text:?})\n  {} {shown}", answer.request, answer.status)
    };
    let status = answer.status.as_u16();
    ensure!(status < 500 || status == 501, "{}", told());
    ensure!(!answer.headers.contains_key("x-injected"), "a header was made: {}", told());
    for word in OF_THE_DATABASE {
        ensure!(!answer.body.contains(word) || text.contains(word), "{word:?}: {}", told());
    }
    ensure!(started.elapsed() < SOON, "{:?}: {}", started.elapsed(), told());
    Ok(())
}

/// GETs each, which must change nothing.
async fn gets(world: &World, web: &Web, paths: impl Fn(&str) -> Vec<String>) -> Result<()> {
    canary(world).await?;
    let before = world.both().await?;
    for text in hostile() {
        for path in paths(&text) {
            let started = Instant::now();
            let answer = web.get(&path).await.with_context(|| format!("{text:?} in {path}"))?;
            innocent(&answer, &text, started)?;
        }
    }
    sings(world).await?;
    world.unchanged(&before).await?;
    ensure!(web.get(&format!("{CUSTOMER_SET}?$top=1")).await?.status == 200);
    Ok(())
}

async fn hostile_text_in_urls_has_no_effect(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let set = CUSTOMER_SET;
    gets(world, &admin, |text| {
        let raw = encode(text);
        let quoted = encode(&text.replace('\'', "''"));
        vec![
            format!("{set}?$top=1&$filter=mserp_organizationname eq '{quoted}'"),
            format!("{set}?$top=1&$filter=mserp_organizationname eq '{raw}'"),
            format!("{set}?$top=1&$filter=contains(mserp_organizationname,'{quoted}')"),
            format!("{set}?$top=1&$filter=startswith(mserp_organizationname,'{quoted}')"),
            format!("{set}?$top=1&$filter=mserp_organizationname in ('{quoted}','x')"),
            format!("{set}?$top=1&$filter=mserp_dataareaid eq '{quoted}'"),
            format!("{set}?$top=1&$filter=mserp_creditlimit gt {raw}"),
            format!("{set}?$top=1&$filter=mserp_onholdstatus eq {raw}"),
            format!("{set}?$top=1&$filter=mserp_creditreviewdate lt {raw}"),
            format!("{set}?$top=1&$filter={raw} eq 1"),
            format!("{set}?$top=1&$filter={raw}"),
            format!("{set}?$top=1&$filter=Microsoft.Dynamics.CRM.Like(PropertyName='mserp_organizationname',PropertyValue='{quoted}')"),
            format!("{set}?$top=1&$filter=Microsoft.Dynamics.CRM.In(PropertyName='{quoted}',PropertyValues=['{quoted}'])"),
            format!("{set}?$top=1&$filter=mserp_FK_SalesOrderHeaderV2Entity_OrderingCustomer/any({raw}:{raw}/x eq 1)"),
            format!("{set}?$top=1&$filter=mserp_organizationname eq @p&@p='{quoted}'"),
            format!("{set}?$top=1&$filter=mserp_organizationname eq @p&@p={raw}"),
            format!("{set}?$top=1&$orderby={raw}"),
            format!("{set}?$top=1&$orderby=mserp_organizationname {raw}"),
            format!("{set}?$top=1&$select={raw}"),
            format!("{set}?$top=1&$expand={raw}"),
            format!("{set}?$top=1&$expand=mserp_FK_CustomerGroup_id($select={raw})"),
            format!("{set}?$apply=groupby(({raw}))"),
            format!("{set}?$apply=aggregate(mserp_creditlimit with sum as {raw})"),
            format!("{set}?$apply=aggregate(mserp_creditlimit with {raw} as total)"),
            format!("{set}?$apply=filter(mserp_organizationname eq '{quoted}')/aggregate($count as n)"),
            format!("{set}?$top={raw}"),
            format!("{set}?$count={raw}"),
            format!("{set}?$skiptoken={raw}"),
            format!("{set}?$deltatoken={raw}"),
            format!("{set}?savedQuery={raw}"),
            format!("{set}?{raw}=1"),
            format!("{set}({raw})"),
            format!("{set}(mserp_dataareaid='{quoted}',mserp_customeraccount='{quoted}')"),
            format!("{set}({raw}='USMF',mserp_customeraccount='1')"),
            format!("{set}/{raw}"),
            raw.clone(),
            format!("RetrieveTotalRecordCount(EntityNames=['{quoted}'])"),
            format!("RetrieveCurrentOrganization(AccessType={raw})"),
            format!("RetrieveMetadataChanges(Query=@p)?@p={raw}"),
            format!("EntityDefinitions(LogicalName='{quoted}')"),
            format!("accounts?$top=1&$filter=name eq '{quoted}'"),
            format!("accounts?$top=1&$filter=contains(name,'{quoted}')"),
            format!("accounts({raw})"),
            format!("mserp_financeandoperationsentities?$filter=mserp_physicalname eq '{quoted}'"),
        ]
    })
    .await
}

async fn hostile_text_in_fetchxml_has_no_effect(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    gets(world, &admin, |text| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let entity = |inner: &str| {
            format!(
                "<fetch top=\"1\"><entity name=\"{LOGICAL}\"><attribute name=\"mserp_customeraccount\"/>{inner}</entity></fetch>"
            )
        };
        let condition = |inner: &str| entity(&format!("<filter><condition {inner}/></filter>"));
        let documents = [
            condition(&format!("attribute=\"mserp_organizationname\" operator=\"eq\" value=\"{text}\"")),
            condition(&format!("attribute=\"mserp_organizationname\" operator=\"like\" value=\"%{text}%\"")),
            condition(&format!("attribute=\"mserp_organizationname\" operator=\"{text}\" value=\"1\"")),
            condition(&format!("attribute=\"{text}\" operator=\"eq\" value=\"1\"")),
            condition(&format!("entityname=\"{text}\" attribute=\"mserp_organizationname\" operator=\"null\"")),
            condition(&format!("attribute=\"mserp_organizationname\" operator=\"eq\" valueof=\"{text}\"")),
            condition(&format!("attribute=\"mserp_creditlimit\" operator=\"gt\" value=\"{text}\"")),
            condition(&format!("attribute=\"mserp_creditreviewdate\" operator=\"last-x-days\" value=\"{text}\"")),
            entity(&format!("<attribute name=\"{text}\"/>")),
            entity(&format!("<attribute name=\"mserp_organizationname\" alias=\"{text}\"/>")),
            entity(&format!("<order attribute=\"{text}\"/>")),
            entity(&format!("<filter type=\"{text}\"/>")),
            entity(&format!("<link-entity name=\"{text}\" from=\"{text}\" to=\"{text}\" alias=\"{text}\"/>")),
            entity(&format!(
                "<link-entity name=\"mserp_custcustomergroupentity\" from=\"mserp_custcustomergroupentityid\" \
                 to=\"mserp_fk_customergroup_id\" alias=\"{text}\" link-type=\"outer\"><attribute name=\"mserp_description\"/></link-entity>"
            )),
            entity(&format!(
                "<link-entity name=\"account\" from=\"accountnumber\" to=\"mserp_customeraccount\" link-type=\"{text}\"/>"
            )),
            format!("<fetch top=\"{text}\"><entity name=\"{LOGICAL}\"/></fetch>"),
            format!("<fetch count=\"1\" page=\"2\" paging-cookie=\"{text}\"><entity name=\"{LOGICAL}\"/></fetch>"),
            format!("<fetch aggregate=\"true\"><entity name=\"{LOGICAL}\"><attribute name=\"mserp_creditlimit\" aggregate=\"sum\" alias=\"{text}\"/></entity></fetch>"),
            format!("<fetch aggregate=\"true\"><entity name=\"{LOGICAL}\"><attribute name=\"mserp_creditlimit\" aggregate=\"{text}\" alias=\"a\"/></entity></fetch>"),
            format!("<fetch><entity name=\"{text}\"/></fetch>"),
            text,
        ];
        documents.iter().map(|it| format!("{CUSTOMER_SET}?fetchXml={}", encode(it))).collect()
    })
    .await
}

async fn xml_entities_are_refused_unread(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let secret = tests::temporary_directory()?;
    let file = secret.path().join("secret.txt");
    std::fs::write(&file, "canary-row")?;
    let external = format!("<!DOCTYPE fetch [<!ENTITY x SYSTEM \"file://{}\">]>", file.display());
    let mut laughs = String::from("<!DOCTYPE fetch [<!ENTITY l0 \"ha\">");
    for level in 1..20 {
        let before = format!("&l{};", level - 1).repeat(10);
        laughs.push_str(&format!("<!ENTITY l{level} \"{before}\">"));
    }
    laughs.push_str("]>");
    let quadratic = format!("<!DOCTYPE fetch [<!ENTITY x \"{}\">]>", "a".repeat(5_000));
    let fetch = |value: &str| {
        format!(
            "<fetch top=\"1\"><entity name=\"{LOGICAL}\"><filter><condition attribute=\"mserp_organizationname\" \
             operator=\"eq\" value=\"{value}\"/></filter></entity></fetch>"
        )
    };
    let documents = [
        format!("{external}{}", fetch("&x;")),
        format!("{laughs}{}", fetch("&l19;")),
        format!("{quadratic}{}", fetch(&"&x;".repeat(1_000))),
        format!("<!DOCTYPE fetch SYSTEM \"http://127.0.0.1:1/x.dtd\">{}", fetch("x")),
        format!("<!DOCTYPE fetch [<!ENTITY % p SYSTEM \"http://127.0.0.1:1/x\"> %p;]>{}", fetch("x")),
        format!("<!DOCTYPE fetch [<!ATTLIST fetch top CDATA \"9\">]>{}", fetch("x")),
        fetch("&undeclared;"),
        format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{}", fetch("+ACc-")),
        format!("<?xml-stylesheet href=\"http://127.0.0.1:1/\"?>{}", fetch("x")),
        "<fetch xmlns:xi=\"http://www.w3.org/2001/XInclude\"><xi:include href=\"/etc/passwd\"/></fetch>"
            .to_owned(),
    ];
    for document in documents {
        let started = Instant::now();
        let path = format!("{CUSTOMER_SET}?fetchXml={}", encode(&document));
        let answer = admin.get(&path).await?;
        innocent(&answer, "", started)?;
        let harmless = document.starts_with("<?xml");
        ensure!(harmless || answer.status.is_client_error(), "{document}: {answer:?}");
        // By gRPC the document is as long as it likes.
        let mut client = client(world).await?;
        let request = pb::FetchXmlToQueryExpressionRequest { fetch_xml: document.clone() };
        let answer = client.fetch_xml_to_query_expression(signed(&admin, request)?).await;
        ensure!(harmless || answer.is_err(), "{document}: {answer:?}");
    }
    Ok(())
}

async fn hostile_text_in_headers_has_no_effect(world: &World) -> Result<()> {
    canary(world).await?;
    let admin = world.admin().await?;
    let before = world.both().await?;
    let key = customer_key("US-000001");
    for text in hostile() {
        // What no client can send at all is tried by raw requests elsewhere.
        let sendable = |it: char| !it.is_control() && it.is_ascii();
        let text: String = text.chars().filter(|it| sendable(*it)).take(4_000).collect();
        for name in [
            "Prefer",
            "If-None-Match",
            "Accept",
            "CallerObjectId",
            "MSCRMCallerID",
            "CallerContactId",
            "x-ms-client-request-id",
            "x-ms-correlation-id",
            "traceparent",
            "MSCRM.SolutionUniqueName",
        ] {
            let started = Instant::now();
            let headers = [(name, text.as_str())];
            let answer = admin.send(Method::GET, &key, &headers, None).await?;
            innocent(&answer, &text, started)?;
        }
        for value in [
            format!("odata.maxpagesize={text}"),
            format!("odata.include-annotations=\"{text}\""),
            format!("odata.track-changes={text}"),
        ] {
            let started = Instant::now();
            let answer = admin.get_prefer(&format!("{CUSTOMER_SET}?$top=1"), &value).await?;
            innocent(&answer, &text, started)?;
        }
        let started = Instant::now();
        let headers = [("If-Match", text.as_str())];
        let answer = admin.send(Method::DELETE, &customer_key("NOBODY"), &headers, None).await?;
        innocent(&answer, &text, started)?;
        let stranger = Web::new(&format!("http://{}", admin.authority()), Some(text.clone()));
        let started = Instant::now();
        let answer = stranger.get(&key).await?;
        innocent(&answer, &text, started)?;
        ensure!(answer.status == 401, "{answer:?}");
    }
    sings(world).await?;
    world.unchanged(&before).await
}

async fn hostile_text_in_bodies_has_no_effect(world: &World) -> Result<()> {
    canary(world).await?;
    let admin = world.admin().await?;
    let path = customer_key("US-000002");
    let before = world.both().await?;
    for text in hostile() {
        let mut bodies: Vec<Value> = vec![
            json!({ text.clone(): "x" }),
            json!({ format!("{text}@odata.bind"): "/accounts(1)" }),
            json!({ "mserp_FK_CustomerGroup_id@odata.bind": text }),
            json!({ "mserp_creditlimit": text }),
            json!({ "mserp_onholdstatus": text }),
            json!({ "mserp_creditreviewdate": text }),
            json!({ "mserp_customergroupid": { text.clone(): text } }),
            json!({ "@odata.type": text, "mserp_nothing": 1 }),
        ];
        // What would be a group's id is refused for being none.
        bodies.push(json!({ "mserp_customergroupid": format!("?{text}") }));
        for body in bodies {
            let started = Instant::now();
            let answer = admin.patch(&path, &[("If-Match", "*")], body).await?;
            innocent(&answer, &text, started)?;
            ensure!(answer.status.is_client_error(), "{text:?}: {answer:?}");
        }
        for action in [
            format!("{path}/Microsoft.Dynamics.CRM.{}", encode(&text)),
            encode(&text),
            format!("{CUSTOMER_SET}/Microsoft.Dynamics.CRM.{}", encode(&text)),
        ] {
            let started = Instant::now();
            let answer = admin.post(&action, json!({ "Reason": text })).await?;
            innocent(&answer, &text, started)?;
            ensure!(answer.status.is_client_error(), "{text:?}: {answer:?}");
        }
        let query = json!({ "EntityName": text, "ColumnSet": { "Columns": [text] }, "Orders": [{ "AttributeName": text }] });
        for (path, body) in [
            ("QueryExpressionToFetchXml", json!({ "Query": query })),
            ("BulkDelete", json!({ "JobName": text, "QuerySet": [query] })),
        ] {
            let started = Instant::now();
            innocent(&admin.post(path, body).await?, &text, started)?;
        }
        let batch = Batch::default().and(tests::batch::Part::get(encode(&text)));
        let started = Instant::now();
        innocent(&batch.send(&admin, &[]).await?, &text, started)?;
        // The text itself, as whatever it is taken for.
        for content_type in ["application/json", "multipart/mixed; boundary=x", "text/plain"] {
            let headers = [("Content-Type", content_type)];
            for path in [CUSTOMER_SET, "$batch"] {
                let started = Instant::now();
                let answer = admin.send_text(Method::POST, path, &headers, text.clone()).await?;
                innocent(&answer, &text, started)?;
            }
        }
    }
    sings(world).await?;
    world.unchanged(&before).await
}

async fn client(world: &World) -> Result<GatewayServiceClient<tonic::transport::Channel>> {
    let channel = Endpoint::from_shared(world.grpc().await?)?.connect().await?;
    Ok(GatewayServiceClient::new(channel))
}

fn signed<T>(web: &Web, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {}", web.token()).parse()?);
    Ok(request)
}

fn polite(status: &Status, text: &str) -> Result<()> {
    let fault = matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss);
    ensure!(!fault, "{text:?}: {status:?}");
    for word in OF_THE_DATABASE {
        ensure!(!status.message().contains(word) || text.contains(word), "{text:?}: {status:?}");
    }
    Ok(())
}

async fn hostile_text_over_grpc_has_no_effect(world: &World) -> Result<()> {
    canary(world).await?;
    let admin = world.admin().await?;
    let before = world.both().await?;
    let mut client = client(world).await?;
    let column = |name: &str| query::ColumnRef {
        column: Some(query::column_ref::Column::Field(name.to_owned())),
        ..Default::default()
    };
    let value = |text: &str| query::Value { kind: Some(Kind::StringValue(text.to_owned())) };
    // A name that is refused is in the refusal, and HTTP/2 clients take so much of headers only.
    for text in hostile().into_iter().filter(|it| it.len() <= MOST_TOLD) {
        let condition = |name: &str| query::ConditionExpression {
            column: Some(column(name)),
            operator: query::ConditionOperator::Equal.into(),
            values: vec![value(&text)],
            ..Default::default()
        };
        let output = |name: &str, key: &str| query::OutputColumn {
            column: Some(column(name)),
            key: key.to_owned(),
            ..Default::default()
        };
        let base = |name: &str| query::QueryExpression {
            entity_name: name.to_owned(),
            columns: vec![output("mserp_customeraccount", "")],
            page: Some(query::Page { size: 1, ..Default::default() }),
            ..Default::default()
        };
        let filtered = |name: &str| query::QueryExpression {
            criteria: Some(query::FilterExpression {
                operator: query::FilterOperator::And.into(),
                conditions: vec![condition(name)],
                ..Default::default()
            }),
            ..base(LOGICAL)
        };
        let queries = [
            base(&text),
            filtered(&text),
            filtered("mserp_organizationname"),
            filtered("mserp_creditlimit"),
            query::QueryExpression { columns: vec![output(&text, &text)], ..base(LOGICAL) },
            query::QueryExpression {
                columns: vec![output("mserp_organizationname", &text)],
                ..base(LOGICAL)
            },
        ];
        for asked in queries {
            let request =
                pb::RetrieveMultipleRequest { query: Some(asked), page_token: String::new() };
            let answer = match client.retrieve_multiple(signed(&admin, request)?).await {
                Ok(stream) => stream.into_inner().message().await.map(drop),
                Err(status) => Err(status),
            };
            if let Err(status) = answer {
                polite(&status, &text)?;
            }
        }
        let values = || {
            vec![pb::ColumnValue {
                row_of_operation: 0,
                column: text.clone(),
                value: Some(value(&text)),
            }]
        };
        let request =
            pb::CreateRequest { table: LOGICAL.to_owned(), values: values(), ..Default::default() };
        if let Err(status) = client.create(signed(&admin, request)?).await {
            polite(&status, &text)?;
        }
        let request = pb::PerformActionRequest {
            action: text.clone(),
            id: text.clone(),
            parameters: values(),
            idempotency_key: text.clone(),
        };
        if let Err(status) = client.perform_action(signed(&admin, request)?).await {
            polite(&status, &text)?;
        }
        let request = pb::RetrieveRequest {
            table: LOGICAL.to_owned(),
            key: Some(pb::retrieve_request::Key::Id(text.clone())),
            columns: vec![text.clone()],
        };
        if let Err(status) = client.retrieve(signed(&admin, request)?).await {
            polite(&status, &text)?;
        }
    }
    sings(world).await?;
    world.unchanged(&before).await
}

/// What is text is stored as it came, found again by itself, and by nothing that it only looks like.
async fn hostile_text_is_kept_to_the_letter(world: &World) -> Result<()> {
    canary(world).await?;
    let admin = world.admin().await?;
    let id = admin.create(CUSTOMER_SET, customer(ACCOUNT, "Injected")).await?;
    let path = row(CUSTOMER_SET, &id);
    let account = admin.create("accounts", json!({ "name": "Injected" })).await?;
    for text in hostile() {
        // PostgreSQL has no NUL in text, and says so; a line's end is one character.
        let storable = !text.contains('\0');
        let started = Instant::now();
        let answer = admin.patch(&path, &[], json!({ "mserp_notes": text })).await?;
        innocent(&answer, &text, started)?;
        if !storable {
            ensure!(answer.status == 400, "{text:?}: {answer:?}");
            continue;
        }
        if answer.status.is_success() {
            let stored = admin.json(&format!("{path}?$select=mserp_notes")).await?;
            ensure!(stored["mserp_notes"] == text.as_str(), "{text:?} became {stored}");
        } else {
            ensure!(answer.status == 400 && text.len() > 1_000, "{text:?}: {answer:?}");
        }
        let started = Instant::now();
        let body = json!({ "description": text });
        let answer = admin.patch(&row("accounts", &account), &[], body).await?;
        innocent(&answer, &text, started)?;
        if answer.status.is_success() {
            let stored = admin.json(&row("accounts", &account)).await?;
            ensure!(stored["description"] == text.as_str(), "{text:?} became {stored}");
        }
    }
    admin.delete(&path).await?.expect(204)?;
    admin.delete(&row("accounts", &account)).await?.expect(204)?;
    sings(world).await?;
    world.erp.execute("DROP TABLE erp.canary").await
}
