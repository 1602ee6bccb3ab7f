//! What dual-write reads and writes of native rows.

use std::time::Duration;

use futures::channel::mpsc::unbounded;
use proto::query::v1 as pb;
use proto::query::v1::apply_value::Content;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use proto::query::v1::operation::Operation as Kind;
use proto::query::v1::sharing_service_client::SharingServiceClient;
use proto::query::v1::transact_request::Step;
use proto::query::v1::transact_response::Answer;
use proto::query::v1::transaction_service_client::TransactionServiceClient;
use proto::query::v1::value::Kind as Value;
use rpc::ErrorReason;
use tonic::{Code, Request, Status};

use crate::World;
use crate::transact::{Transact, text};

const COMPANIES: &str = "INSERT INTO organization.cdm_company (cdm_companycode, cdm_name)
    VALUES ('USMF', 'Contoso'), ('DEMF', 'Contoso D')";
/// In companies, and in none; with numbers, and without.
const ACCOUNTS: &str = "INSERT INTO organization.account (name, accountnumber, msdyn_company)
    SELECT 'N' || it, CASE WHEN it % 3 > 0 THEN 'C' || lpad(it::text, 6, '0') END, cdm_companyid
    FROM generate_series(1, 30) AS it
    LEFT JOIN organization.cdm_company ON cdm_companycode = (ARRAY['USMF', 'DEMF'])[it % 4 + 1]";

fn value(column: &str, kind: Value) -> pb::ApplyValue {
    let content = Some(Content::Value(pb::Value { kind: Some(kind) }));
    pb::ApplyValue { column: column.into(), content, changed: true, filled: false }
}

pub(crate) fn string(column: &str, text: &str) -> pb::ApplyValue {
    value(column, Value::StringValue(text.to_owned()))
}

/// An account of a company, by its number.
pub(crate) fn row(number: &str, name: &str) -> pb::ApplyRow {
    let company = pb::Reference {
        entity_name: "cdm_company".into(),
        key: vec![string("cdm_companycode", "usmf")],
        optional: false,
    };
    let content = Some(Content::Reference(company));
    let company =
        pb::ApplyValue { column: "msdyn_company".into(), content, changed: true, filled: false };
    pb::ApplyRow {
        map: "maps/customers-v3-accounts".into(),
        entity_name: "account".into(),
        key: vec![company, string("accountnumber", number)],
        kind: pb::ApplyKind::Upsert.into(),
        values: vec![string("name", name), string("description", "d"), string("telephone1", "1")],
        ..Default::default()
    }
}

impl World {
    /// Applies the rows as dual-write does, and commits.
    pub(crate) async fn apply(
        &self,
        rows: Vec<pb::ApplyRow>,
    ) -> Result<Vec<pb::AppliedRow>, Status> {
        let (requests, stream) = unbounded();
        let mut request = Request::new(stream);
        request.set_timeout(Duration::from_secs(60));
        let mut client = TransactionServiceClient::new(self.channel_of("dual-write"));
        let mut answers = client.transact(request).await?.into_inner();
        let apply =
            |rows| Step::Apply(pb::Apply { rows, origin: "erp".into(), ..Default::default() });
        let begin = [Step::Begin(pb::Begin::default())].into_iter();
        let commit = [Step::Commit(pb::Commit::default())];
        let mut applied = Vec::new();
        for step in begin.chain(rpc::parts(rows).map(apply)).chain(commit) {
            requests.unbounded_send(pb::TransactRequest { step: Some(step) }).unwrap();
            if let Answer::Applied(it) = answers.message().await?.unwrap().answer.unwrap() {
                applied.extend(it.rows);
            }
        }
        Ok(applied)
    }

    /// As dual-write reads rows.
    pub(crate) async fn images(&self, request: pb::ReadImagesRequest) -> Vec<pb::Image> {
        let mut request = Request::new(request);
        request.set_timeout(Duration::from_secs(30));
        let mut client = SharingServiceClient::new(self.channel_of("dual-write"));
        client.read_images(request).await.unwrap().into_inner().images
    }

    async fn read_images(&self, request: pb::ReadImagesRequest) -> Vec<String> {
        let number = |it: &pb::Image| match &it.values[0].kind {
            Some(Value::StringValue(it)) => it.clone(),
            other => panic!("{other:?}"),
        };
        self.images(request).await.iter().map(number).collect()
    }
}

