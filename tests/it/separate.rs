//! The same services in a process each, as on a cluster: the same answers as from one.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use proto::capacity::v1::ListAccrualsRequest;
use proto::capacity::v1::licence_service_client::LicenceServiceClient;
use proto::lifecycle::v1::ListLinksRequest;
use proto::lifecycle::v1::setup_service_client::SetupServiceClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tests::issuer::Issuer;
use tests::runner::Runner;
use tests::{Erp, Process, Start, System, Web, assert_error, run_tombolo};
use tokio::time::timeout;
use tonic::Request;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const NAME: &str = "separate::every_service_in_its_own_process";
pub(crate) const AUDIENCE: &str = "https://tombolo.example.com";
const READY_WITHIN: Duration = Duration::from_secs(30);
const SERVICES: [&str; 8] = [
    "user-context",
    "catalog",
    "organization",
    "query",
    "capacity",
    "lifecycle",
    "data-export",
    "gateway",
];
/// Nobody's in particular.
const TENANT: &str = "2f9e4a1c-5d3b-4c6a-9b1e-0a7d8c6f5e41";

const INTEGRATION: &str = "RetrieveFinanceAndOperationsIntegrationDetails";

const PATHS: [&str; 9] = [
    "",
    "mserp_custcustomerv3entities?$select=mserp_customeraccount,mserp_organizationname&$top=20&$orderby=mserp_organizationname",
    "mserp_custcustomerv3entities?$select=mserp_creditlimit&$filter=mserp_creditlimit gt 1000&$count=true",
    "mserp_custcustomerv3entities(mserp_dataareaid='USMF',mserp_customeraccount='US-000001')?$select=mserp_organizationname",
    "mserp_custcustomerv3entities/$count",
    "mserp_salesorderlinev2entities?$select=mserp_linenumber&$top=3&$count=true",
    "mserp_financeandoperationsentities?$select=mserp_physicalname,mserp_hasbeengenerated&$orderby=mserp_physicalname",
    "mserp_custcustomerv3entities?$select=nope",
    "nosuchtables",
];

pub(crate) async fn run(runner: &mut Runner) {
    if runner.wants(NAME) {
        runner.run(NAME, every_service_in_its_own_process()).await;
    }
}

async fn every_service_in_its_own_process() -> Result<()> {
    let erp = Erp::demo(300).await?;
    let data = tests::temporary_directory()?;
    // Nobody links the ones that stand apart, and a link brings tables.
    let start = Start::dev(data.path()).arg("--no-link");
    let one = System::start(&start.over(&erp.url().await?, &erp.model())).await?;
    let cluster = Cluster::start(&erp, Trust::Keys).await?;
    for user in ["admin", "usmf-clerk"] {
        let web = one.web(user).await?;
        let claims = tests::issuer::claims(web.token())?;
        let object_id = claims["oid"].as_str().context("no oid")?.to_owned();
        let token = cluster.issuer.token(AUDIENCE, &object_id)?;
        // A good signature for somebody else.
        let elsewhere = cluster.issuer.token("https://elsewhere.example", &object_id)?;
        let refused = Web::new(&cluster.http, Some(elsewhere)).get("").await?;
        assert_error(&refused, 401, "0x8005F101", "")?;
        let other = Web::new(&cluster.http, Some(token));
        for path in PATHS {
            compare(&web, &other, path).await.with_context(|| format!("{user}: {path}"))?;
        }
    }
    let stranger = Web::new(&cluster.http, Some(one.token("admin").await?));
    assert_error(&stranger.get("").await?, 401, "0x8005F101", "")?;

    let claims = tests::issuer::claims(stranger.token())?;
    let object_id = claims["oid"].as_str().context("no oid")?;
    let admin = Web::new(&cluster.http, Some(cluster.issuer.token(AUDIENCE, object_id)?));
    visibility_reaches_every_process(&admin).await.context("visibility")?;
    const TABLE: &str = "mserp_custcustomerv3entities?$top=1";
    let cluster = Box::pin(a_service_may_go_and_come_back(cluster, "query", &admin, (TABLE, 200)));
    let cluster = cluster.await.context("query is gone")?;
    environments_are_managed(&cluster, &admin).await.context("environments")?;
    let linked = (INTEGRATION, 400);
    let cluster = Box::pin(a_service_may_go_and_come_back(cluster, "lifecycle", &admin, linked));
    let cluster = cluster.await.context("lifecycle is gone")?;

    a_service_that_others_could_overhear_does_not_start(&cluster).await.context("exposed")?;
    cluster.stop().await?;
    certificates_do_instead_of_keys(&erp, object_id).await.context("certificates")?;
    one.stop().await?;
    erp.stop().await
}

