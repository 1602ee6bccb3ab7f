//! Another database takes the place of the one that is served: a copy, a backup, an empty one.

use proto::organization::v1::WatchPortalUserMappingsRequest;
use proto::organization::v1::portal_service_client::PortalServiceClient;
use tonic::Streaming;

use crate::World;
use crate::provisioning::{ADD_INS, VE, next, provision};

const MAP: &str =
    "INSERT INTO organization.contact (contactid, lastname) VALUES (gen_random_uuid(), 'C');
    INSERT INTO organization.msdyn_externalportalusermapping
        (msdyn_contactid, msdyn_financeandoperationsuser)
    SELECT contactid, 'old' FROM organization.contact";

async fn told<T>(stream: &mut Streaming<T>) -> T {
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), stream.message());
    told.await.expect("no news").unwrap().unwrap()
}

#[tokio::test]
async fn what_a_database_that_takes_the_place_shows_is_shown() {
    let world = World::with_environment().await;
    world.provisioning().provision_database(provision("env_a")).await.unwrap();
    // One package of tables in place of another, after as many as there are in the new one.
    for (database, package) in [("env_a", VE), ("platform", VE), ("platform", ADD_INS)] {
        world.install(database, package).await.unwrap();
    }
    world.run("platform", MAP).await;
    let mut tables = world.watch_tables().await;
    let mut portal = PortalServiceClient::new(world.channel_of("user-context"));
    let mappings = portal.watch_portal_user_mappings(WatchPortalUserMappingsRequest {});
    let mut mappings = mappings.await.unwrap().into_inner();
    let (before, shown) = next(&mut tables).await;
    assert!(shown.iter().any(|it| it == "tombolo_addin"), "{shown:?}");
    assert_eq!(told(&mut mappings).await.mappings.len(), 1);

    world.scratch.swap("platform", "env_a", "old_a").await.unwrap();
    let (after, shown) = next(&mut tables).await;
    assert!(after > before, "{after} after {before}");
    assert!(!shown.iter().any(|it| it == "tombolo_addin"), "{shown:?}");
    assert_eq!(told(&mut mappings).await.mappings, []);
}
