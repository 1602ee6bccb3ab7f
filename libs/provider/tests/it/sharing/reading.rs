//! Images, and maps.

use pb::SharePhase::{Live, Queued};
use proto::query::v1 as pb;
use proto::query::v1::sharing_service_server::SharingService as _;
use tonic::Request;

use super::world::{CUSTOMERS, World, customers, string, values};

const MANY: &str = "
    INSERT INTO parties (id, name) OVERRIDING SYSTEM VALUE VALUES (10, 'Ann');
    INSERT INTO customers (company, account, party, blocked)
    SELECT company, 'C' || number, 10, number = 3
    FROM unnest(ARRAY['USMF', 'DEMF', 'FRRT']) AS company, generate_series(1, 5) AS number";

fn selection() -> pb::ImageSelection {
    let companies = vec!["USMF".to_owned(), "DEMF".to_owned()];
    let columns = vec!["account".to_owned(), "name".to_owned()];
    let map_side = pb::MapSide { companies, columns, ..customers(Queued) };
    pb::ImageSelection { map_side: Some(map_side), ..Default::default() }
}

async fn read(world: &World, request: pb::ReadImagesRequest) -> (Vec<String>, bool) {
    let read = world.sharing.read_images(Request::new(request)).await.unwrap().into_inner();
    (read.images.iter().map(values).collect(), read.more)
}

#[tokio::test]
async fn pages_go_on_behind_a_key_of_a_company() {
    let mut world = World::new().await;
    world.run(MANY).await;
    let mut request =
        pb::ReadImagesRequest { selection: Some(selection()), page_size: 3, ..Default::default() };
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let (images, more) = read(&world, request.clone()).await;
        let last = images.last().cloned();
        all.extend(images);
        pages += 1;
        let Some(last) = last.filter(|_| more) else { break };
        let (company, rest) = last.split_once(' ').unwrap();
        let key = string(rest.split('|').next().unwrap());
        request.after = Some(pb::ImageKey { company: company.to_owned(), values: vec![key] });
    }
    let expected = [
        "DEMF C1|Ann",
        "DEMF C2|Ann",
        "DEMF C4|Ann",
        "DEMF C5|Ann",
        "USMF C1|Ann",
        "USMF C2|Ann",
        "USMF C4|Ann",
        "USMF C5|Ann",
    ];
    assert_eq!((all.as_slice(), pages), (&expected.map(str::to_owned)[..], 3));
    let key = |number: &str| pb::ImageKey { company: "USMF".into(), values: vec![string(number)] };
    let one = pb::ImageSelection { company: "usmf".into(), ..selection() };
    let between = pb::ReadImagesRequest {
        selection: Some(one),
        after: Some(key("C1")),
        until: Some(key("c4")),
        ..Default::default()
    };
    assert_eq!(
        read(&world, between).await,
        (vec!["USMF C2|Ann".into(), "USMF C4|Ann".into()], false)
    );
}

#[tokio::test]
async fn rows_are_found_by_keys_whatever_the_filter_says() {
    let mut world = World::new().await;
    world.run(MANY).await;
    let key = |company: &str, number: &str| pb::ImageKey {
        company: company.into(),
        values: vec![string(number)],
    };
    let keys = vec![key("USMF", "c3"), key("demf", "C1"), key("FRRT", "C1"), key("USMF", "X")];
    let selection = pb::ImageSelection { keys, unfiltered: true, ..selection() };
    let request =
        pb::ReadImagesRequest { selection: Some(selection.clone()), ..Default::default() };
    let found = world.sharing.read_images(Request::new(request)).await.unwrap().into_inner();
    let mut images: Vec<(String, bool)> =
        found.images.iter().map(values).zip(found.matches).collect();
    images.sort();
    assert_eq!(images, [("DEMF C1|Ann".into(), true), ("USMF C3|Ann".into(), false)]);
    let filtered = pb::ImageSelection { unfiltered: false, ..selection };
    let count = pb::CountImagesRequest { selection: Some(filtered), explain: false };
    let count = world.sharing.count_images(Request::new(count)).await.unwrap();
    assert_eq!(count.into_inner().count, 1);
    let all = pb::CountImagesRequest { selection: Some(self::selection()), explain: false };
    assert_eq!(world.sharing.count_images(Request::new(all)).await.unwrap().into_inner().count, 8);
}

