//! Dual-write after a setup without it (spec PPI-18).

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::{DualWriteStatus, FailureKind, OperationKind, OperationStage};
use rpc::ErrorReason;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::services;
use super::workflow::failed;
use crate::Deps;
use crate::engine::{self, StageContext, StageError, Workflow};
use crate::error::Error;
use crate::resource::{self, FINANCE_AND_OPERATIONS, PLATFORM};
use crate::store::link::{self, Link};
use crate::store::operation::NewOperation;
use crate::store::platform::{self, Dataverse};

/// The platform of dual-write, which every linked environment but one for Project Operations has, and its
/// application.
const PACKAGES: [&str; 2] = ["DualWriteCoreAnchor", "MsDyn_DualWriteAppCoreAnchor"];

const ELSEWHERE: &str = "Microsoft has detected that your environment is linked via Dual-write to a different \
                         destination than specified in Power Platform Integration, which is not recommended.";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Id of the link.
    link: String,
}

struct DualWrite {
    deps: Arc<Deps>,
    link: String,
}

/// How it is done.
pub(crate) fn workflow(request: &Value, deps: &Arc<Deps>) -> Result<Box<dyn Workflow>, Error> {
    let Order { link } =
        Order::deserialize(request).map_err(|error| Error::Malformed(error.to_string()))?;
    Ok(Box::new(DualWrite { deps: Arc::clone(deps), link }))
}

/// Begins it.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    deps: &Arc<Deps>,
    id: &str,
    user: String,
) -> Result<pb::Operation, Error> {
    let missing = || Error::NotLinked { environment: resource::name(FINANCE_AND_OPERATIONS, id) };
    let link = link::find(connection, id).await?.ok_or_else(missing)?;
    if link.dual_write_status == DualWriteStatus::Linked {
        let (resource, state) = (link.name(), "linked".to_owned());
        let message = format!("dual-write of `{resource}` is linked already");
        return Err(Error::InvalidState { resource, state, message });
    }
    let order = Order { link: id.to_owned() };
    let names = vec![
        resource::name(FINANCE_AND_OPERATIONS, id),
        resource::name(PLATFORM, link.platform_environment),
    ];
    let new = NewOperation {
        kind: OperationKind::ConfigureDualWrite,
        request: serde_json::to_value(order)
            .map_err(|error| Error::Malformed(error.to_string()))?,
        user,
        targets: names.iter().cloned().chain([link.name()]).collect(),
        holds: names,
        warnings: if points_elsewhere(&link) { vec![ELSEWHERE.to_owned()] } else { Vec::new() },
    };
    engine::begin(connection, deps, &new).await
}

/// Whether dual-write was linked with another environment than the link's.
fn points_elsewhere(link: &Link) -> bool {
    link.dual_write_platform_environment.is_some_and(|it| it != link.platform_environment)
}

impl Workflow for DualWrite {
    fn stages(&self) -> Vec<OperationStage> {
        vec![OperationStage::InstallingPackages, OperationStage::Configuring]
    }

    fn perform<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            match stage {
                OperationStage::InstallingPackages => self.install(context).await,
                _ => self.link(context).await,
            }
        }
        .boxed()
    }

    fn undo<'a>(
        &'a self,
        stage: OperationStage,
        context: &'a StageContext,
    ) -> BoxFuture<'a, Result<(), StageError>> {
        async move {
            if stage == OperationStage::InstallingPackages {
                // The packages stay: they do nothing until dual-write is linked.
                let status = DualWriteStatus::NotConfigured;
                link::set_dual_write(&mut *context.connection().await, &self.link, status).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn point_of_no_return(&self) -> Option<OperationStage> {
        Some(OperationStage::Configuring)
    }

    fn status_texts(&self) -> (&'static str, &'static str) {
        ("Dual-write application is being configured", "Dual-write is linked")
    }
}

impl DualWrite {
    async fn install(&self, context: &StageContext) -> Result<(), StageError> {
        let status = DualWriteStatus::Configuring;
        link::set_dual_write(&mut *context.connection().await, &self.link, status).await?;
        context.step("configuring").await?;
        let place = services::place(&self.dataverse(context).await?);
        for (percent, package) in [0, 50].into_iter().zip(PACKAGES) {
            context.say(percent, &format!("Installing {package}")).await?;
            services::install(&self.deps, &place, package).await?;
            context.step("package-installed").await?;
        }
        Ok(())
    }

    /// What it was linked with before stays, with a warning.
    async fn link(&self, context: &StageContext) -> Result<(), StageError> {
        let mut connection = context.connection().await;
        let mut transaction = connection.begin().await?;
        context.pass_point_of_no_return(&mut transaction).await?;
        link::set_dual_write(&mut transaction, &self.link, DualWriteStatus::Linked).await?;
        let sql = "UPDATE link SET dual_write_platform_environment =
                       coalesce(dual_write_platform_environment, platform_environment)
                   WHERE id = $1";
        sqlx::query(sql).bind(&self.link).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn dataverse(&self, context: &StageContext) -> Result<Dataverse, StageError> {
        let connection = &mut *context.connection().await;
        let found = match link::find(connection, &self.link).await? {
            Some(link) => platform::find(&mut *connection, link.platform_environment).await?,
            None => None,
        };
        found.and_then(|it| it.dataverse).ok_or_else(|| {
            let message = "The link is not there any more.".to_owned();
            failed(FailureKind::State, ErrorReason::NotLinked, message, "Cancel the operation.")
        })
    }
}
