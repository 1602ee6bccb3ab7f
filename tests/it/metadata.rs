//! What the tables look like, as clients ask: `$metadata`, definitions, changes, relationships.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{assert_error, encode, run_tombolo};

use crate::world::{Case, World};

pub(crate) const CASES: &[Case] = tests::cases![World:
    api_04_api_06_the_service_document_names_every_set,
    api_05_metadata_is_one_document_with_every_table,
    api_05_generated_clients_can_ask_by_it,
    api_34_definitions_are_found_filtered_and_expanded,
    api_34_the_queries_of_real_clients_are_answered,
    api_34_columns_have_their_types_and_options,
    ve_048_ve_049_columns_say_what_must_and_may_be_written,
    ve_051_labels_are_in_the_users_language,
    ve_078_ve_079_virtual_tables_say_what_they_cannot_do_and_where_their_rows_are,
    ve_028_ve_055_relationships_are_seen_from_both_sides,
    messages_and_managed_properties_are_listed,
    wrong_questions_about_metadata_are_refused,
    api_28_changes_of_metadata_are_told_since_a_stamp,
    ve_056_an_administrator_relates_virtual_and_native_tables,
    ve_056_a_native_table_leads_to_a_virtual_one,
];

const CUSTOMER: &str = "mserp_custcustomerv3entity";
const CURRENCY: &str = "mserp_currencyentity";
const COMPANY_INFO: &str = "mserp_companyinfoentity";
const CATALOG: &str = "mserp_financeandoperationsentities";

/// `EntityDefinitions(LogicalName='..')`.
fn definition(table: &str) -> String {
    format!("EntityDefinitions(LogicalName='{table}')")
}

fn list(answer: &Value) -> Result<&Vec<Value>> {
    answer["value"].as_array().with_context(|| format!("no value: {answer}"))
}

/// One member of every object.
fn each<'v>(values: &'v [Value], name: &str) -> BTreeSet<&'v str> {
    values.iter().filter_map(|it| it[name].as_str()).collect()
}

async fn api_04_api_06_the_service_document_names_every_set(world: &World) -> Result<()> {
    let service = world.admin.json("").await?;
    let sets = list(&service)?;
    let names: Vec<_> = sets.iter().filter_map(|it| it["name"].as_str()).collect();
    ensure!(names.is_sorted() && names.len() == sets.len(), "{names:?}");
    ensure!(sets.iter().all(|it| it["kind"] == "EntitySet" && it["url"] == it["name"]), "{sets:?}");
    for (table, set) in [
        ("mserp_custcustomerv3entity", "mserp_custcustomerv3entities"),
        ("cdm_company", "cdm_companies"),
        ("systemuser", "systemusers"),
    ] {
        let path = format!("{}?$select=EntitySetName,LogicalCollectionName", definition(table));
        let table = world.admin.json(&path).await?;
        ensure!(table["EntitySetName"] == set && names.contains(&set), "{table}");
    }
    Ok(())
}

async fn api_05_metadata_is_one_document_with_every_table(world: &World) -> Result<()> {
    let answer = world.admin.get("$metadata").await?;
    ensure!(answer.status == 200 && answer.header("content-type") == "application/xml");
    let service = world.admin.json("").await?;
    let sets = each(list(&service)?, "name");
    for set in &sets {
        ensure!(answer.body.contains(&format!("<EntitySet Name=\"{set}\"")), "{set}");
    }
    for text in [
        "<EntityType Name=\"mserp_custcustomerv3entity\" BaseType=\"mscrm.crmbaseentity\">\
         <Key><PropertyRef Name=\"mserp_custcustomerv3entityid\" /></Key>",
        "<NavigationProperty Name=\"mserp_FK_CustomerGroup_id\" \
         Type=\"mscrm.mserp_custcustomergroupentity\" \
         Partner=\"mserp_FK_CustCustomerV3Entity_CustomerGroup\">\
         <ReferentialConstraint Property=\"_mserp_fk_customergroup_id_value\" \
         ReferencedProperty=\"mserp_custcustomergroupentityid\" />",
        "<NavigationProperty Name=\"mserp_FK_CustCustomerV3Entity_CustomerGroup\" \
         Type=\"Collection(mscrm.mserp_custcustomerv3entity)\" \
         Partner=\"mserp_FK_CustomerGroup_id\" />",
        "<Property Name=\"_mserp_dataareaid_id_value\" Type=\"Edm.Guid\" />",
        "<Property Name=\"mserp_creditlimit\" Type=\"Edm.Decimal\" Scale=\"Variable\" />",
        "<NavigationProperty Name=\"businessunitid\" Type=\"mscrm.businessunit\"",
        "Term=\"OData.Community.Keys.V1.AlternateKeys\"",
    ] {
        ensure!(answer.body.contains(text), "{text}");
    }
    ensure!(!answer.body.contains("Org.OData.Core.V1.Description\" String"), "annotated unasked");
    let annotated = world.admin.get("$metadata?annotations=true").await?;
    ensure!(annotated.body.contains("Org.OData.Core.V1.Description\" String=\"Credit limit\""));
    ensure!(annotated.body.contains("Org.OData.Core.V1.Permission/Read"));
    let anonymous = tests::Web::new(&format!("http://{}", world.admin.authority()), None);
    ensure!(anonymous.get("$metadata").await?.status == 401);
    Ok(())
}

