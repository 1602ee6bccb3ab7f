//! The service of add-ins.

use std::sync::Arc;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::add_in_service_server::AddInService;
use sqlx::postgres::PgConnection;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::Deps;
use crate::add_ins::{self, ADD_INS, AddIn, Target, Unmet};
use crate::caller::Actor;
use crate::engine::progress::timestamp;
use crate::error::Error;
use crate::idempotency::{self, Known};
use crate::page_token;
use crate::resource::{self, OPERATIONS, PLATFORM};
use crate::store::add_in::{self as store, Environment, Installation};
use crate::text;

/// Answers its calls.
#[derive(Clone)]
pub(crate) struct AddIns {
    deps: Arc<Deps>,
}

#[tonic::async_trait]
impl AddInService for AddIns {
    async fn list_add_ins(
        &self,
        request: Request<pb::ListAddInsRequest>,
    ) -> Result<Response<pb::ListAddInsResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let place = self.place(&actor, &request.platform_environment).await?;
        let size = page_token::size(request.page_size)?;
        let after = page_token::read(&request.page_token)?;
        let found: Vec<_> = self.deps.add_ins.after(&after).take(size + 1).collect();
        let (page, next_page_token) = page_token::cut(found, size, |it| it.file.name.clone());
        let mut add_ins = Vec::with_capacity(page.len());
        for add_in in page {
            add_ins.push(self.show(add_in, place.as_ref()).await?);
        }
        Ok(Response::new(pb::ListAddInsResponse { add_ins, next_page_token }))
    }

    async fn get_add_in(
        &self,
        request: Request<pb::GetAddInRequest>,
    ) -> Result<Response<pb::GetAddInResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let place = self.place(&actor, &request.platform_environment).await?;
        let add_in = add_ins::add_in_of(&self.deps, resource::id(ADD_INS, &request.name)?)?;
        let add_in = Some(self.show(add_in, place.as_ref()).await?);
        Ok(Response::new(pb::GetAddInResponse { add_in }))
    }

    async fn list_add_in_installations(
        &self,
        request: Request<pb::ListAddInInstallationsRequest>,
    ) -> Result<Response<pb::ListAddInInstallationsResponse>, Status> {
        let actor = Actor::of(&request)?;
        let answer = self.list_installations(&actor, request.into_inner()).await?;
        Ok(Response::new(answer))
    }

    async fn get_add_in_installation(
        &self,
        request: Request<pb::GetAddInInstallationRequest>,
    ) -> Result<Response<pb::GetAddInInstallationResponse>, Status> {
        let actor = Actor::of(&request)?;
        let name = request.into_inner().name;
        let (environment, add_in) = installation_id(&name)?;
        self.environment(&actor, environment).await?;
        let found = store::find(self.deps.store.pool(), environment, add_in).await;
        let found = found.map_err(Error::from)?.ok_or(Error::NotFound(name.clone()))?;
        let mut fresh = add_ins::refresh(&self.deps, vec![found]).await;
        let add_in_installation = fresh.pop().map(installation_message);
        Ok(Response::new(pb::GetAddInInstallationResponse { add_in_installation }))
    }

    async fn install_add_in(
        &self,
        request: Request<pb::InstallAddInRequest>,
    ) -> Result<Response<pb::InstallAddInResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let result = self.install(&actor, &request).await;
        actor.audit("InstallAddIn", &format!("{}/{}", request.parent, request.add_in), &result);
        Ok(Response::new(result?))
    }

    async fn cancel_add_in_installation(
        &self,
        request: Request<pb::CancelAddInInstallationRequest>,
    ) -> Result<Response<pb::CancelAddInInstallationResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let result = self.cancel(&actor, &request).await;
        actor.audit("CancelAddInInstallation", &request.name, &result);
        Ok(Response::new(result?))
    }

    async fn configure_add_in(
        &self,
        request: Request<pb::ConfigureAddInRequest>,
    ) -> Result<Response<pb::ConfigureAddInResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let result = self.configure(&actor, &request).await;
        actor.audit("ConfigureAddIn", &request.name, &result);
        Ok(Response::new(result?))
    }

    async fn uninstall_add_in(
        &self,
        request: Request<pb::UninstallAddInRequest>,
    ) -> Result<Response<pb::UninstallAddInResponse>, Status> {
        let actor = Actor::of(&request)?;
        let request = request.into_inner();
        let result = self.uninstall(&actor, &request).await;
        actor.audit("UninstallAddIn", &request.name, &result);
        Ok(Response::new(result?))
    }
}

