//! `GET set?fetchXml=…`: rows by a FetchXML document (spec §3.5).

use std::sync::Arc;

use odata::{PagePosition, QueryOptions, SystemOption};
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column;

use super::fetch_cookie;
use super::page::{self, Head, PageWriter};
use super::references::References;
use crate::Core;
use crate::error::GatewayError;
use crate::http::{Annotations, Ask, Response, quoted};
use crate::metadata::{Snapshot, Table};
use crate::query::{self, Dialect, Read, Style};
use crate::translate;

/// Rows of a page, where the document does not say.
const PAGE_SIZE: i32 = 5_000;

/// Rows that can be reached by page number alone.
const SIMPLE_PAGING: i64 = 50_000;

const COOKIE: &str = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie";
const MORE: &str = "Microsoft.Dynamics.CRM.morerecords";

/// Where stored queries have their documents.
const DOCUMENT_COLUMN: &str = "fetchxml";

/// Options that a document takes the place of.
const TAKEN: [SystemOption; 8] = [
    SystemOption::Select,
    SystemOption::Expand,
    SystemOption::Filter,
    SystemOption::OrderBy,
    SystemOption::Top,
    SystemOption::Count,
    SystemOption::Apply,
    SystemOption::SkipToken,
];

/// A FetchXML document.
pub(crate) enum Document {
    /// That a request brings.
    Given(String),
    /// That it names, by the id of a stored query.
    Stored { option: &'static str, id: String },
}

impl Document {
    pub(crate) async fn text(
        self,
        core: &Core,
        ask: &Ask,
        snapshot: &Snapshot,
    ) -> Result<String, GatewayError> {
        match self {
            Self::Given(text) => Ok(text),
            Self::Stored { option, id } => stored(core, ask, snapshot, option, &id).await,
        }
    }
}

/// The document that a request is about, if it is about one.
pub(crate) fn document(options: &QueryOptions) -> Result<Option<Document>, GatewayError> {
    let given = ["fetchXml", "savedQuery", "userQuery"].map(|it| (it, options.custom(it)));
    let mut given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some((first, _)), Some((second, _))) => Err(GatewayError::InvalidQuery(format!(
            "The query parameters '{first}' and '{second}' cannot be given together."
        ))),
        (Some(("fetchXml", text)), None) => Ok(Some(Document::Given(text.to_owned()))),
        (Some((option, id)), None) => Ok(Some(Document::Stored { option, id: id.to_owned() })),
    }
}

/// What a row of `savedquery` or `userquery` holds.
async fn stored(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    option: &str,
    id: &str,
) -> Result<String, GatewayError> {
    let name = option.to_lowercase();
    let Some(table) = snapshot.by_name(&name) else {
        return Err(GatewayError::NotOffered(format!("The query option '{option}'")));
    };
    let id = id.trim().parse().map_err(|_| {
        GatewayError::InvalidValue(format!("The value '{id}' of '{option}' is not a GUID."))
    })?;
    let column = pb::ColumnRef {
        column: Some(Column::Field(DOCUMENT_COLUMN.to_owned())),
        link: String::new(),
    };
    let tree = pb::QueryExpression {
        entity_name: name,
        columns: vec![pb::OutputColumn { column: Some(column), ..Default::default() }],
        ..Default::default()
    };
    let style = Style {
        annotations: Annotations::default(),
        dialect: Dialect::OData,
        numbers_as_strings: false,
    };
    let read = Read { tree, expands: Vec::new(), style, position: None };
    let key = translate::RowKey::Id(id);
    let row = query::record(core, ask, snapshot, &read, &key).await?;
    let row: serde_json::Value = serde_json::from_slice(&row).unwrap_or_default();
    let text = row.get(DOCUMENT_COLUMN).and_then(serde_json::Value::as_str);
    text.map(str::to_owned).ok_or_else(|| {
        let table = &table.logical_name;
        GatewayError::InvalidDocument(format!("The {table} {id} holds no FetchXML document."))
    })
}

/// The rows that `text`, a FetchXML document, asks for.
pub(crate) async fn fetch(
    core: &Core,
    ask: &Ask,
    snapshot: &Snapshot,
    table: &Arc<Table>,
    text: &str,
    options: &QueryOptions,
) -> Result<Response, GatewayError> {
    if let Some(option) = TAKEN.into_iter().find(|it| options.get(*it).is_some()) {
        let message =
            format!("The query parameter '{}' is not supported with fetchXml.", option.name());
        return Err(GatewayError::InvalidQuery(message));
    }
    let mut tree = fetchxml::parse(text)?;
    if tree.entity_name != table.logical_name {
        return Err(GatewayError::InvalidDocument(format!(
            "The entity '{}' of the FetchXML document is not that of the entity set '{}', which is \
             '{}'.",
            tree.entity_name, table.set_name, table.logical_name
        )));
    }
    let scope = query::scope(&tree);
    let (page_number, position) = place(core, &mut tree, &scope)?;
    let counted = tree.total_count() != pb::TotalCount::Unspecified;
    let names = selected(table, &tree);
    let tail = Tail::new(core, ask, table, &tree, (scope, page_number));
    let style = Style {
        annotations: ask.prefer.annotations.clone(),
        dialect: Dialect::Fetch,
        numbers_as_strings: ask.prefer.numbers_as_strings,
    };
    let read = Read { tree, expands: Vec::new(), style, position };
    if ask.prefer.explain {
        return super::explain::explain(core, ask, snapshot, &read).await.map_err(in_its_words);
    }
    let rows = query::page(core, ask, snapshot, &read, pb::RowFormat::Json).await;
    let rows = rows.map_err(in_its_words)?;
    let context = page::context(&ask.root, table, &names);
    let head = Head { ask, snapshot, context, counted }.write(&rows.first);
    let tail = Box::new(move |end: &pb::PageEnd| tail.write(end));
    let writer = PageWriter { table: Arc::clone(table), tail, references: References::default() };
    page::write(head, ask.prefer.applied(false), writer, rows)
}

