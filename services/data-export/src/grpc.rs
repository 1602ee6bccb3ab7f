//! The wire: what the lifecycle service asks of an add-in.

use std::sync::Arc;

use proto::add_in::v1 as pb;
use proto::add_in::v1::add_in_runtime_service_server::AddInRuntimeService;
use rpc::audit::{Decision, Entry, record};
use tonic::{Request, Response, Status};

use crate::NAME;
use crate::error::Error;
use crate::installations::{EnvironmentId, Installations};

/// Serves `AddInRuntimeService`.
#[derive(Debug)]
pub(crate) struct Runtime {
    installations: Arc<Installations>,
}

impl Runtime {
    pub(crate) fn new(installations: Arc<Installations>) -> Self {
        Self { installations }
    }
}

#[tonic::async_trait]
impl AddInRuntimeService for Runtime {
    async fn install_add_in(
        &self,
        request: Request<pb::InstallAddInRequest>,
    ) -> Result<Response<pb::InstallAddInResponse>, Status> {
        let request = request.into_inner();
        let id = EnvironmentId::parse(&request.environment)?;
        let url = request.web_api_url;
        let done = self.installations.install(id, url, &request.parameters_json).await;
        let status_text = audited("InstallAddIn", &request.environment, done)?;
        Ok(Response::new(pb::InstallAddInResponse { status_text }))
    }

    async fn configure_add_in(
        &self,
        request: Request<pb::ConfigureAddInRequest>,
    ) -> Result<Response<pb::ConfigureAddInResponse>, Status> {
        let request = request.into_inner();
        let id = EnvironmentId::parse(&request.environment)?;
        let done = self.installations.configure(id, &request.parameters_json).await;
        let status_text = audited("ConfigureAddIn", &request.environment, done)?;
        Ok(Response::new(pb::ConfigureAddInResponse { status_text }))
    }

    async fn uninstall_add_in(
        &self,
        request: Request<pb::UninstallAddInRequest>,
    ) -> Result<Response<pb::UninstallAddInResponse>, Status> {
        let request = request.into_inner();
        let id = EnvironmentId::parse(&request.environment)?;
        let done = self.installations.uninstall(id, request.delete_data).await;
        audited("UninstallAddIn", &request.environment, done)?;
        Ok(Response::new(pb::UninstallAddInResponse {}))
    }

    async fn get_add_in_status(
        &self,
        request: Request<pb::GetAddInStatusRequest>,
    ) -> Result<Response<pb::GetAddInStatusResponse>, Status> {
        let id = EnvironmentId::parse(&request.get_ref().environment)?;
        let history = self.installations.history(&id)?;
        let last_run_time = history.last_run.map(|it| prost_types::Timestamp {
            seconds: it.timestamp(),
            nanos: i32::try_from(it.timestamp_subsec_nanos()).unwrap_or_default(),
        });
        let status_text = history.text();
        Ok(Response::new(pb::GetAddInStatusResponse { status_text, last_run_time }))
    }
}

/// Who wanted it is in the audit of the lifecycle service, which asks for nobody else.
fn audited<T>(operation: &str, environment: &str, done: Result<T, Error>) -> Result<T, Error> {
    let (decision, reason) = match &done {
        Ok(_) => (Decision::Allowed, ""),
        Err(error) => (error.decision(), error.reason()),
    };
    record(&Entry { caller: None, operation, entity: NAME, record: environment, decision, reason });
    done
}
