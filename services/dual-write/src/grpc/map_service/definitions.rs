//! Maps, their settings and their versions.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use prost::Message as _;
use proto::dual_write::v1::{self as pb, MapState};
use tonic::{Request, Response, Status};

use crate::access::Actor;
use crate::core::Core;
use crate::error::Error;
use crate::grpc::Asked;
use crate::maps::actions::{define, settings, shown_one, states, with_reports};
use crate::names;
use crate::page_token::Page;
use crate::store;
use crate::store::maps::Selection;

pub(super) async fn list_maps(
    core: &Arc<Core>,
    request: Request<pb::ListMapsRequest>,
) -> Result<Response<pb::ListMapsResponse>, Status> {
    let actor = Actor::reading_maps(&request)?;
    let request = request.into_inner();
    let states = request.states.iter().map(|it| {
        let state = MapState::try_from(*it).ok().filter(|it| *it != MapState::Unspecified);
        state.ok_or_else(|| Error::invalid("states", "holds what is no state"))
    });
    let states: Vec<_> = states.collect::<Result<_, _>>()?;
    let page = Page::<String>::read("maps", request.page_size, &request.page_token)?;
    let selection =
        Selection { states, table: request.table, after: page.after.clone(), limit: page.limit() };
    let mut connection = linked(core).await?;
    let found = store::maps::list(&mut connection, &selection).await?;
    let (found, next_page_token) = page.cut(found, |it| it.map.name.clone());
    let maps = found.into_iter().map(|it| it.map).collect();
    let maps = with_reports(&mut connection, maps).await?;
    let maps = maps.into_iter().map(|it| actor.shown(it)).collect();
    Ok(Response::new(pb::ListMapsResponse { maps, next_page_token }))
}

pub(super) async fn get_map(
    core: &Arc<Core>,
    request: Request<pb::GetMapRequest>,
) -> Result<Response<pb::GetMapResponse>, Status> {
    let actor = Actor::reading_maps(&request)?;
    let mut connection = linked(core).await?;
    let map = shown_one(&mut connection, &request.get_ref().name).await?;
    Ok(Response::new(pb::GetMapResponse { map: Some(actor.shown(map)) }))
}

pub(super) async fn create_map(
    core: &Arc<Core>,
    request: Request<pb::CreateMapRequest>,
) -> Result<Response<pb::CreateMapResponse>, Status> {
    let resource = format!("maps/{}", request.get_ref().map_id);
    let actor = Actor::defining(&request, "CreateMap", &resource)?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "CreateMap",
        resource: &resource,
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let schemas = core.maps.tables().get()?;
            let (connection, user) = (write.connection(), actor.name());
            let (name, warnings) =
                define::create_map(connection, &schemas, request.clone(), &user).await?;
            let map = Some(actor.shown(shown_one(write.connection(), &name).await?));
            let answer = pb::CreateMapResponse { map, warnings };
            write.commit(&answer.encode_to_vec()).await?;
            core.maps.refresh(&core.store).await?;
            Ok(answer)
        })
        .await
}

pub(super) async fn update_map(
    core: &Arc<Core>,
    request: Request<pb::UpdateMapRequest>,
) -> Result<Response<pb::UpdateMapResponse>, Status> {
    let map = request.get_ref().map.clone().unwrap_or_default();
    let actor = Actor::defining(&request, "UpdateMap", &map.name)?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "UpdateMap",
        resource: &map.name,
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let paths = request.update_mask.clone().unwrap_or_default().paths;
            // What changes a map that runs changes what happens to rows.
            let only_stopped = !actor.is_administrator();
            let (connection, user) = (write.connection(), actor.name());
            settings::update(connection, &map, &paths, only_stopped, &user).await?;
            let shown = shown_one(write.connection(), &map.name).await?;
            let answer = pb::UpdateMapResponse { map: Some(actor.shown(shown)) };
            write.commit(&answer.encode_to_vec()).await?;
            states::finish(core, std::slice::from_ref(&map.name)).await?;
            Ok(answer)
        })
        .await
}

