//! New environments of either half.

use anyhow::Result;
use proto::lifecycle::v1 as pb;

use super::Env;
use super::setup::Consent;
use crate::cli::{AgreementArgs, CreateArgs, CreatePlatformArgs, DatabaseArgs};
use crate::client::explain;
use crate::exit::{Exit, Failure};
use crate::names::resource;

impl Env {
    pub(super) async fn create(&self, args: CreateArgs) -> Result<()> {
        let agreement = args.agreement;
        if args.template.is_none() && (agreement.agree || agreement.confirm.is_some()) {
            return Err(Failure::of(Exit::Usage, "--agree and --confirm go with --setup"));
        }
        let setup = match args.template {
            Some(template) => Some(self.deployment_setup(&template, agreement).await?),
            None => None,
        };
        let administrator = args.administrator.map(|it| resource("users", &it));
        let environment = pb::FinanceAndOperationsEnvironment {
            display_name: args.display_name.unwrap_or_else(|| args.name.clone()),
            r#type: args.kind.into(),
            region: args.region,
            administrator: administrator.unwrap_or_default(),
            database: args.database.unwrap_or_default(),
            ..Default::default()
        };
        let request = pb::CreateFinanceAndOperationsEnvironmentRequest {
            finance_and_operations_environment_id: args.name,
            finance_and_operations_environment: Some(environment),
            setup,
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.erp();
        let answer = client.create_finance_and_operations_environment(request).await;
        self.begun(answer.map_err(explain)?.into_inner().operation).await
    }

    async fn deployment_setup(
        &self,
        template: &str,
        agreement: AgreementArgs,
    ) -> Result<pb::DeploymentSetup> {
        const WHAT: &str = "Links the new environment with a new platform environment.";
        let Consent { agreed, confirmed_user_name } = self.consent(agreement, WHAT).await?;
        let template = resource("templates", template);
        Ok(pb::DeploymentSetup { template, agreed, confirmed_user_name })
    }

    pub(super) async fn create_platform(&self, args: CreatePlatformArgs) -> Result<()> {
        if args.database.any() && !args.with_database {
            let message = "--host, --language, --currency and --d365-apps go with --database";
            return Err(Failure::of(Exit::Usage, message));
        }
        let environment = pb::PlatformEnvironment {
            display_name: args.display_name,
            r#type: args.kind.into(),
            location: resource("locations", &args.location),
            region: args.region.unwrap_or_default(),
            database: args.with_database.then(|| args.database.into()),
            ..Default::default()
        };
        let request = pb::CreatePlatformEnvironmentRequest {
            platform_environment: Some(environment),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.platform().create_platform_environment(request).await;
        self.begun(answer.map_err(explain)?.into_inner().operation).await
    }

    pub(super) async fn add_database(&self, name: &str, database: DatabaseArgs) -> Result<()> {
        let request = pb::AddDatabaseRequest {
            name: self.system.platform_named(name, false).await?.name,
            database: Some(database.into()),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.platform().add_database(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }
}

impl From<DatabaseArgs> for pb::PlatformDatabase {
    fn from(it: DatabaseArgs) -> Self {
        Self {
            host_name: it.host.unwrap_or_default(),
            language: it.language.unwrap_or_default(),
            currency_code: it.currency.unwrap_or_default(),
            d365_apps_enabled: it.d365_apps,
            ..Self::default()
        }
    }
}
