//! Batches as the clients in use write them, byte by byte.

use odata::BatchMethod::{Delete, Get, Patch, Post, Put};
use odata::{
    BatchError, BatchMethod, BatchPart, BatchRequest, BatchTarget, MAX_OPERATIONS, parse_batch,
};
use proptest::prelude::*;

const TYPE: &str = "multipart/mixed;boundary=b";

fn relative(url: &str) -> BatchTarget<'_> {
    BatchTarget::Relative(url)
}

fn request<'a>(method: BatchMethod, target: BatchTarget<'a>) -> BatchRequest<'a> {
    BatchRequest { method, target, content_id: None, headers: Vec::new(), body: b"" }
}

/// A batch of one part with these lines.
fn part(lines: &[&str]) -> String {
    format!("--b\r\n{}\r\n--b--\r\n", lines.join("\r\n"))
}

/// The request line, in a batch of one part.
fn line(text: &str) -> String {
    part(&["Content-Type: application/http", "", text])
}

#[track_caller]
fn only_request(body: &str) -> BatchRequest<'_> {
    match parse_batch(TYPE, body.as_bytes()) {
        Ok(parts) => match parts.as_slice() {
            [BatchPart::Request(request)] => request.clone(),
            other => panic!("{body}: {other:?}"),
        },
        Err(error) => panic!("{body}: {error}"),
    }
}

