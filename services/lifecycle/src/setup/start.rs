//! Whether a setup may begin (spec lifecycle-and-web-api §1.2, §1.3, §1.6), and its beginning.

use std::sync::Arc;

use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{
    FinanceAndOperationsEnvironmentType as ErpType, OperationKind, PlatformEnvironmentState,
    PrerequisiteCheck,
};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::facts::{self, Question};
use super::template::{self, STANDARD, Template};
use super::{Order, prerequisites};
use crate::Deps;
use crate::caller::Actor;
use crate::engine;
use crate::error::Error;
use crate::resource::{self, FINANCE_AND_OPERATIONS, PLATFORM};
use crate::store::finance_and_operations::{self, FinanceAndOperations};
use crate::store::operation::NewOperation;
use crate::store::platform::{self, Platform};
use crate::store::{hold, link};

const AT_DEPLOYMENT: &str =
    "Platform integration of a cloud-hosted environment is possible at its deployment only.";

/// What is to be linked.
pub(crate) struct Pair {
    pub(crate) erp: FinanceAndOperations,
    pub(crate) platform: Platform,
    /// The platform environment was named, and has its database.
    pub(crate) existing: bool,
}

impl Pair {
    /// Both halves by name, where the caller may set them up; of no platform environment, the initial one.
    pub(crate) async fn find(
        connection: &mut PgConnection,
        actor: &Actor,
        erp: &str,
        platform: &str,
    ) -> Result<Self, Error> {
        let erp = find_erp(connection, actor, erp).await?;
        let id = match platform {
            "" => erp.initial.ok_or_else(|| no_initial(&erp))?,
            named => resource::guid(PLATFORM, named)?,
        };
        let found = platform::find(&mut *connection, id).await?;
        let found = found
            .filter(|it| it.delete_time.is_none())
            .ok_or_else(|| Error::NotFound(resource::name(PLATFORM, id)))?;
        // Also an initial one that was adopted with a database of its own.
        let adopted = || found.dataverse.as_ref().is_some_and(|it| it.role.is_empty());
        let existing = !platform.is_empty() || adopted();
        Ok(Self { erp, platform: found, existing })
    }

    /// P1 to P9, and what the user should know.
    pub(crate) async fn check(
        &self,
        deps: &Arc<Deps>,
        user: &str,
    ) -> Result<([PrerequisiteCheck; 9], Vec<String>), Error> {
        let existing = self.existing.then_some(&self.platform);
        let question = Question { user, erp: &self.erp, existing, by_its_operation: None };
        let facts = facts::gather(deps, question).await?;
        let mut warnings = facts::warnings(&self.erp, &self.platform);
        // What no prerequisite is about, and keeps a setup from beginning all the same.
        let mut connection = deps.store.pool().acquire().await?;
        if let Err(error) = self.require_possible(&mut connection).await {
            warnings.insert(0, possible_or(error)?);
        }
        Ok((prerequisites::check(&facts), warnings))
    }

    /// The two may be linked at all, and are not yet.
    async fn require_possible(&self, connection: &mut PgConnection) -> Result<(), Error> {
        self.require_suitable()?;
        self.require_unlinked(connection).await
    }

    /// Neither half is linked.
    async fn require_unlinked(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let platform = self.platform.name();
        if let Some(it) = link::of_environment(connection, self.erp.environment_id).await? {
            let linked_to = resource::name(PLATFORM, it.platform_environment);
            return Err(Error::AlreadyLinked { environment: self.erp.name(), linked_to });
        }
        if let Some(it) = link::of_environment(connection, self.platform.id).await? {
            let linked_to = resource::name(FINANCE_AND_OPERATIONS, it.id);
            return Err(Error::AlreadyLinked { environment: platform, linked_to });
        }
        Ok(())
    }

    /// Only what was deployed to be linked later.
    fn require_suitable(&self) -> Result<(), Error> {
        let message = match self.erp.kind {
            ErpType::CloudHosted => AT_DEPLOYMENT,
            ErpType::UnifiedProduction | ErpType::UnifiedSandbox | ErpType::UnifiedDeveloper => {
                "A unified environment is one environment already: finance and operations is an app of it."
            }
            ErpType::Unspecified | ErpType::Production | ErpType::Sandbox => return Ok(()),
        };
        Err(Error::Requirement { environment: self.erp.name(), message: message.to_owned() })
    }

