//! The command line of dual-write.

mod fields;

use clap::{Args, Subcommand};

use super::OutputArgs;
use super::environment::WriteArgs;
use crate::exit;

pub(crate) use fields::{
    AlertCommand, AlertFields, ErrorFilter, ExplainArgs, LinkCommand, PauseArgs, ReconcileCommand,
    ResumeArgs, RunCommand, StartArgs, StopArgs,
};

const EXAMPLES: &str = "\
Examples:
  tombolo dual-write link create --companies USMF,DEMF --agree
  tombolo dual-write apply                           # offer the maps of all solutions
  tombolo dual-write list                            # maps, their states and what waits
  tombolo dual-write start customers-v3-accounts --related
  tombolo dual-write pause customers-v3-accounts     # changes wait, users go on
  tombolo dual-write queue customers-v3-accounts     # what waits
  tombolo dual-write resume customers-v3-accounts    # replays what waits, then live
  tombolo dual-write errors customers-v3-accounts    # what failed, and why
  tombolo dual-write explain finance-and-operations CustCustomerV3Entity dataAreaId=USMF CustomerAccount=US-001
  tombolo dual-write explain platform account accountnumber=US-001 msdyn_company.cdm_companycode=USMF
  tombolo dual-write reconcile start customers-v3-accounts

MAP is the name of a map, with or without its collection.";

#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct DualWriteArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(subcommand)]
    pub(crate) command: DualWriteCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DualWriteCommand {
    /// The pair that is kept the same, and its companies.
    #[command(subcommand)]
    Link(LinkCommand),
    /// Runs the health checks.
    Health,
    /// Lists maps, their states and what waits.
    List,
    /// Shows a map and the version that runs.
    Show {
        /// The map.
        map: String,
    },
    /// Offers the maps of solutions: those that come with Tombolo, and imported ones.
    Apply {
        /// Only of these solutions.
        solutions: Vec<String>,
    },
    /// Writes versions of maps into a solution file.
    Export {
        /// `MAP`, or `MAP/versions/VERSION`; all of one publisher.
        #[arg(required = true)]
        maps: Vec<String>,
        /// What the solution is called.
        #[arg(long)]
        solution: String,
        /// Recipients cannot change its maps.
        #[arg(long)]
        managed: bool,
        /// The file to write.
        #[arg(long)]
        out: std::path::PathBuf,
    },
    /// Reads a solution file; `apply` offers its maps.
    Import {
        /// The solution file (zip).
        file: std::path::PathBuf,
    },
    /// Says what is wrong with a map's version against the tables as they are.
    Validate {
        /// The map.
        map: String,
    },
    /// Counts the rows that filters let through on both sides, and shows the statements.
    TestFilters {
        /// The map.
        map: String,
        /// In the ERP's language. Default: as the version that runs.
        #[arg(long)]
        source_filter: Option<String>,
        /// In the platform's language. Default: as the version that runs.
        #[arg(long)]
        reversed_source_filter: Option<String>,
    },
    /// Chooses the version of a stopped map that runs.
    Activate {
        /// `MAP/versions/VERSION`.
        version: String,
    },
    /// Lists the maps that a map's lookups need, parents first.
    Related {
        /// The map.
        map: String,
        /// Instead those whose lookups need it, children first: what to pause with it.
        #[arg(long)]
        pause: bool,
    },
    /// Starts maps, copying the rows that are there.
    Start(StartArgs),
    /// Pauses maps: changes wait, users go on working.
    Pause(PauseArgs),
    /// Resumes paused maps.
    Resume(ResumeArgs),
    /// Stops maps.
    Stop(StopArgs),
    /// Initial syncs: what they copied, and what failed.
    #[command(subcommand)]
    Run(RunCommand),
    /// Lists the changes of a paused map that wait, in the order in which they will be replayed.
    Queue {
        /// The map.
        map: String,
    },
    /// Lists changes that failed after their commit.
    Errors {
        /// The map. Default: all.
        map: Option<String>,
        #[command(flatten)]
        filter: ErrorFilter,
    },
    /// Tries failed changes again.
    Retry {
        /// The map.
        map: String,
        /// Numbers or names of failed changes. Default: all of the map.
        errors: Vec<String>,
    },
    /// Gives failed changes up for good.
    Dismiss {
        /// The map.
        map: String,
        /// Numbers or names of failed changes. Default: all of the map.
        errors: Vec<String>,
        /// The sides may stay different.
        #[arg(long)]
        agree: bool,
    },
    /// Says why a row is not on the other side.
    Explain(ExplainArgs),
    /// Lists what happened to a map, newest first.
    Activity {
        /// The map. Default: all.
        map: Option<String>,
    },
    /// Rules that act when a map fails too often.
    #[command(subcommand)]
    Alerts(AlertCommand),
    /// Compares both sides while they are live, and mends what differs.
    #[command(subcommand)]
    Reconcile(ReconcileCommand),
}
