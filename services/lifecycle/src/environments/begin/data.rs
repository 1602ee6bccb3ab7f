//! Data of platform environments: copied, backed up, restored, reset.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use proto::capacity::v1::CapacityOperation;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::restore_platform_environment_request::Point;
use proto::lifecycle::v1::{CopyKind, OperationKind};
use sqlx::PgConnection;
use uuid::Uuid;

use super::platform::counts;
use super::{Begin, Desk, invalid, new_id, once, platform as named, required};
use crate::Deps;
use crate::caller::Actor;
use crate::environments::capacity::{self, Need};
use crate::environments::order::{Half, Order, Origin};
use crate::environments::rules;
use crate::error::Error;
use crate::resource::{self, PLATFORM};
use crate::store::backup::{self, Backup};
use crate::store::platform::Platform;

const BACKUPS: &str = "backups";

/// `platformEnvironments/…/backups/…`.
pub(crate) fn backup_name(environment: Uuid, backup: Uuid) -> String {
    format!("{}/{BACKUPS}/{backup}", resource::name(PLATFORM, environment))
}

fn parse_backup_name(name: &str) -> Result<(Uuid, Uuid), Error> {
    let (environment, backup) =
        name.split_once("/backups/").ok_or_else(|| Error::NotFound(name.to_owned()))?;
    let backup = backup.parse().map_err(|_| Error::NotFound(name.to_owned()))?;
    Ok((resource::guid(PLATFORM, environment)?, backup))
}

/// Overwrites the target by the source.
pub(crate) async fn copy(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::CopyPlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "CopyPlatformEnvironment", request, |transaction| {
        begin_copy(&desk, &mut transaction, request)
    })
}

async fn begin_copy(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::CopyPlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    let minimal = match request.kind() {
        CopyKind::Full => false,
        CopyKind::Minimal => true,
        CopyKind::Unspecified => return Err(invalid("kind", "it is required")),
    };
    let source = named(transaction, &request.source).await?;
    let target = named(transaction, &request.target).await?;
    check_copy(&source, &target)?;
    rules::check_confirmation(&request.confirmation, &target.display_name)?;
    let platform = &desk.deps.databases.platform;
    let size = platform.size(&rules::dataverse(&source)?.database).await?;
    check_growth(desk, CapacityOperation::Copy, &target, size).await?;
    let begin = Begin {
        kind: OperationKind::CopyEnvironment,
        order: &Order::Replace {
            half: Half::Platform,
            target: target.id,
            origin: Origin::Environment { id: source.id, minimal },
            takes_capacity: counts(target.kind),
        },
        targets: vec![target.name(), source.name()],
        warnings: warnings(&target),
    };
    let operation = desk.begin(transaction, begin).await?;
    let source = named(transaction, &request.source).await?;
    check_copy(&source, &named(transaction, &request.target).await?)?;
    Ok(operation)
}

fn check_copy(source: &Platform, target: &Platform) -> Result<(), Error> {
    if source.id == target.id {
        return Err(invalid("target", "it is the source"));
    }
    for environment in [source, target] {
        rules::check_ready(environment)?;
        rules::dataverse(environment)?;
    }
    let (from, to) = (source.name(), target.name());
    rules::check_both_linked((&from, source.link.is_some()), (&to, target.link.is_some()))?;
    rules::check_region(source, target)
}

/// What people should know who overwrite one half of a link.
fn warnings(target: &Platform) -> Vec<&'static str> {
    match target.link {
        Some(_) => vec![rules::BOTH_HALVES, rules::CODE_TRAVELS],
        None => Vec::new(),
    }
}

/// Whether there is room for what the target is to hold.
async fn check_growth(
    desk: &Desk<'_>,
    operation: CapacityOperation,
    target: &Platform,
    size: i64,
) -> Result<(), Error> {
    if !counts(target.kind) {
        return Ok(());
    }
    let current = desk.deps.databases.platform.size(&rules::dataverse(target)?.database).await?;
    let need = Need::new(operation, target.name()).with_size(size - current);
    capacity::check(&desk.deps.clients.capacity, &need).await
}

/// Backs one up.
pub(crate) async fn create_backup(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::CreateBackupRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "CreateBackup", request, |transaction| {
        begin_backup(&desk, &mut transaction, request)
    })
}

async fn begin_backup(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::CreateBackupRequest,
) -> Result<pb::Operation, Error> {
    let found = named(transaction, &request.parent).await?;
    rules::check_ready(&found)?;
    rules::dataverse(&found)?;
    let label = request.backup.as_ref().map(|it| it.label.clone()).unwrap_or_default();
    if !label.is_empty() {
        rules::check_display_name("backup.label", &label)?;
    }
    let order =
        Order::BackUp { half: Half::Platform, environment: found.id, backup: new_id(), label };
    let begin = Begin {
        kind: OperationKind::BackUpEnvironment,
        order: &order,
        targets: vec![found.name()],
        warnings: found.link.iter().map(|_| rules::BOTH_HALVES).collect(),
    };
    let operation = desk.begin(transaction, begin).await?;
    rules::check_ready(&named(transaction, &request.parent).await?)?;
    Ok(operation)
}

