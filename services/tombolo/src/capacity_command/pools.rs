//! The tenant's pools: what is entitled, free and blocked, and what follows from that.

use anyhow::Result;
use prost_types::Duration;
use proto::capacity::v1 as pb;
use serde_json::Value;

use super::{Capacity, pool_filter};
use crate::client::{self, PAGE_SIZE, explain};
use crate::exit::{Exit, Failure};
use crate::print::{Shown as _, Table, bar, day, is_terminal, plain, size, span, when, word};

const BAR_WIDTH: usize = 20;
const SECONDS_PER_DAY: i64 = 86_400;

impl Capacity {
    pub(super) async fn show(&self) -> Result<()> {
        let answer = self.system.capacity().get_capacity(pb::GetCapacityRequest {}).await;
        let capacity = answer.map_err(explain)?.into_inner();
        let notices = self.every_notice(true).await?;
        let for_programs = || {
            let mut it = capacity.json();
            if let Some(it) = it.as_object_mut() {
                let notices: Value = notices.iter().map(pb::Notice::json).collect();
                it.insert("notices".to_owned(), notices);
            }
            it
        };
        self.output.value(for_programs, || overview(&capacity, &notices, is_terminal()))
    }

    pub(super) async fn entitlements(&self, pool: Option<pb::Pool>) -> Result<()> {
        let mut client = self.system.capacity();
        let entitlements = client::every(async |page_token| {
            let (page_size, pool) = (PAGE_SIZE, pool_filter(pool));
            let request = pb::ListEntitlementsRequest { page_size, page_token, pool };
            let page = client.list_entitlements(request).await?.into_inner();
            Ok((page.entitlements, page.next_page_token))
        });
        let entitlements = entitlements.await?;
        let table = || {
            let head = ["POOL", "SIZE", "SOURCE", "PRODUCT", "LICENCES"];
            Table::new(&head).numbers(&[1]).rows(entitlements.iter().map(|it| {
                let licences = it.licences.iter().map(|it| plain(it)).collect::<Vec<_>>();
                vec![
                    word::<pb::Pool>(it.pool),
                    size(it.size_bytes),
                    word::<pb::EntitlementSource>(it.source),
                    plain(&it.accrual).to_owned(),
                    licences.join(", "),
                ]
            }))
        };
        self.output.list(&entitlements, table)
    }

    pub(super) async fn forecast(&self, days: u32) -> Result<()> {
        let window = Duration { seconds: i64::from(days) * SECONDS_PER_DAY, nanos: 0 };
        let request = pb::ForecastCapacityRequest { window: Some(window) };
        let answer = self.system.capacity().forecast_capacity(request).await.map_err(explain)?;
        let forecasts = answer.into_inner().forecasts;
        self.output.list(&forecasts, || forecast_table(&forecasts))
    }

    pub(super) async fn notices(&self, active: bool) -> Result<()> {
        let notices = self.every_notice(active).await?;
        let table = || {
            let head = ["POOL", "KIND", "SINCE", "UNTIL", "MESSAGE"];
            Table::new(&head).rows(notices.iter().map(|it| {
                vec![
                    word::<pb::Pool>(it.pool),
                    word::<pb::NoticeKind>(it.kind),
                    when(it.begin_time.as_ref()),
                    when(it.end_time.as_ref()),
                    it.message.clone(),
                ]
            }))
        };
        self.output.list(&notices, table)
    }

    async fn every_notice(&self, active_only: bool) -> Result<Vec<pb::Notice>> {
        let mut client = self.system.capacity();
        client::every(async |page_token| {
            let request = pb::ListNoticesRequest { page_size: PAGE_SIZE, page_token, active_only };
            let page = client.list_notices(request).await?.into_inner();
            Ok((page.notices, page.next_page_token))
        })
        .await
    }

    pub(super) async fn check(
        &self,
        operation: pb::CapacityOperation,
        amounts: Vec<pb::PoolAmount>,
    ) -> Result<()> {
        let request = pb::CheckOperationRequest { operation: operation.into(), amounts };
        let answer = self.system.capacity().check_operation(request).await.map_err(explain)?;
        let answer = answer.into_inner();
        let text = || match answer.allowed {
            true => "allowed".to_owned(),
            false => format!("not allowed\n{}", missing(&answer.missing)),
        };
        self.output.one(&answer, text)?;
        match (answer.allowed, answer.message.as_str()) {
            (true, _) => Ok(()),
            (false, "") => Err(Failure::of(Exit::Refused, "there is not enough capacity")),
            (false, message) => Err(Failure::of(Exit::Refused, message)),
        }
    }
}

fn missing(amounts: &[pb::PoolAmount]) -> String {
    let line = |it: &pb::PoolAmount| {
        format!("missing {} of {}\n", size(it.size_bytes), word::<pb::Pool>(it.pool))
    };
    amounts.iter().map(line).collect()
}

