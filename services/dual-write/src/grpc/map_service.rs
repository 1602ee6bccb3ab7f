//! Maps.

mod definitions;
mod inspect;
mod solutions;
mod states;

use std::sync::Arc;

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::map_service_server::MapService;
use tonic::{Request, Response, Status};

use crate::core::Core;

/// Serves `MapService`.
#[derive(Clone, Debug)]
pub(crate) struct Maps {
    core: Arc<Core>,
}

// === impl Maps ===

impl Maps {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

macro_rules! methods {
    ($($method:ident: $request:ident -> $response:ident, $part:ident;)*) => {
        #[tonic::async_trait]
        impl MapService for Maps {
            $(
                async fn $method(
                    &self,
                    request: Request<pb::$request>,
                ) -> Result<Response<pb::$response>, Status> {
                    $part::$method(&self.core, request).await
                }
            )*
        }
    };
}

methods! {
    list_maps: ListMapsRequest -> ListMapsResponse, definitions;
    get_map: GetMapRequest -> GetMapResponse, definitions;
    create_map: CreateMapRequest -> CreateMapResponse, definitions;
    update_map: UpdateMapRequest -> UpdateMapResponse, definitions;
    delete_map: DeleteMapRequest -> DeleteMapResponse, definitions;
    list_map_versions: ListMapVersionsRequest -> ListMapVersionsResponse, definitions;
    get_map_version: GetMapVersionRequest -> GetMapVersionResponse, definitions;
    create_map_version: CreateMapVersionRequest -> CreateMapVersionResponse, definitions;
    activate_map_version: ActivateMapVersionRequest -> ActivateMapVersionResponse, definitions;
    validate_map_version: ValidateMapVersionRequest -> ValidateMapVersionResponse, inspect;
    test_filters: TestFiltersRequest -> TestFiltersResponse, inspect;
    refresh_map_tables: RefreshMapTablesRequest -> RefreshMapTablesResponse, inspect;
    list_related_maps: ListRelatedMapsRequest -> ListRelatedMapsResponse, inspect;
    start_maps: StartMapsRequest -> StartMapsResponse, states;
    pause_maps: PauseMapsRequest -> PauseMapsResponse, states;
    resume_maps: ResumeMapsRequest -> ResumeMapsResponse, states;
    stop_maps: StopMapsRequest -> StopMapsResponse, states;
    export_maps: ExportMapsRequest -> ExportMapsResponse, solutions;
    import_maps: ImportMapsRequest -> ImportMapsResponse, solutions;
    apply_solutions: ApplySolutionsRequest -> ApplySolutionsResponse, solutions;
}
