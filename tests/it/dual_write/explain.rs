//! Why a row is not on the other side.

use anyhow::{Context as _, Result, ensure};
use proto::dual_write::v1 as pb;
use proto::dual_write::v1::link_service_client::LinkServiceClient;
use proto::dual_write::v1::{Finding, FindingKind, ResumeMode, RetrySyncErrorsRequest};
use proto::query::v1 as query;
use serde_json::json;
use tests::dual_write::maps::timed;
use tests::tenant::access;

use super::world::{Case, MAP, SOON, World, until};

pub(super) const CASES: &[Case] = tests::cases![World:
    nothing_holds_a_row_that_is_on_both_sides,
    a_person_is_outside_the_filter,
    a_company_may_not_be_linked,
    a_row_may_wait_in_the_queue,
    a_row_may_have_failed,
    the_command_says_the_same,
];

const TERMS: &str = "maps/terms-of-payment-msdyn-paymentterms";
const ENTITY: &str = "CustCustomerV3Entity";

/// What is said of a customer by the map of accounts.
async fn findings(world: &World, company: &str, number: &str) -> Result<Vec<Finding>> {
    let field = |name: &str, value: &str| query::FieldValue {
        field: name.to_owned(),
        value: Some(query::Value { kind: Some(query::value::Kind::StringValue(value.to_owned())) }),
    };
    let values = vec![field("dataAreaId", company), field("CustomerAccount", number)];
    let key = query::record_key::Key::Alternate(query::AlternateKeyValues { values });
    let request = pb::ExplainRecordRequest {
        side: pb::Side::FinanceAndOperations.into(),
        entity_name: ENTITY.to_owned(),
        key: Some(query::RecordKey { key: Some(key) }),
    };
    let found = world.maps.errors().explain_record(timed(request)).await?.into_inner().findings;
    // The entity has another map, of persons, which does not run.
    let of_persons =
        |it: &Finding| it.subject.contains("contacts") || it.message.contains("contacts");
    Ok(found.into_iter().filter(|it| !of_persons(it)).collect())
}

fn blocking(findings: &[Finding]) -> Vec<FindingKind> {
    findings.iter().filter(|it| it.blocking).map(Finding::kind).collect()
}

async fn nothing_holds_a_row_that_is_on_both_sides(world: &World) -> Result<()> {
    world.customer("DW-FINE").await?;
    let found = findings(world, "USMF", "DW-FINE").await?;
    ensure!(blocking(&found).is_empty(), "{found:#?}");
    ensure!(found.iter().any(|it| it.kind() == FindingKind::Counterpart), "{found:#?}");
    Ok(())
}

async fn a_person_is_outside_the_filter(world: &World) -> Result<()> {
    let mut connection = world.erp.connect().await?;
    let sql = "SELECT upper(c.dataareaid), c.accountnum FROM erp.custtable c
        JOIN erp.dirpartytable p ON p.recid = c.party
        WHERE p.partytype <> (SELECT p2.partytype FROM erp.dirpartytable p2
            JOIN erp.custtable c2 ON c2.party = p2.recid WHERE c2.accountnum = 'DW-FINE') LIMIT 1";
    world.account_id("DW-FINE").await?.context("run the case before")?;
    let (company, number): (String, String) =
        sqlx::query_as(sql).fetch_one(&mut connection).await?;
    let found = findings(world, &company, &number).await?;
    ensure!(blocking(&found).contains(&FindingKind::Filter), "{found:#?}");
    Ok(())
}

async fn a_company_may_not_be_linked(world: &World) -> Result<()> {
    let mut links = LinkServiceClient::new(access(&world.system, "admin").await?);
    let link = links.get_link(timed(pb::GetLinkRequest {})).await?.into_inner().link;
    let mut link = link.context("no link")?;
    link.etag.clear();
    let all = link.companies.clone();
    let mut connection = world.erp.connect().await?;
    let sql = "SELECT upper(c.dataareaid), c.accountnum FROM erp.custtable c
        WHERE upper(c.dataareaid) <> 'USMF' LIMIT 1";
    let (company, number): (String, String) =
        sqlx::query_as(sql).fetch_one(&mut connection).await?;
    let mut set = async |companies: Vec<String>| {
        let link = pb::Link { companies, ..link.clone() };
        let paths = vec!["companies".to_owned()];
        let request = pb::UpdateLinkRequest {
            link: Some(link),
            update_mask: Some(prost_types::FieldMask { paths }),
            ..Default::default()
        };
        links.update_link(timed(request)).await.map(drop)
    };
    set(all.iter().filter(|it| !it.eq_ignore_ascii_case(&company)).cloned().collect()).await?;
    let found = findings(world, &company, &number).await;
    set(all).await?;
    world.maps.reaches(MAP, pb::MapState::Running, SOON * 3).await?;
    world.saves_are_shared().await?;
    let found = found?;
    ensure!(blocking(&found).contains(&FindingKind::Company), "{found:#?}");
    Ok(())
}

