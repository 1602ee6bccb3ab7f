//! The far part of a query while it is being made.

use proto::query::v1 as pb;
use proto::query::v1::column_ref::Column as Named;

use super::{Far, FarPair, Lowering, Spot, label_key};
use crate::error::GatewayError;

/// A far part while it is being made.
pub(super) struct FarDraft<'a> {
    pub(super) alias: String,
    pub(super) lowering: Lowering<'a>,
    pub(super) criteria: Option<pb::FilterExpression>,
    pub(super) links: Vec<pb::LinkEntity>,
    pub(super) columns: Vec<pb::OutputColumn>,
    pub(super) pairs: Vec<FarPair>,
    pub(super) parent: String,
}

/// For what a far column is wanted.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted {
    /// Its text for people too.
    pub(super) labels: bool,
    /// Nobody named it.
    pub(super) if_permitted: bool,
}

impl FarDraft<'_> {
    /// The same place, as the far query sees it.
    pub(super) fn inner(&self, spot: &Spot) -> Result<Spot, GatewayError> {
        if spot.alias == self.alias {
            return Ok(Spot { alias: String::new(), far: None });
        }
        self.lowering.spot("", &spot.alias)
    }

    /// A far column, as the near query names it: one of the rows that will be given by value.
    pub(super) fn column(
        &mut self,
        spot: &Spot,
        external: &pb::ColumnRef,
        wanted: Wanted,
    ) -> Result<pb::ColumnRef, GatewayError> {
        let inner = self.inner(spot)?;
        let column = self.lowering.refer("", &inner, external)?;
        let known = self.columns.iter().position(|it| it.column.as_ref() == Some(&column));
        let index = known.unwrap_or_else(|| {
            let key = format!("c{}", self.columns.len());
            let (column, if_permitted) = (Some(column), wanted.if_permitted);
            self.columns.push(pb::OutputColumn { column, key, if_permitted, ..Default::default() });
            self.columns.len() - 1
        });
        let mut key = String::new();
        if let Some(output) = self.columns.get_mut(index) {
            // Named once, it is named.
            output.if_permitted &= wanted.if_permitted;
            if wanted.labels {
                output.formatted_key = label_key(&output.key);
            }
            key.clone_from(&output.key);
        }
        Ok(pb::ColumnRef { column: Some(Named::Field(key)), link: self.alias.clone() })
    }

    pub(super) fn finish(self) -> Result<Far, GatewayError> {
        let query = pb::QueryExpression {
            entity_name: self.lowering.table.external_name.clone(),
            columns: self.columns,
            criteria: self.criteria,
            links: self.links,
            fiscal_calendar: Some(self.lowering.context.calendar.fiscal.to_proto()),
            ..Default::default()
        };
        let query = self.lowering.finish(query, Vec::new(), Vec::new())?;
        Ok(Far { alias: self.alias, query, pairs: self.pairs, parent: self.parent })
    }
}
