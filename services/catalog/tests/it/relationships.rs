//! Declared relationships: kept, published, never changed.

use proto::catalog::v1 as pb;
use rpc::ErrorReason;
use tonic::{Code, Request, Status};

use crate::changes::{next_set, watch};
use crate::world::{Running, World};

fn declaration(id: &str) -> pb::CreateRelationshipRequest {
    let pair = |column: &str, target: &str| pb::RelationshipPair {
        column: column.into(),
        target: target.into(),
    };
    pb::CreateRelationshipRequest {
        relationship_id: id.into(),
        relationship: Some(pb::Relationship {
            source: "mserp_alpha".into(),
            target: "account".into(),
            pairs: vec![pair("mserp_code", "accountnumber")],
            ..pb::Relationship::default()
        }),
    }
}

async fn create(
    running: &Running,
    request: Request<pb::CreateRelationshipRequest>,
) -> Result<pb::Relationship, Status> {
    let answer = running.relationships().create_relationship(request).await?;
    Ok(answer.into_inner().relationship.unwrap())
}

async fn names(world: &World, running: &Running, page_size: i32) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = world.clerk(pb::ListRelationshipsRequest { page_size, page_token });
        let page = running.relationships().list_relationships(request).await.unwrap().into_inner();
        names.extend(page.relationships.into_iter().map(|it| it.name));
        if page.next_page_token.is_empty() {
            return names;
        }
        page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn ve_056_a_declared_relationship_is_published_at_once_and_after_a_restart() {
    let world = World::new().await;
    let running = world.start().await;
    let mut tables = watch(&running).await;
    assert!(next_set(&mut tables).await.declared_relationships.is_empty());

    let made = create(&running, world.admin(declaration("Account"))).await.unwrap();
    assert_eq!(made.name, "relationships/Account");
    assert_eq!(made.schema_name, "mserp_FK_Alpha_Account");
    assert_eq!(made.display_name, "Account");
    assert!(made.create_time.is_some());
    let set = next_set(&mut tables).await;
    let [published] = set.declared_relationships.as_slice() else { panic!("{set:?}") };
    assert_eq!(published.schema_name, "mserp_FK_Alpha_Account");
    assert_eq!(published.column, "mserp_fk_account_id");
    assert_eq!(published.navigation_property, "mserp_FK_Account_id");
    let ends = (published.source.as_str(), published.target.as_str());
    assert_eq!(ends, ("mserp_alpha", "account"));
    assert_eq!(published.pairs[0].column, "mserp_code");
    assert_eq!(published.pairs[0].target, "accountnumber");

    let again = world.start().await;
    let set = next_set(&mut watch(&again).await).await;
    assert_eq!(set.declared_relationships.len(), 1);
    let request = world.clerk(pb::GetRelationshipRequest { name: made.name.clone() });
    let got = again.relationships().get_relationship(request).await.unwrap().into_inner();
    assert_eq!(got.relationship.unwrap().pairs, made.pairs);
}

#[tokio::test]
async fn ve_056_a_relationship_can_be_deleted_and_not_changed() {
    let world = World::new().await;
    let running = world.start().await;
    create(&running, world.admin(declaration("Account"))).await.unwrap();
    for id in ["Account", "ACCOUNT"] {
        let error = create(&running, world.admin(declaration(id))).await.unwrap_err();
        assert_eq!(rpc::reason(&error), Some(ErrorReason::ResourceExists), "{error}");
    }
    let delete =
        || world.admin(pb::DeleteRelationshipRequest { name: "relationships/Account".into() });
    running.relationships().delete_relationship(delete()).await.unwrap();
    let mut tables = watch(&running).await;
    assert!(next_set(&mut tables).await.declared_relationships.is_empty());
    let error = running.relationships().delete_relationship(delete()).await.unwrap_err();
    assert_eq!(rpc::reason(&error), Some(ErrorReason::ResourceNotFound), "{error}");
    create(&running, world.admin(declaration("Account"))).await.unwrap();
}

#[tokio::test]
async fn relationships_are_listed_page_by_page() {
    let world = World::new().await;
    let running = world.start().await;
    for id in ["C", "A", "B"] {
        create(&running, world.admin(declaration(id))).await.unwrap();
    }
    let expected = ["relationships/A", "relationships/B", "relationships/C"];
    for page_size in [0, 1, 2, 3] {
        assert_eq!(names(&world, &running, page_size).await, expected, "{page_size}");
    }
}

#[tokio::test]
async fn a_declaration_that_is_not_whole_or_not_an_administrators_is_refused() {
    let world = World::new().await;
    let running = world.start().await;
    let error = create(&running, world.clerk(declaration("Account"))).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    let check = async |change: fn(&mut pb::CreateRelationshipRequest)| {
        let mut request = declaration("Account");
        change(&mut request);
        let error = create(&running, world.admin(request)).await.unwrap_err();
        assert_eq!(rpc::reason(&error), Some(ErrorReason::InvalidValue), "{error}");
    };
    check(|it| it.relationship_id.clear()).await;
    check(|it| it.relationship_id = "1st".into()).await;
    check(|it| it.relationship_id = "a-b".into()).await;
    check(|it| it.relationship_id = "L".repeat(90)).await;
    check(|it| it.relationship = None).await;
    check(|it| it.relationship.as_mut().unwrap().target.clear()).await;
    check(|it| it.relationship.as_mut().unwrap().pairs.clear()).await;
    check(|it| it.relationship.as_mut().unwrap().pairs[0].target.clear()).await;
    assert!(names(&world, &running, 0).await.is_empty());
}
