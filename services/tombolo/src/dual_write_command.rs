//! `tombolo dual-write`: maps of rows that are on both sides, what waits, what failed and why.

mod alerts;
mod errors;
mod link;
mod maps;
mod reconcile;
mod runs;
mod solutions;
mod values;

use anyhow::Result;

use crate::cli::{DualWriteArgs, DualWriteCommand, WriteArgs};
use crate::names::resource;
use crate::print::Output;
use crate::system::System;

struct DualWrite {
    system: System,
    output: Output,
    write: WriteArgs,
}

pub(crate) async fn run(args: DualWriteArgs) -> Result<()> {
    use DualWriteCommand as It;
    let system = System::connect(&args.output.server).await?;
    let it = DualWrite { system, output: args.output.output(), write: args.write };
    match args.command {
        It::Link(command) => it.link(command).await,
        It::Health => it.health().await,
        It::List => it.list().await,
        It::Show { map } => it.show(&map).await,
        It::Apply { solutions } => it.apply(solutions).await,
        It::Export { maps, solution, managed, out } => {
            it.export(&maps, solution, managed, &out).await
        }
        It::Import { file } => it.import(&file).await,
        It::Validate { map } => it.validate(&map).await,
        It::TestFilters { map, source_filter, reversed_source_filter } => {
            it.test_filters(&map, source_filter, reversed_source_filter).await
        }
        It::Activate { version } => it.activate(&version).await,
        It::Related { map, pause } => it.related(&map, pause).await,
        It::Start(args) => it.start(args).await,
        It::Pause(args) => it.pause(args).await,
        It::Resume(args) => it.resume(args).await,
        It::Stop(args) => it.stop(args).await,
        It::Run(command) => it.run(command).await,
        It::Queue { map } => it.queue(&map).await,
        It::Errors { map, filter } => it.errors(map.as_deref(), &filter).await,
        It::Retry { map, errors } => it.retry(&map, &errors).await,
        It::Dismiss { map, errors, agree } => it.dismiss(&map, &errors, agree).await,
        It::Explain(args) => it.explain(args).await,
        It::Activity { map } => it.activity(map.as_deref()).await,
        It::Alerts(command) => it.alerts(command).await,
        It::Reconcile(command) => it.reconcile(command).await,
    }
}

/// `maps/customers-v3-accounts`.
fn map_name(map: &str) -> String {
    resource("maps", map)
}

fn map_names(maps: &[String]) -> Vec<String> {
    maps.iter().map(|it| map_name(it)).collect()
}

/// The collection of one map, or of all.
fn parent(map: Option<&str>) -> String {
    map_name(map.unwrap_or("-"))
}

/// Whole names of a map's entries that are given by number, or by name.
fn entries(parent: &str, collection: &str, given: &[String]) -> Vec<String> {
    let whole = |it: &String| match it.contains('/') {
        true => it.clone(),
        false => format!("{parent}/{collection}/{it}"),
    };
    given.iter().map(whole).collect()
}
