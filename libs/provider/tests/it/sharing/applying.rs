//! What is written for the other side.

use std::time::Duration;

use commit::TransactionId;
use pb::AppliedKind::{Created, Deleted, Unchanged, Updated};
use pb::SharePhase::{Live, Queued};
use proto::query::v1 as pb;
use proto::query::v1::sharing_service_server::SharingService as _;
use provider::{Error, PoolOptions};
use rpc::ErrorReason;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use super::world::{
    ACCOUNTS, CUSTOMERS, LINK, World, account, accounts, brief, company, customer, customers,
    given, refer, string, text,
};

fn kinds(applied: &[pb::AppliedRow]) -> Vec<pb::AppliedKind> {
    applied.iter().map(pb::AppliedRow::kind).collect()
}

fn name(it: &str) -> Vec<pb::ApplyValue> {
    vec![given("name", string(it))]
}

#[tokio::test]
async fn rows_are_made_changed_left_and_deleted() {
    let mut world = World::new().await;
    let rows = vec![customer("C1", name("Ann")), customer("C2", name("Bob"))];
    assert_eq!(kinds(&world.applied(rows.clone()).await), [Created, Created]);
    assert_eq!(kinds(&world.applied(rows).await), [Unchanged, Unchanged]);
    let renamed = pb::ApplyRow {
        previous_key: vec![given("account", string("C1")), given("company", string("USMF"))],
        ..customer("C9", name("Anna"))
    };
    let kept = pb::ApplyRow { kind: pb::ApplyKind::CreateOnly.into(), ..customer("C2", name("X")) };
    let none = pb::ApplyRow { kind: pb::ApplyKind::UpdateOnly.into(), ..customer("C7", name("X")) };
    let twice =
        vec![renamed, kept, none, customer("c2", name("Robert")), customer("C2", name("Bert"))];
    let applied = world.applied(twice).await;
    assert_eq!(kinds(&applied), [Updated, Unchanged, Unchanged, Updated, Updated]);
    let all = "SELECT string_agg(account || '=' || name, ',' ORDER BY account)
        FROM customers JOIN parties ON parties.id = party";
    assert_eq!(world.one(all).await, "C2=Bert,C9=Anna");
    let gone = pb::ApplyRow { kind: pb::ApplyKind::Delete.into(), ..customer("C9", Vec::new()) };
    assert_eq!(kinds(&world.applied(vec![gone.clone(), gone]).await), [Deleted, Unchanged]);
    assert_eq!(world.one(all).await, "C2=Bert");
}

#[tokio::test]
async fn dw_15_a_rule_may_take_as_long_as_the_other_side_waits() {
    const SLOW: &str = "
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_sleep(3); RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION slow()";
    let statement_timeout = Duration::from_secs(2);
    let mut world = World::with(&PoolOptions { statement_timeout, ..Default::default() }).await;
    world.configure(customers(Live)).await;
    let row = |credit: i64| {
        let credit = pb::value::Kind::DecimalValue(credit.to_string());
        customer("C1", vec![given("credit", pb::Value { kind: Some(credit) })])
    };
    world.applied(vec![row(1)]).await;
    world.run(SLOW).await;
    assert_eq!(kinds(&world.applied(vec![row(2)]).await), [Updated]);
    // What waits for nobody has the time of every statement.
    let mut transaction = world.begin().await;
    let connection = transaction.connection().unwrap();
    let cut = sqlx::raw_sql("UPDATE customers SET memo = 'x'").execute(connection).await;
    let code = cut.unwrap_err().as_database_error().and_then(|it| it.code()).map(String::from);
    assert_eq!(code.as_deref(), Some("57014"));
    assert_eq!(world.one("SELECT credit::text FROM customers").await, "2.00");
}

#[tokio::test]
async fn what_users_only_read_is_written_and_only_new_rows_get_some() {
    let mut world = World::new().await;
    let fixed = |it: &str| vec![given("fixed", string(it))];
    let row = pb::ApplyRow { create_values: name("first"), ..account("A", fixed("one")) };
    world.applied(vec![row]).await;
    let row = pb::ApplyRow { create_values: name("second"), ..account("A", fixed("two")) };
    world.applied(vec![row]).await;
    assert_eq!(world.one("SELECT name || fixed FROM accounts").await, "firsttwo");
}

