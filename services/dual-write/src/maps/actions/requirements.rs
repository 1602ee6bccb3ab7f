//! The version guard: a map is not started where a solution is missing, or older, that its version's own
//! solution needs (spec DW-27, A11). One that was paused resumes: it has run with what is there.

use std::collections::BTreeMap;

use proto::dual_write::v1::{MapVersion, Side, SolutionRequirement, TableMap, ValidationIssue};
use sqlx::PgConnection;

use super::solutions::{FIRST_VERSION, SHIPPED};
use crate::error::Error;
use crate::map::issue;
use crate::map::text::version_mismatch;
use crate::store;

/// Versions of the solutions that are there, by name: those that were imported, and the one that ships.
#[derive(Debug)]
pub(crate) struct Installed(BTreeMap<String, String>);

/// Refuses to run a map whose chosen version needs what is not there.
pub(crate) async fn check(connection: &mut PgConnection, map: &TableMap) -> Result<(), Error> {
    let version = store::versions::get(&mut *connection, &map.active_version).await?.version;
    let installed = Installed::read(connection).await?;
    installed.require(&map.name, &map.display_name, &version.required_solutions)
}

/// What keeps a version from running, as findings.
pub(crate) async fn findings(
    connection: &mut PgConnection,
    map: &TableMap,
    version: &MapVersion,
) -> Result<Vec<ValidationIssue>, Error> {
    let installed = Installed::read(connection).await?;
    let unmet = installed.unmet(&map.display_name, &version.required_solutions);
    Ok(unmet.map(|it| issue::SOLUTION.because(Side::Platform, "", &it)).collect())
}

/// All of them, each once, in the newest version that any needs.
pub(crate) fn joined<'r>(
    needed: impl IntoIterator<Item = &'r SolutionRequirement>,
) -> Vec<SolutionRequirement> {
    let mut newest: BTreeMap<&str, &SolutionRequirement> = BTreeMap::new();
    for it in needed {
        let known = newest.entry(&it.solution_name).or_insert(it);
        if numbers(&known.version) < numbers(&it.version) {
            *known = it;
        }
    }
    newest.into_values().cloned().collect()
}

// === impl Installed ===

impl Installed {
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Self, Error> {
        let mut versions = store::solutions::versions(connection).await?;
        versions.insert(SHIPPED.to_owned(), FIRST_VERSION.to_owned());
        Ok(Self(versions))
    }

    /// Refuses what needs a newer solution than is there, in the words that people look up. `who` is what
    /// they call it.
    pub(crate) fn require(
        &self,
        resource: &str,
        who: &str,
        needed: &[SolutionRequirement],
    ) -> Result<(), Error> {
        let unmet = self.unmet(who, needed).next();
        unmet.map_or(Ok(()), |message| {
            Err(Error::Requirement { resource: resource.to_owned(), message })
        })
    }

    fn unmet(&self, who: &str, needed: &[SolutionRequirement]) -> impl Iterator<Item = String> {
        needed.iter().filter_map(move |SolutionRequirement { solution_name, version }| {
            let have = self.0.get(solution_name).map(String::as_str).unwrap_or_default();
            let is_met = numbers(have) >= numbers(version);
            (!is_met).then(|| version_mismatch(who, solution_name, have, version))
        })
    }
}

/// Nothing is older than every version.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').filter_map(|it| it.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(name: &str, version: &str) -> SolutionRequirement {
        SolutionRequirement { solution_name: name.to_owned(), version: version.to_owned() }
    }

    #[test]
    fn a_newer_solution_may_be_needed() {
        let core = [("Core".to_owned(), "1.0.24093.1".to_owned())];
        let installed = Installed(BTreeMap::from(core));
        let check = |name, version| installed.require("maps/a", "A", &[needed(name, version)]);
        for (version, is_met) in
            [("1.0.24093.1", true), ("1.0.9.0", true), ("1.0.24093.2", false), ("1.1.0.0", false)]
        {
            assert_eq!(check("Core", version).is_ok(), is_met, "{version}");
        }
        let error = check("Other", "1.0.0.0").unwrap_err().to_string();
        assert_eq!(
            error,
            "A : Dual write failure - Dynamics 365 for Sales solution 'Other' has version mismatch. \
             Version: '' Required version: '1.0.0.0'"
        );
    }

    #[test]
    fn several_need_the_newest() {
        let all = [needed("B", "1.0.0.9"), needed("A", "1.0.0.0"), needed("B", "1.0.0.10")];
        assert_eq!(joined(&all), [needed("A", "1.0.0.0"), needed("B", "1.0.0.10")]);
    }
}