#[tokio::test]
async fn many_new_rows_are_made_at_once_and_a_refused_one_is_named() {
    let world = World::new().await;
    world.run("platform", COMPANIES).await;
    let numbers: Vec<String> = (0..500).map(|it| format!("C{it:04}")).collect();
    let mut rows: Vec<_> = numbers.iter().map(|it| row(it, &format!("Name of {it}"))).collect();
    // Again within the same step: a change, not another row.
    rows.push(row("c0007", "Seven"));
    // Other columns than the others.
    rows[3].values.truncate(1);
    let applied = world.apply(rows.clone()).await.unwrap();
    let created = pb::AppliedKind::Created;
    assert!(applied.iter().take(500).all(|it| it.kind() == created && it.record_id.len() == 16));
    assert_eq!(applied[500].kind(), pb::AppliedKind::Updated);
    assert_eq!(applied[500].record_id, applied[7].record_id);
    let mut names: Vec<String> = numbers.iter().map(|it| format!("Name of {it}")).collect();
    names[7] = "Seven".to_owned();
    names.sort();
    assert_eq!(world.column("account", "name").await, names);
    for at in [0, 3, 499] {
        let id = uuid::Uuid::from_slice(&applied[at].record_id).unwrap();
        let found = world.row("account", id, crate::field("accountnumber")).await;
        assert!(found.contains(&numbers[at]), "{found}");
    }

    let mut rows: Vec<_> = (0..20).map(|it| row(&format!("D{it}"), "D")).collect();
    rows[13].values[0] = string("name", &"x".repeat(300));
    let refused = world.apply(rows).await.unwrap_err();
    assert_eq!(rpc::reason(&refused), Some(ErrorReason::InvalidValue), "{refused:?}");
    let info = tonic_types::StatusExt::get_details_error_info(&refused).unwrap();
    assert_eq!(info.metadata["operation"], "13");
    assert_eq!(world.column("account", "name").await.len(), 500);
}

#[tokio::test]
async fn dw_15_what_is_larger_than_a_message_is_shared_and_applied_in_several() {
    const ROWS: usize = 360;
    /// A message to or from a store had this bound once.
    const LARGE: usize = 32 << 20;
    let description = "x".repeat(100_000);
    let world = World::new().await;
    world.run("platform", COMPANIES).await;
    let link = "erp|platform";
    let side = pb::MapSide {
        map: "maps/customers-v3-accounts".into(),
        epoch: 1,
        phase: pb::SharePhase::Live.into(),
        entity_name: "account".into(),
        columns: vec!["accountnumber".into(), "description".into(), "telephone1".into()],
        key_columns: vec![0],
        company_column: "msdyn_company.cdm_companycode".into(),
        companies: vec!["USMF".into()],
        tracked_columns: vec![0, 1, 2],
        link: link.into(),
        ..Default::default()
    };
    let mut client = SharingServiceClient::new(world.channel_of("dual-write"));
    let mut request = Request::new(pb::ConfigureMapRequest { map_side: Some(side) });
    request.set_timeout(Duration::from_secs(30));
    client.configure_map(request).await.unwrap();

    let mut rows: Vec<_> = (0..ROWS).map(|it| row(&format!("C{it:04}"), "N")).collect();
    rows.iter_mut().for_each(|it| it.values[1] = string("description", &description));
    let size: usize = rows.iter().map(prost::Message::encoded_len).sum();
    assert!(size > LARGE, "{size}");
    let applied = world.apply(rows).await.unwrap();
    let update = |it: &pb::AppliedRow| {
        let key = Some(pb::record_key::Key::RecordId(it.record_id.clone()));
        Kind::Update(pb::UpdateRequest {
            entity_name: "account".into(),
            key: Some(pb::RecordKey { key }),
            values: vec![text("telephone1", "2")],
            ..Default::default()
        })
    };
    let mut transact = Transact::begun(&world.channel, &world.assertion).await;
    transact.run(applied.iter().map(update).collect()).await.unwrap();
    let (mut shared, mut bytes, mut messages) = (0, 0, 0);
    let mut answer = transact.ask(Some(Step::Share(pb::Share { link: link.into() }))).await;
    loop {
        let Answer::Shared(it) = answer.unwrap() else { panic!("something else is answered") };
        shared += it.rows.len();
        bytes += it.rows.iter().map(prost::Message::encoded_len).sum::<usize>();
        messages += 1;
        if !it.more {
            break;
        }
        answer = transact.answer().await;
    }
    assert_eq!(shared, ROWS);
    assert!(bytes > LARGE && messages > 1, "{bytes} bytes in {messages} messages");
    // It goes on behind the last of them.
    transact.commit(String::new()).await.unwrap();
    let phones = world.column("account", "telephone1").await;
    assert_eq!((phones.len(), phones.iter().all(|it| it == "2")), (ROWS, true));
}

