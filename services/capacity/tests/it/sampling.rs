//! Measuring, and what is remembered of it.

use capacity::Config;
use proto::capacity::v1 as pb;
use proto::capacity::v1::{MeterKind, Pool};
use rpc::ErrorReason;
use tonic::{Code, Status};

use crate::world::{GB, Running, World, amount, refused, soon};

const A: &str = "platformEnvironments/a";
const B: &str = "platformEnvironments/b";

async fn samples(world: &World, running: &Running, parent: &str) -> Vec<pb::UsageSample> {
    let message = pb::ListUsageSamplesRequest { parent: parent.into(), ..Default::default() };
    let answer = running.capacity().list_usage_samples(world.admin(message)).await.unwrap();
    answer.into_inner().usage_samples
}

async fn tables(
    world: &World,
    running: &Running,
    parent: &str,
) -> Result<Vec<pb::TableUsage>, Status> {
    let message = pb::ListTableUsagesRequest { parent: parent.into(), ..Default::default() };
    let answer = running.capacity().list_table_usages(world.admin(message)).await?;
    Ok(answer.into_inner().table_usages)
}

async fn forecast(world: &World, running: &Running) -> Result<Vec<pb::PoolForecast>, Status> {
    let request = world.admin(pb::ForecastCapacityRequest::default());
    Ok(running.capacity().forecast_capacity(request).await?.into_inner().forecasts)
}

#[tokio::test]
async fn usage_is_measured_once_per_period_by_one_of_the_replicas() {
    let world = World::new().await;
    world.meter.database(A, MeterKind::Platform, 2 * GB, &[]);
    let mut listings = world.meter.listings.subscribe();
    let running = world.joined(1).await;
    // The fourth begins after the third has been recorded.
    soon(listings.wait_for(|it| *it >= 4)).await.unwrap();
    let found = samples(&world, &running, A).await;
    assert!(found.len() >= 3, "{found:?}");
    let times: Vec<_> = found.iter().map(|it| it.measure_time.unwrap()).collect();
    let apart = |pair: &[prost_types::Timestamp]| {
        let nanos = |it: &prost_types::Timestamp| it.seconds * 1_000_000_000 + i64::from(it.nanos);
        nanos(&pair[1]) - nanos(&pair[0])
    };
    assert!(times.windows(2).all(|it| apart(it) >= 900_000_000), "{times:?}");

    // Who comes later sees that somebody has measured, and waits for its turn.
    drop(running);
    let before = world.meter.measurements.borrow()[A];
    let looked = *world.meter.listings.borrow();
    let patient = world.joined(3600).await;
    soon(listings.wait_for(|it| *it > looked)).await.unwrap();
    world.measure(&patient).await;
    assert_eq!(world.meter.measurements.borrow()[A], before + 1);
}

#[tokio::test]
async fn what_cannot_be_measured_counts_as_it_was() {
    let world = World::new().await;
    world.meter.database(A, MeterKind::Platform, 2 * GB, &[]);
    world.meter.database(B, MeterKind::Platform, 3 * GB, &[]);
    let running = world.joined(3600).await;
    let measured = world.measure(&running).await;
    assert_eq!(measured.len(), 2);
    world.meter.broken(A);
    world.meter.database(B, MeterKind::Platform, 4 * GB, &[]);
    let request = world.admin(pb::MeasureUsageRequest::default());
    let answer = running.capacity().measure_usage(request).await;
    refused(answer, Code::Unavailable, ErrorReason::PeerUnavailable);
    assert_eq!(world.pool(&running, Pool::Database).await.used_bytes, 6 * GB);
}

