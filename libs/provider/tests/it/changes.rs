//! Which rows of entities changed, by what was written into their tables.

use crate::who;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::Scratch;
use proto::catalog::v1 as catalog;
use proto::catalog::v1::{FieldType, RecordIdentityKind};
use proto::query::v1 as pb;
use proto::query::v1::change_tracking_service_server::ChangeTrackingService as _;
use provider::{
    Authority, Binding, ChangeTracking, Grant, Pool, PoolOptions, Privilege, Provider, Refused,
    Retention, record_guid,
};
use rpc::{Caller, Companies, ErrorReason};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tonic::{Request, Status};
use uuid::Uuid;

const ENTITY_ID: u32 = 11_000;
const A_DAY: Retention = Retention(Duration::from_secs(86_400));
const SHOP: &str = "
    CREATE DOMAIN code AS text NOT NULL;
    CREATE TABLE country (id int PRIMARY KEY, name text);
    CREATE TABLE party (id bigint PRIMARY KEY, name text, country int REFERENCES country);
    CREATE TABLE customer (
        id bigint PRIMARY KEY, company code, party bigint REFERENCES party, note text, mark code DEFAULT 'm'
    );
    CREATE TABLE pair (a text, b date, note text, PRIMARY KEY (a, b));
    CREATE TABLE kept (id bigint);
    CREATE TABLE thing (id uuid PRIMARY KEY, note text);
    CREATE VIEW seen AS SELECT * FROM thing;
    INSERT INTO country VALUES (1, 'A'), (2, 'B');
    INSERT INTO party VALUES (10, 'p', 1), (11, 'q', 2), (12, 'r', NULL);
    INSERT INTO customer VALUES (1, 'USMF', 10), (2, 'usmf', 10), (3, 'DEMF', 11), (4, 'DEMF', NULL)";

struct World {
    _scratch: Scratch,
    connection: PgConnection,
    tracking: ChangeTracking,
    capture: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Entities(HashMap<String, Arc<Binding>>);

impl Authority for Entities {
    fn grant(&self, caller: &Caller, entity: &str, privilege: Privilege) -> Result<Grant, Refused> {
        let binding = self.0.get(entity).cloned().ok_or(Refused::Unknown)?;
        Grant::of(caller, binding, privilege).map_err(Refused::Denied)
    }
}

impl World {
    async fn new() -> Self {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("test").await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(SHOP).execute(&mut connection).await.unwrap();
        let pool = Pool::new(&url, &PoolOptions::default()).unwrap();
        let entities = Entities(entities());
        let bindings: Vec<_> = entities.0.values().cloned().collect();
        let provider = Provider::new(pool, "test");
        let tracking = ChangeTracking::new(provider, Arc::new(entities), A_DAY);
        let capture = tokio::spawn(tracking.clone().run());
        tracking.want(bindings.iter().map(AsRef::as_ref));
        Self { _scratch: scratch, connection, tracking, capture }
    }

    async fn run(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await.unwrap();
    }

    async fn position(&self, entity: &str) -> String {
        let request = pb::GetChangePositionRequest { entity_name: entity.to_owned() };
        let answer = self.tracking.get_change_position(ask(request, &admin())).await.unwrap();
        answer.into_inner().position
    }

    async fn list(
        &self,
        caller: &Arc<Caller>,
        request: pb::ListEntityChangesRequest,
    ) -> Result<pb::ListEntityChangesResponse, Status> {
        let answer = self.tracking.list_entity_changes(ask(request, caller)).await;
        answer.map(tonic::Response::into_inner)
    }

    /// Numbers of the customers that changed, those that the caller never saw in brackets.
    async fn customers(&self, caller: &Arc<Caller>, after: &str) -> Vec<String> {
        let listed = self.list(caller, request("customer", after)).await.unwrap();
        listed.changes.iter().map(customer).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.capture.abort();
    }
}

fn customer(change: &pb::EntityChange) -> String {
    let id = Uuid::from_slice(&change.record_id).unwrap();
    let id = provider::decode_record_guid(ENTITY_ID, id).unwrap();
    if change.was_visible { id.to_string() } else { format!("({id})") }
}

fn request(entity: &str, after: &str) -> pb::ListEntityChangesRequest {
    pb::ListEntityChangesRequest {
        entity_name: entity.to_owned(),
        after_position: after.to_owned(),
        ..Default::default()
    }
}

fn ask<T>(message: T, caller: &Arc<Caller>) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Arc::clone(caller));
    request
}