async fn visibility_reaches_every_process(admin: &Web) -> Result<()> {
    const TABLE: &str = "mserp_currencyentities?$top=1";
    let catalog = "mserp_financeandoperationsentities";
    let filter = tests::encode("mserp_physicalname eq 'CurrencyEntity'");
    let list = admin.json(&format!("{catalog}?$filter={filter}")).await?;
    let id = list["value"][0]["mserp_financeandoperationsentityid"].as_str().context("no id")?;
    for (visible, status) in [(false, 404), (true, 200)] {
        let body = serde_json::json!({ "mserp_hasbeengenerated": visible });
        let path = format!("{catalog}({id})");
        let answer = admin.send(reqwest::Method::PATCH, &path, &[], Some(body)).await?;
        ensure!(answer.status == 204, "{answer:?}");
        admin.eventually(TABLE, Duration::from_secs(1), |it| it.status == status).await?;
    }
    Ok(())
}

/// `path` is answered with `status` as long as the service is there.
async fn a_service_may_go_and_come_back(
    mut cluster: Cluster,
    service: &str,
    admin: &Web,
    (path, status): (&str, u16),
) -> Result<Cluster> {
    let at = SERVICES.iter().position(|it| *it == service).context("no such service")?;
    cluster.processes.remove(at).kill().await?;
    let answer = admin.get(path).await?;
    assert_error(&answer, 503, "0x80048d0b", "")?;
    ensure!(!answer.header("retry-after").is_empty(), "{answer:?}");
    let file = cluster.files.path().join(format!("{service}.toml"));
    cluster.processes.insert(at, Process::serve(service, &file)?);
    admin.eventually(path, READY_WITHIN, |it| it.status == status).await?;
    Ok(cluster)
}

/// Nothing is linked here, and whoever administers the tenant may see that.
async fn environments_are_managed(cluster: &Cluster, admin: &Web) -> Result<()> {
    let message = "Dataverse instance isn't integrated with finance and operations.";
    assert_error(&admin.get(INTEGRATION).await?, 400, "0x80048d0b", message)?;
    let channel = Endpoint::from_shared(format!("http://{}", cluster.grpc))?.connect().await?;
    let mut links = SetupServiceClient::new(channel.clone());
    let mut licences = LicenceServiceClient::new(channel);
    let links = links.list_links(signed(admin, ListLinksRequest::default())?).await?.into_inner();
    ensure!(links.links.is_empty(), "{links:?}");
    let request = signed(admin, ListAccrualsRequest::default())?;
    let accruals = licences.list_accruals(request).await?.into_inner();
    ensure!(accruals.accruals.iter().any(|it| it.name == "accruals/finance"), "{accruals:?}");
    Ok(())
}

fn signed<T>(web: &Web, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {}", web.token()).parse()?);
    Ok(request)
}

async fn certificates_do_instead_of_keys(erp: &Erp, object_id: &str) -> Result<()> {
    let cluster = Cluster::start(erp, Trust::Certificates).await?;
    let web = Web::new(&cluster.http, Some(cluster.issuer.token(AUDIENCE, object_id)?));
    for path in ["mserp_custcustomerv3entities?$top=1", "accounts?$top=1"] {
        let answer = web.get(path).await?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
    }
    cluster.stop().await
}

