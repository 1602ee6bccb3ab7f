//! What environments and tables use, now and before.

use std::collections::BTreeMap;

use anyhow::Result;
use proto::capacity::v1 as pb;

use super::pools::amounts;
use super::{Capacity, days_ago, plot, pool_filter};
use crate::cli::HistoryArgs;
use crate::client::{self, PAGE_SIZE, explain};
use crate::exit::{Exit, Failure};
use crate::print::{Table, Word as _, is_terminal, plain, size, when, word};

const PLOT_WIDTH: usize = 60;

impl Capacity {
    pub(super) async fn environments(&self) -> Result<()> {
        let mut client = self.system.capacity();
        let usages = client::every(async |page_token| {
            let request = pb::ListEnvironmentUsagesRequest { page_size: PAGE_SIZE, page_token };
            let page = client.list_environment_usages(request).await?.into_inner();
            Ok((page.environment_usages, page.next_page_token))
        });
        let usages = usages.await?;
        let table = || {
            let head = ["ENVIRONMENT", "COUNTED", "MEASURED", "AT"];
            Table::new(&head).rows(usages.iter().map(|it| {
                let counted = if it.exempt { "exempt".to_owned() } else { amounts(&it.counted) };
                vec![
                    plain(&it.environment).to_owned(),
                    counted,
                    amounts(&it.measured),
                    when(it.measure_time.as_ref()),
                ]
            }))
        };
        self.output.list(&usages, table)
    }

    pub(super) async fn tables(&self, environment: &str, pool: Option<pb::Pool>) -> Result<()> {
        let parent = self.system.environment_named(environment).await?.name().to_owned();
        let mut client = self.system.capacity();
        let usages = client::every(async |page_token| {
            let (parent, page_size, pool) = (parent.clone(), PAGE_SIZE, pool_filter(pool));
            let request = pb::ListTableUsagesRequest { parent, page_size, page_token, pool };
            let page = client.list_table_usages(request).await?.into_inner();
            Ok((page.table_usages, page.next_page_token))
        });
        let usages = usages.await.map_err(|error| not_measured(error, &parent))?;
        let table = || {
            let head = ["TABLE", "POOL", "SIZE", "ROWS"];
            Table::new(&head).numbers(&[2, 3]).rows(usages.iter().map(|it| {
                vec![
                    table_name(it),
                    word::<pb::Pool>(it.pool),
                    size(it.size_bytes),
                    format!("~{}", it.row_count.max(0)),
                ]
            }))
        };
        self.output.list(&usages, table)
    }

    pub(super) async fn history(&self, args: HistoryArgs) -> Result<()> {
        let parent = match &args.environment {
            Some(name) => self.system.environment_named(name).await?.name().to_owned(),
            None => String::new(),
        };
        let start_time = Some(days_ago(args.days));
        let mut client = self.system.capacity();
        let samples = client::every(async |page_token| {
            let request = pb::ListUsageSamplesRequest {
                parent: parent.clone(),
                page_size: PAGE_SIZE,
                page_token,
                start_time,
                end_time: None,
            };
            let page = client.list_usage_samples(request).await?.into_inner();
            Ok((page.usage_samples, page.next_page_token))
        });
        let mut samples = samples.await?;
        if let Some(pool) = args.pool {
            samples.iter_mut().for_each(|it| it.amounts.retain(|it| it.pool() == pool));
        }
        let table = || if is_terminal() { curves(&samples) } else { rows(&samples) };
        self.output.list(&samples, table)
    }

    pub(super) async fn measure(&self, environment: Option<String>) -> Result<()> {
        let environment = match environment {
            Some(name) => self.system.environment_named(&name).await?.name().to_owned(),
            None => String::new(),
        };
        let request = pb::MeasureUsageRequest { environment };
        let answer = self.system.capacity().measure_usage(request).await.map_err(explain)?;
        let samples = answer.into_inner().usage_samples;
        self.output.list(&samples, || rows(&samples))
    }
}