fn admin() -> Arc<Caller> {
    caller(true, Companies::All)
}

fn clerk_of(company: &str) -> Arc<Caller> {
    caller(false, Companies::Only(vec![company.to_owned()]))
}

fn caller(administrator: bool, companies: Companies) -> Arc<Caller> {
    Arc::new(match administrator {
        true => who::administrator(),
        false => who::clerk("somebody", companies, vec![who::grant(&["customer"], who::READ)]),
    })
}

fn entities() -> HashMap<String, Arc<Binding>> {
    let customer = catalog::DataEntity {
        sources: vec![
            source("c", "customer", &[]),
            source("p", "party", &[("id", "c", "party")]),
            source("l", "country", &[("id", "p", "country")]),
        ],
        company_field: "company".into(),
        fields: vec![
            field("id", "c"),
            field("company", "c"),
            field("name", "p"),
            field("name2", "l"),
        ],
        ..entity("customer", RecordIdentityKind::Integer, &["id"])
    };
    // The company is that of a joined table, by an expression.
    let company = catalog::data_field::Source::Expression("upper(c.company)".into());
    let party = catalog::DataEntity {
        name: "customer_of_party".into(),
        sources: vec![source("p", "party", &[]), source("c", "customer", &[("party", "p", "id")])],
        company_field: "company".into(),
        fields: vec![catalog::DataField { source: Some(company), ..field("company", "c") }],
        ..entity("party", RecordIdentityKind::Integer, &["id"])
    };
    // Whoever may see a customer by its party: were that gone, it would be anybody.
    let policies = [
        (vec![], "coalesce(p.name, :user) = :user"),
        (vec!["Clerk".to_owned()], "c.id NOT IN (SELECT k.id FROM kept AS k)"),
    ];
    let policies = policies.map(|(roles, predicate)| catalog::RowPolicy {
        name: predicate.into(),
        roles,
        predicate: predicate.into(),
    });
    let own = catalog::DataEntity {
        sources: vec![source("c", "customer", &[]), source("p", "party", &[("id", "c", "party")])],
        row_policies: policies.into(),
        fields: vec![field("id", "c"), field("name", "p")],
        name: "own_customer".into(),
        ..entity("customer", RecordIdentityKind::Integer, &["id"])
    };
    let untracked = catalog::DataEntity {
        name: "untracked".into(),
        change_tracking: false,
        ..entity("thing", RecordIdentityKind::Uuid, &["id"])
    };
    let entities = [
        customer,
        party,
        own,
        untracked,
        entity("pair", RecordIdentityKind::Hash, &["a", "b"]),
        entity("thing", RecordIdentityKind::Uuid, &["id"]),
        entity("seen", RecordIdentityKind::Uuid, &["id"]),
    ];
    let binding = |it: catalog::DataEntity| (it.name.clone(), Arc::new(it.try_into().unwrap()));
    entities.map(binding).into()
}

fn entity(table: &str, kind: RecordIdentityKind, id: &[&str]) -> catalog::DataEntity {
    let columns = id.iter().map(|it| (*it).to_owned()).collect();
    catalog::DataEntity {
        name: table.into(),
        entity_id: ENTITY_ID,
        sources: vec![source("t", table, &[])],
        record_identity: Some(catalog::RecordIdentity { kind: kind.into(), columns }),
        fields: vec![field("note", "t")],
        change_tracking: true,
        ..Default::default()
    }
}

fn source(alias: &str, table: &str, join: &[(&str, &str, &str)]) -> catalog::DataSource {
    let column = |(column, alias, other): &(&str, &str, &str)| catalog::JoinColumn {
        column: (*column).into(),
        other: Some(catalog::ColumnPath { alias: (*alias).into(), column: (*other).into() }),
    };
    let columns: Vec<_> = join.iter().map(column).collect();
    catalog::DataSource {
        alias: alias.into(),
        schema: "public".into(),
        table: table.into(),
        join: (!join.is_empty()).then_some(catalog::DataSourceJoin { optional: true, columns }),
        is_view: false,
    }
}

