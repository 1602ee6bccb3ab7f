//! A catalog that publishes one entity, when it is told to.

use futures::StreamExt as _;
use futures::stream::BoxStream;
use proto::catalog::v1 as pb;
use proto::catalog::v1::catalog_service_server::CatalogService;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct OneEntity {
    pub(crate) published: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl CatalogService for OneEntity {
    type WatchDataEntitiesStream =
        BoxStream<'static, Result<pb::WatchDataEntitiesResponse, Status>>;

    async fn watch_data_entities(
        &self,
        _: Request<pb::WatchDataEntitiesRequest>,
    ) -> Result<Response<Self::WatchDataEntitiesStream>, Status> {
        let mut published = self.published.clone();
        let set = async move {
            published
                .wait_for(|it| *it)
                .await
                .map_err(|_| Status::cancelled("the test is over"))?;
            let data_entities = vec![customers()];
            Ok(pb::WatchDataEntitiesResponse { revision: 1, data_entities })
        };
        Ok(Response::new(futures::stream::once(set).chain(futures::stream::pending()).boxed()))
    }

    async fn list_data_entities(
        &self,
        _: Request<pb::ListDataEntitiesRequest>,
    ) -> Result<Response<pb::ListDataEntitiesResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_data_entity(
        &self,
        _: Request<pb::GetDataEntityRequest>,
    ) -> Result<Response<pb::GetDataEntityResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn update_data_entity(
        &self,
        _: Request<pb::UpdateDataEntityRequest>,
    ) -> Result<Response<pb::UpdateDataEntityResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn refresh_data_entity(
        &self,
        _: Request<pb::RefreshDataEntityRequest>,
    ) -> Result<Response<pb::RefreshDataEntityResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn refresh_model(
        &self,
        _: Request<pb::RefreshModelRequest>,
    ) -> Result<Response<pb::RefreshModelResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

fn customers() -> pb::DataEntity {
    let field = |name: &str| pb::DataField {
        name: name.to_uppercase(),
        source: Some(pb::data_field::Source::Column(pb::ColumnPath {
            alias: "t".to_owned(),
            column: name.to_owned(),
        })),
        r#type: pb::FieldType::String.into(),
        mandatory: true,
        allow_edit_on_create: true,
        allow_edit: true,
        ..pb::DataField::default()
    };
    pb::DataEntity {
        name: "Customers".to_owned(),
        entity_id: 1,
        sources: vec![pb::DataSource {
            alias: "t".to_owned(),
            schema: "public".to_owned(),
            table: "customer".to_owned(),
            ..pb::DataSource::default()
        }],
        record_identity: Some(pb::RecordIdentity {
            kind: pb::RecordIdentityKind::Integer.into(),
            columns: vec!["id".to_owned()],
        }),
        fields: vec![field("account"), field("company")],
        key: vec!["ACCOUNT".to_owned(), "COMPANY".to_owned()],
        company_field: "COMPANY".to_owned(),
        ..pb::DataEntity::default()
    }
}