async fn a_service_that_others_could_overhear_does_not_start(cluster: &Cluster) -> Result<()> {
    for (service, setting) in [("query", "[tls]"), ("gateway", "[gateway.tls]")] {
        let file = cluster.files.path().join(format!("{service}.toml"));
        let settings = std::fs::read_to_string(&file)?;
        let (_, rest) = settings.split_once('\n').context("no settings")?;
        let exposed = cluster.files.path().join("exposed.toml");
        std::fs::write(&exposed, format!("listen = \"0.0.0.0:0\"\n{rest}"))?;
        let config = exposed.display().to_string();
        let output = run_tombolo(&["serve", service, "--config", &config]).await?;
        ensure!(!output.status.success() && output.stderr.contains(setting), "{output:?}");
    }
    Ok(())
}

async fn compare(one: &Web, other: &Web, path: &str) -> Result<()> {
    let (left, right) = (one.get(path).await?, other.get(path).await?);
    ensure!(left.status == right.status, "{left:?}\n{right:?}");
    let alike = |web: &Web, body: &str| {
        let body = body.replace(web.authority(), "HOST");
        let mut value: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
        // Row ids contain the entity's number, which is the environment's own.
        for row in value.get_mut("value").and_then(Value::as_array_mut).into_iter().flatten() {
            forget_ids(row);
        }
        forget_ids(&mut value);
        value
    };
    let (left, right) = (alike(one, &left.body), alike(other, &right.body));
    ensure!(left == right, "{left}\n{right}");
    Ok(())
}

fn forget_ids(row: &mut Value) {
    if let Some(members) = row.as_object_mut() {
        members.retain(|name, _| !name.ends_with("entityid") && name != "@odata.etag");
    }
}

/// How the services of a cluster know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Keys,
    Certificates,
}

impl Trust {
    /// Makes the files.
    async fn prepare(self, folder: &Path) -> Result<()> {
        if self == Self::Keys {
            let out = folder.display().to_string();
            let made = run_tombolo(&[&["keys", "--out", &out], &SERVICES[..]].concat()).await?;
            ensure!(made.status.success(), "{made:?}");
            return Ok(());
        }
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
        std::fs::write(folder.join("authority.pem"), authority.pem())?;
        for service in SERVICES {
            let names = vec![format!("{service}.tombolo.svc"), "127.0.0.1".to_owned()];
            let key = KeyPair::generate()?;
            let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
            std::fs::write(folder.join(format!("{service}.pem")), certificate.pem())?;
            std::fs::write(folder.join(format!("{service}-key.pem")), key.serialize_pem())?;
        }
        Ok(())
    }

    fn settings(self, service: &str, folder: &Path) -> String {
        let folder = folder.display();
        match self {
            Self::Keys => format!(
                "service_key_file = \"{folder}/{service}.key\"\n\
                 services_file = \"{folder}/services.json\"\n"
            ),
            Self::Certificates => format!(
                "[tls]\ncertificate_file = \"{folder}/{service}.pem\"\n\
                 key_file = \"{folder}/{service}-key.pem\"\n\
                 authority_file = \"{folder}/authority.pem\"\n"
            ),
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Keys => "http",
            Self::Certificates => "https",
        }
    }
}

/// A process for each service, with their settings files.
pub(crate) struct Cluster {
    pub(crate) issuer: Issuer,
    pub(crate) http: String,
    /// `HOST:PORT` of the gateway's gRPC.
    grpc: String,
    pub(crate) processes: Vec<Process>,
    pub(crate) files: TempDir,
}

