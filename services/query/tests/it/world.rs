//! An adapter over an ERP with one table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::Scratch;
use proto::catalog::v1::catalog_service_server::CatalogServiceServer;
use query::{Config, Query};
use rpc::{
    Access, AssertionIssuer, AssertionVerifier, Caller, Channel, Companies, Rights, Server,
    ServiceIdentity, ServiceKey, SigningKey,
};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;
use uuid::Uuid;

use crate::catalog::OneEntity;

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
        let key = ServiceKey::new(b"test");
        let issuer =
            AssertionIssuer::new(SigningKey::generate().unwrap().0, Duration::from_secs(60));
        let verifier = Arc::new(AssertionVerifier::new());
        verifier.set_keys(&issuer.jwks().unwrap()).unwrap();
        let channel = |server: Server| {
            let (routes, _) = server.build().unwrap();
            Channel::local(routes, ServiceIdentity::new("test", key.clone()))
        };
        let server = || Server::new(key.clone(), Arc::clone(&verifier));
        let (publish, published) = watch::channel(false);
        let catalog = channel(server().with(CatalogServiceServer::new(OneEntity { published })));
        let query = Query::start(&Config::new(url), catalog).unwrap();
        let channel = channel(query.register(server()));
        Self { erp, channel, query, publish, issuer, _scratch: scratch }
    }

    /// Of a user with that access to customers of the company USMF.
    pub(crate) fn assertion(&self, access: Access) -> String {
        let caller = Caller {
            system_user_id: Uuid::nil(),
            name: "clerk".into(),
            erp_user: "clerk".into(),
            rights: Rights {
                administrator: false,
                companies: Companies::Only(vec!["USMF".into()]),
                entities: BTreeMap::from([("Customers".into(), access)]),
            },
            time_zone: "UTC".into(),
            language: 1033,
        };
        self.issuer.issue(caller).unwrap().0
    }

    pub(crate) async fn customers(&mut self) -> Vec<String> {
        let accounts = sqlx::query_scalar("SELECT account FROM customer ORDER BY id");
        accounts.fetch_all(&mut self.erp).await.unwrap()
    }
}
