//! Refusals: each with the platform's status, code and text.

use axum::body::Body;
use axum::http::Request;
use rpc::ErrorReason;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fakes::{Provider, Step, World, page, refusal};
use crate::fixture::CUSTOMERS;

#[tokio::test]
async fn bad_requests_are_refused_in_the_platforms_words() {
    let world = World::new(Provider::empty()).await;
    let c = CUSTOMERS;
    let cases = [
        ("nope".to_owned(), 404, "0x8006088a", "Resource not found for the segment 'nope'."),
        (c.to_uppercase(), 404, "0x8006088a", "Resource not found"),
        (
            format!("{c}?$select=nope"),
            400,
            "0x0",
            "Could not find a property named 'nope' on type 'Microsoft.Dynamics.CRM.mserp_custcustomerv3entity'.",
        ),
        (format!("{c}?$orderby=nope"), 400, "0x0", "named 'nope'"),
        (
            format!("{c}?$filter=mserp_visits%20eq"),
            400,
            "0x0",
            "Syntax error at position 15 in 'mserp_visits eq'.",
        ),
        (format!("{c}?$filter="), 400, "0x0", "Syntax error at position 0"),
        (
            format!("{c}?$filter=mserp_visits%20eq%20'x'"),
            400,
            "0x0",
            "A binary operator with incompatible operand types was detected. Found operand types 'Edm.Int32' and 'Edm.String' for operator kind 'Equal'.",
        ),
        (
            format!("{c}?$skip=1"),
            400,
            "0x80060888",
            "The query parameter '$skip' is not supported.",
        ),
        (format!("{c}?$top=-1"), 400, "0x80060888", "$top"),
        (format!("{c}?$top=abc"), 400, "0x80060888", "'abc'"),
        (format!("{c}?$count=maybe"), 400, "0x80060888", "'maybe'"),
        (format!("{c}?$top=1&%24top=2"), 400, "0x80060888", "more than once"),
        (format!("{c}(not-a-guid)"), 400, "0x0", "not-a-guid"),
        (format!("{c}()"), 400, "0x0", "is not a key"),
        (format!("{c}(%FF)"), 400, "0x0", "UTF-8"),
        (format!("{c}//x"), 400, "0x0", "empty segment"),
        (format!("{c}({})?$top=1", Uuid::nil()), 400, "0x80060888", "single record"),
        (format!("{c}({})/nope", Uuid::nil()), 404, "0x8006088a", "'nope'"),
        (format!("{c}({})/mserp_account/$value", Uuid::nil()), 400, "0x80060888", "$value"),
        (format!("{c}({})/nope(1)", Uuid::nil()), 400, "0x80060888", "unresolved parameters"),
        (format!("{c}?$expand=x"), 400, "0x0", "named 'x'"),
        (format!("{c}?$apply=x"), 400, "0x0", "Syntax error"),
        (format!("{c}?$search=x"), 400, "0x80060888", "'$search' is not supported."),
        (format!("{c}?$format=json"), 400, "0x80060888", "'$format' is not supported."),
        (format!("{c}?fetchXml=x"), 400, "0x80040203", "Invalid XML"),
        ("EntityDefinitions(LogicalName='a')".to_owned(), 404, "0x80040217", "LogicalName='a'"),
        (format!("{c}?x={}", "a".repeat(33_000)), 414, "0x80060888", "32768"),
    ];
    for (path, status, code, text) in cases {
        let (found, found_code, message) = world.get(&path).await.error();
        assert_eq!((found, found_code.as_str()), (status, code), "{path}: {message}");
        assert!(message.contains(text), "{path}: {message}");
    }
    assert!(world.query.queries.lock().unwrap().is_empty(), "nothing was asked");
}

#[tokio::test]
async fn every_answer_can_be_found_again() {
    let world = World::new(Provider::empty()).await;
    let ids = [("x-ms-client-request-id", "mine"), ("x-ms-correlation-id", "ours")];
    for path in ["nope", CUSTOMERS] {
        let answer = world.get_with(path, &ids).await;
        assert_eq!(answer.header("x-ms-client-request-id"), "mine");
        assert_eq!(answer.header("x-ms-correlation-id"), "ours");
        assert!(Uuid::try_parse(answer.header("x-ms-service-request-id")).is_ok());
        assert_eq!(answer.header("req_id"), answer.header("x-ms-service-request-id"));
        assert_eq!(answer.header("odata-version"), "4.0");
    }
}

#[tokio::test]
async fn callers_must_be_known() {
    let world = World::new(Provider::empty()).await;
    let answer = |authorization: Option<&'static str>| {
        let mut request = Request::builder().uri(format!("/api/data/v9.2/{CUSTOMERS}"));
        if let Some(it) = authorization {
            request = request.header("authorization", it);
        }
        world.raw(request.body(Body::empty()).unwrap())
    };
    for bad in [None, Some("Bearer bad"), Some("Bearer "), Some("Basic good"), Some("good")] {
        let answer = answer(bad).await;
        assert_eq!(answer.error().0, 401, "{bad:?}");
        assert_eq!(answer.error().1, "0x8005F101");
        let challenge =
            "Bearer authorization_uri=https://login/authorize, resource_id=https://org/";
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
    assert_eq!(world.users.resolved(), 1, "only one of them was a token");
    let both = Request::builder()
        .uri(format!("/api/data/v9.2/{CUSTOMERS}"))
        .header("authorization", "Bearer good")
        .header("authorization", "Bearer good");
    assert_eq!(world.raw(both.body(Body::empty()).unwrap()).await.error().0, 401);
    assert_eq!(answer(Some("Bearer bad")).await.status, 401);
    assert_eq!(world.users.resolved(), 1, "a refusal is remembered");
    assert_eq!(answer(Some("Bearer unknown")).await.error().0, 403);
    let (a, b, c) = tokio::join!(
        answer(Some("bearer good")),
        answer(Some("Bearer good")),
        answer(Some("Bearer good"))
    );
    assert_eq!((a.status, b.status, c.status), (200, 200, 200));
    assert_eq!(world.users.resolved(), 3, "three asked at once, one question");
}