    fn order(&self, template: &Template) -> Order {
        Order {
            finance_and_operations: self.erp.environment_id,
            platform: self.platform.id,
            existing: self.existing,
            template: template.id.clone(),
        }
    }

    fn operation(&self, template: &Template, user: String) -> Result<NewOperation, Error> {
        let names = vec![self.erp.name(), self.platform.name()];
        Ok(NewOperation {
            kind: OperationKind::Setup,
            request: self.order(template).to_value()?,
            user,
            targets: names.clone(),
            holds: names,
            warnings: facts::warnings(&self.erp, &self.platform),
        })
    }
}

/// Why a setup may not begin, in words; not what keeps us from finding out.
fn possible_or(error: Error) -> Result<String, Error> {
    match error {
        Error::AlreadyLinked { .. } | Error::Requirement { .. } => {
            let why = error.to_string();
            Ok(format!("A setup cannot begin: {}.", why.trim_end_matches('.')))
        }
        other => Err(other),
    }
}

/// A setup that may begin.
pub(crate) struct Decided {
    pair: Pair,
    template: &'static Template,
    user: String,
}

/// Judges a request, also by what other services know.
pub(crate) async fn decide(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::StartSetupRequest,
) -> Result<Decided, Error> {
    let mut connection = deps.store.pool().acquire().await?;
    let (erp, platform) =
        (&request.finance_and_operations_environment, &request.platform_environment);
    let pair = Pair::find(&mut connection, actor, erp, platform).await?;
    let user = actor.name();
    confirm(deps, &user, request.agreed, &request.confirmed_user_name).await?;
    pair.require_possible(&mut connection).await?;
    drop(connection);
    let template = choose(deps, &pair, &request.template).await?;
    if pair.platform.state != PlatformEnvironmentState::Ready {
        let state = pair.platform.state.as_str_name().to_owned();
        let resource = pair.platform.name();
        let message = format!("`{resource}` cannot be linked now: it is {state}");
        return Err(Error::InvalidState { resource, state, message });
    }
    if pair.existing {
        let (checks, _) = pair.check(deps, &user).await?;
        let failing = prerequisites::failing(checks).into_iter();
        let checks: Vec<_> =
            failing.filter(|it| prerequisites::refuses_at_once(it.prerequisite())).collect();
        if !checks.is_empty() {
            return Err(Error::Prerequisites { environment: pair.platform.name(), checks });
        }
    }
    Ok(Decided { pair, template, user })
}

/// Begins it, unless somebody was faster.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    deps: &Arc<Deps>,
    decided: &Decided,
) -> Result<pb::Operation, Error> {
    let Decided { pair, template, user } = decided;
    let begun = engine::begin(connection, deps, &pair.operation(template, user.clone())?).await?;
    // With both halves held: whatever was linked before can be seen now, and nothing is any more.
    pair.require_unlinked(connection).await?;
    Ok(begun)
}

/// Judges what a request to deploy says about the setup that is to follow.
pub(crate) async fn check_deployment(
    deps: &Arc<Deps>,
    actor: &Actor,
    setup: &pb::DeploymentSetup,
) -> Result<(), Error> {
    confirm(deps, &actor.name(), setup.agreed, &setup.confirmed_user_name).await?;
    licensed(deps, template::named(&setup.template)?).await
}

/// What a deployment hands over to its setup.
pub(crate) struct Deployed<'a> {
    /// The operation that deploys, whose holds the setup takes over.
    pub(crate) deployment: Uuid,
    pub(crate) finance_and_operations: Uuid,
    pub(crate) platform: Uuid,
    /// `templates/…`; empty: the standard one.
    pub(crate) template: &'a str,
    /// `users/…`.
    pub(crate) user: &'a str,
}

