//! What a page costs the ERP: as much at the end of a table as at its beginning.

use anyhow::{Context as _, Result, ensure};
use tests::tables::CUSTOMERS;

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    page_1000_costs_what_page_1_costs,
];

/// How many times the first page's blocks another page may touch: equal keys, and an index that is a
/// level deeper here than there. Passing over rows would touch some blocks for each of them.
const FACTOR: i64 = 2;

async fn page_1000_costs_what_page_1_costs(world: &World) -> Result<()> {
    world.erp.execute("VACUUM (ANALYZE)").await?;
    for order in ["", "&$orderby=mserp_customeraccount"] {
        let mut path = format!("{}?$select=mserp_customeraccount{order}", CUSTOMERS.set);
        let mut costs = Vec::new();
        for page in 1..=1000 {
            let measured = matches!(page, 1 | 2 | 500 | 1000);
            if measured {
                world.erp.forget_statements().await?;
            }
            let answer = world.admin.get_prefer(&path, "odata.maxpagesize=1").await?.ok()?;
            path = answer["@odata.nextLink"].as_str().context("no next link")?.to_owned();
            if measured {
                costs.push((page, world.erp.blocks().await?));
            }
        }
        let (_, first) = costs[0];
        for (page, cost) in &costs {
            ensure!(*cost <= first * FACTOR, "order `{order}`, page {page}: {costs:?} blocks");
        }
    }
    Ok(())
}
