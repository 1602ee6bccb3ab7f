//! Comparisons of both sides.

use std::time::Duration;

use anyhow::Result;
use proto::dual_write::v1 as pb;

use super::{DualWrite, entries, map_name, parent, values};
use crate::cli::ReconcileCommand;
use crate::client::{self, PAGE_SIZE, explain};
use crate::exit::{Exit, Failure};
use crate::print::{Table, note, plain, when, word};
use crate::system::told;

/// How often a comparison is looked at that somebody waits for.
const LOOK: Duration = Duration::from_millis(500);
/// Of one repair.
const MOST: usize = 1_000;

impl DualWrite {
    pub(super) async fn reconcile(&self, command: ReconcileCommand) -> Result<()> {
        match command {
            ReconcileCommand::List { map } => {
                let runs = self.comparisons(parent(map.as_deref())).await?;
                self.output.list(&runs, || table(&runs))
            }
            ReconcileCommand::Start { map, companies } => self.compare(&map, companies).await,
            ReconcileCommand::Cancel { run } => {
                let name = self.comparison_name(&run).await?;
                let idempotency_key = self.write.key();
                let request = pb::CancelReconciliationRequest { name, idempotency_key };
                let answer = self.system.reconciliations().cancel_reconciliation(request).await;
                let it = told(answer.map_err(explain)?.into_inner().reconciliation)?;
                self.output.one(&it, || table(std::slice::from_ref(&it)).to_string())
            }
            ReconcileCommand::Differences { run, kind } => {
                let kind = kind.map_or(0, Into::into);
                let found = self.differences(self.comparison_name(&run).await?, kind).await?;
                self.output.list(&found, || differences(&found))
            }
            ReconcileCommand::Repair { run, source, differences, delete_missing } => {
                self.repair(&run, source, &differences, delete_missing).await
            }
        }
    }

    async fn comparisons(&self, parent: String) -> Result<Vec<pb::Reconciliation>> {
        let mut client = self.system.reconciliations();
        client::every(async |page_token| {
            let (parent, page_size) = (parent.clone(), PAGE_SIZE);
            let request = pb::ListReconciliationsRequest { parent, page_size, page_token };
            let page = client.list_reconciliations(request).await?.into_inner();
            Ok((page.reconciliations, page.next_page_token))
        })
        .await
    }

    /// The comparison that is named, or the newest of the map.
    async fn comparison_name(&self, run: &str) -> Result<String> {
        let name = map_name(run);
        if name.contains("/reconciliations/") {
            return Ok(name);
        }
        let newest = self.comparisons(name).await?.into_iter().next();
        let none = || Failure::of(Exit::NotFound, format!("{run} was never compared"));
        Ok(newest.ok_or_else(none)?.name)
    }

    async fn compare(&self, map: &str, companies: Vec<String>) -> Result<()> {
        let (parent, idempotency_key) = (map_name(map), self.write.key());
        let request = pb::CreateReconciliationRequest { parent, companies, idempotency_key };
        let answer = self.system.reconciliations().create_reconciliation(request).await;
        let mut it = told(answer.map_err(explain)?.into_inner().reconciliation)?;
        let mut percent = -1;
        while !self.write.no_wait && it.state() == pb::ReconciliationState::Running {
            tokio::time::sleep(LOOK).await;
            let request = pb::GetReconciliationRequest { name: it.name.clone() };
            let answer = self.system.reconciliations().get_reconciliation(request).await;
            it = told(answer.map_err(explain)?.into_inner().reconciliation)?;
            let now = it.compared_row_count.saturating_mul(100) / it.total_row_count.max(1);
            if std::mem::replace(&mut percent, now) != now {
                note(&format!("{now}%, {} rows differ", it.difference_count));
            }
        }
        self.output.one(&it, || table(std::slice::from_ref(&it)).to_string())?;
        match it.state() {
            pb::ReconciliationState::Failed => {
                Err(Failure::of(Exit::Failed, values::error(it.failure.as_ref())))
            }
            _ if it.difference_count > 0 => {
                let count = it.difference_count;
                let message =
                    format!("{count} rows differ: tombolo dual-write reconcile differences {map}");
                Err(Failure::of(Exit::Refused, message))
            }
            _ => Ok(()),
        }
    }

    async fn differences(&self, parent: String, kind: i32) -> Result<Vec<pb::Difference>> {
        let mut client = self.system.reconciliations();
        client::every(async |page_token| {
            let (parent, page_size) = (parent.clone(), PAGE_SIZE);
            let request = pb::ListDifferencesRequest { parent, page_size, page_token, kind };
            let page = client.list_differences(request).await?.into_inner();
            Ok((page.differences, page.next_page_token))
        })
        .await
    }

    async fn repair(
        &self,
        run: &str,
        source: pb::Side,
        given: &[String],
        delete_missing: bool,
    ) -> Result<()> {
        let parent = self.comparison_name(run).await?;
        let names = match given {
            [] => {
                let open = self.differences(parent.clone(), 0).await?.into_iter();
                open.filter(|it| !it.repaired).map(|it| it.name).take(MOST).collect()
            }
            given => entries(&parent, "differences", given),
        };
        if names.is_empty() {
            note("nothing differs");
            return Ok(());
        }
        let request = pb::RepairDifferencesRequest {
            parent,
            names,
            source: source.into(),
            delete_missing,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.reconciliations().repair_differences(request).await;
        let it = answer.map_err(explain)?.into_inner();
        self.output.one(&it, || {
            let mut text = format!(
                "{} rows are mended, {} were left alone\n",
                it.repaired_count, it.skipped_count
            );
            for failure in &it.failures {
                let why = values::error(failure.error.as_ref());
                text.push_str(&format!("{}: {why}\n", plain(&failure.difference)));
            }
            text
        })?;
        match it.failures.len() {
            0 => Ok(()),
            failed => Err(Failure::of(Exit::Failed, format!("{failed} rows could not be mended"))),
        }
    }
}

fn table(runs: &[pb::Reconciliation]) -> Table {
    let head = ["RUN", "STATE", "COMPARED", "OF", "DIFFERENT", "BEGAN"];
    Table::new(&head).numbers(&[2, 3, 4]).rows(runs.iter().map(|it| {
        vec![
            it.name.strip_prefix("maps/").unwrap_or(&it.name).to_owned(),
            word::<pb::ReconciliationState>(it.state),
            it.compared_row_count.to_string(),
            it.total_row_count.to_string(),
            it.difference_count.to_string(),
            when(it.start_time.as_ref()),
        ]
    }))
}

fn differences(found: &[pb::Difference]) -> Table {
    let head = ["DIFFERENCE", "KIND", "ROW", "FIELDS (ERP / PLATFORM)", "WHY", "MENDED"];
    Table::new(&head).rows(found.iter().map(|it| {
        let record = it.finance_and_operations_record.as_ref().or(it.platform_record.as_ref());
        let fields = it.fields.iter().map(|it| {
            let erp = values::text(it.finance_and_operations_value.as_ref());
            let platform = values::text(it.platform_value.as_ref());
            format!("{}: {erp} / {platform}", it.platform_column)
        });
        vec![
            plain(&it.name).to_owned(),
            word::<pb::DifferenceKind>(it.kind),
            values::record(record),
            fields.collect::<Vec<_>>().join("; "),
            it.cause.clone(),
            if it.repaired { "yes".to_owned() } else { String::new() },
        ]
    }))
}