#[tokio::test]
async fn unknown_routes_name_the_whole_url() {
    let world = World::new(Provider::empty()).await;
    for path in ["/", "/x?y=1", "/api/data/v7.0/x", "/api/other", "/api/data/"] {
        let request =
            Request::builder().uri(path).header("host", "h").header("authorization", "Bearer good");
        let answer = world.raw(request.body(Body::empty()).unwrap()).await;
        let message =
            format!("No HTTP resource was found that matches the request URI 'http://h{path}'.");
        assert_eq!(answer.error(), (404, String::new(), message));
    }
}

#[tokio::test]
async fn a_providers_refusal_becomes_the_platforms() {
    let id = Uuid::from_u128(5);
    let cases = [
        (
            refusal(Code::PermissionDenied, ErrorReason::PrivilegeDenied),
            403,
            "0x80040220",
            "is missing prvReadmserp_custcustomerv3entity privilege",
        ),
        (
            refusal(Code::FailedPrecondition, ErrorReason::InvalidModel),
            503,
            "0x80048d0b",
            "a reason for people",
        ),
        (
            refusal(Code::InvalidArgument, ErrorReason::InvalidQuery),
            400,
            "0x80060888",
            "a reason for people",
        ),
        (refusal(Code::InvalidArgument, ErrorReason::ColumnNotFound), 400, "0x0", "'mserp_gone'"),
        (refusal(Code::NotFound, ErrorReason::EntityNotFound), 404, "0x8006088a", CUSTOMERS),
        (
            refusal(Code::Unavailable, ErrorReason::StoreUnavailable),
            503,
            "0x80048d0b",
            "finance and operations app does not answer",
        ),
        (
            refusal(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded),
            504,
            "0x80044151",
            "in time",
        ),
        (refusal(Code::Internal, ErrorReason::StoreFailed), 500, "0x80040216", "Request id: "),
        (
            refusal(Code::Unauthenticated, ErrorReason::InvalidAssertion),
            503,
            "0x80048d0b",
            "rights have just changed",
        ),
        (
            Status::unavailable("tcp: 10.0.0.1 refused"),
            503,
            "0x80048d0b",
            "A service is not available",
        ),
        (
            rpc::busy("query", "the database is busy; try again later"),
            503,
            "0x80048d0b",
            "the database is busy",
        ),
        (
            Status::out_of_range("Error, decoded message length too large: secret"),
            400,
            "0x80060888",
            "too large",
        ),
        (Status::unknown("secret"), 500, "0x80040216", "An unexpected error occurred."),
    ];
    for (status, expected, code, text) in cases {
        let world = World::new(Provider::failing(status.clone())).await;
        for path in
            [CUSTOMERS.to_owned(), format!("{CUSTOMERS}({id})"), format!("{CUSTOMERS}/$count")]
        {
            let answer = world.get(&path).await;
            let (found, found_code, message) = answer.error();
            assert_eq!((found, found_code.as_str()), (expected, code), "{status}");
            assert!(message.contains(text), "{message}");
            assert!(!message.contains("secret") && !message.contains("10.0.0.1"), "{message}");
            assert_eq!(!answer.header("retry-after").is_empty(), expected == 503);
        }
    }
}

#[tokio::test]
async fn a_record_that_is_not_there_is_named() {
    let status = refusal(Code::NotFound, ErrorReason::RecordNotFound);
    let world = World::new(Provider::failing(status)).await;
    let id = Uuid::from_u128(5);
    let table = "mserp_custcustomerv3entity";
    let by_id = world.get(&format!("{CUSTOMERS}({id})")).await;
    let message = format!("Entity '{table}' With Id = {id} Does Not Exist");
    assert_eq!(by_id.error(), (404, "0x80040217".into(), message));
    let by_key = world.get(&format!("{CUSTOMERS}(mserp_account='a',mserp_dataareaid='b')")).await;
    let message =
        format!("A record with the specified key values does not exist in {table} entity");
    assert_eq!(by_key.error(), (404, "0x80060891".into(), message));
}

#[tokio::test]
async fn a_request_ends_when_its_time_is_over() {
    let world = World::new(Provider::new(|_| vec![Step::Hang])).await;
    assert_eq!(world.get(CUSTOMERS).await.error().0, 504);
    assert_eq!(world.get(&format!("{CUSTOMERS}/$count")).await.error().0, 504);
}

#[tokio::test]
async fn a_page_that_cannot_be_finished_is_cut_off() {
    let steps: [fn() -> Step; 3] =
        [|| Step::Hang, || Step::Fail(Status::internal("x")), || Step::Item(page("", 0))];
    for step in steps {
        let world =
            World::new(Provider::new(move |_| vec![Step::Item(page("{\"n\":1}", 1)), step()]))
                .await;
        let answer = world.get(CUSTOMERS).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with("cut off: "), "{}", answer.body);
    }
}
