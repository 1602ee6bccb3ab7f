//! A system with one user of each kind, and what is tried on.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use gateway::EntryPoint;
use proto::user_context::v1 as users;
use proto::user_context::v1::directory_service_client::DirectoryServiceClient;
use serde_json::json;
use tempfile::TempDir;
use tests::snapshot::Snapshot;
use tests::{Erp, Platform, Start, System, Web};
use tonic::transport::{Channel, Endpoint};

use super::grpc::as_actor;
use super::who::{Actor, Who};
use crate::background::{SUCCEEDED, reached};
use crate::write_world::{CUSTOMER_SET, customer};

/// In addition to the demo ERP's.
const SECURITY: &str = r#"
[[privileges]]
name = "Matrix everything"
[[privileges.grants]]
entities = ["CustCustomerV3Entity", "CustCustomerGroupEntity"]
operations = ["read", "create", "update", "delete", "invoke"]
[[privileges.grants]]
entities = ["CompanyInfoEntity"]
operations = ["invoke"]

[[privileges]]
name = "Matrix read"
[[privileges.grants]]
entities = ["CustCustomerV3Entity", "CustCustomerGroupEntity"]
operations = ["read"]

[[privileges]]
name = "Matrix create"
[[privileges.grants]]
entities = ["CustCustomerV3Entity", "CustCustomerGroupEntity"]
operations = ["create"]

[[privileges]]
name = "Matrix blind"
[[privileges.grants]]
entities = ["CustCustomerV3Entity", "CustCustomerGroupEntity"]
operations = ["read", "create", "update", "delete", "invoke"]
hidden_fields = ["CreditLimit"]
[[privileges.grants]]
entities = ["CompanyInfoEntity"]
operations = ["invoke"]

[[roles]]
name = "Matrix clerk"
privileges = ["Matrix everything"]

[[roles]]
name = "Matrix reader"
privileges = ["Matrix read"]

[[roles]]
name = "Matrix creator"
privileges = ["Matrix create"]

[[roles]]
name = "Matrix blind"
privileges = ["Matrix blind"]

[[roles]]
name = "Matrix portal customer"
privileges = ["Matrix read own"]

[[privileges]]
name = "Matrix read own"
[[privileges.grants]]
entities = ["CustCustomerV3Entity", "CustCustomerGroupEntity"]
operations = ["read"]
hidden_fields = ["CreditLimit"]
"#;

const USERS: &str = r#"
[[users]]
name = "matrix-clerk"
roles = ["Matrix clerk"]
companies = ["USMF"]

[[users]]
name = "matrix-reader"
roles = ["Matrix reader"]
companies = ["USMF"]
acts_on_behalf = true

[[users]]
name = "matrix-creator"
roles = ["Matrix creator"]
companies = ["USMF"]

[[users]]
name = "matrix-blind"
roles = ["Matrix blind"]
companies = ["USMF"]

[[users]]
name = "matrix-nobody"
companies = ["*"]

[[users]]
name = "matrix-disabled"
roles = ["Matrix clerk"]
companies = ["USMF"]

[[users]]
name = "matrix-application"
application_id = "0b0e6a1e-4a0c-4a7c-8d57-5f1f5f2f3a11"
roles = ["CDSVirtualEntityApplication"]
companies = ["*"]

[[users]]
name = "matrix-visitor"
erp_user = "visitor"
roles = ["CDSVirtualEntityAuthorizedPortalUser", "Matrix portal customer"]
companies = ["USMF"]
"#;

/// Whose accounts the portal's contact may see.
const VISITOR: &str = "visitor";
const VISITORS_ACCOUNT: &str = "M-VISITOR";

/// What is tried on: made for one attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prepared {
    /// Of a new customer.
    pub(crate) customer: String,
    /// The account of [`Self::visible`].
    pub(crate) visible_account: String,
    /// A new name, for what is created.
    pub(crate) name: String,
    /// Of a customer that the actor can see, where it can see any.
    pub(crate) visible: String,
    /// Where the changes of customers are followed from.
    pub(crate) delta_token: String,
    /// Of an administrator.
    pub(crate) background: String,
}

