//! The rules of the tenant.

use anyhow::Result;
use prost_types::FieldMask;
use proto::lifecycle::v1 as pb;

use super::{Env, show};
use crate::cli::SettingsArgs;
use crate::client::explain;
use crate::system::told;

impl Env {
    pub(super) async fn settings(&self, args: SettingsArgs) -> Result<()> {
        let (settings, paths) = given(args);
        let mut client = self.system.setup();
        let settings = if paths.is_empty() {
            let answer = client.get_tenant_settings(pb::GetTenantSettingsRequest {}).await;
            answer.map_err(explain)?.into_inner().tenant_settings
        } else {
            let request = pb::UpdateTenantSettingsRequest {
                tenant_settings: Some(settings),
                update_mask: Some(FieldMask { paths }),
                idempotency_key: self.write.key(),
            };
            let answer = client.update_tenant_settings(request).await.map_err(explain)?;
            answer.into_inner().tenant_settings
        };
        let settings = told(settings)?;
        self.output.one(&settings, || show::settings(&settings))
    }
}

/// What is to change, and the names of its fields.
fn given(args: SettingsArgs) -> (pb::TenantSettings, Vec<String>) {
    let paths = [
        ("disable_environment_creation_by_non_admin_users", args.restrict_creation.is_some()),
        (
            "disable_trial_environment_creation_by_non_admin_users",
            args.restrict_trial_creation.is_some(),
        ),
        ("country_code", args.country.is_some()),
    ];
    let settings = pb::TenantSettings {
        disable_environment_creation_by_non_admin_users: args.restrict_creation.unwrap_or_default(),
        disable_trial_environment_creation_by_non_admin_users: args
            .restrict_trial_creation
            .unwrap_or_default(),
        country_code: args.country.unwrap_or_default(),
        etag: String::new(),
    };
    let paths = paths.into_iter().filter(|it| it.1).map(|it| it.0.to_owned());
    (settings, paths.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_changes() {
        let args = SettingsArgs {
            restrict_creation: None,
            restrict_trial_creation: Some(false),
            country: None,
        };
        let (settings, paths) = given(args);
        assert_eq!(paths, ["disable_trial_environment_creation_by_non_admin_users"]);
        assert!(!settings.disable_trial_environment_creation_by_non_admin_users);
    }
}
