//! What of a user is to change.

use proto::user_context::v1::{UpdateUserRequest, User};

use super::entry::resource;
use crate::cli::UserFields;

/// The fields that are given, and their names. Of a new user, the others have their defaults.
pub(super) fn update(fields: UserFields) -> UpdateUserRequest {
    let roles = if fields.no_roles { Some(Vec::new()) } else { fields.roles };
    let companies = if fields.no_companies { Some(Vec::new()) } else { fields.companies };
    let mut user = User { name: resource("users", &fields.name), ..User::default() };
    let mut paths = Vec::new();
    set(&mut user.display_name, fields.label, "display_name", &mut paths);
    set(&mut user.erp_user, fields.erp_user, "erp_user", &mut paths);
    set(&mut user.object_id, fields.object_id, "object_id", &mut paths);
    set(&mut user.roles, roles, "roles", &mut paths);
    set(&mut user.companies, companies, "companies", &mut paths);
    set(&mut user.application_id, fields.application_id, "application_id", &mut paths);
    set(&mut user.disabled, fields.disabled, "disabled", &mut paths);
    set(&mut user.acts_on_behalf, fields.acts_on_behalf, "acts_on_behalf", &mut paths);
    set(&mut user.serves_portal, fields.serves_portal, "serves_portal", &mut paths);
    set(&mut user.time_zone, fields.time_zone, "time_zone", &mut paths);
    set(&mut user.language, fields.language, "language", &mut paths);
    // An empty mask is one of all fields; the name is the one that cannot change.
    if paths.is_empty() {
        paths.push("name".to_owned());
    }
    let update_mask = Some(prost_types::FieldMask { paths });
    UpdateUserRequest { user: Some(user), update_mask, allow_missing: true }
}

fn set<T>(field: &mut T, given: Option<T>, name: &str, paths: &mut Vec<String>) {
    if let Some(given) = given {
        *field = given;
        paths.push(name.to_owned());
    }
}
