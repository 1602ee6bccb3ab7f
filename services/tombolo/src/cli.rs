//! The command line.

mod add_in;
mod capacity;
mod directory;
mod dual_write;
mod environment;
mod output;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;

pub(crate) use add_in::{AddInArgs, AddInCommand, ParameterArgs};
pub(crate) use capacity::{
    AccrualCommand, AccrualFields, CapacityArgs, CapacityCommand, HistoryArgs, LicenceCommand,
    LicenceFields, NewLicence,
};
pub(crate) use directory::{
    DirectoryImportArgs, DutyArgs, DutyFields, EntryCommand, OperationName, PrivilegeArgs,
    PrivilegeFields, RoleArgs, RoleFields, UserArgs, UserCommand, UserFields,
};
pub(crate) use dual_write::{
    AlertCommand, AlertFields, DualWriteArgs, DualWriteCommand, ErrorFilter, ExplainArgs,
    LinkCommand, PauseArgs, ReconcileCommand, ResumeArgs, RunCommand, StartArgs, StopArgs,
};
pub(crate) use environment::{
    AgreementArgs, CopyArgs, CreateArgs, CreatePlatformArgs, DatabaseArgs, EnvArgs, EnvCommand,
    InstallFinopsArgs, RestoreArgs, SettingsArgs, SetupArgs, WriteArgs,
};
pub(crate) use output::OutputArgs;

const EXAMPLES: &str = "\
Examples:
  tombolo dev                                    # everything, with the demo ERP
  tombolo dev --erp-url postgres://… --model DIR # everything, over your own ERP
  tombolo token --user usmf-clerk                # a bearer token for curl
  tombolo model import --database-url postgres://… --out models/mine
  tombolo catalog list                           # what may be made visible
  tombolo user set alice --role 'Sales clerk'    # who may do what
  tombolo env list                               # environments and their links
  tombolo capacity show                          # storage: entitled, used, free
  tombolo addin install data-export --environment contoso-prod --agree
  tombolo dual-write list                        # maps of rows that are on both sides
  tombolo serve query --config query.toml        # one service of a cluster";

/// Where `tombolo dev` keeps everything, and where it listens.
pub(crate) const DEFAULT_DATA: &str = ".tombolo";
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8081";

/// Live ERP rows as Dataverse-style tables.
#[derive(Debug, Parser)]
#[command(name = "tombolo", version, about, after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs every service in one process, on a private PostgreSQL.
    Dev(DevArgs),
    /// Runs one service.
    Serve(ServeArgs),
    /// Makes the keys by which the services of a cluster know each other.
    Keys(KeysArgs),
    /// Prints a bearer token of the development issuer.
    Token(TokenArgs),
    /// Works with models of ERPs.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Says which data entities are visible as virtual tables, and changes it.
    Catalog(CatalogArgs),
    /// Manages users, and imports those of the ERP.
    User(UserArgs),
    /// Manages security roles.
    Role(RoleArgs),
    /// Manages duties: sets of privileges.
    Duty(DutyArgs),
    /// Manages privileges: what may be done with entities and tables.
    Privilege(PrivilegeArgs),
    /// Manages environments, and links their two halves.
    Env(Box<EnvArgs>),
    /// Says how much storage the tenant has and uses, and manages its licences.
    Capacity(CapacityArgs),
    /// Manages add-ins of linked environments.
    Addin(AddInArgs),
    /// Keeps rows that must exist on both sides the same.
    DualWrite(Box<DualWriteArgs>),
}

