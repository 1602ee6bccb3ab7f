//! What waits, what failed and why.

use anyhow::Result;
use proto::dual_write::v1 as pb;

use super::{DualWrite, entries, map_name, parent, values};
use crate::cli::{ErrorFilter, ExplainArgs};
use crate::client::{self, PAGE_SIZE, explain};
use crate::confirm;
use crate::exit::{Exit, Failure};
use crate::print::{Table, plain, when, word};

impl DualWrite {
    pub(super) async fn queue(&self, map: &str) -> Result<()> {
        let mut client = self.system.sync_errors();
        let changes = client::every(async |page_token| {
            let request = pb::ListQueuedRecordsRequest {
                parent: map_name(map),
                page_size: PAGE_SIZE,
                page_token,
                key: Vec::new(),
            };
            let page = client.list_queued_records(request).await?.into_inner();
            Ok((page.changes, page.next_page_token))
        });
        let changes = changes.await?;
        self.output.list(&changes, || {
            let head = ["CHANGE", "SIDE", "ROW", "WHAT", "BY", "COMMITTED"];
            Table::new(&head).rows(changes.iter().map(|it| {
                vec![
                    it.position.to_string(),
                    side(it.record.as_ref()),
                    values::record(it.record.as_ref()),
                    word::<pb::ChangeOperation>(it.operation),
                    plain(&it.user).to_owned(),
                    when(it.commit_time.as_ref()),
                ]
            }))
        })
    }

    pub(super) async fn errors(&self, map: Option<&str>, filter: &ErrorFilter) -> Result<()> {
        let filter = pb::FailedChangeFilter {
            kind: filter.kind.map_or(0, Into::into),
            side: filter.side.map_or(0, Into::into),
            ..Default::default()
        };
        let mut client = self.system.sync_errors();
        let errors = client::every(async |page_token| {
            let request = pb::ListSyncErrorsRequest {
                parent: parent(map),
                page_size: PAGE_SIZE,
                page_token,
                filter: Some(filter),
            };
            let page = client.list_sync_errors(request).await?.into_inner();
            Ok((page.errors, page.next_page_token))
        });
        let errors = errors.await?;
        self.output.list(&errors, || {
            let head = ["ERROR", "SIDE", "ROW", "RETRY", "WHY", "WHAT TO DO"];
            Table::new(&head).rows(errors.iter().map(|it| {
                let record = it.change.as_ref().and_then(|it| it.record.as_ref());
                vec![
                    it.name.strip_prefix("maps/").unwrap_or(&it.name).to_owned(),
                    side(record),
                    values::record(record),
                    word::<pb::RetryState>(it.retry_state),
                    why(it),
                    it.error.as_ref().map(|it| it.help.clone()).unwrap_or_default(),
                ]
            }))
        })
    }

    pub(super) async fn retry(&self, map: &str, errors: &[String]) -> Result<()> {
        let parent = map_name(map);
        let request = pb::RetrySyncErrorsRequest {
            names: entries(&parent, "syncErrors", errors),
            parent,
            filter: None,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.sync_errors().retry_sync_errors(request).await;
        let it = answer.map_err(explain)?.into_inner();
        self.output.value(
            || serde_json::json!({ "queued_count": it.queued_count, "skipped_count": it.skipped_count }),
            || format!("{} are tried again, {} cannot be", it.queued_count, it.skipped_count),
        )
    }

    pub(super) async fn dismiss(&self, map: &str, errors: &[String], agree: bool) -> Result<()> {
        const TERMS: &str = "The changes are given up for good, and the sides may stay different.";
        let parent = map_name(map);
        let request = pb::DismissSyncErrorsRequest {
            names: entries(&parent, "syncErrors", errors),
            parent,
            filter: None,
            acknowledged: confirm::agreement(agree, TERMS)?,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.sync_errors().dismiss_sync_errors(request).await;
        let dismissed = answer.map_err(explain)?.into_inner().dismissed_count;
        self.output.value(
            || serde_json::json!({ "dismissed_count": dismissed }),
            || format!("{dismissed} are given up"),
        )
    }

    /// Something that holds the row back is the command's failure.
    pub(super) async fn explain(&self, args: ExplainArgs) -> Result<()> {
        let request = pb::ExplainRecordRequest {
            side: args.side.into(),
            entity_name: args.entity,
            key: Some(values::key(&args.key)?),
        };
        let answer = self.system.sync_errors().explain_record(request).await.map_err(explain)?;
        let it = answer.into_inner();
        self.output.one(&it, || {
            let rows = it.findings.iter().map(|it| {
                let mark = if it.blocking { "✗" } else { "✓" };
                let what = word::<pb::FindingKind>(it.kind);
                vec![mark.to_owned(), what, it.message.clone(), it.help.clone()]
            });
            Table::new(&["", "WHAT", "FOUND", "WHAT TO DO"]).rows(rows).to_string()
        })?;
        match it.findings.iter().find(|it| it.blocking) {
            Some(it) => Err(Failure::of(Exit::Refused, it.message.clone())),
            None => Ok(()),
        }
    }

    pub(super) async fn activity(&self, map: Option<&str>) -> Result<()> {
        let mut client = self.system.sync_errors();
        let activities = client::every(async |page_token| {
            let (parent, page_size) = (parent(map), PAGE_SIZE);
            let request = pb::ListActivitiesRequest { parent, page_size, page_token };
            let page = client.list_activities(request).await?.into_inner();
            Ok((page.activities, page.next_page_token))
        });
        let activities = activities.await?;
        self.output.list(&activities, || {
            Table::new(&["WHEN", "MAP", "WHAT", "BY", "MESSAGE"]).rows(activities.iter().map(
                |it| {
                    vec![
                        when(it.occur_time.as_ref()),
                        it.name.split('/').nth(1).unwrap_or_default().to_owned(),
                        it.kind.clone(),
                        plain(&it.actor).to_owned(),
                        it.message.clone(),
                    ]
                },
            ))
        })
    }
}

fn side(record: Option<&pb::Record>) -> String {
    record.map(|it| word::<pb::Side>(it.side)).unwrap_or_default()
}

fn why(it: &pb::FailedChange) -> String {
    match it.winner.as_slice() {
        [] => values::error(it.error.as_ref()),
        winner => format!("{}; kept: {}", values::error(it.error.as_ref()), values::pairs(winner)),
    }
}
