//! What is installed for which environment: kept in a file each, and each exported by a task of its own.

mod folders;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::Error;
use crate::files;
use crate::history::History;
use crate::parameters::Parameters;
use crate::secrets::Secrets;
use crate::web_api::{self, ApiError, Credentials, Patience, WebApi};
use crate::worker::{SharedHistory, Worker};
use crate::{Config, StartError};
pub(crate) use record::EnvironmentId;
use record::{Kept, Record, Records};

/// Checks are over before the lifecycle service gives up.
const CHECK_TIMEOUT: Duration = Duration::from_secs(50);

/// All of them.
#[derive(Debug)]
pub(crate) struct Installations {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    client: Client,
    records: Records,
    /// Held by who installs, configures or uninstalls.
    changing: tokio::sync::Mutex<()>,
    installed: Mutex<BTreeMap<EnvironmentId, Installed>>,
    stop: CancellationToken,
}

/// One that is there.
#[derive(Debug)]
struct Installed {
    record: Record,
    history: SharedHistory,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

// === impl Installations ===

impl Installations {
    /// Goes on with those that are written down, in tasks of the runtime that it is called in.
    pub(crate) fn open(config: Config) -> Result<Self, StartError> {
        let output = &config.output_root;
        let failed = |source| StartError::Folder { path: output.clone(), source };
        files::make_private(output).map_err(failed)?;
        let (records, kept) = Records::open(&config.data_dir)?;
        let stop = CancellationToken::new();
        let inner = Arc::new(Inner {
            config,
            client: web_api::client()?,
            records,
            changing: tokio::sync::Mutex::default(),
            installed: Mutex::default(),
            stop: stop.clone(),
        });
        for Kept { id, record, history } in kept {
            if let Err(error) = inner.run(id.clone(), record, history) {
                tracing::error!(environment = %id, %error, "what is installed cannot run");
            }
        }
        Ok(Self { inner, _stop: stop.drop_guard() })
    }

    /// Makes the export run with these parameters; it runs at once unless it did so before.
    pub(crate) async fn install(
        &self,
        id: EnvironmentId,
        web_api_url: String,
        parameters_json: &str,
    ) -> Result<String, Error> {
        let parameters = Parameters::parse(parameters_json)?;
        self.put(id, web_api_url, parameters).await
    }

    /// The same where it is installed.
    pub(crate) async fn configure(
        &self,
        id: EnvironmentId,
        parameters_json: &str,
    ) -> Result<String, Error> {
        let web_api_url = self.inner.of(&id, |it| it.record.web_api_url.clone())?;
        let parameters = Parameters::parse(parameters_json)?;
        self.put(id, web_api_url, parameters).await
    }

    /// Stops; then nothing of it is left, but the exported files unless they are to be deleted too.
    pub(crate) async fn uninstall(
        &self,
        id: EnvironmentId,
        delete_data: bool,
    ) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        detached(async move { inner.uninstall(&id, delete_data).await }).await
    }

    /// How it is doing.
    pub(crate) fn history(&self, id: &EnvironmentId) -> Result<History, Error> {
        self.inner.of(id, |it| it.history.get())
    }

    async fn put(
        &self,
        id: EnvironmentId,
        web_api_url: String,
        parameters: Parameters,
    ) -> Result<String, Error> {
        let checked = self.inner.check(&web_api_url, &parameters);
        tokio::time::timeout(CHECK_TIMEOUT, checked).await.map_err(|_| Error::TimedOut)??;
        let inner = Arc::clone(&self.inner);
        detached(async move { inner.put(id, web_api_url, parameters).await }).await
    }
}

/// Goes on to the end even if the call that wanted it is given up.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|error| Err(Error::Files(std::io::Error::other(error))))
}

// === impl Inner ===

