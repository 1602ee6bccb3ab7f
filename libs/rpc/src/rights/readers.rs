//! Roles by what they let be read, for who has to ask the other way round.

use super::{Privileges, RoleDefinitions};

impl RoleDefinitions {
    /// Which roles, in lower case, let rows of which of the platform's tables be read; `*` stands for every table.
    /// The System administrator's, which may everything, is not among them.
    pub fn readers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.roles.iter().flat_map(|(role, rights)| {
            let tables = rights.tables.iter();
            let read = tables.filter(|it| it.1.privileges.contains(Privileges::READ));
            read.map(|(table, _)| (role.as_str(), table.as_str()))
        })
    }
}