/// What belongs to no table is PostgreSQL's own.
fn table_name(it: &pb::TableUsage) -> String {
    match (it.schema.as_str(), it.table.as_str()) {
        ("pg_catalog", "*") => "(PostgreSQL's own)".to_owned(),
        (schema, table) => format!("{schema}.{table}"),
    }
}

/// Nothing else is refused here.
fn not_measured(error: anyhow::Error, environment: &str) -> anyhow::Error {
    match error.downcast_ref::<Failure>() {
        Some(it) if it.exit == Exit::Refused => {
            let name = plain(environment);
            let message =
                format!("{}; do it now with: tombolo capacity measure {name}", it.message);
            Failure::of(Exit::Refused, message)
        }
        _ => error,
    }
}

fn rows(samples: &[pb::UsageSample]) -> Table {
    Table::new(&["AT", "ENVIRONMENT", "USED"]).rows(samples.iter().map(|it| {
        let environment = match it.environment.as_str() {
            "" => "tenant",
            name => plain(name),
        };
        vec![when(it.measure_time.as_ref()), environment.to_owned(), amounts(&it.amounts)]
    }))
}

/// A line for each pool.
fn curves(samples: &[pb::UsageSample]) -> Table {
    let mut pools: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for it in samples.iter().flat_map(|it| &it.amounts) {
        pools.entry(it.pool).or_default().push(it.size_bytes);
    }
    let head = ["POOL", "LEAST", "MOST", "NOW", ""];
    Table::new(&head).numbers(&[1, 2, 3]).rows(pools.into_iter().map(|(pool, values)| {
        let of = |it: Option<&i64>| it.map(|it| size(*it)).unwrap_or_default();
        vec![
            pb::Pool::try_from(pool).map_or_else(|_| pool.to_string(), pb::Pool::word),
            of(values.iter().min()),
            of(values.iter().max()),
            of(values.last()),
            plot::line(&values, PLOT_WIDTH),
        ]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: i64 = 1 << 30;

    fn samples() -> Vec<pb::UsageSample> {
        let sample = |seconds, used: i64| pb::UsageSample {
            environment: String::new(),
            amounts: vec![pb::PoolAmount {
                pool: pb::Pool::Database.into(),
                size_bytes: used * GB,
            }],
            measure_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        };
        vec![sample(1_800_000_000, 1), sample(1_800_000_060, 8)]
    }

    #[test]
    fn what_was_not_measured_says_how_to() {
        let of = |exit| {
            let error = not_measured(Failure::of(exit, "no"), "platformEnvironments/1");
            error.to_string()
        };
        assert_eq!(of(Exit::NoAnswer), "no");
        assert_eq!(of(Exit::Refused), "no; do it now with: tombolo capacity measure 1");
    }

    #[test]
    fn what_no_table_holds_is_postgresqls_own() {
        let name = |schema: &str, table: &str| {
            let (schema, table) = (schema.into(), table.into());
            table_name(&pb::TableUsage { schema, table, ..Default::default() })
        };
        assert_eq!(name("organization", "account"), "organization.account");
        assert_eq!(name("organization", "*"), "organization.*");
        assert_eq!(name("pg_catalog", "*"), "(PostgreSQL's own)");
    }

    #[test]
    fn history_is_a_curve_for_people() {
        let expected = "\
POOL      LEAST  MOST   NOW
database   1 GB  8 GB  8 GB  ▁█
";
        assert_eq!(curves(&samples()).to_string(), expected);
    }

    #[test]
    fn and_rows_for_pipes() {
        let expected = "\
AT                       ENVIRONMENT  USED
2027-01-15 08:00:00 UTC  tenant       database 1 GB
2027-01-15 08:01:00 UTC  tenant       database 8 GB
";
        assert_eq!(rows(&samples()).to_string(), expected);
    }
}