async fn api_05_generated_clients_can_ask_by_it(world: &World) -> Result<()> {
    let path = "mserp_custcustomerv3entities?$select=mserp_customeraccount\
                &$filter=mserp_dataareaid eq 'USRT'&$orderby=mserp_customeraccount&$top=2";
    let asked = world.admin.json(path).await?;
    let expected: Vec<_> =
        list(&asked)?.iter().map(|it| it["mserp_customeraccount"].clone()).collect();
    ensure!(expected.len() == 2, "{asked}");
    let node = tests::node::run("metadata.mjs", &world.admin).await?;
    let rows = node["rows"].as_array().context("no rows")?;
    let accounts: Vec<_> = rows.iter().map(|it| it["mserp_customeraccount"].clone()).collect();
    ensure!(accounts == expected, "odata2ts: {rows:?}");
    ensure!(node["table"]["EntitySetName"] == "mserp_custcustomerv3entities", "{}", node["table"]);
    let choices = node["choices"].as_array().context("no choices")?;
    let on_hold = choices.iter().find(|it| it["LogicalName"] == "mserp_onholdstatus");
    let set = on_hold.map(|it| &it["GlobalOptionSet"]["Name"]);
    ensure!(set.is_some_and(|it| it == "mserp_CustVendorBlocked"), "{choices:?}");
    let companies = node["byName"].as_array().context("no companies")?;
    ensure!(each(companies, "cdm_companycode").contains("USMF"), "{companies:?}");
    let relationships = node["relationships"].as_array().context("no relationships")?;
    let relationships = each(relationships, "SchemaName");
    ensure!(relationships.contains("mserp_FK_CustCustomerV3Entity_Party"), "{relationships:?}");
    ensure!(node["optionSet"]["Name"] == "mserp_NoYes", "{}", node["optionSet"]);

    let python = tests::python::run("metadata.py", &world.admin).await?;
    let rows: Vec<_> = expected.iter().map(|it| json!([it, "USRT"])).collect();
    let rows = json!(rows);
    ensure!(python["rows"] == rows, "python-odata: {}", python["rows"]);
    ensure!(python["navigation"] == true && python["collection"] == true, "{python}");
    let functions = python["functions"].as_array().context("no functions")?;
    for name in ["RetrieveTotalRecordCount", "RetrieveVersion", "WhoAmI"] {
        ensure!(functions.iter().any(|it| it == name), "{name}: {functions:?}");
    }
    Ok(())
}

async fn api_34_definitions_are_found_filtered_and_expanded(world: &World) -> Result<()> {
    let web = &world.admin;
    let service = web.json("").await?;
    let all = web.json("EntityDefinitions?$select=EntitySetName&$count=true").await?;
    ensure!(each(list(&all)?, "EntitySetName") == each(list(&service)?, "name"), "{all}");
    ensure!(all["@odata.count"] == list(&all)?.len(), "{}", all["@odata.count"]);
    let count = web.get("EntityDefinitions/$count").await?;
    ensure!(count.body == list(&all)?.len().to_string(), "{}", count.body);

    let one = web.json(&definition(CUSTOMER)).await?;
    let id = one["MetadataId"].as_str().context("no id")?;
    let by_id = web.json(&format!("EntityDefinitions({id})?$select=LogicalName")).await?;
    ensure!(by_id["LogicalName"] == CUSTOMER, "{by_id}");
    ensure!(one.get("Attributes").is_none(), "not expanded, and there");

    let filter = encode(
        "OwnershipType eq Microsoft.Dynamics.CRM.OwnershipTypes'OrganizationOwned' and \
         CanCreateAttributes/Value eq false and startswith(LogicalName,'mserp_cust') and \
         Attributes/any(a:a/LogicalName eq 'mserp_creditlimit')",
    );
    let found =
        web.json(&format!("EntityDefinitions?$select=LogicalName&$filter={filter}")).await?;
    ensure!(each(list(&found)?, "LogicalName") == BTreeSet::from([CUSTOMER]), "{found}");

    let options = "$select=LogicalName&$orderby=LogicalName desc&$top=2&\
                   $expand=Attributes($select=LogicalName;$filter=IsPrimaryId eq true),Keys";
    let two = web.json(&format!("EntityDefinitions?{options}")).await?;
    let two = list(&two)?;
    ensure!(two.len() == 2 && two[0]["LogicalName"].as_str() > two[1]["LogicalName"].as_str());
    for table in two {
        let ids = table["Attributes"].as_array().context("not expanded")?;
        ensure!(ids.len() == 1 && table["Keys"].is_array(), "{table}");
    }
    let keys = web.json(&format!("{}/Keys", definition(CUSTOMER))).await?;
    let columns = json!(["mserp_dataareaid", "mserp_customeraccount"]);
    ensure!(list(&keys)?[0]["KeyAttributes"] == columns, "{keys}");
    Ok(())
}

