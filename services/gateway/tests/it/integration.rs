//! Environments behind the door: which of them this one is linked with, and what is passed on.

use std::sync::{Arc, Mutex};

use futures::stream::{self, BoxStream, StreamExt as _};
use proto::capacity::v1::capacity_service_client::CapacityServiceClient;
use proto::capacity::v1::user_licence_service_client::UserLicenceServiceClient;
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::operation_service_client::OperationServiceClient;
use proto::lifecycle::v1::operation_service_server::OperationService;
use proto::lifecycle::v1::setup_service_client::SetupServiceClient;
use proto::lifecycle::v1::setup_service_server::SetupService;
use rpc::ErrorReason;
use serde_json::json;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use crate::fakes::{Provider, World, refusal};

const FUNCTION: &str = "RetrieveFinanceAndOperationsIntegrationDetails";
const URL: &str = "https://contoso.operations.dynamics.com";

type Details = pb::RetrieveFinanceAndOperationsIntegrationDetailsResponse;

/// What lifecycle knows.
pub(crate) struct Lifecycle {
    link: Mutex<Result<Details, Status>>,
    /// The organizations that it was asked about.
    asked: Mutex<Vec<String>>,
}

pub(crate) struct Faked(pub(crate) Arc<Lifecycle>);

impl Lifecycle {
    pub(crate) fn unlinked() -> Self {
        let status = refusal(Code::FailedPrecondition, ErrorReason::NotLinked);
        Self { link: Mutex::new(Err(status)), asked: Mutex::default() }
    }

    fn now(&self, link: Result<Details, Status>) {
        *self.link.lock().unwrap() = link;
    }
}

fn details() -> Details {
    let id = |it| Uuid::from_u128(it).to_string();
    Details { url: URL.into(), tenant_id: id(8), id: id(9) }
}

