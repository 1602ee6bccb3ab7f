//! The command line of users, roles, duties and privileges.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::OutputArgs;

const USER_EXAMPLES: &str = "\
Examples:
  tombolo user list
  tombolo user set alice --label 'Alice Doe' --erp-user adoe --role 'Accounts receivable clerk' --company USMF
  tombolo user set alice --disabled true         # may not call any more
  tombolo user set shop --application-id 5f0c3c1e-… --serves-portal true
  tombolo user import --model models/mine        # the ERP's own users; its URL in TOMBOLO_ERP_URL";

const ROLE_EXAMPLES: &str = "\
Examples:
  tombolo role list
  tombolo role set 'Warehouse clerk' --duty 'Ship orders' --privilege 'View products'
  tombolo role delete 'Warehouse clerk'";

const DUTY_EXAMPLES: &str = "\
Examples:
  tombolo duty list
  tombolo duty set 'Ship orders' --privilege 'View sales orders' --privilege 'Edit sales orders'";

const PRIVILEGE_EXAMPLES: &str = "\
Examples:
  tombolo privilege list --output json
  tombolo privilege set 'View customers' --entity CustCustomerV3Entity --operation read --hidden-field CreditLimit
  tombolo privilege set 'View accounts' --table account --operation read";

#[derive(Debug, Args)]
#[command(after_help = USER_EXAMPLES)]
pub(crate) struct UserArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

#[derive(Debug, Args)]
#[command(after_help = ROLE_EXAMPLES)]
pub(crate) struct RoleArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: EntryCommand<RoleFields>,
}

#[derive(Debug, Args)]
#[command(after_help = DUTY_EXAMPLES)]
pub(crate) struct DutyArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: EntryCommand<DutyFields>,
}

#[derive(Debug, Args)]
#[command(after_help = PRIVILEGE_EXAMPLES)]
pub(crate) struct PrivilegeArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: EntryCommand<PrivilegeFields>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Lists users.
    List,
    /// Shows a user.
    Get {
        /// Sign-in name.
        name: String,
    },
    /// Makes a user, or changes what is given of it.
    Set(Box<UserFields>),
    /// Forgets a user.
    Delete {
        /// Sign-in name.
        name: String,
    },
    /// Reads users, roles and rights from the ERP's own tables, as the model's security.toml says, in the
    /// place of what was read before.
    Import(DirectoryImportArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum EntryCommand<F: Args> {
    /// Lists all of them.
    List,
    /// Makes one, or replaces it.
    Set(F),
    /// Forgets one.
    Delete {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct UserFields {
    /// Sign-in name.
    pub(crate) name: String,
    /// For people.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// The ERP's own user id. Default of a new user: its name.
    #[arg(long)]
    pub(crate) erp_user: Option<String>,
    /// Object id in the directory that issues the user's tokens.
    #[arg(long, value_name = "GUID")]
    pub(crate) object_id: Option<String>,
    /// A role; may be repeated, and replaces those that the user has.
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Option<Vec<String>>,
    /// Takes all roles from the user.
    #[arg(long, conflicts_with = "roles")]
    pub(crate) no_roles: bool,
    /// A legal entity, or * for all; may be repeated, and replaces those that the user has.
    #[arg(long = "company", value_name = "CODE")]
    pub(crate) companies: Option<Vec<String>>,
    /// Takes all legal entities from the user.
    #[arg(long, conflicts_with = "companies")]
    pub(crate) no_companies: bool,
    /// Client id of the application that the user stands for.
    #[arg(long)]
    pub(crate) application_id: Option<String>,
    /// May not call at all.
    #[arg(long, value_name = "BOOL")]
    pub(crate) disabled: Option<bool>,
    /// May act as other users, with no right that not both have.
    #[arg(long, value_name = "BOOL")]
    pub(crate) acts_on_behalf: Option<bool>,
    /// An application that may act as portal contacts.
    #[arg(long, value_name = "BOOL")]
    pub(crate) serves_portal: Option<bool>,
    /// IANA name.
    #[arg(long)]
    pub(crate) time_zone: Option<String>,
    /// LCID.
    #[arg(long)]
    pub(crate) language: Option<i32>,
}

#[derive(Debug, Args)]
pub(crate) struct RoleFields {
    /// Its name.
    pub(crate) name: String,
    /// For people. Default: the name.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// A duty; may be repeated.
    #[arg(long = "duty", value_name = "DUTY")]
    pub(crate) duties: Vec<String>,
    /// A privilege that comes without a duty; may be repeated.
    #[arg(long = "privilege", value_name = "PRIVILEGE")]
    pub(crate) privileges: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DutyFields {
    /// Its name.
    pub(crate) name: String,
    /// For people. Default: the name.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// A privilege; may be repeated.
    #[arg(long = "privilege", value_name = "PRIVILEGE")]
    pub(crate) privileges: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PrivilegeFields {
    /// Its name.
    pub(crate) name: String,
    /// For people. Default: the name.
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// A data entity, as CustCustomerV3Entity, or * for every one; may be repeated.
    #[arg(long = "entity", value_name = "ENTITY", required_unless_present = "tables")]
    pub(crate) entities: Vec<String>,
    /// A native table, as account, or * for every one; may be repeated.
    #[arg(long = "table", value_name = "TABLE")]
    pub(crate) tables: Vec<String>,
    /// What may be done; may be repeated.
    #[arg(long = "operation", value_name = "OPERATION", required = true)]
    pub(crate) operations: Vec<OperationName>,
    /// A field that cannot be seen; may be repeated.
    #[arg(long = "hidden-field", value_name = "FIELD")]
    pub(crate) hidden_fields: Vec<String>,
    /// A field that cannot be written; may be repeated.
    #[arg(long = "read-only-field", value_name = "FIELD")]
    pub(crate) read_only_fields: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OperationName {
    Read,
    Create,
    Update,
    Delete,
    Invoke,
}

#[derive(Debug, Args)]
pub(crate) struct DirectoryImportArgs {
    /// The folder of the ERP's model.
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// The ERP's PostgreSQL, postgres://USER:PASSWORD@HOST:PORT/DATABASE. Better given in the environment:
    /// arguments can be read by everybody on the machine.
    #[arg(long, env = "TOMBOLO_ERP_URL", hide_env_values = true)]
    pub(crate) erp_url: String,
}
