//! A pair of sides, a database, and dual-write between them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dual_write::{Clients, Config, DualWrite};
use proto::catalog::v1::catalog_service_server::CatalogServiceServer;
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::link_service_client::LinkServiceClient;
use proto::dual_write::v1::map_service_client::MapServiceClient;
use proto::dual_write::v1::sync_error_service_client::SyncErrorServiceClient;
use proto::dual_write::v1::{MapState, MapType};
use proto::organization::v1::organization_service_server::OrganizationServiceServer;
use proto::query::v1::metadata_provider_service_server::MetadataProviderServiceServer;
use proto::query::v1::sharing_service_server::SharingServiceServer;
use proto::query::v1::transaction_service_server::TransactionServiceServer;
use proto::user_context::v1::{EntityGrant, Operation, RoleGrants, WatchTrustResponse};
use rpc::{
    AssertionIssuer, AssertionVerifier, Channel, Companies, Environment, ErrorReason, Identity,
    Principal, Route, SigningKey, role,
};
use sqlx::{Connection as _, PgConnection};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::cases::Databases;
use crate::fakes::{FakeSide, guid, text};
use crate::tables::Tables;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const GROUPS: &str = "maps/groups";
pub(crate) const UNITS: &str = "maps/units";
/// Of users who may do everything in the ERP.
pub(crate) const ERP_ADMINISTRATOR: &str = "ERP administrator";

/// Both sides and the database, and replicas between them.
pub(crate) struct World {
    pub(crate) erp: FakeSide,
    pub(crate) platform: FakeSide,
    pub(crate) tables: Tables,
    pub(crate) url: String,
    services: Environment,
    issuer: AssertionIssuer,
}

/// One replica.
pub(crate) struct Running {
    _service: DualWrite,
    pub(crate) gateway: Channel,
}

impl World {
    /// Two companies on both sides, each with its team.
    pub(crate) async fn new(databases: &Databases) -> Self {
        let url = databases.database().await;
        let issuer = AssertionIssuer::new(SigningKey::generate().unwrap().0, TIMEOUT * 10);
        let world = Self {
            erp: FakeSide::default(),
            platform: FakeSide::default(),
            tables: Tables::new(),
            url,
            services: Environment::generate(),
            issuer,
        };
        for code in ["USMF", "DEMF"] {
            world.add_company(code);
        }
        world
    }

    /// On both sides.
    pub(crate) fn add_company(&self, code: &str) -> Uuid {
        self.erp.put("CompanyInfoEntity", &[("LegalEntityId", text(code))]);
        let team = self.platform.put("team", &[("name", text(&format!("{code} Dual Write")))]);
        let row = [("cdm_companycode", text(code)), ("cdm_defaultowningteam", guid(team))];
        self.platform.put("cdm_company", &row)
    }

    pub(crate) async fn start(&self) -> Running {
        let clients = Clients {
            query: self.side("query", &self.erp),
            organization: self.side("organization", &self.platform),
            catalog: self.catalog(),
            user_context: self.catalog(),
        };
        let service = DualWrite::start(Config::new(self.url.clone()), clients).await.unwrap();
        let verifier = AssertionVerifier::new("dual-write");
        let jwks = self.issuer.jwks().unwrap();
        let operations = [
            Operation::Read,
            Operation::Create,
            Operation::Update,
            Operation::Delete,
            Operation::Invoke,
        ];
        let everything = EntityGrant {
            entities: vec!["*".into()],
            operations: operations.map(i32::from).to_vec(),
            ..Default::default()
        };
        let roles = vec![RoleGrants { role: ERP_ADMINISTRATOR.into(), grants: vec![everything] }];
        verifier.apply(&WatchTrustResponse { jwks, roles, ..Default::default() }).unwrap();
        let server = service.register(self.services.server("dual-write", Arc::new(verifier)));
        let (routes, _) = server.build().unwrap();
        let gateway = self.services.channel(routes, "gateway", "dual-write").unwrap();
        Running { _service: service, gateway }
    }

    /// From now on no replica does these parts, until the connection is dropped.
    pub(crate) async fn hold(&self, parts: &[&str]) -> PgConnection {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        for part in parts {
            sqlx::query("SELECT pg_advisory_lock(hashtextextended($1, 0))")
                .bind(format!("tombolo dual-write {part}"))
                .execute(&mut connection)
                .await
                .unwrap();
        }
        connection
    }

    /// A replica with a link of both companies, and both maps.
    pub(crate) async fn linked(&self) -> Running {
        let running = self.start().await;
        self.until(async || {
            running
                .links()
                .run_health_checks(self.admin(pb::RunHealthChecksRequest {}))
                .await
                .is_ok_and(|it| it.into_inner().health_checks.iter().all(|it| it.passed))
        })
        .await;
        let link = pb::Link { companies: vec!["USMF".into(), "DEMF".into()], ..Default::default() };
        let request =
            pb::CreateLinkRequest { link: Some(link), consent: true, ..Default::default() };
        running.links().create_link(self.admin(request)).await.unwrap();
        running.maps().create_map(self.admin(groups())).await.unwrap();
        running.maps().create_map(self.admin(units())).await.unwrap();
        running
    }

    /// A request of an administrator.
    pub(crate) fn admin<T>(&self, message: T) -> Request<T> {
        self.request(message, &[role::SYSTEM_ADMINISTRATOR])
    }

    /// A request of who defines maps.
    pub(crate) fn maker<T>(&self, message: T) -> Request<T> {
        self.request(message, &[role::SYSTEM_CUSTOMIZER, ERP_ADMINISTRATOR])
    }

