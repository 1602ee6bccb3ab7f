//! `$batch`: what is served together, and how its answers are written.

use proto::query::v1 as pb;
use proto::query::v1::column_values::Values;
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Written;
use rpc::ErrorReason;
use tonic::Code;
use uuid::Uuid;

use crate::fakes::{Answer, Provider, Step, World, batch, last, page, refusal};
use crate::fixture::CUSTOMERS;
use crate::ledger::{Event, Ledger};

const CATALOG: &str = "mserp_financeandoperationsentities";
const BOUNDARY: (&str, &str) = ("content-type", "multipart/mixed;boundary=\"batch_1\"");

/// One part of an answer: status, headers as they are written, body.
#[derive(Debug)]
struct Part {
    status: u16,
    head: String,
    body: String,
}

/// A batch of these requests, each with its request line, headers and body.
fn of(requests: &[&str]) -> String {
    let part = |it: &&str| {
        format!(
            "--batch_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
             \r\n{it}\r\n"
        )
    };
    format!("{}--batch_1--\r\n", requests.iter().map(part).collect::<String>())
}

async fn run(world: &World, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = [&[BOUNDARY], headers].concat();
    world.send("POST", "$batch", &headers, body).await
}

/// Takes an answer apart as clients do: its first line is the boundary.
fn parts(answer: &Answer) -> Vec<Part> {
    let body = &answer.body;
    let boundary = body.split("\r\n").next().unwrap();
    assert!(boundary.starts_with("--batchresponse_"), "{body}");
    assert_eq!(
        answer.header("content-type"),
        format!("multipart/mixed; boundary={}", &boundary[2..])
    );
    let end = format!("{boundary}--\r\n");
    let parts = body.strip_suffix(end.as_str()).unwrap_or_else(|| panic!("{body}"));
    let delimiter = format!("{boundary}\r\n");
    let parts = parts.split(&delimiter).skip(1);
    parts.map(part).collect()
}

fn part(text: &str) -> Part {
    let rest = text.strip_prefix("Content-Type: application/http\r\n").unwrap();
    let (_, rest) = rest.split_once("\r\n\r\nHTTP/1.1 ").unwrap();
    let (head, body) = rest.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').next().unwrap().parse().unwrap();
    let body = body.strip_suffix("\r\n").unwrap().to_owned();
    Part { status, head: text[..text.len() - body.len()].to_owned(), body }
}

fn customers() -> Provider {
    let mut provider =
        Provider::new(|_| vec![Step::Item(last(page("{\"mserp_account\":\"US-1\"}", 1), None))]);
    provider.one = Box::new(|_| Ok(batch("{\"mserp_account\":\"US-1\"}", 1)));
    provider
}

#[tokio::test]
async fn every_way_of_writing_a_url_is_served() {
    let world = World::new(customers()).await;
    let requests = [
        format!("GET http://elsewhere/api/data/v9.2/{CUSTOMERS}?$top=1 HTTP/1.1\r\n\r\n"),
        format!("GET /api/data/v9.2/{CUSTOMERS}?$top=1 HTTP/1.1"),
        format!("GET {CUSTOMERS}?$filter=mserp_alias eq 'Zoë \"x\"' HTTP/1.1\r\nAccept:x/y\r\n"),
        "GET WhoAmI HTTP/1.1".to_owned(),
    ];
    let requests: Vec<_> = requests.iter().map(String::as_str).collect();
    let answer = run(&world, &[], &of(&requests)).await;
    let parts = parts(&answer);
    let statuses: Vec<_> = parts.iter().map(|it| it.status).collect();
    assert_eq!((answer.status, statuses), (200, vec![200; 4]), "{}", answer.body);
    for part in &parts[..3] {
        let body: serde_json::Value = serde_json::from_str(&part.body).unwrap();
        assert_eq!(body["value"][0]["mserp_account"], "US-1");
        assert!(part.head.contains("\r\nOData-Version: 4.0\r\n"), "{}", part.head);
    }
    let filter = world.query.last_query().criteria.unwrap();
    let sent = format!("{filter:?}");
    assert!(sent.contains("Zoë"), "{sent}");
}