/// With bars where somebody looks at it.
fn overview(capacity: &pb::GetCapacityResponse, notices: &[pb::Notice], bars: bool) -> String {
    let mut head = vec!["POOL", "ENTITLED", "USED", "RESERVED", "FREE", "DEFICIT", "USE"];
    if bars {
        head.push("");
    }
    let rows = capacity.pools.iter().map(|it| {
        let taken = it.used_bytes.saturating_add(it.reserved_bytes);
        let mut row = vec![
            word::<pb::Pool>(it.pool),
            size(it.entitled_bytes),
            size(it.used_bytes),
            size(it.reserved_bytes),
            size(it.free_bytes),
            if it.deficit_bytes > 0 { size(it.deficit_bytes) } else { String::new() },
            percent(taken, it.entitled_bytes),
        ];
        if bars {
            row.push(bar(taken, it.entitled_bytes, BAR_WIDTH));
        }
        row
    });
    let mut text = Table::new(&head).numbers(&[1, 2, 3, 4, 5, 6]).rows(rows).to_string();
    text.push('\n');
    let blocked = capacity.blocked_operations.iter().map(|it| word::<pb::CapacityOperation>(*it));
    let blocked = blocked.collect::<Vec<_>>().join(", ");
    if capacity.in_overage {
        text += "The tenant is in overage. Reading and writing data goes on.\n";
    }
    if !blocked.is_empty() {
        text += &format!("Blocked: {blocked}\n");
    }
    for it in notices {
        text += &format!("Notice: {}\n", it.message);
    }
    let period = capacity.sampling_period.map(|it| format!(", every {}", span(it)));
    match when(capacity.measure_time.as_ref()) {
        at if at.is_empty() => text += "Not measured yet\n",
        at => text += &format!("Measured at {at}{}\n", period.unwrap_or_default()),
    }
    text
}

fn percent(part: i64, whole: i64) -> String {
    match whole > 0 {
        true => format!("{}%", i128::from(part.max(0)) * 100 / i128::from(whole)),
        false => String::new(),
    }
}

fn forecast_table(forecasts: &[pb::PoolForecast]) -> Table {
    let head = ["POOL", "GROWTH PER DAY", "FULL", "EARLIEST", "LATEST"];
    Table::new(&head).numbers(&[1]).rows(forecasts.iter().map(|it| {
        let full = match day(it.exhaust_time.as_ref()) {
            day if day.is_empty() => "not within ten years".to_owned(),
            day => day,
        };
        vec![
            word::<pb::Pool>(it.pool),
            size(it.growth_bytes_per_day),
            full,
            day(it.earliest_exhaust_time.as_ref()),
            day(it.latest_exhaust_time.as_ref()),
        ]
    }))
}

/// `database 1.5 GB, log 0.2 GB`.
pub(super) fn amounts(amounts: &[pb::PoolAmount]) -> String {
    let one =
        |it: &pb::PoolAmount| format!("{} {}", word::<pb::Pool>(it.pool), size(it.size_bytes));
    amounts.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: i64 = 1 << 30;

    fn capacity() -> pb::GetCapacityResponse {
        let pool = |pool: pb::Pool, entitled: i64, used: i64, deficit: i64| pb::PoolCapacity {
            pool: pool.into(),
            entitled_bytes: entitled * GB,
            used_bytes: used * GB,
            reserved_bytes: GB,
            free_bytes: (entitled - used - 1).max(0) * GB,
            deficit_bytes: deficit * GB,
        };
        pb::GetCapacityResponse {
            pools: vec![pool(pb::Pool::Database, 10, 4, 0), pool(pb::Pool::Log, 2, 5, 3)],
            in_overage: true,
            blocked_operations: vec![
                pb::CapacityOperation::Copy.into(),
                pb::CapacityOperation::Restore.into(),
            ],
            measure_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            sampling_period: Some(Duration { seconds: 60, nanos: 0 }),
        }
    }

    #[test]
    fn the_overview_says_what_is_free_and_what_is_blocked() {
        let notice = pb::Notice { message: "The log pool is full.".into(), ..Default::default() };
        let expected = "\
POOL      ENTITLED  USED  RESERVED  FREE  DEFICIT   USE
database     10 GB  4 GB      1 GB  5 GB            50%
log           2 GB  5 GB      1 GB     0     3 GB  300%

The tenant is in overage. Reading and writing data goes on.
Blocked: copy, restore
Notice: The log pool is full.
Measured at 2027-01-15 08:00:00 UTC, every 1 min
";
        assert_eq!(overview(&capacity(), &[notice], false), expected);
    }

    #[test]
    fn a_terminal_gets_bars() {
        let text = overview(&capacity(), &[], true);
        assert!(text.contains("50%  ██████████░░░░░░░░░░\n"), "{text}");
        assert!(text.contains("300%  ████████████████████\n"), "{text}");
        let never = overview(&pb::GetCapacityResponse::default(), &[], true);
        assert!(never.ends_with("Not measured yet\n"));
    }

    #[test]
    fn what_is_missing_is_said_by_pool() {
        let it = pb::PoolAmount { pool: pb::Pool::Database.into(), size_bytes: GB / 2 };
        assert_eq!(missing(&[it]), "missing 512 MB of database\n");
    }

    #[test]
    fn a_pool_that_never_fills_says_so() {
        let it = pb::PoolForecast {
            pool: pb::Pool::File.into(),
            growth_bytes_per_day: -GB,
            ..Default::default()
        };
        let expected = "\
POOL  GROWTH PER DAY  FULL                  EARLIEST  LATEST
file           -1 GB  not within ten years
";
        assert_eq!(forecast_table(&[it]).to_string(), expected);
    }
}