#[tokio::test]
async fn a_count_shows_its_statement() {
    let mut world = World::new().await;
    world.run(MANY).await;
    let request = pb::CountImagesRequest { selection: Some(selection()), explain: true };
    let counted = world.sharing.count_images(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(counted.count, 8);
    let pb::ExplainResponse { mut sql, arguments, plan, .. } = counted.statement.unwrap();
    assert!(plan.contains("\"Plan\""), "{plan}");
    let companies = |it: &String| it.contains("USMF") && it.contains("DEMF");
    assert!(arguments.iter().any(companies), "{arguments:?}");
    // It is what counts: with its values in their places, it counts the same.
    for (at, value) in arguments.iter().enumerate().rev() {
        sql = sql.replace(&format!("${}", at + 1), value);
    }
    assert_eq!(world.one(&format!("SELECT ({sql})::text")).await, "8");
}

#[tokio::test]
async fn maps_are_kept_until_they_are_removed() {
    let world = World::new().await;
    let list = async || {
        let request = pb::ListConfiguredMapsRequest::default();
        let listed = world.sharing.list_configured_maps(Request::new(request)).await.unwrap();
        listed.into_inner().map_sides
    };
    assert!(list().await.is_empty());
    world.configure(customers(Queued)).await;
    assert_eq!(list().await, [customers(Queued)]);
    for _ in 0..2 {
        let request = pb::RemoveMapRequest { map: CUSTOMERS.to_owned() };
        world.sharing.remove_map(Request::new(request)).await.unwrap();
        assert!(list().await.is_empty());
    }
    let unknown = pb::MapSide { columns: vec!["nothing".into()], ..customers(Queued) };
    let request = pb::ConfigureMapRequest { map_side: Some(unknown) };
    let refused = world.sharing.configure_map(Request::new(request)).await.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(rpc::ErrorReason::ColumnNotFound));
}

#[tokio::test]
async fn maps_are_shown_with_the_columns_that_they_are_known_for() {
    const SHOW: &str = "
        SELECT concat_ws('|', projectname, externalentityname, internalentityname, externalenvironmenturl,
            status, enablebatchlookup, partitionmap, queryfilterexpression, integrationkey, isdebugmode,
            recversion, isdelete, partition)
        FROM tombolo.dualwriteprojectconfiguration";
    let mut world = World::new().await;
    let description = pb::MapDescription {
        external_entity_name: "account".into(),
        external_environment: "platformEnvironments/platform".into(),
        filter: "(blocked == No)".into(),
        debug: true,
    };
    let described = pb::MapSide { description: Some(description), ..customers(Queued) };
    world.configure(described.clone()).await;
    assert_eq!(
        world.one(SHOW).await,
        "maps/customers|account|customers|platformEnvironments/platform|2|1|usmf|(blocked == No)|\
         account, company|1|1"
    );
    let number = "SELECT recid::text FROM tombolo.dualwriteprojectconfiguration";
    let before = world.one(number).await;
    world.configure(pb::MapSide { epoch: 2, phase: Live.into(), ..described }).await;
    assert!(world.one(SHOW).await.contains("|1|1|usmf|"));
    assert_eq!(world.one(number).await, before, "it is the same row");
    let request = pb::RemoveMapRequest { map: CUSTOMERS.to_owned() };
    world.sharing.remove_map(Request::new(request)).await.unwrap();
    let left = "SELECT count(*)::text FROM tombolo.dualwriteprojectconfiguration";
    assert_eq!(world.one(left).await, "0");
}
