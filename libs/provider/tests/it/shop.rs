//! Areas, groups, customers and orders of two companies, every table under the same alias, with nulls
//! and texts in mixed case; and short ways to write queries over them.

use crate::who;
use std::sync::Arc;

use proto::catalog::v1 as catalog;
use proto::catalog::v1::{FieldType, RecordIdentityKind as Identity};
use proto::query::v1 as pb;
use proto::query::v1::value::Kind as Value;
use proto::query::v1::{ConditionOperator as Op, JoinOperator, SystemColumn};
use provider::{Binding, Denied, Grant, Grants, Refused};
use rpc::Companies;
use serde_json::Value as Json;
use tonic::Status;

use crate::world::{Answer, World, context};

pub(crate) const NORTH: &str = "6f1d2f0c-52a4-4a0e-9c3b-000000000001";
pub(crate) const SOUTH: &str = "6f1d2f0c-52a4-4a0e-9c3b-000000000002";

const TABLES: &str = "
    CREATE TABLE areas (id uuid PRIMARY KEY, name text NOT NULL);
    CREATE TABLE groups (
        company text NOT NULL, code text NOT NULL, title text, area uuid,
        PRIMARY KEY (company, code)
    );
    CREATE TABLE customers (
        id bigint PRIMARY KEY, company text NOT NULL, code text NOT NULL, name text,
        group_code text, parent bigint, balance numeric, since date NOT NULL DEFAULT '1900-01-01',
        mood text, UNIQUE (company, code)
    );
    CREATE TABLE orders (
        id bigint PRIMARY KEY, company text NOT NULL, customer_code text, total numeric,
        placed timestamptz, pieces integer, guid uuid
    );
    INSERT INTO areas VALUES
        ('6f1d2f0c-52a4-4a0e-9c3b-000000000001', 'North'),
        ('6f1d2f0c-52a4-4a0e-9c3b-000000000002', 'south');
    INSERT INTO groups VALUES
        ('A1', 'G1', 'Gold', '6f1d2f0c-52a4-4a0e-9c3b-000000000001'),
        ('A1', 'G2', 'silver', NULL),
        ('B1', 'G1', 'gold', '6f1d2f0c-52a4-4a0e-9c3b-000000000002'),
        ('B1', 'G9', 'Unused', '6f1d2f0c-52a4-4a0e-9c3b-000000000001');
    INSERT INTO customers VALUES
        (1, 'A1', 'C1', 'Ärger', 'G1', NULL, 10.50, '2020-01-31', 'low'),
        (2, 'A1', 'C2', 'ärger', 'G1', 1, 20, '2021-03-01', 'high'),
        (3, 'A1', 'C3', NULL, 'G2', 1, NULL, DEFAULT, NULL),
        (4, 'B1', 'C1', 'Bravo', 'G1', 3, -5, '2021-03-15', 'mid'),
        (5, 'B1', 'C4', 'charly', NULL, NULL, 0, '2022-12-31', 'low');
    INSERT INTO orders VALUES
        (10, 'A1', 'C1', 100, '2023-01-01 00:30+00', 1, '000007d3-0000-0000-0100-000000000000'),
        (11, 'A1', 'C1', 50, '2023-04-01 12:00+00', 2, '000007d3-0000-0000-0200-000000000000'),
        (12, 'A1', 'C2', NULL, '2023-06-30 23:30+00', NULL, '000007d4-0000-0000-0200-000000000000'),
        (13, 'B1', 'C1', 7, NULL, 3, NULL),
        (14, 'B1', 'ZZ', 9, '2022-12-31 23:30+00', 4, NULL),
        (15, 'A1', 'c1', 1, '2024-02-29 12:00+00', 5, NULL);";

pub(crate) struct Shop {
    world: World,
}

