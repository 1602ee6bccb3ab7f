//! `SetupService`.

use std::sync::Arc;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::get_link_request::Key;
use proto::lifecycle::v1::setup_service_server::SetupService;
use rpc::CallContext;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::settings;
use crate::Deps;
use crate::caller::Actor;
use crate::error::Error;
use crate::idempotency::{self, Known};
use crate::page_token;
use crate::resource::{self, FINANCE_AND_OPERATIONS, LINKS, PLATFORM};
use crate::setup::start::{self, Pair};
use crate::setup::{dual_write, template};
use crate::store::finance_and_operations;
use crate::store::link::{self, Link};

/// In the metadata of a call: GUID of the organization that it is about.
const ORGANIZATION: &str = "x-tombolo-organization";

/// The service.
pub(crate) struct Setup {
    deps: Arc<Deps>,
}

impl Setup {
    pub(crate) fn new(deps: Arc<Deps>) -> Self {
        Self { deps }
    }

    async fn list_templates(
        &self,
        request: &pb::ListTemplatesRequest,
    ) -> Result<pb::ListTemplatesResponse, Error> {
        let size = page_token::size(request.page_size)?;
        let after = page_token::read(&request.page_token)?;
        let bought = template::bought(&self.deps.clients.capacity).await?;
        let mut licensed: Vec<_> =
            template::all().iter().filter(|it| it.is_licensed(&bought)).collect();
        licensed.sort_by_key(|it| &it.id);
        let rest = licensed.into_iter().filter(|it| it.id > after).take(size + 1).collect();
        let (page, next_page_token) =
            page_token::cut(rest, size, |it: &&template::Template| it.id.clone());
        let templates = page.into_iter().map(template::Template::to_message).collect();
        Ok(pb::ListTemplatesResponse { templates, next_page_token })
    }

    async fn get_template(&self, name: &str) -> Result<pb::Template, Error> {
        let found = template::named(name)?;
        match found.is_licensed(&template::bought(&self.deps.clients.capacity).await?) {
            true => Ok(found.to_message()),
            false => Err(Error::NotFound(name.to_owned())),
        }
    }

    async fn check(
        &self,
        actor: &Actor,
        request: &pb::CheckPrerequisitesRequest,
    ) -> Result<pb::CheckPrerequisitesResponse, Error> {
        let mut connection = self.deps.store.pool().acquire().await?;
        let (erp, platform) =
            (&request.finance_and_operations_environment, &request.platform_environment);
        let pair = Pair::find(&mut connection, actor, erp, platform).await?;
        drop(connection);
        let (checks, warnings) = pair.check(&self.deps, &actor.name()).await?;
        Ok(pb::CheckPrerequisitesResponse { checks: checks.to_vec(), warnings })
    }

