//! What is followed from the log.

use std::time::Duration;

use pb::SharePhase::{Live, Queued};
use proto::query::v1 as pb;
use proto::query::v1::sharing_service_server::SharingService as _;
use provider::Retention;
use rpc::ErrorReason;
use tonic::Request;

use super::world::{
    ACCOUNTS, CUSTOMERS, World, account, accounts, brief, customers, given, string, values,
};

const ANN: &str = "
    INSERT INTO parties (id, name) OVERRIDING SYSTEM VALUE VALUES (10, 'Ann');
    INSERT INTO customers (id, company, account, party, grp, credit) OVERRIDING SYSTEM VALUE
    VALUES (1, 'USMF', 'C1', 10, 'G1', 5)";

fn history(map: &str, after: &str) -> pb::ListRowChangesRequest {
    pb::ListRowChangesRequest {
        map: map.to_owned(),
        after_position: after.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn what_was_neither_shared_nor_applied_waits() {
    let mut world = World::new().await;
    let start = world.configure(accounts(Live)).await;
    assert!(world.touched_rows(ACCOUNTS, &start).await.is_empty());
    world.applied(vec![account("A", vec![given("town", string("X"))])]).await;
    assert!(world.touched_rows(ACCOUNTS, &start).await.is_empty(), "it was applied");
    let mut shared = world.begin().await;
    world.within(&mut shared, "UPDATE accounts SET name = 'shared'").await;
    assert_eq!(world.share(&mut shared).await, ["CHANGED USMF A|shared|X [1]"]);
    shared.commit().await.unwrap();
    assert!(world.touched_rows(ACCOUNTS, &start).await.is_empty(), "it was shared");
    let mut late = world.begin().await;
    world.within(&mut late, "UPDATE accounts SET name = 'told'").await;
    world.share(&mut late).await;
    world.within(&mut late, "UPDATE accounts SET town = 'UNTOLD'").await;
    late.commit().await.unwrap();
    let waiting = ["CHANGED USMF A|told|UNTOLD [2]"];
    assert_eq!(world.touched_rows(ACCOUNTS, &start).await, waiting, "behind what was shared");
    world.run("UPDATE accounts SET name = 'psql'; UPDATE accounts SET name = 'again'").await;
    world.run("INSERT INTO accounts (number, company) SELECT 'B', id FROM companies").await;
    let touched = world.touched(ACCOUNTS, &start).await;
    let rows: Vec<String> = touched.rows.iter().map(|it| brief(it.row.as_ref().unwrap())).collect();
    assert_eq!(rows, ["CHANGED USMF A|again|UNTOLD [1, 2]", "CREATED USMF B|-|- [0, 1, 2]"]);
    assert_eq!(touched.rows.iter().map(|it| it.change_count).collect::<Vec<_>>(), [2, 1]);
    assert!(touched.rows[0].first_change < touched.rows[1].first_change);
    assert!(world.touched_rows(ACCOUNTS, &touched.position).await.is_empty());
    world.run("DELETE FROM accounts WHERE number = 'A'").await;
    let gone = world.touched_rows(ACCOUNTS, &touched.position).await;
    assert_eq!(gone, ["DELETED USMF A|again|UNTOLD []"]);
}

#[tokio::test]
async fn what_is_written_with_events_skipped_is_counted_and_left_out() {
    let mut world = World::new().await;
    world.run(ANN).await;
    let start = world.configure(customers(Live)).await;
    let skip = "SET LOCAL tombolo.skip_business_events = on;";
    let mut skipping = world.begin().await;
    // The ERP's own rule blocks the customer, which the filter leaves out.
    world.within(&mut skipping, &format!("{skip} UPDATE customers SET credit = 5000")).await;
    assert_eq!(world.share(&mut skipping).await, [""; 0]);
    skipping.commit().await.unwrap();
    assert_eq!(world.one("SELECT blocked::text FROM customers").await, "true");
    let touched = world.touched(CUSTOMERS, &start).await;
    assert_eq!((touched.rows.len(), touched.skipped_count), (0, 2));
    let told = world.sharing.list_row_changes(Request::new(history(CUSTOMERS, &start))).await;
    let told = told.unwrap().into_inner();
    assert_eq!((told.total_count, told.skipped_count), (0, 2));
    let again = world.touched(CUSTOMERS, &touched.position).await;
    assert_eq!(again.skipped_count, 0);

    world
        .run(&format!("BEGIN; {skip} UPDATE customers SET blocked = false, credit = 6; COMMIT"))
        .await;
    let sharing = world.sharing.clone();
    let skipped = async |map_side: &pb::MapSide| {
        let keys = vec![pb::ImageKey { company: "USMF".into(), values: vec![string("C1")] }];
        let selection = Some(pb::ImageSelection {
            map_side: Some(map_side.clone()),
            keys,
            ..Default::default()
        });
        let read = pb::ReadImagesRequest { selection, ..Default::default() };
        let image = sharing.read_images(Request::new(read)).await.unwrap().into_inner();
        let record_id = image.images[0].record_id.clone();
        let find = pb::FindSkippedChangeRequest { map: CUSTOMERS.into(), record_id };
        let found = sharing.find_skipped_change(Request::new(find)).await.unwrap().into_inner();
        found.change_time.map(|it| std::time::SystemTime::try_from(it).unwrap())
    };
    let side = customers(Live);
    let at = skipped(&side).await.unwrap();
    assert!(at.elapsed().is_ok_and(|it| it < Duration::from_secs(60)), "{at:?}");
    world.run("UPDATE parties SET name = 'Anna'").await;
    assert_eq!(skipped(&side).await, None, "the row has gone over since");
    // What was skipped goes along.
    assert_eq!(
        world.touched_rows(CUSTOMERS, &again.position).await,
        ["CHANGED USMF C1|Anna|6|Gold [1]"]
    );
}

#[tokio::test]
async fn a_table_whose_changes_escape_is_named() {
    let mut world = World::new().await;
    let start = world.configure(customers(Live)).await;
    let sharing = world.sharing.clone();
    let gaps = async || {
        let listed = sharing
            .list_configured_maps(Request::new(pb::ListConfiguredMapsRequest::default()))
            .await
            .unwrap();
        listed.into_inner().capture_gaps
    };
    assert_eq!(gaps().await, []);
    world.run("ALTER TABLE customers DISABLE TRIGGER tombolo_capture").await;
    let reason = "trigger tombolo_capture is disabled".to_owned();
    assert_eq!(gaps().await, [pb::CaptureGap { table: "public.customers".into(), reason }]);
    world.run(ANN).await;
    // A map that is told of has its tables looked at.
    world.configure(customers(Live)).await;
    assert_eq!(gaps().await, []);
    let request = pb::ListTouchedRowsRequest {
        map: CUSTOMERS.into(),
        after_position: start,
        ..Default::default()
    };
    let lost = world.sharing.list_touched_rows(Request::new(request)).await.unwrap_err();
    assert_eq!(rpc::reason(&lost), Some(ErrorReason::PositionExpired));
    assert!(lost.message().contains(r#""public"."customers""#), "{lost:?}");
}

#[tokio::test]
async fn pages_of_touched_rows_go_on() {
    let mut world = World::new().await;
    let start = world.configure(accounts(Queued)).await;
    let many = "INSERT INTO accounts (number, company) SELECT 'N' || n, companies.id
        FROM companies, generate_series(1, 5) AS n WHERE code = 'USMF'";
    world.run(many).await;
    let mut request = pb::ListTouchedRowsRequest {
        map: ACCOUNTS.into(),
        after_position: start,
        page_size: 2,
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let page = world.sharing.list_touched_rows(Request::new(request.clone())).await.unwrap();
        let page = page.into_inner();
        all.extend(
            page.rows.iter().map(|it| values(it.row.as_ref().unwrap().image.as_ref().unwrap())),
        );
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(all, ["N1", "N2", "N3", "N4", "N5"].map(|it| format!("USMF {it}|-|-")));
}

#[tokio::test]
async fn every_change_is_told_with_what_was_before() {
    let mut world = World::new().await;
    world.run(ANN).await;
    let start = world.configure(customers(Queued)).await;
    for name in ["A", "B", "C"] {
        world.run(&format!("UPDATE parties SET name = '{name}'")).await;
    }
    world.run("UPDATE customers SET memo = 'x'").await;
    let sharing = world.sharing.clone();
    let told = async |request| {
        let told = sharing.list_row_changes(Request::new(request)).await.unwrap();
        told.into_inner()
    };
    let all = told(history(CUSTOMERS, &start)).await;
    let changes: Vec<String> =
        all.changes.iter().map(|it| brief(it.row.as_ref().unwrap())).collect();
    assert_eq!(
        changes,
        [
            "CHANGED USMF C1|A|5|Gold [1]",
            "CHANGED USMF C1|B|5|Gold [1]",
            "CHANGED USMF C1|C|5|Gold [1]"
        ]
    );
    let before: Vec<String> =
        all.changes.iter().filter_map(|it| it.before.as_ref()).map(values).collect();
    assert_eq!(before[0..3], ["Ann", "A", "B"].map(|it| format!("USMF C1|{it}|5|Gold")));
    assert_eq!((all.total_count, all.next_page_token.as_str()), (3, ""));
    let page = told(pb::ListRowChangesRequest { page_size: 2, ..history(CUSTOMERS, &start) }).await;
    let next = pb::ListRowChangesRequest {
        page_size: 2,
        page_token: page.next_page_token.clone(),
        ..history(CUSTOMERS, &start)
    };
    let next = told(next).await;
    assert_eq!((page.changes.len(), page.total_count, next.changes.len()), (2, 3, 1));
    assert_eq!(next.changes[0], all.changes[2]);
    let key = |number: &str| pb::ImageKey { company: "USMF".into(), values: vec![string(number)] };
    for (number, count) in [("C1", 3), ("C2", 0)] {
        let of_key =
            pb::ListRowChangesRequest { key: Some(key(number)), ..history(CUSTOMERS, &start) };
        assert_eq!(told(of_key).await.changes.len(), count);
    }
    world.run("BEGIN; DELETE FROM customers; DELETE FROM parties; COMMIT").await;
    let gone = told(history(CUSTOMERS, &all.position)).await;
    let changes: Vec<String> =
        gone.changes.iter().map(|it| brief(it.row.as_ref().unwrap())).collect();
    assert_eq!(changes, ["DELETED USMF C1|C|5|Gold []"]);
    let whole = told(history(CUSTOMERS, &start)).await;
    let kinds: Vec<pb::SharedKind> =
        whole.changes.iter().map(|it| it.row.as_ref().unwrap().kind()).collect();
    assert_eq!(kinds.last(), Some(&pb::SharedKind::Deleted), "{kinds:?}");
    assert!(!kinds.contains(&pb::SharedKind::Created), "{kinds:?}");
}

#[tokio::test]
async fn what_waits_is_kept_however_old_it_is() {
    let mut world = World::new().await;
    let start = world.configure(accounts(Queued)).await;
    world.run("INSERT INTO accounts (number, company) SELECT 'A', id FROM companies WHERE code = 'USMF'").await;
    let none = Retention(Duration::ZERO);
    for _ in 0..2 {
        change_log::retain(&mut world.connection, none).await.unwrap();
        assert_eq!(world.touched_rows(ACCOUNTS, &start).await.len(), 1);
    }
    let taken = world.touched(ACCOUNTS, &start).await.position;
    world.touched(ACCOUNTS, &taken).await;
    for _ in 0..2 {
        change_log::retain(&mut world.connection, none).await.unwrap();
    }
    let request = pb::ListTouchedRowsRequest {
        map: ACCOUNTS.into(),
        after_position: start,
        ..Default::default()
    };
    let expired = world.sharing.list_touched_rows(Request::new(request)).await.unwrap_err();
    assert_eq!(rpc::reason(&expired), Some(ErrorReason::PositionExpired));
    assert!(world.touched_rows(ACCOUNTS, &taken).await.is_empty());
}
