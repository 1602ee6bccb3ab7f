//! Virtual and native tables in one query: what a client gets is what one SQL query over both stores
//! would give.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use proto::catalog::v1 as catalog;
use proto::catalog::v1::relationship_service_client::RelationshipServiceClient;
use proto::gateway::v1 as pb;
use proto::gateway::v1::gateway_service_client::GatewayServiceClient;
use serde_json::Value;
use sqlx::Row as _;
use tests::tables::CUSTOMERS;
use tests::{Web, encode};
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    ve_056_links_of_every_type_cross_the_line,
    ve_056_an_outer_link_finds_who_has_no_match,
    ve_056_aggregates_and_orders_cross_the_line,
    ve_056_far_columns_have_labels_and_sort_by_them,
    ve_056_links_show_only_what_the_caller_may_see,
    api_14_expands_cross_the_line_both_ways,
    ve_056_declared_relationships_are_followed_both_ways,
    fx_03_hierarchies_are_followed_to_their_ends,
    api_18_lookups_are_shown_by_name_to_who_may_see_it,
    qe_01_explain_shows_every_step,
];

const ACCOUNTS: &str = "accounts";
const CUSTOMER: &str = "mserp_custcustomerv3entity";
/// Customers that are rich enough, and as many that are not.
const RICH: &str = "500000";

/// One account, as far as these cases look at it.
#[derive(Clone, Debug)]
struct Account {
    number: String,
    employees: Option<i64>,
    on_hold: bool,
}

async fn accounts(web: &Web) -> Result<Vec<Account>> {
    let path = "accounts?$select=accountnumber,numberofemployees,creditonhold\
                &$filter=startswith(accountnumber,'US-')";
    let answer = web.json(path).await?;
    let rows = answer["value"].as_array().context("no accounts")?;
    ensure!(rows.len() == 120, "{} accounts", rows.len());
    rows.iter()
        .map(|it| {
            Ok(Account {
                number: it["accountnumber"].as_str().context("no number")?.to_uppercase(),
                employees: it["numberofemployees"].as_i64(),
                on_hold: it["creditonhold"].as_bool().context("no flag")?,
            })
        })
        .collect()
}

/// Account number and credit limit of the customers of USMF.
async fn customers(world: &World) -> Result<BTreeMap<String, f64>> {
    let select = "SELECT accountnum::text, creditmax::float8 FROM erp.custtable \
                  WHERE dataareaid = 'USMF'";
    let rows = sqlx::query(select).fetch_all(&mut world.erp.connect().await?).await?;
    rows.iter().map(|it| Ok((it.try_get::<String, _>(0)?.to_uppercase(), it.try_get(1)?))).collect()
}

async fn fetch(web: &Web, set: &str, document: &str) -> Result<Vec<Value>> {
    let answer = web.json(&format!("{set}?fetchXml={}", encode(document))).await;
    let answer = answer.with_context(|| document.to_owned())?;
    Ok(answer["value"].as_array().context("no value")?.clone())
}

fn numbers(rows: &[Value], key: &str) -> BTreeSet<String> {
    rows.iter().filter_map(|it| it[key].as_str()).map(str::to_uppercase).collect()
}

