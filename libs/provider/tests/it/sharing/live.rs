//! What a transaction shares before it is committed.

use std::collections::BTreeSet;

use pb::SharePhase::{Live, Queued};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use proto::query::v1 as pb;

use super::world::{LINK, World, accounts, brief, customers, groups};

const TWO: &str = "
    INSERT INTO parties (id, name) OVERRIDING SYSTEM VALUE VALUES (10, 'Ann'), (11, 'Bob');
    INSERT INTO customers (id, company, account, party, grp, credit) OVERRIDING SYSTEM VALUE
    VALUES (1, 'USMF', 'C1', 10, 'G1', 5), (2, 'DEMF', 'C2', 11, NULL, 5);";

#[tokio::test]
async fn rows_of_several_tables_are_shared_as_one() {
    let mut world = World::new().await;
    world.configure(customers(Live)).await;
    let mut made = world.begin().await;
    world.within(&mut made, TWO).await;
    // The other company is not linked.
    assert_eq!(world.share(&mut made).await, ["CREATED USMF C1|Ann|5|Gold [0, 1, 2, 3]"]);
    assert!(world.share(&mut made).await.is_empty(), "it was told");
    world.within(&mut made, "UPDATE parties SET name = 'Anna' WHERE id = 10").await;
    assert_eq!(world.share(&mut made).await, ["CHANGED USMF C1|Anna|5|Gold [1]"]);
    made.commit().await.unwrap();

    let mut changed = world.begin().await;
    let both =
        "UPDATE parties SET name = 'A' WHERE id = 10; UPDATE customers SET credit = 6 WHERE id = 1;
        UPDATE customers SET credit = 7 WHERE id = 1; UPDATE parties SET picture = 'x'";
    world.within(&mut changed, both).await;
    assert_eq!(world.share(&mut changed).await, ["CHANGED USMF C1|A|7|Gold [1, 2]"]);
    changed.rollback().await;

    let mut renamed = world.begin().await;
    world
        .within(&mut renamed, "UPDATE customers SET account = 'C9', memo = 'x' WHERE id = 1")
        .await;
    assert_eq!(world.share(&mut renamed).await, ["CHANGED USMF C9|Anna|5|Gold <C1 [0]"]);
    renamed.rollback().await;

    let mut gone = world.begin().await;
    world
        .within(&mut gone, "DELETE FROM customers WHERE id = 1; DELETE FROM parties WHERE id = 10")
        .await;
    assert_eq!(world.share(&mut gone).await, ["DELETED USMF C1|Anna|5|Gold []"]);
    gone.commit().await.unwrap();
    assert_eq!(world.one("SELECT count(*)::text FROM tombolo.dual_write_shared").await, "2");
}

#[tokio::test]
async fn what_no_map_tracks_is_nobodys_business() {
    let mut world = World::new().await;
    world.run(TWO).await;
    let mut nothing = world.begin().await;
    world.within(&mut nothing, "UPDATE customers SET credit = 1").await;
    assert!(world.share(&mut nothing).await.is_empty(), "there is not even a table of maps");
    nothing.rollback().await;
    world.configure(customers(Live)).await;
    let check = async |sql: &str, expected: &[&str]| {
        let mut transaction = world.begin().await;
        world.within(&mut transaction, sql).await;
        assert_eq!(world.share(&mut transaction).await, expected, "{sql}");
        transaction.rollback().await;
    };
    check("UPDATE customers SET memo = 'x'", &[]).await;
    check("UPDATE customers SET credit = 9; UPDATE customers SET credit = 5", &[]).await;
    check("UPDATE customers SET blocked = true", &["LEFT USMF C1|Ann|5|Gold []"]).await;
    check("SELECT set_config('tombolo.origin', 'x', true); UPDATE customers SET credit = 9", &[])
        .await;
    check(
        "UPDATE customers SET company = 'USMF' WHERE id = 2",
        &["CHANGED USMF C2|Bob|5|- [0, 1, 2, 3]"],
    )
    .await;
    check(
        "UPDATE customers SET company = 'DEMF' WHERE id = 1",
        &["LEFT DEMF C1|Ann|5|Gold of D [3]"],
    )
    .await;
    let again =
        "DELETE FROM customers WHERE id = 1; INSERT INTO customers (company, account, party)
        VALUES ('USMF', 'C1', 11)";
    check(again, &["CREATED USMF C1|Bob|0|- [0, 1, 2, 3]"]).await;
    let same =
        "DELETE FROM customers WHERE id = 1; INSERT INTO customers (id, company, account, party)
        VALUES (1, 'USMF', 'C1', 11)";
    check(same, &["CREATED USMF C1|Bob|0|- [0, 1, 2, 3]"]).await;
    world.configure(pb::MapSide { epoch: 2, ..customers(Queued) }).await;
    check("UPDATE customers SET credit = 9", &[]).await;
    world.configure(pb::MapSide { epoch: 1, ..customers(Live) }).await;
    check("UPDATE customers SET credit = 9", &[]).await;
    world
        .configure(pb::MapSide { epoch: 3, link: "copy|platform".into(), ..customers(Live) })
        .await;
    check("UPDATE customers SET credit = 9", &[]).await;
}