    async fn start(
        &self,
        actor: &Actor,
        request: &pb::StartSetupRequest,
    ) -> Result<pb::StartSetupResponse, Error> {
        const METHOD: &str = "StartSetup";
        let (store, caller, key) = (&self.deps.store, &actor.caller, &request.idempotency_key);
        // What was answered is not judged anew.
        let mut connection = store.pool().acquire().await?;
        let known = idempotency::recall(&mut connection, caller, key, METHOD, request).await?;
        if let Some(answer) = known {
            return Ok(answer);
        }
        // Who holds one and waits for another stops everybody, once there are as many as connections.
        drop(connection);
        let decided = start::decide(&self.deps, actor, request).await?;
        let mut transaction = store.begin().await?;
        let key = match idempotency::begin(&mut transaction, caller, key, METHOD, request).await? {
            Known::Answered(answer) => return Ok(answer),
            Known::Fresh(key) => key,
        };
        let operation = Some(start::begin(&mut transaction, &self.deps, &decided).await?);
        let answer = pb::StartSetupResponse { operation };
        key.finish(&mut transaction, &answer).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    async fn configure_dual_write(
        &self,
        actor: &Actor,
        request: &pb::ConfigureDualWriteRequest,
    ) -> Result<pb::ConfigureDualWriteResponse, Error> {
        let mut transaction = self.deps.store.begin().await?;
        let (caller, key) = (&actor.caller, &request.idempotency_key);
        let method = "ConfigureDualWrite";
        let key = match idempotency::begin(&mut transaction, caller, key, method, request).await? {
            Known::Answered(answer) => return Ok(answer),
            Known::Fresh(key) => key,
        };
        let id = resource::id(LINKS, &request.name).unwrap_or_default();
        // A link is called as the environment of the ERP.
        let erp = resource::name(FINANCE_AND_OPERATIONS, id);
        match start::find_erp(&mut transaction, actor, &erp).await {
            Err(Error::NotFound(_)) => return Err(Error::NotFound(request.name.clone())),
            found => found?,
        };
        if !request.agreed {
            let message =
                "The terms have to be agreed to before dual-write is configured.".to_owned();
            return Err(Error::Confirmation { field: "agreed", message });
        }
        let begun = dual_write::begin(&mut transaction, &self.deps, id, actor.name()).await?;
        let answer = pb::ConfigureDualWriteResponse { operation: Some(begun) };
        key.finish(&mut transaction, &answer).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    async fn list_links(
        &self,
        actor: &Actor,
        request: &pb::ListLinksRequest,
    ) -> Result<pb::ListLinksResponse, Error> {
        let size = page_token::size(request.page_size)?;
        let after = page_token::read(&request.page_token)?;
        let own = (!actor.reads_all()).then(|| actor.name());
        let connection = &mut *self.deps.store.pool().acquire().await?;
        let found = link::list(connection, &after, own.as_deref(), size + 1).await?;
        let (page, next_page_token) = page_token::cut(found, size, |it| it.id.clone());
        let links = page.iter().map(Link::to_message).collect();
        Ok(pb::ListLinksResponse { links, next_page_token })
    }

    async fn get_link(&self, actor: &Actor, key: Option<Key>) -> Result<pb::Link, Error> {
        let connection = &mut *self.deps.store.pool().acquire().await?;
        let name = match &key {
            Some(Key::Name(name) | Key::Environment(name)) => name.clone(),
            None => return Err(missing("key")),
        };
        let found = match &key {
            Some(Key::Name(name)) => link::find(connection, resource::id(LINKS, name)?).await?,
            Some(Key::Environment(name)) if name.starts_with(PLATFORM) => {
                link::of_environment(connection, resource::guid(PLATFORM, name)?).await?
            }
            Some(Key::Environment(name)) => {
                link::find(connection, resource::id(FINANCE_AND_OPERATIONS, name)?).await?
            }
            None => None,
        };
        let erp = match &found {
            Some(link) => {
                let id = link.finance_and_operations_environment;
                finance_and_operations::find(&mut *connection, id).await?
            }
            None => None,
        };
        // Who may not read it is not told whether there is one.
        actor.may_set_up(erp.as_ref().map_or("", |it| &it.administrator))?;
        found.map(|it| it.to_message()).ok_or(Error::LinkNotFound(name))
    }

    async fn details(
        &self,
        organization: Uuid,
    ) -> Result<pb::RetrieveFinanceAndOperationsIntegrationDetailsResponse, Error> {
        let sql = "SELECT f.environment_id FROM platform_environment p
                   JOIN link l ON l.platform_environment = p.id
                   JOIN finance_and_operations_environment f
                     ON f.environment_id = l.finance_and_operations_environment
                   WHERE p.organization_id = $1 AND p.delete_time IS NULL";
        let connection = &mut *self.deps.store.pool().acquire().await?;
        let query = sqlx::query_scalar(sql).bind(organization);
        let erp = match query.fetch_optional(&mut *connection).await? {
            Some(id) => finance_and_operations::find(&mut *connection, id).await?,
            None => None,
        };
        let erp = erp.ok_or_else(|| Error::NotLinked { environment: organization.to_string() })?;
        Ok(pb::RetrieveFinanceAndOperationsIntegrationDetailsResponse {
            url: erp.url,
            tenant_id: erp.tenant_id.to_string(),
            id: erp.environment_id.to_string(),
        })
    }
}

fn missing(field: &str) -> Error {
    Error::InvalidValue { field: field.to_owned(), message: "it is required".to_owned() }
}

/// The organization that a call is about.
fn organization<T>(request: &Request<T>) -> Result<Uuid, Error> {
    let value = request.metadata().get(ORGANIZATION).and_then(|it| it.to_str().ok());
    value.and_then(|it| it.parse().ok()).ok_or_else(|| Error::InvalidValue {
        field: ORGANIZATION.to_owned(),
        message: "the call's metadata has to name the organization, a GUID".to_owned(),
    })
}

#[tonic::async_trait]
impl SetupService for Setup {
    async fn list_templates(
        &self,
        request: Request<pb::ListTemplatesRequest>,
    ) -> Result<Response<pb::ListTemplatesResponse>, Status> {
        Actor::of(&request)?;
        Ok(Response::new(Self::list_templates(self, request.get_ref()).await?))
    }

    async fn get_template(
        &self,
        request: Request<pb::GetTemplateRequest>,
    ) -> Result<Response<pb::GetTemplateResponse>, Status> {
        Actor::of(&request)?;
        let template = Some(Self::get_template(self, &request.get_ref().name).await?);
        Ok(Response::new(pb::GetTemplateResponse { template }))
    }

    async fn check_prerequisites(
        &self,
        request: Request<pb::CheckPrerequisitesRequest>,
    ) -> Result<Response<pb::CheckPrerequisitesResponse>, Status> {
        let actor = Actor::of(&request)?;
        Ok(Response::new(self.check(&actor, request.get_ref()).await?))
    }

    async fn start_setup(
        &self,
        request: Request<pb::StartSetupRequest>,
    ) -> Result<Response<pb::StartSetupResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let started = self.start(&actor, &request).await;
        actor.audit("StartSetup", &request.finance_and_operations_environment, &started);
        Ok(Response::new(started?))
    }

    async fn configure_dual_write(
        &self,
        request: Request<pb::ConfigureDualWriteRequest>,
    ) -> Result<Response<pb::ConfigureDualWriteResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let begun = Self::configure_dual_write(self, &actor, &request).await;
        actor.audit("ConfigureDualWrite", &request.name, &begun);
        Ok(Response::new(begun?))
    }

