//! Who loses a right loses access within a second, at every replica of the gateway, over HTTP and gRPC.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proto::user_context::v1 as users;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use tests::runner::Runner;
use tests::{Erp, Process, Start, System, Web};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::separate::{AUDIENCE, Cluster, Trust, free_address, ready};

const NAME: &str = "revocation::a_right_that_is_lost_is_lost_at_every_replica";
const TABLE: &str = "mserp_custcustomerv3entities?$top=1&$select=mserp_customeraccount";
const HIDDEN: &str = "mserp_custcustomerv3entities?$top=1&$select=mserp_creditlimit";
/// From the answer to the change until nobody believes otherwise.
const SOON: Duration = Duration::from_secs(1);
/// The user, its role, and that role's duty and privilege for customers.
const USER: &str = "usmf-clerk";
const ROLE: &str = "Revocable";
const PRIVILEGE: &str = "Revocable customers";

pub(crate) async fn run(runner: &mut Runner) {
    if runner.wants(NAME) {
        runner.run(NAME, Box::pin(a_right_that_is_lost_is_lost_at_every_replica())).await;
    }
}

async fn a_right_that_is_lost_is_lost_at_every_replica() -> Result<()> {
    let erp = Erp::demo(40).await?;
    let ids = ids(&erp).await?;
    let mut cluster = Cluster::start(&erp, Trust::Keys).await?;
    let second = second_gateway(&mut cluster).await.context("the second gateway")?;
    let replicas = [cluster.http.clone(), second];
    let token = cluster.issuer.token(AUDIENCE, &ids[1])?;
    let webs = replicas.map(|it| Web::new(&it, Some(token.clone())));
    let mut directory = Directory::of(&cluster, &ids[0]).await?;

    directory.grant(&[]).await?;
    directory.set_user(&[ROLE], false).await?;
    status(&webs, TABLE, 200).await.context("with the role")?;
    // A field that is hidden, and shown again.
    status(&webs, HIDDEN, 200).await.context("a field that is shown")?;
    directory.grant(&["CreditLimit"]).await?;
    status(&webs, HIDDEN, 403).await.context("a field that is hidden")?;
    status(&webs, TABLE, 200).await.context("the others are not")?;
    for _ in 0..3 {
        directory.set_user(&[], false).await?;
        status(&webs, TABLE, 403).await.context("without the role")?;
        directory.set_user(&[ROLE], false).await?;
        status(&webs, TABLE, 200).await.context("with the role again")?;
    }
    directory.set_user(&[ROLE], true).await?;
    refused(&webs).await.context("disabled")?;
    directory.set_user(&[ROLE], false).await?;
    status(&webs, TABLE, 200).await.context("enabled again")?;
    directory.delete_role().await?;
    status(&webs, TABLE, 403).await.context("the role is gone")?;

    // An administrator at the command line, away from the machines of the cluster.
    let (server, administrator) = (grpc(&cluster)?, directory.token.clone());
    let arguments = ["user", "get", USER, "--server", &server];
    let told = tests::run_tombolo_as(&administrator, &arguments).await?;
    ensure!(told.status.success() && told.stdout.contains(USER), "{told:?}");
    let told = tests::run_tombolo_as(&token, &arguments).await?;
    ensure!(!told.status.success(), "{told:?}");

    cluster.stop().await?;
    erp.stop().await
}

/// Directory object ids of the administrator and the user: those that every environment gives them.
async fn ids(erp: &Erp) -> Result<[String; 2]> {
    let data = tests::temporary_directory()?;
    let one = System::start(&Start::dev(data.path()).over(&erp.url().await?, &erp.model())).await?;
    let mut ids = Vec::new();
    for user in ["admin", USER] {
        let claims = tests::issuer::claims(&one.token(user).await?)?;
        ids.push(claims["oid"].as_str().context("no oid")?.to_owned());
    }
    one.stop().await?;
    ids.try_into().map_err(|_| anyhow::anyhow!("two users"))
}

