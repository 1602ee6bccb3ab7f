//! Virtual tables: rows that are several tables of the ERP, whose own triggers have their say.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tests::assert_error;

use crate::write_world::{
    CUSTOMER_ID, CUSTOMER_SET, Case, GROUP_ID, GROUP_SET, LINE_SET, LINES, ORDER, ORDER_SET, World,
    customer, customer_key, matches, row,
};

pub(crate) const CASES: &[Case] = tests::cases![World:
    a_customer_is_written_to_all_its_tables,
    the_erp_gives_number_currency_and_terms,
    a_representation_is_what_was_stored,
    an_update_changes_what_was_sent_only,
    an_update_adds_the_row_of_an_optional_table,
    a_row_is_updated_by_its_alternate_key,
    null_and_the_empty_date_are_written,
    an_upsert_creates_and_then_updates,
    if_match_any_forbids_creating_and_if_none_match_any_updating,
    a_customer_is_deleted_with_its_party,
    a_party_that_somebody_else_needs_stays,
    a_customer_with_orders_cannot_be_deleted,
    orders_take_number_defaults_and_totals_from_the_erp,
    an_order_is_inserted_with_its_lines,
    a_business_rule_of_the_erp_speaks_for_itself,
    a_company_may_be_given_by_its_lookup,
    the_put_of_an_older_client_is_an_upsert,
];

async fn a_customer_is_written_to_all_its_tables(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let mut body = customer("W-0001", "Nachtigall & Söhne 日本");
    let more = json!({
        "mserp_creditlimit": 1500.25, "mserp_onholdstatus": 200_000_000,
        "mserp_creditreviewdate": "2027-03-04", "mserp_notes": "first\nsecond",
        "mserp_addressstreet": "1 Long Road", "mserp_addresscity": "Seattle",
        "mserp_addresscountryregionid": "USA", "mserp_primarycontactemail": "a@b.example",
        "mserp_primarycontactphone": "+1 425 555 0100", "mserp_partytype": 200_000_001,
    });
    for (name, value) in more.as_object().context("no object")? {
        body[name] = value.clone();
    }
    let answer = admin.post(CUSTOMER_SET, body.clone()).await?.expect(204)?;
    ensure!(answer.header("odata-version") == "4.0", "{answer:?}");
    let id = answer.id()?;
    let address = answer.header("odata-entityid");
    ensure!(address == format!("{}{}", admin.base(), row(CUSTOMER_SET, &id)), "{address}");
    let by_id = admin.json(&row(CUSTOMER_SET, &id)).await?;
    // The platform's dates without a time are moments.
    body["mserp_creditreviewdate"] = json!("2027-03-04T00:00:00Z");
    matches(&by_id, &body)?;
    let by_key = admin.json(&customer_key("W-0001")).await?;
    ensure!(by_key[CUSTOMER_ID] == id.as_str() && by_key["@odata.etag"] == by_id["@odata.etag"]);
    let stored = "SELECT count(*) FROM erp.custtable c
        JOIN erp.dirpartytable p ON p.recid = c.party
        JOIN erp.logisticspostaladdress a ON a.recid = p.primarypostaladdress AND a.party = p.recid
        JOIN erp.logisticselectronicaddress e ON e.recid = p.primaryemail AND e.party = p.recid
        JOIN erp.logisticselectronicaddress t ON t.recid = p.primaryphone AND t.party = p.recid
        WHERE c.accountnum = 'W-0001' AND c.dataareaid = 'USMF' AND c.creditmax = 1500.25
          AND c.creditreviewdate = '2027-03-04' AND c.memo = E'first\nsecond'
          AND p.name = 'Nachtigall & Söhne 日本' AND p.partytype = 'Person'
          AND a.street = '1 Long Road' AND e.locator = 'a@b.example' AND e.type = 2 AND t.type = 1";
    ensure!(world.erp.count(stored).await? == 1, "not as it was sent");
    Ok(())
}