/// An environment that add-ins are held against.
struct Place {
    environment: Environment,
    lacking: Option<Unmet>,
}

impl AddIns {
    pub(crate) fn new(deps: Arc<Deps>) -> Self {
        Self { deps }
    }

    /// Of a request that may name an environment.
    async fn place(&self, actor: &Actor, environment: &str) -> Result<Option<Place>, Error> {
        if environment.is_empty() {
            actor.may_read()?;
            return Ok(None);
        }
        let environment = self.environment(actor, resource::guid(PLATFORM, environment)?).await?;
        let lacking = add_ins::lacking_capacity(&self.deps).await?;
        Ok(Some(Place { environment, lacking }))
    }

    /// An environment that the caller may see the add-ins of.
    async fn environment(&self, actor: &Actor, id: Uuid) -> Result<Environment, Error> {
        let connection = &mut *self.deps.store.pool().acquire().await?;
        add_ins::environment_for(connection, actor, id).await
    }

    async fn show(&self, add_in: &AddIn, place: Option<&Place>) -> Result<pb::AddIn, Error> {
        let unmet = match place {
            Some(Place { environment, lacking }) => {
                add_ins::unmet(
                    self.deps.store.pool(),
                    &self.deps,
                    add_in,
                    environment,
                    lacking.clone(),
                )
                .await?
            }
            None => Vec::new(),
        };
        Ok(add_in_message(add_in, unmet))
    }

    async fn list_installations(
        &self,
        actor: &Actor,
        request: pb::ListAddInInstallationsRequest,
    ) -> Result<pb::ListAddInInstallationsResponse, Error> {
        let environment = match resource::id(PLATFORM, &request.parent)? {
            "-" => {
                actor.may_read()?;
                None
            }
            _ => Some(resource::guid(PLATFORM, &request.parent)?),
        };
        if let Some(id) = environment {
            self.environment(actor, id).await?;
        }
        let size = page_token::size(request.page_size)?;
        let after = page_token::read(&request.page_token)?;
        let after = match after.as_str() {
            "" => (Uuid::nil(), ""),
            name => installation_id(name).map_err(|_| Error::PageToken)?,
        };
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let found = store::list(self.deps.store.pool(), environment, after, limit).await?;
        let (page, next_page_token) = page_token::cut(found, size, name_of);
        let fresh = add_ins::refresh(&self.deps, page).await;
        let add_in_installations = fresh.into_iter().map(installation_message).collect();
        Ok(pb::ListAddInInstallationsResponse { add_in_installations, next_page_token })
    }