    async fn list_links(
        &self,
        request: Request<pb::ListLinksRequest>,
    ) -> Result<Response<pb::ListLinksResponse>, Status> {
        let actor = Actor::of(&request)?;
        Ok(Response::new(Self::list_links(self, &actor, request.get_ref()).await?))
    }

    async fn get_link(
        &self,
        request: Request<pb::GetLinkRequest>,
    ) -> Result<Response<pb::GetLinkResponse>, Status> {
        let actor = Actor::of(&request)?;
        let link = Some(Self::get_link(self, &actor, request.into_inner().key).await?);
        Ok(Response::new(pb::GetLinkResponse { link }))
    }

    async fn retrieve_finance_and_operations_integration_details(
        &self,
        request: Request<pb::RetrieveFinanceAndOperationsIntegrationDetailsRequest>,
    ) -> Result<Response<pb::RetrieveFinanceAndOperationsIntegrationDetailsResponse>, Status> {
        // Whoever may call the Web API of an environment may know what it is linked with.
        CallContext::of(&request)?;
        Ok(Response::new(self.details(organization(&request)?).await?))
    }

    async fn get_tenant_settings(
        &self,
        request: Request<pb::GetTenantSettingsRequest>,
    ) -> Result<Response<pb::GetTenantSettingsResponse>, Status> {
        let actor = Actor::of(&request)?;
        let tenant_settings = Some(settings::get(&self.deps, &actor).await?);
        Ok(Response::new(pb::GetTenantSettingsResponse { tenant_settings }))
    }

    async fn update_tenant_settings(
        &self,
        request: Request<pb::UpdateTenantSettingsRequest>,
    ) -> Result<Response<pb::UpdateTenantSettingsResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let updated = settings::update(&self.deps, &actor, &request).await;
        actor.audit("UpdateTenantSettings", "tenantSettings", &updated);
        Ok(Response::new(updated?))
    }
}
