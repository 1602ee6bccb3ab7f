//! What an operation on an environment was asked for, as its row keeps it.

use proto::lifecycle::v1::PlatformEnvironmentType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::databases::Content;
use crate::error::Error;
use crate::words::Word as _;

/// An order.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Order {
    /// A finance-and-operations environment, whose row is there.
    DeployErp {
        environment_id: Uuid,
        /// The platform environment made with it.
        initial: Option<Uuid>,
        /// The setup that follows.
        setup: Option<SetupWish>,
    },
    /// Finance and operations as an app of a platform environment; both rows are there.
    InstallErp {
        environment_id: Uuid,
        platform: Uuid,
    },
    /// A platform environment, whose row is there, with or without a database.
    CreatePlatform {
        id: Uuid,
        takes_capacity: bool,
    },
    /// A database for one that is there.
    AddDatabase {
        id: Uuid,
        takes_capacity: bool,
    },
    DeleteErp {
        environment_id: Uuid,
    },
    DeletePlatform {
        id: Uuid,
    },
    /// An environment of either half is overwritten.
    Replace {
        half: Half,
        target: Uuid,
        origin: Origin,
        takes_capacity: bool,
    },
    BackUp {
        half: Half,
        environment: Uuid,
        backup: Uuid,
        label: String,
    },
    Convert {
        id: Uuid,
        /// As the store writes types.
        target_type: String,
        takes_capacity: bool,
    },
    Recover {
        id: Uuid,
        takes_capacity: bool,
    },
}

/// The setup of a deployment.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SetupWish {
    /// `templates/…`.
    pub(crate) template: String,
}

/// Of a link.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Half {
    Platform,
    Erp,
}

/// What an environment is overwritten by.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// Another environment, as it is.
    Environment {
        id: Uuid,
        minimal: bool,
    },
    Backup {
        id: Uuid,
    },
    /// A new database.
    Nothing,
}

impl Origin {
    pub(crate) fn content(&self) -> Content {
        match self {
            Self::Environment { minimal: true, .. } => Content::Customizations,
            Self::Environment { .. } | Self::Backup { .. } | Self::Nothing => Content::Full,
        }
    }
}

impl Order {
    /// As the operation's row keeps it.
    pub(crate) fn to_value(&self) -> Result<Value, Error> {
        serde_json::to_value(self).map_err(|error| Error::Malformed(error.to_string()))
    }

    /// Of an operation's row.
    pub(crate) fn of_value(value: &Value) -> Result<Self, Error> {
        serde_json::from_value(value.clone()).map_err(|error| Error::Malformed(error.to_string()))
    }
}

/// A type as an order keeps it.
pub(crate) fn kind_of(word: &str) -> Result<PlatformEnvironmentType, Error> {
    PlatformEnvironmentType::of_word(word).ok_or_else(|| Error::Malformed(word.to_owned()))
}