pub(crate) struct World {
    pub(crate) erp: Erp,
    pub(crate) platform: Platform,
    pub(crate) system: System,
    pub(crate) admin: Web,
    pub(crate) actors: Vec<Actor>,
    /// Of customers, as `$metadata` has them.
    pub(crate) actions: Vec<String>,
    /// Of a view of accounts.
    pub(crate) view: String,
    number: AtomicU64,
    visible: String,
    delta_token: String,
    model: TempDir,
    data: TempDir,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let erp = Erp::demo(60).await?;
        let (data, model) = (tests::temporary_directory()?, tests::temporary_directory()?);
        copy(&erp.model(), model.path())?;
        extend(&model.path().join("security.toml"), SECURITY)?;
        extend(&model.path().join("users.toml"), USERS)?;
        let start = Start::dev(data.path()).over(&erp.url().await?, model.path());
        let system = System::start(&start.arg("--sample-data")).await?;
        let admin = system.web("admin").await?;
        let actions = crate::actions::names(&admin).await?;
        let view = admin.json("savedqueries?$filter=returnedtypecode eq 'account'&$top=1").await?;
        let view = view["value"][0]["savedqueryid"].as_str().context("no view")?.to_owned();
        let changes = admin.get_prefer(CUSTOMER_SET, "odata.track-changes").await?.ok()?;
        let link = changes["@odata.deltaLink"].as_str().context("no delta link")?;
        let delta_token = link.split_once("$deltatoken=").context("no token")?.1.to_owned();
        let platform = Platform::of(data.path());
        let mut world = Self {
            erp,
            platform,
            system,
            admin,
            actors: Vec::new(),
            actions,
            view,
            number: AtomicU64::new(0),
            visible: String::new(),
            delta_token,
            model,
            data,
        };
        world.make_actors().await?;
        Ok(world)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        let log = self.system.log();
        self.system.stop().await?;
        self.erp.stop().await?;
        self.model.close()?;
        self.data.close()?;
        ensure!(!log.contains("panicked"), "{log}");
        Ok(())
    }

    pub(crate) fn actor(&self, who: Who) -> Result<&Actor> {
        self.actors.iter().find(|it| it.who == who).with_context(|| format!("no {who:?}"))
    }

    pub(crate) async fn channel(&self) -> Result<Channel> {
        Ok(Endpoint::from_shared(self.system.grpc.clone())?.connect().await?)
    }

    /// Makes what an attempt is made on.
    pub(crate) async fn prepare(&self, actor: &Actor, point: EntryPoint) -> Result<Prepared> {
        let name = format!("M-{}", self.number.fetch_add(1, Ordering::Relaxed));
        let customer = self.admin.create(CUSTOMER_SET, customer(&name, &name)).await?;
        let is_background = matches!(
            point,
            EntryPoint::BackgroundOperation | EntryPoint::CancelBackgroundOperation
        );
        let background = if is_background { self.background(&name).await? } else { String::new() };
        let (visible, account) = match actor.who {
            Who::Portal => (&self.visible, VISITORS_ACCOUNT),
            _ => (&customer, name.as_str()),
        };
        Ok(Prepared {
            visible: visible.clone(),
            visible_account: account.to_owned(),
            name: format!("{name}-new"),
            delta_token: self.delta_token.clone(),
            customer,
            background,
        })
    }

    /// What both databases hold.
    pub(crate) async fn dump(&self) -> Result<[Snapshot; 2]> {
        let erp = Snapshot::take(&mut self.erp.connect().await?, &["erp"]).await?;
        let mut platform = self.platform.connect().await?;
        Ok([erp, Snapshot::take(&mut platform, &["organization"]).await?])
    }

    /// An operation of the administrator's own. It has ended, so that what is compared from here on is the actor's doing.
    async fn background(&self, name: &str) -> Result<String> {
        let path =
            format!("{CUSTOMER_SET}(mserp_dataareaid='USMF',mserp_customeraccount='{name}')");
        let body = json!({ "mserp_notes": "later" });
        let answer = self.admin.patch(&path, &[("Prefer", "respond-async")], body).await?;
        let location = answer.expect(202)?.header("location").to_owned();
        reached(&self.admin, &location, SUCCEEDED).await?;
        Ok(location)
    }

    async fn make_actors(&mut self) -> Result<()> {
        let contact = self.make_visitor().await?;
        for who in Who::ALL {
            let web = self.system.web(who.user()).await.with_context(|| format!("{who:?}"))?;
            let mut headers = Vec::new();
            if who == Who::Portal {
                headers.push(("CallerContactId".to_owned(), contact.clone()));
            }
            if who == Who::Impersonating {
                let clerk = self.system.token(Who::Clerk.user()).await?;
                let id =
                    tests::issuer::claims(&clerk)?["oid"].as_str().context("no oid")?.to_owned();
                headers.push(("CallerObjectId".to_owned(), id));
            }
            self.actors.push(Actor { who, web, headers });
        }
        self.disable(Who::Disabled.user()).await
    }

    async fn disable(&self, name: &str) -> Result<()> {
        let admin =
            Actor { who: Who::SystemAdministrator, web: self.admin.clone(), headers: Vec::new() };
        let request = users::UpdateUserRequest {
            user: Some(users::User {
                name: format!("users/{name}"),
                disabled: true,
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["disabled".to_owned()] }),
            allow_missing: false,
        };
        let mut client = DirectoryServiceClient::new(self.channel().await?);
        client.update_user(as_actor(&admin, request)?).await?;
        Ok(())
    }

    /// A contact with an ERP user and a customer of its own. Returns the contact.
    async fn make_visitor(&mut self) -> Result<String> {
        self.visible =
            self.admin.create(CUSTOMER_SET, customer(VISITORS_ACCOUNT, "Visitor")).await?;
        let own = format!(
            "INSERT INTO erp.custportaluser (userid, dataareaid, accountnum)
             VALUES ('{VISITOR}', 'USMF', '{VISITORS_ACCOUNT}')"
        );
        self.erp.execute(&own).await?;
        let contact = json!({ "firstname": "Vera", "lastname": "Visitor" });
        let contact = self.admin.create("contacts", contact).await?;
        let mapping = json!({
            "msdyn_name": "Visitor",
            "msdyn_contactid@odata.bind": format!("/contacts({contact})"),
            "msdyn_financeandoperationsuser": VISITOR,
        });
        self.admin.create("msdyn_externalportalusermappings", mapping).await?;
        Ok(contact)
    }
}

fn extend(file: &Path, text: &str) -> Result<()> {
    let before = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(std::fs::write(file, format!("{before}\n{text}"))?)
}

/// A folder with those within it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
