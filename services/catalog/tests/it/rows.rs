//! The list as rows of a platform table.

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column;
use proto::query::v1::column_values::Values;
use proto::query::v1::value::Kind;
use rpc::ErrorReason;
use tonic::{Code, Request, Status};

use crate::changes::visible;
use crate::world::{Running, World};

const ENTITY: &str = "CDSVirtualEntityListEntity";

fn field(name: &str) -> pb::ColumnRef {
    pb::ColumnRef { column: Some(Column::Field(name.to_owned())), ..Default::default() }
}

fn output(column: pb::ColumnRef, key: &str) -> pb::OutputColumn {
    pb::OutputColumn { column: Some(column), key: key.to_owned(), ..pb::OutputColumn::default() }
}

fn query(entity: &str) -> pb::RetrieveMultipleRequest {
    let query = pb::QueryExpression {
        entity_name: entity.to_owned(),
        columns: vec![
            output(field("PhysicalName"), "name"),
            output(field("HasBeenGenerated"), "visible"),
            output(field("Refresh"), "refresh"),
        ],
        orders: vec![pb::OrderExpression {
            column: Some(field("PhysicalName")),
            ..Default::default()
        }],
        ..pb::QueryExpression::default()
    };
    let format = pb::RowFormat::Columns.into();
    pb::RetrieveMultipleRequest { query: Some(query), format, ..Default::default() }
}

/// Name, visible, refresh of every row.
async fn rows(
    running: &Running,
    request: Request<pb::RetrieveMultipleRequest>,
) -> Result<Vec<(String, bool, bool)>, Status> {
    let mut batches = running.rows().retrieve_multiple(request).await?.into_inner();
    let mut rows = Vec::new();
    while let Some(message) = batches.message().await? {
        let Some(batch) = message.batch else { continue };
        let Some(pb::row_batch::Rows::Columns(batch)) = batch.rows else { panic!("no columns") };
        let mut columns = batch.columns.into_iter().map(|it| it.values.unwrap());
        let (
            Some(Values::Strings(names)),
            Some(Values::Bools(visible)),
            Some(Values::Bools(refresh)),
        ) = (columns.next(), columns.next(), columns.next())
        else {
            panic!("other columns")
        };
        let flags = visible.values.into_iter().zip(refresh.values);
        rows.extend(names.values.into_iter().zip(flags).map(|(name, (a, b))| (name, a, b)));
    }
    Ok(rows)
}

fn row(name: &str, visible: bool) -> (String, bool, bool) {
    (name.to_owned(), visible, false)
}

#[tokio::test]
async fn the_rows_are_the_entities_of_the_model() {
    let world = World::new().await;
    let running = world.start().await;
    running.catalog().update_data_entity(world.admin(visible("Beta", false))).await.unwrap();
    let all = rows(&running, world.clerk(query(ENTITY))).await.unwrap();
    assert_eq!(all, [row("Alpha", true), row("Beta", false)]);

    world.remove_entity("Alpha");
    let refresh = proto::catalog::v1::RefreshModelRequest {};
    running.catalog().refresh_model(world.admin(refresh)).await.unwrap();
    let all = rows(&running, world.clerk(query(ENTITY))).await.unwrap();
    assert_eq!(all, [row("Beta", false)]);

    let error = rows(&running, world.clerk(query("Beta"))).await.unwrap_err();
    assert_eq!(rpc::reason(&error), Some(ErrorReason::EntityNotFound));
    let error = rows(&running, Request::new(query(ENTITY))).await.unwrap_err();
    assert_eq!(rpc::reason(&error), Some(ErrorReason::NoCaller));
}

#[tokio::test]
async fn administrators_see_how_the_list_is_read() {
    let world = World::new().await;
    let running = world.start().await;
    let ask = || pb::ExplainRequest { query: query(ENTITY).query };
    let explained = running.rows().explain(world.admin(ask())).await.unwrap().into_inner();
    assert!(explained.sql.contains("data_entity"), "{}", explained.sql);
    assert!(explained.plan.contains("Plan"), "{}", explained.plan);
    let error = running.rows().explain(world.clerk(ask())).await.unwrap_err();
    assert_eq!(rpc::reason(&error), Some(ErrorReason::PrivilegeDenied));
}

fn by_name(name: &str) -> Option<pb::RecordKey> {
    let value = pb::Value { kind: Some(Kind::StringValue(name.to_owned())) };
    let value = pb::FieldValue { field: "PhysicalName".to_owned(), value: Some(value) };
    let key = pb::AlternateKeyValues { values: vec![value] };
    Some(pb::RecordKey { key: Some(pb::record_key::Key::Alternate(key)) })
}