#[tokio::test]
async fn parents_come_first_and_what_is_gone_last() {
    let mut world = World::new().await;
    world.run(TWO).await;
    world.configure(customers(Live)).await;
    world.configure(groups(Live)).await;
    let mut transaction = world.begin().await;
    let sql =
        "INSERT INTO customers (company, account, party, grp) VALUES ('USMF', 'C3', 11, 'G3');
        DELETE FROM groups WHERE company = 'USMF'; DELETE FROM customers WHERE id = 1;
        INSERT INTO groups (company, code, title) VALUES ('USMF', 'G3', 'New')";
    world.within(&mut transaction, sql).await;
    assert_eq!(
        world.share(&mut transaction).await,
        [
            "CREATED USMF G3|New [0, 1]",
            "CREATED USMF C3|Bob|0|New [0, 1, 2, 3]",
            "DELETED USMF C1|Ann|5|- []",
            "DELETED USMF G1|Gold []"
        ]
    );
    transaction.rollback().await;
}

#[tokio::test]
async fn what_the_sides_own_rules_do_is_shared_even_where_it_is_applied() {
    let mut world = World::new().await;
    world.run(TWO).await;
    world
        .configure(pb::MapSide {
            columns: vec!["account".into(), "blocked".into()],
            tracked_columns: vec![1],
            filter: None,
            ..customers(Live)
        })
        .await;
    world.configure(accounts(Live)).await;
    let mut transaction = world.begin().await;
    let sql = "SELECT set_config('tombolo.origin', 'x', true);
        UPDATE customers SET credit = 5000 WHERE id = 1; SELECT set_config('tombolo.origin', '', true)";
    world.within(&mut transaction, sql).await;
    let share = pb::Share { link: LINK.to_owned() };
    let shared = transaction.share(&*world.rights, share).await.unwrap();
    let shared: Vec<String> = shared.rows.iter().map(brief).collect();
    assert_eq!(shared, ["CHANGED USMF C1|true [1]"]);
    transaction.rollback().await;
}

#[tokio::test]
async fn who_takes_a_deleted_rows_key_is_that_row_and_its_former_key_is_gone() {
    let mut world = World::new().await;
    world.run(TWO).await;
    world.run("UPDATE customers SET company = 'USMF' WHERE id = 2").await;
    world.configure(customers(Live)).await;
    let mut transaction = world.begin().await;
    let sql =
        "DELETE FROM customers WHERE id = 1; UPDATE customers SET account = 'C1' WHERE id = 2";
    world.within(&mut transaction, sql).await;
    assert_eq!(
        world.share(&mut transaction).await,
        ["CHANGED USMF C1|Bob|5|- [0, 1, 2, 3]", "DELETED USMF C2|Bob|5|- []"]
    );
    transaction.rollback().await;
    world
        .run(
            "INSERT INTO customers (id, company, account, party, credit) OVERRIDING SYSTEM VALUE
            VALUES (3, 'USMF', 'C3', 10, 3)",
        )
        .await;
    let mut transaction = world.begin().await;
    let sql = "DELETE FROM customers WHERE id = 1;
        UPDATE customers SET account = 'C1' WHERE id = 2; UPDATE customers SET account = 'C2' WHERE id = 3;
        INSERT INTO customers (id, company, account, party) OVERRIDING SYSTEM VALUE VALUES (4, 'USMF', 'C3', 11)";
    world.within(&mut transaction, sql).await;
    assert_eq!(
        world.share(&mut transaction).await,
        [
            "CHANGED USMF C1|Bob|5|- [0, 1, 2, 3]",
            "CHANGED USMF C2|Ann|3|- [0, 1, 2, 3]",
            "CREATED USMF C3|Bob|0|- [0, 1, 2, 3]"
        ]
    );
    transaction.rollback().await;
}

