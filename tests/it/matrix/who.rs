//! The kinds of users.

use tests::Web;

/// What is done with rows of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Create,
    Update,
    Delete,
    Invoke,
}

/// A kind of user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    SystemAdministrator,
    SecurityAdministrator,
    /// Everything with customers and their groups, in USMF.
    Clerk,
    /// Reads these.
    Reader,
    /// Creates these, and does not read them.
    Creator,
    /// As the clerk, but for hidden fields.
    Blind,
    /// A contact of a portal, whose ERP user reads its own customers.
    Portal,
    /// The service-to-service application.
    Application,
    /// A person without roles.
    Nobody,
    /// The clerk, disabled.
    Disabled,
    /// The reader, who acts as the clerk.
    Impersonating,
}

/// A user who can call.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) who: Who,
    pub(crate) web: Web,
    /// Beside the token.
    pub(crate) headers: Vec<(String, String)>,
}

impl Who {
    pub(crate) const ALL: [Self; 11] = [
        Self::SystemAdministrator,
        Self::SecurityAdministrator,
        Self::Clerk,
        Self::Reader,
        Self::Creator,
        Self::Blind,
        Self::Portal,
        Self::Application,
        Self::Nobody,
        Self::Disabled,
        Self::Impersonating,
    ];

    /// Whose token it is.
    pub(crate) fn user(self) -> &'static str {
        match self {
            Self::SystemAdministrator => "admin",
            Self::SecurityAdministrator => "security-admin",
            Self::Clerk => "matrix-clerk",
            Self::Reader => "matrix-reader",
            Self::Creator => "matrix-creator",
            Self::Blind => "matrix-blind",
            Self::Portal => "customer-portal",
            Self::Application => "matrix-application",
            Self::Nobody => "matrix-nobody",
            Self::Disabled => "matrix-disabled",
            Self::Impersonating => "matrix-reader",
        }
    }

    pub(crate) fn abbreviation(self) -> &'static str {
        match self {
            Self::SystemAdministrator => "sysadm",
            Self::SecurityAdministrator => "secadm",
            Self::Clerk => "clerk",
            Self::Reader => "reader",
            Self::Creator => "creatr",
            Self::Blind => "blind",
            Self::Portal => "portal",
            Self::Application => "applic",
            Self::Nobody => "nobody",
            Self::Disabled => "disabl",
            Self::Impersonating => "impers",
        }
    }

    /// What its roles grant on customers and their groups.
    pub(crate) fn operations(self) -> &'static [Operation] {
        use Operation::{Create, Delete, Invoke, Read, Update};
        match self {
            Self::SystemAdministrator | Self::Clerk | Self::Blind => {
                &[Read, Create, Update, Delete, Invoke]
            }
            Self::Reader | Self::Impersonating | Self::Portal => &[Read],
            Self::Creator => &[Create],
            Self::SecurityAdministrator | Self::Application | Self::Nobody | Self::Disabled => &[],
        }
    }

    /// The same on the platform's own tables: every person may work with them.
    pub(crate) fn works_with_tables(self) -> bool {
        match self {
            Self::SystemAdministrator
            | Self::SecurityAdministrator
            | Self::Clerk
            | Self::Reader
            | Self::Creator
            | Self::Blind
            | Self::Nobody
            | Self::Impersonating => true,
            Self::Portal | Self::Application | Self::Disabled => false,
        }
    }
}
