//! The command line of add-ins.

use clap::{Args, Subcommand};

use super::OutputArgs;
use super::environment::WriteArgs;
use crate::exit;

const EXAMPLES: &str = "\
Examples:
  tombolo addin list --environment contoso-prod      # and what keeps each from being installed
  tombolo addin show data-export                     # with its parameters
  tombolo addin install data-export --environment contoso-prod --agree --parameters @export.json
  tombolo addin configure data-export --environment contoso-prod --set schedule='0 * * * *'
  tombolo addin uninstall data-export --environment contoso-prod

The environment may be given by either half of its link.";

#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct AddInArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(subcommand)]
    pub(crate) command: AddInCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AddInCommand {
    /// Lists add-ins.
    List {
        /// Checks what each requires against this environment.
        #[arg(long, value_name = "NAME")]
        environment: Option<String>,
    },
    /// Shows an add-in and its parameters, and with an environment, how it is installed there.
    Show {
        /// The add-in.
        name: String,
        /// Checks what it requires against this environment.
        #[arg(long, value_name = "NAME")]
        environment: Option<String>,
    },
    /// Lists what is installed.
    Installed {
        /// The environment. Default: all.
        environment: Option<String>,
    },
    /// Installs an add-in.
    Install {
        /// The add-in.
        name: String,
        /// Where.
        #[arg(long, value_name = "NAME")]
        environment: String,
        #[command(flatten)]
        parameters: ParameterArgs,
        /// Agree to its terms. Asked for on a terminal.
        #[arg(long)]
        agree: bool,
    },
    /// Changes parameters of an installed add-in.
    Configure {
        /// The add-in.
        name: String,
        /// Where.
        #[arg(long, value_name = "NAME")]
        environment: String,
        #[command(flatten)]
        parameters: ParameterArgs,
    },
    /// Cancels an installation that is under way.
    Cancel {
        /// The add-in.
        name: String,
        /// Where.
        #[arg(long, value_name = "NAME")]
        environment: String,
    },
    /// Removes an add-in. What it stored stays, unless told otherwise.
    Uninstall {
        /// The add-in.
        name: String,
        /// Where.
        #[arg(long, value_name = "NAME")]
        environment: String,
        /// Also delete what it stored. Asked for again on a terminal.
        #[arg(long)]
        delete_data: bool,
        /// The add-in's name, to delete what it stored where there is no terminal.
        #[arg(long, value_name = "ADD-IN")]
        confirm: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ParameterArgs {
    /// A JSON object, or @FILE with one.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) parameters: Option<String>,
    /// A parameter besides; JSON where it is some, text otherwise. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}