async fn the_erp_gives_number_currency_and_terms(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let body = json!({
        "mserp_dataareaid": "USMF", "mserp_organizationname": "Numbered", "mserp_customergroupid": "20",
    });
    let (first, second) =
        (admin.create(CUSTOMER_SET, body.clone()).await?, admin.create(CUSTOMER_SET, body).await?);
    let (first, second) = (
        admin.json(&row(CUSTOMER_SET, &first)).await?,
        admin.json(&row(CUSTOMER_SET, &second)).await?,
    );
    let number = first["mserp_customeraccount"].as_str().unwrap_or_default();
    ensure!(
        number.starts_with("C-")
            && first["mserp_customeraccount"] != second["mserp_customeraccount"]
    );
    let given = json!({ "mserp_salescurrencycode": "USD", "mserp_paymentterms": "Net60",
        "mserp_recordversion": 1, "mserp_namealias": "Numbered" });
    matches(&first, &given)?;
    ensure!(first["mserp_partynumber"].as_str().is_some_and(|it| it.starts_with("P-")), "{first}");
    Ok(())
}

async fn a_representation_is_what_was_stored(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let prefer = [("Prefer", "return=representation")];
    let body = customer("W-0003", "Represented");
    let answer =
        admin.send(Method::POST, CUSTOMER_SET, &prefer, Some(body.clone())).await?.expect(201)?;
    ensure!(answer.header("preference-applied").contains("return=representation"), "{answer:?}");
    let stored = answer.parse()?;
    let context = format!("{}$metadata#{CUSTOMER_SET}/$entity", admin.base());
    ensure!(stored["@odata.context"] == context, "{}", stored["@odata.context"]);
    matches(&stored, &body)?;
    let id = stored[CUSTOMER_ID].as_str().context("no id")?;
    ensure!(stored == admin.json(&row(CUSTOMER_SET, id)).await?, "not what is read: {stored}");
    // Only what was asked for.
    let path = format!("{}?$select=mserp_notes", row(CUSTOMER_SET, id));
    let answer =
        admin.patch(&path, &prefer, json!({ "mserp_notes": "changed" })).await?.expect(200)?;
    let changed = answer.parse()?;
    let names: Vec<_> = changed.as_object().context("no object")?.keys().cloned().collect();
    ensure!(
        names == ["@odata.context", "@odata.etag", "mserp_notes", CUSTOMER_ID] || names.len() == 4,
        "{names:?}"
    );
    ensure!(changed["mserp_notes"] == "changed", "{changed}");
    ensure!(changed["@odata.etag"] != stored["@odata.etag"], "{changed}");
    Ok(())
}

async fn an_update_changes_what_was_sent_only(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = admin.create(CUSTOMER_SET, customer("W-0004", "Before")).await?;
    let before = admin.json(&row(CUSTOMER_SET, &id)).await?;
    let change = json!({ "mserp_organizationname": "After", "mserp_creditlimit": 12.5 });
    let answer = admin.patch(&row(CUSTOMER_SET, &id), &[("If-Match", "*")], change.clone()).await?;
    let answer = answer.expect(204)?;
    ensure!(answer.id()? == id, "{answer:?}");
    let after = admin.json(&row(CUSTOMER_SET, &id)).await?;
    matches(&after, &change)?;
    let mut expected = before.clone();
    for name in [
        "mserp_organizationname",
        "mserp_creditlimit",
        "mserp_modifieddatetime",
        "mserp_recordversion",
        "@odata.etag",
    ] {
        ensure!(before[name] != after[name], "{name} is as before");
        expected[name] = after[name].clone();
    }
    ensure!(expected == after, "{expected}\n{after}");
    // The customer's own table is left alone when only the party changes.
    let version = after["mserp_recordversion"].clone();
    let change = json!({ "mserp_namealias": "alias" });
    admin.patch(&row(CUSTOMER_SET, &id), &[("If-Match", "*")], change).await?.expect(204)?;
    let last = admin.json(&row(CUSTOMER_SET, &id)).await?;
    ensure!(last["mserp_recordversion"] == version, "{last}");
    ensure!(last["@odata.etag"] != after["@odata.etag"], "the version of the row did not change");
    Ok(())
}