async fn api_34_the_queries_of_real_clients_are_answered(world: &World) -> Result<()> {
    let web = &world.admin;
    // PowerPlatform-Dataverse-Client, as it encodes.
    let query = "EntityDefinitions?%24select=LogicalName%2CEntitySetName%2CPrimaryIdAttribute\
                 &%24filter=LogicalName+eq+%27mserp_custcustomerv3entity%27";
    let found = web.json(query).await?;
    ensure!(list(&found)?[0]["PrimaryIdAttribute"] == "mserp_custcustomerv3entityid", "{found}");
    let query = format!(
        "{}/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata\
         ?$select=LogicalName&$expand=OptionSet($select=Options)",
        definition(CUSTOMER)
    );
    let choices = web.json(&query).await?;
    let on_hold = list(&choices)?.iter().find(|it| it["LogicalName"] == "mserp_onholdstatus");
    let options = on_hold.and_then(|it| it["OptionSet"]["Options"].as_array());
    let options = options.context("no options")?;
    let all = options.iter().find(|it| it["Value"] == 200_000_002).context("no such value")?;
    ensure!(all["Label"]["UserLocalizedLabel"]["Label"] == "All", "{all}");
    ensure!(all["Label"]["LocalizedLabels"][0]["LanguageCode"] == 1033, "{all}");
    // dataverse-api.
    for part in
        ["Keys", "OneToManyRelationships", "ManyToOneRelationships", "ManyToManyRelationships"]
    {
        let answer = web.json(&format!("{}/{part}", definition(CUSTOMER))).await?;
        ensure!(answer["value"].is_array(), "{part}: {answer}");
    }
    let filter = encode(
        "(sdkmessageid/name eq 'CreateMultiple' or sdkmessageid/name eq 'RetrieveMultiple') and \
         primaryobjecttypecode eq 'mserp_custcustomerv3entity'",
    );
    let path = format!("sdkmessagefilters?$expand=sdkmessageid($select=name)&$filter={filter}");
    let filters = web.json(&path).await?;
    let messages = list(&filters)?.iter().filter_map(|it| it["sdkmessageid"]["name"].as_str());
    let messages: std::collections::BTreeSet<_> = messages.collect();
    ensure!(messages == ["CreateMultiple", "RetrieveMultiple"].into(), "{filters}");
    // airbyte.
    let everything = web.json("EntityDefinitions?$expand=Attributes").await?;
    for table in list(&everything)? {
        let columns = table["Attributes"].as_array().context("no columns")?;
        let types = each(columns, "AttributeType");
        ensure!(types.contains("Uniqueidentifier"), "{}: {types:?}", table["LogicalName"]);
    }
    let moments = format!(
        "{}/Attributes/Microsoft.Dynamics.CRM.DateTimeAttributeMetadata\
         ?$select=LogicalName,Format&$expand=",
        definition(CUSTOMER)
    );
    let moments = web.json(moments.trim_end_matches("&$expand=")).await?;
    let review = list(&moments)?.iter().find(|it| it["LogicalName"] == "mserp_creditreviewdate");
    ensure!(review.is_some_and(|it| it["Format"] == "DateOnly"), "{moments}");
    Ok(())
}

