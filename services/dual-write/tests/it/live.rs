//! Live sync as the gateway sees it: what is shared, and what it is to the other side.

use std::time::Duration;

use futures::stream;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::Side;
use proto::dual_write::v1::live_sync_service_client::LiveSyncServiceClient;
use proto::query::v1 as wire;
use proto::query::v1::apply_value::Content;
use rpc::{Channel, ErrorReason};
use tonic::Streaming;
use uuid::Uuid;

use crate::cases::{Databases, cases};
use crate::fakes::text;
use crate::world::{GROUPS, Running, TIMEOUT, UNITS, World, reason};

cases! { async |_| () =>
    dw_10_running_maps_are_shared_from_both_sides_until_they_pause,
    dw_16_what_is_shared_is_told_in_the_other_side_s_words_and_order,
    what_was_said_of_another_state_is_void,
    dw_15_what_is_larger_than_a_message_is_taken_in_several,
    dw_15_too_many_rows_are_refused,
    dw_42_a_side_that_is_away_pauses_the_maps_that_would_rather_queue,
}

type Captures = Streaming<pb::WatchCapturesResponse>;

fn client(running: &Running) -> LiveSyncServiceClient<Channel> {
    LiveSyncServiceClient::new(running.gateway.clone())
}

async fn watch(running: &Running) -> Captures {
    client(running).watch_captures(pb::WatchCapturesRequest {}).await.unwrap().into_inner()
}

/// The next one of these maps.
async fn captured(captures: &mut Captures, maps: &[&str]) -> pb::WatchCapturesResponse {
    let next = async {
        loop {
            let answer = captures.message().await.unwrap().unwrap();
            let mut names: Vec<_> = answer.captures.iter().map(|it| it.map.as_str()).collect();
            names.dedup();
            if names == maps {
                return answer;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, next).await.expect("it was never told")
}

/// A row of the ERP, as the side tells it.
fn unit(world: &World, kind: wire::SharedKind, symbol: &str) -> wire::SharedRow {
    let side = world.erp.map(UNITS).unwrap();
    let value = |it: &String| match it.as_str() {
        "UnitSymbol" => text(symbol),
        _ => text("a unit"),
    };
    let values: Vec<_> = side.columns.iter().map(value).collect();
    wire::SharedRow {
        map: UNITS.into(),
        epoch: side.epoch,
        kind: kind.into(),
        changed_columns: (0..i32::try_from(values.len()).unwrap()).collect(),
        image: Some(wire::Image {
            record_id: Uuid::from_u128(7).as_bytes().to_vec().into(),
            company: String::new(),
            values,
        }),
        ..Default::default()
    }
}

async fn translate(
    running: &Running,
    rows: Vec<wire::SharedRow>,
) -> Result<Vec<wire::ApplyRow>, tonic::Status> {
    let source = Side::FinanceAndOperations.into();
    let requests = rpc::parts(rows);
    let requests = requests.map(move |rows| pb::TranslateChangesRequest { source, rows });
    let answers = client(running).translate_changes(stream::iter(requests)).await?;
    let (mut answers, mut translated) = (answers.into_inner(), Vec::new());
    while let Some(answer) = answers.message().await? {
        translated.extend(answer.rows);
    }
    Ok(translated)
}

fn key(row: &wire::ApplyRow) -> Vec<(&str, &Content)> {
    row.key.iter().map(|it| (it.column.as_str(), it.content.as_ref().unwrap())).collect()
}

async fn dw_10_running_maps_are_shared_from_both_sides_until_they_pause(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    let mut captures = watch(&running).await;
    assert!(captured(&mut captures, &[]).await.link.contains('|'));
    world.go_live(&running, &[UNITS]).await.unwrap();
    let answer = captured(&mut captures, &[UNITS]).await;
    let sides: Vec<_> = answer.captures.iter().map(|it| (it.side(), &*it.entity_name)).collect();
    assert_eq!(sides, [(Side::FinanceAndOperations, "UnitEntity"), (Side::Platform, "uom")]);
    let told = world.platform.map(UNITS).unwrap();
    assert_eq!(answer.captures[1].columns, told.columns);
    assert_eq!(answer.link, told.link);
    assert_eq!(answer.captures[0].peer_timeout_milliseconds, 120_000);
    world.pause(&running, &[UNITS]).await.unwrap();
    assert!(captured(&mut captures, &[]).await.captures.is_empty());
    // Somebody who comes later hears the same at once.
    let mut later = watch(&running).await;
    let first = tokio::time::timeout(Duration::from_secs(20), later.message()).await;
    assert!(first.unwrap().unwrap().unwrap().captures.is_empty());
}

async fn dw_16_what_is_shared_is_told_in_the_other_side_s_words_and_order(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[UNITS]).await.unwrap();
    use wire::SharedKind::{Changed, Created, Deleted, Left};
    let rows = vec![
        unit(&world, Deleted, "kg"),
        unit(&world, Deleted, "t"),
        unit(&world, Created, "t"),
        unit(&world, Left, "lb"),
        unit(&world, Changed, "g"),
    ];
    let translated = translate(&running, rows).await.unwrap();
    let told: Vec<_> = translated.iter().map(|it| (it.kind(), &*it.entity_name)).collect();
    let upsert = (wire::ApplyKind::Upsert, "uom");
    // Where another row has the key by now, nothing is deleted.
    assert_eq!(told, [upsert, upsert, (wire::ApplyKind::Delete, "uom")]);
    let symbols: Vec<_> = translated.iter().map(|it| key(it)[0]).collect();
    let symbol = |it: &str| Content::Value(text(it));
    let expected = [symbol("t"), symbol("g"), symbol("kg")];
    let expected: Vec<_> = expected.iter().map(|it| ("msdyn_symbol", it)).collect();
    assert_eq!(symbols, expected);
}

async fn what_was_said_of_another_state_is_void(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[UNITS]).await.unwrap();
    let row = unit(&world, wire::SharedKind::Changed, "g");
    assert_eq!(translate(&running, vec![row.clone()]).await.unwrap().len(), 1);
    let older = wire::SharedRow { epoch: row.epoch - 1, ..row.clone() };
    assert_eq!(reason(translate(&running, vec![older]).await), ErrorReason::WriteConflict);
    let unknown = wire::SharedRow { map: "maps/nobody".into(), ..row.clone() };
    assert_eq!(reason(translate(&running, vec![unknown]).await), ErrorReason::WriteConflict);
    world.pause(&running, &[UNITS]).await.unwrap();
    assert_eq!(reason(translate(&running, vec![row]).await), ErrorReason::WriteConflict);
}