async fn an_update_adds_the_row_of_an_optional_table(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = admin.create(CUSTOMER_SET, customer("W-0005", "No address")).await?;
    let change = json!({ "mserp_addressstreet": "2 New Street", "mserp_addresscountryregionid": "USA",
        "mserp_primarycontactemail": "new@b.example" });
    admin
        .patch(&row(CUSTOMER_SET, &id), &[("If-Match", "*")], change.clone())
        .await?
        .expect(204)?;
    matches(&admin.json(&row(CUSTOMER_SET, &id)).await?, &change)?;
    let change = json!({ "mserp_addressstreet": "3 New Street" });
    admin
        .patch(&row(CUSTOMER_SET, &id), &[("If-Match", "*")], change.clone())
        .await?
        .expect(204)?;
    matches(&admin.json(&row(CUSTOMER_SET, &id)).await?, &change)?;
    let addresses = "SELECT count(*) FROM erp.logisticspostaladdress a JOIN erp.custtable c
        ON c.party = a.party WHERE c.accountnum = 'W-0005'";
    ensure!(world.erp.count(addresses).await? == 1, "not one address");
    Ok(())
}

async fn a_row_is_updated_by_its_alternate_key(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    admin.create(CUSTOMER_SET, customer("W-0006", "By key")).await?;
    let key = format!("{CUSTOMER_SET}(mserp_customeraccount='w-0006',mserp_dataareaid='usmf')");
    let change = json!({ "mserp_creditrating": "Good" });
    admin.patch(&key, &[("If-Match", "*")], change.clone()).await?.expect(204)?;
    matches(&admin.json(&customer_key("W-0006")).await?, &change)?;
    admin.delete(&key).await?.expect(204)?;
    let answer = admin.get(&customer_key("W-0006")).await?;
    assert_error(&answer, 404, "0x80060891", "")
}

async fn null_and_the_empty_date_are_written(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let mut body = customer("W-0007", "Nulls");
    body["mserp_creditreviewdate"] = json!("2027-01-01");
    body["mserp_paymentterms"] = json!("Net10");
    let id = admin.create(CUSTOMER_SET, body).await?;
    let nothing = json!({ "mserp_creditreviewdate": null, "mserp_paymentterms": null });
    admin
        .patch(&row(CUSTOMER_SET, &id), &[("If-Match", "*")], nothing.clone())
        .await?
        .expect(204)?;
    matches(&admin.json(&row(CUSTOMER_SET, &id)).await?, &nothing)?;
    let stored = "SELECT count(*) FROM erp.custtable
        WHERE accountnum = 'W-0007' AND creditreviewdate = '1900-01-01' AND paymtermid IS NULL";
    ensure!(world.erp.count(stored).await? == 1);
    Ok(())
}

async fn an_upsert_creates_and_then_updates(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let key = customer_key("W-0008");
    let body = json!({ "mserp_organizationname": "Upserted", "mserp_customergroupid": "10" });
    let answer = admin.patch(&key, &[], body.clone()).await?.expect(204)?;
    let id = answer.id()?;
    matches(&admin.json(&key).await?, &body)?;
    // Values that are the key's are dropped.
    let body =
        json!({ "mserp_organizationname": "Upserted again", "mserp_customeraccount": "W-0008" });
    let answer = admin.patch(&key, &[], body).await?.expect(204)?;
    ensure!(answer.id()? == id, "another row");
    let prefer = [("Prefer", "return=representation")];
    let body = json!({ "mserp_notes": "again" });
    let answer = admin.patch(&key, &prefer, body.clone()).await?.expect(200)?;
    let tag = answer.header("etag").to_owned();
    let updated = answer.parse()?;
    ensure!(
        updated["@odata.etag"] == tag.as_str() && updated[CUSTOMER_ID] == id.as_str(),
        "{updated}"
    );
    let body = json!({ "mserp_organizationname": "Other", "mserp_customergroupid": "10" });
    let answer = admin.patch(&customer_key("W-0009"), &prefer, body.clone()).await?.expect(201)?;
    matches(&answer.parse()?, &body)?;
    let both = "SELECT count(*) FROM erp.custtable WHERE accountnum IN ('W-0008', 'W-0009')";
    ensure!(world.erp.count(both).await? == 2);
    Ok(())
}