#[tokio::test]
async fn a_row_has_the_guid_of_its_entry_and_is_found_by_either_key() {
    let world = World::new().await;
    let running = world.start().await;
    let get = proto::catalog::v1::GetDataEntityRequest { name: "dataEntities/Beta".into() };
    let entry = running.catalog().get_data_entity(world.clerk(get)).await.unwrap().into_inner();
    let id: uuid::Uuid = entry.entry.unwrap().record_id.parse().unwrap();
    // The catalog's own entity, and the second record id of all.
    assert_eq!(id, provider::record_guid(0x2893, 5_637_144_577));
    let by_id = pb::record_key::Key::RecordId(id.as_bytes().to_vec().into());
    for key in [Some(pb::RecordKey { key: Some(by_id) }), by_name("Beta"), by_name("bETA")] {
        let request = pb::RetrieveRequest {
            entity_name: ENTITY.to_owned(),
            key: key.clone(),
            columns: vec![output(field("PhysicalName"), "name")],
            format: pb::RowFormat::Json.into(),
            ..Default::default()
        };
        let answer = running.rows().retrieve(world.clerk(request)).await.unwrap().into_inner();
        let Some(pb::row_batch::Rows::Json(json)) = answer.batch.unwrap().rows else {
            panic!("no JSON")
        };
        assert_eq!(json, br#"{"name":"Beta"}"#.as_slice());
        let request = pb::UpdateRequest {
            entity_name: ENTITY.to_owned(),
            key,
            values: vec![flag("Refresh", true)],
            ..pb::UpdateRequest::default()
        };
        running.rows().update(world.admin(request)).await.unwrap();
    }
}

fn flag(field: &str, value: bool) -> pb::FieldValue {
    let value = Some(pb::Value { kind: Some(Kind::BoolValue(value)) });
    pb::FieldValue { field: field.to_owned(), value }
}

#[tokio::test]
async fn a_refresh_by_the_row_reads_the_definition_again() {
    let world = World::new().await;
    let running = world.start().await;
    world.write_fields("Beta", &["Code", "Note"]);
    let request = pb::UpdateRequest {
        entity_name: ENTITY.to_owned(),
        key: by_name("Beta"),
        values: vec![flag("Refresh", true)],
        ..pb::UpdateRequest::default()
    };
    running.rows().update(world.admin(request)).await.unwrap();
    let set = running.tables().watch_tables(pb::WatchTablesRequest {}).await.unwrap();
    let set = set.into_inner().message().await.unwrap().unwrap();
    let beta = set.tables.iter().find(|it| it.external_name == "Beta").unwrap();
    assert!(beta.columns.iter().any(|it| it.logical_name == "mserp_note"));
    let all = rows(&running, world.clerk(query(ENTITY))).await.unwrap();
    assert_eq!(all, [row("Alpha", true), row("Beta", true)]);
}

#[tokio::test]
async fn a_row_that_is_not_there_is_not_found() {
    let world = World::new().await;
    let running = world.start().await;
    let key = |id: uuid::Uuid| {
        let key = pb::record_key::Key::RecordId(id.as_bytes().to_vec().into());
        Some(pb::RecordKey { key: Some(key) })
    };
    let nobody = provider::record_guid(0x2893, 1);
    let other_entity = provider::record_guid(11_000, 5_637_144_576);
    for key in [key(nobody), key(other_entity), by_name("Nobody")] {
        let request = pb::UpdateRequest {
            entity_name: ENTITY.to_owned(),
            key,
            values: vec![flag("HasBeenGenerated", false)],
            ..pb::UpdateRequest::default()
        };
        let error = running.rows().update(world.admin(request)).await.unwrap_err();
        assert_eq!(rpc::reason(&error), Some(ErrorReason::RecordNotFound), "{error:?}");
    }
}

#[tokio::test]
async fn rows_are_neither_made_nor_deleted_nor_acted_on() {
    let world = World::new().await;
    let running = world.start().await;
    let mut client = running.rows();
    let check = |error: Status| assert_eq!(error.code(), Code::Unimplemented, "{error:?}");
    check(client.create(world.admin(pb::CreateRequest::default())).await.unwrap_err());
    check(client.delete(world.admin(pb::DeleteRequest::default())).await.unwrap_err());
    let action = pb::PerformActionRequest::default();
    check(client.perform_action(world.admin(action)).await.unwrap_err());
}