#[tokio::test]
async fn of_a_row_that_begins_to_take_part_everything_has_changed() {
    let mut world = World::new().await;
    world.run(TWO).await;
    world.run("UPDATE customers SET blocked = true WHERE id = 1").await;
    world.configure(customers(Live)).await;
    let mut transaction = world.begin().await;
    world.within(&mut transaction, "UPDATE customers SET blocked = false WHERE id = 1").await;
    assert_eq!(world.share(&mut transaction).await, ["CHANGED USMF C1|Ann|5|Gold [0, 1, 2, 3]"]);
    transaction.rollback().await;
}

/// Of few entries the rows are told from themselves, of many the database is asked: both tell the same.
#[tokio::test]
async fn few_entries_tell_what_many_do() {
    let mut world = World::new().await;
    world.run(TWO).await;
    world
        .run(
            "INSERT INTO customers (id, company, account, party, blocked) OVERRIDING SYSTEM VALUE
            SELECT id, 'USMF', 'C' || id, 10, id % 3 = 0 FROM generate_series(3, 6) AS it(id)
            UNION ALL VALUES (99, 'DEMF', 'C99', 10, false)",
        )
        .await;
    world.configure(customers(Live)).await;
    let statement = |kind: u8, id: i64, other: i64| match kind {
        0 => format!("UPDATE customers SET credit = credit + {other} WHERE id = {id}"),
        1 => format!("UPDATE customers SET credit = {other}.10, memo = NULL WHERE id = {id}"),
        2 => format!("UPDATE customers SET memo = 'm{other}' WHERE id = {id}"),
        3 => format!("UPDATE customers SET account = 'N{other}' WHERE id = {id}"),
        4 => format!("UPDATE customers SET blocked = NOT blocked WHERE id = {id}"),
        5 => format!("UPDATE customers SET company = 'DEMF' WHERE id = {id}"),
        6 => format!("UPDATE customers SET grp = NULL, party = 11 WHERE id = {id}"),
        7 => format!("DELETE FROM customers WHERE id = {id}"),
        _ => format!(
            "INSERT INTO customers (id, company, account, party) OVERRIDING SYSTEM VALUE
             VALUES ({id}, 'USMF', 'C{other}', 10) ON CONFLICT DO NOTHING"
        ),
    };
    let steps = proptest::collection::vec((0_u8..10, 1_i64..8, 1_i64..8), 1..7);
    // Of another company.
    let filler = "DO $$ BEGIN FOR n IN 1..20 LOOP UPDATE customers SET memo = n WHERE id = 99; END LOOP; END $$";
    let mut runner = TestRunner::deterministic();
    let mut lengths = BTreeSet::new();
    for _ in 0..60 {
        let steps = steps.new_tree(&mut runner).unwrap().current();
        let of = |it: &(u8, i64, i64)| {
            let statement = statement(it.0, it.1, it.2);
            format!("DO $$ BEGIN {statement}; EXCEPTION WHEN unique_violation THEN NULL; END $$;")
        };
        let script: String = steps.iter().map(of).collect();
        let mut told = Vec::new();
        for more in ["", filler] {
            let mut transaction = world.begin().await;
            world.within(&mut transaction, &format!("{script}{more}")).await;
            told.push(world.share(&mut transaction).await);
            transaction.rollback().await;
        }
        assert_eq!(told[0], told[1], "{script}");
        lengths.insert(told[0].len());
    }
    assert!(lengths.len() > 3, "{lengths:?}");
}
