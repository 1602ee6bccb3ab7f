//! What is written, and what runs.

use super::*;

fn not_found() -> (String, String) {
    ("RECORD_NOT_FOUND".to_owned(), "Customers".to_owned())
}

fn denied() -> (String, String) {
    ("PRIVILEGE_DENIED".to_owned(), "Customers".to_owned())
}

fn upsert(account: &str, values: &[(&str, Value)]) -> Kind {
    Kind::Upsert(pb::UpsertRequest {
        entity_name: "Customers".into(),
        key: Some(by_key(&[("Account", text(account))])),
        values: fields(values),
        ..Default::default()
    })
}

#[tokio::test]
async fn a_row_that_is_kept_can_be_neither_changed_nor_deleted() {
    let mut shop = Shop::new().await;
    let name = [("Name", text("x"))];
    for row in [3, 9] {
        let update = update("Customers", &id(row), &name, "");
        assert_eq!(shop.refused(&ann(), update, "entity").await, not_found());
        let delete = delete("Customers", &id(row), "");
        assert_eq!(shop.refused(&ann(), delete, "entity").await, not_found());
    }
    shop.write(&ann(), update("Customers", &id(1), &name, "")).await.unwrap();
    let first = update("Customers", &id(1), &name, "");
    assert_eq!(shop.refused(&bob_for_ann(), first, "entity").await, not_found());
    shop.write(&bob_for_ann(), update("Customers", &id(2), &name, "")).await.unwrap();
    let names = "SELECT string_agg(name, ' ' ORDER BY id) FROM customers";
    assert_eq!(shop.one(names).await.unwrap(), "x x Cee");
    shop.one("DELETE FROM orders").await;
    shop.write(&ann(), delete("Customers", &id(1), "")).await.unwrap();
    assert_eq!(shop.one(names).await.unwrap(), "x Cee");
}

#[tokio::test]
async fn no_row_leaves_the_sight_of_who_writes_it() {
    let mut shop = Shop::new().await;
    let row = |account: &str| [("Company", text("USMF")), ("Account", text(account))];
    let made = create("Customers", &row("M"));
    assert_eq!(shop.refused(&ann(), made, "entity").await, denied());
    assert_eq!(shop.refused(&ann(), upsert("M", &row("M")[..1]), "entity").await, denied());
    let moved = update("Customers", &id(1), &[("Account", text("M"))], "");
    assert_eq!(shop.refused(&ann(), moved, "entity").await, denied());
    // It would be seen by one of both only.
    assert_eq!(
        shop.refused(&bob_for_ann(), create("Customers", &row("N")), "entity").await,
        denied()
    );
    let accounts = "SELECT string_agg(account, ' ' ORDER BY id) FROM customers";
    assert_eq!(shop.one(accounts).await.unwrap(), "A B C");
    shop.write(&ann(), create("Customers", &row("N"))).await.unwrap();
    shop.write(&ann(), upsert("N", &[("Name", text("new"))])).await.unwrap();
    assert_eq!(shop.one(accounts).await.unwrap(), "A B C N");
}

#[tokio::test]
async fn what_must_be_unique_does_not_tell_of_rows_that_are_kept() {
    let mut shop = Shop::new().await;
    shop.one("UPDATE customers SET tag = account").await;
    let tag = update("Customers", &id(1), &[("Tag", text("C"))], "");
    let cannot = ("INVALID_VALUE".to_owned(), "Tag".to_owned());
    assert_eq!(shop.refused(&ann(), tag, "column").await, cannot);
    // A key that is taken is refused as one is that would make a row out of sight.
    let company = [("Company", text("USMF"))];
    for account in ["C", "M"] {
        let row = [company[0].clone(), ("Account", text(account))];
        let named = update("Customers", &id(1), &row[1..], "");
        for attempt in [upsert(account, &company), create("Customers", &row), named] {
            assert_eq!(shop.refused(&ann(), attempt, "entity").await, denied(), "{account}");
        }
    }
    for tag in ["C", "M"] {
        let row = [company[0].clone(), ("Account", text("M")), ("Tag", text(tag))];
        let made = create("Customers", &row);
        assert_eq!(shop.refused(&ann(), made, "entity").await, denied(), "{tag}");
    }
}