impl Cluster {
    pub(crate) async fn start(erp: &Erp, trust: Trust) -> Result<Self> {
        let files = tests::temporary_directory()?;
        let issuer = Issuer::new("https://login.example/tenant/v2.0")?;
        let http = free_address()?;
        let addresses = (0..SERVICES.len()).map(|_| free_address()).collect::<Result<Vec<_>>>()?;
        trust.prepare(files.path()).await?;
        let mut processes = Vec::new();
        for (service, address) in SERVICES.iter().zip(&addresses) {
            let settings = settings(erp, files.path(), &issuer, (trust, &addresses), &http).await?;
            let trusted = trust.settings(service, files.path());
            let file = files.path().join(format!("{service}.toml"));
            std::fs::write(&file, format!("listen = \"{address}\"\n{trusted}{settings}"))?;
            let process = Process::serve(service, &file)?;
            let ready = ready(&process, address, trust).await;
            ready.with_context(|| format!("{service} is not ready: {}", process.log()))?;
            processes.push(process);
        }
        let grpc = addresses.last().context("no gateway")?.clone();
        Ok(Self { issuer, http: format!("http://{http}"), grpc, processes, files })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        for process in self.processes.into_iter().rev() {
            process.stop().await?;
        }
        Ok(())
    }
}

async fn settings(
    erp: &Erp,
    folder: &Path,
    issuer: &Issuer,
    (trust, addresses): (Trust, &[String]),
    http: &str,
) -> Result<String> {
    let [user_context, catalog, organization, query, capacity, lifecycle, data_export, _] =
        addresses
    else {
        anyhow::bail!("an address for each service")
    };
    let model = erp.model();
    Ok(format!(
        r#"[peers]
user_context = "{scheme}://{user_context}"
catalog = "{scheme}://{catalog}"
organization = "{scheme}://{organization}"
query = "{scheme}://{query}"
capacity = "{scheme}://{capacity}"
lifecycle = "{scheme}://{lifecycle}"
data_export = "{scheme}://{data_export}"
[user_context]
database_url = "{platform}"
model_dir = "{model}"
users_file = "{users}"
[[user_context.issuers]]
issuer = "{issuer_name}"
audiences = ["{AUDIENCE}"]
jwks = '{jwks}'
[catalog]
database_url = "{platform}"
model_dir = "{model}"
[organization]
database_url = "{platform}"
[query]
erp_url = "{erp_url}"
erp_connections = 4
[capacity]
database_url = "{tenant}"
[lifecycle]
database_url = "{tenant}"
platform_server_url = "{platform}"
erp_server_url = "{erp_url}"
backup_dir = "{folder}/backups"
tenant_id = "{TENANT}"
[data_export]
data_dir = "{folder}/data-export"
output_root = "{folder}/exports"
secrets_dir = "{folder}/secrets"
[gateway]
http_listen = "{http}"
public_url = "{AUDIENCE}"
authorization_uri = "https://login.example/tenant/oauth2/authorize"
page_token_key_file = "{page_token_key}"
"#,
        scheme = trust.scheme(),
        users = model.join("users.toml").display(),
        issuer_name = issuer.name,
        jwks = issuer.jwks()?,
        platform = erp.database_url("platform").await?,
        tenant = erp.database_url("tenant").await?,
        folder = folder.display(),
        model = model.display(),
        erp_url = erp.url().await?,
        page_token_key = secret(folder, "page-token.key")?.display(),
    ))
}

fn secret(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, [name.as_bytes(), &[7; 32]].concat())?;
    Ok(path)
}

/// Free a moment ago. Nobody else on this machine is likely to take it in between.
pub(crate) fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// It listens, and says that it serves.
pub(crate) async fn ready(process: &Process, address: &str, trust: Trust) -> Result<()> {
    process.said(" ready", READY_WITHIN).await?;
    if trust == Trust::Certificates {
        // Only who has a certificate may ask.
        return Ok(());
    }
    let serving = async {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let request = HealthCheckRequest::default();
        let mut changes = HealthClient::new(channel).watch(request).await?.into_inner();
        while let Some(change) = changes.message().await? {
            if change.status() == ServingStatus::Serving {
                return Ok(());
            }
        }
        anyhow::bail!("it never serves")
    };
    timeout(READY_WITHIN, serving).await.context("it does not serve")?
}