/// Native accounts by what is known of the ERP's customers.
async fn ve_056_links_of_every_type_cross_the_line(world: &World) -> Result<()> {
    let customers = customers(world).await?;
    let accounts = accounts(&world.admin).await?;
    let rich = |it: &Account| customers.get(&it.number).is_some_and(|it| *it > 500_000.0);
    let known = |it: &Account| customers.contains_key(&it.number);
    let link = |kind: &str, attribute: &str| {
        format!(
            "<link-entity name='{CUSTOMER}' from='mserp_customeraccount' to='accountnumber' \
             link-type='{kind}' alias='c'>{attribute}<filter>\
             <condition attribute='mserp_dataareaid' operator='eq' value='USMF'/>\
             <condition attribute='mserp_creditlimit' operator='gt' value='{RICH}'/></filter>\
             </link-entity>"
        )
    };
    type Holds<'a> = &'a dyn Fn(&Account) -> bool;
    let always: Holds<'_> = &|_| true;
    let not_rich: Holds<'_> = &|it| !rich(it);
    let all: Holds<'_> = &|it| known(it) && !rich(it);
    let cases: [(&str, bool, Holds<'_>); 8] = [
        ("inner", false, &rich),
        ("outer", false, always),
        ("exists", false, &rich),
        ("in", false, &rich),
        ("any", true, &rich),
        ("not any", true, not_rich),
        ("not all", true, &rich),
        ("all", true, all),
    ];
    for (kind, in_filter, holds) in cases {
        let inside = if in_filter { link(kind, "") } else { String::new() };
        let beside = if in_filter { String::new() } else { link(kind, "") };
        let document = format!(
            "<fetch><entity name='account'><attribute name='accountnumber'/><filter>\
             <condition attribute='accountnumber' operator='begins-with' value='us-'/>{inside}\
             </filter>{beside}</entity></fetch>"
        );
        let found = numbers(&fetch(&world.admin, ACCOUNTS, &document).await?, "accountnumber");
        let expected: BTreeSet<_> =
            accounts.iter().filter(|it| holds(it)).map(|it| it.number.clone()).collect();
        ensure!(found == expected, "{kind}: {} rows, not {}", found.len(), expected.len());
        ensure!(!expected.is_empty(), "{kind}: the sample data shows nothing");
    }
    Ok(())
}

/// The ERP's customers that nobody has made an account of.
async fn ve_056_an_outer_link_finds_who_has_no_match(world: &World) -> Result<()> {
    let known: BTreeSet<_> =
        accounts(&world.admin).await?.into_iter().map(|it| it.number).collect();
    let expected: BTreeSet<_> =
        customers(world).await?.into_keys().filter(|it| !known.contains(it)).collect();
    let document = format!(
        "<fetch><entity name='{CUSTOMER}'><attribute name='mserp_customeraccount'/>\
         <filter><condition attribute='mserp_dataareaid' operator='eq' value='USMF'/>\
         <condition entityname='a' attribute='accountid' operator='null'/></filter>\
         <link-entity name='account' from='accountnumber' to='mserp_customeraccount' \
         link-type='outer' alias='a'/></entity></fetch>"
    );
    let rows = fetch(&world.admin, CUSTOMERS.set, &document).await?;
    let found = numbers(&rows, "mserp_customeraccount");
    ensure!(found == expected, "{} customers, not {}", found.len(), expected.len());
    ensure!(!found.is_empty(), "every customer has an account");
    Ok(())
}

async fn ve_056_aggregates_and_orders_cross_the_line(world: &World) -> Result<()> {
    let customers = customers(world).await?;
    let accounts = accounts(&world.admin).await?;
    let root = "<filter><condition attribute='mserp_dataareaid' operator='eq' value='USMF'/></filter>\
         <link-entity name='account' from='accountnumber' to='mserp_customeraccount' alias='a'>";
    let grouped = format!(
        "<fetch aggregate='true'><entity name='{CUSTOMER}'>\
         <attribute name='mserp_customeraccount' aggregate='count' alias='n'/>\
         <attribute name='mserp_creditlimit' aggregate='sum' alias='total'/>{root}\
         <attribute name='creditonhold' groupby='true' alias='hold'/></link-entity></entity></fetch>"
    );
    let rows = fetch(&world.admin, CUSTOMERS.set, &grouped).await?;
    ensure!(rows.len() == 2, "{rows:?}");
    for row in rows {
        let hold = row["hold"].as_bool().context("no group")?;
        let group = accounts.iter().filter(|it| it.on_hold == hold);
        let limits: Vec<f64> = group.filter_map(|it| customers.get(&it.number).copied()).collect();
        let total: f64 = limits.iter().sum();
        let found = row["total"].as_f64().context("no sum")?;
        ensure!(row["n"] == limits.len() && (found - total).abs() < 0.01, "{row}: {total}");
    }
    let ordered = format!(
        "<fetch><entity name='{CUSTOMER}'><attribute name='mserp_customeraccount'/>{root}\
         <attribute name='numberofemployees' alias='e'/>\
         <order attribute='numberofemployees' descending='true'/></link-entity></entity></fetch>"
    );
    let rows = fetch(&world.admin, CUSTOMERS.set, &ordered).await?;
    let found: Vec<Option<i64>> = rows.iter().map(|it| it["e"].as_i64()).collect();
    let matched = accounts.iter().filter(|it| customers.contains_key(&it.number));
    let mut expected: Vec<_> = matched.map(|it| it.employees).collect();
    // Nulls come last where the order is descending.
    expected.sort_by(|a, b| b.cmp(a));
    ensure!(found == expected, "{found:?} is not {expected:?}");
    Ok(())
}

async fn ve_056_far_columns_have_labels_and_sort_by_them(world: &World) -> Result<()> {
    let document = format!(
        "<fetch><entity name='{CUSTOMER}'><attribute name='mserp_customeraccount'/>\
         <filter><condition attribute='mserp_dataareaid' operator='eq' value='USMF'/></filter>\
         <link-entity name='account' from='accountnumber' to='mserp_customeraccount' alias='a'>\
         <attribute name='industrycode'/><order attribute='industrycode'/></link-entity>\
         </entity></fetch>"
    );
    let path = format!("{}?fetchXml={}", CUSTOMERS.set, encode(&document));
    let answer = world.admin.get_prefer(&path, "odata.include-annotations=\"*\"").await?.ok()?;
    let rows = answer["value"].as_array().context("no value")?;
    let label = "a.industrycode@OData.Community.Display.V1.FormattedValue";
    let mut labels = Vec::new();
    for row in rows {
        let text = row.get(label).and_then(Value::as_str);
        ensure!(row["a.industrycode"].is_number() == text.is_some(), "{row}");
        labels.push(text.map(str::to_lowercase));
    }
    ensure!(labels.iter().flatten().count() > 5, "{labels:?}");
    ensure!(labels.is_sorted(), "{labels:?}");
    Ok(())
}

async fn ve_056_links_show_only_what_the_caller_may_see(world: &World) -> Result<()> {
    let document = format!(
        "<fetch><entity name='account'><attribute name='accountnumber'/>\
         <link-entity name='{CUSTOMER}' from='mserp_customeraccount' to='accountnumber' alias='c'>\
         <attribute name='mserp_dataareaid' alias='company'/></link-entity></entity></fetch>"
    );
    for (web, own) in [(&world.clerk, "USMF"), (&world.reader, "DEMF")] {
        let rows = fetch(web, ACCOUNTS, &document).await?;
        let foreign = rows.iter().find(|it| it["company"] != own);
        ensure!(foreign.is_none(), "{own} is shown {foreign:?}");
    }
    let of_clerk = fetch(&world.clerk, ACCOUNTS, &document).await?;
    ensure!(!of_clerk.is_empty(), "the clerk sees nothing");
    Ok(())
}

async fn api_14_expands_cross_the_line_both_ways(world: &World) -> Result<()> {
    let path = format!(
        "{}?$select=mserp_customeraccount,mserp_dataareaid&$top=40\
         &$expand=mserp_dataAreaId_id($select=cdm_companycode)",
        CUSTOMERS.set
    );
    let answer = world.admin.json(&path).await?;
    let rows = answer["value"].as_array().context("no rows")?;
    ensure!(rows.len() == 40, "{} rows", rows.len());
    for row in rows {
        let code = &row["mserp_dataAreaId_id"]["cdm_companycode"];
        ensure!(*code == row["mserp_dataareaid"], "{row}");
    }
    let back = "cdm_companies?$select=cdm_companycode&$filter=cdm_companycode eq 'USMF'\
         &$expand=mserp_cdm_company_CustCustomerV3Entity_dataAreaId\
         ($select=mserp_customeraccount,mserp_dataareaid;$top=3;$orderby=mserp_customeraccount desc)";
    let answer = world.admin.json(back).await?;
    let company = &answer["value"][0];
    let children = company["mserp_cdm_company_CustCustomerV3Entity_dataAreaId"].as_array();
    let children = children.with_context(|| format!("no children: {company}"))?;
    let found: Vec<_> =
        children.iter().filter_map(|it| it["mserp_customeraccount"].as_str()).collect();
    let mut expected: Vec<_> = customers(world).await?.into_keys().collect();
    expected.sort_by(|a, b| b.cmp(a));
    expected.truncate(3);
    ensure!(found == expected, "{found:?} is not {expected:?}");
    ensure!(children.iter().all(|it| it["mserp_dataareaid"] == "USMF"), "{company}");
    Ok(())
}

async fn ve_056_declared_relationships_are_followed_both_ways(world: &World) -> Result<()> {
    let channel = Endpoint::from_shared(world.system.grpc.clone())?.connect().await?;
    let mut client = RelationshipServiceClient::new(channel);
    let pair = catalog::RelationshipPair {
        column: "mserp_customeraccount".to_owned(),
        target: "accountnumber".to_owned(),
    };
    let request = catalog::CreateRelationshipRequest {
        relationship_id: "Native".to_owned(),
        relationship: Some(catalog::Relationship {
            source: CUSTOMER.to_owned(),
            target: "account".to_owned(),
            pairs: vec![pair],
            ..catalog::Relationship::default()
        }),
    };
    let made = client.create_relationship(signed(request, &world.admin)?).await?.into_inner();
    let made = made.relationship.context("no relationship")?;
    let followed = follow(world, &made.schema_name).await;
    let request = catalog::DeleteRelationshipRequest { name: made.name };
    client.delete_relationship(signed(request, &world.admin)?).await?;
    followed
}

async fn follow(world: &World, collection: &str) -> Result<()> {
    let customers = customers(world).await?;
    let accounts = accounts(&world.admin).await?;
    let usmf = "mserp_dataareaid eq 'USMF'";
    let path = format!(
        "{}?$select=mserp_customeraccount,_mserp_fk_native_id_value&$filter={usmf}\
         &$expand=mserp_FK_Native_id($select=accountnumber)",
        CUSTOMERS.set
    );
    let (rows, _) = world.admin.pages(&path, 700).await?;
    ensure!(rows.len() == customers.len(), "{} customers", rows.len());
    let known: BTreeSet<_> = accounts.iter().map(|it| it.number.clone()).collect();
    let mut one = None;
    for row in &rows {
        let number = row["mserp_customeraccount"].as_str().context("no account")?.to_uppercase();
        let account = &row["mserp_FK_Native_id"];
        let same = account["accountnumber"].as_str().map(str::to_uppercase);
        ensure!(same == known.get(&number).cloned(), "{row}");
        ensure!(row["_mserp_fk_native_id_value"] == account["accountid"], "{row}");
        one = one.or_else(|| Some((account["accountid"].as_str()?.to_owned(), number)));
    }
    let (id, number) = one.context("no customer has an account")?;
    let check = async |set: &str, key: &str, filter: &str, expected: BTreeSet<String>| {
        let path = format!("{set}?$select={key}&$filter={filter}");
        let answer = world.admin.json(&path).await.with_context(|| path.clone())?;
        let found = numbers(answer["value"].as_array().context("no value")?, key);
        ensure!(found == expected, "{filter}: {found:?} is not {expected:?}");
        ensure!(!found.is_empty(), "{filter}: nothing");
        anyhow::Ok(())
    };
    let account = "mserp_customeraccount";
    let on_hold = accounts.iter().filter(|it| it.on_hold && customers.contains_key(&it.number));
    let on_hold = on_hold.map(|it| it.number.clone()).collect();
    let filter = format!("{usmf} and mserp_FK_Native_id/creditonhold eq true");
    check(CUSTOMERS.set, account, &filter, on_hold).await?;
    let filter = format!("{usmf} and _mserp_fk_native_id_value eq {id}");
    check(CUSTOMERS.set, account, &filter, BTreeSet::from([number])).await?;
    let without = customers.keys().filter(|it| !known.contains(*it)).cloned().collect();
    let filter = format!("{usmf} and _mserp_fk_native_id_value eq null");
    check(CUSTOMERS.set, account, &filter, without).await?;
    let rich = accounts.iter().map(|it| it.number.clone());
    let rich = rich.filter(|it| customers.get(it).is_some_and(|it| *it > 500_000.0)).collect();
    let filter = format!("{collection}/any(c:c/mserp_creditlimit gt {RICH} and c/{usmf})");
    check(ACCOUNTS, "accountnumber", &filter, rich).await?;
    // What is found elsewhere is not among all columns.
    let all = world.admin.json(&format!("{}?$top=1", CUSTOMERS.set)).await?;
    ensure!(all["value"][0].get("_mserp_fk_native_id_value").is_none(), "{all}");
    Ok(())
}

/// Above and under a row, beside what a walk over all rows finds.
async fn fx_03_hierarchies_are_followed_to_their_ends(world: &World) -> Result<()> {
    let answer = world.admin.json("accounts?$select=_parentaccountid_value").await?;
    let rows = answer["value"].as_array().context("no accounts")?;
    let id = |it: &Value| it.as_str().map(str::to_owned);
    let parents: BTreeMap<String, Option<String>> = rows
        .iter()
        .filter_map(|it| Some((id(&it["accountid"])?, id(&it["_parentaccountid_value"]))))
        .collect();
    let above = |of: &str| {
        let next = |it: &String| parents.get(it).cloned().flatten();
        std::iter::successors(next(&of.to_owned()), next).collect::<BTreeSet<_>>()
    };
    let lowest = parents.keys().max_by_key(|it| above(it).len()).context("no accounts")?;
    ensure!(above(lowest).len() >= 2, "the sample data is flat");
    let top = above(lowest).into_iter().find(|it| above(it).is_empty()).context("no top")?;
    let under: BTreeSet<_> =
        parents.keys().filter(|it| above(it).contains(&top)).cloned().collect();
    let not_under = parents.keys().filter(|it| !under.contains(*it)).cloned().collect();
    let with = |mut all: BTreeSet<String>, one: &String| {
        all.insert(one.clone());
        all
    };
    for (operator, of, expected) in [
        ("above", lowest, above(lowest)),
        ("eq-or-above", lowest, with(above(lowest), lowest)),
        ("under", &top, under.clone()),
        ("eq-or-under", &top, with(under.clone(), &top)),
        ("not-under", &top, not_under),
    ] {
        let document = format!(
            "<fetch><entity name='account'><attribute name='accountid'/><filter>\
             <condition attribute='accountid' operator='{operator}' value='{of}'/></filter>\
             </entity></fetch>"
        );
        let rows = fetch(&world.admin, ACCOUNTS, &document).await?;
        let found: BTreeSet<_> = rows.iter().filter_map(|it| id(&it["accountid"])).collect();
        ensure!(found == expected, "{operator}: {} rows, not {}", found.len(), expected.len());
    }
    let who = world.admin.json("WhoAmI").await?;
    let mine = "<fetch><entity name='account'><attribute name='ownerid'/><filter>\
        <condition attribute='ownerid' operator='eq-userid'/></filter></entity></fetch>";
    let rows = fetch(&world.admin, ACCOUNTS, mine).await?;
    ensure!(rows.iter().all(|it| it["_ownerid_value"] == who["UserId"]), "{rows:?}");
    let flat = "<fetch><entity name='cdm_company'><attribute name='cdm_companycode'/><filter>\
        <condition attribute='cdm_companyid' operator='under' \
        value='00000000-0000-0000-0000-000000000001'/></filter></entity></fetch>";
    let answer = world.admin.get(&format!("cdm_companies?fetchXml={}", encode(flat))).await?;
    tests::assert_error(&answer, 400, "0x80060888", "has no hierarchy")
}

async fn api_18_lookups_are_shown_by_name_to_who_may_see_it(world: &World) -> Result<()> {
    let all = format!("{}?$filter=mserp_dataareaid eq 'USMF'&$top=20", CUSTOMERS.set);
    let prefer = "odata.include-annotations=\"*\"";
    let lookup = "_mserp_fk_customergroup_id_value";
    let hidden = "_mserp_fk_paymentterm_id_value";
    let name = |column: &str| format!("{column}@OData.Community.Display.V1.FormattedValue");
    for (web, sees) in [(&world.admin, true), (&world.clerk, false)] {
        let answer = web.get_prefer(&all, prefer).await?.ok()?;
        for row in answer["value"].as_array().context("no rows")? {
            ensure!(row[lookup].is_string() && row.get(name(lookup)).is_some(), "{row}");
            let shown = row.get(name(hidden)).is_some();
            ensure!(shown == (sees && row[hidden].is_string()), "{row}");
        }
    }
    Ok(())
}

fn signed<T>(message: T, web: &Web) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {}", web.token()).parse()?);
    Ok(request)
}

