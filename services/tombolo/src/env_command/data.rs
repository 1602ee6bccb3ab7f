//! What replaces or keeps the data of environments: refresh, copy, backup, restore.

use anyhow::Result;
use chrono::{DateTime, Utc};
use pb::restore_platform_environment_request::Point;
use proto::lifecycle::v1 as pb;

use super::{Env, show};
use crate::cli::{CopyArgs, RestoreArgs};
use crate::client::{self, PAGE_SIZE, explain};
use crate::confirm::typed_name;
use crate::exit::{Exit, Failure};
use crate::names::Environment;
use crate::print::timestamp;

impl Env {
    pub(super) async fn refresh(
        &self,
        source: &str,
        target: &str,
        confirm: Option<String>,
    ) -> Result<()> {
        let source = self.system.erp_named(source).await?;
        let target = self.system.erp_named(target).await?;
        let what = format!("Replaces the data of {} by that of {}", target.name, source.name);
        let request = pb::RefreshDatabaseRequest {
            confirmation: typed_name(confirm, &what, &target.display_name)?,
            source: source.name,
            target: target.name,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.erp().refresh_database(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn export(&self, name: &str) -> Result<()> {
        let request = pb::ExportDatabaseRequest {
            name: self.system.erp_named(name).await?.name,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.erp().export_database(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn copy(&self, args: CopyArgs) -> Result<()> {
        let source = self.system.platform_named(&args.source, false).await?;
        let target = self.system.platform_named(&args.target, false).await?;
        let what = format!("Overwrites {} by {}", target.name, source.name);
        let kind = if args.minimal { pb::CopyKind::Minimal } else { pb::CopyKind::Full };
        let request = pb::CopyPlatformEnvironmentRequest {
            confirmation: typed_name(args.confirm, &what, &target.display_name)?,
            source: source.name,
            target: target.name,
            kind: kind.into(),
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.platform();
        let answer = client.copy_platform_environment(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn back_up(&self, name: &str, label: Option<String>) -> Result<()> {
        let backup = pb::Backup { label: label.unwrap_or_default(), ..pb::Backup::default() };
        let request = pb::CreateBackupRequest {
            parent: self.system.platform_named(name, false).await?.name,
            backup: Some(backup),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.platform().create_backup(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    pub(super) async fn backups(&self, name: &str) -> Result<()> {
        let parent = self.system.platform_named(name, false).await?.name;
        let mut client = self.system.platform();
        let backups = client::every(async |page_token| {
            let parent = parent.clone();
            let request = pb::ListBackupsRequest { parent, page_size: PAGE_SIZE, page_token };
            let page = client.list_backups(request).await?.into_inner();
            Ok((page.backups, page.next_page_token))
        });
        let backups = backups.await?;
        self.output.list(&backups, || show::backups(&backups))
    }

    pub(super) async fn restore(&self, args: RestoreArgs) -> Result<()> {
        let environment = self.system.environment_named(&args.name).await?;
        if let (Environment::Erp(it), None) = (&environment, args.time) {
            let message = format!("{} is restored to a moment: give --time", it.name);
            return Err(Failure::of(Exit::Usage, message));
        }
        let to = match (&args.backup, args.time) {
            (Some(backup), _) => format!("backup {backup}"),
            (None, time) => time.unwrap_or_default().to_rfc3339(),
        };
        let what = format!("Overwrites {} by what it was at {to}", environment.name());
        let confirmation = typed_name(args.confirm, &what, environment.display_name())?;
        let answer = match environment {
            Environment::Platform(it) => {
                let point = point(&it.name, args.backup, args.time)?;
                let request = pb::RestorePlatformEnvironmentRequest {
                    target: it.name,
                    point: Some(point),
                    confirmation,
                    idempotency_key: self.write.key(),
                };
                let answer = self.system.platform().restore_platform_environment(request).await;
                answer.map_err(explain)?.into_inner().operation
            }
            Environment::Erp(it) => {
                let request = pb::RestoreDatabaseRequest {
                    name: it.name,
                    restore_time: args.time.map(timestamp),
                    confirmation,
                    idempotency_key: self.write.key(),
                };
                let answer = self.system.erp().restore_database(request).await;
                answer.map_err(explain)?.into_inner().operation
            }
        };
        self.begun(answer).await
    }
}

/// A backup of the environment itself needs no whole name.
fn point(environment: &str, backup: Option<String>, time: Option<DateTime<Utc>>) -> Result<Point> {
    match (backup, time) {
        (Some(it), _) if it.contains('/') => Ok(Point::Backup(it)),
        (Some(it), _) => Ok(Point::Backup(format!("{environment}/backups/{it}"))),
        (None, Some(time)) => Ok(Point::RestoreTime(timestamp(time))),
        (None, None) => Err(Failure::of(Exit::Usage, "give --backup or --time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_of_the_environment_unless_it_says_of_which() {
        let of = |backup: &str| point("platformEnvironments/1", Some(backup.into()), None).unwrap();
        assert_eq!(of("b"), Point::Backup("platformEnvironments/1/backups/b".into()));
        let other = "platformEnvironments/2/backups/b";
        assert_eq!(of(other), Point::Backup(other.into()));
    }
}
