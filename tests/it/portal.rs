//! External users see only their own orders: a portal calls as an application, says for which contact,
//! and the ERP user that is mapped to the contact decides what is seen.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::runner::Runner;
use tests::{Answer, Erp, Start, System, Web, run_tombolo};

use crate::write_world::{CUSTOMER_SET, GROUP_SET, LINE_SET, ORDER_SET, customer, row};

const NAME: &str = "portal::external_users_see_only_their_own_orders";
const MAPPINGS: &str = "msdyn_externalportalusermappings";
const PORTAL: &str = "customer-portal";
/// A user of the demo model who may stand behind contacts, and its ERP user.
const BEHIND: &str = "usmf-portal";
const ERP_USER: &str = "portal";
/// Two accounts, of which one is the contact's.
const OWN: &str = "PORTAL-OWN";
const OTHER: &str = "PORTAL-OTHER";
/// Who lost a right loses access by then.
const SOON: Duration = Duration::from_secs(1);
/// Who gains one may have to wait a little longer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn run(runner: &mut Runner) {
    if runner.wants(NAME) {
        runner.run(NAME, Box::pin(external_users_see_only_their_own_orders())).await;
    }
}

struct Portal {
    erp: Erp,
    system: System,
    admin: Web,
    /// The portal's own token.
    portal: Web,
    /// The contact with a mapping.
    contact: String,
    data: TempDir,
}

async fn external_users_see_only_their_own_orders() -> Result<()> {
    let portal = Portal::start().await?;
    portal.anonymous_and_unknown_visitors_are_refused().await.context("before any mapping")?;
    portal.wrong_mappings_are_refused().await.context("wrong mappings")?;
    portal.only_administrators_map().await.context("who maps")?;
    let mapping = portal.map(&portal.contact, ERP_USER).await?.expect(204)?.id()?;
    portal.answered_soon().await.context("mapped")?;
    portal.only_own_orders_are_seen().await.context("own orders")?;
    portal.nothing_is_written().await.context("writes")?;
    portal.nobody_else_acts_as_a_contact().await.context("who acts as a contact")?;
    portal.a_role_that_is_taken_away_counts_at_once().await.context("the role")?;
    portal.a_mapping_that_is_deleted_counts_at_once(&mapping).await.context("the mapping")?;
    portal.stop().await
}

impl Portal {
    async fn start() -> Result<Self> {
        let erp = Erp::demo(40).await?;
        let data = tests::temporary_directory()?;
        let start = Start::dev(data.path()).over(&erp.url().await?, &erp.model());
        let system = System::start(&start.arg("--sample-data")).await?;
        let admin = system.web("admin").await?;
        let portal = system.web(PORTAL).await?;
        for account in [OWN, OTHER] {
            admin.create(CUSTOMER_SET, customer(account, account)).await?;
            let order = json!({ "mserp_dataareaid": "USMF", "mserp_orderingcustomeraccountnumber": account });
            for _ in 0..2 {
                admin.create(ORDER_SET, order.clone()).await?;
            }
        }
        let own = format!(
            "DELETE FROM erp.custportaluser WHERE userid = '{ERP_USER}';
             INSERT INTO erp.custportaluser (userid, dataareaid, accountnum)
             VALUES ('{ERP_USER}', 'USMF', '{OWN}')"
        );
        erp.execute(&own).await?;
        let contact = json!({ "firstname": "Petra", "lastname": "Portal" });
        let contact = admin.create("contacts", contact).await?;
        Ok(Self { erp, system, admin, portal, contact, data })
    }

    async fn stop(self) -> Result<()> {
        self.system.stop().await?;
        self.erp.stop().await?;
        Ok(self.data.close()?)
    }

    async fn as_contact(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
        self.as_visitor(&self.portal, &self.contact, method, path, body).await
    }

