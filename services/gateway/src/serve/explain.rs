//! `Prefer: tombolo.explain`: how a query would be answered, for administrators. The query in the
//! platform's vocabulary, and for each step the query in the provider's, its statement and its plan.

use proto::gateway::v1::ExplainStep;
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as Named;
use proto::query::v1::link_entity::Target;
use proto::query::v1::value::Kind;
use proto::query::v1::{ConditionOperator, FilterOperator, JoinOperator, SystemColumn};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::Core;
use crate::entry_point::EntryPoint;
use crate::error::GatewayError;
use crate::http::{Ask, Response, json as respond};
use crate::metadata::Snapshot;
use crate::query::{self, Expand, Read};

const PREFERENCE: &str = "tombolo.explain";

/// In the order in which people read it.
#[derive(Serialize)]
struct Explanation<'a> {
    query: Value,
    expands: Vec<Value>,
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    purpose: &'a str,
    service: &'a str,
    query: Option<Value>,
    sql: &'a str,
    arguments: &'a [String],
    notes: &'a [String],
    plan: Value,
}

/// Answers with the explanation of a read.
pub(super) async fn explain(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    read: &Read,
) -> Result<Response, GatewayError> {
    if !ask.session.is_administrator() {
        let error = GatewayError::PrivilegeDenied(format!(
            "Principal user (Id={}) is not an administrator: 'Prefer: {PREFERENCE}' shows statements \
             and plans to administrators only.",
            ask.session.system_user_id
        ));
        ask.session.audit_denied("explain", &read.tree.entity_name, &error);
        return Err(error);
    }
    EntryPoint::Explain.enter();
    let steps = query::explain(core, ask, snapshot, read).await?;
    let answer = Explanation {
        query: tree(&read.tree),
        expands: read.expands.iter().map(expand).collect(),
        steps: steps.iter().map(step).collect(),
    };
    let text = serde_json::to_string_pretty(&answer).map_err(|error| {
        tracing::error!(%error, "an explanation could not be written");
        GatewayError::Internal
    })?;
    let mut response = respond(text);
    let applied = axum::http::HeaderValue::from_static(PREFERENCE);
    response.headers_mut().insert("preference-applied", applied);
    Ok(response)
}

