//! `tombolo env`: environments of both halves, their link, and the operations that change them. Every
//! verb is a call or two; what people read is in `show`, what takes a while is followed in `follow`.

mod create;
mod data;
mod operations;
mod platform;
mod settings;
mod setup;
mod show;

use anyhow::Result;
use proto::lifecycle::v1::Operation;

use crate::cli::{EnvArgs, EnvCommand, WriteArgs};
use crate::follow;
use crate::print::Output;
use crate::system::System;

/// What every verb needs.
struct Env {
    system: System,
    output: Output,
    write: WriteArgs,
}

pub(crate) async fn run(args: EnvArgs) -> Result<()> {
    let system = System::connect(&args.output.server).await?;
    let env = Env { system, output: args.output.output(), write: args.write };
    Box::pin(env.run(args.command)).await
}

impl Env {
    async fn run(&self, command: EnvCommand) -> Result<()> {
        use EnvCommand as It;
        match command {
            It::List { deleted } => self.list(deleted).await,
            It::Show { name } => self.show(&name).await,
            It::Create(args) => self.create(args).await,
            It::CreatePlatform(args) => self.create_platform(args).await,
            It::Check { name, platform } => self.check(&name, platform).await,
            It::Setup(args) => self.setup(args).await,
            It::DualWrite { link, agree } => self.dual_write(&link, agree).await,
            It::Links => self.links().await,
            It::Operations { target } => self.operations(target).await,
            It::Watch { operation } => self.watch(&operation).await,
            It::Resume { operation } => self.resume(&operation).await,
            It::Cancel { operation } => self.cancel(&operation).await,
            It::Refresh { source, target, confirm } => {
                self.refresh(&source, &target, confirm).await
            }
            It::Export { name } => self.export(&name).await,
            It::Copy(args) => self.copy(args).await,
            It::Backup { name, label } => self.back_up(&name, label).await,
            It::Backups { name } => self.backups(&name).await,
            It::Restore(args) => self.restore(args).await,
            It::Reset { name, confirm } => self.reset(&name, confirm).await,
            It::Convert { name, to } => self.convert(&name, to).await,
            It::Delete { name, confirm } => self.delete(&name, confirm).await,
            It::Recover { name } => self.recover(&name).await,
            It::Rename { name, display_name } => self.rename(&name, display_name).await,
            It::Host { name, host } => self.change_host(&name, host).await,
            It::Administrator { name, administrator } => {
                self.set_administrator(&name, &administrator).await
            }
            It::AddDatabase { name, database } => self.add_database(&name, database).await,
            It::InstallFinops(args) => self.install_finops(args).await,
            It::Templates => self.templates().await,
            It::Locations => self.locations().await,
            It::Settings(args) => self.settings(args).await,
        }
    }

    async fn begun(&self, operation: Option<Operation>) -> Result<()> {
        follow::begun(&self.system, self.output, self.write.no_wait, operation).await
    }
}
