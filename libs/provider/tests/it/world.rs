//! A database with one table of every kind of column, and an entity over it.

use std::sync::Arc;

use cluster::Scratch;
use futures::TryStreamExt as _;
use proto::catalog::v1 as catalog;
use proto::catalog::v1::{Casing, FieldType, RecordIdentityKind};
use proto::query::v1 as pb;
use proto::query::v1::SystemColumn;
use provider::{Binding, Grant, Grants, Pool, PoolOptions, Provider};
use rpc::CallContext;
use sqlx::{Connection as _, PgConnection};
use tonic::Status;

use crate::who;

pub(crate) struct World {
    _scratch: Scratch,
    pub(crate) provider: Provider,
    pub(crate) connection: PgConnection,
}

const TABLE: &str = "
    CREATE TYPE mood AS ENUM ('low', 'mid', 'high');
    CREATE TABLE things (
        id bigint PRIMARY KEY,
        code text NOT NULL CHECK (code = upper(code)),
        name text,
        amount numeric,
        born date NOT NULL DEFAULT '1900-01-01',
        seen timestamptz,
        small smallint NOT NULL DEFAULT 0,
        flag boolean,
        mood mood,
        guid uuid
    );
    CREATE TABLE pairs (a text NOT NULL, b integer NOT NULL, note text, PRIMARY KEY (a, b));";

impl World {
    pub(crate) async fn new() -> Self {
        let scratch = Scratch::start().await.unwrap();
        let url = scratch.database("test").await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(TABLE).execute(&mut connection).await.unwrap();
        let pool = Pool::new(&url, &PoolOptions::default()).unwrap();
        Self { _scratch: scratch, provider: Provider::new(pool, "test"), connection }
    }

    pub(crate) async fn run(&mut self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.connection).await.unwrap();
    }

    /// Every message of a query, put together: its rows, its count, its end.
    pub(crate) async fn query(
        &self,
        binding: Arc<Binding>,
        query: pb::QueryExpression,
    ) -> Result<Answer, Status> {
        self.query_with(&Grant::unrestricted(binding).into(), query).await
    }

    /// The statement of a query and PostgreSQL's plan of it.
    pub(crate) async fn explain(
        &self,
        binding: Arc<Binding>,
        query: pb::QueryExpression,
    ) -> (String, String) {
        let grants = Grants::from(Grant::unrestricted(binding));
        let request = pb::ExplainRequest { query: Some(query) };
        let answer = self.provider.explain(&context(), &grants, &request).await.unwrap();
        (answer.sql, answer.plan)
    }

    pub(crate) async fn query_with(
        &self,
        grants: &Grants<'_>,
        query: pb::QueryExpression,
    ) -> Result<Answer, Status> {
        answer(&self.provider, grants, query).await
    }
}

/// Every message of a query, put together.
pub(crate) async fn answer(
    provider: &Provider,
    grants: &Grants<'_>,
    query: pb::QueryExpression,
) -> Result<Answer, Status> {
    let request = pb::RetrieveMultipleRequest {
        query: Some(query),
        format: pb::RowFormat::Json.into(),
        ..Default::default()
    };
    let rows = provider.retrieve_multiple(&context(), grants, request).await?;
    let messages: Vec<_> = rows.try_collect().await?;
    let mut answer = Answer::default();
    for message in messages {
        answer.total = answer.total.or(message.total_count);
        answer.end = message.end;
        let batch = message.batch.unwrap();
        let Some(pb::row_batch::Rows::Json(json)) = batch.rows else { panic!("no JSON") };
        let text = format!("[{}]", std::str::from_utf8(&json).unwrap());
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(rows.len() as i64, batch.row_count);
        answer.rows.extend(rows);
    }
    Ok(answer)
}

#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<serde_json::Value>,
    pub(crate) total: Option<i64>,
    pub(crate) end: Option<pb::PageEnd>,
}

pub(crate) fn context() -> CallContext {
    who::context(who::administrator())
}

