//! The pair: linking, its companies, and linking anew (spec A2, A20).

use std::collections::BTreeSet;
use std::sync::Arc;

use proto::dual_write::v1::{self as pb, InitialSyncMode, Link, MapState, Side};
use sqlx::PgConnection;

use super::check_etag_of;
use crate::core::Core;
use crate::error::Error;
use crate::health::{self, Health};
use crate::initial_sync::{self, Wanted};
use crate::maps::change_state;
use crate::names;
use crate::store::activity::Activity;
use crate::store::{self, links::Teams};

/// So many legal entities make an initial sync long (spec DW-03).
const MANY_COMPANIES: usize = 40;
const LONGEST_NAME: usize = 300;
/// What the original says of companies that are blank or come twice.
const REPEATED: &str =
    "Saving connection set failed! An item with the same key has already been added.";

/// A link that may be made, and what is worth keeping of the look at both sides.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) link: Link,
    pub(crate) teams: Teams,
}

/// What has to be true before the pair is linked.
pub(crate) async fn check(
    core: &Core,
    given: &Link,
    consent: bool,
    actor: &str,
) -> Result<Checked, Error> {
    check_companies(core, &given.companies)?;
    if !consent {
        let message = "linking copies data between both apps; accept the privacy notice first";
        return Err(Error::Confirmation { field: "consent", message: message.to_owned() });
    }
    let (link, health) = look(core, given, actor).await?;
    health.require(&link)?;
    Ok(Checked { link, teams: health.teams })
}

/// The pair as it would be linked, and how it is.
pub(crate) async fn look(core: &Core, given: &Link, actor: &str) -> Result<(Link, Health), Error> {
    let mut link = Link {
        finance_and_operations_environment: named(
            "finance_and_operations_environment",
            &given.finance_and_operations_environment,
        )?,
        platform_environment: named("platform_environment", &given.platform_environment)?,
        companies: given.companies.clone(),
        consent_user: actor.to_owned(),
        ..Link::default()
    };
    if link.platform_environment.is_empty() || link.finance_and_operations_environment.is_empty() {
        let id = health::organization(core).await?;
        if link.platform_environment.is_empty() {
            link.platform_environment = format!("platformEnvironments/{id}");
        }
        // The ERP has no name of its own: it is the one of this platform.
        if link.finance_and_operations_environment.is_empty() {
            link.finance_and_operations_environment =
                format!("financeAndOperationsEnvironments/{id}");
        }
    }
    let health = health::check(core, &link, &Teams::new(), &[]).await;
    Ok((link, health))
}

/// Links.
pub(crate) async fn create(
    connection: &mut PgConnection,
    checked: &Checked,
    actor: &str,
) -> Result<Link, Error> {
    store::links::insert(&mut *connection, &checked.link, &checked.teams).await?;
    let count = checked.link.companies.len();
    let activity = Activity::new("Linked", format!("Linked for {count} companies."));
    let detail = serde_json::json!({ "companies": checked.link.companies });
    activity.with(detail).record(&mut *connection, "", actor).await?;
    store::links::get(connection).await
}

/// Why an initial sync may take long.
pub(crate) fn warnings(link: &Link) -> Vec<String> {
    match link.companies.len() {
        count if count > MANY_COMPANIES => vec![format!(
            "{count} companies are linked; above {MANY_COMPANIES} an initial sync may take long. Start \
             maps one after the other."
        )],
        _ => Vec::new(),
    }
}

/// What the companies of a link will be, where a request may change them.
pub(crate) async fn check_update(
    core: &Core,
    given: &Link,
    paths: &[String],
) -> Result<Teams, Error> {
    if paths != ["companies"] {
        return Err(Error::invalid("update_mask", "`companies` is the one path that may change"));
    }
    check_companies(core, &given.companies)?;
    let mut connection = core.store.pool().acquire().await?;
    let link = store::links::get(&mut connection).await?;
    drop(connection);
    let link = Link { companies: given.companies.clone(), ..link };
    let health = health::check(core, &link, &Teams::new(), &[]).await;
    health.require(&link)?;
    Ok(health.teams)
}

/// Sets the companies. Maps that run or are paused copy the rows of those that are new; returns the names
/// of the copies.
pub(crate) async fn update(
    core: &Arc<Core>,
    connection: &mut PgConnection,
    given: &Link,
    teams: &Teams,
    actor: &str,
) -> Result<Vec<String>, Error> {
    let link = store::links::lock(&mut *connection).await?;
    check_etag_of(names::LINK, &link.etag, &given.etag)?;
    let all = store::maps::all(&mut *connection).await?;
    let maps: Vec<_> = all.iter().map(|it| it.map.name.clone()).collect();
    let maps = store::maps::lock_all(&mut *connection, &maps).await?;
    let added = missing(&given.companies, &link.companies);
    let removed = missing(&link.companies, &given.companies);
    let refuse = |state: MapState, needed: &'static str| {
        let map = maps.iter().find(|it| it.map.state() == state);
        map.map_or(Ok(()), |it| Err(Error::State { resource: it.map.name.clone(), state, needed }))
    };
    refuse(MapState::Initializing, "companies change when its initial write has ended")?;
    if !removed.is_empty() {
        let needed = "a company is removed when no map is paused";
        for state in [MapState::Pausing, MapState::Paused, MapState::Resuming] {
            refuse(state, needed)?;
        }
    }
    if added.is_empty() && removed.is_empty() {
        return Ok(Vec::new());
    }
    store::links::set_companies(&mut *connection, &given.companies, teams).await?;
    store::maps::renew_epochs(&mut *connection).await?;
    let detail = serde_json::json!({ "added": added, "removed": removed });
    let activity = Activity::new("CompaniesChanged", "The linked companies were changed.");
    activity.with(detail).record(&mut *connection, "", actor).await?;
    let mut syncs = Vec::new();
    if added.is_empty() {
        return Ok(syncs);
    }
    let writes = [MapState::Running, MapState::Pausing, MapState::Paused, MapState::Resuming];
    for map in maps.iter().filter(|it| it.map.company_specific && writes.contains(&it.map.state()))
    {
        let name = &map.map.name;
        let Some(active) = core.maps.get(name) else { return Err(Error::Busy) };
        let activity = Activity::new("InitialWrite", "Rows of new companies are copied.");
        let to = MapState::Initializing;
        change_state(&mut *connection, name, &writes, to, actor, &activity).await?;
        let (mode, master) = (InitialSyncMode::Full, Side::Platform);
        let wanted = Wanted { mode, master, companies: &added, actor };
        syncs.push(initial_sync::begin(&active, wanted, &mut *connection).await?);
    }
    Ok(syncs)
}

