//! Finance-and-operations environments: deployed, changed, deleted.

use std::sync::Arc;

use chrono::Utc;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{
    FinanceAndOperationsEnvironmentState as ErpState,
    FinanceAndOperationsEnvironmentType as ErpType, OperationKind,
    PlatformEnvironmentState as State, PlatformEnvironmentType as Type,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Begin, Desk, erp as named, invalid, new_id, once, required};
use crate::Deps;
use crate::add_ins::Version;
use crate::caller::Actor;
use crate::databases;
use crate::environments::capacity::{self, Need};
use crate::environments::order::{Order, SetupWish};
use crate::environments::{licences, locations, rules};
use crate::error::Error;
use crate::resource::{self, FINANCE_AND_OPERATIONS, USERS};
use crate::store::finance_and_operations::{self, FinanceAndOperations};
use crate::store::name_claim::Kind as Name;
use crate::store::platform::{self, Platform};
use crate::text;

/// Of an environment that does not say what it runs.
const VERSION: &str = "10.0.40";
const LONGEST_VERSION: usize = 40;

/// Deploys one, with its initial platform environment.
pub(crate) async fn create_erp(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::CreateFinanceAndOperationsEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "CreateFinanceAndOperationsEnvironment", request, |transaction| {
        create(&desk, &mut transaction, request)
    })
}

async fn create(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::CreateFinanceAndOperationsEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    let new = new_erp(desk, transaction, request).await?;
    check_setup(desk, request, new.kind).await?;
    licences::check(desk.deps, transaction, desk.actor, new.kind).await?;
    let (initial, setup) = match (new.kind, &request.setup) {
        (ErpType::CloudHosted, None) => (None, None),
        (ErpType::CloudHosted, Some(setup)) => {
            (Some(initial_of(&new)?), Some(SetupWish { template: setup.template.clone() }))
        }
        _ => (Some(initial_of(&new)?), None),
    };
    if let Some(initial) = &initial {
        let need = Need::new(CapacityOperation::CreateEnvironment, initial.name());
        capacity::check(&desk.deps.clients.capacity, &need).await?;
    }
    insert(transaction, &new, initial.as_ref()).await?;
    let begin = Begin {
        kind: OperationKind::CreateEnvironment,
        order: &Order::DeployErp {
            environment_id: new.environment_id,
            initial: initial.as_ref().map(|it| it.id),
            setup,
        },
        targets: [new.name()].into_iter().chain(initial.map(|it| it.name())).collect(),
        warnings: Vec::new(),
    };
    desk.begin(transaction, begin).await
}

async fn new_erp(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::CreateFinanceAndOperationsEnvironmentRequest,
) -> Result<FinanceAndOperations, Error> {
    let id = &request.finance_and_operations_environment_id;
    rules::check_id("finance_and_operations_environment_id", id)?;
    let field = "finance_and_operations_environment";
    let asked = required(field, request.finance_and_operations_environment.as_ref())?;
    let kind = match asked.r#type() {
        kind @ (ErpType::Production | ErpType::Sandbox | ErpType::CloudHosted) => kind,
        ErpType::Unspecified => return Err(invalid("type", "it is required")),
        ErpType::UnifiedProduction | ErpType::UnifiedSandbox | ErpType::UnifiedDeveloper => {
            return Err(invalid("type", "a unified one is installed in a platform environment"));
        }
    };
    if locations::of_region(&asked.region).is_none() {
        let message = format!("The region `{}` is not known.", asked.region);
        return Err(Error::Region { region: asked.region.clone(), message });
    }
    let display_name = if asked.display_name.is_empty() { id } else { &asked.display_name };
    rules::check_display_name("display_name", display_name)?;
    let (database, adopted) = database_of(desk, transaction, id, &asked.database).await?;
    Ok(FinanceAndOperations {
        environment_id: new_id(),
        id: id.clone(),
        display_name: display_name.clone(),
        kind,
        state: ErpState::Deploying,
        url: desk.deps.config.erp_url.replace("{name}", id),
        tenant_id: desk.deps.config.tenant_id,
        region: asked.region.clone(),
        administrator: administrator_of(desk.actor, &asked.administrator)?,
        version: version_of(&asked.version)?,
        database,
        adopted,
        create_time: Utc::now(),
        revision: 1,
        initial: None,
        link: None,
    })
}

/// One that is there and nobody else's, or the name of a new one.
async fn database_of(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    id: &str,
    asked: &str,
) -> Result<(String, bool), Error> {
    let databases = &desk.deps.databases;
    if asked.is_empty() {
        if databases.erp_template.is_none() {
            let message =
                "no template for new databases is configured, so one that is there has to be named";
            return Err(invalid("database", message));
        }
        return Ok((databases::finance_and_operations(id), false));
    }
    text::check("database", asked, databases::LONGEST_NAME)?;
    let used = databases.is_reserved(asked) || platform::has_database(transaction, asked).await?;
    if used {
        return Err(invalid("database", "it is used for something else here"));
    }
    match databases.erp.accepts_data(asked).await? {
        true => Ok((asked.to_owned(), true)),
        false => Err(invalid("database", "the ERP's server has no such database for data")),
    }
}

fn administrator_of(actor: &Actor, asked: &str) -> Result<String, Error> {
    if asked.is_empty() {
        return Ok(actor.name());
    }
    match resource::id(USERS, asked) {
        Ok(_) => Ok(asked.to_owned()),
        Err(_) => Err(invalid("administrator", "it takes `users/…`")),
    }
}

fn version_of(asked: &str) -> Result<String, Error> {
    let version = if asked.is_empty() { VERSION } else { asked };
    match version.len() <= LONGEST_VERSION && Version::parse(version).is_some() {
        true => Ok(version.to_owned()),
        false => Err(invalid("version", "it takes numbers and dots, such as `10.0.40`")),
    }
}

