//! How answers are wanted.

use clap::{Args, ValueEnum};

use super::ServerArgs;
use crate::print::Output;

#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Print tables for people, or JSON for programs.
    #[arg(long, value_enum, value_name = "FORMAT", global = true, default_value_t)]
    output: Format,
    /// The same as --output json.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
}

impl OutputArgs {
    pub(crate) fn output(&self) -> Output {
        Output { json: self.json || self.output == Format::Json }
    }
}