#[tokio::test]
async fn one_environment_can_be_measured_alone() {
    let world = World::new().await;
    world.meter.database(A, MeterKind::Platform, 2 * GB, &[]);
    world.meter.database(B, MeterKind::Platform, 3 * GB, &[]);
    let running = world.joined(3600).await;
    world.measure(&running).await;
    world.meter.database(A, MeterKind::Platform, 5 * GB, &[]);
    world.meter.broken(B);
    let measure = async |environment: &str| {
        let message = pb::MeasureUsageRequest { environment: environment.into() };
        let answer = running.capacity().measure_usage(world.admin(message)).await;
        answer.map(|it| it.into_inner().usage_samples)
    };
    let found = measure(A).await.unwrap();
    assert_eq!((found.len(), found[0].environment.as_str()), (1, A));
    assert_eq!(found[0].amounts, [amount(Pool::Database, 5 * GB)]);
    assert_eq!(world.pool(&running, Pool::Database).await.used_bytes, 8 * GB);
    let answer = measure("platformEnvironments/none").await;
    refused(answer, Code::NotFound, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn without_a_lifecycle_service_nothing_can_be_measured() {
    let world = World::new().await;
    let running = world.start().await;
    let request = world.admin(pb::MeasureUsageRequest::default());
    let answer = running.capacity().measure_usage(request).await;
    refused(answer, Code::Unavailable, ErrorReason::PeerUnavailable);
}

#[tokio::test]
async fn a_database_that_nobody_has_measured_does_not_wait_for_the_period() {
    let world = World::new().await;
    world.meter.database(B, MeterKind::Platform, 3 * GB, &[]);
    let mut measurements = world.meter.measurements.subscribe();
    let running = world.joined(3600).await;
    world.measure(&running).await;
    // It is there before it has a database.
    world.meter.without_database(A, MeterKind::Platform);
    world.measure(&running).await;
    let before = measurements.borrow()[B];
    assert!(tables(&world, &running, A).await.unwrap().is_empty());
    assert_eq!(world.pool(&running, Pool::Database).await.used_bytes, 4 * GB);

    world.meter.database(A, MeterKind::Platform, 2 * GB, &[]);
    soon(measurements.wait_for(|it| it.contains_key(A))).await.unwrap();
    // Nothing but what was new.
    assert_eq!(measurements.borrow()[B], before);
    soon(async { while tables(&world, &running, A).await.unwrap().is_empty() {} }).await;
    assert_eq!(world.pool(&running, Pool::Database).await.used_bytes, 5 * GB);
}

#[tokio::test]
async fn what_is_committed_is_measured_at_once() {
    let world = World::new().await;
    world.meter.database(A, MeterKind::Platform, GB, &[]);
    let mut measurements = world.meter.measurements.subscribe();
    let running = world.joined(3600).await;
    world.buy(&running, "database-capacity", 5).await;
    world.measure(&running).await;
    let before = measurements.borrow()[A];
    let add_in = pb::CapacityOperation::InstallAddIn;
    let held = running.reserve("1", add_in, A).await.unwrap();
    let message = pb::CommitReservationRequest { name: held.name, ..Default::default() };
    running.reservations().commit_reservation(message).await.unwrap();
    soon(measurements.wait_for(|it| it[A] > before)).await.unwrap();
    let used = async || world.pool(&running, Pool::Database).await.used_bytes;
    soon(async { while used().await != GB {} }).await;
}

#[tokio::test]
async fn what_cannot_be_measured_is_tried_once_until_the_period_is_over() {
    let world = World::new().await;
    world.meter.broken(A);
    let mut listings = world.meter.listings.subscribe();
    let running = world.joined(3600).await;
    // Everything, and two looks.
    soon(listings.wait_for(|it| *it >= 3)).await.unwrap();
    assert_eq!(world.meter.measurements.borrow()[A], 1);
    refused(tables(&world, &running, A).await, Code::FailedPrecondition, ErrorReason::InvalidState);
}

#[tokio::test]
async fn looks_are_apart_however_often_they_are_asked_for() {
    let world = World::new().await;
    world.meter.broken(A);
    let running = world.joined(3600).await;
    let mut looks = Vec::new();
    soon(async {
        while looks.len() < 3 {
            // Each of them lists to answer, and asks for a look.
            let before = *world.meter.listings.borrow();
            let answer = tables(&world, &running, A).await;
            refused(answer, Code::FailedPrecondition, ErrorReason::InvalidState);
            if *world.meter.listings.borrow() > before + 1 {
                looks.push(std::time::Instant::now());
            }
        }
    })
    .await;
    let apart = looks.windows(2).map(|it| it[1] - it[0]);
    assert!(apart.min().unwrap().as_millis() > 1500, "{looks:?}");
}

#[tokio::test]
async fn nobody_knows_while_the_lifecycle_service_is_away() {
    let world = World::new().await;
    world.meter.database(A, MeterKind::Platform, GB, &[]);
    world.meter.set_away(true);
    let running = world.joined(3600).await;
    let answer = tables(&world, &running, A).await;
    refused(answer, Code::Unavailable, ErrorReason::PeerUnavailable);
    world.meter.set_away(false);
    soon(async { while tables(&world, &running, A).await.is_err() {} }).await;
    world.meter.set_away(true);
    assert_eq!(tables(&world, &running, A).await.unwrap().len(), 1, "what was measured stays");
    let answer = tables(&world, &running, B).await;
    refused(answer, Code::Unavailable, ErrorReason::PeerUnavailable);
    world.meter.set_away(false);
    let answer = tables(&world, &running, B).await;
    refused(answer, Code::NotFound, ErrorReason::ResourceNotFound);
}

#[tokio::test]
async fn samples_are_of_environments_and_of_the_tenant() {
    let world = World::new().await;
    world.meter.database(A, MeterKind::Platform, 100, &[]);
    let running = world.joined(3600).await;
    world.measure(&running).await;
    assert_eq!(
        samples(&world, &running, A).await.last().unwrap().amounts,
        [amount(Pool::Database, 100)]
    );
    let tenant = samples(&world, &running, "").await;
    assert_eq!(tenant.last().unwrap().amounts, [amount(Pool::Database, GB)], "with the floor");

    world.meter.remove(A);
    world.measure(&running).await;
    assert!(!samples(&world, &running, A).await.is_empty(), "history stays");
    assert!(samples(&world, &running, "").await.last().unwrap().amounts.is_empty());

    let list = async |message| {
        running.capacity().list_usage_samples(world.admin(message)).await.map(|it| it.into_inner())
    };
    let parent = || "platformEnvironments/none".to_owned();
    let answer = list(pb::ListUsageSamplesRequest { parent: parent(), ..Default::default() }).await;
    refused(answer, Code::NotFound, ErrorReason::ResourceNotFound);
    let moment = Some(prost_types::Timestamp { seconds: 9, nanos: 0 });
    let empty =
        pb::ListUsageSamplesRequest { start_time: moment, end_time: moment, ..Default::default() };
    refused(list(empty).await, Code::InvalidArgument, ErrorReason::InvalidValue);
    let first = pb::ListUsageSamplesRequest { page_size: 1, ..Default::default() };
    let first = list(first).await.unwrap();
    let page_token = first.next_page_token;
    let second = pb::ListUsageSamplesRequest { page_size: 1, page_token, ..Default::default() };
    let second = list(second).await.unwrap();
    assert_ne!(first.usage_samples, second.usage_samples);
}

#[tokio::test]
async fn history_is_thinned() {
    let world = World::new().await;
    let running = world.joined(3600).await;
    world.measure(&running).await;
    // One each ten minutes for three days, one each hour for a while, and one that is too old.
    world
        .run(
            "DELETE FROM sample;
             INSERT INTO sample SELECT 'recent', now() - i * interval '10 minutes', '{1,0,0,0,0}'
                 FROM generate_series(0, 3 * 144) AS i;
             INSERT INTO sample SELECT 'old', date_trunc('day', now(), 'UTC') - interval '70 days'
                 + i * interval '1 hour', '{1,0,0,0,0}' FROM generate_series(0, 47) AS i;
             INSERT INTO sample VALUES ('ancient', now() - interval '401 days', '{1,0,0,0,0}');
             UPDATE decision SET thinned_at = NULL",
        )
        .await;
    world.measure(&running).await;
    let counts: Vec<(String, i64)> = sqlx::query_as(
        "SELECT environment || CASE WHEN taken_at >= now() - interval '2 days' THEN '' ELSE '-' END,
             count(*) FROM sample WHERE environment <> '' GROUP BY 1 ORDER BY 1",
    )
    .fetch_all(&mut world.connect().await)
    .await
    .unwrap();
    let of = |name: &str| counts.iter().find(|it| it.0 == name).map_or(0, |it| it.1);
    assert_eq!((of("old-"), of("ancient-")), (2, 0), "{counts:?}");
    assert!((287..=289).contains(&of("recent")), "{counts:?}");
    assert!((24..=25).contains(&of("recent-")), "{counts:?}");
}

#[tokio::test]
async fn a_forecast_needs_a_day() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "database-capacity", 10).await;
    let answer = forecast(&world, &running).await;
    refused(answer, Code::FailedPrecondition, ErrorReason::InvalidState);
    // A gigabyte more each day: 4 GB now, 10 in six days.
    world
        .run(
            "INSERT INTO sample SELECT '', now() - i * interval '1 day',
                 ARRAY[(4 - i) * 1073741824::bigint, 0, 0, 0, 0] FROM generate_series(0, 4) AS i",
        )
        .await;
    let found = forecast(&world, &running).await.unwrap();
    assert_eq!(found.len(), 5);
    let database = found.iter().find(|it| it.pool() == Pool::Database).unwrap();
    assert_eq!(database.growth_bytes_per_day, GB);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let days = (database.exhaust_time.unwrap().seconds - now.as_secs() as i64) as f64 / 86_400.0;
    assert!((days - 6.0).abs() < 0.01, "{days}");
    assert!(database.earliest_exhaust_time.is_some() && database.latest_exhaust_time.is_some());
}

#[tokio::test]
async fn settings_that_are_not_there_are_refused() {
    let config: Result<Config, _> = serde_json::from_str(r#"{"database_url": "x", "peroid": 1}"#);
    assert!(config.is_err());
    let config: Config = serde_json::from_str(r#"{"database_url": "secret"}"#).unwrap();
    assert_eq!((config.sampling_period_seconds, config.measure_timeout_seconds), (60, 15));
    assert!(!format!("{config:?}").contains("secret"));
}