fn step(step: &ExplainStep) -> Step<'_> {
    let statement = step.statement.as_ref();
    let text = statement.map(|it| it.plan.as_str()).unwrap_or_default();
    Step {
        purpose: &step.purpose,
        service: &step.service,
        query: step.query.as_ref().map(tree),
        sql: statement.map(|it| it.sql.as_str()).unwrap_or_default(),
        arguments: statement.map(|it| it.arguments.as_slice()).unwrap_or_default(),
        notes: statement.map(|it| it.notes.as_slice()).unwrap_or_default(),
        plan: serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

fn expand(it: &Expand) -> Value {
    json!({
        "navigation": it.navigation,
        "query": tree(&it.tree),
        "expands": it.expands.iter().map(expand).collect::<Vec<_>>(),
    })
}

/// A query, one line for each of its parts.
fn tree(query: &pb::QueryExpression) -> Value {
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    add("entity", query.entity_name.clone().into());
    match query.all_columns {
        true => add("columns", "all".into()),
        false => add("columns", query.columns.iter().map(output).collect()),
    };
    if let Some(criteria) = &query.criteria {
        add("criteria", filter(criteria).into());
    }
    if !query.orders.is_empty() {
        add("orders", query.orders.iter().map(order).collect());
    }
    if !query.links.is_empty() {
        add("links", query.links.iter().map(link).collect());
    }
    if let Some(page) = &query.page {
        let after: Vec<String> = page.after.iter().map(value).collect();
        add("page", json!({ "size": page.size, "after": after, "skip": page.skip }));
    }
    if query.distinct {
        add("distinct", true.into());
    }
    if query.top_count != 0 {
        add("top", query.top_count.into());
    }
    Value::Object(members)
}

fn output(it: &pb::OutputColumn) -> Value {
    let mut text = column(it.column.as_ref());
    if it.aggregate != 0 {
        text = format!("{}({text})", it.aggregate().as_str_name().trim_start_matches("AGGREGATE_"));
    }
    if it.group_by {
        text.push_str(" (group)");
    }
    if !it.key.is_empty() && it.key != text {
        text = format!("{text} as {}", it.key);
    }
    if it.members.is_empty() {
        return text.into();
    }
    json!({ text: it.members.iter().map(output).collect::<Vec<_>>() })
}

fn order(it: &pb::OrderExpression) -> Value {
    let by = if it.output.is_empty() { column(it.column.as_ref()) } else { it.output.clone() };
    format!("{by}{}", if it.descending { " desc" } else { "" }).into()
}

fn link(it: &pb::LinkEntity) -> Value {
    let (kind, to) = match &it.target {
        Some(Target::EntityName(name)) => ("entity", name.clone()),
        Some(Target::Rows(rows)) => ("rows", rows.row_count.to_string()),
        None => ("entity", String::new()),
    };
    let mut members = json!({
        "alias": it.alias,
        kind: to,
        "join": it.join().as_str_name().trim_start_matches("JOIN_OPERATOR_"),
    });
    let Some(object) = members.as_object_mut() else { return members };
    let mut add = |name: &str, value: Value| object.insert(name.to_owned(), value);
    if !it.navigation.is_empty() {
        add("navigation", it.navigation.clone().into());
    }
    if !it.on.is_empty() {
        let pair = |it: &pb::JoinPair| {
            format!("{} = {}", column(it.column.as_ref()), column(it.parent.as_ref()))
        };
        add("on", it.on.iter().map(pair).collect());
    }
    if let Some(criteria) = &it.criteria {
        add("criteria", filter(criteria).into());
    }
    if !it.links.is_empty() {
        add("links", it.links.iter().map(link).collect());
    }
    members
}

fn filter(filter: &pb::FilterExpression) -> String {
    let conditions = filter.conditions.iter().map(condition);
    let filters = filter.filters.iter().map(|it| format!("({})", self::filter(it)));
    let links = filter.links.iter().map(semi_join);
    let parts: Vec<String> = conditions.chain(filters).chain(links).collect();
    let word = if filter.operator() == FilterOperator::Or { " or " } else { " and " };
    parts.join(word)
}

fn semi_join(it: &pb::LinkEntity) -> String {
    let join = JoinOperator::try_from(it.join).unwrap_or_default();
    let to = match &it.target {
        Some(Target::EntityName(name)) => name.as_str(),
        Some(Target::Rows(_)) => "rows",
        None => "",
    };
    let criteria = it.criteria.as_ref().map(filter).unwrap_or_default();
    let name = join.as_str_name().trim_start_matches("JOIN_OPERATOR_");
    format!("{name} {to} [{}] ({criteria})", it.alias)
}

fn condition(it: &pb::ConditionExpression) -> String {
    let operator = ConditionOperator::try_from(it.operator).unwrap_or_default();
    let operator = operator.as_str_name().trim_start_matches("CONDITION_OPERATOR_");
    let left = column(it.column.as_ref());
    if let Some(other) = &it.compare_column {
        return format!("{left} {operator} {}", column(Some(other)));
    }
    let values: Vec<String> = it.values.iter().map(value).collect();
    format!("{left} {operator} [{}]", values.join(", "))
}

fn column(it: Option<&pb::ColumnRef>) -> String {
    let Some(it) = it else { return "*".to_owned() };
    let name = match &it.column {
        Some(Named::Field(name)) => name.clone(),
        Some(Named::Relation(name)) => format!("relation {name}"),
        Some(Named::System(number)) => {
            let system = SystemColumn::try_from(*number).unwrap_or_default();
            system.as_str_name().trim_start_matches("SYSTEM_COLUMN_").to_owned()
        }
        None => String::new(),
    };
    if it.link.is_empty() { name } else { format!("{}.{name}", it.link) }
}

fn value(it: &pb::Value) -> String {
    match &it.kind {
        None | Some(Kind::NullValue(_)) => "null".to_owned(),
        Some(Kind::BoolValue(it)) => it.to_string(),
        Some(Kind::Int64Value(it)) => it.to_string(),
        Some(Kind::DecimalValue(it)) => it.clone(),
        Some(Kind::DoubleValue(it)) => it.to_string(),
        Some(Kind::StringValue(it)) => format!("'{}'", it.replace('\'', "''")),
        Some(Kind::DateValue(it)) => it.clone(),
        Some(Kind::GuidValue(it)) => Uuid::from_slice(it).unwrap_or_default().to_string(),
        Some(Kind::TimestampMicrosValue(it)) => chrono::DateTime::from_timestamp_micros(*it)
            .map_or_else(|| it.to_string(), |it| it.to_rfc3339()),
    }
}
