//! Solutions: maps that travel between environments (spec DW-28, A11).

use proto::dual_write::v1::{self as pb, TableMap};
use sqlx::PgConnection;

use super::requirements::{Installed, joined};
use super::{check_stopped, define};
use crate::error::Error;
use crate::map::schema::Schemas;
use crate::map::solution::{MAX_SIZE, Solution, SolutionError};
use crate::map::template;
use crate::names;
use crate::store::activity::Activity;
use crate::store::solutions::StoredSolution;
use crate::store::versions::Origin;
use crate::store::{self};

/// The solution of the maps that come with this release.
pub(super) const SHIPPED: &str = "Dynamics365FinanceAndOperationsDualWriteMaps";
/// Of what ships, and of what is written here.
pub(super) const FIRST_VERSION: &str = "1.0.0.0";
const LONGEST_NAME: usize = 100;
const MOST_VERSIONS: usize = 500;

/// Writes versions into a solution file.
pub(crate) async fn export(
    connection: &mut PgConnection,
    request: &pb::ExportMapsRequest,
) -> Result<Vec<u8>, Error> {
    check_name(&request.solution_name)?;
    if request.versions.is_empty() || request.versions.len() > MOST_VERSIONS {
        return Err(Error::invalid("versions", format!("takes 1 to {MOST_VERSIONS}")));
    }
    let mut maps = Vec::with_capacity(request.versions.len());
    for name in &request.versions {
        let map = names::map_of_version(name)?;
        let found = store::versions::get(&mut *connection, name).await?;
        if found.managed {
            let message = format!("`{name}` came with a managed solution, which nobody can change");
            return Err(malformed(name, message, true));
        }
        let map = store::maps::get(&mut *connection, map).await?.map;
        maps.push((map, found.version));
    }
    let publisher = maps.first().map(|it| it.1.publisher.clone()).unwrap_or_default();
    let solution = Solution {
        name: request.solution_name.clone(),
        version: FIRST_VERSION.to_owned(),
        publisher,
        managed: request.managed,
        requires: joined(maps.iter().flat_map(|it| &it.1.required_solutions)),
        maps,
    };
    solution.write().map_err(|it| refused(&request.solution_name, &it, true))
}

/// Keeps a solution file until it is applied.
pub(crate) async fn import(
    connection: &mut PgConnection,
    content: Vec<u8>,
    actor: &str,
) -> Result<Solution, Error> {
    store::links::hold(&mut *connection).await?;
    let solution = Solution::read(&content).map_err(|it| refused("solution", &it, false))?;
    check_name(&solution.name).map_err(|it| malformed("solution", it.to_string(), false))?;
    if solution.name.eq_ignore_ascii_case(SHIPPED) {
        let message = format!("`{SHIPPED}` is the solution that comes with this release");
        return Err(malformed(SHIPPED, message, false));
    }
    let stored = StoredSolution {
        name: solution.name.clone(),
        publisher: solution.publisher.clone(),
        version: solution.version.clone(),
        managed: solution.managed,
        content,
    };
    let known = store::solutions::all(&mut *connection).await?;
    let other = known.iter().find(|it| it.name == stored.name);
    if other.is_some_and(|it| it.publisher != stored.publisher) {
        let message = format!("`{}` is another publisher's solution already", stored.name);
        return Err(malformed(&stored.name, message, false));
    }
    store::solutions::put(&mut *connection, &stored).await?;
    let message = format!("Solution {} {} was imported.", stored.name, stored.version);
    Activity::new("SolutionImported", message).record(connection, "", actor).await?;
    Ok(solution)
}

/// Publishes the maps of solutions, and returns the names of those that are new or changed.
pub(crate) async fn apply(
    connection: &mut PgConnection,
    schemas: &Schemas,
    wanted: &[String],
    actor: &str,
) -> Result<Vec<String>, Error> {
    store::links::hold(&mut *connection).await?;
    let mut known = vec![shipped(schemas)?];
    for stored in store::solutions::all(&mut *connection).await? {
        let read = Solution::read(&stored.content);
        known.push(read.map_err(|it| Error::Stored(it.to_string()))?);
    }
    let is_known = |name: &String| known.iter().any(|it| it.name == *name);
    if let Some(missing) = wanted.iter().find(|it| !is_known(it)) {
        return Err(Error::NotFound(names::shown(missing)));
    }
    let installed = Installed::read(&mut *connection).await?;
    let is_wanted = |it: &&Solution| wanted.is_empty() || wanted.contains(&it.name);
    let mut changed = Vec::new();
    for solution in known.iter().filter(is_wanted) {
        installed.require(&solution.name, &solution.name, &solution.requires)?;
        let mut touched = Vec::new();
        for (map, version) in &solution.maps {
            let required_solutions = solution.requires.clone();
            let version = &pb::MapVersion { required_solutions, ..version.clone() };
            let publication = Publication { solution, map, version, actor };
            if publication.publish(&mut *connection, schemas).await? {
                touched.push(map.name.clone());
            }
        }
        let message = format!("Solution {} {} was applied.", solution.name, solution.version);
        let activity =
            Activity::new("SolutionApplied", message).with(serde_json::json!({ "maps": touched }));
        activity.record(&mut *connection, "", actor).await?;
        changed.extend(touched);
    }
    changed.sort_unstable();
    changed.dedup();
    Ok(changed)
}

