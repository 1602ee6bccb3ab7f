//! An adapter over an ERP with one table.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cluster::Scratch;
use proto::catalog::v1::catalog_service_server::CatalogServiceServer;
use proto::user_context::v1::{EntityGrant, Operation, RoleGrants, WatchTrustResponse};
use query::{Config, Query};
use rpc::{
    AssertionIssuer, AssertionVerifier, Channel, Companies, Environment, Identity, Principal,
    Route, Server, SigningKey,
};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;
use uuid::Uuid;

use crate::catalog::OneEntity;

/// Reads customers.
pub(crate) const READER: &str = "Reader";
/// Reads and writes customers.
pub(crate) const WRITER: &str = "Writer";

pub(crate) struct World {
    pub(crate) erp: PgConnection,
    pub(crate) channel: Channel,
    pub(crate) query: Query,
    pub(crate) publish: watch::Sender<bool>,
    issuer: AssertionIssuer,
    _scratch: Scratch,
}

impl World {
    /// One whose definitions have arrived.
    pub(crate) async fn new() -> Self {
        let world = Self::without_definitions().await;
        world.publish.send_replace(true);
        world.query.ready().await;
        world
    }

    pub(crate) async fn without_definitions() -> Self {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("erp").await.unwrap();
        let mut erp = PgConnection::connect(&url).await.unwrap();
        let table = "CREATE TABLE customer (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            account text NOT NULL, company text NOT NULL, UNIQUE (account, company))";
        sqlx::raw_sql(table).execute(&mut erp).await.unwrap();
        let services = Environment::generate();
        let issuer =
            AssertionIssuer::new(SigningKey::generate().unwrap().0, Duration::from_secs(60));
        let verifier = Arc::new(AssertionVerifier::new("query"));
        let jwks = issuer.jwks().unwrap();
        verifier
            .apply(&WatchTrustResponse { revision: 1, jwks, roles: roles(), ..Default::default() })
            .unwrap();
        let channel = |server: Server, caller, callee| {
            let (routes, _) = server.build().unwrap();
            services.channel(routes, caller, callee).unwrap()
        };
        let server = |name| services.server(name, Arc::clone(&verifier));
        let (publish, published) = watch::channel(false);
        let catalog = server("catalog").with(CatalogServiceServer::new(OneEntity { published }));
        let catalog = channel(catalog, "query", "catalog");
        let query =
            Query::start(&Config::new(url), catalog, &services.identity("query").unwrap()).unwrap();
        let channel = channel(query.register(server("query")), "gateway", "query");
        Self { erp, channel, query, publish, issuer, _scratch: scratch }
    }

    /// Of a user of the company USMF who holds a role.
    pub(crate) fn assertion(&self, role: &str) -> String {
        let clerk = Principal {
            system_user_id: Uuid::nil(),
            name: "clerk".into(),
            erp_user: "clerk".into(),
            roles: vec![role.to_owned()],
            companies: Companies::Only(vec!["USMF".into()]),
            contact: None,
        };
        let route = Route { audience: "query", presenter: "gateway" };
        let limit = SystemTime::now() + Duration::from_secs(60);
        self.issuer.issue(Identity::of(clerk), route, 1, limit).unwrap().0
    }

    pub(crate) async fn customers(&mut self) -> Vec<String> {
        let accounts = sqlx::query_scalar("SELECT account FROM customer ORDER BY id");
        accounts.fetch_all(&mut self.erp).await.unwrap()
    }
}

fn roles() -> Vec<RoleGrants> {
    let writes = [Operation::Read, Operation::Create, Operation::Update, Operation::Delete];
    let roles = [(READER, &writes[..1]), (WRITER, &writes[..])];
    let role = |(name, operations): (&str, &[Operation])| {
        let operations = operations.iter().map(|it| i32::from(*it)).collect();
        let entities = vec!["Customers".to_owned()];
        let grant = EntityGrant { entities, operations, ..Default::default() };
        RoleGrants { role: name.to_owned(), grants: vec![grant] }
    };
    roles.map(role).into()
}