#[tokio::test]
async fn references_find_rows_by_their_keys() {
    let mut world = World::new().await;
    let parent = |number: &str, optional| {
        let key = vec![given("number", string(number)), company("USMF")];
        vec![refer("parent", "accounts", key, optional)]
    };
    let rows = vec![
        account("A", Vec::new()),
        account("B", parent("A", false)),
        account("C", parent("D", true)),
        account("D", parent("", false)),
    ];
    let applied = world.applied(rows).await;
    assert_eq!(kinds(&applied), [Created; 4]);
    assert_eq!(applied[2].unresolved_columns, ["parent"]);
    let applied = world.applied(vec![account("C", parent("D", true))]).await;
    assert_eq!((kinds(&applied), applied[0].unresolved_columns.len()), (vec![Updated], 0));
    let tree = "SELECT string_agg(c.number || p.number, ',' ORDER BY c.number)
        FROM accounts AS c JOIN accounts AS p ON p.id = c.parent";
    assert_eq!(world.one(tree).await, "BA,CD");
    let mut transaction = world.begin().await;
    let rows = vec![account("A", Vec::new()), account("B", parent("Z", false))];
    let refused = world.apply(&mut transaction, rows).await.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::ReferenceNotFound));
    let info = refused.get_details_error_info().unwrap();
    let told = ["operation", "column", "entity", "key"].map(|it| info.metadata[it].as_str());
    assert_eq!(told, ["1", "parent", "accounts", "number=Z,company=(code=USMF)"]);
    transaction.rollback().await;
}

fn patiently(rows: Vec<pb::ApplyRow>) -> pb::Apply {
    pb::Apply { rows, origin: "other".to_owned(), lock_timeout_milliseconds: 60_000 }
}

#[tokio::test]
async fn a_row_that_was_waited_for_is_compared_as_it_is_then() {
    let world = World::new().await;
    world.applied(vec![account("A", name("one")), account("B", name("one"))]).await;
    let rows = || vec![account("A", name("two")), account("B", name("one"))];
    let (mut first, mut second) = (world.begin().await, world.begin().await);
    world.apply(&mut first, rows()).await.unwrap();
    let end = async {
        world.somebody_waits().await;
        first.commit().await.unwrap();
    };
    let (applied, ()) = tokio::join!(second.apply(&*world.rights, patiently(rows())), end);
    assert_eq!(kinds(&applied.unwrap().rows), [Unchanged, Unchanged]);
    second.rollback().await;
}

/// What is applied elsewhere waits for nobody, and the customer itself stays as it is.
#[tokio::test]
async fn what_a_row_is_joined_with_is_compared_as_it_is_then() {
    let mut world = World::new().await;
    world.applied(vec![customer("C1", name("one"))]).await;
    let (mut first, mut second) = (world.begin().await, world.begin().await);
    world.within(&mut first, "SELECT FROM customers WHERE account = 'C1' FOR UPDATE").await;
    let end = async {
        world.somebody_waits().await;
        let mut third = world.begin().await;
        let sql = "SET LOCAL tombolo.origin = 'x'; UPDATE parties SET name = 'two'
            WHERE id = (SELECT party FROM customers WHERE account = 'C1')";
        world.within(&mut third, sql).await;
        third.commit().await.unwrap();
        first.rollback().await;
    };
    let apply = patiently(vec![customer("C1", name("one"))]);
    let (applied, ()) = tokio::join!(second.apply(&*world.rights, apply), end);
    assert_eq!(kinds(&applied.unwrap().rows), [Updated]);
    second.commit().await.unwrap();
    let held = "SELECT name FROM parties JOIN customers ON party = parties.id WHERE account = 'C1'";
    assert_eq!(world.one(held).await, "one");
}

