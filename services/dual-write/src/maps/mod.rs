//! The maps of the link, as every part of this process sees them: in memory, tied to the present tables,
//! and as new as the last commit of any process.
//!
//! [`Maps::transition`] moves a map from state to state. `configure` tells both sides what a map wants of
//! them, `schemas` follows the tables of both sides, `run` keeps all of it going, and `actions` is what
//! people do with maps.

pub(crate) mod actions;
mod compile;
pub(crate) mod configure;
mod counters;
mod run;
pub(crate) mod schemas;
mod transition;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use proto::dual_write::v1::{self as pb, MapState, Side, SyncMode};
use proto::query::v1::{MapDescription, MapSide, SharePhase};
use tokio::sync::{Mutex, watch};

use crate::core::Core;
use crate::error::Error;
use crate::map::CompiledMap;
use crate::peers::Clients;
use crate::store::{self, Store};
use counters::Counters;
pub(crate) use run::run;
use schemas::Tables;
pub(crate) use transition::{Transition, change_state};

/// All maps.
#[derive(Debug)]
pub(crate) struct Maps {
    snapshot: RwLock<Arc<Snapshot>>,
    changes: watch::Sender<u64>,
    counters: Counters,
    tables: Tables,
    /// One reader at a time, so that nothing older replaces what is newer.
    refreshing: Mutex<()>,
    /// One connection of the store at most waits for each side.
    telling: [Mutex<()>; 2],
}

#[derive(Debug, Default)]
struct Snapshot {
    generation: Option<store::maps::Generation>,
    /// Of the tables that the maps are tied to.
    tables: u64,
    link: Option<Arc<pb::Link>>,
    maps: BTreeMap<String, Arc<ActiveMap>>,
}

/// A map with the version that is chosen.
#[derive(Clone, Debug)]
pub(crate) struct ActiveMap {
    /// `maps/customers-v3-accounts`.
    pub(crate) name: String,
    pub(crate) display_name: String,
    /// State, modes and settings, without counters.
    pub(crate) table_map: pb::TableMap,
    pub(crate) epoch: i64,
    pub(crate) version: pb::MapVersion,
    /// `None`: the version does not fit the present tables.
    pub(crate) compiled: Option<Arc<CompiledMap>>,
    /// Why there is none.
    pub(crate) problem: Option<String>,
    pub(crate) link: Arc<pb::Link>,
}

// === impl Maps ===

impl Maps {
    pub(crate) fn new(clients: &Clients) -> Self {
        Self {
            snapshot: RwLock::default(),
            changes: watch::channel(0).0,
            counters: Counters::default(),
            tables: Tables::new(clients),
            refreshing: Mutex::default(),
            telling: [Mutex::default(), Mutex::default()],
        }
    }

    /// The map of this name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<ActiveMap>> {
        self.snapshot().maps.get(name).cloned()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Arc<ActiveMap>> {
        self.snapshot().maps.values().cloned().collect()
    }

    /// The pair, where there is one.
    pub(crate) fn link(&self) -> Option<Arc<pb::Link>> {
        self.snapshot().link.clone()
    }

    /// Hears of every change of a map, the link or the tables.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What the tables of both sides look like.
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Counts rows that reached `target`. Written down once a second.
    pub(crate) fn count(&self, map: &str, target: Side, rows: u64) {
        self.counters.add(map, target, rows);
    }

    /// Moves a map, and has both sides told. A side that does not answer is told later.
    pub(crate) async fn transition(
        &self,
        core: &Core,
        change: Transition<'_>,
    ) -> Result<Arc<ActiveMap>, Error> {
        let Transition { map: name, epoch, from, to, actor, activity } = change;
        let mut transaction = core.store.begin().await?;
        let stored = store::maps::lock(&mut transaction, name).await?;
        if epoch.is_some_and(|it| it != stored.epoch) {
            let (state, needed) = (stored.map.state(), "it is not what it was");
            return Err(Error::State { resource: name.to_owned(), state, needed });
        }
        change_state(&mut transaction, name, from, to, actor, &activity).await?;
        transaction.commit().await?;
        self.refresh(&core.store).await?;
        configure::both(core, name).await;
        self.settle(core, name).await?;
        self.get(name).ok_or_else(|| Error::NotFound(name.to_owned()))
    }

