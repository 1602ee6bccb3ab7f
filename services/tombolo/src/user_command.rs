//! `tombolo user`, `role`, `duty` and `privilege`: who there is and what they may do, by gRPC like
//! everybody else's.

mod entry;
mod operation;
mod print;
mod user;

use anyhow::{Context as _, Result};
use proto::user_context::v1 as pb;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;

use crate::cli::{
    DirectoryImportArgs, DutyArgs, EntryCommand, OutputArgs, PrivilegeArgs, RoleArgs, UserArgs,
    UserCommand,
};
use crate::client::{self, Access, PAGE_SIZE, explain};
use crate::erp_directory;
use print::Output;

/// The rights of a large ERP are some megabytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

type Client = DirectoryServiceClient<Access>;

pub(crate) async fn user(args: UserArgs) -> Result<()> {
    let (mut client, output) = connect(&args.output).await?;
    match args.command {
        UserCommand::List => {
            let users = client::every(async |page_token| {
                let request = pb::ListUsersRequest { page_size: PAGE_SIZE, page_token };
                let page = client.list_users(request).await?.into_inner();
                Ok((page.users, page.next_page_token))
            });
            output.list(&users.await?)
        }
        UserCommand::Get { name } => {
            let request = pb::GetUserRequest { name: entry::resource("users", &name) };
            let answer = client.get_user(request).await.map_err(explain)?.into_inner();
            output.one(&answer.user.unwrap_or_default())
        }
        UserCommand::Set(fields) => {
            let request = user::update(*fields);
            let answer = client.update_user(request).await.map_err(explain)?.into_inner();
            output.one(&answer.user.unwrap_or_default())
        }
        UserCommand::Delete { name } => {
            let request = pb::DeleteUserRequest {
                name: entry::resource("users", &name),
                allow_missing: false,
            };
            client.delete_user(request).await.map_err(explain)?;
            output.deleted(&name)
        }
        UserCommand::Import(args) => import(&mut client, output, &args).await,
    }
}

pub(crate) async fn role(args: RoleArgs) -> Result<()> {
    let (mut client, output) = connect(&args.output).await?;
    match args.command {
        EntryCommand::List => {
            let roles = client::every(async |page_token| {
                let request = pb::ListRolesRequest { page_size: PAGE_SIZE, page_token };
                let page = client.list_roles(request).await?.into_inner();
                Ok((page.roles, page.next_page_token))
            });
            output.list(&roles.await?)
        }
        EntryCommand::Set(fields) => {
            let request = pb::UpdateRoleRequest { role: Some(fields.into()), allow_missing: true };
            let answer = client.update_role(request).await.map_err(explain)?.into_inner();
            output.one(&answer.role.unwrap_or_default())
        }
        EntryCommand::Delete { name } => {
            let request = pb::DeleteRoleRequest {
                name: entry::resource("roles", &name),
                allow_missing: false,
            };
            client.delete_role(request).await.map_err(explain)?;
            output.deleted(&name)
        }
    }
}

pub(crate) async fn duty(args: DutyArgs) -> Result<()> {
    let (mut client, output) = connect(&args.output).await?;
    match args.command {
        EntryCommand::List => {
            let duties = client::every(async |page_token| {
                let request = pb::ListDutiesRequest { page_size: PAGE_SIZE, page_token };
                let page = client.list_duties(request).await?.into_inner();
                Ok((page.duties, page.next_page_token))
            });
            output.list(&duties.await?)
        }
        EntryCommand::Set(fields) => {
            let request = pb::UpdateDutyRequest { duty: Some(fields.into()), allow_missing: true };
            let answer = client.update_duty(request).await.map_err(explain)?.into_inner();
            output.one(&answer.duty.unwrap_or_default())
        }
        EntryCommand::Delete { name } => {
            let request = pb::DeleteDutyRequest {
                name: entry::resource("duties", &name),
                allow_missing: false,
            };
            client.delete_duty(request).await.map_err(explain)?;
            output.deleted(&name)
        }
    }
}

pub(crate) async fn privilege(args: PrivilegeArgs) -> Result<()> {
    let (mut client, output) = connect(&args.output).await?;
    match args.command {
        EntryCommand::List => {
            let privileges = client::every(async |page_token| {
                let request = pb::ListPrivilegesRequest { page_size: PAGE_SIZE, page_token };
                let page = client.list_privileges(request).await?.into_inner();
                Ok((page.privileges, page.next_page_token))
            });
            output.list(&privileges.await?)
        }
        EntryCommand::Set(fields) => {
            let privilege = Some(fields.into());
            let request = pb::UpdatePrivilegeRequest { privilege, allow_missing: true };
            let answer = client.update_privilege(request).await.map_err(explain)?.into_inner();
            output.one(&answer.privilege.unwrap_or_default())
        }
        EntryCommand::Delete { name } => {
            let request = pb::DeletePrivilegeRequest {
                name: entry::resource("privileges", &name),
                allow_missing: false,
            };
            client.delete_privilege(request).await.map_err(explain)?;
            output.deleted(&name)
        }
    }
}

async fn import(client: &mut Client, output: Output, args: &DirectoryImportArgs) -> Result<()> {
    let model = model::load(&args.model)?;
    let security = model::Security::load(&args.model, &model)?;
    let queries = security.import.with_context(|| {
        format!("{} has no [import]", args.model.join("security.toml").display())
    })?;
    let read = erp_directory::read(&args.erp_url, &model, &queries).await?;
    let left_out = read.left_out;
    let imported = client.import_directory(read.request).await.map_err(explain)?.into_inner();
    output.imported(&imported, left_out)
}

async fn connect(args: &OutputArgs) -> Result<(Client, Output)> {
    let access = client::connect(&args.server).await?;
    let client = DirectoryServiceClient::new(access).max_decoding_message_size(MAX_BYTES);
    Ok((client, Output(args.output())))
}
