//! Which columns a row carries, and what their members are called.

use proto::query::v1 as pb;
use proto::query::v1::{SystemColumn, column_ref};

use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Table};

const FORMATTED: &str = "OData.Community.Display.V1.FormattedValue";
const LOOKUP: &str = "Microsoft.Dynamics.CRM.lookuplogicalname";
const NAVIGATION: &str = "Microsoft.Dynamics.CRM.associatednavigationproperty";

/// The columns that were asked for.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    pub(crate) columns: Vec<&'a Column>,
    /// What a context URL says of them; empty for all columns.
    pub(crate) names: Vec<String>,
}

/// Which annotations a client wants, as it said in `odata.include-annotations`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Annotations(Vec<String>);

impl Annotations {
    /// A comma-separated list of names, each of which may end in `*`.
    pub(crate) fn parse(list: &str) -> Self {
        Self(list.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect())
    }

    pub(crate) fn includes(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads a `$select`; without one, every column.
pub(crate) fn select<'a>(
    table: &'a Table,
    select: Option<&str>,
) -> Result<Selection<'a>, GatewayError> {
    let all = || table.columns.iter().collect();
    let Some(text) = select else { return Ok(Selection { columns: all(), names: Vec::new() }) };
    let paths = odata::parse_select(text)?;
    let names: Vec<String> = paths.iter().map(ToString::to_string).collect();
    if names.iter().any(|it| it == "*") {
        return Ok(Selection { columns: all(), names: vec!["*".to_owned()] });
    }
    let mut selection = Selection { columns: Vec::new(), names: Vec::new() };
    for name in names {
        let column = table.by_property(&name);
        let column = column.ok_or_else(|| GatewayError::unknown_column(table, &name))?;
        if !selection.names.contains(&name) {
            selection.columns.push(column);
            selection.names.push(name);
        }
    }
    Ok(selection)
}

/// The members of a row: its version, the selected columns, and its id in any case.
pub(crate) fn outputs(
    table: &Table,
    selection: &Selection<'_>,
    annotations: &Annotations,
) -> Vec<pb::OutputColumn> {
    let system = |column: SystemColumn, key: &str| pb::OutputColumn {
        column: Some(pb::ColumnRef { column: Some(column_ref::Column::System(column.into())) }),
        key: key.to_owned(),
        ..Default::default()
    };
    let mut outputs = Vec::with_capacity(selection.columns.len() + 2);
    outputs.push(system(SystemColumn::RowVersion, "@odata.etag"));
    outputs.extend(selection.columns.iter().map(|it| output(it, annotations)));
    if !selection.columns.iter().any(|it| it.logical_name == table.primary_id) {
        outputs.push(match table.by_name(&table.primary_id) {
            Some(column) => output(column, annotations),
            None => system(SystemColumn::RecordId, &table.primary_id),
        });
    }
    outputs
}

fn output(column: &Column, annotations: &Annotations) -> pb::OutputColumn {
    let member = |annotation: &str| format!("{}@{annotation}", column.property);
    let formatted_key = match column.kind {
        ColumnKind::Text | ColumnKind::Guid => String::new(),
        _ if annotations.includes(FORMATTED) => member(FORMATTED),
        _ => String::new(),
    };
    let mut static_members = Vec::new();
    if let ColumnKind::Lookup { target, navigation } = &column.kind {
        for (annotation, value) in [(NAVIGATION, navigation), (LOOKUP, target)] {
            if annotations.includes(annotation) && !value.is_empty() {
                let key = member(annotation);
                static_members.push(pb::StaticMember { key, value: value.clone() });
            }
        }
    }
    pb::OutputColumn {
        column: Some(column.external.clone()),
        key: column.property.clone(),
        formatted_key,
        static_members,
    }
}
