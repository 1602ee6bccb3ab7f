//! Geographies and their regions, as `locations.toml` lists them.

use std::sync::LazyLock;

use proto::lifecycle::v1::FinanceAndOperationsSupport as Support;
use serde::Deserialize;

use crate::error::Error;
use crate::resource;

pub(crate) const LOCATIONS: &str = "locations";

// A test reads the file, so that it is never a broken one.
static TABLE: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(include_str!("../../locations.toml")).unwrap_or_default());

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    location: Vec<Location>,
}

/// A geography.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Location {
    pub(crate) id: String,
    pub(crate) display_name: String,
    #[serde(default = "default_crm")]
    pub(crate) crm: String,
    #[serde(default)]
    full: Vec<String>,
    #[serde(default)]
    developer_and_trial: Vec<String>,
    #[serde(default)]
    other: Vec<String>,
}

fn default_crm() -> String {
    "crm".to_owned()
}

impl Location {
    /// Its regions, and which unified environments each takes.
    pub(crate) fn regions(&self) -> impl Iterator<Item = (&str, Support)> {
        let full = self.full.iter().map(|it| (it.as_str(), Support::Full));
        let secondary = self.developer_and_trial.iter();
        let secondary = secondary.map(|it| (it.as_str(), Support::DeveloperAndTrial));
        full.chain(secondary).chain(self.other.iter().map(|it| (it.as_str(), Support::None)))
    }
}

/// All of them, by id.
pub(crate) fn all() -> &'static [Location] {
    &TABLE.location
}

/// The geography that a region is in.
pub(crate) fn of_region(region: &str) -> Option<&'static Location> {
    all().iter().find(|location| location.regions().any(|(code, _)| code == region))
}

/// The geography of a name, `locations/europe`.
pub(crate) fn named(name: &str) -> Result<&'static Location, Error> {
    let id = resource::id(LOCATIONS, name)?;
    all().iter().find(|it| it.id == id).ok_or_else(|| Error::NotFound(name.to_owned()))
}

/// Which unified environments a region takes; of no region, the best that the location has.
pub(crate) fn support(location: &str, region: &str) -> Support {
    let location = all().iter().find(|it| it.id == location);
    let mut regions = location.into_iter().flat_map(Location::regions);
    match region {
        "" => regions.map(|it| it.1).max_by_key(|it| i32::from(*it)).unwrap_or(Support::None),
        _ => regions.find(|it| it.0 == region).map_or(Support::None, |it| it.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_in_order_and_every_region_is_in_one_location() {
        toml::from_str::<Table>(include_str!("../../locations.toml")).unwrap();
        assert!(all().is_sorted_by_key(|it| it.id.as_str()));
        let mut regions: Vec<_> = all().iter().flat_map(Location::regions).map(|it| it.0).collect();
        let count = regions.len();
        regions.sort_unstable();
        regions.dedup();
        assert_eq!(regions.len(), count);
        assert_eq!(count, 34);
    }

    #[test]
    fn regions_are_told_apart_by_what_they_take() {
        assert_eq!(of_region("westus2").unwrap().id, "unitedstates");
        assert_eq!(of_region("westeurope").unwrap().crm, "crm4");
        assert!(of_region("atlantis").is_none());
        assert_eq!(support("canada", "canadacentral"), Support::Full);
        assert_eq!(support("canada", "canadaeast"), Support::DeveloperAndTrial);
        assert_eq!(support("canada", ""), Support::Full);
        assert_eq!(support("unitedstates", "westus2"), Support::None);
        assert_eq!(support("usgov", ""), Support::None);
        assert_eq!(support("canada", "westus"), Support::None);
        assert_eq!(named("locations/poland").unwrap().display_name, "Poland");
        assert!(named("locations/atlantis").is_err());
    }
}
