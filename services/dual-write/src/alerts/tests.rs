use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proto::dual_write::v1::{self as pb, AlertAction, MapState, Side, SyncErrorKind, SyncMode};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::store::{self, Alert};
use super::{Failure, Reported, Rule, report, run};
use crate::cases::{Databases, cases};
use crate::config::Mail;
use crate::core::Core;
use crate::reconcile::fake::{World, migrated};

cases! { migrated =>
    a_rule_pauses_the_map_at_once_and_tells_people_and_machines,
    a_host_that_fails_is_called_again_and_one_that_refuses_or_points_elsewhere_is_not,
    of_many_who_fail_at_the_same_time_exactly_one_has_the_rule_fire,
    what_failed_before_a_rule_was_saved_is_not_held_against_anybody,
    a_paused_map_is_resumed_when_the_other_side_would_take_a_change_again,
    a_map_that_is_to_queue_when_a_side_is_away_does_so_without_any_rule,
    a_process_that_dies_before_it_acts_leaves_it_to_the_next,
    a_map_in_debug_mode_keeps_the_whole_response,
}

const MAP: &str = "maps/customers";
/// Longer than anything takes here.
const SOON: Duration = Duration::from_secs(20);

fn failure(kind: SyncErrorKind) -> Failure {
    let error = pb::SyncError {
        kind: kind.into(),
        message: "The name Contoso is taken".to_owned(),
        ..Default::default()
    };
    Failure { map: MAP.to_owned(), source: Side::Platform, error, record: None }
}

async fn fail(core: &Core, times: usize) -> Reported {
    report(core, &vec![failure(SyncErrorKind::Application); times]).await
}

/// A rule that fires at the second application error.
fn rule() -> pb::AlertRule {
    pb::AlertRule {
        error_kinds: vec![SyncErrorKind::Application.into()],
        error_count: 2,
        window: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        action: AlertAction::Pause.into(),
        ..Default::default()
    }
}

async fn save(core: &Core, rule: &pb::AlertRule) {
    let hosts = &core.config.webhook_hosts;
    let rule = Rule::read("too-many", rule, hosts, chrono::Utc::now()).unwrap();
    let mut connection = core.store.pool().acquire().await.unwrap();
    assert!(store::create_rule(&mut connection, &rule).await.unwrap());
}

async fn alerts(core: &Core) -> Vec<Alert> {
    let mut connection = core.store.pool().acquire().await.unwrap();
    store::alerts(&mut connection, None, None, 100).await.unwrap()
}

fn state(core: &Core) -> MapState {
    core.maps.get(MAP).unwrap().state()
}

/// Waits until the map has come to a state.
async fn reaches(core: &Core, wanted: MapState) {
    let mut changes = core.maps.subscribe();
    let reached = async {
        while state(core) != wanted {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(SOON, reached).await.unwrap();
}

async fn next<T>(received: &mut mpsc::UnboundedReceiver<T>) -> T {
    tokio::time::timeout(SOON, received.recv()).await.unwrap().unwrap()
}

/// Waits until the store says so.
async fn until(core: &Core, holds: impl Fn(&Alert) -> bool) -> Alert {
    let found = async {
        loop {
            if let Some(alert) = alerts(core).await.into_iter().find(|it| holds(it)) {
                return alert;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, found).await.unwrap()
}

/// A mail server that takes mails to all but `refused@…`.
async fn mail_server() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (sender, mails) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(converse(BufReader::new(stream), sender.clone()));
        }
    });
    (url, mails)
}

async fn converse(
    mut stream: BufReader<tokio::net::TcpStream>,
    mails: mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    stream.write_all(b"220 mail.test ESMTP\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match line.trim_end() {
            it if it.starts_with("EHLO") => "250 mail.test",
            it if it.starts_with("RCPT") && it.contains("refused@") => "550 no such user",
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut mail).await?;
                }
                mails.send(mail).unwrap();
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

/// A host that answers with the statuses one after the other, and from then on with the last.
async fn web_server(statuses: &[u16]) -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (sender, posts) = mpsc::unbounded_channel();
    let mut statuses: VecDeque<u16> = statuses.iter().copied().collect();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
                let header = line.to_ascii_lowercase();
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let status =
                if statuses.len() > 1 { statuses.pop_front() } else { statuses.front().copied() };
            let answer = format!(
                "HTTP/1.1 {} x\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n",
                status.unwrap()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            sender.send(serde_json::from_slice(&body).unwrap()).unwrap();
        }
    });
    (host, posts)
}

