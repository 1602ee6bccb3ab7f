//! Finance and operations as an app of a platform environment (spec PPI-25, PPI-28).

use std::sync::Arc;

use chrono::Utc;
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{
    FinanceAndOperationsEnvironmentState as ErpState,
    FinanceAndOperationsEnvironmentType as ErpType, FinanceAndOperationsSupport as Support,
    OperationKind, PlatformEnvironmentType as Type,
};
use sqlx::PgConnection;

use super::erp::insert;
use super::platform::unified_name_taken;
use super::{Begin, Desk, invalid, new_id, once, platform as named};
use crate::Deps;
use crate::caller::Actor;
use crate::databases;
use crate::environments::capacity::{self, Need};
use crate::environments::order::Order;
use crate::environments::{locations, rules};
use crate::error::Error;
use crate::resource::{self, FINANCE_AND_OPERATIONS};
use crate::store::finance_and_operations::FinanceAndOperations;
use crate::store::platform::{self, Dataverse, Platform};

const NO_D365_APPS: &str =
    "Dynamics 365 Finance and Operations Provisioning App isn't supported on SchemaType: Standard";
const NO_PLATFORM_TOOLS: &str = "Please install the Dynamics 365 Finance and Operations Platform Tools application before installing the Dynamics 365 Finance and Operations Provisioning app.";
const TEMPLATES: [&str; 4] =
    ["D365_FinOps_Finance", "D365_FinOps_SCM", "D365_FinOps_ProjOps", TRIAL_TEMPLATE];
const TRIAL_TEMPLATE: &str = "D365_FinOps_Commerce";
const LONGEST_HOST: usize = 19;
const LONGEST_NAME: usize = 20;
const VERSION: &str = "10.0.40";

/// What the parameter string says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Parameters {
    pub(super) developer: bool,
    pub(super) demo_data: bool,
}

impl Parameters {
    /// `DevToolsEnabled=true|DemoDataEnabled=true`.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut parameters = Self::default();
        for part in text.split('|').filter(|it| !it.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = match value.to_ascii_lowercase().as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(invalid("parameters", format!("`{name}` is true or false"))),
            };
            match name {
                "DevToolsEnabled" => parameters.developer = value,
                "DemoDataEnabled" => parameters.demo_data = value,
                _ => return Err(invalid("parameters", format!("there is no parameter `{name}`"))),
            }
        }
        Ok(parameters)
    }
}

/// Installs it.
pub(crate) async fn install(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::InstallFinanceAndOperationsRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "InstallFinanceAndOperations", request, |transaction| {
        begin_install(&desk, &mut transaction, request)
    })
}

async fn begin_install(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::InstallFinanceAndOperationsRequest,
) -> Result<pb::Operation, Error> {
    let found = named(transaction, &request.name).await?;
    let parameters = Parameters::parse(&request.parameters)?;
    if !TEMPLATES.contains(&request.unified_template.as_str()) {
        return Err(invalid("unified_template", format!("it is one of {}", TEMPLATES.join(", "))));
    }
    check_environment(&found)?;
    if request.unified_template == TRIAL_TEMPLATE && found.kind != Type::Trial {
        return Err(unmet(&found, "The template is for trial environments only."));
    }
    check_region(&found, parameters)?;
    if desk.deps.databases.erp_template.is_none() {
        return Err(unmet(&found, "No template for new databases of the ERP is configured."));
    }
    let need = Need::new(CapacityOperation::InstallFinanceAndOperations, found.name());
    capacity::check(&desk.deps.clients.capacity, &need).await?;
    let new = new_erp(desk, &found, parameters)?;
    insert(transaction, &new, None).await?;
    if !platform::set_unified(transaction, &found).await? {
        return Err(unified_name_taken(&found.display_name));
    }
    let begin = Begin {
        kind: OperationKind::InstallFinanceAndOperations,
        order: &Order::InstallErp { environment_id: new.environment_id, platform: found.id },
        targets: vec![found.name(), new.name()],
        warnings: Vec::new(),
    };
    let operation = desk.begin(transaction, begin).await?;
    check_environment(&named(transaction, &request.name).await?)?;
    Ok(operation)
}

