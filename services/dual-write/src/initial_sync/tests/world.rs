//! A link with its maps over two sides in memory, and workers that can be killed.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use prost::Message as _;
use proto::catalog::v1 as catalog;
use proto::catalog::v1::catalog_service_server::{CatalogService, CatalogServiceServer};
use proto::dual_write::v1::{self as pb, InitialSyncMode, InitialSyncState, MapState, Side};
use proto::query::v1 as query;
use proto::query::v1::metadata_provider_service_server::{
    MetadataProviderService, MetadataProviderServiceServer,
};
use rpc::{AssertionVerifier, Environment};
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};

use super::fake::FakeSide;
use crate::cases::Databases;
use crate::config::Config;
use crate::core::Core;
use crate::initial_sync::{Wanted, actions, progress, store};
use crate::maps::Maps;
use crate::peers::{Clients, Sides};
use crate::store::Store;

const LIMIT: Duration = Duration::from_secs(60);
pub(super) const CUSTOMERS: &str = "maps/customers";
pub(super) const CONTACTS: &str = "maps/contacts";

/// The pair and its store.
pub(super) struct World {
    pub(super) erp: FakeSide,
    pub(super) platform: FakeSide,
    pub(super) core: Arc<Core>,
    _maps: Task,
}

/// Goes on until it is dropped.
pub(super) struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl World {
    pub(super) async fn new(databases: &Databases) -> Self {
        let url = databases.database().await;
        let services = Environment::generate();
        let (erp, platform) = (FakeSide::new(1_000_000), FakeSide::new(2_000_000));
        let tables = |name: &'static str| {
            let server = services.server(name, Arc::new(AssertionVerifier::new(name)));
            let server = server
                .with(CatalogServiceServer::new(Tables))
                .with(MetadataProviderServiceServer::new(Tables));
            services.channel(server.build().unwrap().0, "dual-write", name).unwrap()
        };
        let sides = Clients {
            query: erp.channel(&services, "query"),
            organization: platform.channel(&services, "organization"),
            catalog: tables("catalog"),
            user_context: tables("user-context"),
        };
        let clients = Clients { organization: tables("organization"), ..sides.clone() };
        let core = Arc::new(Core {
            config: Config::new(url.clone()),
            store: Store::open(&url).await.unwrap(),
            sides: Sides::new(&sides),
            maps: Maps::new(&clients),
            clients,
        });
        let maps = Task(tokio::spawn(crate::maps::run(Arc::clone(&core))));
        let world = Self { erp, platform, core, _maps: maps };
        world.link().await;
        world
    }

    async fn link(&self) {
        sqlx::raw_sql(
            "INSERT INTO link (finance_and_operations_environment, platform_environment, companies,
                 consent_user, consent_time)
             VALUES ('financeAndOperationsEnvironments/a', 'platformEnvironments/b', '{usmf}', 'u', now())",
        )
        .execute(self.core.store.pool())
        .await
        .unwrap();
    }

    /// Customers, whose parents are customers and whose primary contacts are contacts; contacts, who have a
    /// customer.
    pub(super) async fn add_maps(&self) {
        let customers = [
            ("Number", "accountnumber"),
            ("Name", "name"),
            ("Parent", "parentid.accountnumber"),
            ("Contact", "primarycontactid.contactnumber"),
        ];
        self.add_map(CUSTOMERS, "Customer", "account", &customers).await;
        let contacts = [("Number", "contactnumber"), ("Customer", "customerid.accountnumber")];
        self.add_map(CONTACTS, "Contact", "contact", &contacts).await;
        let mut changes = self.core.maps.subscribe();
        let known = async {
            while self.core.maps.get(CONTACTS).is_none_or(|it| it.compiled.is_none()) {
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(LIMIT, known).await.is_err() {
            panic!("{:?}", self.core.maps.get(CONTACTS));
        }
    }

    async fn add_map(&self, name: &str, entity: &str, table: &str, fields: &[(&str, &str)]) {
        let field = |(erp, platform): &(&str, &str)| pb::FieldMap {
            finance_and_operations_field: (*erp).to_owned(),
            platform_column: (*platform).to_owned(),
            map_type: pb::MapType::Equal.into(),
            transforms: Vec::new(),
        };
        let version = pb::MapVersion {
            name: format!("{name}/versions/1.0.0.0-t"),
            version: "1.0.0.0".to_owned(),
            publisher: "t".to_owned(),
            field_maps: fields.iter().map(field).collect(),
            ..Default::default()
        };
        let mut transaction = self.core.store.begin().await.unwrap();
        sqlx::query(
            "INSERT INTO map (name, display_name, finance_and_operations_entity, platform_table,
                 active_version, epoch, company_specific) VALUES ($1, $1, $2, $3, $4, 1, false)",
        )
        .bind(name)
        .bind(entity)
        .bind(table)
        .bind(&version.name)
        .execute(&mut *transaction)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO map_version (name, map, version, publisher, content_hash, definition)
             VALUES ($1, $2, '1.0.0.0', 't', '', $3)",
        )
        .bind(&version.name)
        .bind(name)
        .bind(version.encode_to_vec())
        .execute(&mut *transaction)
        .await
        .unwrap();
        transaction.commit().await.unwrap();
    }

    /// A process that works on runs.
    pub(super) fn work(&self) -> Task {
        Task(tokio::spawn(crate::initial_sync::run(Arc::clone(&self.core))))
    }

    pub(super) async fn begin(&self, map: &str, master: Side) -> String {
        self.begin_as(map, master, InitialSyncMode::Full).await.unwrap()
    }

    pub(super) async fn begin_as(
        &self,
        map: &str,
        master: Side,
        mode: InitialSyncMode,
    ) -> Result<String, crate::error::Error> {
        let wanted = Wanted { mode, master, companies: &[], actor: "users/t" };
        let mut transaction = self.core.store.begin().await?;
        let name = actions::create(&self.core, &mut transaction, map, wanted).await?;
        transaction.commit().await?;
        self.core.maps.refresh(&self.core.store).await?;
        Ok(name)
    }

    pub(super) async fn shown(&self, name: &str) -> pb::InitialSync {
        let mut transaction = self.core.store.begin().await.unwrap();
        let run = actions::get(&mut transaction, name).await.unwrap();
        progress::of(&mut transaction, run).await.unwrap()
    }

    /// The run, when it is in this state.
    pub(super) async fn reached(&self, name: &str, state: InitialSyncState) -> pb::InitialSync {
        let reached = async {
            loop {
                let shown = self.shown(name).await;
                if shown.state() == state {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(LIMIT, reached).await {
            Ok(shown) => shown,
            Err(_) => panic!("it is {:?}", self.shown(name).await),
        }
    }

    /// Until the map is in this state.
    pub(super) async fn map_is(&self, map: &str, state: MapState) {
        let mut changes = self.core.maps.subscribe();
        let reached = async {
            while self.core.maps.get(map).is_none_or(|it| it.state() != state) {
                changes.changed().await.unwrap();
            }
        };
        let reached = tokio::time::timeout(LIMIT, reached).await;
        let state = self.core.maps.get(map).unwrap().state();
        assert!(reached.is_ok(), "{state:?}: {:#?}", self.activities(map).await);
    }

    pub(super) async fn errors(&self, name: &str) -> Vec<store::StoredError> {
        let mut transaction = self.core.store.begin().await.unwrap();
        let run = actions::get(&mut transaction, name).await.unwrap();
        let all = store::ErrorFilter::default();
        store::list_errors(&mut transaction, run.id, &all, 0, 10_000).await.unwrap()
    }

    /// What the last activity of the map says.
    pub(super) async fn activities(&self, map: &str) -> Vec<String> {
        let mut transaction = self.core.store.begin().await.unwrap();
        let found = crate::store::activity::list(&mut transaction, map, None, 100).await.unwrap();
        found.into_iter().map(|it| it.message).collect()
    }
}

/// What the tables look like.
#[derive(Clone)]
struct Tables;

fn entity(name: &str, fields: &[&str]) -> catalog::DataEntity {
    let field = |it: &&str| catalog::DataField {
        name: (*it).to_owned(),
        source: Some(catalog::data_field::Source::Column(catalog::ColumnPath::default())),
        r#type: catalog::FieldType::String.into(),
        nullable: *it != "Number",
        allow_edit_on_create: true,
        allow_edit: true,
        ..Default::default()
    };
    catalog::DataEntity {
        name: name.to_owned(),
        sources: vec![catalog::DataSource::default()],
        fields: fields.iter().map(field).collect(),
        key: vec!["Number".to_owned()],
        ..Default::default()
    }
}

/// Columns with a target are lookups; the first is the key.
fn table(name: &str, columns: &[(&str, &str)]) -> query::TableDefinition {
    let column = |(name, target): &(&str, &str)| query::ColumnDefinition {
        logical_name: (*name).to_owned(),
        r#type: match *target {
            "" => query::AttributeType::String,
            _ => query::AttributeType::Lookup,
        }
        .into(),
        target: (*target).to_owned(),
        valid_for_create: true,
        valid_for_update: true,
        ..Default::default()
    };
    query::TableDefinition {
        logical_name: name.to_owned(),
        entity_set_name: format!("{name}s"),
        source: query::TableSource::Organization.into(),
        columns: columns.iter().map(column).collect(),
        alternate_keys: vec![query::AlternateKey {
            name: "key".to_owned(),
            columns: vec![columns[0].0.to_owned()],
        }],
        ..Default::default()
    }
}

#[tonic::async_trait]
impl MetadataProviderService for Tables {
    type WatchTablesStream = BoxStream<'static, Result<query::WatchTablesResponse, Status>>;

    async fn watch_tables(
        &self,
        _: Request<query::WatchTablesRequest>,
    ) -> Result<Response<Self::WatchTablesStream>, Status> {
        let account = [
            ("accountnumber", ""),
            ("name", ""),
            ("parentid", "account"),
            ("primarycontactid", "contact"),
        ];
        let contact = [("contactnumber", ""), ("customerid", "account")];
        let tables = vec![table("account", &account), table("contact", &contact)];
        let all = query::WatchTablesResponse { revision: 1, tables, ..Default::default() };
        Ok(Response::new(stream::iter([Ok(all)]).chain(stream::pending()).boxed()))
    }
}

macro_rules! unasked {
    ($($method:ident: $request:ident -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl CatalogService for Tables {
            $(async fn $method(
                &self,
                _: Request<catalog::$request>,
            ) -> Result<Response<catalog::$response>, Status> {
                Err(Status::unimplemented("not asked for"))
            })*

            type WatchDataEntitiesStream =
                BoxStream<'static, Result<catalog::WatchDataEntitiesResponse, Status>>;

            async fn watch_data_entities(
                &self,
                _: Request<catalog::WatchDataEntitiesRequest>,
            ) -> Result<Response<Self::WatchDataEntitiesStream>, Status> {
                let data_entities = vec![
                    entity("Customer", &["Number", "Name", "Parent", "Contact"]),
                    entity("Contact", &["Number", "Customer"]),
                ];
                let all = catalog::WatchDataEntitiesResponse { data_entities, ..Default::default() };
                Ok(Response::new(stream::iter([Ok(all)]).chain(stream::pending()).boxed()))
            }
        }
    };
}

unasked! {
    list_data_entities: ListDataEntitiesRequest -> ListDataEntitiesResponse;
    get_data_entity: GetDataEntityRequest -> GetDataEntityResponse;
    update_data_entity: UpdateDataEntityRequest -> UpdateDataEntityResponse;
    refresh_data_entity: RefreshDataEntityRequest -> RefreshDataEntityResponse;
    refresh_model: RefreshModelRequest -> RefreshModelResponse;
}