/// Works as long as it is held.
struct Working(tokio::task::JoinHandle<()>);

impl Working {
    fn new(world: &World) -> Self {
        Self(tokio::spawn(run(Arc::clone(&world.core))))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn a_rule_pauses_the_map_at_once_and_tells_people_and_machines(databases: &Databases) {
    let (smtp_url, mut mails) = mail_server().await;
    let (host, mut posts) = web_server(&[200]).await;
    let world = World::new(databases, |config| {
        config.mail = Some(Mail { smtp_url, from: "Tombolo <dw@contoso.test>".to_owned() });
        config.webhook_hosts = vec![host.clone()];
    })
    .await;
    let core = &world.core;
    world.map("RUNNING").await;
    let recipients = ["ops@contoso.test", "refused@contoso.test"];
    save(
        core,
        &pb::AlertRule {
            mail_recipients: recipients.map(str::to_owned).to_vec(),
            webhook_url: format!("http://{host}/hook?key=secret"),
            ..rule()
        },
    )
    .await;

    assert!(!fail(core, 1).await.queued);
    assert!(!report(core, &[failure(SyncErrorKind::Timeout)]).await.queued);
    assert_eq!(state(core), MapState::Running);
    assert!(fail(core, 1).await.queued);
    assert_eq!(state(core), MapState::Paused);
    // It is not held against a map that it fails while it is paused.
    assert!(fail(core, 5).await.queued);
    let [alert] = &alerts(core).await[..] else { panic!("one alert") };
    assert_eq!((alert.error_count, alert.action), (2, Some(AlertAction::Pause.into())));

    // Whoever had the rule fire may be gone: it is told from the store.
    let _working = Working::new(&world);
    let mail = next(&mut mails).await;
    for part in ["To: ops@contoso.test", "Subject: Dual-write: maps/customers was paused"] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    assert!(!mail.contains("Contoso is taken"), "{mail}");
    let post = next(&mut posts).await;
    assert_eq!(post["name"], "alertRules/too-many/alerts/1");
    assert_eq!(post["lastError"]["kind"], "SYNC_ERROR_KIND_APPLICATION");
    assert!(!post.to_string().contains("Contoso is taken"), "{post}");
    let told = until(core, |it| !it.delivery_failures.is_empty()).await;
    assert_eq!(told.delivery_failures, ["refused@contoso.test: the mail server answered 550"]);

    let mut connection = core.store.pool().acquire().await.unwrap();
    let activities = crate::store::activity::list(&mut connection, MAP, None, 10).await.unwrap();
    assert!(
        activities.iter().any(|it| it.kind == "MapPaused" && it.actor == "alertRules/too-many")
    );
}

async fn a_host_that_fails_is_called_again_and_one_that_refuses_or_points_elsewhere_is_not(
    databases: &Databases,
) {
    let (failing, mut posts) = web_server(&[503, 200]).await;
    let (pointing, mut elsewhere) = web_server(&[302]).await;
    let hosts = vec![failing.clone(), pointing.clone()];
    let world = World::new(databases, |config| config.webhook_hosts = hosts).await;
    let core = &world.core;
    world.map("RUNNING").await;
    let none = AlertAction::None.into();
    save(
        core,
        &pb::AlertRule { action: none, webhook_url: format!("http://{failing}/"), ..rule() },
    )
    .await;
    fail(core, 2).await;
    let working = Working::new(&world);
    assert_eq!(next(&mut posts).await, next(&mut posts).await);
    drop(working);
    assert_eq!(state(core), MapState::Running);
    // Told once in its window, however often it fails.
    fail(core, 9).await;
    assert_eq!(alerts(core).await.len(), 1);

    world.run("TRUNCATE alert, alert_rule CASCADE").await;
    save(
        core,
        &pb::AlertRule { action: none, webhook_url: format!("http://{pointing}/"), ..rule() },
    )
    .await;
    fail(core, 2).await;
    let _working = Working::new(&world);
    next(&mut elsewhere).await;
    let told = until(core, |it| !it.delivery_failures.is_empty()).await;
    assert_eq!(told.delivery_failures, [format!("{pointing}: the host answered 302 Found")]);
}

async fn of_many_who_fail_at_the_same_time_exactly_one_has_the_rule_fire(databases: &Databases) {
    let world = World::new(databases, |_| ()).await;
    world.map("RUNNING").await;
    save(&world.core, &pb::AlertRule { error_count: 12, ..rule() }).await;
    let failing = (0..12).map(|_| fail(&world.core, 1));
    futures::future::join_all(failing).await;
    assert_eq!(alerts(&world.core).await.len(), 1);
    assert_eq!(state(&world.core), MapState::Paused);
}

async fn what_failed_before_a_rule_was_saved_is_not_held_against_anybody(databases: &Databases) {
    let world = World::new(databases, |_| ()).await;
    world.map("RUNNING").await;
    fail(&world.core, 5).await;
    save(&world.core, &rule()).await;
    assert!(!fail(&world.core, 1).await.queued);
    assert!(fail(&world.core, 1).await.queued);
}

async fn a_paused_map_is_resumed_when_the_other_side_would_take_a_change_again(
    databases: &Databases,
) {
    let world = World::new(databases, |_| ()).await;
    let core = &world.core;
    world.map("RUNNING").await;
    let probe_delay = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    save(core, &pb::AlertRule { probe_delay, ..rule() }).await;
    assert!(fail(core, 2).await.queued);
    assert_eq!(state(core), MapState::Paused);
    world.platform.go_away(true);
    let working = Working::new(&world);
    // Tried once in vain: the next try takes twice as long.
    let delay = async {
        loop {
            let delay: i64 = sqlx::query_scalar("SELECT delay_milliseconds FROM probe")
                .fetch_one(core.store.pool())
                .await
                .unwrap();
            if delay > 1_000 {
                return delay;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(tokio::time::timeout(SOON, delay).await.unwrap(), 2_000);
    assert_eq!(state(core), MapState::Paused);
    world.platform.go_away(false);
    reaches(core, MapState::Resuming).await;
    until(core, |it| it.auto_resume_time.is_some()).await;
    drop(working);
    // Run again, it may fail again.
    world.map("RUNNING").await;
    assert!(fail(core, 2).await.queued);
    assert_eq!(alerts(core).await.len(), 2);
}

async fn a_map_that_is_to_queue_when_a_side_is_away_does_so_without_any_rule(
    databases: &Databases,
) {
    let world = World::new(databases, |_| ()).await;
    let core = &world.core;
    world.run("UPDATE map SET sync_mode = 'LIVE_OR_QUEUE'").await;
    let map = world.map("RUNNING").await;
    assert_eq!(map.table_map.sync_mode(), SyncMode::LiveOrQueue);
    assert!(!fail(core, 20).await.queued);
    assert!(report(core, &[failure(SyncErrorKind::Unavailable)]).await.queued);
    assert_eq!(state(core), MapState::Paused);
    let probes: i64 = sqlx::query_scalar("SELECT count(*) FROM probe")
        .fetch_one(core.store.pool())
        .await
        .unwrap();
    assert_eq!(probes, 1);
}

async fn a_process_that_dies_before_it_acts_leaves_it_to_the_next(databases: &Databases) {
    let world = World::new(databases, |_| ()).await;
    let core = &world.core;
    world.map("RUNNING").await;
    save(core, &rule()).await;
    world
        .run(
            "INSERT INTO alert (rule, map, error_count, last_error, wanted_action, fire_time)
             VALUES ('too-many', 'maps/customers', 2, '', 2, now() - interval '1 minute')",
        )
        .await;
    let _working = Working::new(&world);
    reaches(core, MapState::Paused).await;
    until(core, |it| it.action == Some(AlertAction::Pause.into())).await;
}

async fn a_map_in_debug_mode_keeps_the_whole_response(databases: &Databases) {
    let world = World::new(databases, |_| ()).await;
    world.run("UPDATE map SET debug = true").await;
    world.map("RUNNING").await;
    fail(&world.core, 1).await;
    let mut connection = world.core.store.pool().acquire().await.unwrap();
    let activities = crate::store::activity::list(&mut connection, MAP, None, 10).await.unwrap();
    let kept = activities.iter().find(|it| it.kind == "DualWriteErrorLog").unwrap();
    let detail: Value = serde_json::from_str(&kept.detail).unwrap();
    assert_eq!(detail["entityName"], "account");
    assert_eq!(detail["executionStatus"], 2);
    assert_eq!(detail["recordResponses"][0]["errorMessage"], "The name Contoso is taken");
}