fn field(name: &str, alias: &str) -> catalog::DataField {
    let column = name.trim_end_matches('2').to_owned();
    let path = catalog::ColumnPath { alias: alias.into(), column };
    catalog::DataField {
        name: name.into(),
        source: Some(catalog::data_field::Source::Column(path)),
        r#type: FieldType::String.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn rows_come_once_in_the_order_of_their_last_changes() {
    let mut world = World::new().await;
    let start = world.position("customer").await;
    assert!(world.customers(&admin(), &start).await.is_empty());
    world.run("UPDATE customer SET note = 'x' WHERE id = 3").await;
    world.run("INSERT INTO customer VALUES (5, 'USMF'), (6, 'USMF')").await;
    world
        .run("UPDATE customer SET note = 'y' WHERE id = 3; DELETE FROM customer WHERE id = 5")
        .await;
    // No change at all.
    world.run("UPDATE customer SET note = note").await;
    assert_eq!(world.customers(&admin(), &start).await, ["6", "3", "5"]);
    let middle = world.position("customer").await;
    // Another id is another row.
    world.run("UPDATE customer SET id = 40 WHERE id = 4").await;
    assert_eq!(world.customers(&admin(), &middle).await.len(), 2);
}

#[tokio::test]
async fn a_joined_row_changes_those_that_join_to_it() {
    let mut world = World::new().await;
    let start = world.position("customer").await;
    world.run("UPDATE party SET name = 'pp' WHERE id = 10").await;
    let mut changed = world.customers(&admin(), &start).await;
    changed.sort();
    assert_eq!(changed, ["1", "2"]);
    let middle = world.position("customer").await;
    world.run("UPDATE country SET name = 'BB' WHERE id = 2").await;
    assert_eq!(world.customers(&admin(), &middle).await, ["3"], "over a table in between");
    let middle = world.position("customer").await;
    world.run("BEGIN; UPDATE customer SET party = 12 WHERE id = 3; DELETE FROM party WHERE id = 11; COMMIT").await;
    assert_eq!(world.customers(&admin(), &middle).await, ["3"]);
    let middle = world.position("customer").await;
    world
        .run("INSERT INTO country VALUES (3, 'C'); UPDATE country SET name = 'D' WHERE id = 3")
        .await;
    assert!(world.customers(&admin(), &middle).await.is_empty(), "nobody joins to it");
}

#[tokio::test]
async fn only_who_saw_a_row_is_told_that_it_is_gone() {
    let mut world = World::new().await;
    let start = world.position("customer").await;
    world.run("DELETE FROM customer WHERE id IN (2, 4)").await;
    world.run("UPDATE customer SET company = 'DEMF' WHERE id = 1").await;
    world.run("INSERT INTO customer VALUES (7, 'FRRT'); DELETE FROM customer WHERE id = 7").await;
    assert_eq!(world.customers(&admin(), &start).await, ["2", "4", "1", "7"]);
    // In whichever letter case the company is written.
    assert_eq!(world.customers(&clerk_of("USMF"), &start).await, ["2", "1"]);
    assert_eq!(world.customers(&clerk_of("demf"), &start).await, ["4", "1"]);
    assert!(world.customers(&clerk_of("X"), &start).await.is_empty());
    // Nor is it told that there is something that is not told.
    let page = pb::ListEntityChangesRequest { page_size: 1, ..request("customer", &start) };
    let first = world.list(&clerk_of("demf"), page.clone()).await.unwrap();
    let rest = pb::ListEntityChangesRequest { page_token: first.next_page_token, ..page };
    let rest = world.list(&clerk_of("demf"), rest).await.unwrap();
    assert_eq!((rest.changes.len(), rest.next_page_token.as_str()), (1, ""));
    // What is counted is what is told.
    for (caller, told) in [(admin(), 4), (clerk_of("USMF"), 2), (clerk_of("X"), 0)] {
        let count =
            pb::ListEntityChangesRequest { count_only: true, ..request("customer", &start) };
        assert_eq!(world.list(&caller, count).await.unwrap().total_count, told);
    }
    let nobody = Arc::new(who::clerk("nobody", Companies::All, Vec::new()));
    let refused = world.list(&nobody, request("customer", &start)).await.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::PrivilegeDenied));
}

