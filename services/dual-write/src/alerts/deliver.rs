//! Telling who is to be told that a rule fired: from the store, so that a process that dies tells all the
//! same, each at least once.

use std::time::Duration;

use prost::Message as _;
use proto::dual_write::v1::{AlertAction, SyncError, SyncErrorKind};
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row as _};

use super::store::{self, Alert};
use super::{mail, webhook};
use crate::core::Core;
use crate::error::Error;

const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// For a day and a half, about.
const ATTEMPTS: i32 = 44;
/// At once.
const TOGETHER: i64 = 16;

/// Why somebody was not told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// It may go another time.
    Passing(String),
    Lasting(String),
}

#[derive(Debug)]
struct Delivery {
    alert: i64,
    channel: String,
    recipient: String,
    attempt_count: i32,
}

/// Tells all who are to be told by now.
pub(super) async fn deliver_due(core: &Core) -> Result<(), Error> {
    loop {
        let due = due(core).await?;
        if due.is_empty() {
            return Ok(());
        }
        let deliveries = due.into_iter().map(|it| deliver(core, it));
        futures::future::try_join_all(deliveries).await?;
    }
}

async fn due(core: &Core) -> Result<Vec<Delivery>, Error> {
    let mut connection = core.store.pool().acquire().await?;
    Ok(sqlx::query_as(
        "SELECT d.alert, d.channel, d.recipient, d.attempt_count
         FROM alert_delivery d JOIN alert ON alert.number = d.alert
         WHERE d.next_time <= clock_timestamp() AND alert.action IS NOT NULL
         ORDER BY d.next_time LIMIT $1",
    )
    .bind(TOGETHER)
    .fetch_all(&mut *connection)
    .await?)
}

async fn deliver(core: &Core, delivery: Delivery) -> Result<(), Error> {
    let alert = {
        let mut connection = core.store.pool().acquire().await?;
        store::alert(&mut connection, delivery.alert).await?
    };
    let Some(alert) = alert else { return Ok(()) };
    let told = tell(core, &delivery, &alert).await;
    let mut connection = core.store.pool().acquire().await?;
    note(&mut connection, &delivery, told).await
}

async fn tell(core: &Core, delivery: &Delivery, alert: &Alert) -> Result<(), Undelivered> {
    let error = SyncError::decode(&*alert.last_error).unwrap_or_default();
    match delivery.channel.as_str() {
        "mail" => mail::send(core.config.mail.as_ref(), &delivery.recipient, alert, &error).await,
        _ => {
            let hosts = &core.config.webhook_hosts;
            webhook::post(&delivery.recipient, body(alert, &error), hosts).await
        }
    }
}

async fn note(
    connection: &mut PgConnection,
    delivery: &Delivery,
    told: Result<(), Undelivered>,
) -> Result<(), Error> {
    let attempts = delivery.attempt_count.saturating_add(1);
    let (failure, again) = match told {
        Ok(()) => (None, false),
        Err(Undelivered::Passing(why)) => (Some(why), attempts < ATTEMPTS),
        Err(Undelivered::Lasting(why)) => (Some(why), false),
    };
    if let Some(why) = &failure {
        let Delivery { alert, channel, .. } = delivery;
        tracing::warn!(alert, channel, attempts, again, why, "an alert was not delivered");
    }
    sqlx::query(
        "UPDATE alert_delivery SET attempt_count = $4, failure = $5,
             next_time = clock_timestamp() + $6 * interval '1 millisecond'
         WHERE alert = $1 AND channel = $2 AND recipient = $3",
    )
    .bind(delivery.alert)
    .bind(&delivery.channel)
    .bind(&delivery.recipient)
    .bind(attempts)
    .bind(failure)
    .bind(again.then(|| store::milliseconds(pause(attempts))))
    .execute(connection)
    .await?;
    Ok(())
}

/// After so many attempts.
fn pause(attempts: i32) -> Duration {
    let doubled = 1_u32.checked_shl(u32::try_from(attempts).unwrap_or_default().saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled.unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
}

/// The alert as the contract shows it, in JSON. The other side's own words and what leads to rows stay
/// here: whoever is behind the address is nobody whose rights are known.
fn body(alert: &Alert, error: &SyncError) -> String {
    let kind = SyncErrorKind::try_from(error.kind).unwrap_or_default().as_str_name();
    let action: AlertAction = alert.action.and_then(|it| it.try_into().ok()).unwrap_or_default();
    let time = |it: &prost_types::Timestamp| {
        chrono::DateTime::from_timestamp(it.seconds, u32::try_from(it.nanos).unwrap_or_default())
    };
    json!({
        "name": alert.name(),
        "map": alert.map,
        "errorCount": alert.error_count,
        "lastError": {
            "kind": kind,
            "code": error.code,
            "field": error.field,
            "retryable": error.retryable,
            "correlationId": error.correlation_id,
            "occurTime": error.occur_time.as_ref().and_then(time),
        },
        "action": action.as_str_name(),
        "fireTime": alert.fire_time,
    })
    .to_string()
}

impl FromRow<'_, PgRow> for Delivery {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            alert: row.try_get("alert")?,
            channel: row.try_get("channel")?,
            recipient: row.try_get("recipient")?,
            attempt_count: row.try_get("attempt_count")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let seconds = |attempts| pause(attempts).as_secs();
        assert_eq!([1, 2, 3, 4].map(seconds), [2, 4, 8, 16]);
        assert_eq!([12, 33, i32::MAX].map(seconds), [3_600; 3]);
    }
}