/// Whoever changes what the row is joined with waits for nobody: what is seen of it must not be newer than what is known
/// to wait, or it would be taken for something that the other side has long had.
#[tokio::test]
async fn what_is_written_meanwhile_is_not_written_over() {
    const TIMES: usize = 120;
    const NAME: &str = "SELECT name FROM parties";
    let mut world = World::new().await;
    let mut position = world.configure(customers(Live)).await;
    world.applied(vec![customer("C1", name("known"))]).await;
    for time in 0..TIMES {
        for _ in 0..2 {
            // What the other side has asked behind, it has.
            position = world.touched(CUSTOMERS, &position).await.position;
        }
        let name = world.one(NAME).await;
        let known = pb::ApplyValue { changed: false, ..given("name", string(&name)) };
        let row = customer("C1", vec![known, given("memo", string(&time.to_string()))]);
        let (mut holder, mut writer) = (world.begin().await, world.begin().await);
        let sql = "SELECT FROM customers FOR UPDATE; UPDATE groups SET title = title";
        world.within(&mut holder, sql).await;
        world.within(&mut writer, &format!("UPDATE parties SET name = '{time}'")).await;
        let mut applying = world.begin().await;
        let write = async {
            world.somebody_waits().await;
            holder.commit().await.unwrap();
            // Any moment will do, another one each time.
            for _ in 0..time * 8 {
                tokio::task::yield_now().await;
            }
            writer.commit().await.unwrap();
        };
        let (applied, ()) =
            tokio::join!(applying.apply(&*world.rights, patiently(vec![row])), write);
        assert_eq!(kinds(&applied.unwrap().rows), [Updated]);
        applying.commit().await.unwrap();
        assert_eq!(world.one(NAME).await, time.to_string());
    }
}

#[tokio::test]
async fn who_holds_a_row_is_waited_for_only_so_long() {
    let world = World::new().await;
    world.applied(vec![customer("C1", name("Ann"))]).await;
    let mut holder = world.begin().await;
    let selection = pb::ImageSelection {
        keys: vec![pb::ImageKey { company: "USMF".into(), values: vec![string("C1")] }],
        map_side: Some(customers(Queued)),
        ..Default::default()
    };
    let hold = pb::Hold { selection: Some(selection) };
    let held = holder.hold(&*world.rights, hold.clone()).await.unwrap();
    assert_eq!(held.images.len(), 1);
    let mut other = world.begin().await;
    let refused = world.apply(&mut other, vec![customer("C1", name("X"))]).await.unwrap_err();
    assert_eq!(
        (refused.code(), rpc::reason(&refused)),
        (Code::Aborted, Some(ErrorReason::WriteConflict))
    );
    other.rollback().await;
    let mut other = world.begin().await;
    let refused = other.hold(&*world.rights, hold).await.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::WriteConflict));
    other.rollback().await;
    holder.rollback().await;
}