async fn if_match_any_forbids_creating_and_if_none_match_any_updating(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let key = customer_key("W-0010");
    let before = world.both().await?;
    let body = json!({ "mserp_organizationname": "Nobody", "mserp_customergroupid": "10" });
    let answer = admin.patch(&key, &[("If-Match", "*")], body.clone()).await?;
    assert_error(&answer, 404, "", "").or_else(|_| assert_error(&answer, 404, "0x80060891", ""))?;
    let nobody = row(CUSTOMER_SET, "00000000-0000-0000-0000-000000000001");
    let answer = admin.patch(&nobody, &[("If-Match", "*")], body.clone()).await?;
    assert_error(&answer, 404, "0x80040217", "Does Not Exist")?;
    world.unchanged(&before).await?;
    // What most clients send with everything is no condition.
    admin.patch(&key, &[("If-None-Match", "null")], body.clone()).await?.expect(204)?;
    let before = world.both().await?;
    let answer = admin.patch(&key, &[("If-None-Match", "*")], body.clone()).await?;
    assert_error(&answer, 412, "0x80040237", "A record with matching key values already exists.")?;
    world.unchanged(&before).await?;
    admin.patch(&customer_key("W-0011"), &[("If-None-Match", "*")], body).await?.expect(204)?;
    Ok(())
}

async fn a_customer_is_deleted_with_its_party(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = admin.create(CUSTOMER_SET, customer("W-0012", "Goes")).await?;
    let parties = "SELECT count(*) FROM erp.dirpartytable WHERE name = 'Goes'";
    ensure!(world.erp.count(parties).await? == 1);
    let answer = admin.delete(&row(CUSTOMER_SET, &id)).await?.expect(204)?;
    ensure!(answer.body.is_empty(), "{answer:?}");
    ensure!(world.erp.count(parties).await? == 0, "the party is still there");
    for answer in
        [admin.delete(&row(CUSTOMER_SET, &id)).await?, admin.get(&row(CUSTOMER_SET, &id)).await?]
    {
        let text = format!("With Id = {id} Does Not Exist");
        assert_error(&answer, 404, "0x80040217", &text)?;
    }
    Ok(())
}

async fn a_party_that_somebody_else_needs_stays(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let id = admin.create(CUSTOMER_SET, customer("W-0013", "Shared")).await?;
    world.erp.execute(
        "INSERT INTO erp.custtable (dataareaid, accountnum, party, custgroup)
         SELECT 'USRT', accountnum, party, custgroup FROM erp.custtable WHERE accountnum = 'W-0013'",
    ).await?;
    admin.delete(&row(CUSTOMER_SET, &id)).await?.expect(204)?;
    let left = "SELECT count(*) FROM erp.custtable c JOIN erp.dirpartytable p ON p.recid = c.party
        WHERE c.accountnum = 'W-0013' AND c.dataareaid = 'USRT' AND p.name = 'Shared'";
    ensure!(world.erp.count(left).await? == 1, "the other customer suffered");
    Ok(())
}

