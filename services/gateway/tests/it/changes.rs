//! Change tracking over HTTP: CHG-01 to CHG-04.

use proto::query::v1 as pb;
use proto::query::v1::change_tracking_service_server::ChangeTrackingService;
use proto::query::v1::column_values::Values;
use rpc::ErrorReason;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use crate::fakes::{Answer, Provider, Step, World, batch, last, page};
use crate::fixture::{CUSTOMERS, ORDERS};

const ROOT: &str = "http://org.test:8080/api/data/v9.2/";
const TRACK: [(&str, &str); 1] = [("prefer", "odata.track-changes")];

/// Changes that are always the same: rows 3, 1 and 2 behind the first position, in two pages; none
/// behind the second; and the third is forgotten.
#[derive(Debug)]
pub(crate) struct Changes;

#[tonic::async_trait]
impl ChangeTrackingService for Changes {
    async fn get_change_position(
        &self,
        request: Request<pb::GetChangePositionRequest>,
    ) -> Result<Response<pb::GetChangePositionResponse>, Status> {
        rpc::CallContext::of(&request)?;
        assert_eq!(request.get_ref().entity_name, "CustCustomerV3Entity");
        let as_of_time = Some(prost_types::Timestamp { seconds: 1_503_389_444, nanos: 0 });
        Ok(Response::new(pb::GetChangePositionResponse { position: "p0".into(), as_of_time }))
    }

    async fn list_entity_changes(
        &self,
        request: Request<pb::ListEntityChangesRequest>,
    ) -> Result<Response<pb::ListEntityChangesResponse>, Status> {
        let request = request.into_inner();
        let change = |row: u128, was_visible| pb::EntityChange {
            record_id: Uuid::from_u128(row).into_bytes().to_vec().into(),
            was_visible,
        };
        let (changes, position, next) =
            match (&*request.after_position, &*request.page_token, request.count_only) {
                ("p0", "", false) => {
                    assert!([3, 5_000].contains(&request.page_size));
                    // Row 9 is gone, and 8 was none that the caller saw.
                    (
                        vec![change(9, true), change(3, true), change(8, false), change(1, true)],
                        "p1",
                        "next",
                    )
                }
                ("p0", "next", false) => (vec![change(2, true), change(7, true)], "p1", ""),
                ("p0", "", true) => (vec![], "p1", ""),
                ("p1", "", false) => (vec![], "p2", ""),
                _ => {
                    let reason = ErrorReason::PositionExpired;
                    return Err(rpc::status(Code::OutOfRange, "fake", reason, "too old", []));
                }
            };
        Ok(Response::new(pb::ListEntityChangesResponse {
            changes,
            position: position.into(),
            next_page_token: next.into(),
            total_count: if request.count_only { 6 } else { 0 },
            ..Default::default()
        }))
    }
}

/// Rows 1 to 3, in an order that is nobody's.
fn three() -> Provider {
    Provider::new(|query| {
        let ids = query.criteria.as_ref().map(|it| &it.conditions[0].values);
        let Some(ids) = ids else {
            let first = query.page.as_ref().is_none_or(|it| it.after.is_empty());
            let next = (first && query.page.as_ref().is_some_and(|it| it.size == 2)).then_some(2);
            return vec![Step::Item(last(page("{\"n\":0}", 1), next))];
        };
        let wanted = |row: u128| {
            ids.iter().any(|it| {
                matches!(&it.kind, Some(pb::value::Kind::GuidValue(id)) if **id == Uuid::from_u128(row).into_bytes())
            })
        };
        let found: Vec<u128> = [2, 1, 3].into_iter().filter(|it| wanted(*it)).collect();
        let texts: Vec<String> = found.iter().map(|it| format!("{{\"n\":{it}}}")).collect();
        let mut ends = 0;
        let ends_of = texts.iter().map(|it| {
            ends += it.len() as u32;
            ends += 1;
            ends - 1
        });
        let keys: Vec<u8> = found.iter().flat_map(|it| Uuid::from_u128(*it).into_bytes()).collect();
        let keys =
            pb::ColumnValues { values: Some(Values::Guids(keys.into())), ..Default::default() };
        let rows = pb::RowBatch {
            row_ends: ends_of.collect(),
            keys: Some(pb::ColumnBatch { columns: vec![keys] }),
            ..batch(&texts.join(","), texts.len() as i64)
        };
        let message = pb::RetrieveMultipleResponse { batch: Some(rows), ..Default::default() };
        vec![Step::Item(last(message, None))]
    })
}

fn link(answer: &Answer, name: &str) -> Option<String> {
    let json = answer.json();
    json[name].as_str().map(|it| it.strip_prefix(ROOT).unwrap().to_owned())
}

/// The rows' numbers, and the last digits of those that are gone.
fn told(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let rows = json["value"].as_array().unwrap();
    rows.iter()
        .map(|it| match it["id"].as_str() {
            Some(id) => {
                let context = format!("{ROOT}$metadata#{CUSTOMERS}/$deletedEntity");
                assert_eq!(it["@odata.context"], context.as_str());
                assert_eq!(it["reason"], "deleted");
                format!("-{}", &id[35..])
            }
            None => it["n"].to_string(),
        })
        .collect()
}