/// Brings one back to a backup or a moment.
pub(crate) async fn restore(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::RestorePlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "RestorePlatformEnvironment", request, |transaction| {
        begin_restore(&desk, &mut transaction, request)
    })
}

async fn begin_restore(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::RestorePlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    let target = named(transaction, &request.target).await?;
    let (source, backup) = match required("point", request.point.as_ref())? {
        Point::Backup(name) => named_backup(transaction, name).await?,
        Point::RestoreTime(moment) => {
            let backup = at(transaction, target.id, moment).await?;
            (target.clone(), backup)
        }
    };
    check_restore(&source, &target)?;
    rules::check_confirmation(&request.confirmation, &target.display_name)?;
    check_growth(desk, CapacityOperation::Restore, &target, backup.size_bytes).await?;
    let used = used_backup(&backup);
    let mut warnings = vec![used.as_str()];
    if target.link.is_some() {
        warnings.extend([rules::BOTH_HALVES, rules::REPAIR]);
    }
    let begin = Begin {
        kind: OperationKind::RestoreEnvironment,
        order: &Order::Replace {
            half: Half::Platform,
            target: target.id,
            origin: Origin::Backup { id: backup.id },
            takes_capacity: counts(target.kind),
        },
        targets: vec![target.name()],
        warnings,
    };
    let operation = desk.begin(transaction, begin).await?;
    check_restore(&source, &named(transaction, &request.target).await?)?;
    Ok(operation)
}

fn check_restore(source: &Platform, target: &Platform) -> Result<(), Error> {
    rules::check_ready(target)?;
    rules::dataverse(target)?;
    let (from, to) = (source.name(), target.name());
    rules::check_both_linked((&from, source.link.is_some()), (&to, target.link.is_some()))?;
    rules::check_region(source, target)
}

/// The newest backup at or before a moment.
pub(super) async fn at(
    transaction: &mut PgConnection,
    environment: Uuid,
    moment: &prost_types::Timestamp,
) -> Result<Backup, Error> {
    let nanos = u32::try_from(moment.nanos).ok();
    let moment = nanos.and_then(|nanos| DateTime::<Utc>::from_timestamp(moment.seconds, nanos));
    let moment = moment.ok_or_else(|| invalid("restore_time", "it is no time"))?;
    if moment > Utc::now() {
        return Err(invalid("restore_time", "it is in the future"));
    }
    let found = backup::newest(transaction, environment, moment).await?;
    found.ok_or_else(|| {
        Error::Expired(format!("no backup is kept that is as old as {}", moment.to_rfc3339()))
    })
}

/// Says which backup is used.
pub(super) fn used_backup(backup: &Backup) -> String {
    format!("The environment goes back to its backup of {}.", backup.create_time.to_rfc3339())
}

async fn named_backup(
    transaction: &mut PgConnection,
    name: &str,
) -> Result<(Platform, Backup), Error> {
    let (environment, id) = parse_backup_name(name)?;
    let missing = || Error::NotFound(name.to_owned());
    let found = backup::find(&mut *transaction, id).await?;
    let found =
        found.filter(|it| it.platform_environment == Some(environment)).ok_or_else(missing)?;
    let source = crate::store::platform::find(transaction, environment).await?;
    Ok((source.ok_or_else(missing)?, found))
}

/// Takes everything away.
pub(crate) async fn reset(
    deps: &Arc<Deps>,
    actor: &Actor,
    request: &pb::ResetPlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    actor.may_administer()?;
    let desk = Desk { deps, actor };
    once!(desk, "ResetPlatformEnvironment", request, |transaction| {
        begin_reset(&desk, &mut transaction, request)
    })
}

async fn begin_reset(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    request: &pb::ResetPlatformEnvironmentRequest,
) -> Result<pb::Operation, Error> {
    let found = named(transaction, &request.name).await?;
    check_reset(&found)?;
    rules::check_confirmation(&request.confirmation, &found.display_name)?;
    let begin = Begin {
        kind: OperationKind::ResetEnvironment,
        order: &Order::Replace {
            half: Half::Platform,
            target: found.id,
            origin: Origin::Nothing,
            takes_capacity: false,
        },
        targets: vec![found.name()],
        warnings: Vec::new(),
    };
    let operation = desk.begin(transaction, begin).await?;
    check_reset(&named(transaction, &request.name).await?)?;
    Ok(operation)
}

fn check_reset(environment: &Platform) -> Result<(), Error> {
    rules::may_reset(environment)?;
    rules::check_ready(environment)?;
    rules::dataverse(environment).map(drop)
}