/// Another gateway with the same settings, at ports of its own. Returns where HTTP listens.
async fn second_gateway(cluster: &mut Cluster) -> Result<String> {
    let settings = std::fs::read_to_string(cluster.files.path().join("gateway.toml"))?;
    let (address, http) = (free_address()?, free_address()?);
    let first = cluster.http.trim_start_matches("http://");
    let (_, rest) = settings.split_once('\n').context("no settings")?;
    let rest =
        rest.replace(&format!("http_listen = \"{first}\""), &format!("http_listen = \"{http}\""));
    let file = cluster.files.path().join("gateway-2.toml");
    std::fs::write(&file, format!("listen = \"{address}\"\n{rest}"))?;
    let process = Process::serve("gateway", &file)?;
    ready(&process, &address, Trust::Keys).await.with_context(|| process.log())?;
    cluster.processes.push(process);
    Ok(format!("http://{http}"))
}

/// All of them answer so, before long. Each is asked all the while, so that nothing is forgotten for
/// lack of use.
async fn status(webs: &[Web], path: &str, wanted: u16) -> Result<()> {
    let started = Instant::now();
    for web in webs {
        let left = SOON.saturating_sub(started.elapsed());
        web.eventually(path, left, |it| it.status == wanted).await?;
    }
    Ok(())
}

async fn refused(webs: &[Web]) -> Result<()> {
    let started = Instant::now();
    for web in webs {
        let left = SOON.saturating_sub(started.elapsed());
        web.eventually(TABLE, left, |it| it.status == 401 || it.status == 403).await?;
    }
    Ok(())
}

/// Where the first gateway's gRPC listens.
fn grpc(cluster: &Cluster) -> Result<String> {
    let settings = std::fs::read_to_string(cluster.files.path().join("gateway.toml"))?;
    let line = settings.lines().next().unwrap_or_default();
    Ok(format!("http://{}", line.trim_start_matches("listen = ").trim_matches('"')))
}

/// The directory as an administrator has it, over gRPC.
struct Directory {
    client: DirectoryServiceClient<Channel>,
    token: String,
}

impl Directory {
    async fn of(cluster: &Cluster, object_id: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(grpc(cluster)?)?.connect().await?;
        let client = DirectoryServiceClient::new(channel);
        Ok(Self { client, token: cluster.issuer.token(AUDIENCE, object_id)? })
    }

    fn signed<T>(&self, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        let token = format!("Bearer {}", self.token);
        request.metadata_mut().insert("authorization", token.parse()?);
        Ok(request)
    }

    /// Makes the role, or changes what it hides.
    async fn grant(&mut self, hidden: &[&str]) -> Result<()> {
        let grant = users::EntityGrant {
            entities: vec!["CustCustomerV3Entity".to_owned()],
            operations: vec![users::Operation::Read.into()],
            hidden_fields: hidden.iter().map(|it| (*it).to_owned()).collect(),
            ..Default::default()
        };
        let name = format!("privileges/{PRIVILEGE}");
        let privilege = users::Privilege { name, grants: vec![grant], ..Default::default() };
        let request =
            users::UpdatePrivilegeRequest { privilege: Some(privilege), allow_missing: true };
        let request = self.signed(request)?;
        self.client.update_privilege(request).await?;
        let role = users::Role {
            name: format!("roles/{ROLE}"),
            privileges: vec![PRIVILEGE.to_owned()],
            ..Default::default()
        };
        let request = users::UpdateRoleRequest { role: Some(role), allow_missing: true };
        let request = self.signed(request)?;
        self.client.update_role(request).await?;
        Ok(())
    }

    async fn delete_role(&mut self) -> Result<()> {
        let request =
            users::DeleteRoleRequest { name: format!("roles/{ROLE}"), allow_missing: false };
        let request = self.signed(request)?;
        self.client.delete_role(request).await?;
        Ok(())
    }

    async fn set_user(&mut self, roles: &[&str], disabled: bool) -> Result<()> {
        let user = users::User {
            name: format!("users/{USER}"),
            roles: roles.iter().map(|it| (*it).to_owned()).collect(),
            disabled,
            ..Default::default()
        };
        let paths = ["roles", "disabled"].map(str::to_owned).to_vec();
        let request = users::UpdateUserRequest {
            user: Some(user),
            update_mask: Some(prost_types::FieldMask { paths }),
            allow_missing: false,
        };
        let request = self.signed(request)?;
        self.client.update_user(request).await?;
        Ok(())
    }
}
