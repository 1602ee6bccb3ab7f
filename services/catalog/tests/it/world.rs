//! A catalog of a small model in a temporary folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use catalog::{Catalog, Config};
use cluster::Scratch;
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use proto::catalog::v1::relationship_service_client::RelationshipServiceClient;
use proto::lifecycle::v1::provisioning_service_client::ProvisioningServiceClient;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use proto::query::v1::metadata_provider_service_client::MetadataProviderServiceClient;
use proto::user_context::v1::WatchTrustResponse;
use rpc::{
    AssertionIssuer, AssertionVerifier, Channel, Companies, Environment, Identity, Principal,
    Route, SigningKey, role,
};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tonic::Request;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

const ENUM: &str = "[[enums]]\nname = \"Mood\"\nlabel = \"Mood\"\nmembers = [";

pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) model: TempDir,
    issuer: AssertionIssuer,
}

pub(crate) struct Running {
    _catalog: Catalog,
    channel: Channel,
    /// Of the lifecycle service.
    lifecycle: Channel,
}

impl World {
    pub(crate) async fn new() -> Self {
        let issuer = AssertionIssuer::new(SigningKey::generate().unwrap().0, TIMEOUT * 10);
        let model = TempDir::new().unwrap();
        let world = Self { scratch: Scratch::start().await.unwrap(), model, issuer };
        world.write_enum(&["Low", "High"]);
        world.write_entity("Alpha");
        world.write_entity("Beta");
        world
    }

    pub(crate) fn write_enum(&self, symbols: &[&str]) {
        let member =
            |it: &&str| format!("{{ symbol = \"{it}\", label = \"{it}\", stored = \"{it}\" }}");
        let members: Vec<String> = symbols.iter().map(member).collect();
        let text = format!(
            "name = \"small\"\nlabel = \"Small\"\nvisible = true\n{ENUM}{}]\n",
            members.join(",")
        );
        fs::write(self.model.path().join("model.toml"), text).unwrap();
    }

    pub(crate) fn write_entity(&self, name: &str) {
        self.write_fields(name, &["Code"]);
    }

    pub(crate) fn write_fields(&self, name: &str, fields: &[&str]) {
        let mut text = format!(
            "name = \"{name}\"\nlabel = \"{name}\"\nrecord_id = \"id\"\nkey = [\"Code\"]\n\
             [[sources]]\nalias = \"t\"\ntable = \"t\"\n\
             [[fields]]\nname = \"Mood\"\ncolumn = \"t.mood\"\ntype = \"enum\"\nenum = \"Mood\"\n"
        );
        for field in fields {
            text.push_str(&format!(
                "[[fields]]\nname = \"{field}\"\ncolumn = \"t.code\"\ntype = \"string\"\n"
            ));
        }
        let dir = self.model.path().join("entities");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{name}.toml")), text).unwrap();
    }

    /// Says one more thing of an entity.
    pub(crate) fn prepend(&self, name: &str, line: &str) {
        self.rewrite(name, |text| format!("{line}\n{text}"));
    }

    /// An entity over a view.
    pub(crate) fn write_view(&self, name: &str) {
        self.write_entity(name);
        self.rewrite(name, |text| text.replace("table = \"t\"", "table = \"t\"\nview = true"));
    }

    fn rewrite(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.model.path().join("entities").join(format!("{name}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, change(text)).unwrap();
    }

    pub(crate) fn remove_entity(&self, name: &str) {
        fs::remove_file(self.model.path().join("entities").join(format!("{name}.toml"))).unwrap();
    }

    pub(crate) async fn start(&self) -> Running {
        self.try_start(self.model.path()).await.unwrap()
    }

    pub(crate) async fn try_start(&self, model: &Path) -> Result<Running, catalog::StartError> {
        let url = self.scratch.database("platform").await.unwrap();
        let catalog = Catalog::start(Config::new(url, model.to_owned())).await?;
        let verifier = AssertionVerifier::new("catalog");
        let jwks = self.issuer.jwks().unwrap();
        verifier.apply(&WatchTrustResponse { jwks, ..Default::default() }).unwrap();
        let services = Environment::generate();
        let server = catalog.register(services.server("catalog", Arc::new(verifier)));
        let (routes, _) = server.build().unwrap();
        let channel = services.channel(routes.clone(), "gateway", "catalog").unwrap();
        let lifecycle = services.channel(routes, "lifecycle", "catalog").unwrap();
        Ok(Running { _catalog: catalog, channel, lifecycle })
    }

    /// A connection to the store, for what the catalog itself would never do to it.
    pub(crate) async fn connect(&self, database: &str) -> PgConnection {
        let options = self.scratch.cluster().connect_options(database);
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// A request of an administrator.
    pub(crate) fn admin<T>(&self, message: T) -> Request<T> {
        self.request(message, true)
    }

    /// A request of somebody else.
    pub(crate) fn clerk<T>(&self, message: T) -> Request<T> {
        self.request(message, false)
    }

    fn request<T>(&self, message: T, administrator: bool) -> Request<T> {
        let role = if administrator { role::SYSTEM_ADMINISTRATOR } else { role::BASIC_USER };
        let identity = Identity::of(Principal {
            system_user_id: uuid::Uuid::nil(),
            name: "somebody".into(),
            erp_user: "somebody".into(),
            roles: vec![role.into()],
            companies: Companies::All,
            contact: None,
        });
        let route = Route { audience: "catalog", presenter: "gateway" };
        let limit = SystemTime::now() + TIMEOUT;
        let (assertion, _) = self.issuer.issue(identity, route, 0, limit).unwrap();
        rpc::request(message, &assertion, TIMEOUT).unwrap()
    }
}

impl Running {
    pub(crate) fn catalog(&self) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.channel.clone())
    }

    pub(crate) fn relationships(&self) -> RelationshipServiceClient<Channel> {
        RelationshipServiceClient::new(self.channel.clone())
    }

    pub(crate) fn provisioning(&self) -> ProvisioningServiceClient<Channel> {
        ProvisioningServiceClient::new(self.lifecycle.clone())
    }

    pub(crate) fn tables(&self) -> MetadataProviderServiceClient<Channel> {
        MetadataProviderServiceClient::new(self.channel.clone())
    }

    pub(crate) fn rows(&self) -> DataProviderServiceClient<Channel> {
        DataProviderServiceClient::new(self.channel.clone())
    }
}
