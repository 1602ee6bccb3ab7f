//! Requests: decided by the rules, and begun. Rules are looked at before an operation takes its environments,
//! to say what is wrong, and again after, when nothing else can change them any more.

mod convert;
mod data;
mod database;
mod erp;
mod erp_data;
mod install;
mod platform;

use std::sync::Arc;

use prost::Message;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::OperationKind;
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) use convert::{convert, recover};
pub(crate) use data::{backup_name, copy, create_backup, reset, restore};
pub(crate) use database::add_database;
pub(crate) use erp::{create_erp, delete_erp, update_erp};
pub(crate) use erp_data::{export_database, refresh_database, restore_database};
pub(crate) use install::install;
pub(crate) use platform::{create_platform, delete_platform, update_platform};

use super::order::Order;
use crate::Deps;
use crate::caller::Actor;
use crate::engine;
use crate::error::Error;
use crate::idempotency::{self, Known};
use crate::resource::{self, FINANCE_AND_OPERATIONS, PLATFORM};
use crate::store::finance_and_operations::{self, FinanceAndOperations};
use crate::store::operation::NewOperation;
use crate::store::platform::Platform;

/// A request of somebody who may make it, and its transaction.
pub(super) struct Desk<'a> {
    pub(super) deps: &'a Arc<Deps>,
    pub(super) actor: &'a Actor,
}

/// Does a write once for each key of a caller, in one transaction.
macro_rules! once {
    ($desk:expr, $method:literal, $request:expr, |$transaction:ident| $decide:expr) => {{
        let mut $transaction = $desk.deps.store.begin().await?;
        let known =
            $crate::environments::begin::known(&$desk, &mut $transaction, $method, $request)
                .await?;
        match known {
            $crate::idempotency::Known::Answered(answer) => Ok(answer),
            $crate::idempotency::Known::Fresh(key) => {
                let answer = $decide.await?;
                key.finish(&mut $transaction, &answer).await?;
                $transaction.commit().await?;
                Ok(answer)
            }
        }
    }};
}
pub(super) use once;

/// A request that may be repeated.
pub(super) trait Keyed: Message {
    fn key(&self) -> &str;
}

macro_rules! keyed {
    ($($request:ident),* $(,)?) => {$(
        impl Keyed for pb::$request {
            fn key(&self) -> &str {
                &self.idempotency_key
            }
        }
    )*};
}

keyed!(
    CreatePlatformEnvironmentRequest,
    UpdatePlatformEnvironmentRequest,
    DeletePlatformEnvironmentRequest,
    RecoverPlatformEnvironmentRequest,
    AddDatabaseRequest,
    ResetPlatformEnvironmentRequest,
    CopyPlatformEnvironmentRequest,
    CreateBackupRequest,
    RestorePlatformEnvironmentRequest,
    ConvertPlatformEnvironmentRequest,
    InstallFinanceAndOperationsRequest,
    CreateFinanceAndOperationsEnvironmentRequest,
    UpdateFinanceAndOperationsEnvironmentRequest,
    DeleteFinanceAndOperationsEnvironmentRequest,
    RefreshDatabaseRequest,
    ExportDatabaseRequest,
    RestoreDatabaseRequest,
);

async fn known<Q: Keyed, A: Message + Default>(
    desk: &Desk<'_>,
    transaction: &mut PgConnection,
    method: &str,
    request: &Q,
) -> Result<Known<A>, Error> {
    idempotency::begin(transaction, &desk.actor.caller, request.key(), method, request).await
}

/// An operation that is to begin.
pub(super) struct Begin<'a> {
    pub(super) kind: OperationKind,
    pub(super) order: &'a Order,
    /// Environments that it changes; the last ones may be only read, and are held too.
    pub(super) targets: Vec<String>,
    pub(super) warnings: Vec<&'a str>,
}

impl Desk<'_> {
    /// Begins it; its environments are then changed by nothing else.
    pub(super) async fn begin(
        &self,
        transaction: &mut PgConnection,
        begin: Begin<'_>,
    ) -> Result<pb::Operation, Error> {
        let new = NewOperation {
            kind: begin.kind,
            request: begin.order.to_value()?,
            user: self.actor.name(),
            holds: begin.targets.clone(),
            targets: begin.targets,
            warnings: begin.warnings.into_iter().map(str::to_owned).collect(),
        };
        engine::begin(transaction, self.deps, &new).await
    }
}

/// A platform environment by name, not a deleted one.
pub(super) async fn platform(connection: &mut PgConnection, name: &str) -> Result<Platform, Error> {
    let found = deletable_platform(connection, name).await?;
    match found.delete_time {
        None => Ok(found),
        Some(_) => Err(Error::NotFound(name.to_owned())),
    }
}

/// A platform environment by name, also one that can be recovered.
pub(super) async fn deletable_platform(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Platform, Error> {
    let id = resource::guid(PLATFORM, name)?;
    let found = crate::store::platform::find(connection, id).await?;
    found.ok_or_else(|| Error::NotFound(name.to_owned()))
}

/// A finance-and-operations environment by name.
pub(super) async fn erp(
    connection: &mut PgConnection,
    name: &str,
) -> Result<FinanceAndOperations, Error> {
    let id = resource::id(FINANCE_AND_OPERATIONS, name)?;
    let found = finance_and_operations::by_id(connection, id).await?;
    found.ok_or_else(|| Error::NotFound(name.to_owned()))
}

/// A field that has to be there.
pub(super) fn required<T>(field: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| invalid(field, "it is required"))
}

pub(super) fn invalid(field: &str, message: impl Into<String>) -> Error {
    Error::InvalidValue { field: field.to_owned(), message: message.into() }
}

pub(super) fn new_id() -> Uuid {
    Uuid::new_v4()
}
