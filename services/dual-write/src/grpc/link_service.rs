//! The link.

use std::sync::Arc;

use prost::Message as _;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::link_service_server::LinkService;
use tonic::{Request, Response, Status};

use crate::access::Actor;
use crate::core::Core;
use crate::error::Error;
use crate::grpc::Asked;
use crate::health;
use crate::maps::actions::{links, states};
use crate::names::LINK;
use crate::store;

/// Serves `LinkService`.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    core: Arc<Core>,
}

// === impl Links ===

impl Links {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[tonic::async_trait]
impl LinkService for Links {
    async fn get_link(
        &self,
        request: Request<pb::GetLinkRequest>,
    ) -> Result<Response<pb::GetLinkResponse>, Status> {
        Actor::reading_maps(&request)?;
        let mut connection = self.core.store.pool().acquire().await.map_err(Error::from)?;
        let link = Some(store::links::get(&mut connection).await?);
        Ok(Response::new(pb::GetLinkResponse { link }))
    }

    async fn create_link(
        &self,
        request: Request<pb::CreateLinkRequest>,
    ) -> Result<Response<pb::CreateLinkResponse>, Status> {
        let actor = Actor::writing(&request, "CreateLink", LINK)?;
        let (core, request) = (&self.core, request.into_inner());
        asked(&actor, "CreateLink", &request.idempotency_key, &request)
            .once(core, async |mut write| {
                if let Some(known) = store::links::find(write.connection()).await? {
                    return Err(Error::AlreadyLinked {
                        environment: known.finance_and_operations_environment,
                        linked_to: known.platform_environment,
                    });
                }
                let given = request.link.clone().unwrap_or_default();
                let checked = links::check(core, &given, request.consent, &actor.name()).await?;
                let link = links::create(write.connection(), &checked, &actor.name()).await?;
                let warnings = links::warnings(&link);
                let answer = pb::CreateLinkResponse { link: Some(link), warnings };
                write.commit(&answer.encode_to_vec()).await?;
                core.maps.refresh(&core.store).await?;
                Ok(answer)
            })
            .await
    }

    async fn update_link(
        &self,
        request: Request<pb::UpdateLinkRequest>,
    ) -> Result<Response<pb::UpdateLinkResponse>, Status> {
        let actor = Actor::writing(&request, "UpdateLink", LINK)?;
        let (core, request) = (&self.core, request.into_inner());
        asked(&actor, "UpdateLink", &request.idempotency_key, &request)
            .once(core, async |mut write| {
                let given = request.link.clone().unwrap_or_default();
                let paths = request.update_mask.clone().unwrap_or_default().paths;
                let teams = links::check_update(core, &given, &paths).await?;
                let (connection, user) = (write.connection(), actor.name());
                let initial_syncs = links::update(core, connection, &given, &teams, &user).await?;
                let link = Some(store::links::get(write.connection()).await?);
                let answer = pb::UpdateLinkResponse { link, initial_syncs };
                write.commit(&answer.encode_to_vec()).await?;
                core.maps.refresh(&core.store).await?;
                let maps = core.maps.all();
                let names: Vec<_> = maps.iter().map(|it| it.name.clone()).collect();
                states::finish(core, &names).await?;
                Ok(answer)
            })
            .await
    }

    async fn reset_link(
        &self,
        request: Request<pb::ResetLinkRequest>,
    ) -> Result<Response<pb::ResetLinkResponse>, Status> {
        let actor = Actor::writing(&request, "ResetLink", LINK)?;
        let (core, request) = (&self.core, request.into_inner());
        asked(&actor, "ResetLink", &request.idempotency_key, &request)
            .once(core, async |mut write| {
                let user = actor.name();
                let checked = links::check_reset(core, &request, &user).await?;
                let link = links::reset(write.connection(), &checked, &request, &user).await?;
                let answer = pb::ResetLinkResponse { link: Some(link) };
                write.commit(&answer.encode_to_vec()).await?;
                core.maps.refresh(&core.store).await?;
                Ok(answer)
            })
            .await
    }

    async fn run_health_checks(
        &self,
        request: Request<pb::RunHealthChecksRequest>,
    ) -> Result<Response<pb::RunHealthChecksResponse>, Status> {
        let actor = Actor::reading(&request)?;
        let core = &self.core;
        let mut connection = core.store.pool().acquire().await.map_err(Error::from)?;
        let link = store::links::find(&mut connection).await?;
        let teams = store::links::teams(&mut connection).await?;
        drop(connection);
        core.maps.refresh(&core.store).await?;
        let health = match link {
            Some(link) => health::check(core, &link, &teams, &[]).await,
            None => links::look(core, &pb::Link::default(), &actor.name()).await?.1,
        };
        Ok(Response::new(pb::RunHealthChecksResponse { health_checks: health.checks }))
    }
}

fn asked<'a, Q>(
    actor: &'a Actor,
    operation: &'static str,
    key: &'a str,
    request: &'a Q,
) -> Asked<'a, Q> {
    Asked { actor, operation, resource: LINK, key, request }
}
