//! Maps from state to state.

use std::sync::Arc;

use prost::Message as _;
use proto::dual_write::v1::{self as pb, ResumeMode};
use tonic::{Request, Response, Status};

use crate::access::Actor;
use crate::core::Core;
use crate::error::Error;
use crate::grpc::Asked;
use crate::maps::actions::{shown, start, states};

/// What the audit calls several maps.
fn resource(names: &[String]) -> String {
    names.join(",")
}

pub(super) async fn start_maps(
    core: &Arc<Core>,
    request: Request<pb::StartMapsRequest>,
) -> Result<Response<pb::StartMapsResponse>, Status> {
    let names: Vec<_> = request.get_ref().starts.iter().map(|it| it.name.clone()).collect();
    let resource = resource(&names);
    let actor = Actor::writing(&request, "StartMaps", &resource)?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "StartMaps",
        resource: &resource,
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            start::prepare(core, &request.starts).await?;
            let order = start::Order { starts: &request.starts, actor: &actor.name() };
            let initial_syncs = start::start(core, write.connection(), order).await?;
            let maps = shown(write.connection(), &names).await?;
            let answer = pb::StartMapsResponse { maps, initial_syncs };
            write.commit(&answer.encode_to_vec()).await?;
            core.maps.refresh(&core.store).await?;
            Ok(answer)
        })
        .await
}

pub(super) async fn pause_maps(
    core: &Arc<Core>,
    request: Request<pb::PauseMapsRequest>,
) -> Result<Response<pb::PauseMapsResponse>, Status> {
    let resource = resource(&request.get_ref().names);
    let actor = Actor::writing(&request, "PauseMaps", &resource)?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "PauseMaps",
        resource: &resource,
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let names = &request.names;
            states::pause(write.connection(), names, &actor.name()).await?;
            let maps = shown(write.connection(), names).await?;
            let begun = pb::PauseMapsResponse { maps };
            let again = write.again();
            write.commit(&begun.encode_to_vec()).await?;
            states::finish(core, names).await?;
            let answer = pb::PauseMapsResponse { maps: now(core, names).await? };
            again.answer(&core.store, &answer.encode_to_vec()).await?;
            Ok(answer)
        })
        .await
}

pub(super) async fn resume_maps(
    core: &Arc<Core>,
    request: Request<pb::ResumeMapsRequest>,
) -> Result<Response<pb::ResumeMapsResponse>, Status> {
    let resource = resource(&request.get_ref().names);
    let actor = Actor::writing(&request, "ResumeMaps", &resource)?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "ResumeMaps",
        resource: &resource,
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let mode = ResumeMode::try_from(request.mode)
                .map_err(|_| Error::invalid("mode", "is none"))?;
            let (names, acknowledged) = (&request.names, request.acknowledged);
            let (connection, name) = (write.connection(), actor.name());
            states::resume(core, connection, names, mode, acknowledged, &name).await?;
            let maps = shown(write.connection(), names).await?;
            let answer = pb::ResumeMapsResponse { maps };
            write.commit(&answer.encode_to_vec()).await?;
            states::finish(core, names).await?;
            Ok(answer)
        })
        .await
}

pub(super) async fn stop_maps(
    core: &Arc<Core>,
    request: Request<pb::StopMapsRequest>,
) -> Result<Response<pb::StopMapsResponse>, Status> {
    let resource = resource(&request.get_ref().names);
    let actor = Actor::writing(&request, "StopMaps", &resource)?;
    let request = request.into_inner();
    let asked = Asked {
        actor: &actor,
        operation: "StopMaps",
        resource: &resource,
        key: &request.idempotency_key,
        request: &request,
    };
    asked
        .once(core, async |mut write| {
            let (names, force) = (&request.names, request.force);
            states::check_stop(core, names, force, request.acknowledged).await?;
            states::stop(write.connection(), names, force, &actor.name()).await?;
            let maps = shown(write.connection(), names).await?;
            let begun = pb::StopMapsResponse { maps };
            let again = write.again();
            write.commit(&begun.encode_to_vec()).await?;
            states::finish(core, names).await?;
            let answer = pb::StopMapsResponse { maps: now(core, names).await? };
            again.answer(&core.store, &answer.encode_to_vec()).await?;
            Ok(answer)
        })
        .await
}

async fn now(core: &Core, names: &[String]) -> Result<Vec<pb::TableMap>, Error> {
    shown(&mut *core.store.pool().acquire().await?, names).await
}