async fn api_34_columns_have_their_types_and_options(world: &World) -> Result<()> {
    let column = async |table: &str, name: &str| {
        let path = format!("{}/Attributes(LogicalName='{name}')", definition(table));
        world.admin.json(&path).await
    };
    let check = async |table: &str, name: &str, kind: &str, members: Value| -> Result<()> {
        let found = column(table, name).await?;
        ensure!(found["@odata.type"] == format!("#Microsoft.Dynamics.CRM.{kind}"), "{found}");
        for (name, value) in members.as_object().into_iter().flatten() {
            ensure!(found[name] == *value, "{name}: {}", found[name]);
        }
        Ok(())
    };
    let id = "mserp_custcustomerv3entityid";
    check(CUSTOMER, id, "UniqueIdentifierAttributeMetadata", json!({"IsPrimaryId": true})).await?;
    let text = json!({"MaxLength": 256, "IsPrimaryName": true, "IsFilterable": false});
    check(CUSTOMER, "mserp_primaryfield", "StringAttributeMetadata", text).await?;
    let lookup = json!({"Targets": ["cdm_company"], "ExternalName": "dataAreaId"});
    check(CUSTOMER, "mserp_dataareaid_id", "LookupAttributeMetadata", lookup).await?;
    let lookup = json!({
        "Targets": ["mserp_custcustomergroupentity"],
        "ExternalName": "FK_CustomerGroup",
        "SchemaName": "mserp_FK_CustomerGroup_id",
    });
    check(CUSTOMER, "mserp_fk_customergroup_id", "LookupAttributeMetadata", lookup).await?;
    let date = json!({"DateTimeBehavior": {"Value": "TimeZoneIndependent"}, "Format": "DateOnly"});
    check(CUSTOMER, "mserp_creditreviewdate", "DateTimeAttributeMetadata", date).await?;
    let moment = json!({"DateTimeBehavior": {"Value": "UserLocal"}, "Format": "DateAndTime"});
    check("account", "createdon", "DateTimeAttributeMetadata", moment).await?;
    check("account", "statecode", "StateAttributeMetadata", json!({"ExternalName": null})).await?;
    check("account", "creditonhold", "BooleanAttributeMetadata", json!({})).await?;
    let path = format!(
        "{}/Attributes(LogicalName='creditonhold')/Microsoft.Dynamics.CRM.BooleanAttributeMetadata\
         ?$expand=OptionSet",
        definition("account")
    );
    let flag = world.admin.json(&path).await?;
    ensure!(flag["OptionSet"]["TrueOption"]["Value"] == 1, "{flag}");
    // Sets of virtual tables are global, those of native ones are their columns'.
    let sets = world.admin.json("GlobalOptionSetDefinitions?$select=Name").await?;
    let names = each(list(&sets)?, "Name");
    ensure!(names.contains("mserp_NoYes") && names.iter().all(|it| it.starts_with("mserp_")));
    let set = world.admin.json("GlobalOptionSetDefinitions(Name='mserp_NoYes')").await?;
    let values: Vec<_> =
        set["Options"].as_array().into_iter().flatten().map(|it| &it["ExternalValue"]).collect();
    ensure!(values == ["No", "Yes"], "{set}");
    Ok(())
}

async fn ve_048_ve_049_columns_say_what_must_and_may_be_written(world: &World) -> Result<()> {
    let path = format!(
        "{}/Attributes?$select=LogicalName,RequiredLevel,IsValidForCreate,IsValidForUpdate",
        definition(CUSTOMER)
    );
    let columns = world.admin.json(&path).await?;
    let columns = list(&columns)?;
    let check = |name: &str, level: &str, create: bool, update: bool| -> Result<()> {
        let found =
            columns.iter().find(|it| it["LogicalName"] == name).context("no such column")?;
        let right = found["RequiredLevel"]["Value"] == level
            && found["IsValidForCreate"] == create
            && found["IsValidForUpdate"] == update;
        ensure!(right, "{found}");
        Ok(())
    };
    check("mserp_custcustomerv3entityid", "SystemRequired", false, false)?;
    check("mserp_primaryfield", "None", false, false)?;
    check("mserp_dataareaid", "Recommended", true, false)?;
    check("mserp_dataareaid_id", "Recommended", false, false)?;
    check("mserp_recordversion", "None", false, false)?;
    let required =
        columns.iter().filter(|it| it["RequiredLevel"]["Value"] == "ApplicationRequired");
    ensure!(required.count() > 0, "no mandatory field is required");
    Ok(())
}

async fn ve_051_labels_are_in_the_users_language(world: &World) -> Result<()> {
    let path = format!("{}?$select=DisplayName,DisplayCollectionName", definition(CUSTOMER));
    let table = world.admin.json(&path).await?;
    let label = &table["DisplayName"]["UserLocalizedLabel"];
    ensure!(label["Label"] == "Customer V3" && label["LanguageCode"] == 1033, "{table}");
    ensure!(table["DisplayName"]["LocalizedLabels"][0] == *label, "{table}");
    let path =
        format!("{}/Attributes(LogicalName='mserp_creditlimit')/DisplayName", definition(CUSTOMER));
    let column = world.admin.json(&path).await?;
    ensure!(column["value"]["UserLocalizedLabel"]["Label"] == "Credit limit", "{column}");
    Ok(())
}