async fn a_row_may_wait_in_the_queue(world: &World) -> Result<()> {
    world.customer("DW-WAITS").await?;
    world.pause().await?;
    world.save_customer("DW-WAITS", json!({ "mserp_notes": "waits" })).await?;
    let found = findings(world, "USMF", "DW-WAITS").await;
    world.resume(ResumeMode::CatchUp).await?;
    let found = found?;
    let kinds = blocking(&found);
    ensure!(kinds.contains(&FindingKind::Map) && kinds.contains(&FindingKind::Queue), "{found:#?}");
    world.both_have("DW-WAITS", ("description", "c.memo"), "waits").await
}

/// Terms of payment that are not on the platform yet.
async fn a_row_may_have_failed(world: &World) -> Result<()> {
    let number = "DW-FAILED";
    world.customer(number).await?;
    world.maps.pause(TERMS).await?;
    let sql = "INSERT INTO erp.paymterm
        SELECT (jsonb_populate_record(p, jsonb_build_object('paymtermid', 'DW1', 'recid',
            (SELECT max(recid) + 1000 FROM erp.paymterm)))).*
        FROM erp.paymterm p WHERE p.dataareaid = 'USMF' LIMIT 1";
    world.erp.execute(sql).await?;
    world.screen(number, "paymtermid = 'DW1'").await?;
    until(SOON, async || {
        let failed = world.failed(number).await?;
        Ok((!failed.is_empty(), format!("{:#?}", world.maps.get(MAP).await?)))
    })
    .await?;
    let failed = world.failed(number).await?;
    let error = failed[0].error.clone().context("no error")?;
    ensure!(error.kind() == pb::SyncErrorKind::Lookup, "{error:#?}");
    ensure!(!error.help.is_empty() && error.retryable, "{error:#?}");
    let found = findings(world, "USMF", number).await?;
    ensure!(blocking(&found).contains(&FindingKind::Error), "{found:#?}");
    let listed = world.cli(&["errors", "customers-v3-accounts"]).await?;
    ensure!(listed.status.success() && listed.stdout.contains(number), "{listed:?}");

    // What comes after it waits behind it.
    world.screen(number, "memo = 'behind'").await?;
    world.maps.resume(TERMS, ResumeMode::CatchUp).await?;
    world.maps.reaches(TERMS, pb::MapState::Running, SOON).await?;
    let request = RetrySyncErrorsRequest { parent: MAP.to_owned(), ..Default::default() };
    world.maps.errors().retry_sync_errors(timed(request)).await?;
    world.both_have(number, ("description", "c.memo"), "behind").await?;
    let terms = "(SELECT t.msdyn_name FROM organization.msdyn_paymentterm t
        WHERE t.msdyn_paymenttermid = msdyn_paymentterm)";
    world.both_have(number, (terms, "c.paymtermid"), "DW1").await?;
    let found = findings(world, "USMF", number).await?;
    ensure!(blocking(&found).is_empty(), "{found:#?}");
    Ok(())
}

async fn the_command_says_the_same(world: &World) -> Result<()> {
    let row = world.customer("DW-COMMAND").await?;
    let told = world.cli(&["explain", "platform", "account", &row]).await?;
    ensure!(told.status.code() == Some(0), "{told:?}");
    world.pause().await?;
    let told = world.cli(&["explain", "platform", "account", &row]).await;
    world.resume(ResumeMode::CatchUp).await?;
    let told = told?;
    ensure!(told.status.code() == Some(4) && told.stdout.contains("paused"), "{told:?}");
    let nobody = uuid::Uuid::nil().to_string();
    let told = world.cli(&["explain", "platform", "account", &nobody]).await?;
    ensure!(told.status.code() == Some(5), "{told:?}");
    Ok(())
}
