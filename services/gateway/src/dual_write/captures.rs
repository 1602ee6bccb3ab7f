//! Which tables are shared live.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::Side;

use crate::providers::Store;

/// How long a save waits for the other side where its maps do not say (spec dual-write-and-events A4).
const WAIT: Duration = Duration::from_secs(120);
/// None waits longer, whatever they say.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// All that is shared, of one moment.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    /// Both environments.
    pub(crate) link: String,
    erp: Tables,
    organization: Tables,
}

/// Those of one side.
#[derive(Debug, Default)]
struct Tables {
    names: HashSet<String>,
    by_map: HashMap<String, pb::Capture>,
}

impl Captures {
    pub(super) fn new(answer: pb::WatchCapturesResponse) -> Self {
        let mut captures = Self { link: answer.link, ..Self::default() };
        for capture in answer.captures {
            let Some(store) = store(capture.side()) else { continue };
            let tables = captures.of_mut(store);
            tables.names.insert(capture.entity_name.clone());
            tables.by_map.insert(capture.map.clone(), capture);
        }
        captures
    }

    /// Something in the store is shared.
    pub(crate) fn any(&self, store: Store) -> bool {
        !self.of(store).names.is_empty()
    }

    /// `entity` is the store's own name of a table.
    pub(crate) fn has(&self, store: Store, entity: &str) -> bool {
        self.of(store).names.contains(entity)
    }

    pub(crate) fn get(&self, store: Store, map: &str) -> Option<&pb::Capture> {
        self.of(store).by_map.get(map)
    }

    /// What people call a map; its name where it is not known any more.
    pub(crate) fn display_name<'a>(&'a self, map: &'a str) -> &'a str {
        let named = self.either(map).map(|it| it.display_name.as_str());
        named.filter(|it| !it.is_empty()).unwrap_or(map)
    }

    /// Longest that a save which these maps share waits for the other side: as long as each of them lets it.
    pub(crate) fn patience<'a>(&self, maps: impl Iterator<Item = &'a String>) -> Duration {
        maps.filter_map(|it| self.either(it)).map(wait).min().unwrap_or(WAIT)
    }

    /// Longest that any save waits for the other side.
    pub(crate) fn longest_patience(&self) -> Duration {
        let all = self.erp.by_map.values().chain(self.organization.by_map.values());
        all.map(wait).max().unwrap_or_default()
    }

    /// The maps that share a table of these names.
    pub(crate) fn maps_of<'a>(
        &'a self,
        store: Store,
        names: &HashSet<&str>,
    ) -> impl Iterator<Item = &'a String> {
        let maps = self.of(store).by_map.iter();
        maps.filter(|it| names.contains(it.1.entity_name.as_str())).map(|it| it.0)
    }

    /// All of these maps would rather queue than refuse.
    pub(crate) fn queue_when_away<'a>(&self, maps: impl Iterator<Item = &'a String>) -> bool {
        let mut known = maps.map(|it| self.either(it).is_some_and(|it| it.queue_when_away));
        known.next() == Some(true) && known.all(|it| it)
    }

    fn either(&self, map: &str) -> Option<&pb::Capture> {
        self.get(Store::Erp, map).or_else(|| self.get(Store::Organization, map))
    }

    fn of(&self, store: Store) -> &Tables {
        match store {
            Store::Erp => &self.erp,
            Store::Organization => &self.organization,
        }
    }

    fn of_mut(&mut self, store: Store) -> &mut Tables {
        match store {
            Store::Erp => &mut self.erp,
            Store::Organization => &mut self.organization,
        }
    }
}

fn wait(capture: &pb::Capture) -> Duration {
    let milliseconds = u64::try_from(capture.peer_timeout_milliseconds).unwrap_or_default();
    match milliseconds {
        0 => WAIT,
        milliseconds => Duration::from_millis(milliseconds).min(LONGEST_WAIT),
    }
}

/// A store as dual-write calls it.
pub(crate) fn side(store: Store) -> Side {
    match store {
        Store::Erp => Side::FinanceAndOperations,
        Store::Organization => Side::Platform,
    }
}

fn store(side: Side) -> Option<Store> {
    match side {
        Side::FinanceAndOperations => Some(Store::Erp),
        Side::Platform => Some(Store::Organization),
        Side::Unspecified => None,
    }
}