#[tokio::test]
async fn what_rules_make_of_it_goes_back_once() {
    let world = World::new().await;
    world.configure(accounts(Live)).await;
    let share = pb::Share { link: LINK.to_owned() };
    let town = |it: &str| account("A", vec![given("town", string(it))]);
    let mut transaction = world.begin().await;
    world.apply(&mut transaction, vec![town("Paris")]).await.unwrap();
    let shared = transaction.share(&*world.rights, share.clone()).await.unwrap();
    let shared: Vec<String> = shared.rows.iter().map(brief).collect();
    assert_eq!(shared, ["CHANGED USMF A|-|PARIS [2] !"]);
    transaction.commit().await.unwrap();
    // The other side's rules write it otherwise, and say so: it stays.
    let mut transaction = world.begin().await;
    let origin = "correction:other".to_owned();
    let apply = pb::Apply { rows: vec![town("paris")], origin, ..Default::default() };
    let applied = transaction.apply(&*world.rights, apply).await.unwrap();
    assert_eq!(kinds(&applied.rows), [Updated]);
    assert!(transaction.share(&*world.rights, share).await.unwrap().rows.is_empty());
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_transaction_with_something_left_to_share_ends_only_where_it_may() {
    let mut world = World::new().await;
    world.configure(accounts(Live)).await;
    commit::Schema::new().ensure(&mut world.connection).await.unwrap();
    let town = |it: &str| vec![account("A", vec![given("town", string(it))])];
    let end = async |world: &World, town, is_shared, link| {
        let mut transaction = world.begin().await;
        world.apply(&mut transaction, town).await.unwrap();
        if is_shared {
            world.share(&mut transaction).await;
        }
        transaction.commit_deciding(TransactionId::new(), link).await
    };
    assert!(matches!(end(&world, town("Paris"), false, LINK).await, Err(Error::Unshared)));
    assert_eq!(world.one("SELECT count(*)::text FROM accounts").await, "0");
    end(&world, town("Paris"), true, LINK).await.unwrap();
    end(&world, town("ROME"), false, LINK).await.unwrap();
    end(&world, town("Lyon"), false, "another's").await.unwrap();
    assert_eq!(world.one("SELECT town FROM accounts").await, "LYON");
    let decided = "SELECT count(*)::text FROM tombolo.decision";
    assert_eq!(world.one(decided).await, "3");
}

#[tokio::test]
async fn what_rules_make_of_what_nobody_wrote_goes_back() {
    const RAISE: &str = "
        CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.credit := 5; RETURN NEW; END $$;
        CREATE TRIGGER raise BEFORE UPDATE OF memo ON customers FOR EACH ROW EXECUTE FUNCTION raise()";
    let mut world = World::new().await;
    world.configure(customers(Live)).await;
    let row = |memo: &str| {
        let credit = pb::value::Kind::DecimalValue("3".to_owned());
        let credit = given("credit", pb::Value { kind: Some(credit) });
        customer("C1", vec![credit, given("memo", string(memo))])
    };
    world.applied(vec![row("old")]).await;
    world.run(RAISE).await;
    let mut transaction = world.begin().await;
    let applied = world.apply(&mut transaction, vec![row("new")]).await.unwrap();
    assert_eq!(kinds(&applied), [Updated]);
    let share = pb::Share { link: LINK.to_owned() };
    let shared = transaction.share(&*world.rights, share).await.unwrap();
    let shared: Vec<String> = shared.rows.iter().map(brief).collect();
    assert_eq!(shared, ["CHANGED USMF C1|-|5|- [2] !"]);
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_model_s_rules_know_what_the_row_holds_beside_what_is_applied() {
    let mut world = World::new().await;
    let memo = |account: &str, it: &str| customer(account, vec![given("memo", string(it))]);
    let rows = vec![memo("C1", "open"), memo("C2", "open"), memo("C3", "open")];
    world.applied(rows).await;
    world.run("UPDATE customers SET blocked = true WHERE account = 'C2'").await;
    assert_eq!(kinds(&world.applied(vec![memo("C1", "frozen")]).await), [Updated]);
    let blocked = pb::Value { kind: Some(pb::value::Kind::BoolValue(true)) };
    let blocked = customer("C3", vec![given("blocked", blocked)]);
    // Also what the same step has written before.
    for rows in [vec![memo("C2", "frozen")], vec![blocked, memo("C3", "frozen")]] {
        let mut transaction = world.begin().await;
        let refused = world.apply(&mut transaction, rows).await.unwrap_err();
        assert_eq!(rpc::reason(&refused), Some(ErrorReason::BusinessRule));
        transaction.rollback().await;
    }
}

#[tokio::test]
async fn what_a_row_that_is_there_holds_beside_a_new_one_goes_back() {
    let world = World::new().await;
    world.applied(vec![account("A", vec![given("town", string("LYON"))])]).await;
    world.configure(accounts(Live)).await;
    let null = || pb::Value { kind: Some(pb::value::Kind::NullValue(pb::NullMarker {})) };
    let row = |name, created| pb::ApplyRow {
        create_values: vec![given("town", null())],
        created,
        ..account("A", self::name(name))
    };
    let told = async |row: pb::ApplyRow| {
        let mut transaction = world.begin().await;
        world.apply(&mut transaction, vec![row]).await.unwrap();
        let share = pb::Share { link: LINK.to_owned() };
        let shared = transaction.share(&*world.rights, share).await.unwrap();
        transaction.commit().await.unwrap();
        shared.rows.iter().map(brief).collect::<Vec<String>>()
    };
    assert_eq!(told(row("new", true)).await, ["CHANGED USMF A|new|LYON [2] !"]);
    assert_eq!(told(row("new", true)).await, ["CHANGED USMF A|new|LYON [2] !"], "it was there");
    assert!(told(row("other", false)).await.is_empty());
}

#[tokio::test]
async fn what_both_sides_changed_is_decided_column_by_column() {
    let mut world = World::new().await;
    let start = world.configure(accounts(Queued)).await;
    world
        .applied(vec![account(
            "A",
            vec![given("name", string("old")), given("town", string("OLD"))],
        )])
        .await;
    world.touched(ACCOUNTS, &start).await;
    world.run("UPDATE accounts SET name = 'own'").await;
    let values = |changed| {
        let name = pb::ApplyValue { changed, ..given("name", string("theirs")) };
        vec![name, given("town", string("NEW"))]
    };
    let apply = async |changed, wins| {
        let row = pb::ApplyRow { wins, ..account("A", values(changed)) };
        world.applied(vec![row]).await.remove(0)
    };
    let not_theirs = apply(false, true).await;
    assert_eq!((not_theirs.kind(), not_theirs.conflicting_columns.len()), (Updated, 0));
    let lost = apply(true, false).await;
    assert_eq!((lost.kind(), lost.conflicting_columns), (Unchanged, vec!["name".to_owned()]));
    let won = apply(true, true).await;
    assert_eq!((won.kind(), won.conflicting_columns), (Updated, vec!["name".to_owned()]));
    let take = async |after_id| {
        let request = pb::TakeConflictsRequest { after_id, page_size: 0 };
        let taken = world.sharing.take_conflicts(Request::new(request)).await.unwrap();
        taken.into_inner().conflicts
    };
    let conflicts = take(0).await;
    let brief: Vec<_> = conflicts
        .iter()
        .map(|it| {
            let value = |it: &[pb::FieldValue]| text(it[0].value.as_ref().unwrap());
            (value(&it.winner), value(&it.loser), it.incoming_won)
        })
        .collect();
    let (own, theirs) = ("own".to_owned(), "theirs".to_owned());
    assert_eq!(brief, [(own.clone(), theirs.clone(), false), (theirs, own, true)]);
    assert_eq!(take(conflicts[0].id).await.len(), 1);
    assert_eq!(take(0).await.len(), 1, "the first was stored");
    // What the other side has taken waits no more.
    let taken = world.touched(ACCOUNTS, &start).await.position;
    world.touched(ACCOUNTS, &taken).await;
    assert_eq!(kinds(&world.applied(vec![deleted("A")]).await), [Deleted]);
}

/// One account that the other side knows, with a log that is read from there on.
async fn known_account() -> World {
    let world = World::new().await;
    let start = world.configure(accounts(Queued)).await;
    world.applied(vec![account("A", name("old"))]).await;
    let known = world.touched(ACCOUNTS, &start).await.position;
    world.touched(ACCOUNTS, &known).await;
    world
}

const ALL: &str =
    "SELECT coalesce(string_agg(number || '=' || name, ',' ORDER BY number), '') FROM accounts";

#[tokio::test]
async fn a_row_that_was_deleted_here_is_no_new_one() {
    let mut world = known_account().await;
    let mut gone = async |row: pb::ApplyRow| {
        world.run("DELETE FROM accounts").await;
        let applied = world.applied(vec![row]).await.remove(0);
        (applied.kind(), applied.conflicting_columns.len(), world.one(ALL).await)
    };
    let row = |wins, created| pb::ApplyRow { wins, created, ..account("A", name("new")) };
    assert_eq!(gone(row(false, false)).await, (Unchanged, 1, String::new()));
    assert_eq!(gone(row(true, false)).await, (Created, 1, "A=new".to_owned()));
    assert_eq!(gone(row(false, true)).await, (Created, 1, "A=new".to_owned()));
    let deleted = pb::ApplyRow { kind: pb::ApplyKind::Delete.into(), ..row(false, false) };
    assert_eq!(gone(deleted).await, (Unchanged, 0, String::new()));
    let request = pb::TakeConflictsRequest { after_id: 0, page_size: 0 };
    let taken = world.sharing.take_conflicts(Request::new(request)).await.unwrap().into_inner();
    let told: Vec<_> = taken.conflicts.iter().map(|it| (it.winner.len(), it.loser.len())).collect();
    assert_eq!(told, [(0, 1), (1, 0), (1, 0)]);
    // Another one is as new as ever, and so is this one when the other side knows.
    assert_eq!(kinds(&world.applied(vec![account("B", name("b"))]).await), [Created]);
    let known = world.sharing.get_log_position(Request::new(pb::GetLogPositionRequest {}));
    let known = known.await.unwrap().into_inner().position;
    world.touched(ACCOUNTS, &known).await;
    let again = world.applied(vec![row(false, false)]).await.remove(0);
    assert_eq!((again.kind(), again.conflicting_columns.len()), (Created, 0));
}

fn deleted(number: &str) -> pb::ApplyRow {
    pb::ApplyRow { kind: pb::ApplyKind::Delete.into(), ..account(number, Vec::new()) }
}

#[tokio::test]
async fn what_was_written_here_is_in_the_way_of_an_end() {
    const AGAIN: &str = "WITH gone AS (DELETE FROM accounts RETURNING *) SELECT id::text FROM gone";
    let mut world = known_account().await;
    let all: Vec<String> = ["number", "name", "town"].map(String::from).to_vec();
    world.run("UPDATE accounts SET name = 'own'").await;
    let applied = world.applied(vec![deleted("A")]).await.remove(0);
    assert_eq!((applied.kind(), applied.conflicting_columns), (Unchanged, vec!["name".into()]));
    let id = world.one(AGAIN).await;
    // As it was when the other side heard of it last.
    let again = format!(
        "INSERT INTO accounts (id, number, name, company)
        SELECT '{id}', 'A', 'old', id FROM companies WHERE code = 'USMF'"
    );
    world.run(&again).await;
    let applied = world.applied(vec![deleted("A")]).await.remove(0);
    assert_eq!((applied.kind(), applied.conflicting_columns), (Unchanged, all.clone()));
    let correction =
        |rows| pb::Apply { rows, origin: "correction:other".to_owned(), ..Default::default() };
    let mut transaction = world.begin().await;
    let gone = correction(vec![pb::ApplyRow { wins: true, ..deleted("A") }]);
    let refused = transaction.apply(&*world.rights, gone).await.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::WriteConflict));
    transaction.rollback().await;
    assert_eq!(world.one(ALL).await, "A=old");
    let won = world.applied(vec![pb::ApplyRow { wins: true, ..deleted("A") }]).await.remove(0);
    assert_eq!((won.kind(), won.conflicting_columns), (Deleted, all));
    let request = pb::TakeConflictsRequest { after_id: 0, page_size: 0 };
    let taken = world.sharing.take_conflicts(Request::new(request)).await.unwrap().into_inner();
    let told: Vec<_> = taken.conflicts.iter().map(|it| (it.winner.len(), it.loser.len())).collect();
    assert_eq!(told, [(1, 0), (3, 0), (0, 3)]);
}

