//! `$orderby` by every column of every type, both ways, against an order worked out here.

use std::cmp::Ordering;

use anyhow::{Context as _, Result, ensure};
use tests::random::Random;
use tests::tables::{self, Row, Table};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    ve_077_api_12_every_column_sorts_both_ways,
    pages_of_a_sorted_list_continue_it,
    several_keys_sort_one_after_the_other,
];

async fn ve_077_api_12_every_column_sorts_both_ways(world: &World) -> Result<()> {
    for table in tables::ALL {
        let rows = world.rows(&table).await?;
        for at in 0..table.columns.len() {
            for descending in [false, true] {
                check(world, &table, &rows, &[(at, descending)], None).await?;
            }
        }
    }
    Ok(())
}

/// Columns with many equal values and many nulls, so that pages end within them.
async fn pages_of_a_sorted_list_continue_it(world: &World) -> Result<()> {
    let table = tables::CUSTOMERS;
    let rows = world.rows(&table).await?;
    let columns = [
        "mserp_paymentterms",
        "mserp_creditrating",
        "mserp_creditreviewdate",
        "mserp_onholdstatus",
        "mserp_partytype",
        "mserp_creditlimit",
        "mserp_organizationname",
        "mserp_createddatetime",
        "mserp_externalid",
        "mserp_addresscity",
    ];
    for name in columns {
        for descending in [false, true] {
            let keys = [(table.index(name)?, descending)];
            for size in [97, 400] {
                check(world, &table, &rows, &keys, Some(size)).await?;
            }
        }
    }
    Ok(())
}

async fn several_keys_sort_one_after_the_other(world: &World) -> Result<()> {
    let mut random = Random::for_case("several_keys_sort_one_after_the_other");
    for table in tables::ALL {
        let rows = world.rows(&table).await?;
        for _ in 0..15 {
            let count = 2 + random.below(3);
            let mut keys: Vec<(usize, bool)> = Vec::new();
            for _ in 0..count {
                let at = random.below(table.columns.len());
                if !keys.iter().any(|(it, _)| *it == at) {
                    keys.push((at, random.one_in(2)));
                }
            }
            let size = 150 + random.below(800);
            check(world, &table, &rows, &keys, Some(size)).await?;
        }
    }
    Ok(())
}

async fn check(
    world: &World,
    table: &Table,
    rows: &[Row],
    keys: &[(usize, bool)],
    page: Option<usize>,
) -> Result<()> {
    let mut expected: Vec<&Row> = rows.iter().collect();
    expected.sort_by(|left, right| compare(left, right, keys));
    let order = keys.iter().map(|(at, descending)| {
        format!("{}{}", table.columns[*at].name, if *descending { " desc" } else { "" })
    });
    let order = order.collect::<Vec<_>>().join(",");
    let path = format!("{}?$select={}&$orderby={order}", table.set, table.id);
    let (answered, _) = world.admin.pages(&path, page.unwrap_or(5_000)).await?;
    let answered = answered.iter().map(|it| table.record_id_of(it)).collect::<Result<Vec<_>>>()?;
    let expected_ids: Vec<_> = expected.iter().map(|it| it.record_id).collect();
    if answered == expected_ids {
        return Ok(());
    }
    ensure!(
        answered.len() == expected.len(),
        "{path}: {} rows of {}",
        answered.len(),
        expected.len()
    );
    let at = answered.iter().zip(&expected_ids).position(|(left, right)| left != right);
    let at = at.context("they differ somewhere")?;
    let values = |record_id: i64| {
        let row = rows.iter().find(|it| it.record_id == record_id);
        row.map(|row| keys.iter().map(|(at, _)| row.cells[*at].clone()).collect::<Vec<_>>())
    };
    anyhow::bail!(
        "{path} (pages of {page:?}): row {at} is {} {:?}, not {} {:?}",
        answered[at],
        values(answered[at]),
        expected_ids[at],
        values(expected_ids[at])
    )
}

/// Rows that are equal in all keys are in the order of their record ids.
fn compare(left: &Row, right: &Row, keys: &[(usize, bool)]) -> Ordering {
    for (at, descending) in keys {
        let order = left.cells[*at].order(&right.cells[*at]);
        let order = if *descending { order.reverse() } else { order };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.record_id.cmp(&right.record_id)
}
