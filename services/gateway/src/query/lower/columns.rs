//! What rows carry, and how their members are called.

use proto::query::v1 as pb;
use proto::query::v1::{Aggregate, DateGrouping, SystemColumn};

use super::conditions::filterable;
use super::links::field;
use super::values::is_user_local;
use super::{Lowering, Spot, Wanted, find, label_key};
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Navigation, Table};
use crate::query::Dialect;

const FORMATTED: &str = "OData.Community.Display.V1.FormattedValue";
const LOOKUP: &str = "Microsoft.Dynamics.CRM.lookuplogicalname";
const NAVIGATION: &str = "Microsoft.Dynamics.CRM.associatednavigationproperty";
const ETAG: &str = "@odata.etag";
/// Lookups of one query that are returned with the names of their rows; each costs a join.
const MAX_NAMES: usize = 20;

impl Lowering<'_> {
    pub(super) fn columns(
        &mut self,
        tree: &pb::QueryExpression,
    ) -> Result<Vec<pb::OutputColumn>, GatewayError> {
        let grouped = tree.columns.iter().any(|it| it.group_by || it.aggregate != 0);
        let mut outputs = Vec::with_capacity(tree.columns.len() + 2);
        let of_rows = !grouped && !tree.distinct && self.context.style.dialect != Dialect::Message;
        if of_rows && !self.is_count_only(tree) {
            outputs.push(system(SystemColumn::RowVersion, ETAG));
        }
        if tree.all_columns {
            let spot = self.spot("", "")?;
            self.all(&spot, &mut outputs)?;
        }
        for link in all_links(&tree.links).filter(|it| it.all_columns) {
            let spot = self.spot("", &link.alias)?;
            self.all(&spot, &mut outputs)?;
        }
        for it in &tree.columns {
            let found = self.output(it, !grouped && !tree.distinct)?;
            let Some(output) = found.first() else { continue };
            if outputs.iter().any(|other| other.key == output.key) {
                if it.key.is_empty() {
                    continue;
                }
                let key = &output.key;
                let message = format!("The name '{key}' stands for more than one column.");
                return Err(GatewayError::InvalidQuery(message));
            }
            outputs.extend(found);
        }
        let id = self.table.primary_id.clone();
        if of_rows && !self.is_count_only(tree) && !outputs.iter().any(|it| it.key == id) {
            let table = self.table.clone();
            outputs.push(match table.by_name(&id) {
                Some(column) => self.member(&table, column, &id)?,
                None => system(SystemColumn::RecordId, &id),
            });
        }
        Ok(outputs)
    }

    /// A query for a count asks for no columns.
    fn is_count_only(&self, tree: &pb::QueryExpression) -> bool {
        tree.page.as_ref().is_some_and(|it| it.size < 0)
    }

    fn all(
        &mut self,
        spot: &Spot,
        outputs: &mut Vec<pb::OutputColumn>,
    ) -> Result<(), GatewayError> {
        let table = self.table_at(spot)?;
        // What is found in another store is returned where it is asked for by name only.
        for column in table.columns.iter().filter(|it| !it.is_across()) {
            let key = self.natural_key(column, &spot.alias);
            let mut output = self.member(&table, column, &key)?;
            // Where it cannot be read it is null; that a row's key cannot be read is an error.
            output.if_permitted = !column.is(SystemColumn::RecordId);
            outputs.extend(self.found(output, spot, (&table, column), true)?);
        }
        Ok(())
    }

    /// The member of a column, and behind it those that need columns of their own.
    fn output(
        &mut self,
        given: &pb::OutputColumn,
        of_rows: bool,
    ) -> Result<Vec<pb::OutputColumn>, GatewayError> {
        let Some(named) = &given.column else {
            // A number of rows is of no column.
            return Ok(vec![pb::OutputColumn { members: Vec::new(), ..given.clone() }]);
        };
        let spot = self.spot("", &named.link)?;
        let table = self.table_at(&spot)?;
        let column = self.column(&table, named)?;
        let key = match given.key.as_str() {
            "" => self.natural_key(column, &spot.alias),
            alias => alias.to_owned(),
        };
        let mut output = self.member(&table, column, &key)?;
        output.aggregate = given.aggregate;
        output.group_by = given.group_by;
        output.omit_null |= given.omit_null;
        output.date_grouping = given.date_grouping;
        if given.date_grouping() != DateGrouping::Unspecified {
            let local = is_user_local(&table, column) && given.time_zone != "UTC";
            output.time_zone = match local {
                true => self.context.calendar.zone.name().to_owned(),
                false => String::new(),
            };
        }
        let counts = matches!(
            given.aggregate(),
            Aggregate::Count | Aggregate::CountColumn | Aggregate::CountDistinct
        );
        if given.aggregate != 0 || given.group_by {
            filterable(&table, column)?;
            output.static_members.clear();
            self.check_aggregate(column, given.aggregate(), &key)?;
        }
        if counts && !output.formatted_key.is_empty() {
            output.formatted_key = String::new();
        }
        self.found(output, &spot, (&table, column), of_rows)
    }

    fn check_aggregate(
        &self,
        column: &Column,
        aggregate: Aggregate,
        key: &str,
    ) -> Result<(), GatewayError> {
        use ColumnKind as Kind;
        let is_number =
            matches!(column.kind, Kind::Integer | Kind::BigInt | Kind::Decimal | Kind::Double);
        let is_date = matches!(column.kind, Kind::Date | Kind::DateTime);
        let fits = match aggregate {
            Aggregate::Sum | Aggregate::Average => is_number,
            Aggregate::Min | Aggregate::Max => is_number || is_date,
            _ => true,
        };
        if fits {
            return Ok(());
        }
        Err(GatewayError::InvalidQuery(format!(
            "The aggregate '{key}' cannot be computed over the column '{}', which holds {}.",
            column.logical_name,
            column.edm_type()
        )))
    }

    /// The member with where the provider finds its value. The text for people is a member of its own
    /// where it is another column: of far rows, or the name of the row that a lookup leads to.
    fn found(
        &mut self,
        mut output: pb::OutputColumn,
        spot: &Spot,
        (table, column): (&Table, &Column),
        of_rows: bool,
    ) -> Result<Vec<pb::OutputColumn>, GatewayError> {
        let label = |column: pb::ColumnRef, key: String| pb::OutputColumn {
            column: Some(column),
            key,
            omit_null: true,
            if_permitted: true,
            ..Default::default()
        };
        if let ColumnKind::Lookup { navigation, .. } = &column.kind
            && let Some(navigation) = table.navigation(navigation)
            && (column.is_across() || !column.is(SystemColumn::CompanyId))
        {
            let key = std::mem::take(&mut output.formatted_key);
            output.column = Some(match column.is_across() {
                true => self.beside(spot, navigation, &record_id())?,
                false => self.shown(spot, &column.external, output.if_permitted)?,
            });
            let target = find(self.context.snapshot, &navigation.target)?;
            let wanted = of_rows && !key.is_empty() && self.sides.len() < MAX_NAMES;
            let name = target.by_name(&target.definition.primary_name_column);
            let name = name.filter(|it| wanted && self.may_name(table, navigation, &target, it));
            return Ok(match name {
                Some(name) => {
                    let name = self.beside(spot, navigation, &name.external)?;
                    vec![output, label(name, key)]
                }
                None => vec![output],
            });
        }
        let Some(far) = spot.far.and_then(|it| self.fars.get_mut(it)) else {
            output.column = Some(self.refer("", spot, &column.external)?);
            return Ok(vec![output]);
        };
        let key = std::mem::take(&mut output.formatted_key);
        let wanted = Wanted { labels: !key.is_empty(), if_permitted: output.if_permitted };
        let value = far.column(spot, &column.external, wanted)?;
        output.column = Some(value.clone());
        if key.is_empty() {
            return Ok(vec![output]);
        }
        Ok(vec![output, label(label_of(value), key)])
    }

    /// A provider's column that rows are returned with; of far rows, null where nobody named it and it may
    /// not be read.
    fn shown(
        &mut self,
        spot: &Spot,
        external: &pb::ColumnRef,
        if_permitted: bool,
    ) -> Result<pb::ColumnRef, GatewayError> {
        match spot.far.and_then(|it| self.fars.get_mut(it)) {
            Some(far) => far.column(spot, external, Wanted { labels: false, if_permitted }),
            None => self.refer("", spot, external),
        }
    }

    /// Whether the caller may see the name of the row that a lookup leads to, and what leads there.
    fn may_name(
        &self,
        table: &Table,
        navigation: &Navigation,
        target: &Table,
        name: &Column,
    ) -> bool {
        let may_read = self.context.may_read;
        let here: Vec<_> = navigation.pairs.iter().map(|it| &it.0).collect();
        let there = navigation.pairs.iter().map(|it| &it.1).chain([&name.external]);
        may_read(table, &here) && may_read(target, &there.collect::<Vec<_>>())
    }

    fn natural_key(&self, column: &Column, alias: &str) -> String {
        match (self.context.style.dialect, alias) {
            (Dialect::Message, "") => column.logical_name.clone(),
            (_, "") => column.property.clone(),
            (_, alias) => format!("{alias}.{}", column.logical_name),
        }
    }

    /// A member of a row, and those that annotate it.
    fn member(
        &self,
        table: &Table,
        column: &Column,
        key: &str,
    ) -> Result<pb::OutputColumn, GatewayError> {
        let style = self.context.style;
        let annotation = |name: &str| format!("{key}@{name}");
        let formatted_key = match column.kind {
            ColumnKind::Text | ColumnKind::Guid => String::new(),
            _ if style.annotations.includes(FORMATTED) => annotation(FORMATTED),
            _ => String::new(),
        };
        let mut static_members = Vec::new();
        if let ColumnKind::Lookup { target, navigation } = &column.kind {
            for (name, value) in [(NAVIGATION, navigation), (LOOKUP, target)] {
                if style.annotations.includes(name) && !value.is_empty() {
                    let (key, value) = (annotation(name), value.clone());
                    static_members.push(pb::StaticMember { key, value });
                }
            }
        }
        let local = matches!(column.kind, ColumnKind::DateTime) && is_user_local(table, column);
        let zone = self.context.calendar.zone;
        Ok(pb::OutputColumn {
            column: Some(column.external.clone()),
            key: key.to_owned(),
            formatted_key,
            static_members,
            time_zone: if local { zone.name().to_owned() } else { String::new() },
            omit_null: style.dialect == Dialect::Fetch,
            number_as_string: style.numbers_as_strings,
            ..Default::default()
        })
    }
}

fn system(system: SystemColumn, key: &str) -> pb::OutputColumn {
    let column = Some(pb::column_ref::Column::System(system.into()));
    pb::OutputColumn {
        column: Some(pb::ColumnRef { column, ..Default::default() }),
        key: key.to_owned(),
        ..Default::default()
    }
}

pub(super) fn record_id() -> pb::ColumnRef {
    let column = pb::column_ref::Column::System(SystemColumn::RecordId.into());
    pb::ColumnRef { column: Some(column), link: String::new() }
}

/// The labels of a far column, beside its values.
pub(super) fn label_of(column: pb::ColumnRef) -> pb::ColumnRef {
    match column.column {
        Some(pb::column_ref::Column::Field(key)) => field(&label_key(&key), &column.link),
        _ => column,
    }
}

fn all_links(links: &[pb::LinkEntity]) -> Box<dyn Iterator<Item = &pb::LinkEntity> + '_> {
    Box::new(links.iter().flat_map(|it| std::iter::once(it).chain(all_links(&it.links))))
}
