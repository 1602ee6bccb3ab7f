//! Gathers what prerequisites are judged by, from the services that know it.

use std::sync::Arc;

use proto::capacity::v1::reservation_service_client::ReservationServiceClient;
use proto::capacity::v1::user_licence_service_client::UserLicenceServiceClient;
use proto::capacity::v1::{CapacityOperation, CheckReservationRequest, ListUserLicencesRequest};
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use proto::user_context::v1::{LookupUserRequest, LookupUserResponse};
use rpc::role;
use tonic::Code;

use super::prerequisites::{Capacity, Erp, Existing, Facts};
use crate::Deps;
use crate::clients::asked;
use crate::environments::locations;
use crate::error::Error;
use crate::resource::{self, USERS};
use crate::store::finance_and_operations::FinanceAndOperations;
use crate::store::platform::{Dataverse, Platform};
use crate::store::settings;

const PAGE: i32 = 1_000;

/// What is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// `users/…` who runs the setup.
    pub(crate) user: &'a str,
    pub(crate) erp: &'a FinanceAndOperations,
    /// Absent: a new database in the initial environment.
    pub(crate) existing: Option<&'a Platform>,
    /// The operation that asks: it may hold what it needs, and be what services the environment.
    pub(crate) by_its_operation: Option<Held>,
}

/// What an operation has by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its reservation is there.
    pub(crate) capacity: bool,
}

/// Everything that is known.
pub(crate) async fn gather(deps: &Arc<Deps>, question: Question<'_>) -> Result<Facts, Error> {
    let user = look_up(deps, question.user, None).await?;
    let held = question.by_its_operation;
    let capacity = match held {
        Some(Held { capacity: true }) => {
            Capacity { allowed: true, in_overage: false, message: String::new() }
        }
        Some(_) | None => capacity(deps).await?,
    };
    let settings = settings::read(&mut *deps.store.pool().acquire().await?).await?;
    let existing = match question.existing {
        Some(platform) => Some(existing(deps, question, platform, user.is_some()).await?),
        None => None,
    };
    let erp = question.erp;
    Ok(Facts {
        user: question.user.strip_prefix("users/").unwrap_or(question.user).to_owned(),
        capacity,
        creation_restricted: settings.disable_environment_creation_by_non_admin_users,
        roles: user.map(|it| it.roles).unwrap_or_default(),
        licensed: is_licensed(deps, question.user).await?,
        erp: Erp {
            name: erp.id.clone(),
            state: erp.state,
            serviced_by_us: held.is_some(),
            region: erp.region.clone(),
            geography: locations::of_region(&erp.region).map(|it| it.display_name.clone()),
        },
        existing,
    })
}

/// What a user should know and need not change: regions that differ within a geography (spec PPI-27).
pub(crate) fn warnings(erp: &FinanceAndOperations, platform: &Platform) -> Vec<String> {
    let (here, there) = (&erp.region, &platform.region);
    match there.is_empty() || here == there {
        true => Vec::new(),
        false => vec![format!(
            "`{}` is in the region {here} and `{}` in {there}: calls between them take longer than within \
             one region.",
            erp.id, platform.display_name
        )],
    }
}

/// Somebody who may sign in, in the directory that runs here or in an environment's own; `None` for who may
/// not, or is not known there.
pub(crate) async fn look_up(
    deps: &Arc<Deps>,
    user: &str,
    place: Option<&Dataverse>,
) -> Result<Option<LookupUserResponse>, Error> {
    let mut client = UserContextServiceClient::new(deps.clients.user_context.clone());
    let request = LookupUserRequest {
        user: user.to_owned(),
        database: place.map(|it| it.database.clone()).unwrap_or_default(),
        database_role: place.map(|it| it.role.clone()).unwrap_or_default(),
    };
    match client.lookup_user(asked(request)).await {
        Ok(answer) => Ok(Some(answer.into_inner()).filter(|it| !it.disabled)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

async fn existing(
    deps: &Arc<Deps>,
    question: Question<'_>,
    platform: &Platform,
    user_is_known: bool,
) -> Result<Existing, Error> {
    let tenant = deps.config.tenant_id;
    let dataverse = platform.dataverse.as_ref();
    let administered = match dataverse {
        Some(it) => look_up(deps, question.user, Some(it)).await?.is_some_and(|it| {
            it.roles.iter().any(|role| role.eq_ignore_ascii_case(role::SYSTEM_ADMINISTRATOR))
        }),
        None => false,
    };
    let geography = locations::all().iter().find(|it| it.id == platform.location);
    Ok(Existing {
        display_name: platform.display_name.clone(),
        same_tenant: user_is_known
            && question.erp.tenant_id == tenant
            && platform.tenant_id == tenant,
        administered,
        has_database: dataverse.is_some(),
        d365_apps_enabled: dataverse.is_some_and(|it| it.d365_apps_enabled),
        geography: geography.map_or(&platform.location, |it| &it.display_name).clone(),
    })
}

async fn capacity(deps: &Arc<Deps>) -> Result<Capacity, Error> {
    let mut client = ReservationServiceClient::new(deps.clients.capacity.clone());
    let operation = CapacityOperation::AddDatabase.into();
    let request = CheckReservationRequest { operation, ..Default::default() };
    let answer = client.check_reservation(asked(request)).await?.into_inner();
    let (allowed, in_overage) = (answer.allowed, answer.in_overage);
    Ok(Capacity { allowed, in_overage, message: answer.message })
}

async fn is_licensed(deps: &Arc<Deps>, user: &str) -> Result<bool, Error> {
    let mut client = UserLicenceServiceClient::new(deps.clients.capacity.clone());
    // There are fewer products than fit on a page.
    let request = ListUserLicencesRequest {
        user: resource::name(USERS, user.strip_prefix("users/").unwrap_or(user)),
        page_size: PAGE,
        ..Default::default()
    };
    let answer = client.list_user_licences(asked(request)).await?.into_inner();
    Ok(answer.accruals.iter().any(|it| it.permits_setup))
}