    /// A request of somebody with these roles.
    pub(crate) fn request<T>(&self, message: T, roles: &[&str]) -> Request<T> {
        let identity = Identity::of(Principal {
            system_user_id: Uuid::from_u128(roles.concat().len() as u128),
            name: "alicia".into(),
            erp_user: "alicia".into(),
            roles: roles.iter().map(|it| (*it).to_owned()).collect(),
            companies: Companies::All,
            contact: None,
        });
        let route = Route { audience: "dual-write", presenter: "gateway" };
        let limit = SystemTime::now() + TIMEOUT;
        let (assertion, _) = self.issuer.issue(identity, route, 0, limit).unwrap();
        rpc::request(message, &assertion, TIMEOUT).unwrap()
    }

    /// Waits for what is bound to come.
    pub(crate) async fn until(&self, is_so: impl AsyncFn() -> bool) {
        let look = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, look).await.expect("it never came");
    }

    /// Does to the store what dual-write itself would not.
    pub(crate) async fn run(&self, sql: String) {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql("SET search_path = dual_write").execute(&mut connection).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }

    pub(crate) async fn map(&self, running: &Running, name: &str) -> pb::TableMap {
        let request = self.admin(pb::GetMapRequest { name: name.into() });
        running.maps().get_map(request).await.unwrap().into_inner().map.unwrap()
    }

    pub(crate) async fn state(&self, running: &Running, name: &str) -> MapState {
        self.map(running, name).await.state()
    }

    /// Starts without copying.
    pub(crate) async fn go_live(
        &self,
        running: &Running,
        names: &[&str],
    ) -> Result<Vec<pb::TableMap>, Status> {
        let start = |it: &&str| pb::MapStart {
            name: (*it).into(),
            skip_initial_sync: true,
            ..Default::default()
        };
        let starts = names.iter().map(start).collect();
        let request = pb::StartMapsRequest { starts, ..Default::default() };
        let answer = running.maps().start_maps(self.admin(request)).await?;
        Ok(answer.into_inner().maps)
    }

    pub(crate) async fn pause(
        &self,
        running: &Running,
        names: &[&str],
    ) -> Result<Vec<pb::TableMap>, Status> {
        let names = names.iter().map(|it| (*it).into()).collect();
        let request = pb::PauseMapsRequest { names, ..Default::default() };
        Ok(running.maps().pause_maps(self.admin(request)).await?.into_inner().maps)
    }

    fn side(&self, name: &'static str, side: &FakeSide) -> Channel {
        let verifier = Arc::new(AssertionVerifier::new(name));
        let server = self.services.server(name, verifier);
        let (routes, _) = server
            .with(SharingServiceServer::new(side.clone()))
            .with(TransactionServiceServer::new(side.clone()))
            .with(MetadataProviderServiceServer::new(self.tables.clone()))
            .with(OrganizationServiceServer::new(self.tables.clone()))
            .build()
            .unwrap();
        self.services.channel(routes, "dual-write", name).unwrap()
    }

    fn catalog(&self) -> Channel {
        let verifier = Arc::new(AssertionVerifier::new("catalog"));
        let server = self.services.server("catalog", verifier);
        let (routes, _) =
            server.with(CatalogServiceServer::new(self.tables.clone())).build().unwrap();
        self.services.channel(routes, "dual-write", "catalog").unwrap()
    }
}

impl Running {
    pub(crate) fn maps(&self) -> MapServiceClient<Channel> {
        MapServiceClient::new(self.gateway.clone())
    }

    pub(crate) fn links(&self) -> LinkServiceClient<Channel> {
        LinkServiceClient::new(self.gateway.clone())
    }

    pub(crate) fn errors(&self) -> SyncErrorServiceClient<Channel> {
        SyncErrorServiceClient::new(self.gateway.clone())
    }
}

/// A map of companies' rows.
pub(crate) fn groups() -> pb::CreateMapRequest {
    let fields = [("CustomerGroupId", "msdyn_groupid"), ("Description", "msdyn_description")];
    create("groups", "CustomerGroupEntity", "msdyn_customergroup", &fields)
}

/// A map of rows without company.
pub(crate) fn units() -> pb::CreateMapRequest {
    let fields = [("UnitSymbol", "msdyn_symbol"), ("Description", "msdyn_description")];
    create("units", "UnitEntity", "uom", &fields)
}

pub(crate) fn version(number: &str, fields: &[(&str, &str)]) -> pb::MapVersion {
    let field = |it: &(&str, &str)| pb::FieldMap {
        finance_and_operations_field: it.0.into(),
        platform_column: it.1.into(),
        map_type: MapType::Equal.into(),
        ..Default::default()
    };
    pb::MapVersion {
        version: number.into(),
        publisher: "Contoso".into(),
        field_maps: fields.iter().map(field).collect(),
        ..Default::default()
    }
}

fn create(id: &str, entity: &str, table: &str, fields: &[(&str, &str)]) -> pb::CreateMapRequest {
    pb::CreateMapRequest {
        map_id: id.into(),
        map: Some(pb::TableMap {
            finance_and_operations_entity: entity.into(),
            platform_table: table.into(),
            ..Default::default()
        }),
        version: Some(version("1.0.0.0", fields)),
        ..Default::default()
    }
}

/// Why it was refused.
#[track_caller]
pub(crate) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> ErrorReason {
    let status = answer.unwrap_err();
    rpc::reason(&status).unwrap_or_else(|| panic!("{status:?}"))
}
