//! Rows that were changed past every trigger.

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::reconciliation_service_client::ReconciliationServiceClient;
use tests::dual_write::maps::timed;
use tests::tenant::{Access, access};

use super::world::{Case, MAP, SOON, World, text, until};

pub(super) const CASES: &[Case] = tests::cases![World:
    what_went_past_is_found_and_mended_from_either_side,
];

/// For the end, when everything else has happened.
pub(super) const LAST: &[Case] = tests::cases![World: nothing_else_differs];

#[derive(Clone)]
struct Reconciler(ReconciliationServiceClient<Access>);

impl Reconciler {
    /// What of these rows differs now.
    async fn differences_of(&mut self, number: &str) -> Result<(String, Vec<pb::Difference>)> {
        let (name, mut differences) = self.differences().await?;
        let names = |it: &Option<pb::Record>| {
            let key = it.iter().flat_map(|it| &it.key);
            key.into_iter().any(|it| text(it.value.as_ref()) == number)
        };
        differences.retain(|it| names(&it.finance_and_operations_record));
        Ok((name, differences))
    }

    /// All that differs in USMF now. Returns the comparison's name, too.
    async fn differences(&mut self) -> Result<(String, Vec<pb::Difference>)> {
        let request = pb::CreateReconciliationRequest {
            parent: MAP.to_owned(),
            companies: vec!["USMF".to_owned()],
            ..Default::default()
        };
        let begun = self.0.create_reconciliation(timed(request)).await?.into_inner();
        let name = begun.reconciliation.context("nothing began")?.name;
        until(SOON * 2, async || {
            let request = pb::GetReconciliationRequest { name: name.clone() };
            let answer = self.0.clone().get_reconciliation(timed(request)).await?.into_inner();
            let found = answer.reconciliation.context("it is gone")?;
            let done = found.state() != pb::ReconciliationState::Running;
            ensure!(!done || found.state() == pb::ReconciliationState::Completed, "{found:#?}");
            Ok((done, format!("{found:#?}")))
        })
        .await?;
        let request = pb::ListDifferencesRequest {
            parent: name.clone(),
            page_size: 1_000,
            ..Default::default()
        };
        let differences = self.0.list_differences(timed(request)).await?.into_inner().differences;
        Ok((name, differences))
    }

    async fn mend(
        &mut self,
        parent: String,
        difference: &pb::Difference,
        source: pb::Side,
    ) -> Result<()> {
        let request = pb::RepairDifferencesRequest {
            parent,
            names: vec![difference.name.clone()],
            source: source.into(),
            ..Default::default()
        };
        let mended = self.0.repair_differences(timed(request)).await?.into_inner();
        ensure!(mended.repaired_count == 1 && mended.failures.is_empty(), "{mended:#?}");
        Ok(())
    }
}

async fn what_went_past_is_found_and_mended_from_either_side(world: &World) -> Result<()> {
    let number = "DW-UNSEEN";
    world.customer(number).await?;
    let mut reconciler =
        Reconciler(ReconciliationServiceClient::new(access(&world.system, "admin").await?));
    let (_, before) = reconciler.differences_of(number).await?;
    ensure!(before.is_empty(), "{before:#?}");
    for source in [pb::Side::FinanceAndOperations, pb::Side::Platform] {
        let (unseen, before, after) = match source {
            pb::Side::Platform => {
                ("not this", "SELECT set_config('tombolo.skip_business_events', 'on', true)", "")
            }
            _ => (
                "unseen",
                "ALTER TABLE erp.custtable DISABLE TRIGGER tombolo_capture",
                "ALTER TABLE erp.custtable ENABLE ALWAYS TRIGGER tombolo_capture",
            ),
        };
        let sql = format!(
            "{before};
             UPDATE erp.custtable SET memo = '{unseen}'
                WHERE dataareaid = 'USMF' AND accountnum = '{number}';
             {after}"
        );
        world.erp.execute(&sql).await?;
        let (name, differences) = reconciler.differences_of(number).await?;
        let [difference] = differences.as_slice() else {
            anyhow::bail!("not one difference: {differences:#?}")
        };
        ensure!(difference.kind() == pb::DifferenceKind::Values, "{difference:#?}");
        let fields: Vec<_> = difference
            .fields
            .iter()
            .map(|it| (it.platform_column.as_str(), text(it.finance_and_operations_value.as_ref())))
            .collect();
        ensure!(fields == [("description", unseen)], "{difference:#?}");
        ensure!(!difference.cause.is_empty(), "{difference:#?}");
        reconciler.mend(name, difference, source).await?;
        world.both_have(number, ("description", "c.memo"), "unseen").await?;
    }
    let (_, after) = reconciler.differences_of(number).await?;
    ensure!(after.is_empty(), "{after:#?}");
    Ok(())
}

async fn nothing_else_differs(world: &World) -> Result<()> {
    let access = access(&world.system, "admin").await?;
    let reconciler = Reconciler(ReconciliationServiceClient::new(access));
    until(SOON, async || {
        let (_, differences) = reconciler.clone().differences().await?;
        Ok((differences.is_empty(), format!("{differences:#?}")))
    })
    .await
    .map(drop)
}