/// What has to be true before a link is reset.
pub(crate) async fn check_reset(
    core: &Core,
    request: &pb::ResetLinkRequest,
    actor: &str,
) -> Result<Checked, Error> {
    check_companies(core, &request.companies)?;
    if !request.acknowledged {
        let message =
            "maps, keys, companies, alerts and history will be forgotten; say that they may";
        return Err(Error::Confirmation { field: "acknowledged", message: message.to_owned() });
    }
    let mut connection = core.store.pool().acquire().await?;
    let link = store::links::get(&mut connection).await?;
    drop(connection);
    check_etag_of(names::LINK, &link.etag, &request.etag)?;
    let link =
        Link { companies: request.companies.clone(), consent_user: actor.to_owned(), ..link };
    let health = health::check(core, &link, &Teams::new(), &[]).await;
    if !request.force {
        health.require_new(&link)?;
    }
    Ok(Checked { link, teams: health.teams })
}

/// Forgets everything that hangs on the link, and links anew.
pub(crate) async fn reset(
    connection: &mut PgConnection,
    checked: &Checked,
    request: &pb::ResetLinkRequest,
    actor: &str,
) -> Result<Link, Error> {
    let link = store::links::lock(&mut *connection).await?;
    check_etag_of(names::LINK, &link.etag, &request.etag)?;
    let maps = store::maps::all(&mut *connection).await?;
    let names: Vec<_> = maps.iter().map(|it| it.map.name.clone()).collect();
    let maps = store::maps::lock_all(&mut *connection, &names).await?;
    if !request.force {
        super::check_states(&maps, &[MapState::NotRunning], "stop it first, or reset by force")?;
    }
    store::links::forget(&mut *connection).await?;
    store::links::insert(&mut *connection, &checked.link, &checked.teams).await?;
    let count = names.len();
    let activity =
        Activity::new("LinkReset", format!("The link was reset; {count} maps were forgotten."));
    let detail = serde_json::json!({ "maps": names, "companies": checked.link.companies });
    activity.with(detail).record(&mut *connection, "", actor).await?;
    store::links::get(connection).await
}

fn check_companies(core: &Core, companies: &[String]) -> Result<(), Error> {
    check_fit(companies, core.config.link_companies)
}

fn check_fit(companies: &[String], most: usize) -> Result<(), Error> {
    let repeated = || Error::InvalidText { field: "companies", message: REPEATED.to_owned() };
    let mut seen = BTreeSet::new();
    for company in companies {
        if company.trim().is_empty() || !seen.insert(company.trim().to_lowercase()) {
            return Err(repeated());
        }
    }
    if companies.len() > most {
        return Err(Error::Limit {
            limit: "companies",
            allowed: most,
            actual: companies.len(),
            message: format!("{} companies are more than the {most} of a link", companies.len()),
        });
    }
    Ok(())
}

fn missing(of: &[String], inside: &[String]) -> Vec<String> {
    let there: BTreeSet<_> = inside.iter().map(|it| it.to_lowercase()).collect();
    of.iter().filter(|it| !there.contains(&it.to_lowercase())).cloned().collect()
}

fn named(field: &'static str, name: &str) -> Result<String, Error> {
    // The bar parts both names where both are written.
    let fits = |it: char| it.is_ascii_graphic() && it != '|';
    match name.len() <= LONGEST_NAME && name.chars().all(fits) {
        true => Ok(name.to_owned()),
        false => Err(Error::invalid(field, "is no environment's name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn companies(codes: &[&str]) -> Vec<String> {
        codes.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn companies_have_rules() {
        assert!(check_fit(&companies(&["USMF", "DEMF"]), 250).is_ok());
        for bad in [&["USMF", "usmf"][..], &["USMF", ""], &[" "]] {
            let error = check_fit(&companies(bad), 250).unwrap_err().to_string();
            assert_eq!(error, REPEATED, "{bad:?}");
        }
        let many: Vec<_> = (0..251).map(|it| format!("C{it}")).collect();
        assert!(matches!(check_fit(&many, 250), Err(Error::Limit { actual: 251, .. })));
        assert!(check_fit(&many[..250], 250).is_ok());
        assert!(check_fit(&[], 250).is_ok(), "an ERP may have none");
    }

    #[test]
    fn many_companies_are_warned_of() {
        let link = |count| Link { companies: vec![String::new(); count], ..Link::default() };
        assert!(warnings(&link(MANY_COMPANIES)).is_empty());
        assert_eq!(warnings(&link(MANY_COMPANIES + 1)).len(), 1);
    }

    #[test]
    fn companies_that_are_missing() {
        let (a, b) = (companies(&["USMF", "DEMF"]), companies(&["usmf"]));
        assert_eq!(missing(&a, &b), ["DEMF"]);
        assert!(missing(&b, &a).is_empty());
    }
}