pub(super) async fn delete_map(
    core: &Arc<Core>,
    request: Request<pb::DeleteMapRequest>,
) -> Result<Response<pb::DeleteMapResponse>, Status> {
    let actor = Actor::writing(&request, "DeleteMap", &request.get_ref().name)?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "DeleteMap",
        resource: &request.name,
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let (name, etag) = (&request.name, &request.etag);
            define::delete(write.connection(), name, etag, &actor.name()).await?;
            let answer = pb::DeleteMapResponse {};
            write.commit(&answer.encode_to_vec()).await?;
            core.maps.refresh(&core.store).await?;
            Ok(answer)
        })
        .await
}

pub(super) async fn list_map_versions(
    core: &Arc<Core>,
    request: Request<pb::ListMapVersionsRequest>,
) -> Result<Response<pb::ListMapVersionsResponse>, Status> {
    Actor::reading_maps(&request)?;
    let request = request.into_inner();
    names::check_map(&request.parent)?;
    let page = Page::<(DateTime<Utc>, String)>::read(
        &format!("{}/versions", request.parent),
        request.page_size,
        &request.page_token,
    )?;
    let mut connection = linked(core).await?;
    store::maps::get(&mut connection, &request.parent).await?;
    let (after, limit) = (page.after.as_ref(), page.limit());
    let found = store::versions::list(&mut connection, &request.parent, after, limit).await?;
    let (found, next_page_token) = page.cut(found, |it| (it.create_time, it.version.name.clone()));
    let versions = found.into_iter().map(|it| it.version).collect();
    Ok(Response::new(pb::ListMapVersionsResponse { versions, next_page_token }))
}

pub(super) async fn get_map_version(
    core: &Arc<Core>,
    request: Request<pb::GetMapVersionRequest>,
) -> Result<Response<pb::GetMapVersionResponse>, Status> {
    Actor::reading_maps(&request)?;
    let name = &request.get_ref().name;
    names::map_of_version(name)?;
    let version = store::versions::get(&mut *linked(core).await?, name).await?.version;
    Ok(Response::new(pb::GetMapVersionResponse { version: Some(version) }))
}

pub(super) async fn create_map_version(
    core: &Arc<Core>,
    request: Request<pb::CreateMapVersionRequest>,
) -> Result<Response<pb::CreateMapVersionResponse>, Status> {
    let actor = Actor::defining(&request, "CreateMapVersion", &request.get_ref().parent)?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "CreateMapVersion",
        resource: &request.parent,
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let schemas = core.maps.tables().get()?;
            let version = request.version.clone();
            let version = version.ok_or_else(|| Error::invalid("version", "is missing"))?;
            let (map, connection, user) = (&request.parent, write.connection(), actor.name());
            let (version, warnings) =
                define::save_version(connection, &schemas, map, version, &user).await?;
            let answer = pb::CreateMapVersionResponse { version: Some(version), warnings };
            write.commit(&answer.encode_to_vec()).await?;
            core.maps.refresh(&core.store).await?;
            Ok(answer)
        })
        .await
}

pub(super) async fn activate_map_version(
    core: &Arc<Core>,
    request: Request<pb::ActivateMapVersionRequest>,
) -> Result<Response<pb::ActivateMapVersionResponse>, Status> {
    let actor = Actor::defining(&request, "ActivateMapVersion", &request.get_ref().name)?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "ActivateMapVersion",
        resource: &request.name,
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let schemas = core.maps.tables().get()?;
            let (name, etag) = (&request.name, &request.etag);
            let chosen =
                define::activate(write.connection(), &schemas, name, etag, &actor.name()).await?;
            let map = Some(actor.shown(shown_one(write.connection(), &chosen).await?));
            let answer = pb::ActivateMapVersionResponse { map };
            write.commit(&answer.encode_to_vec()).await?;
            core.maps.refresh(&core.store).await?;
            Ok(answer)
        })
        .await
}

/// A connection, where there is a link.
pub(super) async fn linked(
    core: &Core,
) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, Error> {
    let mut connection = core.store.pool().acquire().await?;
    store::links::get(&mut connection).await?;
    Ok(connection)
}
