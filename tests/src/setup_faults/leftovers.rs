//! What must be there after a setup has ended, and what must not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use proto::capacity::v1::Pool;
use rpc::ErrorReason;
use sqlx::{AssertSqlSafe, PgConnection};
use tonic::Code;

use super::world::World;
use crate::tenant::{GB, Tenant, amount, assert_refused, erp_name, pool};
use crate::{System, Web};

/// How names of databases begin that lifecycle makes on this server.
const OURS: [&str; 3] = ["env_", "new_", "old_"];

/// What is known to have become of the environments of the rounds.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// `platformEnvironments/…` by the last part of the ERP's name.
    pub(super) linked: BTreeMap<String, String>,
    /// The same of setups that were given up.
    pub(super) unlinked: BTreeMap<String, String>,
}

/// Everything is as it must be when no operation is open.
pub(super) async fn check(world: &World, tenant: &Tenant, known: &Known) -> Result<()> {
    let control_plane = &mut world.control_plane().await?;
    links(control_plane, known).await.context("links")?;
    databases(control_plane).await.context("databases")?;
    holds(control_plane).await.context("holds")?;
    capacity(control_plane, tenant).await.context("capacity")
}

/// What is told of a pair.
pub(super) async fn pair(tenant: &Tenant, erp: &str, platform: &str, linked: bool) -> Result<()> {
    let names = [erp_name(erp), platform.to_owned()];
    for name in &names {
        let answer = tenant.link(name).await;
        if linked {
            let link = answer?;
            ensure!(
                link.finance_and_operations_environment == names[0]
                    && link.platform_environment == names[1],
                "{link:?}"
            );
        } else {
            assert_refused(answer, Code::NotFound, ErrorReason::NotLinked, "not linked")?;
        }
    }
    let half = tenant.platform(platform).await?;
    let other = tenant.erp(erp).await?;
    use proto::lifecycle::v1::{
        FinanceAndOperationsEnvironmentState as ErpState, PlatformEnvironmentState as State,
    };
    ensure!(
        half.state() == State::Ready && other.state() == ErpState::Deployed,
        "{half:?} {other:?}"
    );
    ensure!(half.link.is_empty() != linked && other.link == half.link, "{half:?} {other:?}");
    ensure!(half.database.is_some() || !linked, "linked without a database: {half:?}");
    Ok(())
}

/// What the Web API of a linked environment says of the other half.
pub(super) async fn details(
    system: &System,
    tenant: &Tenant,
    erp: &str,
    platform: &str,
) -> Result<()> {
    let database = tenant.platform(platform).await?.database.context("no database")?;
    let web = Web::new(&system.http, Some(system.token("admin").await?));
    let host = format!("{}.localhost", database.host_name);
    let path = "RetrieveFinanceAndOperationsIntegrationDetails()";
    let told = web.send(reqwest::Method::GET, path, &[("Host", &host)], None).await?.ok()?;
    let erp = tenant.erp(erp).await?;
    ensure!(
        told["Url"] == erp.url.as_str()
            && told["Id"] == erp.environment_id.as_str()
            && told["TenantId"] == erp.tenant_id.as_str(),
        "{told}"
    );
    Ok(())
}

async fn links(connection: &mut PgConnection, known: &Known) -> Result<()> {
    let sql = "SELECT id, 'platformEnvironments/' || platform_environment FROM lifecycle.link";
    let found: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut *connection).await?;
    for (erp, platform) in &known.linked {
        let count = found.iter().filter(|it| it.0 == *erp && it.1 == *platform).count();
        ensure!(count == 1, "{erp} is linked {count} times with {platform}: {found:?}");
    }
    for (erp, platform) in &known.unlinked {
        let link = found.iter().find(|it| it.0 == *erp || it.1 == *platform);
        ensure!(link.is_none(), "given up and linked: {link:?}");
    }
    // That of the system itself, too.
    ensure!(found.len() == known.linked.len() + 1, "{found:?}");
    Ok(())
}

/// Databases and roles that environments name, and those that there are, are the same.
async fn databases(connection: &mut PgConnection) -> Result<()> {
    let named = "SELECT database FROM lifecycle.platform_environment
                 WHERE database IS NOT NULL AND purge_time IS NULL";
    let named = names(connection, named).await?;
    let there = names(connection, "SELECT datname::text FROM pg_database").await?;
    let missing: Vec<_> = named.difference(&there).collect();
    ensure!(missing.is_empty(), "environments name databases that are not there: {missing:?}");
    let orphans: Vec<_> = there
        .difference(&named)
        .filter(|it| OURS.iter().any(|ours| it.starts_with(ours)))
        .collect();
    ensure!(orphans.is_empty(), "databases that no environment names: {orphans:?}");
    let owners = "SELECT database_role FROM lifecycle.platform_environment
                  WHERE database_role <> '' AND purge_time IS NULL";
    let owners = names(connection, owners).await?;
    let roles = "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'env\\_%'";
    let roles = names(connection, roles).await?;
    ensure!(roles == owners, "roles {roles:?}, named {owners:?}");
    Ok(())
}

/// Who has ended holds nothing.
async fn holds(connection: &mut PgConnection) -> Result<()> {
    let open = "SELECT id::text || ' ' || kind || ' ' || state FROM lifecycle.operation
                WHERE end_time IS NULL";
    let open = names(connection, open).await?;
    ensure!(open.is_empty(), "still open: {open:?}");
    let holds = "SELECT target FROM lifecycle.operation_hold";
    let holds = names(connection, holds).await?;
    ensure!(holds.is_empty(), "still held: {holds:?}");
    let held = "SELECT holder || ' ' || environment FROM capacity.reservation WHERE state = 'held'";
    let held = names(connection, held).await?;
    ensure!(held.is_empty(), "still reserved: {held:?}");
    Ok(())
}

/// Each database counts once, with what was measured.
async fn capacity(connection: &mut PgConnection, tenant: &Tenant) -> Result<()> {
    let answer = tenant.measured().await?;
    let usages = tenant.usages().await?;
    let environments = "SELECT 'platformEnvironments/' || id FROM lifecycle.platform_environment
                        WHERE delete_time IS NULL";
    let environments = names(connection, environments).await?;
    let is_platform = |it: &str| it.starts_with("platformEnvironments/");
    let of_platform = usages.iter().filter(|it| is_platform(&it.environment));
    let counted: BTreeSet<_> = of_platform.clone().map(|it| it.environment.clone()).collect();
    ensure!(
        counted == environments && of_platform.clone().count() == counted.len(),
        "{counted:?} count, {environments:?} are there"
    );
    let mut sum = 0;
    for usage in of_platform {
        let expected = amount(&usage.measured, Pool::Database).max(GB);
        let counts = amount(&usage.counted, Pool::Database);
        ensure!(counts == expected, "{expected} bytes were measured: {usage:?}");
        sum += counts;
    }
    let database = pool(&answer, Pool::Database);
    ensure!(
        database.used_bytes == sum && database.reserved_bytes == 0,
        "{sum} bytes are counted: {database:?}"
    );
    Ok(())
}

async fn names(connection: &mut PgConnection, sql: &str) -> Result<BTreeSet<String>> {
    let sql = AssertSqlSafe(sql.to_owned());
    let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    Ok(names.into_iter().collect())
}