async fn ve_078_ve_079_virtual_tables_say_what_they_cannot_do_and_where_their_rows_are(
    world: &World,
) -> Result<()> {
    let table = world.admin.json(&definition(CUSTOMER)).await?;
    ensure!(table["TableType"] == "Virtual" && table["OwnershipType"] == "OrganizationOwned");
    ensure!(table["ExternalName"] == "CustCustomerV3Entity", "{}", table["ExternalName"]);
    ensure!(table["DataSourceId"] == "47c40dcb-35d6-e911-a95e-000d3a110bbd");
    ensure!(table["DataProviderId"].as_str().is_some_and(|it| it.len() == 36));
    for off in [
        "IsAvailableOffline",
        "CanTriggerWorkflow",
        "IsActivity",
        "SyncToExternalSearchIndex",
        "IsBusinessProcessEnabled",
        "AutoCreateAccessTeams",
        "IsKnowledgeManagementEnabled",
        "IsSLAEnabled",
        "IsQuickCreateEnabled",
        "IsStateModelAware",
        "HasNotes",
    ] {
        ensure!(table[off] == false, "{off}: {}", table[off]);
    }
    // Better than generic virtual tables: these are true of ours.
    for on in ["ChangeTrackingEnabled", "IsOptimisticConcurrencyEnabled"] {
        ensure!(table[on] == true, "{on}: {}", table[on]);
    }
    for off in [
        "IsAuditEnabled",
        "IsDuplicateDetectionEnabled",
        "IsValidForQueue",
        "CanCreateAttributes",
        "CanCreateCharts",
        "CanEnableSyncToExternalSearchIndex",
        "IsCustomizable",
    ] {
        ensure!(table[off]["Value"] == false && table[off]["CanBeChanged"] == false, "{off}");
    }
    ensure!(table["CanCreateViews"]["Value"] == true, "views are open to makers");
    let secured =
        "Attributes?$select=LogicalName&$filter=IsSecured eq true or IsDataSourceSecret eq true";
    let secured = world.admin.json(&format!("{}/{secured}", definition(CUSTOMER))).await?;
    ensure!(list(&secured)?.is_empty(), "{secured}");
    let native = world.admin.json(&definition("systemuser")).await?;
    ensure!(native["TableType"] == "Standard" && native["ExternalName"].is_null(), "{native}");
    ensure!(native["DataProviderId"].is_null() && native["ObjectTypeCode"] == 8, "{native}");
    Ok(())
}

async fn ve_028_ve_055_relationships_are_seen_from_both_sides(world: &World) -> Result<()> {
    let web = &world.admin;
    let to_one = web.json(&format!("{}/ManyToOneRelationships", definition(CUSTOMER))).await?;
    let name = "mserp_FK_CustCustomerV3Entity_CustomerGroup";
    let find = |of: &Value| -> Result<Value> {
        let found = list(of)?.iter().find(|it| it["SchemaName"] == name);
        found.cloned().with_context(|| format!("no {name} in {of}"))
    };
    let found = find(&to_one)?;
    for (member, value) in [
        ("ReferencingEntity", CUSTOMER),
        ("ReferencingAttribute", "mserp_fk_customergroup_id"),
        ("ReferencedEntity", "mserp_custcustomergroupentity"),
        ("ReferencedAttribute", "mserp_custcustomergroupentityid"),
        ("ReferencingEntityNavigationPropertyName", "mserp_FK_CustomerGroup_id"),
        ("ReferencedEntityNavigationPropertyName", name),
    ] {
        ensure!(found[member] == value, "{member}: {}", found[member]);
    }
    let group = definition("mserp_custcustomergroupentity");
    let to_many = web.json(&format!("{group}/OneToManyRelationships")).await?;
    ensure!(find(&to_many)? == found, "the two sides differ: {to_many}");
    let by_name = web.json(&format!("RelationshipDefinitions(SchemaName='{name}')")).await?;
    ensure!(by_name["MetadataId"] == found["MetadataId"], "{by_name}");
    let cast = "RelationshipDefinitions/Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata";
    let filter = encode(&format!("SchemaName eq '{name}'"));
    let cast = web.json(&format!("{cast}?$select=SchemaName&$filter={filter}")).await?;
    ensure!(list(&cast)?.len() == 1, "{cast}");
    let company = find_company(&to_one)?;
    ensure!(company["ReferencingAttribute"] == "mserp_dataareaid_id", "{company}");
    // The native tables' own.
    let native =
        web.json(&format!("{}/OneToManyRelationships", definition("businessunit"))).await?;
    ensure!(each(list(&native)?, "SchemaName").contains("business_unit_system_users"), "{native}");
    Ok(())
}

