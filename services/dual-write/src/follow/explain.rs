//! Why a row is not on the other side (spec DW-64): what a change of it passes on its way, in order, and which of
//! it holds it back.

mod row;

use std::sync::Arc;

use chrono::SecondsFormat;
use proto::dual_write::v1::{Finding, FindingKind, MapState, Side, SyncErrorKind};
use proto::query::v1 as wire;
use proto::query::v1::transaction_service_client::TransactionServiceClient;
use rpc::ErrorReason;
use tonic::{Code, Status};

use super::failures::{self, Stored};
use super::{change, refusal};
use crate::core::Core;
use crate::error::Error;
use crate::image;
use crate::map::CompiledMap;
use crate::map::value;
use crate::maps::ActiveMap;
use crate::peers::{asked, other};
use crate::store::positions;
use row::Row;

const DOMAIN: &str = "dual-write";
const SKIP: &str = "`tombolo.skip_business_events`";

/// What to do about a row whose change nobody is told of.
const UNTOLD: &str = "Write one of its tracked columns again, or repair it with a reconciliation.";

/// Looks at everything that a change of this row passes.
///
/// # Errors
///
/// NOT_FOUND (ENTITY_NOT_FOUND, RECORD_NOT_FOUND), UNAVAILABLE (PEER_UNAVAILABLE).
pub(crate) async fn explain(
    core: &Core,
    side: Side,
    entity: &str,
    key: &wire::RecordKey,
) -> Result<Vec<Finding>, Status> {
    explain_in(core, &core.maps.all(), side, entity, key).await
}

/// As far as these maps go.
pub(super) async fn explain_in(
    core: &Core,
    maps: &[Arc<ActiveMap>],
    side: Side,
    entity: &str,
    key: &wire::RecordKey,
) -> Result<Vec<Finding>, Status> {
    let maps = maps.iter().filter(|it| table_of(it, side).eq_ignore_ascii_case(entity));
    let maps: Vec<_> = maps.collect();
    if maps.is_empty() {
        return no_map(core, side, entity);
    }
    let (mut findings, mut seen, mut asked_for) = (Vec::new(), false, false);
    for map in maps {
        let subject = Subject { core, side, map };
        findings.push(subject.state());
        let Some(compiled) = &map.compiled else { continue };
        asked_for = true;
        let Some(row) = row::read(core, map, side, key).await? else { continue };
        seen = true;
        subject.explain(compiled, &row, &mut findings).await?;
    }
    if asked_for && !seen {
        let message = format!("there is no such row of `{entity}`");
        let known = [("entity", entity)];
        return Err(rpc::status(
            Code::NotFound,
            DOMAIN,
            ErrorReason::RecordNotFound,
            message,
            known,
        ));
    }
    Ok(findings)
}

fn table_of(map: &ActiveMap, side: Side) -> &str {
    match side {
        Side::FinanceAndOperations => &map.table_map.finance_and_operations_entity,
        Side::Platform | Side::Unspecified => &map.table_map.platform_table,
    }
}

fn no_map(core: &Core, side: Side, entity: &str) -> Result<Vec<Finding>, Status> {
    if core.maps.tables().get()?.get(side, entity).is_none() {
        let message = format!("there is no `{entity}`");
        let known = [("entity", entity)];
        return Err(rpc::status(
            Code::NotFound,
            DOMAIN,
            ErrorReason::EntityNotFound,
            message,
            known,
        ));
    }
    let message = format!("no map has `{entity}`: its rows are not synchronized");
    let help = "Create a map for it, or import the solution that brings one.";
    Ok(vec![finding(FindingKind::Map, true, message, help, "")])
}

/// The help of what is in order is empty.
fn finding(
    kind: FindingKind,
    blocking: bool,
    message: impl Into<String>,
    help: &str,
    subject: &str,
) -> Finding {
    Finding {
        kind: kind.into(),
        blocking,
        message: message.into(),
        help: help.to_owned(),
        subject: subject.to_owned(),
    }
}

/// A map, seen from the side whose row is asked for.
struct Subject<'a> {
    core: &'a Core,
    side: Side,
    map: &'a Arc<ActiveMap>,
}

/// What is known of the row on the other side.
struct Counterpart {
    finding: Finding,
    is_equal: bool,
}

// === impl Subject ===

