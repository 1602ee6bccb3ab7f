//! What administrators ask of dual-write, by the Web API and over gRPC.

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::map_service_client::MapServiceClient;
use proto::dual_write::v1::map_service_server::MapService;
use rpc::ErrorReason;
use serde_json::json;
use tonic::{Code, Request, Response, Status};

use crate::fakes::{Provider, World};
use crate::live::{Faking, Live};

macro_rules! map_service {
    ($($method:ident: $request:ident -> $response:ident,)*) => {
        #[tonic::async_trait]
        impl MapService for Faking {
            async fn list_maps(
                &self,
                request: Request<pb::ListMapsRequest>,
            ) -> Result<Response<pb::ListMapsResponse>, Status> {
                rpc::CallContext::of(&request)?;
                let size = request.get_ref().page_size;
                let map = |number: i32| pb::TableMap {
                    name: format!("maps/{number}"),
                    state: pb::MapState::Running.into(),
                    peer_timeout: Some(prost_types::Duration { seconds: 120, nanos: 0 }),
                    ..Default::default()
                };
                let maps = (0..size).map(map).collect();
                Ok(Response::new(pb::ListMapsResponse { maps, ..Default::default() }))
            }

            async fn start_maps(
                &self,
                request: Request<pb::StartMapsRequest>,
            ) -> Result<Response<pb::StartMapsResponse>, Status> {
                let message = format!("{:?} cannot be started", request.get_ref());
                let reason = ErrorReason::InvalidState;
                Err(rpc::status(Code::FailedPrecondition, "dual-write", reason, message, []))
            }

            $(async fn $method(
                &self,
                request: Request<pb::$request>,
            ) -> Result<Response<pb::$response>, Status> {
                rpc::CallContext::of(&request)?;
                Ok(Response::new(pb::$response::default()))
            })*
        }
    };
}

map_service! {
    get_map: GetMapRequest -> GetMapResponse,
    create_map: CreateMapRequest -> CreateMapResponse,
    update_map: UpdateMapRequest -> UpdateMapResponse,
    delete_map: DeleteMapRequest -> DeleteMapResponse,
    list_map_versions: ListMapVersionsRequest -> ListMapVersionsResponse,
    get_map_version: GetMapVersionRequest -> GetMapVersionResponse,
    create_map_version: CreateMapVersionRequest -> CreateMapVersionResponse,
    activate_map_version: ActivateMapVersionRequest -> ActivateMapVersionResponse,
    validate_map_version: ValidateMapVersionRequest -> ValidateMapVersionResponse,
    test_filters: TestFiltersRequest -> TestFiltersResponse,
    refresh_map_tables: RefreshMapTablesRequest -> RefreshMapTablesResponse,
    list_related_maps: ListRelatedMapsRequest -> ListRelatedMapsResponse,
    pause_maps: PauseMapsRequest -> PauseMapsResponse,
    resume_maps: ResumeMapsRequest -> ResumeMapsResponse,
    stop_maps: StopMapsRequest -> StopMapsResponse,
    export_maps: ExportMapsRequest -> ExportMapsResponse,
    import_maps: ImportMapsRequest -> ImportMapsResponse,
    apply_solutions: ApplySolutionsRequest -> ApplySolutionsResponse,
}

async fn world() -> World {
    let live = Live::new(false);
    World::beside(Provider::empty(), Provider::companies(), Some(&live), |_| {}).await
}

#[tokio::test]
async fn what_only_reads_is_a_function() {
    let world = world().await;
    let answer = world.get("tombolo_DualWriteListMaps(pageSize=2)").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    let context = answer["@odata.context"].as_str().unwrap();
    assert!(context.ends_with(".tombolo_DualWriteListMapsResponse"), "{context}");
    assert_eq!(answer["maps"].as_array().unwrap().len(), 2);
    let map = &answer["maps"][1];
    assert_eq!(map["name"], json!("maps/1"));
    assert_eq!(map["state"], json!("MAP_STATE_RUNNING"));
    assert_eq!(map["peerTimeout"], json!("120s"));
    let aliased = world.get("tombolo_DualWriteListMaps(pageSize=@p)?@p=1").await.json();
    assert_eq!(aliased["maps"].as_array().unwrap().len(), 1);
    let none = world.get("tombolo_DualWriteListMaps").await;
    assert_eq!((none.status, &none.json()["maps"]), (200, &json!([])));
}

#[tokio::test]
async fn what_changes_something_is_an_action() {
    let world = world().await;
    let paused = world.send("POST", "tombolo_DualWritePauseMaps", &[], "{}").await;
    assert_eq!(paused.status, 200, "{}", paused.body);
    let body = json!({ "nope": 1 }).to_string();
    let (status, code, message) =
        world.send("POST", "tombolo_DualWritePauseMaps", &[], &body).await.error();
    assert_eq!((status, code.as_str()), (400, "0x80040203"), "{message}");
    assert!(message.contains("nope"), "{message}");
    let (status, _, message) =
        world.send("POST", "tombolo_DualWriteStartMaps", &[], "").await.error();
    assert_eq!(status, 400);
    assert!(message.contains("cannot be started"), "{message}");
}

#[tokio::test]
async fn each_is_called_as_what_it_is() {
    let world = world().await;
    assert_eq!(world.get("tombolo_DualWritePauseMaps").await.status, 404);
    assert_eq!(world.send("POST", "tombolo_DualWriteListMaps", &[], "{}").await.status, 404);
    assert_eq!(world.get("tombolo_DualWriteDeleteMap").await.status, 404);
    assert_eq!(world.get("tombolo_DualWriteListMaps(pageSize='x')").await.status, 400);
    let metadata = world.get("$metadata").await.body;
    for declared in [
        "<Function Name=\"tombolo_DualWriteListMaps\">",
        "<Parameter Name=\"pageSize\" Type=\"Edm.Int32\" />",
        "<FunctionImport Name=\"tombolo_DualWriteListMaps\"",
        "<Action Name=\"tombolo_DualWriteStartMaps\">",
        "<ActionImport Name=\"tombolo_DualWriteStartMaps\"",
    ] {
        assert!(metadata.contains(declared), "{declared}");
    }
}

#[tokio::test]
async fn without_dual_write_there_are_no_such_calls() {
    let world = World::new(Provider::empty()).await;
    assert_eq!(world.get("tombolo_DualWriteListMaps").await.status, 404);
    let (routes, _) = world.gateway.register(rpc::Server::public()).build().unwrap();
    let refused = MapServiceClient::new(routes).list_maps(signed()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

fn signed() -> Request<pb::ListMapsRequest> {
    let mut request = Request::new(pb::ListMapsRequest { page_size: 1, ..Default::default() });
    request.metadata_mut().insert("authorization", "Bearer good".parse().unwrap());
    request
}

#[tokio::test]
async fn grpc_clients_ask_through_the_same_door() {
    let world = world().await;
    let (routes, _) = world.gateway.register(rpc::Server::public()).build().unwrap();
    let mut client = MapServiceClient::new(routes);
    let maps = client.list_maps(signed()).await.unwrap().into_inner().maps;
    assert_eq!(maps.len(), 1);
    let unknown = client.list_maps(Request::new(Default::default())).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unauthenticated);
}
