//! Names of resources as requests give them, and moments as the wire has them.

use chrono::{DateTime, Utc};
use prost_types::{Duration, Timestamp};

use crate::error::Error;

/// The one link.
pub(crate) const LINK: &str = "link";
const MAPS: &str = "maps/";
const VERSIONS: &str = "/versions/";
const LONGEST_ID: usize = 63;
const LONGEST_VERSION_ID: usize = 200;
const LONGEST_SHOWN: usize = 300;

/// Whether it can be the last part of a map's name.
pub(crate) fn is_map_id(id: &str) -> bool {
    let allowed = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(allowed) && !id.starts_with('-')
}

/// `maps/ID`, where the id is one.
pub(crate) fn map(id: &str) -> Result<String, Error> {
    match is_map_id(id) {
        true => Ok(format!("{MAPS}{id}")),
        false => Err(Error::invalid(
            "map_id",
            "takes lower case letters, digits and hyphens, at most 63, and begins with no hyphen",
        )),
    }
}

/// Refuses what cannot name a map.
pub(crate) fn check_map(name: &str) -> Result<(), Error> {
    let id = name.strip_prefix(MAPS).filter(|it| is_map_id(it));
    id.map(drop).ok_or_else(|| Error::NotFound(shown(name)))
}

/// The map of `maps/ID/versions/VERSION`.
pub(crate) fn map_of_version(name: &str) -> Result<&str, Error> {
    let (map, version) = name.split_once(VERSIONS).ok_or_else(|| Error::NotFound(shown(name)))?;
    check_map(map).map_err(|_| Error::NotFound(shown(name)))?;
    let fits = !version.is_empty() && version.len() <= LONGEST_VERSION_ID;
    let fits = fits && version.chars().all(|it| it.is_ascii_graphic() && it != '/');
    if fits { Ok(map) } else { Err(Error::NotFound(shown(name))) }
}

/// As much of a name as is told back.
pub(crate) fn shown(name: &str) -> String {
    name.chars().filter(|it| !it.is_control()).take(LONGEST_SHOWN).collect()
}

/// On the wire.
pub(crate) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: time.timestamp(), nanos }
}

/// On the wire.
pub(crate) fn duration(milliseconds: i64) -> Duration {
    let nanos = i32::try_from(milliseconds.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    Duration { seconds: milliseconds.div_euclid(1_000), nanos }
}

/// From the wire.
pub(crate) fn milliseconds(duration: &Duration) -> i64 {
    duration.seconds.saturating_mul(1_000).saturating_add(i64::from(duration.nanos) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(check_map("maps/customers-v3-accounts").is_ok());
        for bad in ["", "maps/", "maps/-", "maps/A", "maps/a/b", "map/a", "maps/a\0"] {
            assert!(check_map(bad).is_err(), "{bad}");
        }
        assert_eq!(map_of_version("maps/a/versions/1.0.0.0-x").unwrap(), "maps/a");
        for bad in ["maps/a", "maps/a/versions/", "maps/A/versions/1", "maps/a/versions/1/2"] {
            assert!(map_of_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_survive_the_wire() {
        for it in [0, 1, 999, 1_000, 120_001] {
            assert_eq!(milliseconds(&duration(it)), it);
        }
    }
}
