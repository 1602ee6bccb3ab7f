//! The command line of capacity and licences.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use proto::capacity::v1::{CapacityOperation, Pool, PoolAmount, ProductKind};

use super::OutputArgs;
use super::environment::WriteArgs;
use crate::exit;
use crate::print::{Word as _, parse_size};

const EXAMPLES: &str = "\
Examples:
  tombolo capacity show                              # each pool: entitled, used, free
  tombolo capacity tables contoso-prod --pool log    # what fills it
  tombolo capacity history --days 7
  tombolo capacity check copy --amount database=12GB # would it be allowed? Exits with 4 where not
  tombolo capacity licences add finance-2026 --product finance --quantity 20
  tombolo capacity assign finance-2026 alice

Pools are database, file, log, operations-database and operations-file. 1 GB is 2^30 bytes.";

#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct CapacityArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    /// Default: show.
    #[command(subcommand)]
    pub(crate) command: Option<CapacityCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CapacityCommand {
    /// Shows each pool, what is blocked, and what an administrator should know.
    Show,
    /// Lists what the tenant is entitled to, and why.
    Entitlements {
        /// Only of this pool.
        #[arg(long, value_parser = Pool::parse)]
        pool: Option<Pool>,
    },
    /// Lists what each environment uses, the largest first.
    Environments,
    /// Lists what the tables of an environment use, the largest first.
    Tables {
        /// The environment.
        environment: String,
        /// Only of this pool.
        #[arg(long, value_parser = Pool::parse)]
        pool: Option<Pool>,
    },
    /// Shows usage over time.
    History(HistoryArgs),
    /// Measures now.
    Measure {
        /// Only this environment. Default: all.
        environment: Option<String>,
    },
    /// Says when each pool runs out if usage goes on as it did.
    Forecast {
        /// How many days back are taken into account.
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
    /// Lists notices, newest first.
    Notices {
        /// Only those that hold.
        #[arg(long)]
        active: bool,
    },
    /// Says whether an operation would be allowed now. Exits with 4 where it would not.
    Check {
        /// create-environment, copy, restore, convert-trial, recover, add-database,
        /// install-finance-and-operations or install-add-in.
        #[arg(value_parser = CapacityOperation::parse)]
        operation: CapacityOperation,
        /// POOL=SIZE besides what the operation needs by itself; may be repeated.
        #[arg(long = "amount", value_name = "POOL=SIZE", value_parser = amount)]
        amounts: Vec<PoolAmount>,
    },
    /// Manages what the tenant has bought.
    #[command(subcommand)]
    Licences(LicenceCommand),
    /// Gives a user one of the licences bought.
    Assign {
        /// The licence.
        licence: String,
        /// Sign-in name of the user.
        holder: String,
    },
    /// Takes a licence away from a user.
    Unassign {
        /// The licence.
        licence: String,
        /// Sign-in name of the user.
        holder: String,
    },
    /// Lists who holds a licence.
    Assignments {
        /// The licence. Default: any.
        licence: Option<String>,
        /// Only those of this user.
        #[arg(long = "of", value_name = "USER")]
        holder: Option<String>,
    },
    /// Manages what licences are worth, by product.
    #[command(subcommand)]
    Accruals(AccrualCommand),
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The environment. Default: the whole tenant.
    pub(crate) environment: Option<String>,
    /// How many days back.
    #[arg(long, default_value_t = 30)]
    pub(crate) days: u32,
    /// Only of this pool.
    #[arg(long, value_parser = Pool::parse)]
    pub(crate) pool: Option<Pool>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LicenceCommand {
    /// Lists licences.
    List,
    /// Records a purchase.
    Add(NewLicence),
    /// Changes the number bought, or the term.
    Set(LicenceFields),
    /// Deletes a licence that nobody holds.
    Delete {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewLicence {
    /// Its name, as finance-2026.
    pub(crate) name: String,
    /// What was bought; see `tombolo capacity accruals list`.
    #[arg(long)]
    pub(crate) product: String,
    /// Users, or units of an add-on.
    #[arg(long)]
    pub(crate) quantity: i64,
    /// Counts from here on. Default: now.
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<DateTime<Utc>>,
    /// Counts until. Default: no end.
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
pub(crate) struct LicenceFields {
    /// Its name.
    pub(crate) name: String,
    /// Users, or units of an add-on.
    #[arg(long, required_unless_present_any = ["start", "end", "no_end"])]
    pub(crate) quantity: Option<i64>,
    /// Counts from here on.
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<DateTime<Utc>>,
    /// Counts until.
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<DateTime<Utc>>,
    /// Counts for ever.
    #[arg(long, conflicts_with = "end")]
    pub(crate) no_end: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccrualCommand {
    /// Lists products and what each is worth.
    List,
    /// Changes what is given of a product, or makes it.
    Set(AccrualFields),
}

#[derive(Debug, Args)]
pub(crate) struct AccrualFields {
    /// The product, as finance.
    pub(crate) name: String,
    /// For people.
    #[arg(long)]
    pub(crate) display_name: Option<String>,
    /// finance-and-operations, platform-user, storage-add-on or sandbox-add-on.
    #[arg(long, value_parser = ProductKind::parse)]
    pub(crate) kind: Option<ProductKind>,
    /// POOL=SIZE once per tenant; may be repeated, and replaces what there is.
    #[arg(long = "tenant", value_name = "POOL=SIZE", value_parser = amount)]
    pub(crate) tenant_amounts: Option<Vec<PoolAmount>>,
    /// POOL=SIZE for each user or unit; may be repeated, and replaces what there is.
    #[arg(long = "unit", value_name = "POOL=SIZE", value_parser = amount)]
    pub(crate) unit_amounts: Option<Vec<PoolAmount>>,
    /// Lets its holder run a setup.
    #[arg(long, value_name = "BOOL")]
    pub(crate) permits_setup: Option<bool>,
    /// Where the figures are from, and whether they were verified.
    #[arg(long)]
    pub(crate) source: String,
}

/// `database=250MB`.
fn amount(text: &str) -> Result<PoolAmount, String> {
    let (pool, size) = text.split_once('=').ok_or("expected POOL=SIZE, as database=10GB")?;
    Ok(PoolAmount { pool: Pool::parse(pool)?.into(), size_bytes: parse_size(size)? })
}
