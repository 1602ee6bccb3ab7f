//! Rules, failures and alerts, as they are stored.

use std::time::Duration;

use chrono::{DateTime, Utc};
use proto::dual_write::v1::{AlertAction, SyncError};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row as _};

use super::rule::{Rule, Standing};
use crate::error::Error;

/// A rule fired.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) number: i64,
    pub(crate) rule: String,
    pub(crate) map: String,
    pub(crate) error_count: i32,
    /// A message.
    pub(crate) last_error: Vec<u8>,
    pub(crate) wanted_action: i32,
    /// `None`: it is about to be done.
    pub(crate) action: Option<i32>,
    pub(crate) fire_time: DateTime<Utc>,
    pub(crate) auto_resume_time: Option<DateTime<Utc>>,
    /// Who could not be told, and why.
    pub(crate) delivery_failures: Vec<String>,
}

struct RuleRow {
    id: String,
    version: i64,
    maps: Vec<String>,
    error_kinds: Vec<i32>,
    error_count: i32,
    span_milliseconds: i64,
    action: i32,
    mail_recipients: Vec<String>,
    webhook_url: String,
    probe_milliseconds: Option<i64>,
    hold_time: DateTime<Utc>,
}

const RULE: &str = "id, version, maps, error_kinds, error_count, span_milliseconds, action, \
                    mail_recipients, webhook_url, probe_milliseconds, hold_time";
/// Of a webhook's address only the host is told: the rest may hold a secret.
const ALERT: &str = "number, rule, map, error_count, last_error, wanted_action, action, fire_time, \
                     auto_resume_time, \
                     ARRAY(SELECT coalesce(substring(recipient FROM '^https?://([^/?#]+)'), \
                                         recipient) || ': ' || failure FROM alert_delivery \
                           WHERE alert = number AND failure IS NOT NULL \
                           ORDER BY channel, recipient) AS delivery_failures";

// === rules ===

pub(crate) async fn rules(
    connection: &mut PgConnection,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Rule>, Error> {
    let rows: Vec<RuleRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {RULE} FROM alert_rule WHERE id > $1 OR $1 IS NULL ORDER BY id LIMIT $2"
    )))
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(RuleRow::rule).collect()
}

/// One rule, which nobody else changes or has fire until the transaction ends.
pub(crate) async fn lock_rule(
    connection: &mut PgConnection,
    id: &str,
) -> Result<Option<Rule>, Error> {
    find(connection, id, "FOR UPDATE").await
}

pub(crate) async fn rule(connection: &mut PgConnection, id: &str) -> Result<Option<Rule>, Error> {
    find(connection, id, "").await
}

async fn find(
    connection: &mut PgConnection,
    id: &str,
    lock: &'static str,
) -> Result<Option<Rule>, Error> {
    let row: Option<RuleRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {RULE} FROM alert_rule WHERE id = $1 {lock}"
    )))
    .bind(id)
    .fetch_optional(connection)
    .await?;
    row.map(RuleRow::rule).transpose()
}

/// Answers whether there was none of this id.
pub(crate) async fn create_rule(connection: &mut PgConnection, rule: &Rule) -> Result<bool, Error> {
    let inserted = bound(
        rule,
        "INSERT INTO alert_rule (id, version, maps, error_kinds, error_count, span_milliseconds,
             action, mail_recipients, webhook_url, probe_milliseconds, hold_time)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
    );
    Ok(inserted.execute(connection).await?.rows_affected() == 1)
}

pub(crate) async fn update_rule(connection: &mut PgConnection, rule: &Rule) -> Result<(), Error> {
    let updated = bound(
        rule,
        "UPDATE alert_rule SET version = $2, maps = $3, error_kinds = $4, error_count = $5,
             span_milliseconds = $6, action = $7, mail_recipients = $8, webhook_url = $9,
             probe_milliseconds = $10, hold_time = $11 WHERE id = $1",
    );
    updated.execute(connection).await?;
    Ok(())
}

/// What it paused stays paused.
pub(crate) async fn delete_rule(connection: &mut PgConnection, id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM probe WHERE alert IN (SELECT number FROM alert WHERE rule = $1)")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM alert_rule WHERE id = $1").bind(id).execute(connection).await?;
    Ok(())
}

type Query = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bound(rule: &Rule, statement: &'static str) -> Query {
    sqlx::query(statement)
        .bind(rule.id.clone())
        .bind(rule.version)
        .bind(rule.maps.clone())
        .bind(rule.error_kinds.clone())
        .bind(rule.error_count)
        .bind(milliseconds(rule.span))
        .bind(i32::from(rule.action))
        .bind(rule.mail_recipients.clone())
        .bind(rule.webhook_url.clone())
        .bind(rule.probe_delay.map(milliseconds))
        .bind(rule.hold_time)
}

// === failures ===

/// Each of `kinds` is one failure of the map, now.
pub(super) async fn count_failures(
    connection: &mut PgConnection,
    map: &str,
    kinds: &[i32],
) -> Result<(), Error> {
    sqlx::query("INSERT INTO failure (map, kind) SELECT $1, unnest($2::integer[])")
        .bind(map)
        .bind(kinds)
        .execute(connection)
        .await?;
    Ok(())
}

/// Failures older than any window are forgotten.
pub(super) async fn forget_failures(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("DELETE FROM failure WHERE occur_time < now() - interval '24 hours'")
        .execute(connection)
        .await?;
    Ok(())
}

