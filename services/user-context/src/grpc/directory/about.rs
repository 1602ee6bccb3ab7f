//! Which entry a request to change the directory is about.

use proto::user_context::v1 as pb;

pub(super) trait About {
    /// `users/alice`; of an import, its source.
    fn resource(&self) -> &str;
}

macro_rules! updates {
    ($($request:ty: $field:ident),*) => {
        $(impl About for $request {
            fn resource(&self) -> &str {
                self.$field.as_ref().map_or("", |it| &it.name)
            }
        })*
    };
}

macro_rules! names {
    ($($request:ty: $field:ident),*) => {
        $(impl About for $request {
            fn resource(&self) -> &str {
                &self.$field
            }
        })*
    };
}

updates!(
    pb::UpdateUserRequest: user,
    pb::UpdateRoleRequest: role,
    pb::UpdateDutyRequest: duty,
    pb::UpdatePrivilegeRequest: privilege
);

names!(
    pb::DeleteUserRequest: name,
    pb::DeleteRoleRequest: name,
    pb::DeleteDutyRequest: name,
    pb::DeletePrivilegeRequest: name,
    pb::ImportDirectoryRequest: source
);
