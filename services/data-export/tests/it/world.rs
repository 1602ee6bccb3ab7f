//! The add-in, its folders, and a Web API.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_export::{Config, DataExport};
use proto::add_in::v1 as pb;
use proto::add_in::v1::add_in_runtime_service_client::AddInRuntimeServiceClient;
use rpc::{
    AssertionVerifier, Channel, ServiceIdentity, ServiceKeySet, SigningKey, TrustedServices,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Status;

use crate::fake::{CLIENT_ID, Fake, SECRET};
use crate::reader::Reader;

pub(crate) const ENVIRONMENT: &str = "platformEnvironments/contoso-1";
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct World {
    pub(crate) fake: Fake,
    pub(crate) dir: Arc<TempDir>,
    pub(crate) add_in: AddIn,
}

/// The running add-in; stops when dropped.
pub(crate) struct AddIn {
    client: AddInRuntimeServiceClient<Channel>,
}

pub(crate) fn config(dir: &Path) -> Config {
    std::fs::create_dir_all(dir.join("secrets")).unwrap();
    std::fs::write(dir.join("secrets/export"), SECRET).unwrap();
    Config::new(dir.join("data"), dir.join("output"), dir.join("secrets"))
}

/// Of an export every second.
pub(crate) fn parameters(tables: &[&str]) -> Value {
    json!({
        "tables": tables,
        "folder": "contoso",
        "schedule": "* * * * * *",
        "client_id": CLIENT_ID,
        "client_secret": "export",
    })
}

/// Waits until it is so.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("{what} does not come"))
}

impl World {
    pub(crate) async fn new() -> Self {
        let (fake, dir) = (Fake::start().await, Arc::new(TempDir::new().unwrap()));
        let add_in = AddIn::start(dir.path()).await;
        Self { fake, dir, add_in }
    }

    /// The same folders, a new process.
    pub(crate) async fn restart(&mut self) {
        self.add_in = AddIn::start(self.dir.path()).await;
    }

    pub(crate) async fn install(&self, parameters: &Value) -> Result<String, Status> {
        self.add_in.install(ENVIRONMENT, &self.fake.url, parameters).await
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join("output/contoso")
    }

    pub(crate) fn reader(&self, set: &str) -> Reader {
        Reader(self.folder().join(set))
    }

    /// Waits until the export amounts to what the table is.
    pub(crate) async fn caught_up(&self, set: &str) {
        let reader = self.reader(set);
        until("an export that is up to date", async || {
            let named = reader.manifest()?["table"] == set;
            (named && reader.versions() == self.fake.versions(set)).then_some(())
        })
        .await;
    }

    pub(crate) async fn status(&self) -> String {
        self.add_in.status(ENVIRONMENT).await.unwrap().status_text
    }

    /// Waits until the status says so.
    pub(crate) async fn says(&self, text: &str) -> String {
        let mut last = String::new();
        let waiting = async {
            loop {
                last = self.status().await;
                if last.contains(text) {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let said = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(said.is_ok(), "`{text}` is not said: {last}");
        last
    }
}

impl AddIn {
    pub(crate) async fn start(dir: &Path) -> Self {
        let add_in = DataExport::start(config(dir)).await.unwrap();
        let (key, _) = SigningKey::generate().unwrap();
        let mut keys = ServiceKeySet::default();
        keys.add("lifecycle", &key);
        let trusted = Arc::new(TrustedServices::of(&keys).unwrap());
        let verifier = Arc::new(AssertionVerifier::new("data-export"));
        let server = add_in.register(rpc::Server::new("data-export", trusted, verifier));
        let (routes, _) = server.build().unwrap();
        let lifecycle = ServiceIdentity::new("lifecycle", key);
        let channel = Channel::local(routes, "data-export", &lifecycle);
        Self { client: AddInRuntimeServiceClient::new(channel) }
    }

    pub(crate) async fn install(
        &self,
        environment: &str,
        web_api_url: &str,
        parameters: &Value,
    ) -> Result<String, Status> {
        let request = pb::InstallAddInRequest {
            environment: environment.to_owned(),
            web_api_url: web_api_url.to_owned(),
            parameters_json: parameters.to_string(),
        };
        let answer = self.client.clone().install_add_in(request).await;
        answer.map(|it| it.into_inner().status_text)
    }

    pub(crate) async fn configure(&self, parameters: &Value) -> Result<String, Status> {
        let request = pb::ConfigureAddInRequest {
            environment: ENVIRONMENT.to_owned(),
            parameters_json: parameters.to_string(),
        };
        let answer = self.client.clone().configure_add_in(request).await;
        answer.map(|it| it.into_inner().status_text)
    }

    pub(crate) async fn uninstall(&self, delete_data: bool) -> Result<(), Status> {
        let environment = ENVIRONMENT.to_owned();
        let request = pb::UninstallAddInRequest { environment, delete_data };
        self.client.clone().uninstall_add_in(request).await.map(drop)
    }

    pub(crate) async fn status(
        &self,
        environment: &str,
    ) -> Result<pb::GetAddInStatusResponse, Status> {
        let request = pb::GetAddInStatusRequest { environment: environment.to_owned() };
        Ok(self.client.clone().get_add_in_status(request).await?.into_inner())
    }
}