/// A document names logical columns, not properties of an OData type.
fn in_its_words(error: GatewayError) -> GatewayError {
    match error {
        GatewayError::UnknownColumn { column, table } => {
            GatewayError::UnknownAttribute { column, table }
        }
        other => other,
    }
}

/// Which page it is, and where it begins if the client knows. Leaves in the tree what is to be done
/// by number.
fn place(
    core: &Core,
    tree: &mut pb::QueryExpression,
    scope: &[u8],
) -> Result<(u32, Option<PagePosition>), GatewayError> {
    let Some(page) = &mut tree.page else { return Ok((1, None)) };
    let cookie = std::mem::take(&mut page.cookie);
    let position = match cookie.is_empty() {
        true => None,
        false => Some(fetch_cookie::read(&core.page_tokens, &cookie, scope)?),
    };
    let number = u32::try_from(page.number).unwrap_or_default();
    // A cookie leads to the page behind it. To any other page leads its number.
    if let Some(position) = position.filter(|it| number == 0 || it.page_number == number) {
        page.number = 0;
        return Ok((position.page_number, Some(position)));
    }
    let size = if page.size == 0 { PAGE_SIZE } else { page.size };
    if i64::from(page.number).saturating_mul(i64::from(size)) > SIMPLE_PAGING {
        return Err(GatewayError::InvalidQuery(format!(
            "Paging by number ends at {SIMPLE_PAGING} rows. Use the paging cookie of the previous \
             page to go on."
        )));
    }
    Ok((number.max(1), None))
}

/// What a context URL says of the rows: the root's columns as the rows call them.
fn selected(table: &Table, tree: &pb::QueryExpression) -> Vec<String> {
    if tree.all_columns {
        return Vec::new();
    }
    let of_root = tree.columns.iter().filter(|it| link_of(it.column.as_ref()).is_empty());
    let name = |it: &pb::OutputColumn| match (it.key.as_str(), field_of(it.column.as_ref())) {
        ("", name) => table.by_name(name).map_or(name, |it| &it.property).to_owned(),
        (alias, _) => alias.to_owned(),
    };
    of_root.map(name).collect()
}

/// What stands behind the rows.
struct Tail {
    tokens: odata::PageTokens,
    scope: [u8; 32],
    page_number: u32,
    /// Names of the sort keys.
    names: Vec<String>,
    /// There are pages, and not just the first rows.
    paged: bool,
    says_more: bool,
    /// The client wants a cookie, and one can be given.
    says_cookie: bool,
}

impl Tail {
    fn new(
        core: &Core,
        ask: &Ask,
        table: &Table,
        tree: &pb::QueryExpression,
        (scope, page_number): ([u8; 32], u32),
    ) -> Self {
        let wanted: &Annotations = &ask.prefer.annotations;
        let grouped = tree.distinct || tree.columns.iter().any(is_grouped);
        let mut names: Vec<String> = tree.orders.iter().map(order_name).collect();
        if !grouped {
            names.push(table.primary_id.clone());
        }
        let by_link = tree.orders.iter().any(|it| !link_of(it.column.as_ref()).is_empty());
        Self {
            tokens: core.page_tokens.clone(),
            scope,
            page_number,
            names,
            paged: tree.top_count == 0,
            says_more: wanted.includes(MORE),
            says_cookie: wanted.includes(COOKIE) && !by_link,
        }
    }

    fn write(&self, end: &pb::PageEnd) -> Result<String, GatewayError> {
        let more = end.more_rows && self.paged;
        let mut tail = "]".to_owned();
        if self.says_more {
            tail.push_str(&format!(",\"@{MORE}\":{more}"));
        }
        if more
            && self.says_cookie
            && let Some(position) = translate::next_position(end, self.page_number)?
        {
            let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
            let cookie = fetch_cookie::write(&self.tokens, &position, &self.scope, &names);
            tail.push_str(&format!(",\"@{COOKIE}\":{}", quoted(&cookie)));
        }
        tail.push('}');
        Ok(tail)
    }
}

fn is_grouped(column: &pb::OutputColumn) -> bool {
    column.group_by || column.aggregate != 0
}

fn order_name(order: &pb::OrderExpression) -> String {
    match order.output.is_empty() {
        true => field_of(order.column.as_ref()).to_owned(),
        false => order.output.clone(),
    }
}

/// A document names columns by their fields only.
fn field_of(column: Option<&pb::ColumnRef>) -> &str {
    match column.and_then(|it| it.column.as_ref()) {
        Some(Column::Field(name)) => name,
        Some(Column::System(_) | Column::Relation(_)) | None => "",
    }
}

fn link_of(column: Option<&pb::ColumnRef>) -> &str {
    column.map_or("", |it| &it.link)
}