#[tokio::test]
async fn a_row_of_another_company_cannot_be_referred_to_by_a_field_that_names_companies() {
    let mut shop = Shop::new().await;
    let mut entity = orders();
    entity.relations.push(relation("Elsewhere", &[("Account", "Company"), ("Amount", "Id")]));
    shop.entities.0.insert("Orders", Arc::new(Binding::try_from(entity).unwrap()));
    shop.one("UPDATE customers SET company = 'DEMF' WHERE id = 3").await;
    let who = who::context(who::clerk("usmf", who::only(&["USMF"]), everything()));
    let to = |company: &str, number| {
        let values = [("Account", text(company)), ("Amount", Value::Int64Value(number))];
        update("Orders", &id(12), &values, "")
    };
    for number in [3, 9] {
        let refused = shop.refused(&who, to("DEMF", number), "").await.0;
        assert_eq!(refused, "REFERENCE_NOT_FOUND", "{number}");
    }
}

#[tokio::test]
async fn the_erp_says_nothing_of_rows_that_are_kept() {
    let mut shop = Shop::new().await;
    let sql = "CREATE FUNCTION blocked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM customers WHERE account = NEW.account AND secret > 5) THEN
                RAISE EXCEPTION 'Customer % is blocked.', NEW.account;
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER blocked BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION blocked()";
    sqlx::raw_sql(sql).execute(&mut shop.connection).await.unwrap();
    let order = |account: &str| [("Company", text("USMF")), ("Account", text(account))];
    let refused = ("REFERENCE_NOT_FOUND".to_owned(), "Account".to_owned());
    for account in ["C", "none"] {
        let made = create("Orders", &order(account));
        assert_eq!(shop.refused(&ann(), made, "column").await, refused, "{account}");
        let changed = update("Orders", &id(12), &order(account)[1..], "");
        assert_eq!(shop.refused(&ann(), changed, "column").await, refused, "{account}");
    }
    let own = shop.write(&ann(), create("Orders", &order("A"))).await.unwrap_err();
    assert_eq!(own.message(), "Customer A is blocked.");
}

#[tokio::test]
async fn a_row_that_would_leave_by_what_it_names_says_nothing_of_that() {
    let mut shop = Shop::new().await;
    // Who may not see the payer may not see who it pays for.
    let predicate = format!("({OWN}) AND coalesce(c.pays, 'A') IN ('A', 'B')");
    let policy = catalog::RowPolicy { name: "Own".into(), roles: vec!["Portal".into()], predicate };
    let entity = catalog::DataEntity { row_policies: vec![policy], ..customers() };
    shop.entities.0.insert("Customers", Arc::new(Binding::try_from(entity).unwrap()));
    let refused = ("REFERENCE_NOT_FOUND".to_owned(), "Pays".to_owned());
    for payer in ["C", "none"] {
        let pays = update("Customers", &id(1), &[("Pays", text(payer))], "");
        assert_eq!(shop.refused(&ann(), pays, "column").await, refused, "{payer}");
    }
}