#[tokio::test]
async fn what_rules_made_of_a_row_is_not_in_the_way_of_its_end() {
    let mut world = known_account().await;
    world.applied(vec![account("A", vec![given("town", string("Lyon"))])]).await;
    assert_eq!(world.one("SELECT town FROM accounts").await, "LYON");
    let applied = world.applied(vec![deleted("A")]).await.remove(0);
    assert_eq!((applied.kind(), applied.conflicting_columns.len()), (Deleted, 0));
}

#[tokio::test]
async fn a_row_is_found_by_the_key_that_it_had() {
    let mut world = known_account().await;
    world.run("UPDATE accounts SET number = 'B'").await;
    assert_eq!(kinds(&world.applied(vec![account("a", name("new"))]).await), [Updated]);
    assert_eq!(world.one(ALL).await, "B=new");
    let applied = world.applied(vec![deleted("A")]).await.remove(0);
    assert_eq!((applied.kind(), applied.conflicting_columns), (Unchanged, vec!["number".into()]));
    let gone = pb::ApplyRow { wins: true, ..deleted("A") };
    assert_eq!(kinds(&world.applied(vec![gone]).await), [Deleted]);
}

#[tokio::test]
async fn rows_may_move_up_by_one_key() {
    let mut world = World::new().await;
    world.applied(["1", "2", "3"].map(|it| account(it, name(it))).to_vec()).await;
    let moved = |from: &str, to: &str| {
        let row = account(to, name(from));
        pb::ApplyRow { previous_key: account(from, Vec::new()).key, ..row }
    };
    let rows = vec![moved("3", "4"), moved("2", "3"), moved("1", "2"), account("1", name("new"))];
    assert_eq!(kinds(&world.applied(rows).await), [Updated, Updated, Updated, Created]);
    assert_eq!(world.one(ALL).await, "1=new,2=1,3=2,4=3");
}