#[tokio::test]
async fn parts_have_headers_of_their_own() {
    let world = World::new(customers()).await;
    let path = format!("{CUSTOMERS}({})", Uuid::from_u128(1));
    let preferring = format!(
        "GET {CUSTOMERS} HTTP/1.1\r\nPrefer: odata.maxpagesize=2\r\nAuthorization: Bearer bad\r\n"
    );
    let created = format!("PATCH {CATALOG}({}) HTTP/1.1\r\n", Uuid::from_u128(5));
    let prevented = format!("{created}If-None-Match: *\r\n\r\n{{\"mserp_hasbeengenerated\":true}}");
    let read = format!("GET {path} HTTP/1.1");
    let headers = [("prefer", "odata.continue-on-error")];
    let answer = run(&world, &headers, &of(&[&preferring, &prevented, &read])).await;
    let parts = parts(&answer);
    let statuses: Vec<_> = parts.iter().map(|it| it.status).collect();
    assert_eq!((answer.status, statuses), (200, vec![200, 412, 200]), "{}", answer.body);
    assert_eq!(answer.header("preference-applied"), "odata.continue-on-error");
    assert!(parts[0].head.contains("Preference-Applied: odata.maxpagesize=2\r\n"));
    assert!(parts[1].head.contains("\r\nREQ_ID: "), "{}", parts[1].head);
    assert!(!parts[2].head.contains("REQ_ID"), "{}", parts[2].head);
}

#[tokio::test]
async fn the_first_failure_ends_a_batch() {
    let world = World::new(customers()).await;
    let row = Uuid::from_u128(5);
    let update =
        format!("PATCH {CATALOG}({row}) HTTP/1.1\r\n\r\n{{\"mserp_hasbeengenerated\":true}}");
    let requests = [update.as_str(), "GET nothing HTTP/1.1", update.as_str()];
    let answer = run(&world, &[], &of(&requests)).await;
    let found = parts(&answer);
    let statuses: Vec<_> = found.iter().map(|it| it.status).collect();
    assert_eq!((answer.status, statuses), (400, vec![204, 404]), "{}", answer.body);
    let error: serde_json::Value = serde_json::from_str(&found[1].body).unwrap();
    assert_eq!(error["error"]["code"], "0x8006088a");
    let url = format!("http://org.test:8080/api/data/v9.2/{CATALOG}({row})");
    assert!(found[0].head.contains(&format!("\r\nOData-EntityId: {url}\r\n")));
    assert!(found[0].head.contains(&format!("\r\nLocation: {url}\r\n")));
    assert!(found[0].head.ends_with("\r\n\r\n"));
    assert_eq!(world.catalog.updates.lock().unwrap().len(), 1, "the last one did not run");
    let headers = [("prefer", "return=minimal, odata.continue-on-error")];
    let answer = run(&world, &headers, &of(&requests)).await;
    let statuses: Vec<_> = parts(&answer).iter().map(|it| it.status).collect();
    assert_eq!((answer.status, statuses), (200, vec![204, 404, 204]));
}

