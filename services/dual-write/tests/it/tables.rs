//! What both sides look like: a catalog and an organization with some tables.

use std::pin::Pin;
use std::sync::Arc;

use proto::catalog::v1 as catalog;
use proto::catalog::v1::catalog_service_server::CatalogService;
use proto::organization::v1 as organization;
use proto::organization::v1::organization_service_server::OrganizationService;
use proto::query::v1 as pb;
use proto::query::v1::metadata_provider_service_server::MetadataProviderService;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

/// Both, as they are watched.
#[derive(Clone)]
pub(crate) struct Tables {
    entities: Arc<watch::Sender<Vec<catalog::DataEntity>>>,
    tables: Arc<watch::Sender<Vec<pb::TableDefinition>>>,
}

pub(crate) const ORGANIZATION: &str = "6f1c0000-0000-0000-0000-000000000001";

impl Tables {
    pub(crate) fn new() -> Self {
        let entities = vec![
            entity("CompanyInfoEntity", "", "LegalEntityId", &["Name"]),
            entity("CustomerGroupEntity", "dataAreaId", "CustomerGroupId", &["Description"]),
            entity("UnitEntity", "", "UnitSymbol", &["Description"]),
        ];
        let company = lookup("msdyn_company", "cdm_company");
        let tables = vec![
            table(
                "cdm_company",
                &["cdm_companycode"],
                vec![
                    column("cdm_companycode"),
                    column("cdm_name"),
                    lookup("cdm_defaultowningteam", "team"),
                ],
            ),
            table("team", &["name"], vec![column("name")]),
            table(
                "tombolo_teamgap",
                &["tombolo_name"],
                vec![
                    column("tombolo_name"),
                    column("tombolo_missingroles"),
                    column("tombolo_unreadtables"),
                    column("tombolo_ownsglobalrows"),
                ],
            ),
            table(
                "msdyn_customergroup",
                &["msdyn_company", "msdyn_groupid"],
                vec![company, column("msdyn_groupid"), column("msdyn_description")],
            ),
            table(
                "uom",
                &["msdyn_symbol"],
                vec![column("msdyn_symbol"), column("msdyn_description")],
            ),
        ];
        Self {
            entities: Arc::new(watch::Sender::new(entities)),
            tables: Arc::new(watch::Sender::new(tables)),
        }
    }

    /// A table is lost, with whatever needs it.
    pub(crate) fn drop_table(&self, name: &str) {
        self.tables.send_modify(|it| it.retain(|it| it.logical_name != name));
    }
}

fn entity(name: &str, company: &str, key: &str, others: &[&str]) -> catalog::DataEntity {
    let field = |name: &str| catalog::DataField {
        name: name.to_owned(),
        source: Some(catalog::data_field::Source::Column(catalog::ColumnPath {
            alias: "t".into(),
            column: name.to_lowercase(),
        })),
        r#type: catalog::FieldType::String.into(),
        allow_edit_on_create: true,
        allow_edit: true,
        max_length: 60,
        ..Default::default()
    };
    let mut fields = vec![field(key)];
    fields.extend(others.iter().map(|it| field(it)));
    let mut keys = vec![key.to_owned()];
    if !company.is_empty() {
        fields.push(field(company));
        keys.insert(0, company.to_owned());
    }
    catalog::DataEntity {
        name: name.into(),
        sources: vec![catalog::DataSource { alias: "t".into(), ..Default::default() }],
        fields,
        key: keys,
        company_field: company.into(),
        ..Default::default()
    }
}

fn column(name: &str) -> pb::ColumnDefinition {
    pb::ColumnDefinition {
        logical_name: name.into(),
        r#type: pb::AttributeType::String.into(),
        max_length: 60,
        valid_for_create: true,
        valid_for_update: true,
        filterable: true,
        ..Default::default()
    }
}

fn lookup(name: &str, target: &str) -> pb::ColumnDefinition {
    pb::ColumnDefinition {
        r#type: pb::AttributeType::Lookup.into(),
        target: target.into(),
        max_length: 0,
        ..column(name)
    }
}