/// A setup at the deployment is for cloud-hosted ones, and is confirmed as any other (spec PPI-24).
async fn check_setup(
    desk: &Desk<'_>,
    request: &pb::CreateFinanceAndOperationsEnvironmentRequest,
    kind: ErpType,
) -> Result<(), Error> {
    let Some(setup) = &request.setup else { return Ok(()) };
    if kind != ErpType::CloudHosted {
        return Err(invalid(
            "setup",
            "only a cloud-hosted environment is set up as it is deployed",
        ));
    }
    crate::setup::check_deployment(desk.deps, desk.actor, setup).await
}

/// The platform environment that is made with an ERP (spec PPI-01).
fn initial_of(erp: &FinanceAndOperations) -> Result<Platform, Error> {
    let location =
        locations::of_region(&erp.region).ok_or_else(|| Error::Malformed(erp.region.clone()))?;
    Ok(Platform {
        id: new_id(),
        display_name: erp.display_name.clone(),
        kind: if erp.kind == ErpType::Production { Type::Production } else { Type::Sandbox },
        state: State::Preparing,
        location: location.id.clone(),
        region: erp.region.clone(),
        tenant_id: erp.tenant_id,
        dataverse: None,
        initial_of: Some(erp.environment_id),
        initial_name: None,
        initial: true,
        unified: false,
        platform_tools: false,
        create_time: Utc::now(),
        delete_time: None,
        revision: 1,
        link: None,
        finance_and_operations_url: None,
    })
}

/// Writes the rows, and with them takes the names.
pub(super) async fn insert(
    transaction: &mut PgConnection,
    new: &FinanceAndOperations,
    initial: Option<&Platform>,
) -> Result<(), Error> {
    if let Some(taken) = finance_and_operations::insert(transaction, new).await? {
        let message = match taken {
            Name::FinanceAndOperationsUrl => format!("the URL `{}` is taken", new.url),
            Name::FinanceAndOperationsDatabase => {
                format!("the database `{}` is another environment's", new.database)
            }
            Name::FinanceAndOperations | Name::Host | Name::UnifiedName => format!(
                "the name `{}` is taken; it stays so for a day after its environment was deleted",
                new.id
            ),
        };
        return Err(Error::Exists { resource: new.name(), message });
    }
    if let Some(initial) = initial {
        platform::insert(transaction, initial).await?;
    }
    Ok(())
}

/// Another administrator.
pub(crate) async fn update_erp(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::UpdateFinanceAndOperationsEnvironmentRequest,
) -> Result<FinanceAndOperations, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    let updated: Result<pb::FinanceAndOperationsEnvironment, Error> =
        once!(desk, "UpdateFinanceAndOperationsEnvironment", request, |transaction| {
            update(&desk, &mut transaction, request)
        });
    let mut connection = deps.store.pool().acquire().await?;
    named(&mut connection, &updated?.name).await
}

async fn update(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::UpdateFinanceAndOperationsEnvironmentRequest,
) -> Result<pb::FinanceAndOperationsEnvironment, Error> {
    let field = "finance_and_operations_environment";
    let asked = required(field, request.finance_and_operations_environment.as_ref())?;
    let found = named(transaction, &asked.name).await?;
    rules::check_etag(&asked.etag, found.revision, &asked.name)?;
    let paths = request.update_mask.as_ref().map(|it| it.paths.as_slice()).unwrap_or_default();
    for path in paths {
        if path != "administrator" {
            return Err(invalid("update_mask", format!("`{path}` may not change")));
        }
        let administrator = administrator_of(desk.actor, &asked.administrator)?;
        let (id, revision) = (found.environment_id, found.revision);
        let set = finance_and_operations::set_administrator(
            &mut *transaction,
            id,
            revision,
            &administrator,
        );
        if !set.await? {
            return Err(Error::VersionMismatch(asked.name.clone()));
        }
    }
    Ok(pb::FinanceAndOperationsEnvironment { name: asked.name.clone(), ..Default::default() })
}

/// Deletes one, and its link with it.
pub(crate) async fn delete_erp(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::DeleteFinanceAndOperationsEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "DeleteFinanceAndOperationsEnvironment", request, |transaction| {
        delete(&desk, &mut transaction, request)
    })
}

async fn delete(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::DeleteFinanceAndOperationsEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    let found = named(transaction, &request.name).await?;
    rules::check_etag(&request.etag, found.revision, &request.name)?;
    rules::check_deployed(&found)?;
    rules::check_confirmation(&request.confirmation, &found.display_name)?;
    let platform = |id: Uuid| resource::name(resource::PLATFORM, id);
    let others = [found.link.as_ref().map(|it| it.1), found.initial].into_iter().flatten();
    let mut targets: Vec<String> =
        std::iter::once(resource::name(FINANCE_AND_OPERATIONS, &found.id))
            .chain(others.map(platform))
            .collect();
    targets.dedup();
    let begin = Begin {
        kind: OperationKind::DeleteEnvironment,
        order: &Order::DeleteErp { environment_id: found.environment_id },
        targets,
        warnings: Vec::new(),
    };
    let operation = desk.begin(transaction, begin).await?;
    // Linked meanwhile, the other half would not be held.
    let now = named(transaction, &request.name).await?;
    rules::check_deployed(&now)?;
    match now.revision == found.revision {
        true => {
            let (id, deleting) = (found.environment_id, ErpState::Deleting);
            finance_and_operations::set_state(transaction, id, deleting).await?;
            Ok(operation)
        }
        false => Err(Error::VersionMismatch(request.name.clone())),
    }
}
