//! What operations leave in the audit trail.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::query::v1 as pb;
use proto::query::v1::data_provider_service_client::DataProviderServiceClient;
use tracing_subscriber::fmt::MakeWriter;

use crate::transact::Transact;
use crate::world::{READER, WRITER, World};

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    /// The one entry of the trail since it was last asked.
    fn entry(&self) -> String {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let entries: Vec<&str> = text.lines().filter(|it| it.contains(" audit: ")).collect();
        let [entry] = entries.as_slice() else { panic!("{entries:?}") };
        (*entry).to_owned()
    }
}

fn create(company: &str) -> pb::CreateRequest {
    let value = |field: &str, text: &str| {
        let kind = pb::value::Kind::StringValue(text.to_owned());
        pb::FieldValue { field: field.to_owned(), value: Some(pb::Value { kind: Some(kind) }) }
    };
    pb::CreateRequest {
        entity_name: "Customers".to_owned(),
        values: vec![value("ACCOUNT", "s3cret"), value("COMPANY", company)],
        ..Default::default()
    }
}

fn ask<T>(world: &World, message: T, role: &str) -> tonic::Request<T> {
    rpc::request(message, &world.assertion(role), Duration::from_secs(30)).unwrap()
}

#[tokio::test]
async fn every_operation_is_written_down_without_values() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _log = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let mut client = DataProviderServiceClient::new(world.channel.clone());
    let check = |parts: &[&str]| {
        let entry = log.entry();
        parts.iter().for_each(|it| assert!(entry.contains(it), "{it}: {entry}"));
        assert!(entry.contains("\"Customers\"") && !entry.contains("s3cret"), "{entry}");
    };
    let made = client.create(ask(&world, create("USMF"), WRITER)).await.unwrap().into_inner();
    let id = uuid::Uuid::from_slice(&made.record_id).unwrap().to_string();
    check(&["\"create\"", "decision=allowed", &id]);
    let key =
        Some(pb::RecordKey { key: Some(pb::record_key::Key::RecordId(made.record_id.clone())) });
    let entity_name = "Customers".to_owned();
    let mut retrieve = pb::RetrieveRequest { entity_name, key, ..Default::default() };
    retrieve.set_format(pb::RowFormat::Json);
    client.retrieve(ask(&world, retrieve, READER)).await.unwrap();
    check(&["\"read\"", "decision=allowed", &id]);
    client.create(ask(&world, create("DEMF"), WRITER)).await.unwrap_err();
    check(&["\"create\"", "decision=denied", "PRIVILEGE_DENIED"]);
    client.create(ask(&world, create("USMF"), WRITER)).await.unwrap_err();
    check(&["\"create\"", "decision=failed", "RECORD_EXISTS"]);
    let mut reader = Transact::begin(&world.channel, &world.assertion(READER)).await.unwrap();
    reader.create("s3cret", "USMF").await.unwrap_err();
    check(&["\"create\"", "decision=denied", "PRIVILEGE_DENIED"]);
    let explain = pb::ExplainRequest {
        query: Some(pb::QueryExpression {
            entity_name: "Customers".to_owned(),
            ..Default::default()
        }),
    };
    client.explain(ask(&world, explain, READER)).await.unwrap_err();
    check(&["\"read\"", "decision=denied", "PRIVILEGE_DENIED"]);
}
