//! Expanded rows that come by a statement of their own: one for each level, whatever the number of
//! parents. The parents' keys travel as rows given by value, numbered; the children come back with
//! their parent's number, and their JSON is put into the parent's.

use bytes::Bytes;
use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as Named;
use proto::query::v1::column_values::Values;
use proto::query::v1::link_entity::Target;
use uuid::Uuid;

use super::batch;
use super::execute::{Collected, Executor};
use super::lower::{Child, Lowered};
use crate::error::GatewayError;
use crate::http::quoted;

const PARENTS: &str = "parents";
const ORDINAL: &str = "ordinal";
/// Children of one level at most; providers give no larger pages.
const MOST_CHILDREN: i32 = 100_000;

impl Executor<'_> {
    /// The rows, each with its children.
    pub(super) async fn with_children(
        &self,
        lowered: &Lowered,
        parents: Collected,
    ) -> Result<Vec<Bytes>, GatewayError> {
        let mut texts: Vec<Vec<u8>> = parents.rows.iter().map(|it| open(it)).collect();
        for child in &lowered.children {
            let groups = Box::pin(self.children(child, &parents)).await?;
            let ids = guids(&parents.keys, child.id);
            for (at, text) in texts.iter_mut().enumerate() {
                let group = groups.get(at).map(Vec::as_slice).unwrap_or_default();
                write(text, child, group);
                if child.is_collection
                    && let Some(id) = ids.get(at)
                {
                    self.write_link(text, lowered, child, *id);
                }
            }
        }
        Ok(texts
            .into_iter()
            .map(|mut it| {
                it.push(b'}');
                it.into()
            })
            .collect())
    }

    /// Children by their parents' numbers.
    async fn children(
        &self,
        child: &Child,
        parents: &Collected,
    ) -> Result<Vec<Vec<Bytes>>, GatewayError> {
        let mut groups = vec![Vec::new(); parents.rows.len()];
        if parents.rows.is_empty() {
            return Ok(groups);
        }
        let ordinal = pb::ColumnRef {
            column: Some(Named::Field(ORDINAL.to_owned())),
            link: PARENTS.to_owned(),
        };
        let mut query = child.query.query.clone();
        query.links.push(link(child, parents));
        self.ship_into(&child.query, &mut query).await?;
        query.partition_limit =
            Some(pb::PartitionLimit { by: vec![ordinal.clone()], limit: child.limit });
        query.page = Some(pb::Page { size: MOST_CHILDREN, ..Default::default() });
        let purpose = format!("expand {}", child.navigation);
        let collected = self.collect(&purpose, &child.query, query, &[ordinal]).await?;
        if collected.end.more_rows {
            return Err(GatewayError::InvalidQuery(format!(
                "The expanded rows of '{}' are more than {MOST_CHILDREN}. Ask for smaller pages with \
                 'Prefer: odata.maxpagesize', or limit them with '$top'.",
                child.navigation
            )));
        }
        let ordinals = collected.keys.columns.get(child.query.keys.len());
        let ordinals = match ordinals.and_then(|it| it.values.as_ref()) {
            Some(Values::Ints(it)) => it.values.clone(),
            _ => Vec::new(),
        };
        let rows = match child.query.children.is_empty() {
            true => collected.rows,
            false => self.with_children(&child.query, collected).await?,
        };
        for (row, ordinal) in rows.into_iter().zip(ordinals) {
            if let Some(group) = usize::try_from(ordinal).ok().and_then(|it| groups.get_mut(it)) {
                group.push(row);
            }
        }
        Ok(groups)
    }

    /// Where the collection can be read by itself.
    fn write_link(&self, text: &mut Vec<u8>, lowered: &Lowered, child: &Child, id: Uuid) {
        let (root, set) = (self.root, &lowered.table.set_name);
        let navigation = &child.navigation;
        let mut link = format!("{root}/{set}({id})/{navigation}");
        if !child.options.is_empty() {
            link.push('?');
            link.push_str(&child.options);
        }
        let member =
            format!(",{}:{}", quoted(&format!("{navigation}@odata.nextLink")), quoted(&link));
        text.extend_from_slice(member.as_bytes());
    }
}

/// The parents, as rows that the children are joined to.
fn link(child: &Child, parents: &Collected) -> pb::LinkEntity {
    let count = parents.rows.len();
    let numbers = (0..count).filter_map(|it| i64::try_from(it).ok()).collect();
    let mut columns = vec![batch::ints(ORDINAL, numbers)];
    let mut on = Vec::with_capacity(child.pairs.len());
    for (number, (key, column, exact)) in child.pairs.iter().enumerate() {
        let name = format!("k{number}");
        if let Some(values) = parents.keys.columns.get(*key) {
            columns.push(pb::ColumnValues { key: name.clone(), ..values.clone() });
        }
        on.push(pb::JoinPair {
            column: Some(pb::ColumnRef { column: Some(Named::Field(name)), link: String::new() }),
            parent: Some(column.clone()),
            exact: *exact,
        });
    }
    let rows = pb::InlineRows {
        row_count: i64::try_from(count).unwrap_or(i64::MAX),
        columns: Some(pb::ColumnBatch { columns }),
    };
    pb::LinkEntity {
        alias: PARENTS.to_owned(),
        target: Some(Target::Rows(rows)),
        join: pb::JoinOperator::Inner.into(),
        on,
        ..Default::default()
    }
}

/// A row without its closing brace.
fn open(row: &[u8]) -> Vec<u8> {
    row.strip_suffix(b"}").unwrap_or(row).to_vec()
}

fn write(text: &mut Vec<u8>, child: &Child, rows: &[Bytes]) {
    if !text.ends_with(b"{") {
        text.push(b',');
    }
    text.extend_from_slice(quoted(&child.navigation).as_bytes());
    text.push(b':');
    if !child.is_collection {
        text.extend_from_slice(rows.first().map_or(b"null".as_slice(), |it| it));
        return;
    }
    text.push(b'[');
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(row);
    }
    text.push(b']');
}

fn guids(keys: &pb::ColumnBatch, at: usize) -> Vec<Uuid> {
    match keys.columns.get(at).and_then(|it| it.values.as_ref()) {
        Some(Values::Guids(bytes)) => {
            bytes.chunks_exact(16).filter_map(|it| Uuid::from_slice(it).ok()).collect()
        }
        _ => Vec::new(),
    }
}