impl Inner {
    fn installed(&self) -> MutexGuard<'_, BTreeMap<EnvironmentId, Installed>> {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of<T>(&self, id: &EnvironmentId, get: impl FnOnce(&Installed) -> T) -> Result<T, Error> {
        let none = || Error::NotInstalled(id.to_string());
        self.installed().get(id).map(get).ok_or_else(none)
    }

    /// Whether the application user gets a token and reads every table.
    async fn check(&self, web_api_url: &str, parameters: &Parameters) -> Result<(), Error> {
        let stop = self.stop.child_token();
        let api = self.web_api(web_api_url, parameters, Patience::None, stop);
        let api = api.map_err(Error::of_web_api)?;
        for table in &parameters.tables {
            let definition = api.definition(table).await.map_err(Error::of_web_api)?;
            let columns: Vec<&str> = definition.columns.iter().map(|it| it.name.as_str()).collect();
            api.probe(table, &columns).await.map_err(|error| match error {
                ApiError::Denied(text) => Error::Denied(format!("{table}: {text}")),
                other => Error::of_web_api(other),
            })?;
        }
        Ok(())
    }

    async fn put(
        &self,
        id: EnvironmentId,
        web_api_url: String,
        parameters: Parameters,
    ) -> Result<String, Error> {
        let _changing = self.changing.lock().await;
        let same = |it: &Installed| {
            it.record.web_api_url == web_api_url && it.record.parameters == parameters
        };
        let before = self.of(&id, |it| (it.record.clone(), same(it))).ok();
        if let Some((_, true)) = before {
            return self.of(&id, |it| it.history.get().text());
        }
        self.claim(&id, &parameters.folder).await?;
        let mut folders = before.map(|it| it.0.folders).unwrap_or_default();
        folders.insert(parameters.folder.clone());
        let record = Record { web_api_url, parameters, folders };
        // Nothing may write while what it writes to changes.
        self.stop(&id).await;
        let (records, name, kept) = (self.records.clone(), id.clone(), record.clone());
        files::blocking(move || records.put(&name, &kept)).await?;
        self.run(id.clone(), record, History::default())?;
        self.of(&id, |it| it.history.get().text())
    }

    async fn uninstall(&self, id: &EnvironmentId, delete_data: bool) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let Some(record) = self.stop(id).await else { return Ok(()) };
        let (root, records) = (self.config.output_root.clone(), self.records.clone());
        let (name, folders) = (id.clone(), record.folders.clone());
        let removed = files::blocking(move || {
            if delete_data {
                for folder in &folders {
                    files::remove_folder(&root.join(folder))?;
                }
            }
            records.remove(&name)
        });
        if let Err(error) = removed.await {
            // It is still written down, and a later call ends it.
            let history = History::default();
            self.run(id.clone(), record, history)?;
            return Err(error.into());
        }
        Ok(())
    }

    /// Ends the task, and says what it was about.
    async fn stop(&self, id: &EnvironmentId) -> Option<Record> {
        let installed = self.installed().remove(id)?;
        installed.stop.cancel();
        if let Err(error) = installed.task.await {
            tracing::error!(environment = %id, %error, "an export ended badly");
        }
        Some(installed.record)
    }

    /// Makes the folder this environment's, unless it is somebody else's.
    async fn claim(&self, id: &EnvironmentId, folder: &str) -> Result<(), Error> {
        let others: BTreeSet<String> = self
            .installed()
            .iter()
            .filter(|(other, _)| *other != id)
            .flat_map(|(_, it)| it.record.folders.clone())
            .collect();
        if others.iter().any(|it| folders::overlap(it, folder)) {
            return Err(Error::FolderTaken(folder.to_owned()));
        }
        let (root, folder) = (self.config.output_root.clone(), folder.to_owned());
        let id = id.clone();
        files::blocking(move || folders::claim(&root, &folder, &id)).await
    }

    /// Starts its task.
    fn run(&self, id: EnvironmentId, record: Record, history: History) -> Result<(), Error> {
        let stop = self.stop.child_token();
        let parameters = &record.parameters;
        let api = self.web_api(&record.web_api_url, parameters, Patience::Some, stop.clone());
        let history = SharedHistory::new(history, self.records.histories(), id.file_name());
        let worker = Worker {
            api: api.map_err(Error::of_web_api)?,
            environment: id.to_string(),
            tables: parameters.tables.clone(),
            schedule: parameters.schedule()?,
            folder: self.config.output_root.join(&parameters.folder),
            history: history.clone(),
            stop: stop.clone(),
        };
        let task = tokio::spawn(worker.run());
        self.installed().insert(id, Installed { record, history, stop, task });
        Ok(())
    }

    fn web_api(
        &self,
        url: &str,
        parameters: &Parameters,
        patience: Patience,
        stop: CancellationToken,
    ) -> Result<WebApi, ApiError> {
        let credentials = Credentials {
            client_id: parameters.client_id.clone(),
            secret_name: parameters.client_secret.clone(),
            secrets: Secrets::new(self.config.secrets_dir.clone()),
            token_url: parameters.token_url.clone(),
            token_hosts: self.config.token_hosts.clone(),
        };
        WebApi::new(self.client.clone(), url, credentials, patience, stop)
    }
}