fn unmet(environment: &Platform, message: &str) -> Error {
    Error::Requirement { environment: environment.name(), message: message.to_owned() }
}

/// Type, apps, and lengths of names (spec §1.6).
fn check_environment(environment: &Platform) -> Result<&Dataverse, Error> {
    if environment.link.is_some() || environment.initial_of.is_some() {
        return Err(Error::Blocked {
            environment: environment.name(),
            operation: "install_finance_and_operations",
            message: "The environment belongs to a finance and operations environment already."
                .to_owned(),
        });
    }
    rules::check_ready(environment)?;
    let dataverse = rules::dataverse(environment)?;
    if !matches!(environment.kind, Type::Sandbox | Type::Trial) {
        return Err(unmet(
            environment,
            "It is installed in sandboxes and subscription trials only.",
        ));
    }
    if !dataverse.d365_apps_enabled {
        return Err(unmet(environment, NO_D365_APPS));
    }
    if !environment.platform_tools {
        return Err(unmet(environment, NO_PLATFORM_TOOLS));
    }
    if dataverse.host_name.len() > LONGEST_HOST {
        return Err(unmet(environment, "The host name has more than 19 characters."));
    }
    if environment.display_name.chars().count() > LONGEST_NAME {
        return Err(unmet(environment, "The environment's name has more than 20 characters."));
    }
    Ok(dataverse)
}

/// Not every region takes every kind (spec PPI-28).
fn check_region(environment: &Platform, parameters: Parameters) -> Result<(), Error> {
    let smaller = parameters.developer || environment.kind == Type::Trial;
    match locations::support(&environment.location, &environment.region) {
        Support::Full => Ok(()),
        Support::DeveloperAndTrial if smaller => Ok(()),
        Support::DeveloperAndTrial | Support::None | Support::Unspecified => Err(Error::Region {
            region: environment.region.clone(),
            message: format!(
                "The region `{}` does not take such an environment of finance and operations.",
                environment.region
            ),
        }),
    }
}

/// Named after the host.
fn new_erp(
    desk: &Desk<'_>,
    environment: &Platform,
    parameters: Parameters,
) -> Result<FinanceAndOperations, Error> {
    let id = &rules::dataverse(environment)?.host_name;
    rules::check_id("name", id)?;
    let location = locations::named(&resource::name(locations::LOCATIONS, &environment.location))?;
    let full = location.regions().find(|it| it.1 == Support::Full).map(|it| it.0.to_owned());
    let region = match environment.region.is_empty() {
        true => full.unwrap_or_default(),
        false => environment.region.clone(),
    };
    tracing::info!(
        environment = %resource::name(FINANCE_AND_OPERATIONS, id),
        demo_data = parameters.demo_data,
        "finance and operations is installed"
    );
    Ok(FinanceAndOperations {
        environment_id: new_id(),
        id: id.clone(),
        display_name: environment.display_name.clone(),
        kind: if parameters.developer {
            ErpType::UnifiedDeveloper
        } else {
            ErpType::UnifiedSandbox
        },
        state: ErpState::Deploying,
        url: desk.deps.config.erp_url.replace("{name}", id),
        tenant_id: environment.tenant_id,
        region,
        administrator: desk.actor.name(),
        version: VERSION.to_owned(),
        database: databases::finance_and_operations(id),
        adopted: false,
        create_time: Utc::now(),
        revision: 1,
        initial: None,
        link: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_and_unknown_ones_refused() {
        let check = |text: &str, developer, demo_data| {
            assert_eq!(
                Parameters::parse(text).unwrap(),
                Parameters { developer, demo_data },
                "{text}"
            );
        };
        check("", false, false);
        check("DevToolsEnabled=true|DemoDataEnabled=true", true, true);
        check("DemoDataEnabled=True", false, true);
        check("DevToolsEnabled=false|", false, false);
        for bad in ["DevToolsEnabled", "DevToolsEnabled=1", "X=true", "devtoolsenabled=true"] {
            assert!(Parameters::parse(bad).is_err(), "{bad}");
        }
    }
}