/// One map of a solution that is applied.
struct Publication<'a> {
    solution: &'a Solution,
    map: &'a TableMap,
    version: &'a pb::MapVersion,
    actor: &'a str,
}

impl Publication<'_> {
    /// Whether anything was changed.
    async fn publish(
        &self,
        connection: &mut PgConnection,
        schemas: &Schemas,
    ) -> Result<bool, Error> {
        let (map, version) = (self.map, self.version);
        let stored = match store::maps::lock(&mut *connection, &map.name).await {
            Ok(stored) => stored.map,
            Err(Error::NotFound(_)) => {
                let (map, version) = (map.clone(), version.clone());
                let (origin, actor) = (self.origin(), self.actor);
                define::put_published(connection, schemas, map, version, origin, actor).await?;
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let Some(held) = store::versions::find(&mut *connection, &version.name).await? else {
            store::versions::insert(&mut *connection, &map.name, version, self.origin()).await?;
            let active = store::versions::get(&mut *connection, &stored.active_version).await?;
            // Who runs a version of their own goes on with it.
            if active.version.publisher != version.publisher {
                return Ok(true);
            }
            check_stopped(&stored)?;
            define::choose(connection, schemas, &stored, version, self.actor).await?;
            return Ok(true);
        };
        let is_own = held.solution.as_deref() == Some(&*self.solution.name);
        if held.version.content_hash == version.content_hash {
            let is_same = held.version.required_solutions == version.required_solutions;
            if is_own && !is_same {
                // What it does is the same, whatever it needs for that.
                store::versions::overwrite(&mut *connection, version, self.origin()).await?;
            }
            return Ok(is_own && !is_same);
        }
        if !is_own && (self.solution.managed || held.managed) {
            let message = format!(
                "`{}` is there with other content, which this solution must not overwrite",
                version.name
            );
            return Err(malformed(&version.name, message, true));
        }
        if stored.active_version == version.name {
            check_stopped(&stored)?;
        }
        store::versions::overwrite(&mut *connection, version, self.origin()).await?;
        if stored.active_version == version.name {
            define::choose(connection, schemas, &stored, version, self.actor).await?;
        }
        Ok(true)
    }

    fn origin(&self) -> Origin<'_> {
        Origin { solution: Some(&self.solution.name), managed: self.solution.managed }
    }
}

/// Those of the shipped maps whose tables are there.
fn shipped(schemas: &Schemas) -> Result<Solution, Error> {
    let templates = template::shipped().map_err(|it| Error::Stored(it.to_string()))?;
    let is_there = |it: &template::Template| {
        let erp = pb::Side::FinanceAndOperations;
        schemas.get(erp, &it.map.finance_and_operations_entity).is_some()
            && schemas.get(pb::Side::Platform, &it.map.platform_table).is_some()
    };
    Ok(Solution {
        name: SHIPPED.to_owned(),
        version: FIRST_VERSION.to_owned(),
        publisher: template::PUBLISHER.to_owned(),
        managed: false,
        requires: Vec::new(),
        maps: templates.into_iter().filter(is_there).map(|it| (it.map, it.version)).collect(),
    })
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-' || it == '.';
    match !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fits) {
        true => Ok(()),
        false => Err(Error::invalid(
            "solution_name",
            "takes letters, digits, hyphens, dots and underscores, at most 100",
        )),
    }
}

fn malformed(resource: &str, message: String, precondition: bool) -> Error {
    Error::Malformed { resource: names::shown(resource), message, precondition }
}

fn refused(resource: &str, error: &SolutionError, precondition: bool) -> Error {
    let message = error.to_string();
    match error {
        SolutionError::TooLarge => {
            Error::Limit { limit: "solution", allowed: MAX_SIZE, actual: MAX_SIZE + 1, message }
        }
        _ => malformed(resource, message, precondition),
    }
}