#[tokio::test]
async fn what_cannot_be_read_runs_nothing() {
    let world = World::new(customers()).await;
    let update = format!(
        "PATCH {CATALOG}({}) HTTP/1.1\r\n\r\n{{\"mserp_hasbeengenerated\":true}}",
        Uuid::from_u128(5)
    );
    let whole = of(&[&update]);
    let cut_off = whole.strip_suffix("--batch_1--\r\n").unwrap();
    let (status, code, message) = run(&world, &[], cut_off).await.error();
    assert_eq!((status, code.as_str()), (400, "0x80048d19"));
    assert!(message.contains("Stream was not readable."), "{message}");
    let nested = of(&[&update, "POST $batch HTTP/1.1\r\n\r\nx"]);
    assert_eq!(run(&world, &[], &nested).await.error().0, 400);
    let many = of(&vec![update.as_str(); 1_001]);
    assert_eq!(run(&world, &[], &many).await.error().0, 400);
    let get = of(&["GET WhoAmI HTTP/1.1"]);
    let change_set = get.replace("batch_1", "cs");
    let change_set = format!(
        "{}--batch_1\r\nContent-Type: multipart/mixed; boundary=cs\r\n\r\n{change_set}\r\n--batch_1--\r\n",
        whole.strip_suffix("--batch_1--\r\n").unwrap(),
    );
    let (status, _, message) = run(&world, &[], &change_set).await.error();
    assert_eq!((status, message.as_str()), (400, "A change set cannot contain GET requests."));
    let plain = world.send("POST", "$batch", &[("content-type", "text/plain")], &whole).await;
    assert_eq!(plain.error().0, 400);
    assert_eq!(world.get("$batch").await.error().0, 405);
    assert!(world.catalog.updates.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_in_disguise_is_no_batch_within_a_batch() {
    let world = World::new(customers()).await;
    let inner = of(&["GET WhoAmI HTTP/1.1"]).replace("batch_1", "inner");
    let content_type = "Content-Type: multipart/mixed;boundary=inner";
    for path in ["%24%62atch", "$b%61tch", "/api/data/v9.2/$batch%2F"] {
        let request = format!("POST {path} HTTP/1.1\r\n{content_type}\r\n\r\n{inner}");
        let answer = run(&world, &[], &of(&[&request])).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(!answer.body.contains("UserId"), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_reference_to_nothing_is_refused_by_name() {
    let world = World::new(customers()).await;
    let answer = run(&world, &[], &of(&["PATCH $7 HTTP/1.1\r\n\r\n{}"])).await;
    let parts = parts(&answer);
    assert_eq!((answer.status, parts[0].status), (400, 400));
    let expected = "Content-ID Reference: '$7' does not exist in the batch context.";
    assert!(parts[0].body.contains(expected), "{}", parts[0].body);
}

#[tokio::test]
async fn a_page_that_breaks_off_is_an_error_of_its_part() {
    let broken = Provider::new(|_| {
        let status = refusal(Code::Unavailable, ErrorReason::StoreUnavailable);
        vec![Step::Item(page("{\"mserp_account\":\"US-1\"}", 1)), Step::Fail(status)]
    });
    let world = World::new(broken).await;
    let request = format!("GET {CUSTOMERS} HTTP/1.1");
    let answer = run(&world, &[], &of(&[&request])).await;
    let parts = parts(&answer);
    assert!(parts[0].status >= 500, "{}", answer.body);
    assert!(!parts[0].body.contains("US-1"), "{}", answer.body);
}

#[tokio::test]
async fn a_batch_ends_at_its_deadline() {
    let hanging = Provider::new(|query| match query.entity_name.as_str() {
        "CustCustomerV3Entity" => vec![Step::Item(page("{}", 1)), Step::Hang],
        _ => vec![Step::Item(last(pb::RetrieveMultipleResponse::default(), None))],
    });
    let world = World::new(hanging).await;
    let request = format!("GET {CUSTOMERS} HTTP/1.1");
    let answer = run(&world, &[], &of(&[&request, "GET WhoAmI HTTP/1.1"])).await;
    let parts = parts(&answer);
    assert_eq!((answer.status, parts.len(), parts[0].status), (400, 1, 504), "{}", answer.body);
}

/// A change set of these requests, each with its Content-ID.
fn change_set(requests: &[(&str, &str)]) -> String {
    let part = |(id, it): &(&str, &str)| {
        format!(
            "--changeset_1\r\nContent-Type: application/http\r\n\
             Content-Transfer-Encoding: binary\r\nContent-ID: {id}\r\n\r\n{it}\r\n"
        )
    };
    let parts = requests.iter().map(part).collect::<String>();
    format!(
        "--batch_1\r\nContent-Type: multipart/mixed; boundary=changeset_1\r\n\r\n{parts}\
         --changeset_1--\r\n\r\n"
    )
}

fn ended(parts: &str) -> String {
    format!("{parts}--batch_1--\r\n")
}

const CREATED: u128 = 0xC0;
const NEW_CUSTOMER: &str = "POST mserp_custcustomerv3entities HTTP/1.1\r\n\
    Content-Type: application/json; type=entry\r\n\r\n{\"mserp_account\":\"US-1\"}";
const RENAME: &str = "PATCH $1 HTTP/1.1\r\nContent-Type: application/json\r\n\r\n\
    {\"mserp_alias\":\"x\"}";

#[tokio::test]
async fn a_change_set_is_one_transaction_whose_requests_name_each_other_s_rows() {
    let order = "POST /api/data/v9.2/mserp_orders HTTP/1.1\r\n\r\n\
        {\"mserp_number\":\"1\",\"mserp_Customer@odata.bind\":\"$1\"}";
    let found = Ledger::answering(|operation| match operation {
        Operation::Retrieve(_) => Some(Ok(Written::Retrieve(texts(&["usmf", "US-1"])))),
        _ => None,
    });
    let world = World::new(customers().with(found)).await;
    let body = ended(&change_set(&[("1", NEW_CUSTOMER), ("2", RENAME), ("3", order)]));
    let answer = run(&world, &[], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let lines: Vec<_> = answer.body.split("\r\n").collect();
    assert!(lines[1].starts_with("Content-Type: multipart/mixed; boundary=changesetresponse_"));
    let boundary = lines[1].rsplit_once('=').unwrap().1;
    assert_eq!((lines[2], lines[3]), ("", format!("--{boundary}").as_str()));
    assert_eq!(lines[4], "Content-Type: application/http");
    assert!(lines.contains(&format!("--{boundary}--").as_str()));
    for (id, set) in [("1", CUSTOMERS), ("2", CUSTOMERS), ("3", "mserp_orders")] {
        let part = answer
            .body
            .split(&format!("--{boundary}"))
            .find(|it| it.contains(&format!("\r\nContent-ID: {id}\r\n")));
        let part = part.unwrap_or_else(|| panic!("{id}: {}", answer.body));
        let row = Uuid::from_u128(CREATED);
        let url = format!("http://org.test:8080/api/data/v9.2/{set}({row})");
        assert!(part.contains("\r\nHTTP/1.1 204 No Content\r\n"), "{part}");
        assert!(part.contains(&format!("\r\nOData-EntityId: {url}\r\n")), "{part}");
        assert!(part.contains(&format!("\r\nLocation: {url}\r\n")), "{part}");
    }
    let events = world.query.ledger.events();
    let begun = events.iter().filter(|it| matches!(it, Event::Begin(_))).count();
    assert_eq!((begun, events.last()), (1, Some(&Event::Commit(String::new()))), "{events:?}");
}

#[tokio::test]
async fn a_change_set_that_fails_is_one_error_and_nothing_of_it_is_done() {
    let refusing = Ledger::answering(|operation| match operation {
        Operation::Update(_) => {
            Some(Err(refusal(Code::InvalidArgument, ErrorReason::InvalidValue)))
        }
        _ => None,
    });
    let world = World::new(customers().with(refusing)).await;
    let failing = change_set(&[("1", NEW_CUSTOMER), ("2", RENAME)]);
    let after = of(&["GET WhoAmI HTTP/1.1"]);
    let body = format!("{failing}{after}");
    let answer = run(&world, &[], &body).await;
    let stopped = parts(&answer);
    assert_eq!((answer.status, stopped.len(), stopped[0].status), (400, 1, 400));
    assert!(stopped[0].head.contains("\r\nContent-ID: 2\r\n"), "{}", stopped[0].head);
    world.query.ledger.told(|it| *it == Event::RolledBack).await;
    let committed = |it: &Event| matches!(it, Event::Commit(_));
    assert!(!world.query.ledger.events().iter().any(committed));
    let answer = run(&world, &[("prefer", "odata.continue-on-error")], &body).await;
    let statuses: Vec<_> = parts(&answer).iter().map(|it| it.status).collect();
    assert_eq!((answer.status, statuses), (200, vec![400, 200]), "{}", answer.body);
}

#[tokio::test]
async fn a_change_set_that_names_nobody_s_row_is_not_run() {
    let world = World::new(customers()).await;
    for (named, request) in [
        ("$9", "PATCH $9 HTTP/1.1\r\n\r\n{\"mserp_alias\":\"x\"}"),
        ("$8", "POST mserp_orders HTTP/1.1\r\n\r\n{\"mserp_Customer@odata.bind\":\"$8\"}"),
    ] {
        let body = ended(&change_set(&[("1", NEW_CUSTOMER), ("2", request)]));
        let answer = run(&world, &[], &body).await;
        let parts = parts(&answer);
        assert_eq!((answer.status, parts[0].status), (400, 400));
        let expected =
            format!("Content-ID Reference: '{named}' does not exist in the batch context.");
        assert!(parts[0].body.contains(&expected), "{}", parts[0].body);
    }
    assert!(world.query.ledger.events().is_empty());
}

#[tokio::test]
async fn rows_of_a_change_set_can_be_named_behind_it() {
    let world = World::new(customers()).await;
    let written = change_set(&[("1", NEW_CUSTOMER), ("2", RENAME)]);
    let read = of(&["GET $1?$select=mserp_account HTTP/1.1"]);
    let answer = run(&world, &[], &format!("{written}{read}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("\"mserp_account\":\"US-1\""), "{}", answer.body);
}

#[tokio::test]
async fn a_batch_that_is_sent_again_is_done_once() {
    let world = World::new(customers()).await;
    let single = of(&[NEW_CUSTOMER]);
    let body = format!("{}{single}", change_set(&[("1", NEW_CUSTOMER), ("2", RENAME)]));
    let named = [("x-ms-client-request-id", "b-1")];
    for _ in 0..2 {
        let answer = run(&world, &named, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let events = world.query.ledger.events();
    let begun: Vec<_> = events
        .iter()
        .filter_map(|it| match it {
            Event::Begin(key) => Some(key.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(begun.len(), 2, "{events:?}");
    assert_eq!(begun[0], begun[1]);
    assert!(!begun[0].is_empty());
    let commits = events.iter().filter(|it| matches!(it, Event::Commit(_))).count();
    assert_eq!(commits, 1, "the second time, what is recorded is answered");
    let alone: Vec<_> = events
        .iter()
        .filter_map(|it| match it {
            Event::Alone(_, key) => Some(key.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(alone.len(), 2, "the store itself knows that it was asked before");
    assert_eq!(alone[0], alone[1]);
    assert!(!alone[0].is_empty() && alone[0] != begun[0]);
}

#[tokio::test]
async fn a_request_of_a_change_set_has_the_user_of_the_batch() {
    let world = World::new(customers()).await;
    let as_other = NEW_CUSTOMER.replace("Content-Type", "MSCRMCallerID: x\r\nContent-Type");
    let answer = run(&world, &[], &ended(&change_set(&[("1", &as_other)]))).await;
    assert_eq!(parts(&answer)[0].status, 400);
    assert!(world.query.ledger.events().is_empty());
}

fn texts(texts: &[&str]) -> pb::RetrieveResponse {
    let column = |it: &&str| pb::ColumnValues {
        values: Some(Values::Strings(pb::StringArray { values: vec![(*it).to_owned()] })),
        ..Default::default()
    };
    let columns = pb::ColumnBatch { columns: texts.iter().map(column).collect() };
    let rows = Some(pb::row_batch::Rows::Columns(columns));
    let batch = Some(pb::RowBatch { row_count: 1, rows, ..Default::default() });
    pb::RetrieveResponse { batch }
}
