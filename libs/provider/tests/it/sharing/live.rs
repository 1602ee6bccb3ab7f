//! What a transaction shares before it is committed.

use pb::SharePhase::{Live, Queued};
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
    check("UPDATE customers SET company = 'USMF' WHERE id = 2", &["CHANGED USMF C2|Bob|5|- [3]"])
        .await;
    check(
        "UPDATE customers SET company = 'DEMF' WHERE id = 1",
        &["LEFT DEMF C1|Ann|5|Gold of D [3]"],
    )
    .await;
    let again =
        "DELETE FROM customers WHERE id = 1; INSERT INTO customers (company, account, party)
        VALUES ('USMF', 'C1', 11)";
    check(again, &["CHANGED USMF C1|Bob|0|- [0, 1, 2, 3]"]).await;
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