#[test]
fn dynamics_web_api_begins_with_an_empty_line_and_names_change_sets_last() {
    let body = "\r\n--dwa_batch_1\r\n\
        Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        GET http://localhost:5555/api/data/v9.2/accounts?$select=name&$filter=name%20eq%20'x' HTTP/1.1\r\n\
        Accept: application/json\r\n\r\n\
        --dwa_batch_1\r\nContent-Type: multipart/mixed;boundary=changeset_2\r\n\r\n\
        --changeset_2\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
        Content-ID: 100001\r\n\r\n\
        POST http://localhost:5555/api/data/v9.2/accounts HTTP/1.1\r\n\
        Content-Type: application/json\r\n\r\n{\"name\":\"a\\u00e9\"}\r\n\
        --changeset_2\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
        Content-ID: 100002\r\n\r\nPATCH $100001 HTTP/1.1\r\nContent-Type: application/json\r\n\r\n\
        {\"primarycontactid@odata.bind\":\"$1\"}\r\n--changeset_2--\r\n\r\n--dwa_batch_1--\r\n";
    let parts = parse_batch("multipart/mixed;boundary=dwa_batch_1", body.as_bytes()).unwrap();
    let query = "/api/data/v9.2/accounts?$select=name&$filter=name%20eq%20'x'";
    let read = BatchRequest {
        headers: vec![("Accept", "application/json")],
        ..request(Get, BatchTarget::Rooted(query))
    };
    let json = vec![("Content-Type", "application/json")];
    let create = BatchRequest {
        content_id: Some("100001"),
        headers: json.clone(),
        body: b"{\"name\":\"a\\u00e9\"}",
        ..request(Post, BatchTarget::Rooted("/api/data/v9.2/accounts"))
    };
    let update = BatchRequest {
        content_id: Some("100002"),
        headers: json,
        body: b"{\"primarycontactid@odata.bind\":\"$1\"}",
        ..request(Patch, BatchTarget::Reference { content_id: "100001", rest: "" })
    };
    assert_eq!(parts, [BatchPart::Request(read), BatchPart::ChangeSet(vec![create, update])]);
}

#[test]
fn the_python_sdk_quotes_its_boundary() {
    let body = "--batch_7f\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        DELETE https://localhost/api/data/v9.2/accounts(00000000-0000-0000-0000-0000000000ab) HTTP/1.1\r\n\
        If-Match: *\r\n\r\n\r\n--batch_7f--\r\n";
    let parts = parse_batch("multipart/mixed; boundary=\"batch_7f\"", body.as_bytes()).unwrap();
    let path = "/api/data/v9.2/accounts(00000000-0000-0000-0000-0000000000ab)";
    let expected = BatchRequest {
        headers: vec![("If-Match", "*")],
        ..request(Delete, BatchTarget::Rooted(path))
    };
    assert_eq!(parts, [BatchPart::Request(expected)]);
}

#[test]
fn dataverse_webapi_leaves_out_spaces_and_hosts() {
    let body = part(&[
        "Content-Type:application/http",
        "Content-Transfer-Encoding:binary",
        "Content-ID:1",
        "",
        "PUT /api/data/v9.2/accounts(1)/name HTTP/1.1",
        "Content-Type:application/json; type=entry",
        "",
        "{\"value\":\"x\"}",
    ]);
    let expected = BatchRequest {
        content_id: Some("1"),
        headers: vec![("Content-Type", "application/json; type=entry")],
        body: b"{\"value\":\"x\"}",
        ..request(Put, BatchTarget::Rooted("/api/data/v9.2/accounts(1)/name"))
    };
    assert_eq!(only_request(&body), expected);
}

#[test]
fn a_generic_client_writes_raw_spaces_and_quotes_into_the_request_line() {
    let body = line("GET accounts?$filter=name eq 'GET x HTTP/1.1' and a eq 1 HTTP/1.1");
    let url = "accounts?$filter=name eq 'GET x HTTP/1.1' and a eq 1";
    assert_eq!(only_request(&body), request(Get, relative(url)));
}

#[test]
fn line_feeds_alone_and_a_last_line_of_one_space_are_read() {
    let body = "\n--b\nContent-Type: application/http\n\nPOST accounts HTTP/1.1\n\
        Content-Type: application/json\n\n{\"a\":\n1}\n\n--b--\n ";
    let expected = BatchRequest {
        headers: vec![("Content-Type", "application/json")],
        body: b"{\"a\":\n1}\n",
        ..request(Post, relative("accounts"))
    };
    assert_eq!(only_request(body), expected);
}

#[test]
fn a_part_may_end_behind_its_request_line() {
    let expected = request(Get, relative("accounts"));
    assert_eq!(only_request(&line("GET accounts HTTP/1.1")), expected);
    assert_eq!(only_request(&line("GET accounts HTTP/1.1\r\n")), expected);
    assert_eq!(only_request(&line("GET accounts HTTP/1.1\r\n\r\n\r\n ")), expected);
    let body = "--b\r\nContent-Type: application/http\r\n\r\n\r\nGET accounts HTTP/1.1\r\n--b--";
    assert_eq!(only_request(body), expected);
    assert_eq!(
        parse_batch(TYPE, b"--b\r\n--b--").unwrap_err(),
        BatchError::Part { part: 1, problem: "it has no Content-Type" }
    );
    assert_eq!(parse_batch(TYPE, b"--b--"), Ok(vec![]));
}

#[test]
fn targets_are_told_apart() {
    let check = |url: &str, expected: BatchTarget<'_>| {
        assert_eq!(only_request(&line(&format!("POST {url} HTTP/1.1"))).target, expected, "{url}");
    };
    let reference = |content_id, rest| BatchTarget::Reference { content_id, rest };
    check("$1/name", reference("1", "/name"));
    check("$new-1/nav/$ref", reference("new-1", "/nav/$ref"));
    check("$1?$select=a", reference("1", "?$select=a"));
    check("$metadata", relative("$metadata"));
    check("$crossjoin(a,b)", relative("$crossjoin(a,b)"));
    check("HTTPS://host:1/x?y=http://z", BatchTarget::Rooted("/x?y=http://z"));
    check("http://host", BatchTarget::Rooted("/"));
    check("accounts?x=http://host/y", relative("accounts?x=http://host/y"));
}

#[test]
fn boundaries_are_found_in_content_types() {
    let body = "--a=b c\r\nContent-Type: application/http\r\n\r\nGET x HTTP/1.1\r\n--a=b c--";
    for good in [
        "multipart/mixed;boundary=a=b c",
        "multipart/mixed; boundary=\"a=b c\"",
        "Multipart/Mixed ;charset=utf-8; BOUNDARY = \"a=b c\" ; x=y",
    ] {
        assert!(parse_batch(good, body.as_bytes()).is_ok(), "{good}");
    }
    for bad in [
        "",
        "multipart/mixed",
        "multipart/mixed;",
        "multipart/mixed;boundary=",
        "multipart/mixed;boundary=\"\"",
        "multipart/form-data;boundary=b",
        "application/json",
        "multipart/mixed;boundary=\"b",
        "multipart/mixed;boundary=é",
    ] {
        assert_eq!(parse_batch(bad, body.as_bytes()), Err(BatchError::ContentType), "{bad}");
    }
}

#[test]
fn what_must_not_run_is_refused_as_a_whole() {
    let check = |body: &str, expected: &str| {
        let error = parse_batch(TYPE, body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{body}: {error}");
    };
    check("", "closing boundary");
    check("--b\r\nContent-Type: application/http\r\n\r\nGET x HTTP/1.1\r\n", "closing boundary");
    check("--bb\r\n--bb--", "closing boundary");
    for (text, problem) in [
        ("GET x", "no HTTP version"),
        ("GET x HTTP/3", "unknown HTTP version"),
        ("GET HTTP/1.1", "no URL"),
        ("GET  HTTP/1.1", "URL is empty"),
        ("get x HTTP/1.1", "method is not supported"),
        ("OPTIONS x HTTP/1.1", "method is not supported"),
        ("GET x\u{7}y HTTP/1.1", "control characters"),
        ("POST x HTTP/1.1\r\nno colon", "no colon"),
        ("POST x HTTP/1.1\r\n folded: x", "not a name"),
        ("", "no request line"),
        ("POST $batch HTTP/1.1", "nested"),
        ("POST https://host/api/data/v9.2/%24batch/?x HTTP/1.1", "nested"),
    ] {
        check(&line(text), problem);
    }
    check(&part(&["Content-Type: text/plain", "", "x"]), "neither");
    check(&part(&["Content-Type: multipart/mixed", "", "x"]), "neither");
    let encoded = "Content-Transfer-Encoding: base64";
    check(&part(&["Content-Type: application/http", encoded, "", "eA=="]), "not 'binary'");
    check(&line(&format!("GET {} HTTP/1.1", "x".repeat(70_000))), "too long");
    let headers = "a: b\r\n".repeat(101);
    check(&line(&format!("GET x HTTP/1.1\r\n{headers}")), "too many headers");
}

fn change_set(inner: &[&str]) -> String {
    let mut lines = vec!["Content-Type: multipart/mixed; boundary=c", ""];
    for text in inner {
        lines.extend(["--c", "Content-Type: application/http", text]);
    }
    lines.push("--c--");
    part(&lines)
}

#[test]
fn change_sets_have_rules_of_their_own() {
    let check = |inner: &[&str], expected: BatchError| {
        assert_eq!(parse_batch(TYPE, change_set(inner).as_bytes()), Err(expected), "{inner:?}");
    };
    let post = "\r\nPOST x HTTP/1.1";
    assert!(parse_batch(TYPE, change_set(&[post, post]).as_bytes()).is_ok());
    check(&[post, "\r\nGET x HTTP/1.1"], BatchError::ReadInChangeSet);
    let numbered = "Content-ID: 7\r\n\r\nPOST x HTTP/1.1";
    check(&[numbered, numbered], BatchError::DuplicateContentId("7".into()));
    let inside = "\r\nPOST x HTTP/1.1\r\nContent-ID: 7";
    check(&[numbered, inside], BatchError::DuplicateContentId("7".into()));
    let nested = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\
        Content-Type: multipart/mixed; boundary=d\r\n\r\n--d--\r\n--c--\r\n--b--";
    assert_eq!(parse_batch(TYPE, nested.as_bytes()), Err(BatchError::Nested));
    let open = change_set(&[post]).replace("--c--", "--c");
    assert_eq!(parse_batch(TYPE, open.as_bytes()), Err(BatchError::Truncated));
}

#[test]
fn at_most_a_thousand_requests_run() {
    let part = "--b\r\nContent-Type: application/http\r\n\r\nPOST x HTTP/1.1\r\n";
    let of = |count: usize| {
        parse_batch(TYPE, format!("{}--b--", part.repeat(count)).as_bytes()).map(|it| it.len())
    };
    assert_eq!(of(MAX_OPERATIONS), Ok(MAX_OPERATIONS));
    assert_eq!(of(MAX_OPERATIONS + 1), Err(BatchError::TooManyOperations));
    // Those of change sets count too.
    let set = change_set(&["\r\nPOST x HTTP/1.1"; 600]);
    let both = format!("{}{set}", set.strip_suffix("--b--\r\n").unwrap());
    assert_eq!(parse_batch(TYPE, both.as_bytes()), Err(BatchError::TooManyOperations));
}

/// A request as some client writes it.
fn written(request: &(BatchMethod, String, Option<u16>, String), end: &str) -> String {
    let (method, url, id, body) = request;
    let id = id.map(|it| format!("Content-ID:{it}{end}")).unwrap_or_default();
    let method = method.name();
    let body = body.replace('\n', end);
    format!(
        "Content-Type: application/http{end}{id}{end}{method} {url} HTTP/1.1{end}A: b{end}{end}{body}"
    )
}

proptest! {
    #[test]
    fn what_clients_write_is_what_is_read(
        requests in prop::collection::vec(
            (
                prop::sample::select(vec![Post, Patch, Put, Delete]),
                "[a-z(=' ]{0,20}[a-z)?]",
                prop::option::of(any::<u16>()),
                "(\\{[a-z\":, é\n]{0,20}\\})?",
            ),
            0..6,
        ),
        in_set in any::<bool>(),
        end in prop::sample::select(vec!["\r\n", "\n"]),
        before in prop::sample::select(vec!["", "\r\n", "\n\n", "preamble\r\n"]),
        behind in prop::sample::select(vec!["", "\r\n", "\n ", "\r\n--b\r\n"]),
    ) {
        let mark = if in_set { "c" } else { "b" };
        let mut text = String::new();
        for request in &requests {
            text.push_str(&format!("--{mark}{end}{}{end}", written(request, end)));
        }
        if in_set {
            let head = format!("--b{end}Content-Type: multipart/mixed;boundary=\"c\"{end}{end}");
            text = format!("{head}{text}--c--{end}{end}");
        }
        let text = format!("{before}{text}--b--{behind}");
        let parts = match parse_batch(TYPE, text.as_bytes()) {
            Err(BatchError::DuplicateContentId(_)) if in_set => return Ok(()),
            other => other.unwrap(),
        };
        let read: Vec<_> = parts
            .into_iter()
            .flat_map(|it| match it {
                BatchPart::Request(request) => vec![request],
                BatchPart::ChangeSet(requests) => requests,
            })
            .map(|it| (it.method, it.target, it.content_id.map(str::to_owned), it.body.to_vec()))
            .collect();
        let expected: Vec<_> = requests
            .iter()
            .map(|(method, url, id, body)| {
                let body = body.replace('\n', end).into_bytes();
                (*method, relative(url.trim()), id.map(|it| it.to_string()), body)
            })
            .collect();
        prop_assert_eq!(read, expected, "{}", text);
    }

    #[test]
    fn no_body_panics(
        content_type in "multipart/mixed;boundary=[a-b\"]{0,3}|.{0,30}",
        words in prop::collection::vec(
            prop::sample::select(vec![
                "--b", "--a", "--", "b", "\r\n", "\n", "\r", " ", ":", "Content-Type:",
                "application/http", "multipart/mixed;boundary=a", "GET ", "POST ", " HTTP/1.1",
                "$1", "/", "http://", "Content-ID: 1", "\u{0}", "é", "{}",
            ]),
            0..40,
        ),
        bytes in any::<Vec<u8>>(),
    ) {
        let _ = parse_batch(&content_type, words.concat().as_bytes());
        let _ = parse_batch(TYPE, words.concat().as_bytes());
        let _ = parse_batch(TYPE, &bytes);
    }
}