fn find_company(relationships: &Value) -> Result<&Value> {
    let found = list(relationships)?.iter().find(|it| it["ReferencedEntity"] == "cdm_company");
    found.context("no relationship to the companies")
}

async fn messages_and_managed_properties_are_listed(world: &World) -> Result<()> {
    let messages = world.admin.json("sdkmessages?$select=name").await?;
    ensure!(each(list(&messages)?, "name").contains("RetrieveMultiple"), "{messages}");
    let managed = world.admin.json("ManagedPropertyDefinitions?$select=LogicalName").await?;
    ensure!(each(list(&managed)?, "LogicalName").contains("iscustomizable"), "{managed}");
    Ok(())
}

async fn wrong_questions_about_metadata_are_refused(world: &World) -> Result<()> {
    let check = async |path: &str, status: u16, code: &str, message: &str| {
        assert_error(&world.admin.get(path).await?, status, code, message)
    };
    check(&definition("nope"), 404, "0x80040217", "LogicalName='nope'").await?;
    check("EntityDefinitions?$select=Nope", 400, "0x0", "named 'Nope'").await?;
    check("EntityDefinitions?$filter=Nope eq 1", 400, "0x0", "named 'Nope'").await?;
    check("EntityDefinitions?$filter=LogicalName eq", 400, "0x0", "").await?;
    check("EntityDefinitions?$expand=Nope", 400, "0x0", "named 'Nope'").await?;
    check("EntityDefinitions?$skip=1", 400, "0x80060888", "$skip").await?;
    check("EntityDefinitions/Attributes", 404, "0x8006088a", "Attributes").await?;
    check(&format!("{}/Nope", definition(CUSTOMER)), 404, "0x8006088a", "Nope").await?;
    let stamp = encode("'0!0'");
    let path = format!("RetrieveMetadataChanges(ClientVersionStamp=@s)?@s={stamp}");
    check(&path, 400, "0x80044352", "full sync").await?;
    check("RetrieveMetadataChanges(Query=@p)?@p={nope}", 400, "0x80060888", "not JSON").await?;
    let answer = world.admin.send(Method::POST, "EntityDefinitions", &[], Some(json!({}))).await?;
    assert_error(&answer, 405, "0x80060888", "POST")
}

/// What `RetrieveMetadataChanges` answers to a query, since a stamp.
async fn changes(world: &World, query: &Value, stamp: Option<&str>) -> Result<Value> {
    let query = encode(&query.to_string());
    let path = match stamp {
        None => format!("RetrieveMetadataChanges(Query=@p1)?@p1={query}"),
        Some(stamp) => {
            let stamp = encode(&format!("'{stamp}'"));
            format!(
                "RetrieveMetadataChanges(Query=@p1,ClientVersionStamp=@p2)?@p1={query}&@p2={stamp}"
            )
        }
    };
    world.admin.json(&path).await
}

async fn set_visible(world: &World, entity: &str, visible: bool) -> Result<()> {
    let filter = encode(&format!("mserp_physicalname eq '{entity}'"));
    let rows = world.admin.json(&format!("{CATALOG}?$filter={filter}")).await?;
    let id = rows["value"][0]["mserp_financeandoperationsentityid"].as_str().context("no row")?;
    let body = json!({"mserp_hasbeengenerated": visible});
    let path = format!("{CATALOG}({id})");
    let answer = world.admin.send(Method::PATCH, &path, &[], Some(body)).await?;
    ensure!(answer.status == 204, "{answer:?}");
    Ok(())
}