/// Begins the setup that is part of a deployment, within the transaction that ends it (spec PPI-24).
pub(crate) async fn begin_at_deployment(
    connection: &mut PgConnection,
    deps: &Arc<Deps>,
    deployed: &Deployed<'_>,
) -> Result<pb::Operation, Error> {
    let erp =
        finance_and_operations::find(&mut *connection, deployed.finance_and_operations).await?;
    let platform = platform::find(&mut *connection, deployed.platform).await?;
    let missing = || Error::NotFound(resource::name(PLATFORM, deployed.platform));
    let (erp, platform) = erp.zip(platform).ok_or_else(missing)?;
    let existing = platform.dataverse.is_some();
    let template = match deployed.template {
        "" => template::named(&resource::name(resource::TEMPLATES, STANDARD))?,
        name => template::named(name)?,
    };
    let pair = Pair { erp, platform, existing };
    for target in [pair.erp.name(), pair.platform.name()] {
        hold::let_go(connection, deployed.deployment, &target).await?;
    }
    let user = deployed.user.to_owned();
    begin(connection, deps, &Decided { pair, template, user }).await
}

/// The ERP's half, where the caller may set it up. Who may not is not told whether there is one.
pub(crate) async fn find_erp(
    connection: &mut PgConnection,
    actor: &Actor,
    name: &str,
) -> Result<FinanceAndOperations, Error> {
    let id = resource::id(FINANCE_AND_OPERATIONS, name);
    let found = match id {
        Ok(id) => finance_and_operations::by_id(connection, id).await?,
        Err(_) => None,
    };
    actor.may_set_up(found.as_ref().map_or("", |it| &it.administrator))?;
    found.ok_or_else(|| Error::NotFound(name.to_owned()))
}

/// The terms are agreed to, and the user typed its own name (spec PPI-09).
pub(crate) async fn confirm(
    deps: &Arc<Deps>,
    user: &str,
    agreed: bool,
    typed: &str,
) -> Result<(), Error> {
    if !agreed {
        let message = "The terms have to be agreed to before a setup begins.".to_owned();
        return Err(Error::Confirmation { field: "agreed", message });
    }
    let known = facts::look_up(deps, user, None).await?;
    let own = user.strip_prefix("users/").unwrap_or(user).to_owned();
    let name = known.map(|it| it.display_name).filter(|it| !it.trim().is_empty()).unwrap_or(own);
    match typed.trim().to_lowercase() == name.trim().to_lowercase() {
        true => Ok(()),
        false => {
            let message = format!(
                "A link cannot be undone: type your own display name, `{name}`, to confirm it."
            );
            Err(Error::Confirmation { field: "confirmed_user_name", message })
        }
    }
}

async fn choose(deps: &Arc<Deps>, pair: &Pair, name: &str) -> Result<&'static Template, Error> {
    let invalid = |message: &str| {
        Err(Error::InvalidValue { field: "template".into(), message: message.to_owned() })
    };
    let standard = resource::name(resource::TEMPLATES, STANDARD);
    let template = match (pair.existing, name) {
        (true, "") => template::named(&standard)?,
        (false, "") => return invalid("it is required for a new database"),
        (_, name) => template::named(name)?,
    };
    if pair.existing && !template.supports_existing_environment {
        return invalid(
            "an existing environment takes the standard template only; install the packages of \
                        others by hand",
        );
    }
    licensed(deps, template).await?;
    Ok(template)
}

/// The tenant has bought what the template is for.
async fn licensed(deps: &Arc<Deps>, template: &Template) -> Result<(), Error> {
    let free = template.is_licensed(&[]);
    if free || template.is_licensed(&template::bought(&deps.clients.capacity).await?) {
        return Ok(());
    }
    let message = format!("`{}` takes a licence that the tenant has not bought", template.name());
    Err(Error::Licence { user: String::new(), message })
}

fn no_initial(erp: &FinanceAndOperations) -> Error {
    let environment = erp.name();
    let message = match erp.kind {
        ErpType::CloudHosted => AT_DEPLOYMENT.to_owned(),
        ErpType::Unspecified
        | ErpType::Production
        | ErpType::Sandbox
        | ErpType::UnifiedProduction
        | ErpType::UnifiedSandbox
        | ErpType::UnifiedDeveloper => format!(
            "`{environment}` has no initial platform environment; name an existing one to link it with"
        ),
    };
    Error::Requirement { environment, message }
}