#[tokio::test]
async fn pages_are_of_rows_with_a_whole_key() {
    let world = World::new().await;
    world.run("platform", COMPANIES).await;
    world.run("platform", ACCOUNTS).await;
    let side = pb::MapSide {
        entity_name: "account".into(),
        columns: vec!["accountnumber".into(), "name".into()],
        key_columns: vec![0],
        company_column: "msdyn_company.cdm_companycode".into(),
        companies: vec!["USMF".into(), "DEMF".into()],
        ..Default::default()
    };
    let selection = |company: &str| pb::ImageSelection {
        map_side: Some(side.clone()),
        company: company.into(),
        ..Default::default()
    };
    let page = |company: &str, after: Option<&str>| pb::ReadImagesRequest {
        selection: Some(selection(company)),
        page_size: 3,
        after: after.map(|it| pb::ImageKey {
            company: company.into(),
            values: vec![pb::Value { kind: Some(Value::StringValue(it.to_owned())) }],
        }),
        ..Default::default()
    };
    // Every fourth, of which every third has no number.
    assert_eq!(world.read_images(page("usmf", None)).await, ["C000004", "C000008", "C000016"]);
    let rest = world.read_images(page("USMF", Some("c000016"))).await;
    assert_eq!(rest, ["C000020", "C000028"]);
    let all = world.read_images(pb::ReadImagesRequest { page_size: 0, ..page("", None) }).await;
    assert_eq!(all.len(), 11);
    let mut request =
        Request::new(pb::CountImagesRequest { selection: Some(selection("usmf")), explain: false });
    request.set_timeout(Duration::from_secs(30));
    let mut client = SharingServiceClient::new(world.channel_of("dual-write"));
    let count = client.count_images(request).await.unwrap().into_inner();
    assert_eq!(count.count, 5);
}

#[tokio::test]
async fn an_account_number_of_several_companies_names_no_account() {
    let world = World::new().await;
    world.run("platform", COMPANIES).await;
    let two = "INSERT INTO organization.account (name, accountnumber, msdyn_company)
        SELECT cdm_name, 'C1', cdm_companyid FROM organization.cdm_company";
    world.run("platform", two).await;
    let key = pb::AlternateKeyValues { values: vec![text("accountnumber", "c1")] };
    let key = Some(pb::RecordKey { key: Some(pb::record_key::Key::Alternate(key)) });
    let entity_name = "account".to_owned();
    let mut client = DataProviderServiceClient::new(world.channel.clone());
    let limit = Duration::from_secs(10);
    let read = pb::RetrieveRequest {
        entity_name: entity_name.clone(),
        key: key.clone(),
        columns: vec![pb::OutputColumn {
            column: Some(crate::field("name")),
            key: "name".into(),
            ..Default::default()
        }],
        format: pb::RowFormat::Json.into(),
        ..Default::default()
    };
    let read = client.retrieve(rpc::request(read, &world.assertion, limit).unwrap()).await;
    let values = vec![text("name", "x")];
    let update = pb::UpdateRequest {
        entity_name: entity_name.clone(),
        key: key.clone(),
        values,
        ..Default::default()
    };
    let update = client.update(rpc::request(update, &world.assertion, limit).unwrap()).await;
    let delete = pb::DeleteRequest { entity_name, key, ..Default::default() };
    let delete = client.delete(rpc::request(delete, &world.assertion, limit).unwrap()).await;
    for refused in [read.unwrap_err(), update.unwrap_err(), delete.unwrap_err()] {
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        assert_eq!(rpc::reason(&refused), Some(ErrorReason::KeyNotUnique), "{refused:?}");
    }
    assert_eq!(world.column("account", "name").await, ["Contoso", "Contoso D"]);
}