async fn api_28_changes_of_metadata_are_told_since_a_stamp(world: &World) -> Result<()> {
    let one = json!({
        "Criteria": {"FilterOperator": "And", "Conditions": [{
            "ConditionOperator": "Equals",
            "PropertyName": "LogicalName",
            "Value": {"Type": "System.String", "Value": CUSTOMER},
        }]},
        "Properties": {"AllProperties": false, "PropertyNames": ["DisplayName", "Attributes"]},
        "AttributeQuery": {
            "Properties": {"AllProperties": false, "PropertyNames": ["MaxLength", "Entity1LogicalName"]},
            "Criteria": {"Conditions": [{
                "ConditionOperator": "In",
                "PropertyName": "AttributeType",
                "Value": {"Type": "Microsoft.Xrm.Sdk.Metadata.AttributeTypeCode[]", "Value": "[\"String\"]"},
            }]},
        },
    });
    let answer = changes(world, &one, None).await?;
    let tables = answer["EntityMetadata"].as_array().context("no tables")?;
    ensure!(tables.len() == 1 && tables[0]["LogicalName"] == CUSTOMER, "{answer}");
    let columns = tables[0]["Attributes"].as_array().context("no columns")?;
    ensure!(columns.iter().any(|it| it["MaxLength"] == 256), "{columns:?}");
    let stamp = answer["ServerVersionStamp"].as_str().context("no stamp")?.to_owned();
    let all = json!({"Properties": {"AllProperties": false, "PropertyNames": ["SchemaName"]}});
    let nothing = changes(world, &all, Some(&stamp)).await?;
    ensure!(nothing["EntityMetadata"] == json!([]) && nothing["DeletedMetadata"]["Count"] == 0);

    set_visible(world, "CurrencyEntity", false).await?;
    let hidden = changes(world, &all, Some(&stamp)).await;
    set_visible(world, "CurrencyEntity", true).await?;
    let hidden = hidden?;
    let deleted = &hidden["DeletedMetadata"];
    ensure!(deleted["Keys"][0] == "Entity", "{deleted}");
    // Customers have lost a lookup to the currencies; products had none.
    let changed = hidden["EntityMetadata"].as_array().context("no tables")?;
    let names = each(changed, "LogicalName");
    ensure!(names.contains(CUSTOMER) && !names.contains("mserp_unitofmeasureentity"), "{names:?}");
    ensure!(changed.iter().all(|it| it["HasChanged"] == true), "{hidden}");

    let back = changes(world, &all, hidden["ServerVersionStamp"].as_str()).await?;
    let names = back["EntityMetadata"].as_array().context("no tables")?;
    ensure!(each(names, "LogicalName").contains(CURRENCY), "{back}");
    let id = world.admin.json(&format!("{}?$select=LogicalName", definition(CURRENCY))).await?;
    let gone = deleted["Values"][0].as_array().context("no ids")?;
    ensure!(gone.contains(&id["MetadataId"]), "{deleted} {id}");
    Ok(())
}

async fn ve_056_a_native_table_leads_to_a_virtual_one(world: &World) -> Result<()> {
    let data = world.data().to_string_lossy().into_owned();
    let run = async |arguments: &[&str]| {
        let common = ["catalog", "--server", &world.system.grpc, "--data", &data, "relationship"];
        run_tombolo(&[common.as_slice(), arguments].concat()).await
    };
    let on = "cdm_companycode=mserp_legalentityid";
    let added =
        run(&["add", "Info", "--from", "cdm_company", "--to", COMPANY_INFO, "--on", on]).await?;
    ensure!(added.status.success(), "{added:?}");
    let answers = async {
        let path = "cdm_companies?$select=cdm_companycode\
                    &$expand=mserp_FK_Info_id($select=mserp_legalentityid)";
        let expanded = world.admin.json(path).await?;
        let path = "mserp_companyinfoentities?$select=mserp_legalentityid\
                    &$filter=mserp_FK_cdm_company_Info/any(c:c/cdm_companycode eq 'usmf')\
                    &$expand=mserp_FK_cdm_company_Info($select=cdm_companycode)";
        Ok::<_, anyhow::Error>((expanded, world.admin.json(path).await?))
    };
    let answers = answers.await;
    let removed = run(&["remove", "Info"]).await?;
    ensure!(removed.status.success(), "{removed:?}");
    let (expanded, filtered) = answers?;
    ensure!(!list(&expanded)?.is_empty(), "{expanded}");
    for row in list(&expanded)? {
        let code = row["cdm_companycode"].as_str().unwrap_or_default();
        let other = row["mserp_FK_Info_id"]["mserp_legalentityid"].as_str().unwrap_or_default();
        ensure!(code.eq_ignore_ascii_case(other), "{row}");
    }
    let [only] = list(&filtered)?.as_slice() else { anyhow::bail!("{filtered}") };
    ensure!(only["mserp_FK_cdm_company_Info"][0]["cdm_companycode"] == "USMF", "{only}");
    Ok(())
}