#[tokio::test]
async fn what_was_held_until_the_other_side_had_it_waits_no_more() {
    let mut world = known_account().await;
    let id = world.one("SELECT id::text FROM accounts").await;
    let selection = pb::ImageSelection {
        record_ids: vec![id.parse::<uuid::Uuid>().unwrap().into_bytes().to_vec().into()],
        map_side: Some(accounts(Queued)),
        ..Default::default()
    };
    let hold = pb::Hold { selection: Some(selection) };
    let theirs = || vec![account("A", name("theirs"))];
    for (is_taken, expected) in [(false, (Unchanged, 1)), (true, (Updated, 0))] {
        world.run("UPDATE accounts SET name = 'own'").await;
        let mut holder = world.begin().await;
        assert_eq!(holder.hold(&*world.rights, hold.clone()).await.unwrap().images.len(), 1);
        match is_taken {
            true => holder.commit().await.unwrap(),
            false => holder.rollback().await,
        }
        let applied = world.applied(theirs()).await.remove(0);
        assert_eq!((applied.kind(), applied.conflicting_columns.len()), expected);
    }
    world.run("UPDATE accounts SET name = 'own again'").await;
    assert_eq!(kinds(&world.applied(theirs()).await), [Unchanged]);
}

#[tokio::test]
async fn a_correction_waits_for_what_somebody_wrote_and_makes_no_row() {
    let mut world = known_account().await;
    let correction = |number: &str| pb::Apply {
        rows: vec![pb::ApplyRow { wins: true, ..account(number, name("corrected")) }],
        origin: "correction:other".to_owned(),
        ..Default::default()
    };
    let mut transaction = world.begin().await;
    let applied = transaction.apply(&*world.rights, correction("Z")).await.unwrap();
    assert_eq!(kinds(&applied.rows), [Unchanged]);
    transaction.commit().await.unwrap();
    world.run("UPDATE accounts SET name = 'own'").await;
    let mut transaction = world.begin().await;
    let refused = transaction.apply(&*world.rights, correction("A")).await.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::WriteConflict));
    transaction.rollback().await;
    assert_eq!(world.one(ALL).await, "A=own");
}

#[tokio::test]
async fn a_row_of_two_tables_that_was_deleted_here_is_no_new_one() {
    let mut world = World::new().await;
    let start = world.configure(customers(Queued)).await;
    world.applied(vec![customer("C1", name("old"))]).await;
    let known = world.touched(CUSTOMERS, &start).await.position;
    world.touched(CUSTOMERS, &known).await;
    world.run("DELETE FROM customers").await;
    let applied = world.applied(vec![customer("C1", name("new"))]).await.remove(0);
    assert_eq!((applied.kind(), applied.conflicting_columns.len()), (Unchanged, 1));
}
