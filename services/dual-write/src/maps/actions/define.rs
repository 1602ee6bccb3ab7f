//! What maps synchronize: their definitions and versions (spec DW-25..27).

use proto::dual_write::v1::{self as pb, MapVersion, Side, TableMap, ValidationIssue};
use sqlx::PgConnection;

use super::{check_etag, check_stopped, settings};
use crate::error::Error;
use crate::map::file::{content_hash, version_name};
use crate::map::schema::Schemas;
use crate::map::validate::{is_valid, validate};
use crate::names;
use crate::store::activity::Activity;
use crate::store::versions::Origin;
use crate::store::{self};

const LONGEST_PUBLISHER: usize = 100;
const LONGEST_DESCRIPTION: usize = 2_000;
const MOST_FIELDS: usize = 2_000;

/// A definition that may be saved.
pub(crate) struct Checked {
    pub(crate) version: MapVersion,
    pub(crate) warnings: Vec<ValidationIssue>,
}

/// Makes a map with its first version, and returns its name and what there is to say.
pub(crate) async fn create_map(
    connection: &mut PgConnection,
    schemas: &Schemas,
    request: pb::CreateMapRequest,
    actor: &str,
) -> Result<(String, Vec<ValidationIssue>), Error> {
    let name = names::map(&request.map_id)?;
    let mut map = request.map.unwrap_or_default();
    let version = request.version.ok_or_else(|| Error::invalid("version", "is missing"))?;
    store::links::hold(&mut *connection).await?;
    map.name.clone_from(&name);
    let warnings = put_map(connection, schemas, map, version, actor).await?;
    Ok((name, warnings))
}

/// Puts a new map there with its first version.
async fn put_map(
    connection: &mut PgConnection,
    schemas: &Schemas,
    mut map: TableMap,
    version: MapVersion,
    actor: &str,
) -> Result<Vec<ValidationIssue>, Error> {
    name_tables(&mut map, schemas);
    map.company_specific = is_company_specific(&map, schemas);
    if map.display_name.is_empty() {
        map.display_name =
            format!("{} - {}", map.finance_and_operations_entity, map.platform_table);
    }
    settings::check(&map)?;
    let checked = check_version(&map, version, schemas)?;
    insert_map(connection, map, &checked.version, Origin::default(), actor).await?;
    Ok(checked.warnings)
}

/// Puts a new map there that a solution brought. Whether it fits the tables is seen when it is started.
pub(super) async fn put_published(
    connection: &mut PgConnection,
    schemas: &Schemas,
    mut map: TableMap,
    version: MapVersion,
    origin: Origin<'_>,
    actor: &str,
) -> Result<(), Error> {
    name_tables(&mut map, schemas);
    map.company_specific = company_specific(&map, schemas);
    settings::check(&map)?;
    insert_map(connection, map, &version, origin, actor).await
}

async fn insert_map(
    connection: &mut PgConnection,
    mut map: TableMap,
    version: &MapVersion,
    origin: Origin<'_>,
    actor: &str,
) -> Result<(), Error> {
    map.active_version.clone_from(&version.name);
    store::maps::insert(&mut *connection, &map).await?;
    store::versions::insert(&mut *connection, &map.name, version, origin).await?;
    let message = format!("Created with version {} of {}.", version.version, version.publisher);
    let detail = serde_json::json!({ "version": version.name, "solution": origin.solution });
    Activity::new("MapCreated", message).with(detail).record(connection, &map.name, actor).await
}

/// Saves a definition as a new version, and chooses it.
pub(crate) async fn save_version(
    connection: &mut PgConnection,
    schemas: &Schemas,
    map: &str,
    version: MapVersion,
    actor: &str,
) -> Result<(MapVersion, Vec<ValidationIssue>), Error> {
    names::check_map(map)?;
    let stored = store::maps::lock(&mut *connection, map).await?.map;
    check_stopped(&stored)?;
    let company_specific = is_company_specific(&stored, schemas);
    let checked = TableMap { company_specific, ..stored.clone() };
    let Checked { mut version, warnings } = check_version(&checked, version, schemas)?;
    let created =
        store::versions::insert(&mut *connection, map, &version, Origin::default()).await?;
    version.create_time = Some(names::timestamp(created));
    choose(connection, schemas, &stored, &version, actor).await?;
    Ok((version, warnings))
}

/// Chooses which version runs.
pub(crate) async fn activate(
    connection: &mut PgConnection,
    schemas: &Schemas,
    name: &str,
    etag: &str,
    actor: &str,
) -> Result<String, Error> {
    let map = names::map_of_version(name)?;
    let stored = store::maps::lock(&mut *connection, map).await?.map;
    check_etag(&stored, etag)?;
    check_stopped(&stored)?;
    let version = store::versions::get(&mut *connection, name).await?.version;
    choose(connection, schemas, &stored, &version, actor).await?;
    Ok(stored.name)
}