/// Where the system is, and as whom it is called.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Where gRPC listens.
    #[arg(long, global = true, default_value = DEFAULT_SERVER)]
    pub(crate) server: String,
    /// The data directory of the `tombolo dev` behind --server, for a token. Elsewhere, put a bearer token
    /// of an administrator into the environment variable TOMBOLO_TOKEN.
    #[arg(long, global = true, env = "TOMBOLO_DATA", default_value = DEFAULT_DATA)]
    pub(crate) data: PathBuf,
    /// Act as this user, where there is no TOMBOLO_TOKEN.
    #[arg(long = "user", value_name = "USER", global = true, default_value = "admin")]
    pub(crate) user: String,
    /// Certificates (PEM) to know an https server by. Default: that of the `tombolo dev` in --data, or those
    /// of the system.
    #[arg(long, value_name = "FILE", global = true, env = "TOMBOLO_AUTHORITY")]
    pub(crate) authority: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Where the Web API listens.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Where gRPC listens.
    #[arg(long, default_value = "127.0.0.1:8081")]
    pub(crate) grpc_listen: SocketAddr,
    /// Where databases, keys and settings are kept between starts.
    #[arg(long, env = "TOMBOLO_DATA", default_value = DEFAULT_DATA)]
    pub(crate) data: PathBuf,
    /// An ERP's PostgreSQL, postgres://USER:PASSWORD@HOST:PORT/DATABASE. Default: the demo ERP.
    #[arg(long, env = "TOMBOLO_ERP_URL", requires = "model", hide_env_values = true)]
    pub(crate) erp_url: Option<String>,
    /// The folder of the ERP's model. Default: the demo ERP's.
    #[arg(long)]
    pub(crate) model: Option<PathBuf>,
    /// How many customers the demo ERP has; another number than before makes it anew. [default: as
    /// it is, 10000 at first]
    #[arg(long, conflicts_with = "erp_url")]
    pub(crate) customers: Option<u64>,
    /// Make accounts, contacts and views to try things with. Goes without saying for the demo ERP.
    #[arg(long)]
    pub(crate) sample_data: bool,
    /// Leave the environment unlinked; `tombolo env setup dev` links it.
    #[arg(long)]
    pub(crate) no_link: bool,
    /// NAME=http://HOST:PORT of a service that runs actions of the model; may be repeated.
    #[arg(long, value_name = "NAME=URL", value_parser = named_address)]
    pub(crate) business_logic: Vec<(String, String)>,
    /// Written when everything is ready, as JSON with the addresses.
    #[arg(long)]
    pub(crate) ready_file: Option<PathBuf>,
    /// The folder of PostgreSQL's programs. Default: PATH, then Debian's, then what `make` fetched.
    #[arg(long, env = "TOMBOLO_PG_BIN")]
    pub(crate) pg_bin: Option<PathBuf>,
}

fn named_address(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, url)) if !name.is_empty() => Ok((name.to_owned(), url.to_owned())),
        _ => Err("expected NAME=http://HOST:PORT".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceName {
    Gateway,
    Organization,
    Catalog,
    Query,
    UserContext,
    Capacity,
    Lifecycle,
    DataExport,
    DualWrite,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Which one.
    pub(crate) service: ServiceName,
    /// Its settings; see docs/configuration.md.
    #[arg(long)]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    /// The folder to write to: SERVICE.key for that service alone, services.json for all.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Which services; those that services.json has already stay in it.
    #[arg(required = true, value_name = "SERVICE", value_parser = service_name)]
    pub(crate) services: Vec<String>,
}

fn service_name(text: &str) -> Result<String, String> {
    let good = |it: char| it.is_ascii_lowercase() || it == '-';
    match text.chars().all(good) && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err("expected the name of a service, as user-context".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The data directory of the `tombolo dev` that is to accept the token.
    #[arg(long, env = "TOMBOLO_DATA", default_value = DEFAULT_DATA)]
    pub(crate) data: PathBuf,
    /// Whose token.
    #[arg(long)]
    pub(crate) user: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Reads a PostgreSQL schema and writes a model that serves as it is.
    Import(ImportArgs),
    /// Checks a model and prints what is wrong with it.
    Check {
        /// The model's folder.
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// postgres://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: String,
    /// The folder to write; must not hold a model unless --force is given.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Only this schema; may be repeated. Default: all but PostgreSQL's own.
    #[arg(long)]
    pub(crate) schema: Vec<String>,
    /// Replaces a model that is there.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CatalogArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(subcommand)]
    pub(crate) command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Lists data entities.
    List,
    /// Makes an entity visible as a virtual table.
    Show {
        /// Physical name, as CustCustomerV3Entity.
        entity: String,
    },
    /// Hides an entity.
    Hide {
        /// Physical name.
        entity: String,
    },
    /// Reads an entity's definition, or the whole model, again.
    Refresh {
        /// Physical name; without one, everything.
        entity: Option<String>,
    },
    /// Relates virtual and native tables by columns that are equal in both.
    #[command(subcommand)]
    Relationship(RelationshipCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RelationshipCommand {
    /// Declares a relationship, which gives the first table a lookup to the second.
    Add {
        /// Becomes part of its names: Account gives the lookup mserp_fk_account_id.
        id: String,
        /// Logical name of the table that gets the lookup.
        #[arg(long)]
        from: String,
        /// Logical name of the table it leads to.
        #[arg(long)]
        to: String,
        /// COLUMN=COLUMN, equal in a row of --from and its row of --to; may be repeated. Those of
        /// --to must include a key of it.
        #[arg(long = "on", required = true)]
        pairs: Vec<String>,
        /// For people. Default: the id.
        #[arg(long)]
        label: Option<String>,
    },
    /// Lists declared relationships.
    List,
    /// Takes a declared relationship back.
    Remove {
        /// The id it was declared with.
        id: String,
    },
}

#[cfg(test)]
mod tests;