fn table(name: &str, key: &[&str], columns: Vec<pb::ColumnDefinition>) -> pb::TableDefinition {
    pb::TableDefinition {
        logical_name: name.into(),
        entity_set_name: format!("{name}s"),
        source: pb::TableSource::Organization.into(),
        columns,
        alternate_keys: vec![pb::AlternateKey {
            name: format!("{name}_key"),
            columns: key.iter().map(|it| (*it).to_owned()).collect(),
        }],
        ..Default::default()
    }
}

type Watched<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl CatalogService for Tables {
    type WatchDataEntitiesStream = Watched<catalog::WatchDataEntitiesResponse>;

    async fn watch_data_entities(
        &self,
        _request: Request<catalog::WatchDataEntitiesRequest>,
    ) -> Result<Response<Self::WatchDataEntitiesStream>, Status> {
        let sets = WatchStream::new(self.entities.subscribe()).map(|data_entities| {
            Ok(catalog::WatchDataEntitiesResponse { revision: 1, data_entities })
        });
        Ok(Response::new(Box::pin(sets)))
    }

    async fn list_data_entities(
        &self,
        _request: Request<catalog::ListDataEntitiesRequest>,
    ) -> Result<Response<catalog::ListDataEntitiesResponse>, Status> {
        Err(unasked())
    }

    async fn get_data_entity(
        &self,
        _request: Request<catalog::GetDataEntityRequest>,
    ) -> Result<Response<catalog::GetDataEntityResponse>, Status> {
        Err(unasked())
    }

    async fn update_data_entity(
        &self,
        _request: Request<catalog::UpdateDataEntityRequest>,
    ) -> Result<Response<catalog::UpdateDataEntityResponse>, Status> {
        Err(unasked())
    }

    async fn refresh_data_entity(
        &self,
        _request: Request<catalog::RefreshDataEntityRequest>,
    ) -> Result<Response<catalog::RefreshDataEntityResponse>, Status> {
        Err(unasked())
    }

    async fn refresh_model(
        &self,
        _request: Request<catalog::RefreshModelRequest>,
    ) -> Result<Response<catalog::RefreshModelResponse>, Status> {
        Err(unasked())
    }
}

#[tonic::async_trait]
impl MetadataProviderService for Tables {
    type WatchTablesStream = Watched<pb::WatchTablesResponse>;

    async fn watch_tables(
        &self,
        _request: Request<pb::WatchTablesRequest>,
    ) -> Result<Response<Self::WatchTablesStream>, Status> {
        let sets = WatchStream::new(self.tables.subscribe())
            .map(|tables| Ok(pb::WatchTablesResponse { tables, ..Default::default() }));
        Ok(Response::new(Box::pin(sets)))
    }
}

#[tonic::async_trait]
impl OrganizationService for Tables {
    async fn get_organization(
        &self,
        _request: Request<organization::GetOrganizationRequest>,
    ) -> Result<Response<organization::GetOrganizationResponse>, Status> {
        let organization_id = ORGANIZATION.to_owned();
        Ok(Response::new(organization::GetOrganizationResponse {
            organization_id,
            ..Default::default()
        }))
    }

    async fn import_companies(
        &self,
        _request: Request<organization::ImportCompaniesRequest>,
    ) -> Result<Response<organization::ImportCompaniesResponse>, Status> {
        Err(unasked())
    }

    async fn import_users(
        &self,
        _request: Request<organization::ImportUsersRequest>,
    ) -> Result<Response<organization::ImportUsersResponse>, Status> {
        Err(unasked())
    }

    async fn install_sample_data(
        &self,
        _request: Request<organization::InstallSampleDataRequest>,
    ) -> Result<Response<organization::InstallSampleDataResponse>, Status> {
        Err(unasked())
    }
}

fn unasked() -> Status {
    Status::unimplemented("dual-write asks nothing of the kind")
}
