//! In which order rows come.

use proto::query::v1 as pb;
use proto::query::v1::SystemColumn;

use super::columns::{label_of, record_id};
use super::conditions::filterable;
use super::{Lowering, Spot, Wanted, find};
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Table};
use crate::query::Dialect;

impl Lowering<'_> {
    pub(super) fn orders(
        &mut self,
        tree: &pb::QueryExpression,
    ) -> Result<Vec<pb::OrderExpression>, GatewayError> {
        let mut orders = Vec::with_capacity(tree.orders.len());
        for it in &tree.orders {
            if !it.output.is_empty() {
                orders.push(it.clone());
                continue;
            }
            let named = it.column.as_ref();
            let named = named
                .ok_or_else(|| GatewayError::InvalidQuery("An order has no column.".into()))?;
            let spot = self.spot("", &named.link)?;
            let table = self.table_at(&spot)?;
            let column = self.column(&table, named)?;
            let by_label = matches!(column.kind, ColumnKind::Option(_))
                && self.context.style.dialect == Dialect::Fetch
                && !tree.raw_order_by;
            let mut order =
                pb::OrderExpression { descending: it.descending, by_label, ..Default::default() };
            let derived =
                column.is(SystemColumn::CompanyId) || column.is(SystemColumn::PrimaryField);
            order.column = Some(match &column.kind {
                ColumnKind::Lookup { .. } if !derived => self.name_of(&table, column, &spot)?,
                _ => {
                    if !derived {
                        filterable(&table, column)?;
                    }
                    self.sortable(&mut order, &spot, column)?
                }
            });
            orders.push(order);
        }
        Ok(orders)
    }

    /// Far options come as numbers, and beside them their labels.
    fn sortable(
        &mut self,
        order: &mut pb::OrderExpression,
        spot: &Spot,
        column: &Column,
    ) -> Result<pb::ColumnRef, GatewayError> {
        if let (true, Some(far)) = (order.by_label, spot.far.and_then(|it| self.fars.get_mut(it))) {
            order.by_label = false;
            let labels = Wanted { labels: true, ..Wanted::default() };
            return far.column(spot, &column.external, labels).map(label_of);
        }
        self.refer("", spot, &column.external)
    }

    /// A lookup sorts by the name of the row that it leads to (wire-and-semantics §1.5).
    fn name_of(
        &mut self,
        table: &Table,
        lookup: &Column,
        spot: &Spot,
    ) -> Result<pb::ColumnRef, GatewayError> {
        let mut navigations = table.navigations();
        let found = navigations.find(|it| !it.is_collection && it.lookup == lookup.logical_name);
        let Some(navigation) = found else {
            return self.refer("", spot, &lookup.external);
        };
        let target = find(self.context.snapshot, &navigation.target)?;
        match target.by_name(&target.definition.primary_name_column) {
            Some(name) => self.beside(spot, navigation, &name.external),
            None if lookup.is_across() => self.beside(spot, navigation, &record_id()),
            None => self.refer("", spot, &lookup.external),
        }
    }
}