/// Name, entity, and pairs of fields.
type Related<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn entity(
    name: &str,
    number: u32,
    identity: (Identity, &[&str]),
    fields: &[(&str, FieldType)],
    key: &[&str],
    relations: &[Related<'_>],
) -> Arc<Binding> {
    let owned = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let entity_name = name;
    let field = |(name, r#type): &(&str, FieldType)| catalog::DataField {
        name: (*name).into(),
        source: Some(catalog::data_field::Source::Column(catalog::ColumnPath {
            alias: "t".into(),
            column: (*name).into(),
        })),
        r#type: (*r#type).into(),
        nullable: !["id", "company", "code", "since"].contains(name),
        storage: if *name == "placed" { "timestamptz".into() } else { String::new() },
        casing: match entity_name.starts_with("exact_") && *name == "name" {
            true => catalog::Casing::Exact.into(),
            false => catalog::Casing::Unspecified.into(),
        },
        members: if *r#type == FieldType::Enum { moods() } else { Vec::new() },
        ..Default::default()
    };
    let relation = |(name, entity, pairs): &Related<'_>| {
        let pair = |(field, related): &(&str, &str)| catalog::EntityRelationPair {
            field: (*field).into(),
            related: (*related).into(),
        };
        catalog::EntityRelation {
            name: (*name).into(),
            entity: (*entity).into(),
            pairs: pairs.iter().map(pair).collect(),
        }
    };
    let has_company = fields.iter().any(|it| it.0 == "company");
    let entity = catalog::DataEntity {
        name: name.into(),
        entity_id: number,
        sources: vec![catalog::DataSource {
            alias: "t".into(),
            schema: "public".into(),
            table: name.trim_start_matches("exact_").into(),
            join: None,
            is_view: false,
        }],
        record_identity: Some(catalog::RecordIdentity {
            kind: identity.0.into(),
            columns: owned(identity.1),
        }),
        fields: fields.iter().map(field).collect(),
        key: owned(key),
        company_field: if has_company { "company".into() } else { String::new() },
        null_date: "1900-01-01".into(),
        relations: relations.iter().map(relation).collect(),
        ..catalog::DataEntity::default()
    };
    Arc::new(Binding::try_from(entity).unwrap())
}

fn moods() -> Vec<catalog::EnumMember> {
    let member = |symbol: &str, label: &str, option_value| catalog::EnumMember {
        symbol: symbol.into(),
        label: label.into(),
        option_value,
        stored: Some(catalog::enum_member::Stored::StoredText(symbol.into())),
    };
    vec![member("low", "down", 1), member("mid", "Calm", 2), member("high", "bright", 3)]
}

fn find(name: &str) -> Option<Arc<Binding>> {
    use FieldType::{Date, DateTime, Decimal, Enum, Guid, Long, String as Text};
    Some(match name {
        "areas" => {
            let fields = [("id", Guid), ("name", Text)];
            entity(name, 2_001, (Identity::Uuid, &["id"]), &fields, &["name"], &[])
        }
        "exact_areas" => {
            let fields = [("id", Guid), ("name", Text)];
            entity(name, 2_005, (Identity::Uuid, &["id"]), &fields, &["name"], &[])
        }
        "groups" => {
            let fields = [("company", Text), ("code", Text), ("title", Text), ("area", Guid)];
            let key = &["company", "code"];
            let area: Related<'_> = ("Area", "areas", &[("area", "id")]);
            entity(name, 2_002, (Identity::Hash, key), &fields, key, &[area])
        }
        "customers" => {
            let fields = [
                ("id", Long),
                ("company", Text),
                ("code", Text),
                ("name", Text),
                ("group_code", Text),
                ("parent", Long),
                ("balance", Decimal),
                ("since", Date),
                ("mood", Enum),
            ];
            let group: Related<'_> =
                ("Group", "groups", &[("company", "company"), ("group_code", "code")]);
            let parent: Related<'_> = ("Parent", "customers", &[("parent", "id")]);
            let key = &["company", "code"];
            entity(name, 2_003, (Identity::Integer, &["id"]), &fields, key, &[group, parent])
        }
        "orders" => {
            let fields = [
                ("id", Long),
                ("company", Text),
                ("customer_code", Text),
                ("total", Decimal),
                ("placed", DateTime),
                ("pieces", Long),
                ("guid", Guid),
            ];
            let customer: Related<'_> =
                ("Customer", "customers", &[("company", "company"), ("customer_code", "code")]);
            let secret: Related<'_> = ("Secret", "secrets", &[("customer_code", "code")]);
            let relations = &[customer, secret];
            entity(name, 2_004, (Identity::Integer, &["id"]), &fields, &["id"], relations)
        }
        _ => return None,
    })
}