/// How the rule stands with a map, which runs or does not.
pub(super) async fn standing(
    connection: &mut PgConnection,
    rule: &Rule,
    map: &str,
    runs: bool,
) -> Result<Standing, Error> {
    let span = chrono::TimeDelta::from_std(rule.span).unwrap_or(chrono::TimeDelta::days(1));
    let last: Option<(DateTime<Utc>, bool)> = sqlx::query_as(
        "SELECT fire_time, coalesce(action, wanted_action) <> $4 FROM alert
         WHERE rule = $1 AND map = $2 AND fire_time > clock_timestamp() - $3
         ORDER BY number DESC LIMIT 1",
    )
    .bind(&rule.id)
    .bind(map)
    .bind(span)
    .bind(i32::from(AlertAction::None))
    .fetch_optional(&mut *connection)
    .await?;
    let since = last.map_or(rule.hold_time, |(fired, _)| fired.max(rule.hold_time));
    let failures = sqlx::query_scalar(
        "SELECT count(*) FROM failure
         WHERE map = $1 AND occur_time > greatest($2, clock_timestamp() - $3)
           AND (kind = ANY($4) OR $4 = '{}')",
    )
    .bind(map)
    .bind(since)
    .bind(span)
    .bind(&rule.error_kinds)
    .fetch_one(connection)
    .await?;
    let undone = runs && last.is_some_and(|(_, acted)| acted);
    Ok(Standing { failures, fired: last.is_some(), undone })
}

// === alerts ===

/// Keeps that a rule fired, and who has to be told.
pub(super) async fn fire(
    connection: &mut PgConnection,
    rule: &Rule,
    map: &str,
    failures: i64,
    last_error: &SyncError,
) -> Result<i64, Error> {
    let number = sqlx::query_scalar(
        "INSERT INTO alert (rule, map, error_count, last_error, wanted_action)
         VALUES ($1, $2, $3, $4, $5) RETURNING number",
    )
    .bind(&rule.id)
    .bind(map)
    .bind(i32::try_from(failures).unwrap_or(i32::MAX))
    .bind(prost::Message::encode_to_vec(last_error))
    .bind(i32::from(rule.action))
    .fetch_one(&mut *connection)
    .await?;
    let webhooks: Vec<String> =
        Some(rule.webhook_url.clone()).into_iter().filter(|it| !it.is_empty()).collect();
    for (channel, recipients) in [("mail", &rule.mail_recipients), ("webhook", &webhooks)] {
        sqlx::query(
            "INSERT INTO alert_delivery (alert, channel, recipient) SELECT $1, $2, unnest($3::text[])",
        )
        .bind(number)
        .bind(channel)
        .bind(recipients)
        .execute(&mut *connection)
        .await?;
    }
    Ok(number)
}

/// Alerts whose action was not done by who had the rule fire, who does it within moments.
pub(super) async fn to_act(connection: &mut PgConnection) -> Result<Vec<Alert>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {ALERT} FROM alert
         WHERE action IS NULL AND fire_time < clock_timestamp() - interval '5 seconds'
         ORDER BY number LIMIT 100"
    )))
    .fetch_all(connection)
    .await?)
}

pub(crate) async fn alert(
    connection: &mut PgConnection,
    number: i64,
) -> Result<Option<Alert>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!("SELECT {ALERT} FROM alert WHERE number = $1")))
        .bind(number)
        .fetch_optional(connection)
        .await?)
}

/// What was done to the map in the end. Answers whether nobody else has said so.
pub(super) async fn acted(
    connection: &mut PgConnection,
    number: i64,
    action: AlertAction,
) -> Result<bool, Error> {
    let said = sqlx::query("UPDATE alert SET action = $2 WHERE number = $1 AND action IS NULL")
        .bind(number)
        .bind(i32::from(action))
        .execute(connection)
        .await?;
    Ok(said.rows_affected() == 1)
}

/// Newest first; of one rule, or of all.
pub(crate) async fn alerts(
    connection: &mut PgConnection,
    rule: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Alert>, Error> {
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {ALERT} FROM alert
         WHERE (rule = $1 OR $1 IS NULL) AND (number < $2 OR $2 IS NULL)
         ORDER BY number DESC LIMIT $3"
    )))
    .bind(rule)
    .bind(before)
    .bind(limit)
    .fetch_all(connection)
    .await?)
}

pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn span(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

impl RuleRow {
    fn rule(self) -> Result<Rule, Error> {
        let action = AlertAction::try_from(self.action)
            .map_err(|_| Error::Stored(format!("an action {}", self.action)))?;
        Ok(Rule {
            id: self.id,
            version: self.version,
            maps: self.maps,
            error_kinds: self.error_kinds,
            error_count: self.error_count,
            span: span(self.span_milliseconds),
            action,
            mail_recipients: self.mail_recipients,
            webhook_url: self.webhook_url,
            probe_delay: self.probe_milliseconds.map(span),
            hold_time: self.hold_time,
        })
    }
}

impl FromRow<'_, PgRow> for Alert {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("number")?,
            rule: row.try_get("rule")?,
            map: row.try_get("map")?,
            error_count: row.try_get("error_count")?,
            last_error: row.try_get("last_error")?,
            wanted_action: row.try_get("wanted_action")?,
            action: row.try_get("action")?,
            fire_time: row.try_get("fire_time")?,
            auto_resume_time: row.try_get("auto_resume_time")?,
            delivery_failures: row.try_get("delivery_failures")?,
        })
    }
}

impl FromRow<'_, PgRow> for RuleRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            version: row.try_get("version")?,
            maps: row.try_get("maps")?,
            error_kinds: row.try_get("error_kinds")?,
            error_count: row.try_get("error_count")?,
            span_milliseconds: row.try_get("span_milliseconds")?,
            action: row.try_get("action")?,
            mail_recipients: row.try_get("mail_recipients")?,
            webhook_url: row.try_get("webhook_url")?,
            probe_milliseconds: row.try_get("probe_milliseconds")?,
            hold_time: row.try_get("hold_time")?,
        })
    }
}
