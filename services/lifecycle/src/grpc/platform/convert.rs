//! Platform environments as messages.

use chrono::{DateTime, Utc};
use proto::lifecycle::v1 as pb;
use uuid::Uuid;

use crate::engine::progress::timestamp;
use crate::environments::begin::backup_name;
use crate::environments::locations::{LOCATIONS, Location};
use crate::error::Error;
use crate::resource::{self, FINANCE_AND_OPERATIONS, LINKS};
use crate::store::backup::Backup;
use crate::store::platform::{Dataverse, Platform};

/// As it is shown.
pub(super) fn environment(it: &Platform) -> pb::PlatformEnvironment {
    let initial_of = it.initial_name.as_ref().map(|id| resource::name(FINANCE_AND_OPERATIONS, id));
    pb::PlatformEnvironment {
        name: it.name(),
        display_name: it.display_name.clone(),
        r#type: it.kind.into(),
        state: it.state.into(),
        location: resource::name(LOCATIONS, &it.location),
        region: it.region.clone(),
        tenant_id: it.tenant_id.to_string(),
        database: it.dataverse.as_ref().map(database),
        initial_of: initial_of.unwrap_or_default(),
        link: it.link.as_ref().map(|link| resource::name(LINKS, &link.id)).unwrap_or_default(),
        finance_and_operations_url: it.finance_and_operations_url.clone().unwrap_or_default(),
        create_time: Some(timestamp(it.create_time)),
        delete_time: it.delete_time.map(timestamp),
        etag: it.revision.to_string(),
    }
}

fn database(it: &Dataverse) -> pb::PlatformDatabase {
    pb::PlatformDatabase {
        host_name: it.host_name.clone(),
        url: it.url.clone(),
        organization_id: it.organization_id.to_string(),
        language: it.language.clone(),
        currency_code: it.currency_code.clone(),
        d365_apps_enabled: it.d365_apps_enabled,
        database_name: it.database.clone(),
    }
}

/// As it is shown.
pub(super) fn backup(environment: Uuid, it: &Backup) -> pb::Backup {
    pb::Backup {
        name: backup_name(environment, it.id),
        label: it.label.clone(),
        system: it.system,
        create_time: Some(timestamp(it.create_time)),
        expire_time: Some(timestamp(it.expire_time)),
    }
}

/// As it is shown.
pub(super) fn location(it: &Location) -> pb::Location {
    let region = |(code, support): (&str, pb::FinanceAndOperationsSupport)| pb::Region {
        code: code.to_owned(),
        finance_and_operations_support: support.into(),
    };
    pb::Location {
        name: resource::name(LOCATIONS, &it.id),
        display_name: it.display_name.clone(),
        regions: it.regions().map(region).collect(),
    }
}

/// Where an environment is in the list.
pub(super) fn place(it: &Platform) -> String {
    format!("{}/{}", it.id, it.display_name)
}

/// The same, read.
pub(super) fn place_of(text: &str) -> Result<(String, Uuid), Error> {
    if text.is_empty() {
        return Ok((String::new(), Uuid::nil()));
    }
    let (id, display_name) = text.split_once('/').ok_or(Error::PageToken)?;
    Ok((display_name.to_owned(), id.parse().map_err(|_| Error::PageToken)?))
}

/// Where a backup is in the list.
pub(super) fn moment(it: &Backup) -> String {
    format!("{}/{}", it.create_time.timestamp_micros(), it.id)
}

/// The same, read.
pub(super) fn moment_of(text: &str) -> Result<Option<(DateTime<Utc>, Uuid)>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = || {
        let (time, id) = text.split_once('/')?;
        Some((DateTime::from_timestamp_micros(time.parse().ok()?)?, id.parse().ok()?))
    };
    read().map(Some).ok_or(Error::PageToken)
}