/// Grants of somebody who sees these companies and none of the entities called `hidden`.
fn grants(root: &str, companies: Companies, hidden: &'static str) -> Grants<'static> {
    let entities = ["areas", "exact_areas", "groups", "customers", "orders"];
    let readable = entities.iter().filter(|it| **it != hidden);
    let readable: Vec<&str> = readable.copied().collect();
    let caller = who::clerk("clerk", companies, vec![who::grant(&readable, who::READ)]);
    let root = Grant::read(&caller, find(root).unwrap()).unwrap();
    Grants::new(root, move |name| {
        let binding = find(name).ok_or(Refused::Unknown)?;
        Grant::read(&caller, binding).map_err(|it: Denied| Refused::Denied(it))
    })
}

impl Shop {
    pub(crate) async fn new() -> Self {
        let mut world = World::new().await;
        world.run(TABLES).await;
        Self { world }
    }

    pub(crate) async fn run(&mut self, sql: &'static str) {
        self.world.run(sql).await;
    }

    /// As somebody who sees everything.
    pub(crate) async fn ask(&self, query: &pb::QueryExpression) -> Result<Answer, Status> {
        self.ask_as(query, Companies::All, "").await
    }

    pub(crate) async fn ask_as(
        &self,
        query: &pb::QueryExpression,
        companies: Companies,
        hidden: &'static str,
    ) -> Result<Answer, Status> {
        let grants = grants(&query.entity_name, companies, hidden);
        self.world.query_with(&grants, query.clone()).await
    }

    /// The first message of an answer, as it travels.
    pub(crate) async fn batch(
        &self,
        query: pb::QueryExpression,
        format: pb::RowFormat,
        keys: Vec<pb::ColumnRef>,
    ) -> Result<pb::RowBatch, Status> {
        use futures::TryStreamExt as _;
        let grants = grants(&query.entity_name, Companies::All, "");
        let request =
            pb::RetrieveMultipleRequest { query: Some(query), format: format.into(), keys };
        let mut rows = self.world.provider.retrieve_multiple(&context(), &grants, request).await?;
        Ok(rows.try_next().await?.unwrap().batch.unwrap())
    }

    /// What is said of a query to an administrator, or to somebody else.
    pub(crate) async fn explain(
        &self,
        query: pb::QueryExpression,
        administrator: bool,
    ) -> Result<pb::ExplainResponse, Status> {
        let grants = grants(&query.entity_name, Companies::All, "");
        let mut context = context();
        let mut caller = (*context.caller).clone();
        caller.rights.administrator = administrator;
        context.caller = Arc::new(caller);
        let request = pb::ExplainRequest { query: Some(query) };
        self.world.provider.explain(&context, &grants, &request).await
    }

    /// The rows, each as an array of its members.
    pub(crate) async fn rows(&self, query: &pb::QueryExpression) -> Vec<Vec<Json>> {
        arrays(&self.ask(query).await.unwrap())
    }

    /// The first member of every row.
    pub(crate) async fn firsts(&self, query: &pb::QueryExpression) -> Vec<Json> {
        self.rows(query).await.into_iter().map(|mut it| it.remove(0)).collect()
    }

    /// One row, as text.
    pub(crate) async fn one(&self, request: pb::RetrieveRequest) -> Result<String, Status> {
        let grants = grants(&request.entity_name, Companies::All, "");
        let answer = self.world.provider.retrieve(&context(), &grants, request).await?;
        let Some(pb::row_batch::Rows::Json(json)) = answer.batch.unwrap().rows else { panic!() };
        Ok(String::from_utf8(json.to_vec()).unwrap())
    }

    /// Every row, page by page.
    pub(crate) async fn walk(&self, query: &pb::QueryExpression, size: i32) -> Vec<Vec<Json>> {
        let mut rows = Vec::new();
        let mut after = Vec::new();
        loop {
            let page = pb::Page { size, after, ..Default::default() };
            let query = pb::QueryExpression { page: Some(page), ..query.clone() };
            let answer = self.ask(&query).await.unwrap();
            rows.extend(arrays(&answer));
            let end = answer.end.unwrap();
            if !end.more_rows {
                return rows;
            }
            after = end.last;
        }
    }
}

pub(crate) fn arrays(answer: &Answer) -> Vec<Vec<Json>> {
    let values = |it: &Json| it.as_object().unwrap().values().cloned().collect();
    answer.rows.iter().map(values).collect()
}

/// `name`, `link.name`, `$id`, `link.$id`, `@Relation`, `link.@Relation`.
pub(crate) fn at(path: &str) -> pb::ColumnRef {
    use pb::column_ref::Column;
    let (link, name) = path.split_once('.').unwrap_or(("", path));
    let column = match name {
        "$id" => Column::System(SystemColumn::RecordId.into()),
        "$version" => Column::System(SystemColumn::RowVersion.into()),
        "$primary" => Column::System(SystemColumn::PrimaryField.into()),
        name => match name.strip_prefix('@') {
            Some(relation) => Column::Relation(relation.into()),
            None => Column::Field(name.into()),
        },
    };
    pb::ColumnRef { column: Some(column), link: link.into() }
}

/// A query that returns these columns. Keys are numbered, so that members come in their order.
pub(crate) fn query(entity: &str, columns: &[&str]) -> pb::QueryExpression {
    pb::QueryExpression {
        entity_name: entity.into(),
        columns: columns.iter().enumerate().map(|(index, it)| output(index, it)).collect(),
        page: Some(pb::Page { size: 1_000, ..Default::default() }),
        ..Default::default()
    }
}

pub(crate) fn output(index: usize, path: &str) -> pb::OutputColumn {
    pb::OutputColumn { column: Some(at(path)), key: format!("c{index:02}"), ..Default::default() }
}

pub(crate) fn on(column: &str, parent: &str) -> pb::JoinPair {
    pb::JoinPair { column: Some(at(column)), parent: Some(at(parent)), exact: false }
}

pub(crate) fn link(
    alias: &str,
    entity: &str,
    join: JoinOperator,
    on: Vec<pb::JoinPair>,
) -> pb::LinkEntity {
    pb::LinkEntity {
        alias: alias.into(),
        target: Some(pb::link_entity::Target::EntityName(entity.into())),
        join: join.into(),
        on,
        ..Default::default()
    }
}

pub(crate) fn when(path: &str, operator: Op, values: Vec<Value>) -> pb::ConditionExpression {
    pb::ConditionExpression {
        column: Some(at(path)),
        operator: operator.into(),
        values: values.into_iter().map(|it| pb::Value { kind: Some(it) }).collect(),
        ..Default::default()
    }
}

/// Two columns beside each other.
pub(crate) fn beside(path: &str, operator: Op, other: &str) -> pb::ConditionExpression {
    pb::ConditionExpression { compare_column: Some(at(other)), ..when(path, operator, vec![]) }
}

pub(crate) fn all(conditions: Vec<pb::ConditionExpression>) -> Option<pb::FilterExpression> {
    Some(pb::FilterExpression { conditions, ..Default::default() })
}

pub(crate) fn any(conditions: Vec<pb::ConditionExpression>) -> Option<pb::FilterExpression> {
    let operator = pb::FilterOperator::Or.into();
    Some(pb::FilterExpression { operator, conditions, ..Default::default() })
}

pub(crate) fn related(links: Vec<pb::LinkEntity>) -> Option<pb::FilterExpression> {
    Some(pb::FilterExpression { links, ..Default::default() })
}

pub(crate) fn order(path: &str, descending: bool) -> pb::OrderExpression {
    pb::OrderExpression { column: Some(at(path)), descending, ..Default::default() }
}

pub(crate) fn text(it: &str) -> Value {
    Value::StringValue(it.into())
}

pub(crate) fn guid(it: &str) -> Value {
    let guid: uuid::Uuid = it.parse().unwrap();
    Value::GuidValue(guid.as_bytes().to_vec().into())
}
