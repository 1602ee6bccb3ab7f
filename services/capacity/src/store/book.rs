//! Everything that decisions are made from, as of one moment.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::accruals::Accrual;
use crate::consumption::{self, Commitment, Environment, MeterKind};
use crate::entitlement::{self, Entitlement, Licence};
use crate::error::Error;
use crate::pool::Amounts;
use crate::standing::Standing;
use crate::store;

/// What the tenant has bought, what its environments use, and what operations hold.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) now: DateTime<Utc>,
    accruals: Vec<Accrual>,
    licences: Vec<Licence>,
    environments: Vec<Environment>,
    measure_times: BTreeMap<String, DateTime<Utc>>,
    /// Held by reservations.
    held: Amounts,
    /// In use by operations that are done, and not measured yet.
    committed: Vec<Commitment>,
}

/// What one environment uses.
#[derive(Clone, Debug)]
pub(crate) struct Usage {
    pub(crate) environment: String,
    pub(crate) measured: Amounts,
    pub(crate) counted: Amounts,
    pub(crate) exempt: bool,
    pub(crate) measure_time: Option<DateTime<Utc>>,
}

type EnvironmentRow = (String, i16, Option<Vec<i64>>, Option<DateTime<Utc>>);

/// Reads the book; within a decision, after [`store::Change::decide`].
pub(crate) async fn read(connection: &mut PgConnection) -> Result<Book, Error> {
    let now = store::now(connection).await?;
    let accruals = store::accruals::list(connection, None, i64::MAX).await?;
    let licences = store::licences::list(connection, None, i64::MAX).await?;
    let rows: Vec<EnvironmentRow> =
        sqlx::query_as("SELECT name, kind, amounts, measured_at FROM environment ORDER BY name")
            .fetch_all(&mut *connection)
            .await?;
    let mut environments = Vec::new();
    let mut measure_times = BTreeMap::new();
    for (name, kind, amounts, measured_at) in rows {
        measure_times.extend(measured_at.map(|it| (name.clone(), it)));
        let measured = amounts.map(Amounts::try_from).transpose()?;
        environments.push(Environment { name, kind: MeterKind::of_number(kind), measured });
    }
    let held = store::reservations::held(connection, now).await?;
    let committed = store::reservations::committed(connection).await?;
    Ok(Book {
        now,
        accruals: accruals.into_iter().map(|it| it.accrual).collect(),
        licences: licences.into_iter().map(|it| it.licence).collect(),
        environments,
        measure_times,
        held,
        committed,
    })
}

// === impl Book ===

impl Book {
    pub(crate) fn entitlements(&self) -> Vec<Entitlement> {
        entitlement::of_tenant(&self.accruals, &self.licences, self.now)
    }

    pub(crate) fn standing(&self) -> Standing {
        let counted = consumption::of_tenant(&self.environments, &self.committed);
        Standing {
            entitled: entitlement::total(&self.entitlements()),
            used: Amounts::sum(counted.into_values()),
            reserved: self.held,
        }
    }

    /// The oldest measurement that counts; none while nothing was measured.
    pub(crate) fn oldest_measurement(&self) -> Option<DateTime<Utc>> {
        self.measure_times.values().min().copied()
    }

    /// What each environment uses, the largest first.
    pub(crate) fn usages(&self) -> Vec<Usage> {
        let mut counted = consumption::of_tenant(&self.environments, &self.committed);
        let usage = |it: &Environment| Usage {
            environment: it.name.clone(),
            measured: it.measured.unwrap_or_default(),
            counted: counted.remove(&it.name).unwrap_or_default(),
            exempt: it.kind == MeterKind::Exempt,
            measure_time: self.measure_times.get(&it.name).copied(),
        };
        let mut usages: Vec<_> = self.environments.iter().map(usage).collect();
        // Made for, and not listed yet.
        usages.extend(counted.into_iter().map(|(environment, counted)| Usage {
            environment,
            measured: Amounts::NONE,
            counted,
            exempt: false,
            measure_time: None,
        }));
        let size = |it: &Usage| it.measured.iter().fold(0, |sum: i64, it| sum.saturating_add(it.1));
        usages
            .sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.environment.cmp(&b.environment)));
        usages
    }
}