/// Rows of both sides, by the declared relationship and by the columns it is made of.
async fn check_related_rows(world: &World) -> Result<()> {
    let web = &world.admin;
    let customers = "mserp_custcustomerv3entities?$select=mserp_customeraccount";
    let accounts = web
        .json("accounts?$select=accountnumber,name&$filter=startswith(accountnumber,'US-')")
        .await?;
    let numbers: BTreeSet<String> =
        each(list(&accounts)?, "accountnumber").into_iter().map(str::to_uppercase).collect();
    ensure!(!numbers.is_empty(), "the sample accounts are none of the customers'");
    let of = |answer: &Value| -> Result<BTreeSet<String>> {
        let found = each(list(answer)?, "mserp_customeraccount");
        Ok(found.into_iter().map(str::to_uppercase).collect())
    };
    let related =
        web.json(&format!("{customers}&$filter=mserp_FK_Account_id/name ne null")).await?;
    let related = of(&related)?;
    ensure!(!related.is_empty() && related.is_subset(&numbers), "{related:?} of {numbers:?}");

    let account = &list(&accounts)?[0];
    let (id, number) = (account["accountid"].as_str().context("no id")?, &account["accountnumber"]);
    let path = format!("{customers}&$filter=_mserp_fk_account_id_value eq {id}");
    let found = of(&web.json(&path).await?)?;
    let number = number.as_str().context("no number")?.to_uppercase();
    ensure!(found.is_subset(&BTreeSet::from([number])), "{found:?}");
    let path = format!(
        "{customers}&$filter=mserp_FK_Account_id/name ne null&$top=3\
         &$expand=mserp_FK_Account_id($select=accountnumber)"
    );
    let selected = format!(
        "{customers},_mserp_fk_account_id_value&$filter=_mserp_fk_account_id_value eq {id}"
    );
    for row in list(&web.json(&selected).await?)? {
        ensure!(row["_mserp_fk_account_id_value"] == id, "{row}");
    }
    for row in list(&web.json(&path).await?)? {
        let own = row["mserp_customeraccount"].as_str().unwrap_or_default();
        let other = row["mserp_FK_Account_id"]["accountnumber"].as_str().context("not expanded")?;
        ensure!(own.eq_ignore_ascii_case(other), "{row}");
    }
    Ok(())
}

async fn ve_056_an_administrator_relates_virtual_and_native_tables(world: &World) -> Result<()> {
    let data = world.data().to_string_lossy().into_owned();
    let common = ["--server", world.system.grpc.as_str(), "--data", data.as_str()];
    let run = async |arguments: &[&str]| {
        let arguments = [&["catalog"], common.as_slice(), &["relationship"], arguments].concat();
        run_tombolo(&arguments).await
    };
    let add = |from: &'static str, to: &'static str, on: &'static str| {
        ["add", "Account", "--from", from, "--to", to, "--on", on]
    };
    let refused = async |arguments: [&str; 8], message: &str| -> Result<()> {
        let output = run(&arguments).await?;
        ensure!(!output.status.success() && output.stderr.contains(message), "{output:?}");
        Ok(())
    };
    refused(add("mserp_nope", "account", "a=b"), "no table `mserp_nope`").await?;
    refused(add(CUSTOMER, "account", "mserp_nope=accountnumber"), "no column `mserp_nope`").await?;
    refused(add(CUSTOMER, "account", "mserp_creditlimit=accountnumber"), "different types").await?;
    refused(add(CUSTOMER, "account", "mserp_customeraccount=name"), "alternate key").await?;
    refused(add(CUSTOMER, CURRENCY, "mserp_customeraccount=mserp_currencycode"), "native").await?;

    let right = add(CUSTOMER, "account", "mserp_customeraccount=accountnumber");
    let added = run(&right).await?;
    ensure!(added.status.success(), "{added:?}");
    let name = "mserp_FK_CustCustomerV3Entity_Account";
    ensure!(added.stdout.contains(name), "{added:?}");
    let listed = run(&["list"]).await?;
    ensure!(listed.stdout.contains("mserp_customeraccount=accountnumber"), "{listed:?}");
    refused(right, "is the name of something else already").await?;

    let lookup = format!("{}/Attributes(LogicalName='mserp_fk_account_id')", definition(CUSTOMER));
    let column = world.admin.json(&lookup).await?;
    ensure!(column["Targets"] == json!(["account"]), "{column}");
    let other = format!("{}/OneToManyRelationships?$select=SchemaName", definition("account"));
    let other = world.admin.json(&other).await?;
    ensure!(each(list(&other)?, "SchemaName").contains(name), "{other}");
    let document = world.admin.get("$metadata").await?;
    ensure!(document.body.contains("<NavigationProperty Name=\"mserp_FK_Account_id\""));

    check_related_rows(world).await?;
    let removed = run(&["remove", "Account"]).await?;
    ensure!(removed.status.success(), "{removed:?}");
    ensure!(world.admin.get(&lookup).await?.status == 404, "still there");
    Ok(())
}
