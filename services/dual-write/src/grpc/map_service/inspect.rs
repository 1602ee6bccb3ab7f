//! What can be asked about maps.

use std::sync::Arc;

use proto::dual_write::v1 as pb;
use tonic::{Request, Response, Status};

use super::definitions::linked;
use crate::access::Actor;
use crate::core::Core;
use crate::error::Error;
use crate::maps::actions::{define, inspect, requirements, with_reports};
use crate::names;
use crate::page_token::Page;
use crate::store;

pub(super) async fn validate_map_version(
    core: &Arc<Core>,
    request: Request<pb::ValidateMapVersionRequest>,
) -> Result<Response<pb::ValidateMapVersionResponse>, Status> {
    Actor::reading_maps(&request)?;
    let request = request.into_inner();
    let map = stored(core, &request.parent).await?;
    let version = request.version.ok_or_else(|| Error::invalid("version", "is missing"))?;
    let schemas = core.maps.tables().get()?;
    let mut issues = define::findings(&map, &version, &schemas);
    let mut connection = core.store.pool().acquire().await.map_err(Error::from)?;
    issues.extend(requirements::findings(&mut connection, &map, &version).await?);
    Ok(Response::new(pb::ValidateMapVersionResponse { issues }))
}

pub(super) async fn test_filters(
    core: &Arc<Core>,
    request: Request<pb::TestFiltersRequest>,
) -> Result<Response<pb::TestFiltersResponse>, Status> {
    Actor::reading(&request)?;
    let request = request.into_inner();
    let map = stored(core, &request.parent).await?;
    let (source, reversed) = (&request.source_filter, &request.reversed_source_filter);
    let tests = Box::pin(inspect::test_filters(core, &map, source, reversed)).await?;
    Ok(Response::new(pb::TestFiltersResponse { tests }))
}

pub(super) async fn refresh_map_tables(
    core: &Arc<Core>,
    request: Request<pb::RefreshMapTablesRequest>,
) -> Result<Response<pb::RefreshMapTablesResponse>, Status> {
    Actor::reading_maps(&request)?;
    let map = stored(core, &request.get_ref().name).await?;
    let schemas = core.maps.tables().read_anew().await?;
    core.maps.refresh(&core.store).await?;
    let mut connection = core.store.pool().acquire().await.map_err(Error::from)?;
    let version = store::versions::get(&mut connection, &map.active_version).await?.version;
    let (integration_keys, issues) = inspect::refreshed(&map, &version, &schemas);
    Ok(Response::new(pb::RefreshMapTablesResponse { integration_keys, issues }))
}

pub(super) async fn list_related_maps(
    core: &Arc<Core>,
    request: Request<pb::ListRelatedMapsRequest>,
) -> Result<Response<pb::ListRelatedMapsResponse>, Status> {
    let actor = Actor::reading_maps(&request)?;
    let request = request.into_inner();
    stored(core, &request.parent).await?;
    let relation = pb::MapRelation::try_from(request.relation)
        .map_err(|_| Error::invalid("relation", "is none"))?;
    let list = format!("{}/related/{}", request.parent, relation.as_str_name());
    let page = Page::<String>::read(&list, request.page_size, &request.page_token)?;
    core.maps.refresh(&core.store).await?;
    let related = inspect::related(core, &request.parent, relation)?;
    let (names, next_page_token) = page.of_all(related, Clone::clone);
    let mut connection = core.store.pool().acquire().await.map_err(Error::from)?;
    let mut maps = Vec::with_capacity(names.len());
    for name in &names {
        maps.push(store::maps::get(&mut connection, name).await?.map);
    }
    let maps = with_reports(&mut connection, maps).await?;
    let maps = maps.into_iter().map(|it| actor.shown(it)).collect();
    Ok(Response::new(pb::ListRelatedMapsResponse { maps, next_page_token }))
}

async fn stored(core: &Core, name: &str) -> Result<pb::TableMap, Error> {
    names::check_map(name)?;
    let mut connection = linked(core).await?;
    Ok(store::maps::get(&mut connection, name).await?.map)
}
