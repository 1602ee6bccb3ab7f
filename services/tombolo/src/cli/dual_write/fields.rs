//! What the verbs of dual-write take.

use clap::{Args, Subcommand};
use proto::dual_write::v1::{AlertAction, DifferenceKind, ResumeMode, Side, SyncErrorKind};

use crate::print::Word as _;

#[derive(Debug, Subcommand)]
pub(crate) enum LinkCommand {
    /// Shows the link.
    Show,
    /// Links both halves of the environment.
    Create {
        /// Codes of the legal entities whose rows are kept the same.
        #[arg(long, value_delimiter = ',', required = true)]
        companies: Vec<String>,
        /// Agree to the privacy notice. Asked for on a terminal.
        #[arg(long)]
        agree: bool,
    },
    /// Changes the companies; rows of new ones are copied.
    Companies {
        /// All of them from now on.
        #[arg(required = true, value_delimiter = ',')]
        companies: Vec<String>,
    },
    /// Forgets maps, alerts and history, and links anew. Rows stay as they are.
    Reset {
        /// Codes of the legal entities of the new link.
        #[arg(long, value_delimiter = ',', required = true)]
        companies: Vec<String>,
        /// You know what is forgotten.
        #[arg(long)]
        agree: bool,
        /// Stop maps by force first.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// The maps, in the order in which they start.
    #[arg(required = true)]
    pub(crate) maps: Vec<String>,
    /// Also start, before them, the maps that their lookups need and that do not run.
    #[arg(long)]
    pub(crate) related: bool,
    /// Go live without copying what is there.
    #[arg(long)]
    pub(crate) skip_initial_sync: bool,
    /// Whose values stay where both sides have the row. [default: platform]
    #[arg(long, value_name = "SIDE", value_parser = Side::parse)]
    pub(crate) master: Option<Side>,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// The maps, in the order in which they are paused.
    #[arg(required = true)]
    pub(crate) maps: Vec<String>,
    /// Also pause, before them, the maps whose lookups need them and that run.
    #[arg(long)]
    pub(crate) related: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The maps.
    #[arg(required = true)]
    pub(crate) maps: Vec<String>,
    /// catch-up, skip-to-live-and-preserve or skip-to-live-and-discard.
    #[arg(long, value_name = "MODE", default_value = "catch-up", value_parser = ResumeMode::parse)]
    pub(crate) mode: ResumeMode,
    /// What is discarded is lost.
    #[arg(long)]
    pub(crate) agree: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The maps.
    #[arg(required = true)]
    pub(crate) maps: Vec<String>,
    /// Also while a side does not answer, or a map initializes.
    #[arg(long)]
    pub(crate) force: bool,
    /// What waits is lost.
    #[arg(long)]
    pub(crate) agree: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Lists runs, newest first.
    List {
        /// The map. Default: all.
        map: Option<String>,
    },
    /// Shows how far a run is, and waits for its end unless --no-wait is given.
    Watch {
        /// `MAP/initialSyncs/RUN`, or a map for its newest run.
        run: String,
    },
    /// Goes on with a failed run where it stopped.
    Resume {
        /// `MAP/initialSyncs/RUN`, or a map for its newest run.
        run: String,
    },
    /// Ends a run; what was copied stays.
    Cancel {
        /// `MAP/initialSyncs/RUN`, or a map for its newest run.
        run: String,
    },
    /// Takes a run with row errors as good: the map goes live.
    Accept {
        /// `MAP/initialSyncs/RUN`, or a map for its newest run.
        run: String,
    },
    /// Lists the rows of a run that failed.
    Errors {
        /// `MAP/initialSyncs/RUN`, or a map for its newest run.
        run: String,
    },
    /// Copies failed rows again.
    Retry {
        /// `MAP/initialSyncs/RUN`, or a map for its newest run.
        run: String,
        /// Numbers of rows. Default: all of them.
        errors: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ErrorFilter {
    /// Only of this kind: application, lookup, conflict, unavailable, …
    #[arg(long, value_parser = SyncErrorKind::parse)]
    pub(crate) kind: Option<SyncErrorKind>,
    /// Only of changes that this side made: platform or finance-and-operations.
    #[arg(long, value_parser = Side::parse)]
    pub(crate) side: Option<Side>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The side that has the row: platform or finance-and-operations.
    #[arg(value_parser = Side::parse)]
    pub(crate) side: Side,
    /// CustCustomerV3Entity or account.
    pub(crate) entity: String,
    /// The row's GUID, or FIELD=VALUE of its key, the company's among them.
    #[arg(required = true)]
    pub(crate) key: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// Lists rules.
    List,
    /// Lists when rules fired, newest first.
    Fired {
        /// The rule. Default: all.
        rule: Option<String>,
    },
    /// Makes a rule.
    Create(Box<AlertFields>),
    /// Deletes a rule.
    Delete {
        /// The rule.
        rule: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AlertFields {
    /// Its name: lower case letters, digits and hyphens.
    pub(crate) rule: String,
    /// Maps that are watched; may be repeated. Default: all.
    #[arg(long = "map")]
    pub(crate) maps: Vec<String>,
    /// Errors that count; may be repeated. Default: all.
    #[arg(long = "kind", value_parser = SyncErrorKind::parse)]
    pub(crate) kinds: Vec<SyncErrorKind>,
    /// How many errors.
    #[arg(long, default_value_t = 10)]
    pub(crate) count: i32,
    /// Within how many minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    pub(crate) window: i64,
    /// none, pause or stop.
    #[arg(long, default_value = "none", value_parser = AlertAction::parse)]
    pub(crate) action: AlertAction,
    /// Who gets a mail; may be repeated.
    #[arg(long = "mail", value_name = "ADDRESS")]
    pub(crate) mails: Vec<String>,
    /// Gets a POST with the alert as JSON.
    #[arg(long, value_name = "URL")]
    pub(crate) webhook: Option<String>,
    /// After a pause by this rule, try one change after so many seconds and resume when it gets through.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) probe: Option<i64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReconcileCommand {
    /// Lists comparisons, newest first.
    List {
        /// The map. Default: all.
        map: Option<String>,
    },
    /// Begins a comparison, and waits for its end unless --no-wait is given.
    Start {
        /// The map.
        map: String,
        /// Only these companies.
        #[arg(long, value_delimiter = ',')]
        companies: Vec<String>,
    },
    /// Ends a comparison.
    Cancel {
        /// `MAP/reconciliations/RUN`, or a map for its newest one.
        run: String,
    },
    /// Lists rows that differ.
    Differences {
        /// `MAP/reconciliations/RUN`, or a map for its newest one.
        run: String,
        /// Only of this kind: values, missing-on-platform, missing-on-finance-and-operations.
        #[arg(long, value_parser = DifferenceKind::parse)]
        kind: Option<DifferenceKind>,
    },
    /// Writes one side's rows to the other.
    Repair {
        /// `MAP/reconciliations/RUN`, or a map for its newest one.
        run: String,
        /// Whose values go to the other side: platform or finance-and-operations.
        #[arg(long, value_name = "SIDE", value_parser = Side::parse)]
        source: Side,
        /// Numbers of differences. Default: all that are not mended, a thousand at most.
        differences: Vec<String>,
        /// Delete rows that --source does not have.
        #[arg(long)]
        delete_missing: bool,
    },
}