pub(crate) fn things() -> Arc<Binding> {
    use catalog::enum_member::Stored;
    let member = |symbol: &str, option_value, stored| catalog::EnumMember {
        symbol: symbol.into(),
        label: symbol.to_uppercase(),
        option_value,
        stored: Some(stored),
    };
    let upper = |it: catalog::DataField| catalog::DataField { casing: Casing::Upper.into(), ..it };
    let nullable = |it: catalog::DataField| catalog::DataField { nullable: true, ..it };
    let stored = |it: catalog::DataField, storage: &str| catalog::DataField {
        storage: storage.into(),
        ..it
    };
    let mood = catalog::DataField {
        members: vec![
            member("high", 3, Stored::StoredText("high".into())),
            member("mid", 4, Stored::StoredText("mid".into())),
            member("low", 5, Stored::StoredText("low".into())),
        ],
        ..nullable(stored(field("mood", FieldType::Enum), "public.mood"))
    };
    let flag = catalog::DataField {
        members: vec![
            member("No", 0, Stored::StoredBool(false)),
            member("Yes", 1, Stored::StoredBool(true)),
        ],
        ..nullable(field("flag", FieldType::Enum))
    };
    let fields = vec![
        upper(field("code", FieldType::String)),
        nullable(field("name", FieldType::String)),
        nullable(field("amount", FieldType::Decimal)),
        field("born", FieldType::Date),
        nullable(stored(field("seen", FieldType::DateTime), "timestamptz")),
        field("small", FieldType::Integer),
        flag,
        mood,
        nullable(field("guid", FieldType::Guid)),
    ];
    binding("things", RecordIdentityKind::Integer, &["id"], fields, &["code"])
}

pub(crate) fn pairs() -> Arc<Binding> {
    let note = catalog::DataField { nullable: true, ..field("note", FieldType::Memo) };
    let fields = vec![field("a", FieldType::String), field("b", FieldType::Integer), note];
    binding("pairs", RecordIdentityKind::Hash, &["a", "b"], fields, &["a", "b"])
}

fn field(name: &str, r#type: FieldType) -> catalog::DataField {
    let path = catalog::ColumnPath { alias: "t".into(), column: name.into() };
    catalog::DataField {
        name: name.into(),
        source: Some(catalog::data_field::Source::Column(path)),
        r#type: r#type.into(),
        ..Default::default()
    }
}

fn binding(
    table: &str,
    kind: RecordIdentityKind,
    columns: &[&str],
    fields: Vec<catalog::DataField>,
    key: &[&str],
) -> Arc<Binding> {
    let owned = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
    let entity = catalog::DataEntity {
        name: table.into(),
        entity_id: 11_000,
        sources: vec![catalog::DataSource {
            alias: "t".into(),
            schema: "public".into(),
            table: table.into(),
            join: None,
            is_view: false,
        }],
        record_identity: Some(catalog::RecordIdentity {
            kind: kind.into(),
            columns: owned(columns),
        }),
        fields,
        key: owned(key),
        company_field: String::new(),
        null_date: "1900-01-01".into(),
        relations: Vec::new(),
        ..catalog::DataEntity::default()
    };
    Arc::new(Binding::try_from(entity).unwrap())
}

pub(crate) fn column(name: &str) -> Option<pb::ColumnRef> {
    let column = match name {
        "$id" => pb::column_ref::Column::System(SystemColumn::RecordId.into()),
        "$version" => pb::column_ref::Column::System(SystemColumn::RowVersion.into()),
        "$primary" => pb::column_ref::Column::System(SystemColumn::PrimaryField.into()),
        name => pb::column_ref::Column::Field(name.into()),
    };
    Some(pb::ColumnRef { column: Some(column), link: String::new() })
}

pub(crate) fn select(names: &[&str]) -> pb::QueryExpression {
    let output = |name: &&str| pb::OutputColumn {
        column: column(name),
        key: (*name).to_owned(),
        formatted_key: format!("{name}@label"),
        ..Default::default()
    };
    pb::QueryExpression {
        columns: names.iter().map(output).collect(),
        page: Some(pb::Page { size: 5_000, ..Default::default() }),
        ..Default::default()
    }
}