    /// Reads what any process has changed.
    pub(crate) async fn refresh(&self, store: &Store) -> Result<(), Error> {
        let _one = self.refreshing.lock().await;
        let (tables, schemas) = self.tables.current();
        let before = self.snapshot();
        let mut transaction = store.begin().await?;
        sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut *transaction)
            .await?;
        let generation = store::maps::generation(&mut transaction).await?;
        if before.generation == Some(generation) && before.tables == tables {
            return Ok(());
        }
        let link = store::links::find(&mut transaction).await?.map(Arc::new);
        let mut found = BTreeMap::new();
        if let Some(link) = &link {
            let maps = store::maps::all(&mut transaction).await?;
            let versions = store::versions::active(&mut transaction).await?;
            let mut versions: BTreeMap<_, _> =
                versions.into_iter().map(|it| (it.version.name.clone(), it.version)).collect();
            for stored in maps {
                let version = versions.remove(&stored.map.active_version).unwrap_or_default();
                let known = before.maps.get(&stored.map.name);
                let known = known.filter(|_| before.tables == tables);
                let active = compile::activate(stored, version, link, schemas.as_deref(), known);
                found.insert(active.name.clone(), Arc::new(active));
            }
        }
        let snapshot = Snapshot { generation: Some(generation), tables, link, maps: found };
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        self.changes.send_modify(|it| *it += 1);
        Ok(())
    }

    /// Ends a state that only waited for both sides to be told.
    pub(crate) async fn settle(&self, core: &Core, name: &str) -> Result<(), Error> {
        transition::settle(core, name).await
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn telling(&self, side: Side) -> &Mutex<()> {
        let [erp, platform] = &self.telling;
        if side == Side::FinanceAndOperations { erp } else { platform }
    }
}

// === impl ActiveMap ===

impl ActiveMap {
    pub(crate) fn state(&self) -> MapState {
        self.table_map.state()
    }

    /// Whether both sides hold the map: it is neither stopped nor stopping.
    pub(crate) fn is_configured(&self) -> bool {
        !matches!(self.state(), MapState::NotRunning | MapState::Stopping | MapState::Unspecified)
    }

    /// What a side does with the map's changes.
    pub(crate) fn phase(&self) -> SharePhase {
        phase(self.state(), self.table_map.sync_mode())
    }

    /// `<finance and operations>|<platform>`.
    pub(crate) fn link_text(&self) -> String {
        link_text(&self.link)
    }

    /// The map as a side knows it. Only its name, epoch and link where the version does not fit the
    /// present tables.
    pub(crate) fn side(&self, side: Side) -> MapSide {
        let link = self.link_text();
        match &self.compiled {
            Some(it) => {
                let it = it.side(side, self.epoch, self.phase(), &self.link.companies, &link);
                MapSide { description: Some(self.description(side)), ..it }
            }
            None => MapSide {
                map: self.name.clone(),
                epoch: self.epoch,
                phase: self.phase().into(),
                link,
                ..MapSide::default()
            },
        }
    }

    /// What a side shows of the map to people.
    fn description(&self, side: Side) -> MapDescription {
        let (map, link, version) = (&self.table_map, &self.link, &self.version);
        let (entity, environment, filter) = match side {
            Side::Platform => (
                &map.finance_and_operations_entity,
                &link.finance_and_operations_environment,
                &version.reversed_source_filter,
            ),
            Side::FinanceAndOperations | Side::Unspecified => {
                (&map.platform_table, &link.platform_environment, &version.source_filter)
            }
        };
        MapDescription {
            external_entity_name: entity.clone(),
            external_environment: environment.clone(),
            filter: filter.clone(),
            debug: map.debug,
        }
    }
}

fn phase(state: MapState, mode: SyncMode) -> SharePhase {
    match (state, mode) {
        (MapState::Running, SyncMode::Asynchronous) => SharePhase::Queued,
        (MapState::Running, _) => SharePhase::Live,
        _ => SharePhase::Queued,
    }
}

/// `<finance and operations>|<platform>`: what tells a pair of databases from copies of them.
pub(crate) fn link_text(link: &pb::Link) -> String {
    format!("{}|{}", link.finance_and_operations_environment, link.platform_environment)
}
