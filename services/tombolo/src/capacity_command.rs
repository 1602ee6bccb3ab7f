//! `tombolo capacity`: what the tenant may use and does use, and its licences.

mod accruals;
mod licences;
mod plot;
mod pools;
mod usage;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use prost_types::Timestamp;
use proto::capacity::v1 as pb;

use crate::cli::{AccrualCommand, CapacityArgs, CapacityCommand, LicenceCommand, WriteArgs};
use crate::print::{Output, timestamp};
use crate::system::System;

/// What every verb needs.
struct Capacity {
    system: System,
    output: Output,
    write: WriteArgs,
}

pub(crate) async fn run(args: CapacityArgs) -> Result<()> {
    let system = System::connect(&args.output.server).await?;
    let capacity = Capacity { system, output: args.output.output(), write: args.write };
    Box::pin(capacity.run(args.command.unwrap_or(CapacityCommand::Show))).await
}

impl Capacity {
    async fn run(&self, command: CapacityCommand) -> Result<()> {
        use CapacityCommand as It;
        match command {
            It::Show => self.show().await,
            It::Entitlements { pool } => self.entitlements(pool).await,
            It::Environments => self.environments().await,
            It::Tables { environment, pool } => self.tables(&environment, pool).await,
            It::History(args) => self.history(args).await,
            It::Measure { environment } => self.measure(environment).await,
            It::Forecast { days } => self.forecast(days).await,
            It::Notices { active } => self.notices(active).await,
            It::Check { operation, amounts } => self.check(operation, amounts).await,
            It::Licences(LicenceCommand::List) => self.licences().await,
            It::Licences(LicenceCommand::Add(args)) => self.add_licence(args).await,
            It::Licences(LicenceCommand::Set(args)) => self.set_licence(args).await,
            It::Licences(LicenceCommand::Delete { name }) => self.delete_licence(&name).await,
            It::Assign { licence, holder } => self.assign(&licence, &holder).await,
            It::Unassign { licence, holder } => self.unassign(&licence, &holder).await,
            It::Assignments { licence, holder } => self.assignments(licence, holder).await,
            It::Accruals(AccrualCommand::List) => self.accruals().await,
            It::Accruals(AccrualCommand::Set(args)) => self.set_accrual(args).await,
        }
    }
}

fn pool_filter(pool: Option<pb::Pool>) -> i32 {
    pool.unwrap_or_default().into()
}

fn days_ago(days: u32) -> Timestamp {
    let ago = Utc::now().checked_sub_signed(TimeDelta::days(days.into()));
    timestamp(ago.unwrap_or(DateTime::UNIX_EPOCH))
}