async fn a_customer_with_orders_cannot_be_deleted(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let account = world
        .text("SELECT custaccount FROM erp.salestable WHERE dataareaid = 'USMF' ORDER BY 1 LIMIT 1")
        .await?;
    let before = world.both().await?;
    let answer = admin.delete(&customer_key(&account)).await?;
    assert_error(&answer, 405, "0x80040227", "")?;
    world.unchanged(&before).await
}

async fn orders_take_number_defaults_and_totals_from_the_erp(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let item = world.item().await?;
    let buyer = admin.create(CUSTOMER_SET, customer("W-0014", "Buyer")).await?;
    let order = json!({
        "mserp_dataareaid": "USMF",
        "mserp_FK_OrderingCustomer_id@odata.bind": format!("/{}", row(CUSTOMER_SET, &buyer)),
    });
    let order = admin.create(ORDER_SET, order).await?;
    let given = json!({ "mserp_orderingcustomeraccountnumber": "W-0014", "mserp_salesordername": "Buyer",
        "mserp_invoicecustomeraccountnumber": "W-0014", "mserp_currencycode": "USD",
        "mserp_paymenttermsname": "Net30", "mserp_ordertotalamount": 0, "mserp_numberoflines": 0 });
    let read = admin.json(&row(ORDER_SET, &order)).await?;
    matches(&read, &given)?;
    let number = read["mserp_salesordernumber"].as_str().context("no number")?.to_owned();
    ensure!(number.starts_with("SO-"), "{number}");
    let line = json!({
        "mserp_dataareaid": "USMF", "mserp_itemnumber": item, "mserp_orderedsalesquantity": 3,
        "mserp_salesprice": 10.5, (format!("{ORDER}@odata.bind")): row(ORDER_SET, &order),
    });
    let line = admin.create(LINE_SET, line).await?;
    let given = json!({ "mserp_salesordernumber": number, "mserp_linecreationsequencenumber": 1,
        "mserp_lineamount": 31.5 });
    matches(&admin.json(&row(LINE_SET, &line)).await?, &given)?;
    let totals = json!({ "mserp_ordertotalamount": 31.5, "mserp_numberoflines": 1 });
    matches(&admin.json(&row(ORDER_SET, &order)).await?, &totals)?;
    let change = json!({ "mserp_orderedsalesquantity": 4 });
    admin.patch(&row(LINE_SET, &line), &[("If-Match", "*")], change).await?.expect(204)?;
    matches(&admin.json(&row(ORDER_SET, &order)).await?, &json!({ "mserp_ordertotalamount": 42 }))?;
    admin.delete(&row(LINE_SET, &line)).await?.expect(204)?;
    let totals = json!({ "mserp_ordertotalamount": 0, "mserp_numberoflines": 0 });
    matches(&admin.json(&row(ORDER_SET, &order)).await?, &totals)?;
    admin.delete(&row(ORDER_SET, &order)).await?.expect(204)?;
    ensure!(
        world.erp.count("SELECT count(*) FROM erp.custtable WHERE accountnum = 'W-0014'").await?
            == 1,
        "the order's customer went with it"
    );
    Ok(())
}

async fn an_order_is_inserted_with_its_lines(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let item = world.item().await?;
    let line = |quantity: u32| {
        json!({ "mserp_dataareaid": "USMF", "mserp_itemnumber": item,
        "mserp_orderedsalesquantity": quantity, "mserp_salesprice": 2 })
    };
    let order = json!({
        "mserp_dataareaid": "USMF", "mserp_customersorderreference": "deep",
        "mserp_FK_OrderingCustomer_id": customer("W-0015", "Deep"),
        (LINES): [line(1), line(2), line(3)],
    });
    let order = admin.create(ORDER_SET, order).await?;
    let path = format!(
        "{}?$expand={LINES}($select=mserp_lineamount),mserp_FK_OrderingCustomer_id($select=mserp_organizationname)",
        row(ORDER_SET, &order)
    );
    let read = admin.json(&path).await?;
    matches(&read, &json!({ "mserp_ordertotalamount": 12, "mserp_numberoflines": 3 }))?;
    ensure!(read[LINES].as_array().map(Vec::len) == Some(3), "{read}");
    ensure!(read["mserp_FK_OrderingCustomer_id"]["mserp_organizationname"] == "Deep", "{read}");
    // One line that cannot be: neither order nor customer.
    let before = world.both().await?;
    let mut bad = line(1);
    bad["mserp_itemnumber"] = json!("NO-SUCH-ITEM");
    let order = json!({
        "mserp_dataareaid": "USMF", "mserp_FK_OrderingCustomer_id": customer("W-0016", "Deeper"),
        (LINES): [line(1), bad],
    });
    let answer = admin.post(ORDER_SET, order).await?.expect(400)?;
    ensure!(answer.body.contains("error"), "{answer:?}");
    world.unchanged(&before).await
}

