//! Solution files.

use std::sync::Arc;

use prost::Message as _;
use proto::dual_write::v1 as pb;
use tonic::{Request, Response, Status};

use super::definitions::linked;
use crate::access::Actor;
use crate::core::Core;
use crate::grpc::Asked;
use crate::maps::actions::{shown, solutions};

pub(super) async fn export_maps(
    core: &Arc<Core>,
    request: Request<pb::ExportMapsRequest>,
) -> Result<Response<pb::ExportMapsResponse>, Status> {
    Actor::reading_maps(&request)?;
    let mut connection = linked(core).await?;
    let solution = solutions::export(&mut connection, request.get_ref()).await?;
    Ok(Response::new(pb::ExportMapsResponse { solution: solution.into() }))
}

pub(super) async fn import_maps(
    core: &Arc<Core>,
    request: Request<pb::ImportMapsRequest>,
) -> Result<Response<pb::ImportMapsResponse>, Status> {
    let actor = Actor::defining(&request, "ImportMaps", "solutions")?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "ImportMaps",
        resource: "solutions",
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let (content, user) = (request.solution.to_vec(), actor.name());
            let solution = solutions::import(write.connection(), content, &user).await?;
            let versions = solution.maps.iter().map(|it| it.1.name.clone()).collect();
            let answer = pb::ImportMapsResponse { solution_name: solution.name, versions };
            write.commit(&answer.encode_to_vec()).await?;
            Ok(answer)
        })
        .await
}

pub(super) async fn apply_solutions(
    core: &Arc<Core>,
    request: Request<pb::ApplySolutionsRequest>,
) -> Result<Response<pb::ApplySolutionsResponse>, Status> {
    let actor = Actor::defining(&request, "ApplySolutions", "solutions")?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "ApplySolutions",
        resource: "solutions",
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let schemas = core.maps.tables().get()?;
            let (connection, wanted) = (write.connection(), &request.solution_names);
            let changed = solutions::apply(connection, &schemas, wanted, &actor.name()).await?;
            let maps = shown(write.connection(), &changed).await?;
            let maps = maps.into_iter().map(|it| actor.shown(it)).collect();
            let answer = pb::ApplySolutionsResponse { maps };
            write.commit(&answer.encode_to_vec()).await?;
            core.maps.refresh(&core.store).await?;
            Ok(answer)
        })
        .await
}
