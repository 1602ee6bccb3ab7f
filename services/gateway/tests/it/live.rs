//! What dual-write shares, on both sides in one commit or on neither.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream, StreamExt as _};
use proto::dual_write::v1 as dw;
use proto::dual_write::v1::live_sync_service_server::LiveSyncService;
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use proto::query::v1::value::Kind;
use rpc::ErrorReason;
use serde_json::json;
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::fakes::{Answer, Provider, World, refusal};
use crate::fixture::{CUSTOMERS, ORDERS};
use crate::ledger::{Event, Ledger};

const MAP: &str = "maps/customers-companies";
const LINK: &str = "erp|platform";
const ERP_TABLE: &str = "CustCustomerV3Entity";
const PLATFORM_TABLE: &str = "cdm_company";
const COMPANY: u128 = 0xC0;

/// What dual-write does and is told.
pub(crate) struct Live {
    captures: dw::WatchCapturesResponse,
    /// How the next translations are refused.
    refused: Mutex<VecDeque<Status>>,
    translated: AtomicUsize,
    failures: Mutex<Vec<dw::ReportFailureRequest>>,
    /// A failure puts its maps into the queue.
    queues: AtomicBool,
    /// Nothing is answered but what is shared.
    is_away: AtomicBool,
}

pub(crate) struct Faking(pub(crate) Arc<Live>);

impl Live {
    pub(crate) fn new(queue_when_away: bool) -> Arc<Self> {
        Self::waiting(queue_when_away, 120_000)
    }

    /// Saves wait so many milliseconds for the other side.
    fn waiting(queue_when_away: bool, peer_timeout_milliseconds: i64) -> Arc<Self> {
        let capture = |side: dw::Side, entity: &str, columns: [&str; 2]| dw::Capture {
            map: MAP.into(),
            side: side.into(),
            entity_name: entity.into(),
            display_name: "Customers V3".into(),
            queue_when_away,
            peer_timeout_milliseconds,
            columns: columns.map(Into::into).into(),
        };
        let captures = vec![
            capture(dw::Side::FinanceAndOperations, ERP_TABLE, ["Account", "Alias"]),
            capture(dw::Side::Platform, PLATFORM_TABLE, ["cdm_companycode", "cdm_name"]),
        ];
        Arc::new(Self {
            captures: dw::WatchCapturesResponse { revision: 1, captures, link: LINK.into() },
            refused: Mutex::default(),
            translated: AtomicUsize::new(0),
            failures: Mutex::default(),
            queues: AtomicBool::new(false),
            is_away: AtomicBool::new(false),
        })
    }

