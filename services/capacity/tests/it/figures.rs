//! What is bought, what is used, and what that leaves.

use proto::capacity::v1 as pb;
use proto::capacity::v1::{MeterKind, Pool};
use rpc::{ErrorReason, role};
use tonic::Code;

use crate::world::{GB, MB, World, amount, refused};

#[tokio::test]
async fn a_fresh_tenant_has_nothing_and_was_never_measured() {
    let world = World::new().await;
    let running = world.start().await;
    let capacity = world.capacity(&running).await;
    assert_eq!(capacity.measure_time, None);
    assert_eq!(capacity.sampling_period.unwrap().seconds, 3600);
    assert!(!capacity.in_overage && capacity.blocked_operations.is_empty());
    assert_eq!(capacity.pools.len(), 5);
    for pool in capacity.pools {
        assert_eq!(pb::PoolCapacity { pool: pool.pool, ..Default::default() }, pool);
    }
}

#[tokio::test]
async fn entitled_used_and_free() {
    let world = World::new().await;
    world.meter.database(
        "platformEnvironments/a",
        MeterKind::Platform,
        3 * GB,
        &[("account", GB), ("auditbase", 100 * MB), ("annotationbase", 200 * MB)],
    );
    world.meter.without_database("platformEnvironments/b", MeterKind::Platform);
    world.meter.database("platformEnvironments/c", MeterKind::PlatformExempt, 50 * GB, &[]);
    world.meter.database("platformEnvironments/d", MeterKind::PlatformDefault, 4 * GB, &[]);
    let erp = "financeAndOperationsEnvironments/e";
    world.meter.database(erp, MeterKind::FinanceAndOperations, 5 * GB, &[("auditbase", GB)]);
    let running = world.joined(3600).await;
    world.buy(&running, "finance", 4).await;
    world.measure(&running).await;

    let check = async |pool, entitled: i64, used: i64| {
        let it = world.pool(&running, pool).await;
        assert_eq!((it.entitled_bytes, it.used_bytes), (entitled * MB, used * MB), "{pool:?}");
        assert_eq!(it.free_bytes, (entitled - used) * MB);
        assert_eq!((it.reserved_bytes, it.deficit_bytes), (0, 0));
    };
    // a: 3072 - 300, b: the floor, d: 4 GB of which 3 are included.
    check(Pool::Database, 10_240 + 1000, 2772 + 1024 + 1024).await;
    check(Pool::File, 20_480 + 8192, 200).await;
    check(Pool::Log, 2048, 100).await;
    check(Pool::OperationsDatabase, 61_440 + 16_384, 5120).await;
    check(Pool::OperationsFile, 0, 0).await;
    assert!(world.capacity(&running).await.measure_time.is_some());

    let request = world.admin(pb::ListEnvironmentUsagesRequest::default());
    let usages = running.capacity().list_environment_usages(request).await.unwrap().into_inner();
    let usages = usages.environment_usages;
    let names: Vec<_> =
        usages.iter().map(|it| it.environment.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["c", "e", "d", "a", "b"], "the largest first");
    let a = &usages[3];
    assert_eq!(a.measured.iter().map(|it| it.size_bytes).sum::<i64>(), 3 * GB, "to the byte");
    assert_eq!(usages[4].counted, [amount(Pool::Database, GB)]);
    assert!(usages[0].exempt && usages[0].counted.is_empty());
    assert_eq!(usages[2].counted, [amount(Pool::Database, GB)]);
}

#[tokio::test]
async fn tables_come_the_largest_first_and_by_pool() {
    let world = World::new().await;
    let tables = [("account", 10), ("auditbase", 30), ("contact", 20), ("lead", 20)];
    world.meter.database("platformEnvironments/a", MeterKind::Platform, 100, &tables);
    let running = world.joined(3600).await;
    world.measure(&running).await;
    let list = async |pool: Pool, page_size, page_token: String| {
        let message = pb::ListTableUsagesRequest {
            parent: "platformEnvironments/a".into(),
            page_size,
            page_token,
            pool: pool.into(),
        };
        let answer = running.capacity().list_table_usages(world.admin(message)).await.unwrap();
        let answer = answer.into_inner();
        let name = |it: pb::TableUsage| match it.table.as_str() {
            "*" => format!("{}.*: {} ~{}", it.schema, it.size_bytes, it.row_count),
            _ => it.table,
        };
        let names: Vec<_> = answer.table_usages.into_iter().map(name).collect();
        (names, answer.next_page_token)
    };
    let (first, token) = list(Pool::Unspecified, 2, String::new()).await;
    assert_eq!(first, ["auditbase", "contact"]);
    let (second, token) = list(Pool::Unspecified, 2, token).await;
    let system = "pg_catalog.*: 20 ~0";
    assert_eq!(second, ["lead", system], "what is PostgreSQL's own: 100 less the others");
    let (third, token) = list(Pool::Unspecified, 2, token).await;
    assert_eq!((third, token.as_str()), (vec!["account".to_owned()], ""));
    assert_eq!(list(Pool::Log, 0, String::new()).await.0, ["auditbase"]);
    assert!(list(Pool::Database, 0, String::new()).await.0.contains(&system.to_owned()));

    let message = pb::ListTableUsagesRequest {
        parent: "platformEnvironments/none".into(),
        ..Default::default()
    };
    let answer = running.capacity().list_table_usages(world.admin(message.clone())).await;
    refused(answer, Code::NotFound, ErrorReason::ResourceNotFound);
    let message = pb::ListTableUsagesRequest { page_token: "x".into(), ..message };
    let answer = running.capacity().list_table_usages(world.admin(message)).await;
    refused(answer, Code::InvalidArgument, ErrorReason::InvalidValue);
}