/// Forgets a map.
pub(crate) async fn delete(
    connection: &mut PgConnection,
    name: &str,
    etag: &str,
    actor: &str,
) -> Result<(), Error> {
    names::check_map(name)?;
    let stored = store::maps::lock(&mut *connection, name).await?.map;
    check_etag(&stored, etag)?;
    check_stopped(&stored)?;
    store::maps::delete(&mut *connection, name).await?;
    let activity = Activity::new("MapDeleted", format!("`{name}` was deleted with its history."));
    activity.record(connection, "", actor).await
}

/// Everything that is wrong with a definition, as it would be saved.
pub(crate) fn findings(
    map: &TableMap,
    version: &MapVersion,
    schemas: &Schemas,
) -> Vec<ValidationIssue> {
    let (entity, table) = (&map.finance_and_operations_entity, &map.platform_table);
    validate(version, entity, table, is_company_specific(map, schemas), schemas)
}

/// The version as it is stored, unless something is wrong with it.
pub(crate) fn check_version(
    map: &TableMap,
    version: MapVersion,
    schemas: &Schemas,
) -> Result<Checked, Error> {
    let version = normal(map, version)?;
    let issues = findings(map, &version, schemas);
    match is_valid(&issues) {
        true => Ok(Checked { version, warnings: issues }),
        false => Err(Error::Validation { resource: map.name.clone(), issues }),
    }
}

/// Where both sides of a map carry a company, it is one of companies.
fn is_company_specific(map: &TableMap, schemas: &Schemas) -> bool {
    let has_company =
        |side, name: &str| schemas.get(side, name).is_some_and(|it| it.company.is_some());
    has_company(Side::FinanceAndOperations, &map.finance_and_operations_entity)
        && has_company(Side::Platform, &map.platform_table)
}

/// As the tables have it, or as the map says where they are not there.
fn company_specific(map: &TableMap, schemas: &Schemas) -> bool {
    let (erp, platform) = (&map.finance_and_operations_entity, &map.platform_table);
    let is_there = schemas.get(Side::FinanceAndOperations, erp).is_some()
        && schemas.get(Side::Platform, platform).is_some();
    if is_there { is_company_specific(map, schemas) } else { map.company_specific }
}

/// Makes a version the one that runs.
pub(super) async fn choose(
    connection: &mut PgConnection,
    schemas: &Schemas,
    map: &TableMap,
    version: &MapVersion,
    actor: &str,
) -> Result<(), Error> {
    let (name, company_specific) = (&map.name, company_specific(map, schemas));
    store::maps::set_version(&mut *connection, name, &version.name, company_specific).await?;
    let message = format!("Version {} of {} is chosen.", version.version, version.publisher);
    let detail = serde_json::json!({ "version": version.name, "before": map.active_version });
    Activity::new("VersionActivated", message).with(detail).record(connection, name, actor).await
}

/// With its name and hash; what is not a definition's is left out.
fn normal(map: &TableMap, version: MapVersion) -> Result<MapVersion, Error> {
    let publisher = version.publisher.trim().to_owned();
    let fits = |it: char| it.is_ascii_alphanumeric() || "._- ".contains(it);
    if publisher.len() > LONGEST_PUBLISHER || !publisher.chars().all(fits) {
        let reason = "takes letters, digits, spaces, dots, hyphens and underscores, at most 100";
        return Err(Error::invalid("version.publisher", reason));
    }
    if version.description.chars().count() > LONGEST_DESCRIPTION {
        return Err(Error::invalid("version.description", "is too long"));
    }
    if version.field_maps.len() > MOST_FIELDS {
        let message = format!("a map has at most {MOST_FIELDS} field maps");
        let (limit, allowed, actual) = ("field_maps", MOST_FIELDS, version.field_maps.len());
        return Err(Error::Limit { limit, allowed, actual, message });
    }
    Ok(MapVersion {
        name: version_name(&map.name, version.version.trim(), &publisher),
        version: version.version.trim().to_owned(),
        content_hash: content_hash(&version),
        create_time: None,
        required_solutions: Vec::new(),
        publisher,
        ..version
    })
}

/// As the sides call them, where they are known.
fn name_tables(map: &mut TableMap, schemas: &Schemas) {
    let named = |side, name: &str| schemas.get(side, name).map(|it| it.name.clone());
    let entity = named(Side::FinanceAndOperations, &map.finance_and_operations_entity);
    if let Some(entity) = entity {
        map.finance_and_operations_entity = entity;
    }
    if let Some(table) = named(Side::Platform, &map.platform_table) {
        map.platform_table = table;
    }
}