    fn failures(&self) -> Vec<dw::ReportFailureRequest> {
        self.failures.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl LiveSyncService for Faking {
    type WatchCapturesStream = BoxStream<'static, Result<dw::WatchCapturesResponse, Status>>;
    type TranslateChangesStream = BoxStream<'static, Result<dw::TranslateChangesResponse, Status>>;

    async fn watch_captures(
        &self,
        _: Request<dw::WatchCapturesRequest>,
    ) -> Result<Response<Self::WatchCapturesStream>, Status> {
        let captures = self.0.captures.clone();
        let stream = stream::once(async { Ok(captures) }).chain(stream::pending());
        Ok(Response::new(stream.boxed()))
    }

    async fn translate_changes(
        &self,
        request: Request<Streaming<dw::TranslateChangesRequest>>,
    ) -> Result<Response<Self::TranslateChangesStream>, Status> {
        if self.0.is_away.load(Ordering::Relaxed) {
            return Err(Status::unavailable("connection refused"));
        }
        self.0.translated.fetch_add(1, Ordering::Relaxed);
        if let Some(status) = self.0.refused.lock().unwrap().pop_front() {
            return Err(status);
        }
        let (mut requests, mut rows) = (request.into_inner(), Vec::new());
        while let Some(request) = requests.message().await? {
            rows.extend(request.rows.iter().map(|it| translated(request.source(), it)));
        }
        let answers = rpc::parts(rows).map(|rows| Ok(dw::TranslateChangesResponse { rows }));
        Ok(Response::new(stream::iter(answers).boxed()))
    }

    async fn report_failure(
        &self,
        request: Request<dw::ReportFailureRequest>,
    ) -> Result<Response<dw::ReportFailureResponse>, Status> {
        if self.0.is_away.load(Ordering::Relaxed) {
            return Err(Status::unavailable("connection refused"));
        }
        self.0.failures.lock().unwrap().push(request.into_inner());
        let queued = self.0.queues.load(Ordering::Relaxed);
        Ok(Response::new(dw::ReportFailureResponse { queued }))
    }
}

fn text(text: &str) -> pb::Value {
    pb::Value { kind: Some(Kind::StringValue(text.into())) }
}

fn given(column: &str, value: pb::Value, changed: bool) -> pb::ApplyValue {
    pb::ApplyValue {
        column: column.into(),
        content: Some(pb::apply_value::Content::Value(value)),
        changed,
        filled: false,
    }
}

/// Columns change their names, and that is all.
fn translated(source: dw::Side, row: &pb::SharedRow) -> pb::ApplyRow {
    let (entity, names) = match source {
        dw::Side::FinanceAndOperations => (PLATFORM_TABLE, ["cdm_companycode", "cdm_name"]),
        _ => (ERP_TABLE, ["Account", "Alias"]),
    };
    let image = row.image.clone().unwrap();
    let kind = match row.kind() {
        pb::SharedKind::Deleted => pb::ApplyKind::Delete,
        _ => pb::ApplyKind::Upsert,
    };
    let changed = |at: usize| row.changed_columns.contains(&i32::try_from(at).unwrap());
    let values = names.iter().zip(&image.values).enumerate();
    pb::ApplyRow {
        map: row.map.clone(),
        entity_name: entity.into(),
        key: vec![given(names[0], image.values[0].clone(), false)],
        kind: kind.into(),
        created: row.kind() == pb::SharedKind::Created,
        values: values.map(|(at, (it, value))| given(it, value.clone(), changed(at))).collect(),
        ..Default::default()
    }
}

/// The row of this id, of which the second column was changed.
fn changed(id: u128, name: &str) -> pb::SharedRow {
    pb::SharedRow {
        map: MAP.into(),
        epoch: 1,
        kind: pb::SharedKind::Changed.into(),
        image: Some(pb::Image {
            record_id: Uuid::from_u128(id).as_bytes().to_vec().into(),
            company: "usmf".into(),
            values: vec![text("US-1"), text(name)],
        }),
        changed_columns: vec![1],
        ..Default::default()
    }
}

fn sharing(rows: Vec<Vec<pb::SharedRow>>) -> Ledger {
    Ledger { shares: Mutex::new(rows.into()), ..Ledger::default() }
}

async fn world(live: &Arc<Live>, erp: Ledger, platform: Ledger) -> World {
    let platform = Provider::companies().with(platform);
    World::beside(Provider::empty().with(erp), platform, Some(live), |config| {
        config.request_timeout = Duration::from_secs(5);
    })
    .await
}

async fn save_platform(world: &World) -> Answer {
    let path = format!("cdm_companies({})", Uuid::from_u128(COMPANY));
    world.send("PATCH", &path, &[("if-match", "*")], "{\"cdm_active\":true}").await
}

async fn save_erp(world: &World) -> Answer {
    let path = format!("{CUSTOMERS}({})", Uuid::from_u128(5));
    world.send("PATCH", &path, &[("if-match", "*")], "{\"mserp_alias\":\"A\"}").await
}

/// As a word each.
fn told(ledger: &Ledger) -> String {
    let word = |it: &Event| match it {
        Event::Alone(..) => "alone",
        Event::Begin(_) => "begin",
        Event::Together(_) => "operations",
        Event::Share(_) => "share",
        Event::Apply(_) => "apply",
        Event::Prepare(_) => "prepare",
        Event::Commit(id) if id.is_empty() => "commit",
        Event::Commit(_) => "decide",
        Event::RolledBack => "rolled-back",
        Event::Settle(_, pb::Decision::Commit) => "settle",
        Event::Settle(..) => "abort",
        Event::Resolve(_) => "resolve",
    };
    ledger.events().iter().map(word).collect::<Vec<_>>().join(" ")
}

fn applied(ledger: &Ledger) -> Vec<pb::Apply> {
    let apply = |it| match it {
        Event::Apply(it) => Some(it),
        _ => None,
    };
    ledger.events().into_iter().filter_map(apply).collect()
}

const SAVED_PLATFORM: &str = "begin operations share prepare settle";
const SAVED_ERP: &str = "begin operations share decide";

#[tokio::test]
async fn dw_10_what_is_not_mapped_is_written_as_ever() {
    let live = Live::new(false);
    let world = world(&live, Ledger::default(), Ledger::default()).await;
    let body = "{\"mserp_number\":\"1\"}";
    assert_eq!(world.send("POST", ORDERS, &[], body).await.status, 204);
    assert_eq!(told(&world.query.ledger), "alone");
    assert_eq!(told(&world.organization.ledger), "");
}

#[tokio::test]
async fn dw_10_what_changes_nothing_shared_is_one_commit() {
    let live = Live::new(false);
    let world = world(&live, Ledger::default(), Ledger::default()).await;
    assert_eq!(save_platform(&world).await.status, 204);
    assert_eq!(told(&world.organization.ledger), "begin operations share commit");
    // It was there in case.
    world.query.ledger.told(|it| *it == Event::RolledBack).await;
    assert_eq!(told(&world.query.ledger), "begin rolled-back");
    assert_eq!(live.translated.load(Ordering::Relaxed), 0);
    assert!(world.organization.ledger.events().contains(&Event::Share(LINK.into())));
}

#[tokio::test]
async fn dw_11_a_platform_save_is_in_the_erp_with_the_same_decision() {
    let live = Live::new(false);
    let platform = sharing(vec![vec![changed(COMPANY, "new")]]);
    let world = world(&live, Ledger::default(), platform).await;
    let saved = save_platform(&world).await;
    assert_eq!(saved.status, 204, "{}", saved.body);
    assert_eq!(told(&world.organization.ledger), SAVED_PLATFORM);
    assert_eq!(told(&world.query.ledger), "begin apply decide");
    let [apply] = &applied(&world.query.ledger)[..] else { panic!("one apply") };
    let decided = Event::Commit(apply.origin.clone());
    assert!(world.query.ledger.events().contains(&decided), "the origin is the transaction");
    assert_eq!(apply.rows[0].entity_name, ERP_TABLE);
    assert!(live.failures().is_empty());
}

#[tokio::test]
async fn dw_10_an_erp_save_is_on_the_platform_with_the_same_decision() {
    let live = Live::new(false);
    let erp = sharing(vec![vec![changed(5, "new")]]);
    let world = world(&live, erp, Ledger::default()).await;
    assert_eq!(save_erp(&world).await.status, 204);
    assert_eq!(told(&world.query.ledger), SAVED_ERP);
    assert_eq!(told(&world.organization.ledger), "begin apply prepare settle");
}

#[tokio::test]
async fn dw_10_an_action_of_the_erp_may_touch_anything() {
    let live = Live::new(false);
    let erp = sharing(vec![vec![changed(5, "new")]]);
    let world = world(&live, erp, Ledger::default()).await;
    let action = "mserp_CustCustomerV3Entity_Ping";
    let answer = world.send("POST", action, &[], "{}").await;
    assert!(answer.status < 300, "{}", answer.body);
    assert_eq!(told(&world.query.ledger), SAVED_ERP);
    assert_eq!(applied(&world.organization.ledger).len(), 1);
}

#[tokio::test]
async fn what_the_other_side_has_already_takes_no_second_commit() {
    let live = Live::new(false);
    let mut row = changed(5, "same");
    row.set_kind(pb::SharedKind::Created);
    let erp = sharing(vec![vec![row]]);
    let same = pb::AppliedRow { kind: pb::AppliedKind::Unchanged.into(), ..Default::default() };
    let platform = Ledger { applies: Mutex::new([Ok(vec![same])].into()), ..Ledger::default() };
    let world = world(&live, erp, platform).await;
    assert_eq!(save_erp(&world).await.status, 204);
    assert_eq!(told(&world.query.ledger), "begin operations share commit");
    world.organization.ledger.told(|it| *it == Event::RolledBack).await;
}

#[tokio::test]
async fn what_the_other_side_s_rules_made_of_it_comes_back() {
    const TURN_BY_TURN: &str = "begin operations share apply share prepare settle";
    let live = Live::new(false);
    // The organization has prepared when the ERP makes more of it: that is done again, and from then on in turns.
    let platform = || vec![changed(COMPANY, "new")];
    let platform = sharing(vec![platform(), platform(), vec![], platform(), vec![]]);
    let erp = sharing(vec![vec![changed(5, "NEW")]; 3]);
    let world = world(&live, erp, platform).await;
    assert_eq!(save_platform(&world).await.status, 204);
    let organization = || told(&world.organization.ledger);
    let done_again = format!("begin operations share prepare abort {TURN_BY_TURN}");
    assert_eq!(organization(), done_again);
    let [apply] = &applied(&world.organization.ledger)[..] else { panic!("one apply") };
    assert_eq!(apply.rows[0].values[1], given("cdm_name", text("NEW"), true));
    assert_eq!(save_platform(&world).await.status, 204);
    assert_eq!(organization(), format!("{done_again} {TURN_BY_TURN}"));
}

#[tokio::test]
async fn sides_that_never_agree_are_left_to_the_log() {
    let live = Live::new(false);
    let rows = || vec![vec![changed(5, "x")]; 20];
    let world = world(&live, sharing(rows()), sharing(rows())).await;
    assert_eq!(save_erp(&world).await.status, 204);
    // There, back, and there again; and what came of that is not marked as shared.
    let first = "begin apply prepare rolled-back abort";
    let expected = format!("{first} begin apply share apply prepare settle");
    assert_eq!(told(&world.organization.ledger), expected);
    assert_eq!(live.translated.load(Ordering::Relaxed), 1 + 3);
}

fn batch(parts: &[(&str, &str, &str)]) -> String {
    let part = |(at, (method, path, body)): (usize, &(&str, &str, &str))| {
        format!(
            "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\
             Content-ID: {}\r\n\r\n{method} {path} HTTP/1.1\r\nContent-Type: application/json\r\n\
             If-Match: *\r\n\r\n{body}\r\n",
            at + 1
        )
    };
    let parts: String = parts.iter().enumerate().map(part).collect();
    format!("--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n{parts}--c--\r\n--b--\r\n")
}

async fn save_both(world: &World) -> Answer {
    let erp = format!("{CUSTOMERS}({})", Uuid::from_u128(5));
    let platform = format!("cdm_companies({})", Uuid::from_u128(COMPANY));
    let body = batch(&[
        ("PATCH", &erp, "{\"mserp_alias\":\"A\"}"),
        ("PATCH", &platform, "{\"cdm_active\":true}"),
    ]);
    world.send("POST", "$batch", &[("content-type", "multipart/mixed;boundary=b")], &body).await
}

fn updated(id: u128) -> pb::AppliedRow {
    let record_id = Uuid::from_u128(id).as_bytes().to_vec().into();
    pb::AppliedRow { kind: pb::AppliedKind::Updated.into(), record_id, ..Default::default() }
}

#[tokio::test]
async fn a_change_set_of_both_sides_is_shared_both_ways() {
    let live = Live::new(false);
    let erp = sharing(vec![vec![changed(5, "erp")]]);
    let mut other = changed(COMPANY, "platform");
    other.image.as_mut().unwrap().values[0] = text("US-2");
    let platform = sharing(vec![vec![other]]);
    let world = world(&live, erp, platform).await;
    let answer = save_both(&world).await;
    assert!(answer.body.contains("204"), "{}", answer.body);
    assert_eq!(told(&world.query.ledger), "begin operations share apply share decide");
    let platform = "begin operations share apply share prepare settle";
    assert_eq!(told(&world.organization.ledger), platform);
    // What nobody changed takes back nothing that somebody changed there.
    let [apply] = &applied(&world.query.ledger)[..] else { panic!("one apply") };
    let columns =
        |it: &[pb::ApplyValue]| -> Vec<String> { it.iter().map(|it| it.column.clone()).collect() };
    assert_eq!(columns(&apply.rows[0].values), ["Alias"]);
    assert_eq!(columns(&apply.rows[0].create_values), ["Account"]);
}

#[tokio::test]
async fn a_column_that_a_change_set_makes_two_things_of_is_refused() {
    for (other, is_refused) in [("platform", true), ("erp", false)] {
        let live = Live::new(false);
        let erp = sharing(vec![vec![changed(5, "erp")]]);
        let applies = Mutex::new([Ok(vec![updated(COMPANY)])].into());
        let platform = Ledger { applies, ..sharing(vec![vec![changed(COMPANY, other)]]) };
        let world = world(&live, erp, platform).await;
        let answer = save_both(&world).await;
        assert_eq!(answer.body.contains("cdm_name"), is_refused, "{}", answer.body);
        if is_refused {
            assert!(answer.body.contains("Customers V3"), "{}", answer.body);
            world.query.ledger.told(|it| *it == Event::RolledBack).await;
            world.organization.ledger.told(|it| *it == Event::RolledBack).await;
        }
    }
}

fn failing(status: Status) -> Ledger {
    Ledger { applies: Mutex::new([Err(status)].into()), ..Ledger::default() }
}

fn first(status: &Status) -> Status {
    use tonic_types::StatusExt as _;
    let mut details = status.get_error_details();
    let info = details.error_info().unwrap().clone();
    let mut metadata = info.metadata;
    metadata.insert("operation".into(), "0".into());
    details.set_error_info(info.reason, info.domain, metadata);
    Status::with_error_details(status.code(), status.message(), details)
}

#[tokio::test]
async fn dw_46_a_peer_that_refuses_fails_the_save_with_its_text() {
    let live = Live::new(false);
    let platform = sharing(vec![vec![changed(COMPANY, "new")]]);
    let rule = rpc::status(
        Code::FailedPrecondition,
        "query",
        ErrorReason::BusinessRule,
        "The credit limit is exceeded",
        [],
    );
    let world = world(&live, failing(first(&rule)), platform).await;
    let (status, code, message) = save_platform(&world).await.error();
    assert_eq!((status, code.as_str()), (400, "0x80040265"));
    let envelope: serde_json::Value = serde_json::from_str(&message).unwrap();
    let text = envelope["RecordError0"].as_str().unwrap();
    let expected = "Write failed for entity Customers V3 with unknown exception - The credit limit \
                    is exceeded. Correlation id: ";
    assert!(text.starts_with(expected), "{text}");
    nothing_is_left(&world).await;
    let [failure] = &live.failures()[..] else { panic!("one failure") };
    assert_eq!((failure.source(), &failure.maps[..]), (dw::Side::Platform, &[MAP.to_owned()][..]));
    let error = failure.error.as_ref().unwrap();
    assert_eq!(error.kind(), dw::SyncErrorKind::Application);
    assert!(text.ends_with(&error.correlation_id), "{text}");
    let record = failure.record.as_ref().unwrap();
    assert_eq!(record.entity_name, ERP_TABLE);
    assert_eq!(record.key[0].value, Some(self::text("US-1")));
}

#[tokio::test]
async fn dw_46_an_erp_save_is_refused_in_the_erp_s_words() {
    let live = Live::new(false);
    let erp = sharing(vec![vec![changed(5, "new")]]);
    let taken = refusal(Code::AlreadyExists, ErrorReason::RecordExists);
    let world = world(&live, erp, failing(first(&taken))).await;
    let (status, code, message) = save_erp(&world).await.error();
    assert_eq!((status, code.as_str()), (400, "0x80048d0b"));
    let expected = "Cannot save the changes to the database. Unit of Work can not commit \
                    transaction. Unable to write data to entity cdm_company. Writes to \
                    CustCustomerV3Entity failed with error message A record with matching key \
                    values already exists. Correlation id: ";
    assert!(message.starts_with(expected), "{message}");
}

#[tokio::test]
async fn values_that_the_user_did_not_give_are_not_told() {
    for (column, is_told) in [("Account", false), ("Alias", true)] {
        let live = Live::new(false);
        let platform = sharing(vec![vec![changed(COMPANY, "new")]]);
        let metadata = [("column", column)];
        let reason = ErrorReason::InvalidValue;
        let text = "`secret` is too long";
        let status = rpc::status(Code::InvalidArgument, "query", reason, text, metadata);
        let world = world(&live, failing(first(&status)), platform).await;
        let (_, _, message) = save_platform(&world).await.error();
        assert_eq!(message.contains("secret"), is_told, "{message}");
        assert!(is_told || message.contains(column), "{message}");
    }
}

#[tokio::test]
async fn dw_15_what_is_too_large_has_the_known_error() {
    let live = Live::new(false);
    let metadata = [("limit", "bytes"), ("allowed", "116850000"), ("actual", "123456789")];
    let reason = ErrorReason::LimitExceeded;
    let status = rpc::status(Code::ResourceExhausted, "dual-write", reason, "large", metadata);
    live.refused.lock().unwrap().push_back(status);
    let platform = sharing(vec![vec![changed(COMPANY, "new")]]);
    let world = world(&live, Ledger::default(), platform).await;
    let expected = "Error Code: -2147220970 Error Message: Message size exceeded when sending \
                    context to Sandbox. Message size: 123.45 MB";
    let refused = (400, "0x80040216".to_owned(), expected.to_owned());
    assert_eq!(save_platform(&world).await.error(), refused);
}

#[tokio::test]
async fn a_lookup_that_leads_nowhere_is_named() {
    let live = Live::new(false);
    let erp = sharing(vec![vec![changed(5, "new")]]);
    let metadata = [("column", "cdm_name"), ("entity", "team"), ("key", "x")];
    let reason = ErrorReason::ReferenceNotFound;
    let status = rpc::status(Code::InvalidArgument, "organization", reason, "none", metadata);
    let world = world(&live, erp, failing(first(&status))).await;
    let (_, _, message) = save_erp(&world).await.error();
    assert!(message.contains("What 'cdm_name' leads to is not there."), "{message}");
    assert_eq!(live.failures()[0].error.as_ref().unwrap().kind(), dw::SyncErrorKind::Lookup);
}

#[tokio::test]
async fn a_peer_that_is_away_fails_the_save_and_is_told_of() {
    let live = Live::new(false);
    let platform = sharing(vec![vec![changed(COMPANY, "new")]]);
    let world = world(&live, Ledger::default(), platform).await;
    let away = rpc::unavailable("query", ErrorReason::StoreUnavailable, "no database");
    world.query.ledger.refused_begins.lock().unwrap().push_back(away);
    let answer = save_platform(&world).await;
    let (status, code, message) = answer.error();
    assert_eq!((status, code.as_str()), (503, "0x80048d0b"));
    assert!(message.contains("The finance and operations app does not answer"), "{message}");
    assert!(!answer.header("retry-after").is_empty());
    let [failure] = &live.failures()[..] else { panic!("one failure") };
    assert_eq!(failure.error.as_ref().unwrap().kind(), dw::SyncErrorKind::Unavailable);
    world.organization.ledger.told(|it| *it == Event::RolledBack).await;
}

/// A request has this time for itself.
const LIMIT: Duration = Duration::from_secs(1);

/// A company is saved, beside an ERP that is asked to follow.
async fn limited(live: &Arc<Live>, erp: Ledger) -> World {
    let platform = sharing(vec![vec![changed(COMPANY, "new")]]);
    let platform = Provider::companies().with(platform);
    World::beside(Provider::empty().with(erp), platform, Some(live), |config| {
        config.request_timeout = LIMIT;
    })
    .await
}

#[tokio::test]
async fn dw_15_a_peer_that_says_nothing_is_waited_for_as_long_as_the_map_says() {
    for map in [300, 2_000] {
        let live = Live::waiting(false, map);
        let erp = Ledger { is_stuck: AtomicBool::new(true), ..Ledger::default() };
        let world = limited(&live, erp).await;
        let started = Instant::now();
        let (status, _, message) = save_platform(&world).await.error();
        let took = started.elapsed();
        assert_eq!(status, 504, "{message}");
        assert!(message.contains("did not answer in time, and nothing was saved"), "{message}");
        let map = Duration::from_millis(u64::try_from(map).unwrap());
        assert!(took >= map * 9 / 10 && took < map + LIMIT, "{map:?} of the map: {took:?}");
        assert_eq!(live.failures()[0].error.as_ref().unwrap().kind(), dw::SyncErrorKind::Timeout);
        nothing_is_left(&world).await;
    }
}

/// The ERP has nothing, and what the organization has prepared meanwhile is taken back.
async fn nothing_is_left(world: &World) {
    world.query.ledger.told(|it| *it == Event::RolledBack).await;
    let is_taken_back = |it: &Event| matches!(it, Event::Settle(_, pb::Decision::Abort));
    world.organization.ledger.told(is_taken_back).await;
    for ledger in [&world.query.ledger, &world.organization.ledger] {
        let is_kept =
            |it: &Event| matches!(it, Event::Commit(_) | Event::Settle(_, pb::Decision::Commit));
        assert!(!ledger.events().iter().any(is_kept));
    }
}

#[tokio::test]
async fn dw_15_what_the_map_lets_a_save_wait_is_not_the_request_s_time() {
    let live = Live::new(false);
    let erp = || Ledger { applies_in: LIMIT * 3 / 2, ..Ledger::default() };
    let world = limited(&live, erp()).await;
    let started = Instant::now();
    let saved = save_platform(&world).await;
    assert_eq!(saved.status, 204, "{}", saved.body);
    assert!(started.elapsed() > LIMIT);
    assert_eq!(told(&world.organization.ledger), SAVED_PLATFORM);
    assert_eq!(told(&world.query.ledger), "begin apply decide");
    // Neither is it of what comes behind the save in its batch.
    let world = limited(&live, erp()).await;
    let row = format!("cdm_companies({})", Uuid::from_u128(COMPANY));
    let part = |method: &str| {
        format!(
            "--b\r\nContent-Type: application/http\r\n\r\n{method} {row} HTTP/1.1\r\n\
             If-Match: *\r\nContent-Type: application/json\r\n\r\n{{\"cdm_active\":true}}\r\n"
        )
    };
    let body = format!("{}{}--b--", part("PATCH"), part("PATCH"));
    let content = [("content-type", "multipart/mixed; boundary=b")];
    let answer = world.send("POST", "$batch", &content, &body).await;
    assert_eq!(answer.body.matches("204 No Content").count(), 2, "{}", answer.body);
}

#[tokio::test]
async fn dw_15_what_is_too_large_for_one_message_goes_in_several() {
    let live = Live::new(false);
    let large = |id| changed(id, &"x".repeat(3 << 20));
    let platform = || sharing(vec![vec![large(COMPANY), large(1), large(2)]]);
    let world = world(&live, Ledger::default(), platform()).await;
    let saved = save_platform(&world).await;
    assert_eq!(saved.status, 204, "{}", saved.body);
    let rows: Vec<_> = applied(&world.query.ledger).iter().map(|it| it.rows.len()).collect();
    assert_eq!(rows, [1, 1, 1]);
    assert_eq!(told(&world.query.ledger), "begin apply apply apply decide");
    // A row is known by its place among all.
    let mut missing = large(2);
    missing.image.as_mut().unwrap().values[0] = text("US-2");
    let rule = first(&refusal(Code::FailedPrecondition, ErrorReason::BusinessRule));
    let applies = Mutex::new([Ok(vec![updated(1)]), Err(rule)].into());
    let erp = Ledger { applies, ..Ledger::default() };
    let platform = sharing(vec![vec![large(COMPANY), missing]]);
    let world = self::world(&live, erp, platform).await;
    assert_eq!(save_platform(&world).await.status, 400);
    let key = live.failures()[0].record.as_ref().unwrap().key[0].value.clone();
    assert_eq!(key, Some(text("US-2")));
}

#[tokio::test]
async fn maps_that_queue_from_now_on_let_the_save_through() {
    let live = Live::new(true);
    live.queues.store(true, Ordering::Relaxed);
    let platform = sharing(vec![vec![changed(COMPANY, "new")]]);
    let world = world(&live, Ledger::default(), platform).await;
    let away = rpc::unavailable("query", ErrorReason::StoreUnavailable, "no database");
    world.query.ledger.refused_begins.lock().unwrap().push_back(away);
    assert_eq!(save_platform(&world).await.status, 204);
    let events = told(&world.organization.ledger);
    assert!(events.ends_with("begin operations share commit"), "{events}");
    assert_eq!(events.matches("commit").count(), 1, "{events}");
}

#[tokio::test]
async fn without_dual_write_a_save_is_left_to_the_log_or_refused() {
    for (queues, status) in [(true, 204), (false, 503)] {
        let live = Live::new(queues);
        live.is_away.store(true, Ordering::Relaxed);
        let platform = sharing(vec![vec![changed(COMPANY, "new")]]);
        let world = world(&live, Ledger::default(), platform).await;
        assert_eq!(save_platform(&world).await.status, status);
        world.organization.ledger.told(|it| *it == Event::RolledBack).await;
        assert!(applied(&world.query.ledger).is_empty());
        // The second attempt marks nothing as shared.
        let updates = world.organization.updates.lock().unwrap().len();
        assert_eq!(updates, usize::from(queues));
    }
}

#[tokio::test]
async fn a_row_that_somebody_holds_there_is_tried_again_as_a_whole() {
    let live = Live::new(false);
    let platform = sharing(vec![vec![changed(COMPANY, "new")], vec![changed(COMPANY, "new")]]);
    let conflict = refusal(Code::Aborted, ErrorReason::WriteConflict);
    let world = world(&live, failing(first(&conflict)), platform).await;
    assert_eq!(save_platform(&world).await.status, 204);
    assert!(live.failures().is_empty());
    assert!(told(&world.query.ledger).ends_with("begin apply decide"));
    let events = told(&world.organization.ledger);
    assert!(events.ends_with(SAVED_PLATFORM), "{events}");
}

#[tokio::test]
async fn a_peer_that_refuses_its_commit_refuses_the_save() {
    let live = Live::new(false);
    let erp = sharing(vec![vec![changed(5, "new")]]);
    let world = world(&live, erp, Ledger::default()).await;
    let rule = refusal(Code::FailedPrecondition, ErrorReason::BusinessRule);
    world.organization.ledger.refused_preparations.lock().unwrap().push_back(rule);
    let (status, _, message) = save_erp(&world).await.error();
    assert_eq!(status, 400);
    assert!(message.starts_with("Cannot save the changes to the database."), "{message}");
    assert_eq!(live.failures().len(), 1);
    world.query.ledger.told(|it| *it == Event::RolledBack).await;
    assert!(!told(&world.query.ledger).contains("decide"));
}

#[tokio::test]
async fn a_request_that_is_repeated_is_applied_once() {
    let live = Live::new(false);
    let rows = || vec![vec![changed(5, "new")]];
    let world = world(&live, sharing(rows()), Ledger::default()).await;
    let id = [("x-ms-client-request-id", "3f2504e0-4f89-11d3-9a0c-0305e82c3301")];
    let mut answers = Vec::new();
    for _ in 0..2 {
        let body = "{\"mserp_account\":\"US-1\"}";
        let answer = world.send("POST", CUSTOMERS, &id, body).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
        answers.push(answer.header("odata-entityid").to_owned());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(applied(&world.organization.ledger).len(), 1);
    assert_eq!(world.query.ledger.operations().len(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_or_all() {
    let live = Live::new(false);
    let platform = sharing(vec![vec![changed(COMPANY, "new")]]);
    let erp = Ledger { is_stuck: AtomicBool::new(true), ..Ledger::default() };
    let world = Arc::new(world(&live, erp, platform).await);
    let saving = Arc::clone(&world);
    let saving = tokio::spawn(async move { save_platform(&saving).await.status });
    world.query.ledger.told(|it| matches!(it, Event::Apply(_))).await;
    saving.abort();
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn deletes_and_new_rows_go_the_same_way() {
    let live = Live::new(false);
    let mut gone = changed(5, "old");
    gone.set_kind(pb::SharedKind::Deleted);
    let erp = sharing(vec![vec![gone], vec![changed(6, "new")], vec![changed(7, "up")]]);
    let world = world(&live, erp, Ledger::default()).await;
    let row = |id: u128| format!("{CUSTOMERS}({})", Uuid::from_u128(id));
    assert_eq!(world.send("DELETE", &row(5), &[], "").await.status, 204);
    let body = json!({"mserp_account": "US-1"}).to_string();
    assert_eq!(world.send("POST", CUSTOMERS, &[], &body).await.status, 204);
    let upsert = world.send("PATCH", &row(7), &[], &body).await;
    assert!(upsert.status < 300, "{}", upsert.body);
    let applied = applied(&world.organization.ledger);
    let kinds: Vec<_> = applied.iter().map(|it| it.rows[0].kind()).collect();
    assert_eq!(kinds, [pb::ApplyKind::Delete, pb::ApplyKind::Upsert, pb::ApplyKind::Upsert]);
    let alone = |it: &Event| matches!(it, Event::Alone(Operation::Create(_), _));
    assert!(!world.query.ledger.events().iter().any(alone));
}

#[tokio::test]
async fn bulk_messages_and_deletions_go_the_same_way() {
    let live = Live::new(false);
    let mut gone = changed(1, "old");
    gone.set_kind(pb::SharedKind::Deleted);
    let erp = sharing(vec![vec![changed(5, "new")], vec![gone]]);
    let erp = crate::bulk_delete::two_pages().with(erp);
    let world = World::beside(erp, Provider::companies(), Some(&live), |config| {
        config.request_timeout = Duration::from_secs(5);
    })
    .await;
    let row = json!({
        "@odata.type": "Microsoft.Dynamics.CRM.mserp_custcustomerv3entity",
        "mserp_account": "US-1",
    });
    let rows = json!({ "Targets": [row] }).to_string();
    let path = format!("{CUSTOMERS}/Microsoft.Dynamics.CRM.CreateMultiple");
    let created = world.send("POST", &path, &[], &rows).await;
    assert_eq!(created.status, 200, "{}", created.body);
    let body = format!("{{\"JobName\":\"x\",\"QuerySet\":[{}]}}", crate::bulk_delete::QUERY);
    let deleted = world.send("POST", "BulkDelete", &[], &body).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    let applied = applied(&world.organization.ledger);
    let kinds: Vec<_> = applied.iter().map(|it| it.rows[0].kind()).collect();
    assert_eq!(kinds, [pb::ApplyKind::Upsert, pb::ApplyKind::Delete]);
    assert!(!told(&world.query.ledger).contains("alone"));
}