    async fn install(
        &self,
        actor: &Actor,
        request: &pb::InstallAddInRequest,
    ) -> Result<pb::InstallAddInResponse, Error> {
        let (method, key) = ("InstallAddIn", request.idempotency_key.as_str());
        let environment = resource::guid(PLATFORM, &request.parent)?;
        let add_in = resource::id(ADD_INS, &request.add_in)?;
        self.environment(actor, environment).await?;
        let file = &add_ins::add_in_of(&self.deps, add_in)?.file;
        if !request.agreed {
            let message = format!("the terms at {} have to be agreed to", file.terms_url);
            return Err(Error::Confirmation { field: "agreed", message });
        }
        if let Some(answer) = self.recall(actor, key, method, request).await? {
            return Ok(answer);
        }
        // Not within the transaction: another service may take its time.
        let lacking = add_ins::lacking_capacity(&self.deps).await?;
        let mut transaction = self.deps.store.begin().await?;
        let key = match idempotency::begin(&mut transaction, &actor.caller, key, method, request)
            .await?
        {
            Known::Answered(answer) => return Ok(answer),
            Known::Fresh(key) => key,
        };
        let target = Target { environment, add_in, etag: "" };
        let parameters = &request.parameters_json;
        let operation = add_ins::begin_install(
            &self.deps,
            &mut transaction,
            actor,
            target,
            parameters,
            lacking,
        )
        .await?;
        let answer = pb::InstallAddInResponse { operation: Some(operation) };
        key.finish(&mut transaction, &answer).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    async fn recall(
        &self,
        actor: &Actor,
        key: &str,
        method: &str,
        request: &pb::InstallAddInRequest,
    ) -> Result<Option<pb::InstallAddInResponse>, Error> {
        let connection: &mut PgConnection = &mut *self.deps.store.pool().acquire().await?;
        idempotency::recall(connection, &actor.caller, key, method, request).await
    }

    async fn cancel(
        &self,
        actor: &Actor,
        request: &pb::CancelAddInInstallationRequest,
    ) -> Result<pb::CancelAddInInstallationResponse, Error> {
        let (method, key) = ("CancelAddInInstallation", &request.idempotency_key);
        let target = target(&request.name, &request.etag)?;
        let mut transaction = self.deps.store.begin().await?;
        let key = match idempotency::begin(&mut transaction, &actor.caller, key, method, request)
            .await?
        {
            Known::Answered(answer) => return Ok(answer),
            Known::Fresh(key) => key,
        };
        let operation = add_ins::begin_cancel(&self.deps, &mut transaction, actor, target).await?;
        let answer = pb::CancelAddInInstallationResponse { operation: Some(operation) };
        key.finish(&mut transaction, &answer).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    async fn configure(
        &self,
        actor: &Actor,
        request: &pb::ConfigureAddInRequest,
    ) -> Result<pb::ConfigureAddInResponse, Error> {
        let (method, key) = ("ConfigureAddIn", &request.idempotency_key);
        let target = target(&request.name, &request.etag)?;
        let mut transaction = self.deps.store.begin().await?;
        let key = match idempotency::begin(&mut transaction, &actor.caller, key, method, request)
            .await?
        {
            Known::Answered(answer) => return Ok(answer),
            Known::Fresh(key) => key,
        };
        let parameters = &request.parameters_json;
        let operation =
            add_ins::begin_configure(&self.deps, &mut transaction, actor, target, parameters)
                .await?;
        let answer = pb::ConfigureAddInResponse { operation: Some(operation) };
        key.finish(&mut transaction, &answer).await?;
        transaction.commit().await?;
        Ok(answer)
    }

    async fn uninstall(
        &self,
        actor: &Actor,
        request: &pb::UninstallAddInRequest,
    ) -> Result<pb::UninstallAddInResponse, Error> {
        let (method, key) = ("UninstallAddIn", &request.idempotency_key);
        let target = target(&request.name, &request.etag)?;
        let mut transaction = self.deps.store.begin().await?;
        let key = match idempotency::begin(&mut transaction, &actor.caller, key, method, request)
            .await?
        {
            Known::Answered(answer) => return Ok(answer),
            Known::Fresh(key) => key,
        };
        let delete_data = request.delete_data;
        let operation =
            add_ins::begin_uninstall(&self.deps, &mut transaction, actor, target, delete_data)
                .await?;
        let answer = pb::UninstallAddInResponse { operation: Some(operation) };
        key.finish(&mut transaction, &answer).await?;
        transaction.commit().await?;
        Ok(answer)
    }
}

fn target<'r>(name: &'r str, etag: &'r str) -> Result<Target<'r>, Error> {
    let (environment, add_in) = installation_id(name)?;
    Ok(Target { environment, add_in, etag })
}

/// `platformEnvironments/…/addIns/…`.
fn installation_id(name: &str) -> Result<(Uuid, &str), Error> {
    let not_found = || Error::NotFound(name.to_owned());
    let (environment, add_in) = name.rsplit_once(&format!("/{ADD_INS}/")).ok_or_else(not_found)?;
    let environment = resource::guid(PLATFORM, environment).map_err(|_| not_found())?;
    if !text::is_id(add_in) {
        return Err(not_found());
    }
    Ok((environment, add_in))
}

fn name_of(installation: &Installation) -> String {
    add_ins::installation_name(installation.platform_environment, &installation.add_in)
}

fn add_in_message(add_in: &AddIn, unmet: Vec<Unmet>) -> pb::AddIn {
    let file = add_in.file.clone();
    pb::AddIn {
        name: resource::name(ADD_INS, &file.name),
        display_name: file.display_name,
        description: file.description,
        publisher: file.publisher,
        version: file.version,
        parameter_schema_json: file.parameter_schema,
        terms_url: file.terms_url,
        minimum_version: file.minimum_version,
        regions: file.regions,
        requires_dual_write: file.requires_dual_write,
        required_add_ins: file
            .required_add_ins
            .iter()
            .map(|it| resource::name(ADD_INS, it))
            .collect(),
        unmet_requirements: unmet.into_iter().map(|it| it.sentence).collect(),
    }
}

fn installation_message(installation: Installation) -> pb::AddInInstallation {
    pb::AddInInstallation {
        name: name_of(&installation),
        add_in: resource::name(ADD_INS, &installation.add_in),
        etag: installation.etag(),
        version: installation.version,
        state: installation.state.into(),
        parameters_json: installation.parameters,
        status_text: installation.status_text,
        operation: resource::name(OPERATIONS, installation.operation),
        install_time: installation.install_time.map(timestamp),
    }
}
