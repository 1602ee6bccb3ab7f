//! Every change of the catalog: one at a time, in one transaction, then published as a whole.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use model::{Entity, Model};
use proto::catalog::v1::{CatalogEntry, CreateRelationshipRequest, Relationship};
use provider::{Binding, Grant, Pool, PoolOptions, Provider};
use rpc::{Caller, Privileges};
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::config::Config;
use crate::error::{DOMAIN, Error, StartError};
use crate::snapshot::{Snapshot, etag};
use crate::store::{Change, State, Store, WAIT_BUDGET};
use crate::{declared, list_entity, tracking};

/// The catalog's state, and the only way to change it.
#[derive(Debug)]
pub(crate) struct Changes {
    store: Store,
    model_dir: PathBuf,
    /// Held while a change is made, so that changes do not pass each other between the store and
    /// the channel.
    model: Mutex<Model>,
    published: watch::Sender<Arc<Snapshot>>,
    list: Provider,
    list_binding: Arc<Binding>,
}

/// What is to happen to a catalog row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) visible: Option<bool>,
    pub(crate) refresh: bool,
    pub(crate) tracked: Option<bool>,
    /// The version that the row must still have; empty for any.
    pub(crate) etag: String,
}

impl Changes {
    pub(crate) async fn start(config: &Config) -> Result<Self, StartError> {
        let model = load(&config.model_dir).await?;
        let store = Store::open(&config.database_url).await?;
        let state = follow(&store, &model, 0).await?;
        let snapshot = Snapshot::new(&model, &state);
        let pool = Pool::new(&config.database_url, &PoolOptions::default())?;
        Ok(Self {
            store,
            model_dir: config.model_dir.clone(),
            model: Mutex::new(model),
            published: watch::Sender::new(Arc::new(snapshot)),
            list: Provider::new(pool, DOMAIN),
            list_binding: Arc::new(Binding::try_from(list_entity::definition())?),
        })
    }

    /// What is published now.
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.borrow())
    }

    /// What is published now and from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.published.subscribe()
    }

    /// Reads the rows of the list itself.
    pub(crate) fn list(&self) -> &Provider {
        &self.list
    }

    /// Leave to read the list.
    pub(crate) fn list_grant(&self, caller: &Caller) -> Result<Grant, Error> {
        may_read(caller)?;
        Ok(Grant::unrestricted(Arc::clone(&self.list_binding)))
    }

    /// Changes one row.
    pub(crate) async fn change(
        &self,
        caller: &Caller,
        physical_name: &str,
        wanted: &Wanted,
    ) -> Result<CatalogEntry, Error> {
        authorize(caller)?;
        let mut model = self.lock().await?;
        let unknown = || Error::EntityNotFound(physical_name.to_owned());
        self.current().entry(physical_name).ok_or_else(unknown)?;
        let refreshed = match wanted.refresh {
            true => Some(self.reread(&model, physical_name).await?),
            false => None,
        };
        let mut change = self.begin(&model).await?;
        if !wanted.etag.is_empty() {
            check_version(&mut change, physical_name, &wanted.etag).await?;
        }
        if let Some(refreshed) = &refreshed {
            change.number_options(refreshed).await?;
            change.set_refreshed(&[physical_name]).await?;
        }
        if let Some(visible) = wanted.visible {
            change.set_visible(physical_name, visible).await?;
        }
        // Hiding and tracking in one request only hides, as on the platform.
        if let Some(tracked) = wanted.tracked.filter(|_| wanted.visible != Some(false)) {
            let model = refreshed.as_ref().unwrap_or(&model);
            track(&mut change, model, physical_name, tracked).await?;
        }
        let state = change.commit(0).await?;
        if let Some(refreshed) = refreshed {
            *model = refreshed;
        }
        let snapshot = self.publish(&model, &state);
        snapshot.entry(physical_name).cloned().ok_or_else(unknown)
    }

    /// Takes over the model as it is on disk now.
    pub(crate) async fn refresh_model(&self, caller: &Caller) -> Result<Arc<Snapshot>, Error> {
        authorize(caller)?;
        let mut model = self.lock().await?;
        let refreshed = load(&self.model_dir).await?;
        let mut change = self.begin(&model).await?;
        change.follow_model(&refreshed).await?;
        let names: Vec<_> = refreshed.entities.iter().map(|it| it.name.as_str()).collect();
        change.set_refreshed(&names).await?;
        let state = change.commit(0).await?;
        *model = refreshed;
        Ok(self.publish(&model, &state))
    }

    /// Adds a relationship.
    pub(crate) async fn declare(
        &self,
        caller: &Caller,
        request: CreateRelationshipRequest,
    ) -> Result<Relationship, Error> {
        authorize(caller)?;
        let model = self.lock().await?;
        let row = declared::row(request, &model)?;
        let mut change = self.begin(&model).await?;
        if !change.declare(&row).await? {
            return Err(Error::RelationshipExists(row.id));
        }
        let state = change.commit(0).await?;
        self.publish(&model, &state);
        Ok(declared::resource(&row))
    }

    /// Takes a relationship back.
    pub(crate) async fn retract(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        authorize(caller)?;
        let model = self.lock().await?;
        let mut change = self.begin(&model).await?;
        if !change.retract(id).await? {
            return Err(Error::RelationshipNotFound(id.to_owned()));
        }
        let state = change.commit(0).await?;
        self.publish(&model, &state);
        Ok(())
    }

    /// Publishes what another replica changed, if it did, or what another database says that took the place
    /// of this one.
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        if self.store.version().await? == self.current().version {
            return Ok(());
        }
        let mut model = self.lock().await?;
        // Nothing is published while the lock is held, and the store knows no less than what was.
        let current = self.current();
        let state = self.store.state().await?;
        if state.version == current.version {
            return Ok(());
        }
        let is_same = state.version.database == current.version.database;
        if !is_same || state.version.revision < current.version.revision {
            return self.take_over(&model).await;
        }
        let refreshed = state.rows.values().filter(|it| !current.is_as_fresh_as(it));
        let names: HashSet<_> = refreshed.map(|it| it.physical_name.as_str()).collect();
        if !names.is_empty() {
            match load(&self.model_dir).await.map(|fresh| with_entities(&model, fresh, &names)) {
                Ok(reread) if state.has_numbered(&reread) => *model = reread,
                // The other replica has another folder, which is none of ours.
                Ok(_) => tracing::warn!("the model here is not the one that was refreshed"),
                Err(error) => tracing::warn!(%error, "the refreshed model cannot be read here"),
            }
        }
        self.publish(&model, &state);
        Ok(())
    }

    /// Begins a change of what is published.
    async fn begin(&self, model: &Model) -> Result<Change, Error> {
        let change = self.store.change().await?;
        if change.database() == self.current().version.database {
            return Ok(change);
        }
        drop(change);
        self.take_over(model).await?;
        Ok(self.store.change().await?)
    }

    /// Another database has taken this one's place (a copy, a backup, an empty one): begins in it as if
    /// started anew.
    async fn take_over(&self, model: &Model) -> Result<(), Error> {
        let known = self.current().version.revision;
        let state = follow(&self.store, model, known).await?;
        self.publish(model, &state);
        tracing::info!("the catalog of another database was taken over");
        Ok(())
    }

    /// Waits for the change under way.
    async fn lock(&self) -> Result<MutexGuard<'_, Model>, Error> {
        tokio::time::timeout(WAIT_BUDGET, self.model.lock()).await.map_err(|_| Error::Busy)
    }

    /// The model with one entity as it is on disk now.
    async fn reread(&self, model: &Model, physical_name: &str) -> Result<Model, Error> {
        let fresh = load(&self.model_dir).await?;
        if !fresh.entities.iter().any(|it| it.name == physical_name && it.public) {
            return Err(Error::EntityNotFound(physical_name.to_owned()));
        }
        Ok(with_entities(model, fresh, &HashSet::from([physical_name])))
    }

    fn publish(&self, model: &Model, state: &State) -> Arc<Snapshot> {
        let snapshot = Arc::new(Snapshot::new(model, state));
        tracing::info!(revision = snapshot.version.revision, "the catalog changed");
        self.published.send_replace(Arc::clone(&snapshot));
        snapshot
    }
}

