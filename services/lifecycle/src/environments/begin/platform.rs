//! Platform environments: made, changed, deleted.

use std::sync::Arc;

use chrono::Utc;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{
    OperationKind, PlatformEnvironmentState as State, PlatformEnvironmentType as Type,
};
use rpc::role;
use sqlx::PgConnection;

use super::{Begin, Desk, database, invalid, new_id, once, platform as named, required};
use crate::Deps;
use crate::caller::Actor;
use crate::environments::capacity::{self, Need};
use crate::environments::locations;
use crate::environments::order::Order;
use crate::environments::rules;
use crate::error::Error;
use crate::setup::web_api_url;
use crate::store::platform::{self, Dataverse, Platform};
use crate::store::{hold, settings};

/// A new one, with or without a database.
pub(crate) async fn create_platform(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::CreatePlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "CreatePlatformEnvironment", request, |transaction| {
        create(&desk, &mut transaction, request)
    })
}

async fn create(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::CreatePlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    let asked = required("platform_environment", request.platform_environment.as_ref())?;
    rules::check_display_name("display_name", &asked.display_name)?;
    let kind = match asked.r#type() {
        Type::Unspecified => return Err(invalid("type", "it is required")),
        Type::Default => {
            return Err(invalid("type", "the default environment comes with the tenant"));
        }
        kind => kind,
    };
    let location = locations::named(&asked.location)
        .map_err(|_| invalid("location", "there is no such location"))?;
    if !asked.region.is_empty() && !location.regions().any(|it| it.0 == asked.region) {
        return Err(invalid("region", "the location has no such region"));
    }
    check_governance(desk.actor, transaction, kind).await?;
    let id = new_id();
    let new = Platform {
        id,
        display_name: asked.display_name.clone(),
        kind,
        state: State::Preparing,
        location: location.id.clone(),
        region: asked.region.clone(),
        tenant_id: desk.deps.config.tenant_id,
        dataverse: None,
        initial_of: None,
        initial_name: None,
        initial: false,
        unified: false,
        platform_tools: false,
        create_time: Utc::now(),
        delete_time: None,
        revision: 1,
        link: None,
        finance_and_operations_url: None,
    };
    let need = Need::new(CapacityOperation::CreateEnvironment, new.name());
    if counts(kind) {
        capacity::check(&desk.deps.clients.capacity, &need).await?;
    }
    platform::insert(transaction, &new).await?;
    if let Some(asked) = &asked.database {
        let wanted = database::wanted(desk, transaction, &new, location, asked).await?;
        wanted.announce(transaction).await?;
    }
    let begin = Begin {
        kind: OperationKind::CreateEnvironment,
        order: &Order::CreatePlatform { id, takes_capacity: counts(kind) },
        targets: vec![new.name()],
        warnings: Vec::new(),
    };
    desk.begin(transaction, begin).await
}

/// Whether an environment of the type counts for capacity (spec CAP-03).
pub(super) fn counts(kind: Type) -> bool {
    matches!(kind, Type::Production | Type::Sandbox | Type::Default)
}

/// Only administrators, where the tenant says so (spec PPI-06): by the roles themselves.
async fn check_governance(
    actor: &Actor,
    transaction: &mut PgConnection,
    kind: Type,
) -> Result<(), Error> {
    let settings = settings::read(transaction).await?;
    let restricted = match kind {
        Type::Trial => settings.disable_trial_environment_creation_by_non_admin_users,
        _ => settings.disable_environment_creation_by_non_admin_users,
    };
    let holds = |principal: &rpc::Principal| {
        role::TENANT_ADMINISTRATORS.iter().any(|it| principal.holds(it))
    };
    match restricted && !actor.caller.principals().all(holds) {
        false => Ok(()),
        true => Err(Error::Governance(
            "Only specific admins may create environments in this tenant: Global administrators, Dynamics \
             365 administrators and Power Platform administrators."
                .to_owned(),
        )),
    }
}