/// The one method that is faked, and the others.
macro_rules! setup_service {
    ($($method:ident: $request:ident -> $response:ident,)*) => {
        #[tonic::async_trait]
        impl SetupService for Faked {
            async fn retrieve_finance_and_operations_integration_details(
                &self,
                request: Request<pb::RetrieveFinanceAndOperationsIntegrationDetailsRequest>,
            ) -> Result<Response<Details>, Status> {
                rpc::CallContext::of(&request)?;
                let organization = request.metadata().get("x-tombolo-organization");
                let organization = organization.unwrap().to_str().unwrap().to_owned();
                self.0.asked.lock().unwrap().push(organization);
                self.0.link.lock().unwrap().clone().map(Response::new)
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

setup_service! {
    list_templates: ListTemplatesRequest -> ListTemplatesResponse,
    get_template: GetTemplateRequest -> GetTemplateResponse,
    check_prerequisites: CheckPrerequisitesRequest -> CheckPrerequisitesResponse,
    start_setup: StartSetupRequest -> StartSetupResponse,
    configure_dual_write: ConfigureDualWriteRequest -> ConfigureDualWriteResponse,
    list_links: ListLinksRequest -> ListLinksResponse,
    get_link: GetLinkRequest -> GetLinkResponse,
    get_tenant_settings: GetTenantSettingsRequest -> GetTenantSettingsResponse,
    update_tenant_settings: UpdateTenantSettingsRequest -> UpdateTenantSettingsResponse,
}

fn not_faked<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not faked"))
}

#[tonic::async_trait]
impl OperationService for Faked {
    type WatchOperationStream = BoxStream<'static, Result<pb::WatchOperationResponse, Status>>;

    async fn watch_operation(
        &self,
        request: Request<pb::WatchOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        rpc::CallContext::of(&request)?;
        let name = request.into_inner().name;
        let at = move |progress_percent| {
            let operation =
                pb::Operation { name: name.clone(), progress_percent, ..Default::default() };
            Ok(pb::WatchOperationResponse { operation: Some(operation) })
        };
        Ok(Response::new(stream::iter([0, 50, 100].map(at)).boxed()))
    }

    async fn list_operations(
        &self,
        _: Request<pb::ListOperationsRequest>,
    ) -> Result<Response<pb::ListOperationsResponse>, Status> {
        not_faked()
    }

    async fn get_operation(
        &self,
        _: Request<pb::GetOperationRequest>,
    ) -> Result<Response<pb::GetOperationResponse>, Status> {
        not_faked()
    }

    async fn resume_operation(
        &self,
        _: Request<pb::ResumeOperationRequest>,
    ) -> Result<Response<pb::ResumeOperationResponse>, Status> {
        not_faked()
    }

    async fn cancel_operation(
        &self,
        _: Request<pb::CancelOperationRequest>,
    ) -> Result<Response<pb::CancelOperationResponse>, Status> {
        not_faked()
    }
}

fn grpc(world: &World) -> Routes {
    world.gateway.register(rpc::Server::public()).build().unwrap().0
}

fn signed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", "Bearer clerk".parse().unwrap());
    request
}

#[tokio::test]
async fn ve_010_a_linked_environment_says_with_what_on_every_version() {
    let world = World::new(Provider::empty()).await;
    world.lifecycle.now(Ok(details()));
    for (version, call) in [
        ("v9.0", FUNCTION.to_owned()),
        ("v9.1", format!("{FUNCTION}()")),
        ("v9.2", FUNCTION.into()),
    ] {
        let root = format!("/api/data/{version}");
        let answer = world.get_at(&format!("{root}/{call}")).await;
        let context = format!(
            "http://org.test:8080{root}/$metadata#Microsoft.Dynamics.CRM.{FUNCTION}Response"
        );
        let expected = json!({
            "@odata.context": context, "Url": URL,
            "TenantId": Uuid::from_u128(8).to_string(), "Id": Uuid::from_u128(9).to_string(),
        });
        assert_eq!((answer.status, answer.json()), (200, expected), "{version}");
    }
    let organization = Uuid::from_u128(1).to_string();
    assert_eq!(*world.lifecycle.asked.lock().unwrap(), vec![organization; 3]);
}

#[tokio::test]
async fn ve_010_an_unlinked_environment_says_so_until_it_is_linked() {
    let world = World::new(Provider::empty()).await;
    let message = "Dataverse instance isn't integrated with finance and operations.";
    let refused = (400, "0x80048d0b".to_owned(), message.to_owned());
    assert_eq!(world.get(FUNCTION).await.error(), refused);
    world.lifecycle.now(Ok(details()));
    assert_eq!(world.get(FUNCTION).await.status, 200);
    world.lifecycle.now(Err(refusal(Code::FailedPrecondition, ErrorReason::NotLinked)));
    assert_eq!(world.get(FUNCTION).await.error(), refused);
}

#[tokio::test]
async fn who_knows_of_links_may_be_away() {
    let world = World::new(Provider::empty()).await;
    world.lifecycle.now(Err(Status::unavailable("connection refused")));
    let answer = world.get(FUNCTION).await;
    let (status, code, message) = answer.error();
    assert_eq!((status, code.as_str()), (503, "0x80048d0b"), "{message}");
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn batches_ask_too() {
    let world = World::new(Provider::empty()).await;
    world.lifecycle.now(Ok(details()));
    let part = format!(
        "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
         GET {FUNCTION}() HTTP/1.1\r\n\r\n\r\n--b--\r\n"
    );
    let headers = [("content-type", "multipart/mixed;boundary=b")];
    let answer = world.send("POST", "$batch", &headers, &part).await;
    assert!(answer.body.contains("HTTP/1.1 200") && answer.body.contains(URL), "{}", answer.body);
}

#[tokio::test]
async fn it_is_a_function_without_parameters() {
    let world = World::new(Provider::empty()).await;
    for path in [format!("{FUNCTION}(X=1)"), format!("{FUNCTION}/x")] {
        assert_eq!(world.get(&path).await.error().0, 404, "{path}");
    }
    assert_eq!(world.send("POST", FUNCTION, &[], "").await.error().0, 404);
    assert!(world.lifecycle.asked.lock().unwrap().is_empty());
    let metadata = world.get("$metadata").await.body;
    for declared in [
        format!("<Function Name=\"{FUNCTION}\">"),
        format!("<ComplexType Name=\"{FUNCTION}Response\">"),
        format!("<FunctionImport Name=\"{FUNCTION}\""),
    ] {
        assert!(metadata.contains(&declared), "{declared}");
    }
}

#[tokio::test]
async fn grpc_clients_learn_the_same() {
    let world = World::new(Provider::empty()).await;
    let mut client = SetupServiceClient::new(grpc(&world));
    let message = pb::RetrieveFinanceAndOperationsIntegrationDetailsRequest {};
    let mut asked = client
        .retrieve_finance_and_operations_integration_details(signed(message))
        .await
        .unwrap_err();
    assert_eq!(rpc::reason(&asked), Some(ErrorReason::NotLinked));
    world.lifecycle.now(Ok(details()));
    let mut request = signed(message);
    // Whoever asks does not choose the environment.
    request.metadata_mut().insert("x-tombolo-organization", "another".parse().unwrap());
    let told = client.retrieve_finance_and_operations_integration_details(request).await;
    assert_eq!(told.unwrap().into_inner(), details());
    let organization = Uuid::from_u128(1).to_string();
    assert_eq!(*world.lifecycle.asked.lock().unwrap(), vec![organization; 2]);
    asked = client.list_links(Request::new(pb::ListLinksRequest::default())).await.unwrap_err();
    assert_eq!(asked.code(), Code::Unauthenticated);
    client.list_links(signed(pb::ListLinksRequest::default())).await.unwrap();
}

#[tokio::test]
async fn operations_are_watched_through_the_door() {
    let world = World::new(Provider::empty()).await;
    let mut client = OperationServiceClient::new(grpc(&world));
    let request = pb::WatchOperationRequest { name: "operations/1".into() };
    let mut stream = client.watch_operation(signed(request)).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        let operation = message.operation.unwrap();
        assert_eq!(operation.name, "operations/1");
        seen.push(operation.progress_percent);
    }
    assert_eq!(seen, [0, 50, 100]);
}

#[tokio::test]
async fn what_is_for_services_is_not_offered() {
    let world = World::new(Provider::empty()).await;
    let mut licences = UserLicenceServiceClient::new(grpc(&world));
    let refused = licences.list_user_licences(signed(Default::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    // And what is offered reaches a service that, here, does not have it.
    let mut capacity = CapacityServiceClient::new(grpc(&world));
    let refused = capacity.get_capacity(Request::new(Default::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}