async fn a_business_rule_of_the_erp_speaks_for_itself(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let number = world.text("SELECT salesid FROM erp.salestable WHERE dataareaid = 'USMF' AND salesstatus = 3 ORDER BY 1 LIMIT 1").await?;
    let order = format!("{ORDER_SET}(mserp_dataareaid='USMF',mserp_salesordernumber='{number}')");
    let before = world.both().await?;
    let change = json!({ "mserp_notes": "too late" });
    let answer = admin.patch(&order, &[("If-Match", "*")], change).await?;
    let text = format!("Sales order {number} is invoiced and cannot be changed.");
    assert_error(&answer, 400, "0x80048d0b", &text)?;
    let message = answer.parse()?["error"]["message"].clone();
    ensure!(message == text, "not verbatim: {message}");
    let answer = admin.delete(&order).await?;
    let text = format!("Sales order {number} is delivered or invoiced and cannot be deleted.");
    assert_error(&answer, 400, "0x80048d0b", &text)
        .or_else(|_| assert_error(&answer, 405, "0x80040227", ""))?;
    world.unchanged(&before).await
}

async fn a_company_may_be_given_by_its_lookup(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let companies =
        admin.json("cdm_companies?$select=cdm_companyid&$filter=cdm_companycode eq 'DEMF'").await?;
    let company = companies["value"][0]["cdm_companyid"].as_str().context("no company")?;
    let group = json!({
        "mserp_customergroupid": "W1", "mserp_description": "Of DEMF",
        "mserp_dataAreaId_id@odata.bind": format!("/cdm_companies({company})"),
    });
    let id = admin.create(GROUP_SET, group).await?;
    let read = admin.json(&row(GROUP_SET, &id)).await?;
    matches(&read, &json!({ "mserp_dataareaid": "DEMF", "mserp_description": "Of DEMF" }))?;
    ensure!(
        read["_mserp_dataareaid_id_value"] == company && read[GROUP_ID] == id.as_str(),
        "{read}"
    );
    // Both at once say the company twice.
    let before = world.both().await?;
    let twice = json!({
        "mserp_customergroupid": "W2", "mserp_dataareaid": "DEMF",
        "mserp_dataAreaId_id@odata.bind": format!("/cdm_companies({company})"),
    });
    let answer = admin.post(GROUP_SET, twice).await?.expect(400)?;
    ensure!(answer.body.contains("defined by more than one logical field"), "{answer:?}");
    world.unchanged(&before).await
}

async fn the_put_of_an_older_client_is_an_upsert(world: &World) -> Result<()> {
    let admin = world.admin().await?;
    let key = customer_key("W-0017");
    let body = json!({ "mserp_organizationname": "Put", "mserp_customergroupid": "10" });
    let prefer = [("Prefer", "return=representation")];
    admin.send(Method::PUT, &key, &prefer, Some(body.clone())).await?.expect(201)?;
    let change = json!({ "mserp_notes": "n" });
    let answer = admin.send(Method::PUT, &key, &prefer, Some(change)).await?.expect(200)?;
    matches(&answer.parse()?, &body)
}
