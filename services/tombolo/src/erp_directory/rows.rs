//! What each query selects. docs/model-format.md describes the columns; others are mistakes.

use proto::user_context::v1::User;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserRow {
    pub(super) erp_user: String,
    name: Option<String>,
    display_name: Option<String>,
    object_id: Option<String>,
    application_id: Option<String>,
    disabled: Option<bool>,
    time_zone: Option<String>,
    language: Option<i32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleRow {
    pub(super) role: String,
    pub(super) label: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserRoleRow {
    pub(super) erp_user: String,
    pub(super) role: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserCompanyRow {
    pub(super) erp_user: String,
    pub(super) company: String,
}

/// What is null or not selected is not granted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantRow {
    pub(super) role: String,
    pub(super) entity: Option<String>,
    pub(super) table: Option<String>,
    pub(super) can_read: Option<bool>,
    pub(super) can_create: Option<bool>,
    pub(super) can_update: Option<bool>,
    pub(super) can_delete: Option<bool>,
    pub(super) can_invoke: Option<bool>,
}

/// What is null is not allowed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldGrantRow {
    pub(super) role: String,
    pub(super) entity: Option<String>,
    pub(super) table: Option<String>,
    pub(super) field: Option<String>,
    pub(super) column: Option<String>,
    pub(super) can_read: Option<bool>,
    pub(super) can_update: Option<bool>,
}

impl From<UserRow> for User {
    fn from(it: UserRow) -> Self {
        let name = it.name.unwrap_or_else(|| it.erp_user.clone());
        Self {
            display_name: it.display_name.unwrap_or_else(|| name.clone()),
            name: format!("users/{name}"),
            erp_user: it.erp_user,
            object_id: it.object_id.unwrap_or_default(),
            application_id: it.application_id.unwrap_or_default(),
            disabled: it.disabled.unwrap_or_default(),
            time_zone: it.time_zone.unwrap_or_default(),
            language: it.language.unwrap_or_default(),
            ..Self::default()
        }
    }
}
