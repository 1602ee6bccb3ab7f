//! Metadata at the door: who may ask, how, and what a change of tables does to it.

use crate::fakes::{Provider, World};

const CUSTOMER: &str = "EntityDefinitions(LogicalName='mserp_custcustomerv3entity')";

#[tokio::test]
async fn nobody_reads_metadata_without_a_token() {
    let world = World::new(Provider::empty()).await;
    let paths = ["$metadata", "EntityDefinitions", "RelationshipDefinitions", CUSTOMER];
    for path in paths.into_iter().chain(["RetrieveMetadataChanges()", "sdkmessagefilters"]) {
        let answer = world.get_with(path, &[("authorization", "")]).await;
        assert_eq!(answer.error().0, 401, "{path}");
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn metadata_is_only_read() {
    let world = World::new(Provider::empty()).await;
    for path in ["$metadata", "EntityDefinitions", "GlobalOptionSetDefinitions", CUSTOMER] {
        let answer = world.send("POST", path, &[], "{}").await;
        assert_eq!(answer.error().0, 405, "{path}");
    }
}

#[tokio::test]
async fn api_05_the_document_says_what_it_is() {
    let world = World::new(Provider::empty()).await;
    let answer = world.get("$metadata").await;
    assert_eq!(answer.header("content-type"), "application/xml");
    let keys = "<PropertyValue Property=\"Alias\" String=\"mserp_account\" />";
    assert!(answer.body.contains(keys), "{}", answer.body);
    assert!(!answer.body.contains("Capabilities.V1.ChangeTracking"));
    let annotated = world.get("$metadata?annotations=true").await;
    assert!(annotated.body.contains("Capabilities.V1.ChangeTracking"));
    let prefer = [("prefer", "odata.include-annotations=\"*\"")];
    assert_eq!(world.get_with("$metadata", &prefer).await.body, annotated.body);
}

#[tokio::test]
async fn api_28_a_stamp_leads_from_one_answer_to_the_next() {
    let world = World::new(Provider::empty()).await;
    let all = world.get("RetrieveMetadataChanges()").await.json();
    assert_eq!(all["EntityMetadata"].as_array().unwrap().len(), 4);
    let stamp = all["ServerVersionStamp"].as_str().unwrap();
    let path = format!("RetrieveMetadataChanges(ClientVersionStamp='{stamp}')");
    let since = world.get(&path).await.json();
    assert_eq!(since["EntityMetadata"], serde_json::json!([]));
    assert_eq!(since["ServerVersionStamp"], stamp);
}
