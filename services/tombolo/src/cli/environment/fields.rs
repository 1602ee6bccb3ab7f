//! What environments are made of, and what is asked before they are changed.

use chrono::{DateTime, Utc};
use clap::Args;
use proto::lifecycle::v1::{FinanceAndOperationsEnvironmentType, PlatformEnvironmentType};

use crate::print::Word as _;

/// Terms, and a name typed.
#[derive(Debug, Args)]
pub(crate) struct AgreementArgs {
    /// Agree to the terms. Asked for on a terminal.
    #[arg(long)]
    pub(crate) agree: bool,
    /// Your own display name: a link cannot be undone. Asked for on a terminal.
    #[arg(long, value_name = "YOUR NAME")]
    pub(crate) confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Becomes part of its URL: lower case letters, digits and hyphens, 20 at most.
    pub(crate) name: String,
    /// production, sandbox or cloud-hosted; stays for life.
    #[arg(long = "type", value_name = "TYPE", value_parser = FinanceAndOperationsEnvironmentType::parse)]
    pub(crate) kind: FinanceAndOperationsEnvironmentType,
    /// As westeurope; see `tombolo env locations`.
    #[arg(long)]
    pub(crate) region: String,
    /// For people. Default: the name.
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
    /// Who administers it. Default: you.
    #[arg(long, value_name = "USER")]
    pub(crate) administrator: Option<String>,
    /// A database of the ERP's server that exists and is taken as it is. Default: a new one.
    #[arg(long, value_name = "EXISTING")]
    pub(crate) database: Option<String>,
    /// Sets platform integration up as part of the deployment: of a cloud-hosted one, now or never.
    #[arg(long = "setup", value_name = "TEMPLATE")]
    pub(crate) template: Option<String>,
    #[command(flatten)]
    pub(crate) agreement: AgreementArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CreatePlatformArgs {
    /// For people.
    pub(crate) display_name: String,
    /// production, sandbox, trial, developer, …
    #[arg(long = "type", value_name = "TYPE", value_parser = PlatformEnvironmentType::parse)]
    pub(crate) kind: PlatformEnvironmentType,
    /// The geography, as europe; see `tombolo env locations`.
    #[arg(long)]
    pub(crate) location: String,
    /// As westeurope. Default: any of the location.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// With a database, which the following describe.
    #[arg(long = "database")]
    pub(crate) with_database: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

/// What a new database is.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// First label of its host. Default: one is found.
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// As en-us. Default: that of the tenant's country.
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// As USD. Default: that of the tenant's country.
    #[arg(long)]
    pub(crate) currency: Option<String>,
    /// Enable Dynamics 365 apps: without them there is no link, and they cannot be enabled later.
    #[arg(long)]
    pub(crate) d365_apps: bool,
}

impl DatabaseArgs {
    /// Something of it is said.
    pub(crate) fn any(&self) -> bool {
        let texts = [&self.host, &self.language, &self.currency];
        self.d365_apps || texts.iter().any(|it| it.is_some())
    }
}

#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// The finance-and-operations environment.
    pub(crate) name: String,
    /// standard, standard-with-dual-write or project-operations. [default: standard]
    #[arg(long)]
    pub(crate) template: Option<String>,
    /// An existing platform environment to link. Default: the initial one, with a new
    /// database unless it has one.
    #[arg(long, value_name = "NAME")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) agreement: AgreementArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Which is read.
    pub(crate) source: String,
    /// Which is overwritten.
    pub(crate) target: String,
    /// Customizations and schemas only, no data.
    #[arg(long)]
    pub(crate) minimal: bool,
    /// The target's display name. Asked for on a terminal.
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Which is overwritten.
    pub(crate) name: String,
    /// A backup of it, or the full name of another's.
    #[arg(long, conflicts_with = "time", required_unless_present = "time")]
    pub(crate) backup: Option<String>,
    /// A moment, as 2026-11-21T17:00:00Z.
    #[arg(long)]
    pub(crate) time: Option<DateTime<Utc>>,
    /// Its display name. Asked for on a terminal.
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InstallFinopsArgs {
    /// The platform environment.
    pub(crate) name: String,
    /// D365_FinOps_Finance, D365_FinOps_SCM, D365_FinOps_ProjOps or D365_FinOps_Commerce.
    #[arg(long)]
    pub(crate) template: String,
    /// As DevToolsEnabled=true|DemoDataEnabled=true.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) parameters: String,
}

#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// Only administrators create environments.
    #[arg(long, value_name = "BOOL")]
    pub(crate) restrict_creation: Option<bool>,
    /// Only administrators create trial environments.
    #[arg(long, value_name = "BOOL")]
    pub(crate) restrict_trial_creation: Option<bool>,
    /// The tenant's, ISO 3166-1: language and currency of new databases follow it.
    #[arg(long, value_name = "CODE")]
    pub(crate) country: Option<String>,
}