#[tokio::test]
async fn chg_01_only_the_last_page_leads_to_the_changes() {
    let world = World::new(three()).await;
    let prefer = [("prefer", "odata.track-changes,odata.maxpagesize=2")];
    let path = format!("{CUSTOMERS}?$select=mserp_account");
    let first = world.get_with(&path, &prefer).await;
    assert_eq!(first.header("preference-applied"), "odata.maxpagesize=2,odata.track-changes");
    assert_eq!(link(&first, "@odata.deltaLink"), None);
    let next = link(&first, "@odata.nextLink").unwrap();
    // Whoever follows the link is tracking, whether he says so again or not.
    for headers in [&prefer[..], &[("prefer", "odata.maxpagesize=2")]] {
        let second = world.get_with(&next, headers).await;
        assert_eq!(link(&second, "@odata.nextLink"), None);
        let delta = link(&second, "@odata.deltaLink").unwrap();
        assert!(delta.starts_with(&format!("{CUSTOMERS}?$select=mserp_account&$deltatoken=p0.")));
        let date = "%2108%2F22%2F2017%2008%3A10%3A44";
        assert!(delta.ends_with(date) || delta.ends_with(&date.replace("%20", "+")), "{delta}");
    }
    let untracked = world.get_with(&path, &prefer[..0]).await;
    assert_eq!(link(&untracked, "@odata.deltaLink"), None);
}

#[tokio::test]
async fn chg_02_changed_rows_come_in_order_and_then_those_that_are_gone() {
    let world = World::new(three()).await;
    let all = world.get_with(&format!("{CUSTOMERS}?$select=mserp_account"), &TRACK).await;
    let delta = link(&all, "@odata.deltaLink").unwrap();
    let first = world.get(&delta).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let context = format!("{ROOT}$metadata#{CUSTOMERS}(mserp_account)/$delta");
    assert_eq!(first.json()["@odata.context"], context.as_str());
    assert_eq!(told(&first), ["3", "1", "-9"]);
    assert_eq!(link(&first, "@odata.deltaLink"), None);
    let second = world.get(&link(&first, "@odata.nextLink").unwrap()).await;
    assert_eq!(told(&second), ["2", "-7"]);
    let quiet = world.get(&link(&second, "@odata.deltaLink").unwrap()).await;
    assert_eq!((told(&quiet), link(&quiet, "@odata.nextLink")), (vec![], None));
    let expired = world.get(&link(&quiet, "@odata.deltaLink").unwrap()).await;
    let text = "Version stamp associated with the client has expired. Please perform a full sync.";
    assert_eq!(expired.error(), (400, "0x80044352".into(), text.into()));
    let sized = world.get_with(&delta, &[("prefer", "odata.maxpagesize=3")]).await;
    assert_eq!(sized.header("preference-applied"), "odata.maxpagesize=3");
}

#[tokio::test]
async fn chg_04_changes_are_counted() {
    let world = World::new(three()).await;
    let all = world.get_with(CUSTOMERS, &TRACK).await;
    let delta = link(&all, "@odata.deltaLink").unwrap();
    let counted = world.get(&delta.replace('?', "/$count?")).await;
    assert_eq!((counted.status, counted.body.as_str()), (200, "6"));
}

#[tokio::test]
async fn what_changes_cannot_be_tracked_of_is_refused() {
    let world = World::new(three()).await;
    for (option, name) in [
        ("$filter=mserp_visits%20gt%201", "filter"),
        ("$orderby=mserp_account", "orderby"),
        ("$expand=mserp_Orders", "expand"),
        ("$top=3", "top"),
    ] {
        let refused = world.get_with(&format!("{CUSTOMERS}?{option}"), &TRACK).await;
        let text = format!(
            "The \"${{{name}}}\" query parameter isn't supported when Change Tracking is enabled."
        );
        assert_eq!(refused.error(), (400, "0x80060888".into(), text));
    }
    let disabled = world.get_with(ORDERS, &TRACK).await;
    let text = "Change tracking is not enabled for the entity 'mserp_order'.";
    assert_eq!(disabled.error(), (400, "0x80072491".into(), text.into()));
}

#[tokio::test]
async fn tokens_that_were_not_given_out_are_refused() {
    let world = World::new(three()).await;
    let all = world.get_with(CUSTOMERS, &TRACK).await;
    let delta = link(&all, "@odata.deltaLink").unwrap();
    let first = world.get(&delta).await;
    let next = link(&first, "@odata.nextLink").unwrap();
    for bad in [
        format!("{CUSTOMERS}?$deltatoken=919042%2108%2f22%2f2017%2008%3a10%3a44"),
        format!("{CUSTOMERS}?$deltatoken="),
        format!("{CUSTOMERS}/$count?$deltatoken=x"),
        delta.replace("=p0", "=p1"),
        delta.clone() + "&$skiptoken=next",
        next.replace("$skiptoken=next", "$skiptoken=text"),
        format!("{CUSTOMERS}?$skiptoken=%3Ccookie%20istracking%3D%22True%22%20%2F%3E"),
    ] {
        let refused = world.get(&bad).await;
        assert_eq!((refused.status, &*refused.error().1), (400, "0x80040203"), "{bad}");
    }
}
