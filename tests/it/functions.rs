//! Functions that clients call first, and the discovery service.

use anyhow::{Context as _, Result, ensure};
use tests::assert_error;

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    api_28_first_contact_functions_answer,
    api_26_parameters_come_inline_and_by_alias,
    it_comes_up_linked,
    api_40_the_discovery_service_leads_here,
    api_18_numbers_come_as_strings_where_asked,
];

async fn api_28_first_contact_functions_answer(world: &World) -> Result<()> {
    let me = world.admin.json("WhoAmI").await?;
    let access = "Microsoft.Dynamics.CRM.EndpointAccessType'Default'";
    let path = format!("RetrieveCurrentOrganization(AccessType={access})");
    let organization = world.admin.json(&path).await?;
    ensure!(organization["Detail"]["OrganizationId"] == me["OrganizationId"], "{organization}");
    let context = organization["@odata.context"].as_str().unwrap_or_default();
    let expected = "#Microsoft.Dynamics.CRM.RetrieveCurrentOrganizationResponse";
    ensure!(context.ends_with(expected), "{context}");
    let version = world.admin.json("RetrieveVersion()").await?;
    ensure!(organization["Detail"]["OrganizationVersion"] == version["Version"], "{version}");
    Ok(())
}

/// `environments` has the function on its own, and what there is without a link.
async fn it_comes_up_linked(world: &World) -> Result<()> {
    let log = world.system.log();
    ensure!(log.contains("Linked   dev <-> platformEnvironments/"), "{log}");
    for web in [&world.admin, &world.clerk] {
        let told = web.json("RetrieveFinanceAndOperationsIntegrationDetails()").await?;
        ensure!(told["Url"] == "http://dev.operations.localhost", "{told}");
        for id in ["TenantId", "Id"] {
            let id = told[id].as_str().unwrap_or_default();
            ensure!(uuid::Uuid::parse_str(id).is_ok(), "{told}");
        }
    }
    Ok(())
}

async fn api_26_parameters_come_inline_and_by_alias(world: &World) -> Result<()> {
    let count = world.admin.get("accounts/$count").await?.body;
    for path in [
        "RetrieveTotalRecordCount(EntityNames=['account'])",
        "RetrieveTotalRecordCount(EntityNames=@p)?@p=[\"account\"]",
    ] {
        let answer = world.admin.json(path).await?;
        let collection = &answer["EntityRecordCountCollection"];
        ensure!(collection["Keys"][0] == "account", "{answer}");
        ensure!(collection["Values"][0].as_u64() == count.parse().ok(), "{answer} {count}");
    }
    for (path, status, code, text) in [
        (
            "RetrieveTotalRecordCount(EntityNames=['mserp_custcustomerv3entity'])",
            400,
            "0x80060888",
            "virtual",
        ),
        ("RetrieveTotalRecordCount(EntityNames=['nope'])", 400, "0x80041102", "nope"),
        ("RetrieveTotalRecordCount(EntityNames=@p)", 400, "0x80040203", "missing"),
        ("Microsoft.Dynamics.CRM.WhoAmI()", 404, "0x8006088a", "WhoAmI"),
    ] {
        assert_error(&world.admin.get(path).await?, status, code, text)?;
    }
    let written = world.admin.send(reqwest::Method::POST, "WhoAmI", &[], None).await?;
    assert_error(&written, 404, "", "No HTTP resource was found")
}

async fn api_40_the_discovery_service_leads_here(world: &World) -> Result<()> {
    let base = world.admin.base();
    let origin = base.split("/api/").next().context("no origin")?;
    let all = world.admin.json(&format!("{origin}/api/discovery/v2.0/Instances")).await?;
    let instance = &all["value"][0];
    ensure!(instance["ApiUrl"] == origin, "{all}");
    let me = world.admin.json("WhoAmI").await?;
    ensure!(instance["Id"] == me["OrganizationId"], "{all}");
    let name = instance["UniqueName"].as_str().context("no name")?;
    let one = format!("{origin}/api/discovery/v2.0/Instances(UniqueName='{name}')?$select=Url");
    ensure!(world.admin.json(&one).await?["Url"] == origin);
    Ok(())
}

async fn api_18_numbers_come_as_strings_where_asked(world: &World) -> Result<()> {
    let path = "mserp_custcustomerv3entities?$select=mserp_creditlimit&$filter=mserp_creditlimit gt 1&$top=5";
    let accept = [("Accept", "application/json;IEEE754Compatible=true")];
    let answer = world.admin.send(reqwest::Method::GET, path, &accept, None).await?;
    let kind = answer.header("content-type").to_owned();
    ensure!(kind.contains("IEEE754Compatible=true"), "{kind}");
    let texts = answer.ok()?;
    let numbers = world.admin.json(path).await?;
    for (text, number) in [0, 1, 2].map(|it| (&texts["value"][it], &numbers["value"][it])) {
        let (text, number) = (&text["mserp_creditlimit"], &number["mserp_creditlimit"]);
        ensure!(
            number.is_number() && text.as_str() == Some(&number.to_string()),
            "{text} {number}"
        );
    }
    Ok(())
}