/// Another display name or host.
pub(crate) async fn update_platform(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::UpdatePlatformEnvironmentRequest,
) -> Result<Platform, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    let updated: Result<pb::PlatformEnvironment, Error> =
        once!(desk, "UpdatePlatformEnvironment", request, |transaction| {
            update(&desk, &mut transaction, request)
        });
    let mut connection = deps.store.pool().acquire().await?;
    named(&mut connection, &updated?.name).await
}

async fn update(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::UpdatePlatformEnvironmentRequest,
) -> Result<pb::PlatformEnvironment, Error> {
    let asked = required("platform_environment", request.platform_environment.as_ref())?;
    hold::lock(transaction, std::slice::from_ref(&asked.name)).await?;
    let found = named(transaction, &asked.name).await?;
    rules::check_etag(&asked.etag, found.revision, &asked.name)?;
    let paths = request.update_mask.as_ref().map(|it| it.paths.as_slice()).unwrap_or_default();
    for path in paths {
        match path.as_str() {
            "display_name" => {
                set_display_name(transaction, &asked.name, &asked.display_name).await?
            }
            "database.host_name" => {
                let host = asked.database.as_ref().map(|it| it.host_name.as_str());
                set_host(desk, transaction, &asked.name, host.unwrap_or_default()).await?;
            }
            other => return Err(invalid("update_mask", format!("`{other}` may not change"))),
        }
    }
    Ok(pb::PlatformEnvironment { name: asked.name.clone(), ..Default::default() })
}

async fn set_display_name(
    transaction: &mut PgConnection,
    name: &str,
    display_name: &str,
) -> Result<(), Error> {
    rules::check_display_name("display_name", display_name)?;
    let found = named(transaction, name).await?;
    if found.unified {
        check_unified_name(display_name)?;
        if !platform::rename_unified(transaction, found.id, display_name).await? {
            return Err(unified_name_taken(display_name));
        }
    }
    match platform::set_display_name(transaction, found.id, found.revision, display_name).await? {
        true => Ok(()),
        false => Err(Error::VersionMismatch(name.to_owned())),
    }
}

/// What a unified environment is called (spec PPI-25).
pub(super) fn check_unified_name(display_name: &str) -> Result<(), Error> {
    match display_name.chars().count() <= 20 {
        true => Ok(()),
        false => {
            Err(invalid("display_name", "a unified environment's takes 20 characters at most"))
        }
    }
}

pub(super) fn unified_name_taken(display_name: &str) -> Error {
    Error::Exists {
        resource: display_name.to_owned(),
        message: format!(
            "another unified environment is, or was until lately, called `{display_name}`"
        ),
    }
}

async fn set_host(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    name: &str,
    host: &str,
) -> Result<(), Error> {
    let found = named(transaction, name).await?;
    rules::may_change_host(&found)?;
    rules::check_ready(&found)?;
    rules::check_host("database.host_name", host)?;
    hold::refuse_held(transaction, &found.name()).await?;
    let current = rules::dataverse(&found)?;
    if current.host_name == host {
        return Ok(());
    }
    let location = locations::all().iter().find(|it| it.id == found.location);
    let location = location.ok_or_else(|| Error::Malformed(found.location.clone()))?;
    let url = web_api_url(desk.deps, host, &location.crm);
    let dataverse = Dataverse { host_name: host.to_owned(), url, ..current.clone() };
    if !platform::change_host(transaction, &found, &dataverse).await? {
        return Err(database::host_taken(host));
    }
    Ok(())
}

/// Deletes one; it can be recovered for a while.
pub(crate) async fn delete_platform(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::DeletePlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "DeletePlatformEnvironment", request, |transaction| {
        delete(&desk, &mut transaction, request)
    })
}

async fn delete(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::DeletePlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    let found = named(transaction, &request.name).await?;
    rules::check_etag(&request.etag, found.revision, &request.name)?;
    rules::may_delete(&found)?;
    rules::check_confirmation(&request.confirmation, &found.display_name)?;
    let begin = Begin {
        kind: OperationKind::DeleteEnvironment,
        order: &Order::DeletePlatform { id: found.id },
        targets: vec![found.name()],
        warnings: Vec::new(),
    };
    let operation = desk.begin(transaction, begin).await?;
    rules::may_delete(&named(transaction, &request.name).await?)?;
    Ok(operation)
}
