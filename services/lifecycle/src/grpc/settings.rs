//! The tenant's rules, read and changed.

use std::sync::Arc;

use proto::lifecycle::v1 as pb;

use crate::Deps;
use crate::caller::Actor;
use crate::error::Error;
use crate::idempotency::{self, Known};
use crate::setup::defaults;
use crate::store::settings::{self, Settings};

/// As they are.
pub(super) async fn get(deps: &Arc<Deps>, actor: &Actor) -> Result<pb::TenantSettings, Error> {
    actor.may_read()?;
    let connection = &mut *deps.store.pool().acquire().await?;
    Ok(message(&settings::read(connection).await?))
}

/// Changes what the mask names.
pub(super) async fn update(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::UpdateTenantSettingsRequest,
) -> Result<pb::UpdateTenantSettingsResponse, Error> {
    actor.may_administer()?;
    let mut transaction = deps.store.begin().await?;
    let (caller, key) = (&actor.caller, &request.idempotency_key);
    let method = "UpdateTenantSettings";
    let key = match idempotency::begin(&mut transaction, caller, key, method, request).await? {
        Known::Answered(answer) => return Ok(answer),
        Known::Fresh(key) => key,
    };
    let current = settings::read_locked(&mut transaction).await?;
    let given = request.tenant_settings.clone().unwrap_or_default();
    if !given.etag.is_empty() && given.etag != current.revision.to_string() {
        return Err(Error::VersionMismatch("tenantSettings".to_owned()));
    }
    let paths = request.update_mask.as_ref().map(|it| it.paths.as_slice()).unwrap_or_default();
    let changed = change(current, given, paths)?;
    let written = settings::write(&mut transaction, &changed).await?;
    let answer = pb::UpdateTenantSettingsResponse { tenant_settings: Some(message(&written)) };
    key.finish(&mut transaction, &answer).await?;
    transaction.commit().await?;
    Ok(answer)
}

fn change(
    mut settings: Settings,
    given: pb::TenantSettings,
    paths: &[String],
) -> Result<Settings, Error> {
    let invalid = |field: &str, message: &str| {
        Err(Error::InvalidValue { field: field.to_owned(), message: message.to_owned() })
    };
    if paths.is_empty() {
        return invalid("update_mask", "it names nothing to change");
    }
    for path in paths {
        match path.as_str() {
            "disable_environment_creation_by_non_admin_users" => {
                settings.disable_environment_creation_by_non_admin_users =
                    given.disable_environment_creation_by_non_admin_users;
            }
            "disable_trial_environment_creation_by_non_admin_users" => {
                settings.disable_trial_environment_creation_by_non_admin_users =
                    given.disable_trial_environment_creation_by_non_admin_users;
            }
            "country_code" if !defaults::is_country(&given.country_code) => {
                return invalid(
                    "country_code",
                    "it is no country that language and currency are known of",
                );
            }
            "country_code" => settings.country_code.clone_from(&given.country_code),
            _ => return invalid("update_mask", "it names a field that there is not"),
        }
    }
    Ok(settings)
}

fn message(settings: &Settings) -> pb::TenantSettings {
    pb::TenantSettings {
        disable_environment_creation_by_non_admin_users: settings
            .disable_environment_creation_by_non_admin_users,
        disable_trial_environment_creation_by_non_admin_users: settings
            .disable_trial_environment_creation_by_non_admin_users,
        country_code: settings.country_code.clone(),
        etag: settings.revision.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_mask_names_is_changed() {
        let settings = || Settings {
            disable_environment_creation_by_non_admin_users: false,
            disable_trial_environment_creation_by_non_admin_users: false,
            country_code: "US".into(),
            revision: 1,
        };
        let given = |country_code: &str| pb::TenantSettings {
            disable_environment_creation_by_non_admin_users: true,
            country_code: country_code.into(),
            ..Default::default()
        };
        let change = |country: &str, paths: &[&str]| {
            let paths: Vec<String> = paths.iter().map(|it| (*it).to_owned()).collect();
            change(settings(), given(country), &paths)
        };
        let changed = change("CH", &["country_code"]).unwrap();
        assert_eq!(changed.country_code, "CH");
        assert!(!changed.disable_environment_creation_by_non_admin_users);
        let restrict = "disable_environment_creation_by_non_admin_users";
        assert!(change("", &[restrict]).unwrap().disable_environment_creation_by_non_admin_users);
        assert!(change("XX", &["country_code"]).is_err());
        assert!(change("CH", &["etag"]).is_err());
        assert!(change("CH", &[]).is_err());
    }
}