async fn dw_15_what_is_larger_than_a_message_is_taken_in_several(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[UNITS]).await.unwrap();
    let mut row = unit(&world, wire::SharedKind::Changed, "g");
    // The map has no companies: this is nothing but large.
    row.image.as_mut().unwrap().company = "x".repeat(1 << 20);
    let translated = translate(&running, vec![row; 40]).await.unwrap();
    assert_eq!(translated.len(), 40);
}

async fn dw_15_too_many_rows_are_refused(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[UNITS]).await.unwrap();
    let row = unit(&world, wire::SharedKind::Changed, "g");
    let refused = translate(&running, vec![row; 1_001]).await;
    assert_eq!(refused.as_ref().unwrap_err().code(), tonic::Code::ResourceExhausted);
    assert_eq!(reason(refused), ErrorReason::LimitExceeded);
}

async fn dw_42_a_side_that_is_away_pauses_the_maps_that_would_rather_queue(databases: &Databases) {
    let world = World::new(databases).await;
    let running = world.linked().await;
    world.go_live(&running, &[UNITS, GROUPS]).await.unwrap();
    let mut map = world.map(&running, UNITS).await;
    map.set_sync_mode(pb::SyncMode::LiveOrQueue);
    let update_mask = Some(prost_types::FieldMask { paths: vec!["sync_mode".into()] });
    let request = pb::UpdateMapRequest { map: Some(map), update_mask, ..Default::default() };
    running.maps().update_map(world.admin(request)).await.unwrap();
    let report = async |map: &str| {
        let error = pb::SyncError {
            kind: pb::SyncErrorKind::Unavailable.into(),
            message: "away".into(),
            ..Default::default()
        };
        let request = pb::ReportFailureRequest {
            source: Side::Platform.into(),
            maps: vec![map.into()],
            error: Some(error),
            ..Default::default()
        };
        client(&running).report_failure(request).await.unwrap().into_inner().queued
    };
    assert!(!report(GROUPS).await, "it refuses saves instead");
    assert!(report(UNITS).await);
    let mut captures = watch(&running).await;
    captured(&mut captures, &[GROUPS]).await;
    let last = world.map(&running, GROUPS).await.last_error.unwrap();
    assert_eq!(last.message, "away");
}