#[tokio::test]
async fn entitlements_by_pool_and_source() {
    let world = World::new().await;
    let running = world.start().await;
    world.buy(&running, "finance", 2).await;
    world.buy(&running, "commerce", 1).await;
    world.buy(&running, "database-capacity", 5).await;
    world.buy(&running, "operations-sandbox", 3).await;
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let message =
            pb::ListEntitlementsRequest { page_size: 1, page_token, pool: Pool::Database.into() };
        let answer = running.capacity().list_entitlements(world.admin(message)).await.unwrap();
        let answer = answer.into_inner();
        all.extend(answer.entitlements);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    use pb::EntitlementSource as S;
    let part = |source: S, accrual: &str, size_bytes, licence: &str| pb::Entitlement {
        pool: Pool::Database.into(),
        size_bytes,
        source: source.into(),
        accrual: accrual.into(),
        licences: vec![licence.into()],
    };
    assert_eq!(
        all,
        [
            part(S::TenantDefault, "", 10 * GB, "licences/finance"),
            part(S::UserLicences, "accruals/commerce", 250 * MB, "licences/commerce"),
            part(S::UserLicences, "accruals/finance", 500 * MB, "licences/finance"),
            part(
                S::AdditionalStorage,
                "accruals/database-capacity",
                5 * GB,
                "licences/database-capacity"
            ),
        ]
    );
}

/// The vendor's worked cases, from the wire to the wire: gigabytes of database, log and file.
#[tokio::test]
async fn worked_cases_of_overage() {
    let check = async |entitled: [i64; 3], used: [i64; 3], in_overage: bool| {
        let world = World::new().await;
        let [database, log, file] = used.map(|it| it * GB);
        let tables = [("auditbase", log), ("annotationbase", file)];
        let name = "platformEnvironments/a";
        world.meter.database(name, MeterKind::Platform, database + log + file, &tables);
        let running = world.joined(3600).await;
        let products = ["database-capacity", "log-capacity", "file-capacity"];
        for (product, quantity) in products.into_iter().zip(entitled) {
            world.buy(&running, product, quantity).await;
        }
        world.measure(&running).await;
        let capacity = world.capacity(&running).await;
        assert_eq!(capacity.in_overage, in_overage, "{entitled:?} {used:?}");
        assert_eq!(capacity.blocked_operations.len(), if in_overage { 8 } else { 0 });
    };
    check([100, 10, 400], [110, 5, 200], true).await;
    check([100, 10, 400], [95, 20, 200], true).await;
    check([100, 10, 200], [20, 5, 290], true).await;
    check([100, 10, 400], [80, 20, 200], false).await;
}

#[tokio::test]
async fn checking_an_operation() {
    let world = World::new().await;
    world.meter.without_database("platformEnvironments/a", MeterKind::Platform);
    let running = world.joined(3600).await;
    world.buy(&running, "database-capacity", 2).await;
    world.measure(&running).await;
    let check = async |operation: pb::CapacityOperation, amounts| {
        let message = pb::CheckOperationRequest { operation: operation.into(), amounts };
        running.capacity().check_operation(world.admin(message)).await.map(|it| it.into_inner())
    };
    use pb::CapacityOperation as O;
    let answer = check(O::CreateEnvironment, vec![]).await.unwrap();
    assert_eq!(answer, pb::CheckOperationResponse { allowed: true, ..Default::default() });
    let answer = check(O::Copy, vec![amount(Pool::Database, 3 * GB)]).await.unwrap();
    assert_eq!(answer.missing, [amount(Pool::Database, 2 * GB)]);
    let text = "This environment can't be copied because your org (tenant) needs at least 3 GB of \
                database capacity.";
    assert_eq!((answer.allowed, answer.in_overage, answer.message.as_str()), (false, false, text));
    refused(check(O::Unspecified, vec![]).await, Code::InvalidArgument, ErrorReason::InvalidValue);
    refused(
        check(O::Copy, vec![amount(Pool::Database, -1)]).await,
        Code::InvalidArgument,
        ErrorReason::InvalidValue,
    );
}

#[tokio::test]
async fn only_administrators_of_the_tenant_see_and_change_capacity() {
    let world = World::new().await;
    let running = world.start().await;
    for role in [role::BASIC_USER, role::ENVIRONMENT_MANAGER, role::PROJECT_OWNER] {
        let request = world.request(pb::GetCapacityRequest {}, role);
        let answer = running.capacity().get_capacity(request).await;
        refused(answer, Code::PermissionDenied, ErrorReason::PrivilegeDenied);
        let request = world.request(pb::CreateLicenceRequest::default(), role);
        let answer = running.licences().create_licence(request).await;
        refused(answer, Code::PermissionDenied, ErrorReason::PrivilegeDenied);
    }
    let nobody = running.capacity().get_capacity(pb::GetCapacityRequest {}).await;
    refused(nobody, Code::Unauthenticated, ErrorReason::NoCaller);
    for role in [role::SYSTEM_ADMINISTRATOR, role::GLOBAL_ADMINISTRATOR] {
        let request = world.request(pb::GetCapacityRequest {}, role);
        assert!(running.capacity().get_capacity(request).await.is_ok(), "{role}");
    }
}