async fn qe_01_explain_shows_every_step(world: &World) -> Result<()> {
    let document = format!(
        "<fetch><entity name='{CUSTOMER}'><attribute name='mserp_customeraccount'/>\
         <link-entity name='account' from='accountnumber' to='mserp_customeraccount' alias='a'>\
         <filter><condition attribute='name' operator='begins-with' value='Contoso'/></filter>\
         </link-entity></entity></fetch>"
    );
    let channel = Endpoint::from_shared(world.system.grpc.clone())?.connect().await?;
    let mut client = GatewayServiceClient::new(channel);
    let text = pb::FetchXmlToQueryExpressionRequest { fetch_xml: document };
    let query = client.fetch_xml_to_query_expression(signed(text, &world.admin)?).await?;
    let request = pb::ExplainRequest { query: query.into_inner().query };
    let steps = client.explain(signed(request.clone(), &world.admin)?).await?.into_inner().steps;
    let services: Vec<_> = steps.iter().map(|it| it.service.as_str()).collect();
    ensure!(services == ["organization", "query"], "{services:?}");
    for (step, part) in steps.iter().zip(["LIKE lower($", "unnest("]) {
        let statement = step.statement.as_ref().context("no statement")?;
        ensure!(statement.sql.contains(part), "{part}: {statement:?}");
        ensure!(step.query.is_some() && !statement.plan.is_empty(), "{step:?}");
    }
    let refused = client.explain(signed(request, &world.clerk)?).await;
    let code = refused.as_ref().err().map(tonic::Status::code);
    ensure!(code == Some(Code::PermissionDenied), "{refused:?}");
    Ok(())
}
