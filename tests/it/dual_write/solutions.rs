//! Maps travel as solutions.

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1 as pb;
use tests::dual_write::maps::timed;

use super::world::{Case, World};

pub(super) const CASES: &[Case] = tests::cases![World:
    a_map_comes_back_from_the_solution_it_was_exported_to,
];

const MAP: &str = "maps/vendors-v2-msdyn-vendors";

async fn version(world: &World) -> Result<pb::MapVersion> {
    let name = world.maps.get(MAP).await?.active_version;
    let request = pb::GetMapVersionRequest { name };
    let answer = world.maps.service().get_map_version(timed(request)).await?.into_inner();
    answer.version.context("no version")
}

async fn a_map_comes_back_from_the_solution_it_was_exported_to(world: &World) -> Result<()> {
    let folder = tests::temporary_directory()?;
    let file = folder.path().join("vendors.zip").display().to_string();
    let before = version(world).await?;
    let id = "vendors-v2-msdyn-vendors";
    let exported = world.cli(&["export", id, "--solution", "Vendors", "--out", &file]).await?;
    ensure!(exported.status.success(), "{exported:?}");

    let request = pb::DeleteMapRequest { name: MAP.to_owned(), ..Default::default() };
    world.maps.service().delete_map(timed(request)).await?;
    let gone = world.cli(&["show", id]).await?;
    ensure!(gone.status.code() == Some(5), "{gone:?}");

    let imported = world.cli(&["import", &file]).await?;
    ensure!(imported.status.success() && imported.stdout.contains("Vendors"), "{imported:?}");
    ensure!(world.cli(&["show", id]).await?.status.code() == Some(5), "it is there already");
    let applied = world.cli(&["apply", "Vendors"]).await?;
    ensure!(applied.status.success() && applied.stdout.contains(id), "{applied:?}");
    let after = version(world).await?;
    ensure!(after.content_hash == before.content_hash, "{before:#?}\n{after:#?}");
    ensure!(after.field_maps == before.field_maps, "{before:#?}\n{after:#?}");

    let file = folder.path().join("none.zip");
    std::fs::write(&file, "no zip")?;
    let refused = world.cli(&["import", &file.display().to_string()]).await?;
    ensure!(refused.status.code() == Some(2), "{refused:?}");
    Ok(())
}