/// Who works with the platform's tables reads the list too, and so does the service-to-service
/// application, which reads nothing else (spec virtual-entities §1.4).
pub(crate) fn may_read(caller: &Caller) -> Result<(), Error> {
    let rights = &caller.rights;
    let reads = rights.table(list_entity::TABLE).privileges.contains(Privileges::READ);
    match reads || rights.virtual_entity_application {
        true => Ok(()),
        false => Err(Error::MayNotRead(caller.user.name.clone())),
    }
}

fn authorize(caller: &Caller) -> Result<(), Error> {
    match caller.rights.administrator {
        true => Ok(()),
        false => Err(Error::NotAdministrator(caller.user.name.clone())),
    }
}

async fn check_version(change: &mut Change, name: &str, wanted: &str) -> Result<(), Error> {
    let version = wanted.strip_prefix("W/\"").and_then(|it| it.strip_suffix('"'));
    let version = version.filter(|it| etag(it) == wanted).ok_or(Error::VersionMismatch)?;
    match change.has_version(name, version).await? {
        true => Ok(()),
        false => Err(Error::VersionMismatch),
    }
}

/// Turns change tracking on, where it can be, or off.
async fn track(
    change: &mut Change,
    model: &Model,
    physical_name: &str,
    tracked: bool,
) -> Result<(), Error> {
    if tracked {
        if !change.is_visible(physical_name).await? {
            return Err(Error::NotVisible(tables::virtual_name(physical_name)));
        }
        let entity = model.entities.iter().find(|it| it.name == physical_name);
        let entity = entity.ok_or_else(|| Error::EntityNotFound(physical_name.to_owned()))?;
        tracking::check(entity)?;
    }
    Ok(change.set_tracked(physical_name, tracked).await?)
}

/// Makes a store's rows those of the model, at a revision beyond `known`.
async fn follow(store: &Store, model: &Model, known: i64) -> Result<State, Error> {
    let mut change = store.change().await?;
    change.follow_model(model).await?;
    Ok(change.commit(known).await?)
}

/// The model with these entities, and every enum, as in `fresh`.
fn with_entities(model: &Model, fresh: Model, names: &HashSet<&str>) -> Model {
    let named = |it: &Entity| names.contains(it.name.as_str());
    let kept = model.entities.iter().filter(|it| !named(it)).cloned();
    let mut entities: Vec<_> = kept.chain(fresh.entities.into_iter().filter(named)).collect();
    entities.sort_by(|a, b| a.name.cmp(&b.name));
    let mut enums = fresh.enums;
    // Entities that were not read again may still use an enum that is gone.
    let gone = model.enums.iter().filter(|it| !enums.iter().any(|kept| kept.name == it.name));
    let gone: Vec<_> = gone.cloned().collect();
    enums.extend(gone);
    Model { entities, enums, ..model.clone() }
}

/// Reading a folder blocks, so it is done aside.
async fn load(dir: &std::path::Path) -> Result<Model, model::LoadError> {
    let dir = dir.to_owned();
    let read = tokio::task::spawn_blocking(move || model::load(&dir)).await;
    read.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