#[tokio::test]
async fn a_company_may_be_that_of_a_joined_row() {
    let mut world = World::new().await;
    let start = world.position("customer_of_party").await;
    world.run("UPDATE party SET name = 'x' WHERE id IN (10, 11)").await;
    let grants = vec![who::grant(&["customer_of_party"], who::READ)];
    let caller = who::clerk("somebody", who::only(&["USMF"]), grants);
    let listed = world.list(&Arc::new(caller), request("customer_of_party", &start)).await.unwrap();
    let found: Vec<String> = listed.changes.iter().map(customer).collect();
    assert_eq!(found, ["10"]);
}

#[tokio::test]
async fn a_deletion_is_told_to_who_met_the_policies() {
    let mut world = World::new().await;
    let who = |user: &str| {
        let grants = vec![who::grant(&["own_customer"], who::READ)];
        Arc::new(who::clerk(user, Companies::All, grants))
    };
    world
        .run("INSERT INTO customer VALUES (5, 'USMF', 11), (6, 'USMF', 11), (7, 'USMF', 11)")
        .await;
    world
        .run("INSERT INTO party VALUES (13, 'p'); UPDATE customer SET party = 13 WHERE id = 1")
        .await;
    let start = world.position("own_customer").await;
    world.run("INSERT INTO kept VALUES (5)").await;
    world.run("DELETE FROM customer WHERE id IN (1, 3, 4, 5)").await;
    // Of what is gone together with its party, nobody can tell whose it was.
    world
        .run("BEGIN; DELETE FROM customer WHERE id = 2; DELETE FROM party WHERE id = 10; COMMIT")
        .await;
    world.run("UPDATE customer SET note = 'x' WHERE id = 6").await;
    world.run("UPDATE party SET name = 'p' WHERE id = 11").await;
    for (user, expected, told) in
        [("p", vec!["1", "3", "6", "7"], 4), ("q", vec!["6", "7"], 2), ("nobody", vec![], 0)]
    {
        let ask = request("own_customer", &start);
        let listed = world.list(&who(user), ask.clone()).await.unwrap();
        let mut found: Vec<String> = listed.changes.iter().map(customer).collect();
        found.sort_by_key(|it| it.trim_matches(['(', ')']).to_owned());
        let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        expected.sort_by_key(|it| it.trim_matches(['(', ')']).to_owned());
        assert_eq!(found, expected, "{user}");
        let count = pb::ListEntityChangesRequest { count_only: true, ..ask };
        assert_eq!(world.list(&who(user), count).await.unwrap().total_count, told, "{user}");
    }
    let listed = world.list(&admin(), request("own_customer", &start)).await.unwrap();
    assert!(listed.changes.iter().all(|it| it.was_visible));
}

#[tokio::test]
async fn ids_are_those_that_are_read() {
    let mut world = World::new().await;
    let (pairs, things) = (world.position("pair").await, world.position("thing").await);
    let id = Uuid::from_u128(5);
    world.run("INSERT INTO pair VALUES ('a', '2024-02-29'); UPDATE pair SET note = 'n'").await;
    world.run(&format!("INSERT INTO thing VALUES ('{id}'); UPDATE thing SET note = 'n'")).await;
    let listed = world.list(&admin(), request("thing", &things)).await.unwrap();
    assert_eq!(listed.changes.len(), 1);
    assert_eq!(listed.changes[0].record_id, id.as_bytes().as_slice());
    let listed = world.list(&admin(), request("pair", &pairs)).await.unwrap();
    assert_eq!(listed.changes.len(), 1);
    let hash: String =
        sqlx::query_scalar("SELECT left(md5(concat_ws(chr(31), a::text, b::text)), 22) FROM pair")
            .fetch_one(&mut world.connection)
            .await
            .unwrap();
    let hex = Uuid::from_slice(&listed.changes[0].record_id).unwrap().simple().to_string();
    assert_eq!([&hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]].concat(), hash);
}