#[tokio::test]
async fn a_row_that_is_kept_cannot_be_referred_to() {
    let mut shop = Shop::new().await;
    let order = |name: &'static str, value: Value| {
        [("Company", text("USMF")), ("Amount", Value::Int64Value(5)), (name, value)]
    };
    for (name, kept, none, own) in [
        ("Customer", Value::Int64Value(3), Value::Int64Value(9), Value::Int64Value(1)),
        ("Account", text("C"), text("none"), text("A")),
    ] {
        let refused = ("REFERENCE_NOT_FOUND".to_owned(), name.to_owned());
        for value in [kept, none] {
            let made = create("Orders", &order(name, value.clone()));
            assert_eq!(shop.refused(&ann(), made, "column").await, refused);
            let changed = update("Orders", &id(12), &[(name, value)], "");
            assert_eq!(shop.refused(&ann(), changed, "column").await, refused);
        }
        shop.write(&ann(), create("Orders", &order(name, own))).await.unwrap();
        shop.write(&ann(), update("Orders", &id(12), &[(name, null())], "")).await.unwrap();
    }
    let count = "SELECT count(*)::text FROM orders";
    assert_eq!(shop.one(count).await.unwrap(), "5");
    // A row may refer to itself.
    let pays = update("Customers", &id(1), &[("Pays", text("A"))], "");
    shop.write(&ann(), pays).await.unwrap();
    let own = [("Company", text("USMF")), ("Account", text("N")), ("Pays", text("N"))];
    shop.write(&ann(), create("Customers", &own)).await.unwrap();
    let pays = update("Customers", &id(1), &[("Pays", text("C"))], "");
    let refused = ("REFERENCE_NOT_FOUND".to_owned(), "Pays".to_owned());
    assert_eq!(shop.refused(&ann(), pays.clone(), "column").await, refused);
    shop.write(&clerk(), pays).await.unwrap();
}

#[tokio::test]
async fn an_action_runs_on_rows_that_may_be_seen() {
    let mut shop = Shop::new().await;
    let touch = |row| {
        Kind::PerformAction(pb::PerformActionRequest {
            entity_name: "Customers".into(),
            action: "Touch".into(),
            key: Some(by_id(&id(row))),
            ..Default::default()
        })
    };
    for (who, row) in [(ann(), 3), (ann(), 9), (bob_for_ann(), 1)] {
        assert_eq!(shop.refused(&who, touch(row), "entity").await, not_found());
    }
    shop.write(&bob_for_ann(), touch(2)).await.unwrap();
    let names = "SELECT string_agg(name, ' ' ORDER BY id) FROM customers";
    assert_eq!(shop.one(names).await.unwrap(), "Ann touched Cee");
}

#[tokio::test]
async fn fields_that_may_not_be_written_are_not() {
    let mut shop = Shop::new().await;
    let column_denied = async |kind: Kind, column: &str, privilege: &str| {
        let status = shop.write(&blind(), kind).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        assert_eq!(why(&status, "column"), ("COLUMN_DENIED".into(), column.into()));
        assert_eq!(why(&status, "privilege").1, privilege);
    };
    let row = |column, value| [("Company", text("USMF")), ("Account", text("Z")), (column, value)];
    for (column, value) in [("Name", text("x")), ("Secret", Value::Int64Value(1))] {
        column_denied(create("Customers", &row(column, value.clone())), column, "create").await;
        let change = [(column, value)];
        column_denied(update("Customers", &id(1), &change, ""), column, "update").await;
        column_denied(upsert("A", &change), column, "update").await;
    }
    let tag = [("Tag", text("t"))];
    shop.write(&blind(), update("Customers", &id(1), &tag, "")).await.unwrap();
    let row = "SELECT concat_ws(' ', name, secret, tag) FROM customers WHERE id = 1";
    assert_eq!(shop.one(row).await.unwrap(), "Ann 10 t");
}

#[tokio::test]
async fn a_refusal_tells_nothing_of_hidden_values() {
    let mut shop = Shop::new().await;
    shop.one("UPDATE customers SET secret = 999 WHERE id = 1").await;
    let sql = "CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.secret := NEW.secret + 777; RETURN NEW; END $$;
        CREATE TRIGGER raise BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION raise()";
    sqlx::raw_sql(sql).execute(&mut shop.connection).await.unwrap();
    let update = update("Customers", &id(1), &[("Tag", text("t"))], "");
    let status = shop.write(&blind(), update).await.unwrap_err();
    assert_eq!(status.message(), "`Secret` is not allowed");
    let all = format!("{status:?}");
    assert!(!all.contains("999") && !all.contains("1776"), "{all}");
}
