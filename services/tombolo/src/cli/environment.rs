//! The command line of environments, links and operations.

mod fields;

use clap::{Args, Subcommand};
use proto::lifecycle::v1::PlatformEnvironmentType;

use super::OutputArgs;
use crate::exit;
use crate::print::Word as _;

pub(crate) use fields::{
    AgreementArgs, CopyArgs, CreateArgs, CreatePlatformArgs, DatabaseArgs, InstallFinopsArgs,
    RestoreArgs, SettingsArgs, SetupArgs,
};

const EXAMPLES: &str = "\
Examples:
  tombolo env list                                   # both halves, and what is linked
  tombolo env create contoso-uat --type sandbox --region westeurope
  tombolo env check contoso-uat                      # would a setup be allowed?
  tombolo env setup contoso-uat --template standard-with-dual-write
  tombolo env setup contoso-uat --agree --confirm 'Alice Doe' --no-wait --output json
  tombolo env watch 6f1c…                            # again, from anywhere
  tombolo env resume 6f1c…                           # when the cause of a failure is gone
  tombolo env copy 'Contoso UAT' 'Contoso Test' --confirm 'Contoso Test'

NAME is the name of an environment, with or without its collection, or its display name where that is
unique. Verbs that take a while show how far they are, unless --no-wait is given.";

#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct EnvArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(subcommand)]
    pub(crate) command: EnvCommand,
}

/// How a change is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct WriteArgs {
    /// Return when the operation has begun, and do not follow it.
    #[arg(long, global = true)]
    pub(crate) no_wait: bool,
    /// Repeating a command with the same key has one effect. Default: a key of its own.
    #[arg(long, value_name = "KEY", global = true)]
    pub(crate) idempotency_key: Option<String>,
}

impl WriteArgs {
    pub(crate) fn key(&self) -> String {
        self.idempotency_key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum EnvCommand {
    /// Lists environments: both halves, and what is linked.
    List {
        /// Also deleted ones that can be recovered.
        #[arg(long)]
        deleted: bool,
    },
    /// Shows an environment of either half.
    Show {
        /// Its name.
        name: String,
    },
    /// Deploys a finance-and-operations environment.
    Create(CreateArgs),
    /// Creates a platform environment, with or without a database.
    CreatePlatform(CreatePlatformArgs),
    /// Checks whether a setup would be allowed: prerequisites P1 to P9. Exits with 4 where one fails.
    Check {
        /// The finance-and-operations environment.
        name: String,
        /// An existing platform environment to link. Default: the initial one.
        #[arg(long, value_name = "NAME")]
        platform: Option<String>,
    },
    /// Sets platform integration up: provisions a database and links both halves, once and for all.
    Setup(SetupArgs),
    /// Installs and links the dual-write application, after a setup without it.
    DualWrite {
        /// The link, or an environment of it.
        link: String,
        /// Agree to the terms.
        #[arg(long)]
        agree: bool,
    },
    /// Lists links.
    Links,
    /// Lists operations, newest first.
    Operations {
        /// Only those of this environment.
        #[arg(long, value_name = "NAME")]
        target: Option<String>,
    },
    /// Follows an operation until it has ended.
    Watch {
        /// Its name.
        operation: String,
    },
    /// Goes on with an operation that failed, at the stage that failed.
    Resume {
        /// Its name.
        operation: String,
    },
    /// Gives an operation up and undoes what it did.
    Cancel {
        /// Its name.
        operation: String,
    },
    /// Replaces the data of a finance-and-operations environment by another's.
    Refresh {
        /// Which is read.
        source: String,
        /// Which is overwritten.
        target: String,
        /// The target's display name. Asked for on a terminal.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Backs a finance-and-operations environment up.
    Export {
        /// Its name.
        name: String,
    },
    /// Overwrites a platform environment by another.
    Copy(CopyArgs),
    /// Backs a platform environment up.
    Backup {
        /// Its name.
        name: String,
        /// For people.
        #[arg(long)]
        label: Option<String>,
    },
    /// Lists backups of a platform environment, newest first.
    Backups {
        /// Its name.
        name: String,
    },
    /// Brings an environment back: a platform environment to a backup or a moment, a
    /// finance-and-operations environment to a moment.
    Restore(RestoreArgs),
    /// Takes all data and customizations of a platform environment away.
    Reset {
        /// Its name.
        name: String,
        /// Its display name. Asked for on a terminal.
        #[arg(long = "confirm", value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Changes the type of a platform environment.
    Convert {
        /// Its name.
        name: String,
        /// The new type.
        #[arg(long, value_name = "TYPE", value_parser = PlatformEnvironmentType::parse)]
        to: PlatformEnvironmentType,
    },
    /// Deletes an environment of either half.
    Delete {
        /// Its name.
        name: String,
        /// Its display name. Asked for on a terminal.
        #[arg(long = "confirm", value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Brings a deleted platform environment back.
    Recover {
        /// Its name.
        name: String,
    },
    /// Changes the display name of a platform environment.
    Rename {
        /// Its name.
        name: String,
        /// The new display name.
        display_name: String,
    },
    /// Changes the host of a platform environment, and with it its URL.
    Host {
        /// Its name.
        name: String,
        /// First label of the new host.
        host: String,
    },
    /// Changes the administrator of a finance-and-operations environment.
    Administrator {
        /// Its name.
        name: String,
        /// Who it is to be.
        administrator: String,
    },
    /// Adds a database to a platform environment that has none.
    AddDatabase {
        /// Its name.
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Installs finance and operations as an app, which makes a unified environment.
    InstallFinops(InstallFinopsArgs),
    /// Lists what a setup can install.
    Templates,
    /// Lists geographies and their regions.
    Locations,
    /// Shows the rules of the tenant, and changes what is given.
    Settings(SettingsArgs),
}