#[tokio::test]
async fn pages_are_of_one_window() {
    let mut world = World::new().await;
    let start = world.position("customer").await;
    world.run("INSERT INTO customer SELECT i, 'USMF' FROM generate_series(100, 109) AS i").await;
    let mut page = request("customer", &start);
    page.page_size = 4;
    let (mut found, mut positions) = (Vec::new(), Vec::new());
    loop {
        let listed = world.list(&admin(), page.clone()).await.unwrap();
        found.extend(listed.changes.iter().map(customer));
        positions.push(listed.position);
        if listed.next_page_token.is_empty() {
            break;
        }
        page.page_token = listed.next_page_token;
        // Belongs to the next window.
        world.run("INSERT INTO customer SELECT 200 + count(*), 'USMF' FROM customer").await;
    }
    let expected: Vec<String> = (100..110).map(|it: i32| it.to_string()).collect();
    assert_eq!(found, expected);
    positions.dedup();
    assert_eq!(positions.len(), 1);
    assert_eq!(world.customers(&admin(), &positions[0]).await.len(), 2);
    let count = pb::ListEntityChangesRequest { count_only: true, ..request("customer", &start) };
    let counted = world.list(&admin(), count).await.unwrap();
    assert_eq!((counted.total_count, counted.changes.len()), (12, 0));
}

#[tokio::test]
async fn a_changed_schema_does_not_hide_changes() {
    let mut world = World::new().await;
    let start = world.position("customer").await;
    world.run("UPDATE customer SET note = 'old' WHERE id = 1").await;
    world
        .run(
            "ALTER TABLE customer DROP COLUMN note, ADD COLUMN extra code DEFAULT 'e';
             ALTER TABLE customer ALTER COLUMN company TYPE varchar(10), ALTER COLUMN party TYPE int;
             UPDATE customer SET extra = 'f' WHERE id = 3",
        )
        .await;
    assert_eq!(world.customers(&clerk_of("DEMF"), &start).await, ["3"]);
}

#[tokio::test]
async fn what_was_not_given_out_is_refused() {
    let world = World::new().await;
    let start = world.position("customer").await;
    let check = async |request: pb::ListEntityChangesRequest| {
        let refused = world.list(&admin(), request).await.unwrap_err();
        assert_eq!(rpc::reason(&refused), Some(ErrorReason::InvalidValue), "{refused:?}");
    };
    for bad in ["", "x", "AAAA", &start[1..], &"é".repeat(50)] {
        check(request("customer", bad)).await;
    }
    let long = format!("{start}.1");
    for bad in ["x", &start, &long, "..", &format!("{start}.1.2.3"), &format!("{start}.x.1")] {
        check(pb::ListEntityChangesRequest {
            page_token: bad.to_owned(),
            ..request("customer", &start)
        })
        .await;
    }
    for page_size in [-1, 5_001, i32::MAX] {
        check(pb::ListEntityChangesRequest { page_size, ..request("customer", &start) }).await;
    }
    let untracked = world.list(&admin(), request("untracked", &start)).await.unwrap_err();
    assert_eq!(rpc::reason(&untracked), Some(ErrorReason::ChangeTrackingDisabled));
    let unknown = world.list(&admin(), request("nothing", &start)).await.unwrap_err();
    assert_eq!(rpc::reason(&unknown), Some(ErrorReason::EntityNotFound));
}

#[tokio::test]
async fn what_cannot_be_captured_says_why_and_hinders_nobody_else() {
    let mut world = World::new().await;
    let start = world.position("thing").await;
    let refused = world.list(&admin(), request("seen", &start)).await.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::RequirementUnmet));
    assert!(refused.message().contains("is a view"), "{refused:?}");
    world.run("TRUNCATE thing").await;
    let expired = world.list(&admin(), request("thing", &start)).await.unwrap_err();
    assert_eq!(rpc::reason(&expired), Some(ErrorReason::PositionExpired));
}

#[tokio::test]
async fn a_lost_trigger_comes_back_before_anybody_is_answered() {
    let mut world = World::new().await;
    let start = world.position("pair").await;
    world
        .run("DROP TRIGGER tombolo_capture ON pair; INSERT INTO pair VALUES ('a', '2024-01-01')")
        .await;
    let expired = world.list(&admin(), request("pair", &start)).await.unwrap_err();
    assert_eq!(rpc::reason(&expired), Some(ErrorReason::PositionExpired), "nobody knows what was");
    let again = world.position("pair").await;
    world.run("UPDATE pair SET note = 'n'").await;
    let listed = world.list(&admin(), request("pair", &again)).await.unwrap();
    assert_eq!(listed.changes.len(), 1);
    assert_ne!(record_guid(ENTITY_ID, 1).as_bytes().as_slice(), &*listed.changes[0].record_id);
}