    async fn as_visitor(
        &self,
        web: &Web,
        contact: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer> {
        web.send(method, path, &[("CallerContactId", contact)], body).await
    }

    async fn map(&self, contact: &str, erp_user: &str) -> Result<Answer> {
        let body = mapping(contact, erp_user);
        self.admin.post(MAPPINGS, body).await
    }

    async fn anonymous_and_unknown_visitors_are_refused(&self) -> Result<()> {
        let nobody = "00000000-0000-0000-0000-00000000abcd";
        for visitor in ["anonymous", self.contact.as_str(), nobody] {
            let answer =
                self.as_visitor(&self.portal, visitor, Method::GET, ORDER_SET, None).await?;
            ensure!(answer.status == 403, "{visitor}: {answer:?}");
        }
        let answer = self.as_visitor(&self.portal, "no-guid", Method::GET, ORDER_SET, None).await?;
        ensure!(answer.status == 400, "{answer:?}");
        // The application itself sees no rows.
        for set in [ORDER_SET, CUSTOMER_SET, "accounts", "contacts"] {
            let answer = self.portal.get(&format!("{set}?$top=1")).await?;
            ensure!(answer.status == 403, "{set}: {answer:?}");
        }
        Ok(())
    }

    /// Checked when they are written: the user is there, may serve portals, and administers nothing.
    async fn wrong_mappings_are_refused(&self) -> Result<()> {
        for erp_user in ["nobody", "clerk", "admin", "security-admin", ""] {
            let answer = self.map(&self.contact, erp_user).await?;
            ensure!(answer.status.is_client_error(), "{erp_user:?}: {answer:?}");
        }
        let both = ["set", BEHIND, "--role", "CDSVirtualEntityAuthorizedPortalUser"];
        for administrator in ["System administrator", "Security administrator"] {
            self.user(&[&both[..], &["--role", administrator]].concat()).await?;
            let answer = self.map(&self.contact, ERP_USER).await?;
            ensure!(answer.status.is_client_error(), "{administrator}: {answer:?}");
        }
        self.give_the_role().await?;
        let path = format!("{MAPPINGS}?$filter=_msdyn_contactid_value eq {}", self.contact);
        let left = self.admin.json(&path).await?;
        ensure!(left["value"].as_array().is_some_and(Vec::is_empty), "{left}");
        Ok(())
    }

    async fn only_administrators_map(&self) -> Result<()> {
        for user in ["usmf-clerk", "demf-reader", BEHIND, PORTAL] {
            let web = self.system.web(user).await?;
            let answer = web.post(MAPPINGS, mapping(&self.contact, ERP_USER)).await?;
            ensure!(answer.status == 403, "{user}: {answer:?}");
        }
        let web = self.system.web("security-admin").await?;
        let answer = web.post(MAPPINGS, mapping(&self.contact, ERP_USER)).await?.expect(204)?;
        web.delete(&row(MAPPINGS, &answer.id()?)).await?.expect(204)?;
        Ok(())
    }

    async fn only_own_orders_are_seen(&self) -> Result<()> {
        let get = async |path: &str| self.as_contact(Method::GET, path, None).await;
        let orders = get(&format!("{ORDER_SET}?$count=true")).await?.ok()?;
        let rows = orders["value"].as_array().context("no orders")?;
        ensure!(rows.len() == 2 && orders["@odata.count"] == 2, "{orders}");
        let own = |it: &Value| it["mserp_orderingcustomeraccountnumber"] == OWN;
        ensure!(rows.iter().all(own), "{orders}");
        let count = get(&format!("{ORDER_SET}/$count")).await?;
        ensure!(count.body.trim_start_matches('\u{feff}') == "2", "{count:?}");
        let total = get(&format!("{ORDER_SET}?$apply=aggregate($count as n)")).await?.ok()?;
        ensure!(total["value"][0]["n"] == 2, "{total}");
        let customers =
            get(&format!("{CUSTOMER_SET}?$select=mserp_customeraccount")).await?.ok()?;
        let accounts = customers["value"].as_array().context("no customers")?;
        ensure!(accounts.len() == 1 && accounts[0]["mserp_customeraccount"] == OWN, "{customers}");
        let lines = get(&format!("{LINE_SET}?$top=5")).await?.ok()?;
        ensure!(lines["value"].as_array().is_some_and(Vec::is_empty), "{lines}");
        // Another's order is not there, by its GUID either; hidden fields are refused.
        let filter = tests::encode(&format!("mserp_orderingcustomeraccountnumber eq '{OTHER}'"));
        let list = format!("{ORDER_SET}?$filter={filter}");
        let other = self.admin.json(&list).await?;
        let id = other["value"][0]["mserp_salesorderheaderv2entityid"].as_str().context("none")?;
        ensure!(get(&row(ORDER_SET, id)).await?.status == 404);
        ensure!(get(&list).await?.ok()?["value"].as_array().is_some_and(Vec::is_empty));
        for option in [
            "$select=mserp_creditlimit",
            "$orderby=mserp_creditlimit",
            "$filter=mserp_creditlimit gt 0",
        ] {
            let answer = get(&format!("{CUSTOMER_SET}?{option}")).await?;
            ensure!(answer.status == 403, "{option}: {answer:?}");
        }
        for set in [GROUP_SET, "mserp_vendvendorv2entities", "accounts", "contacts", "systemusers"]
        {
            let answer = get(&format!("{set}?$top=1")).await?;
            ensure!(answer.status == 403, "{set}: {answer:?}");
        }
        Ok(())
    }

    async fn nothing_is_written(&self) -> Result<()> {
        let order =
            json!({ "mserp_dataareaid": "USMF", "mserp_orderingcustomeraccountnumber": OWN });
        let answer = self.as_contact(Method::POST, ORDER_SET, Some(order)).await?;
        ensure!(answer.status == 403, "{answer:?}");
        let own = format!("{CUSTOMER_SET}(mserp_dataareaid='USMF',mserp_customeraccount='{OWN}')");
        let note = json!({ "mserp_notes": "mine" });
        let answer = self.as_contact(Method::PATCH, &own, Some(note)).await?;
        ensure!(answer.status == 403, "{answer:?}");
        let answer = self.as_contact(Method::DELETE, &own, None).await?;
        ensure!(answer.status == 403, "{answer:?}");
        let mapping = mapping(&self.contact, ERP_USER);
        let answer = self.as_contact(Method::POST, MAPPINGS, Some(mapping)).await?;
        ensure!(answer.status == 403, "{answer:?}");
        Ok(())
    }

    /// Neither a person, whatever its rights, nor another application.
    async fn nobody_else_acts_as_a_contact(&self) -> Result<()> {
        for user in ["admin", "security-admin", "usmf-clerk", BEHIND] {
            let web = self.system.web(user).await?;
            let answer = self.as_visitor(&web, &self.contact, Method::GET, ORDER_SET, None).await?;
            ensure!(answer.status == 403, "{user}: {answer:?}");
        }
        Ok(())
    }

    async fn a_role_that_is_taken_away_counts_at_once(&self) -> Result<()> {
        ensure!(self.as_contact(Method::GET, ORDER_SET, None).await?.status == 200);
        self.user(&["set", BEHIND, "--role", "Portal customer"]).await?;
        self.refused_soon().await?;
        self.give_the_role().await?;
        self.answered_soon().await?;
        // Who becomes an administrator does not lend that to visitors.
        let roles =
            ["CDSVirtualEntityAuthorizedPortalUser", "Portal customer", "System administrator"];
        let roles = roles.iter().flat_map(|it| ["--role", it]);
        self.user(&["set", BEHIND].into_iter().chain(roles).collect::<Vec<_>>()).await?;
        self.refused_soon().await?;
        self.give_the_role().await?;
        self.answered_soon().await?;
        self.user(&["set", BEHIND, "--disabled", "true"]).await?;
        self.refused_soon().await?;
        self.user(&["set", BEHIND, "--disabled", "false"]).await?;
        self.answered_soon().await
    }

    async fn a_mapping_that_is_deleted_counts_at_once(&self, mapping: &str) -> Result<()> {
        self.admin.delete(&row(MAPPINGS, mapping)).await?.expect(204)?;
        self.refused_soon().await
    }

    async fn refused_soon(&self) -> Result<()> {
        self.within(SOON, |status| status == 403 || status == 401).await
    }

    async fn answered_soon(&self) -> Result<()> {
        self.within(PATIENCE, |status| status == 200).await
    }

    async fn within(&self, time: Duration, satisfies: impl Fn(u16) -> bool) -> Result<()> {
        let ask = async || self.as_contact(Method::GET, ORDER_SET, None).await;
        tests::eventually(time, ask, |it| satisfies(it.status.as_u16())).await.map(drop)
    }

    async fn give_the_role(&self) -> Result<()> {
        let roles = ["--role", "CDSVirtualEntityAuthorizedPortalUser", "--role", "Portal customer"];
        self.user(&[&["set", BEHIND][..], &roles].concat()).await
    }

    /// `tombolo user …` as the administrator.
    async fn user(&self, arguments: &[&str]) -> Result<()> {
        user_command(&self.system, self.data.path(), arguments).await
    }
}

/// `tombolo user …`, which must succeed.
pub(crate) async fn user_command(system: &System, data: &Path, arguments: &[&str]) -> Result<()> {
    let data = data.display().to_string();
    let server = ["--server", &system.grpc, "--data", &data];
    let output = run_tombolo(&[&["user"][..], arguments, &server].concat()).await?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(())
}

fn mapping(contact: &str, erp_user: &str) -> Value {
    json!({
        "msdyn_name": "Petra Portal",
        "msdyn_contactid@odata.bind": format!("/contacts({contact})"),
        "msdyn_financeandoperationsuser": erp_user,
    })
}