impl Subject<'_> {
    fn finding(
        &self,
        kind: FindingKind,
        blocking: bool,
        message: impl Into<String>,
        help: &str,
    ) -> Finding {
        finding(kind, blocking, message, help, &self.map.name)
    }

    fn state(&self) -> Finding {
        let name = &self.map.display_name;
        if let (None, Some(problem)) = (&self.map.compiled, &self.map.problem) {
            let message = format!("the map {name} does not fit the tables as they are: {problem}");
            let help = "Refresh the map's tables and save a version that fits.";
            return self.finding(FindingKind::Map, true, message, help);
        }
        let (blocking, is, help) = match self.map.state() {
            MapState::Running => (false, "runs", ""),
            MapState::Resuming => (false, "resumes: what waited is being replayed", ""),
            MapState::Initializing => (false, "copies the rows that were there before", ""),
            MapState::Pausing | MapState::Paused => {
                (true, "is paused: changes wait in the queue", "Resume the map.")
            }
            MapState::NotRunning | MapState::Stopping | MapState::Unspecified => {
                (true, "does not run: changes are not synchronized", "Start the map.")
            }
        };
        self.finding(FindingKind::Map, blocking, format!("the map {name} {is}"), help)
    }

    async fn explain(
        &self,
        compiled: &CompiledMap,
        row: &Row,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Status> {
        findings.extend(self.company(row));
        findings.push(self.filter(row));
        let counterpart = self.counterpart(compiled, row).await?;
        let queued = self.queued(row).await?;
        let failed = self.failed(row, compiled).await?;
        let in_doubt = if counterpart.is_equal { None } else { self.in_doubt().await? };
        let known = findings.iter().any(|it| it.blocking && it.subject == self.map.name)
            || queued.is_some()
            || in_doubt.is_some()
            || failed.iter().any(|it| it.blocking);
        let explained = counterpart.is_equal || known;
        let skipped = if explained { None } else { self.skipped(row).await? };
        findings.push(skipped.unwrap_or_else(|| self.tracking(explained)));
        findings.extend(queued);
        findings.extend(failed);
        findings.extend(in_doubt);
        findings.push(counterpart.finding);
        Ok(())
    }

    fn company(&self, row: &Row) -> Option<Finding> {
        if !self.map.table_map.company_specific {
            return None;
        }
        let company = &row.image.company;
        let linked = self.map.link.companies.iter().any(|it| it.eq_ignore_ascii_case(company));
        let kind = FindingKind::Company;
        Some(match (company.is_empty(), linked) {
            (true, _) => self.finding(
                kind,
                true,
                "the row has no company, which the map needs",
                "Give the row a company.",
            ),
            (false, true) => {
                self.finding(kind, false, format!("its company {company} is linked"), "")
            }
            (false, false) => self.finding(
                kind,
                true,
                format!("its company {company} is not linked"),
                "Add the company to the link.",
            ),
        })
    }

    fn filter(&self, row: &Row) -> Finding {
        let kind = FindingKind::Filter;
        match row.matches {
            true => self.finding(kind, false, "the row meets the map's filter", ""),
            false => self.finding(
                kind,
                true,
                "the row is outside the map's filter",
                "Change the row, or the filter in a new version of the map.",
            ),
        }
    }

    fn tracking(&self, explained: bool) -> Finding {
        let map_side = self.map.side(self.side);
        let tracked = image::columns(&map_side, &map_side.tracked_columns);
        let tracked: Vec<&str> = tracked.map(String::as_str).collect();
        let kind = FindingKind::Tracking;
        if tracked.is_empty() {
            let message = "the map synchronizes no column from this side";
            return self.finding(kind, true, message, "Map a column in this direction.");
        }
        let tracked = tracked.join(", ");
        if explained {
            return self.finding(kind, false, format!("changes of {tracked} are synchronized"), "");
        }
        let message = format!(
            "the log knows of no change of {tracked} that would explain the difference: other columns \
             were changed, or the row was written with capture switched off, or before the map ran"
        );
        self.finding(kind, true, message, UNTOLD)
    }

    /// Whoever wrote the row last wanted nobody to be told.
    async fn skipped(&self, row: &Row) -> Result<Option<Finding>, Error> {
        let found = row::skipped(self.core, self.map, self.side, row).await?;
        Ok(found.map(|at| {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let message =
                format!("the row was last changed at {at} with {SKIP} on: nobody is told of that");
            self.finding(FindingKind::Tracking, true, message, UNTOLD)
        }))
    }

    /// What of the row waits in the log.
    async fn queued(&self, row: &Row) -> Result<Option<Finding>, Status> {
        let mut connection = self.core.store.pool().acquire().await.map_err(Error::from)?;
        let stored = positions::load(&mut connection, &self.map.name).await?;
        drop(connection);
        let Some(after) = stored.into_iter().find(|it| it.side == self.side) else {
            return Ok(None);
        };
        let request = wire::ListRowChangesRequest {
            map: self.map.name.clone(),
            after_position: after.position,
            page_size: 1,
            key: Some(image::key(&self.map.side(self.side), &row.image)),
            ..Default::default()
        };
        let mut sharing = self.core.sides.of(self.side).sharing();
        let answer = match sharing.list_row_changes(asked(request)).await {
            Ok(answer) => answer.into_inner(),
            // A map that does not run is not known there.
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(Error::of_side(self.side, status).into()),
        };
        if answer.changes.is_empty() {
            return Ok(None);
        }
        let message = format!("{} changes of the row wait in the queue", answer.total_count.max(1));
        let help = match self.map.state() {
            MapState::Running | MapState::Resuming => {
                "They follow within seconds; where they do not, see whether the other side answers."
            }
            _ => "Resume the map.",
        };
        Ok(Some(self.finding(FindingKind::Queue, true, message, help)))
    }

    /// Failed changes and conflicts of the row, on either side.
    async fn failed(&self, row: &Row, compiled: &CompiledMap) -> Result<Vec<Finding>, Status> {
        let key = image::key(&self.map.side(self.side), &row.image);
        let theirs = compiled.counterpart_key(self.side, &row.image).ok();
        let keys: Vec<_> = std::iter::once(&key).chain(&theirs).map(change::key_digest).collect();
        let ids = [row.image.record_id.to_vec()];
        let mut connection = self.core.store.pool().acquire().await.map_err(Error::from)?;
        let found = failures::of_record(&mut connection, &self.map.name, &ids, &keys).await?;
        Ok(found.iter().map(told).collect())
    }

    async fn in_doubt(&self) -> Result<Option<Finding>, Status> {
        let channel = self.core.clients.organization.clone();
        let mut client = TransactionServiceClient::new(channel);
        let request = wire::ListPreparedTransactionsRequest { page_size: 1, ..Default::default() };
        let found = client.list_prepared_transactions(asked(request)).await;
        let found = found.map_err(|it| Error::of_side(Side::Platform, it))?.into_inner();
        let message = |it: wire::PreparedTransaction| {
            let id = it.transaction_id;
            let message = format!(
                "the transaction {id} is prepared on the platform and not settled; it may hold the row"
            );
            let help = "It is settled by itself when both sides answer.";
            finding(FindingKind::InDoubt, true, message, help, &id)
        };
        Ok(found.transactions.into_iter().next().map(message))
    }

    async fn counterpart(&self, compiled: &CompiledMap, row: &Row) -> Result<Counterpart, Status> {
        let kind = FindingKind::Counterpart;
        let target = other(self.side);
        let key = match compiled.counterpart_key(self.side, &row.image) {
            Ok(key) => key,
            Err(error) => {
                let message = format!("its key cannot be one of the other side: {error}");
                let finding = self.finding(kind, true, message, "Correct the key.");
                return Ok(Counterpart { finding, is_equal: false });
            }
        };
        let Some(found) = row::by_key(self.core, self.map, target, key).await? else {
            let message = "the row is not on the other side";
            let finding = self.finding(kind, false, message, "See what is blocking above.");
            return Ok(Counterpart { finding, is_equal: false });
        };
        let (erp, platform) = match self.side {
            Side::FinanceAndOperations => (&row.image, &found.image),
            Side::Platform | Side::Unspecified => (&found.image, &row.image),
        };
        let differences = compiled.differences(erp, platform);
        let is_equal = differences.is_empty();
        let told = differences.iter().map(|it| {
            let shown =
                |it: &Option<wire::Value>| it.as_ref().map(value::display).unwrap_or_default();
            let (erp, platform) =
                (shown(&it.finance_and_operations_value), shown(&it.platform_value));
            format!("{}: `{erp}` in the ERP, `{platform}` on the platform", it.platform_column)
        });
        let finding = match is_equal {
            true => self.finding(kind, false, "the row is on the other side, and equal", ""),
            false => {
                let told: Vec<_> = told.collect();
                let message =
                    format!("the row is on the other side, and differs: {}", told.join("; "));
                self.finding(kind, false, message, "See what is blocking above.")
            }
        };
        Ok(Counterpart { finding, is_equal })
    }
}

/// A failed change of the row.
fn told(stored: &Stored) -> Finding {
    let error = stored.message.error.clone().unwrap_or_default();
    let kind = stored.kind();
    let is_conflict = kind == SyncErrorKind::Conflict;
    let of = if is_conflict { FindingKind::Conflict } else { FindingKind::Error };
    let help = if error.help.is_empty() { refusal::help(kind) } else { &error.help };
    finding(of, !is_conflict, error.message, help, &stored.name())
}
