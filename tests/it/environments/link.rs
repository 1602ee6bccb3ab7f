//! The link of the environment that is there from the beginning, as the Web API tells it: before and after.

use anyhow::{Context as _, Result, ensure};
use proto::lifecycle::v1 as pb;
use proto::lifecycle::v1::OperationState;
use rpc::ErrorReason;
use tests::tenant::{assert_refused, erp_name};
use tests::{Web, assert_error};
use tonic::Code;

use super::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    without_a_link_the_web_api_says_so,
    the_command_line_links_it,
    both_halves_are_told_on_every_version,
    a_new_environment_is_told_by_its_own_web_api,
];

const DETAILS: &str = "RetrieveFinanceAndOperationsIntegrationDetails";
const UNLINKED: &str = "Dataverse instance isn't integrated with finance and operations.";
const VERSIONS: [&str; 3] = ["v9.0", "v9.1", "v9.2"];

/// The function on a version, with and without parentheses.
fn urls(web: &Web) -> Vec<(String, &'static str)> {
    let root = web.base();
    let url = |version: &'static str, end: &str| {
        (root.replace("/v9.2/", &format!("/{version}/{DETAILS}{end}")), version)
    };
    let of = |version| [url(version, ""), url(version, "()")];
    VERSIONS.into_iter().flat_map(of).collect()
}

async fn without_a_link_the_web_api_says_so(world: &World) -> Result<()> {
    for user in ["admin", "usmf-clerk"] {
        let web = world.system.web(user).await?;
        for (url, _) in urls(&web) {
            assert_error(&web.get(&url).await?, 400, "0x80048d0b", UNLINKED)?;
        }
    }
    let answer = world.admin.link(&erp_name("dev")).await;
    assert_refused(answer, Code::NotFound, ErrorReason::NotLinked, "not linked")?;
    let links = world.done(&["env", "links", "--output", "json"]).await?;
    ensure!(serde_json::from_str::<serde_json::Value>(&links)? == serde_json::json!([]), "{links}");
    Ok(())
}

async fn the_command_line_links_it(world: &World) -> Result<()> {
    let name = world.admin.display_name.clone();
    let refused = world.tombolo(&["env", "setup", "dev", "--agree", "--confirm", "Nobody"]).await?;
    ensure!(refused.status.code() == Some(4), "another name was typed: {refused:?}");
    let check = world.tombolo(&["env", "check", "dev", "--platform", "dev"]).await?;
    ensure!(check.status.success(), "{check:?}");
    let setup = ["env", "setup", "dev", "--platform", "dev", "--agree", "--confirm", &name];
    let told = world.tombolo(&setup).await?;
    ensure!(told.status.success(), "{told:?}");
    let said = format!("{}{}", told.stdout, told.stderr);
    ensure!(said.contains("Setup completed successfully"), "{told:?}");
    let operation = world.admin.newest_operation(&erp_name("dev")).await?;
    ensure!(operation.state() == OperationState::Succeeded, "{operation:?}");
    ensure!(operation.status_text == "Setup completed successfully", "{operation:?}");
    // Once and for all.
    let again = world.tombolo(&setup).await?;
    ensure!(again.status.code() == Some(4), "{again:?}");
    let links = world.done(&["env", "links", "--output", "json"]).await?;
    let links: serde_json::Value = serde_json::from_str(&links)?;
    ensure!(links.as_array().is_some_and(|it| it.len() == 1), "{links}");
    Ok(())
}

async fn both_halves_are_told_on_every_version(world: &World) -> Result<()> {
    let erp = world.admin.erp("dev").await?;
    for user in ["admin", "usmf-clerk"] {
        let web = world.system.web(user).await?;
        for (url, version) in urls(&web) {
            let answer = web.get(&url).await?.ok()?;
            let context =
                format!("/api/data/{version}/$metadata#Microsoft.Dynamics.CRM.{DETAILS}Response");
            let told = answer["@odata.context"].as_str().unwrap_or_default();
            ensure!(told.ends_with(&context), "{told}");
            ensure!(answer["Url"] == erp.url.as_str(), "{answer}");
            ensure!(answer["TenantId"] == erp.tenant_id.as_str(), "{answer}");
            ensure!(answer["Id"] == erp.environment_id.as_str(), "{answer}");
        }
    }
    // Over gRPC, too.
    let request = pb::RetrieveFinanceAndOperationsIntegrationDetailsRequest {};
    let mut setups = world.admin.setups();
    let told = setups.retrieve_finance_and_operations_integration_details(request).await?;
    let told = told.into_inner();
    ensure!(told.url == erp.url && told.tenant_id == erp.tenant_id, "{told:?}");
    ensure!(told.id == erp.environment_id, "{told:?}");
    let link = world.admin.link(&erp_name("dev")).await?;
    let platform = world.admin.platform(&link.platform_environment).await?;
    ensure!(platform.link == link.name && platform.tenant_id == erp.tenant_id, "{platform:?}");
    ensure!(platform.finance_and_operations_url == erp.url, "{platform:?}");
    Ok(())
}

/// By its host, which leads to this machine.
async fn a_new_environment_is_told_by_its_own_web_api(world: &World) -> Result<()> {
    let pair = &world.pairs().await?[0];
    let platform = world.admin.platform(&pair.platform).await?;
    let erp = world.admin.erp(&pair.erp).await?;
    let database = platform.database.context("no database")?;
    let host = format!("{}.localhost", database.host_name);
    let web = world.system.web("admin").await?;
    let headers = [("Host", host.as_str())];
    let get = async |path: &str| web.send(reqwest::Method::GET, path, &headers, None).await;
    let answer = get(DETAILS).await?.ok()?;
    ensure!(answer["Url"] == erp.url.as_str(), "{answer}");
    ensure!(answer["Id"] == erp.environment_id.as_str(), "{answer}");
    // Its rows are its own: those of its ERP, and an organization of its own.
    let customers = get("mserp_custcustomerv3entities?$top=1&$count=true").await?.ok()?;
    ensure!(customers["@odata.count"].as_i64().is_some_and(|it| it > 0), "{customers}");
    let who = get("WhoAmI").await?.ok()?;
    ensure!(who["OrganizationId"] == database.organization_id.as_str(), "{who}");
    let main = web.json("WhoAmI").await?;
    ensure!(main["OrganizationId"] != who["OrganizationId"], "{main}");
    // What a setup installs is there: the solutions by which anybody sees it.
    let solutions = get("solutions?$select=uniquename").await?.ok()?;
    let names: Vec<_> = solutions["value"]
        .as_array()
        .context("no rows")?
        .iter()
        .filter_map(|it| it["uniquename"].as_str())
        .collect();
    for package in [
        "MicrosoftOperationsVEAnchor",
        "DualWriteCoreAnchor",
        "MsDynCE_CRMHub",
        "MsDyn_FnOIntegrationMDLApp_Anchor",
    ] {
        ensure!(names.contains(&package), "{package} is not among {names:?}");
    }
    Ok(())
}
