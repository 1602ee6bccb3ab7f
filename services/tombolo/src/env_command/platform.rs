//! What is changed of environments, and how they go and come back.

use anyhow::Result;
use prost_types::FieldMask;
use proto::lifecycle::v1 as pb;
use serde_json::Value;

use super::{Env, show};
use crate::cli::InstallFinopsArgs;
use crate::client::explain;
use crate::confirm::typed_name;
use crate::names::{Environment, resource};
use crate::print::Shown as _;
use crate::system::told;

impl Env {
    pub(super) async fn list(&self, deleted: bool) -> Result<()> {
        let mut all: Vec<Environment> = self
            .system
            .erp_environments()
            .await?
            .into_iter()
            .map(|it| Environment::Erp(it.into()))
            .collect();
        let platform = self.system.platform_environments(deleted).await?.into_iter();
        all.extend(platform.map(|it| Environment::Platform(it.into())));
        self.output.value(|| show::json(&all), || show::environments(&all).to_string())
    }

    pub(super) async fn show(&self, name: &str) -> Result<()> {
        let it = self.system.environment_named(name).await?;
        let link = match it.link() {
            "" => None,
            link => Some(self.system.link_named(link).await?),
        };
        let for_programs = || {
            let mut shown = show::json_of(&it);
            if let Some(shown) = shown.as_object_mut() {
                let link = link.as_ref().map_or(Value::Null, pb::Link::json);
                shown.insert("link_details".to_owned(), link);
            }
            shown
        };
        self.output.value(for_programs, || show::environment(&it, link.as_ref()))
    }

    pub(super) async fn reset(&self, name: &str, confirm: Option<String>) -> Result<()> {
        let it = self.system.platform_named(name, false).await?;
        let what = format!("Takes all data and customizations of {} away", it.name);
        let request = pb::ResetPlatformEnvironmentRequest {
            confirmation: typed_name(confirm, &what, &it.display_name)?,
            name: it.name,
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.platform();
        let answer = client.reset_platform_environment(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn convert(
        &self,
        name: &str,
        target_type: pb::PlatformEnvironmentType,
    ) -> Result<()> {
        let request = pb::ConvertPlatformEnvironmentRequest {
            name: self.system.platform_named(name, false).await?.name,
            target_type: target_type.into(),
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.platform();
        let answer = client.convert_platform_environment(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn delete(&self, name: &str, confirm: Option<String>) -> Result<()> {
        let environment = self.system.environment_named(name).await?;
        let what = match &environment {
            Environment::Erp(it) if it.link.is_empty() => format!("Deletes {}", it.name),
            Environment::Erp(it) => format!("Deletes {} and ends its link, for good", it.name),
            Environment::Platform(it) => {
                format!("Deletes {}, which can be recovered for 7 days", it.name)
            }
        };
        let confirmation = typed_name(confirm, &what, environment.display_name())?;
        let operation = match environment {
            Environment::Erp(it) => {
                let request = pb::DeleteFinanceAndOperationsEnvironmentRequest {
                    name: it.name,
                    confirmation,
                    etag: it.etag,
                    idempotency_key: self.write.key(),
                };
                let mut client = self.system.erp();
                let answer = client.delete_finance_and_operations_environment(request).await;
                answer.map_err(explain)?.into_inner().operation
            }
            Environment::Platform(it) => {
                let request = pb::DeletePlatformEnvironmentRequest {
                    name: it.name,
                    confirmation,
                    etag: it.etag,
                    idempotency_key: self.write.key(),
                };
                let answer = self.system.platform().delete_platform_environment(request).await;
                answer.map_err(explain)?.into_inner().operation
            }
        };
        self.begun(operation).await
    }

    pub(super) async fn recover(&self, name: &str) -> Result<()> {
        let request = pb::RecoverPlatformEnvironmentRequest {
            name: self.system.platform_named(name, true).await?.name,
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.platform();
        let answer = client.recover_platform_environment(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn rename(&self, name: &str, display_name: String) -> Result<()> {
        let mut it = self.system.platform_named(name, false).await?;
        it.display_name = display_name;
        self.update(it, "display_name").await
    }

    pub(super) async fn change_host(&self, name: &str, host: String) -> Result<()> {
        let mut it = self.system.platform_named(name, false).await?;
        let database = it.database.unwrap_or_default();
        it.database = Some(pb::PlatformDatabase { host_name: host, ..database });
        self.update(it, "database.host_name").await
    }

    async fn update(&self, environment: pb::PlatformEnvironment, path: &str) -> Result<()> {
        let request = pb::UpdatePlatformEnvironmentRequest {
            platform_environment: Some(environment),
            update_mask: Some(FieldMask { paths: vec![path.to_owned()] }),
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.platform();
        let answer = client.update_platform_environment(request).await.map_err(explain)?;
        let it = Environment::Platform(told(answer.into_inner().platform_environment)?.into());
        self.output.value(|| show::json_of(&it), || show::environment(&it, None))
    }

    pub(super) async fn set_administrator(&self, name: &str, administrator: &str) -> Result<()> {
        let mut it = self.system.erp_named(name).await?;
        it.administrator = resource("users", administrator);
        let request = pb::UpdateFinanceAndOperationsEnvironmentRequest {
            finance_and_operations_environment: Some(it),
            update_mask: Some(FieldMask { paths: vec!["administrator".to_owned()] }),
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.erp();
        let answer = client.update_finance_and_operations_environment(request).await;
        let answer = answer.map_err(explain)?.into_inner().finance_and_operations_environment;
        let it = Environment::Erp(told(answer)?.into());
        self.output.value(|| show::json_of(&it), || show::environment(&it, None))
    }

    pub(super) async fn install_finops(&self, args: InstallFinopsArgs) -> Result<()> {
        let request = pb::InstallFinanceAndOperationsRequest {
            name: self.system.platform_named(&args.name, false).await?.name,
            unified_template: args.template,
            parameters: args.parameters,
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.platform();
        let answer = client.install_finance_and_operations(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }
}
