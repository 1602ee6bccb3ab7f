//! What a tree says of the caller, as plain conditions: its user, its business unit, and who stands
//! above or below a row in a hierarchy.

mod tree;

use std::sync::Arc;

use chrono::Weekday;
use proto::query::v1 as pb;
use proto::query::v1::value::Kind;
use proto::query::v1::{ConditionOperator as Operator, SystemColumn};
use uuid::Uuid;

use super::Read;
use super::dates::{Calendar, Fiscal, is_date_operator};
use super::hierarchy::Hierarchy;
use crate::Core;
use crate::companies::Codes;
use crate::error::GatewayError;
use crate::metadata::{Column, ColumnKind, Snapshot, Table};
use crate::providers::Call;
use crate::translate::guid;

const USERS: &str = "systemuser";

/// What lowering needs besides metadata.
pub(super) struct Resolved {
    pub(super) companies: Arc<Codes>,
    pub(super) calendar: Calendar,
    /// The read without operators about the caller; absent where it had none.
    pub(super) read: Option<Read>,
}

/// What a tree mentions.
#[derive(Default)]
struct Mentions {
    dates: bool,
    lookups: bool,
    caller: bool,
}

pub(super) async fn resolve(
    core: &Core,
    call: Call<'_>,
    snapshot: &Snapshot,
    read: &Read,
) -> Result<Resolved, GatewayError> {
    let mut mentions = Mentions::default();
    mentions.read(read);
    let companies = match mentions.lookups {
        true => core.companies.codes(call, snapshot, &core.providers).await?,
        false => Arc::default(),
    };
    let mut calendar = Calendar { zone: call.session.time_zone, ..Calendar::default() };
    if mentions.dates {
        let facts = core.organization.facts(call).await;
        let facts = facts.map_err(|it| GatewayError::of_service(&it))?;
        calendar.week_start = weekday(facts.week_start_day);
        if let Some(it) = &facts.fiscal_calendar {
            calendar.fiscal = fiscal(it);
        }
    }
    let mut resolved = None;
    if mentions.caller {
        let mut read = read.clone();
        let rewriter = Rewriter { core, call, snapshot };
        for (condition, table) in tree::find(snapshot, &mut read, is_about_caller) {
            rewriter.condition(condition, &table).await?;
        }
        resolved = Some(read);
    }
    Ok(Resolved { companies, calendar, read: resolved })
}

fn weekday(number: i32) -> Weekday {
    let number = u8::try_from(number).unwrap_or_default();
    // 0 is Sunday; the enum begins with Monday.
    Weekday::try_from((number + 6) % 7).unwrap_or(Weekday::Sun)
}

fn fiscal(it: &pb::FiscalCalendar) -> Fiscal {
    let default = Calendar::default().fiscal;
    let within = |number: i32, most| {
        u32::try_from(number).ok().filter(|it| (1..=most).contains(it)).unwrap_or(1)
    };
    let period = match it.period_type() {
        pb::FiscalPeriodType::Unspecified => default.period,
        period => period,
    };
    Fiscal { start_month: within(it.start_month, 12), start_day: within(it.start_day, 31), period }
}

impl Mentions {
    fn read(&mut self, read: &Read) {
        self.tree(&read.tree);
        read.expands.iter().for_each(|it| self.expand(it));
    }

    fn expand(&mut self, expand: &super::Expand) {
        self.tree(&expand.tree);
        expand.expands.iter().for_each(|it| self.expand(it));
    }

    fn tree(&mut self, tree: &pb::QueryExpression) {
        self.dates |= tree.columns.iter().any(|it| it.date_grouping != 0);
        tree.criteria.iter().for_each(|it| self.filter(it));
        tree.links.iter().for_each(|it| self.link(it));
    }

    fn link(&mut self, link: &pb::LinkEntity) {
        link.criteria.iter().for_each(|it| self.filter(it));
        link.links.iter().for_each(|it| self.link(it));
    }

    fn filter(&mut self, filter: &pb::FilterExpression) {
        for it in &filter.conditions {
            let operator = it.operator();
            self.dates |= is_date_operator(operator);
            self.caller |= is_about_caller(operator);
            // Companies are asked for by the lookup, which stores say by its code.
            let name = it.column.as_ref().and_then(|it| it.column.as_ref());
            let lookup = |it: &pb::column_ref::Column| matches!(it, pb::column_ref::Column::Field(name) if name.ends_with("_id"));
            self.lookups |= name.is_some_and(lookup);
        }
        filter.filters.iter().for_each(|it| self.filter(it));
        filter.links.iter().for_each(|it| self.link(it));
    }
}

fn is_about_caller(operator: Operator) -> bool {
    use Operator as Op;
    matches!(
        operator,
        Op::EqualUserId
            | Op::NotEqualUserId
            | Op::EqualBusinessId
            | Op::NotEqualBusinessId
            | Op::EqualUserTeams
            | Op::EqualUserOrUserTeams
            | Op::EqualUserOrUserHierarchy
            | Op::EqualUserOrUserHierarchyAndTeams
            | Op::Above
            | Op::AboveOrEqual
            | Op::Under
            | Op::UnderOrEqual
            | Op::NotUnder
    )
}

/// Puts plain conditions in place.
struct Rewriter<'a> {
    core: &'a Core,
    call: Call<'a>,
    snapshot: &'a Snapshot,
}

impl Rewriter<'_> {
    async fn condition(
        &self,
        condition: &mut pb::ConditionExpression,
        table: &Table,
    ) -> Result<(), GatewayError> {
        use Operator as Op;
        let column = column_of(condition, table)?;
        if !matches!(column.kind, ColumnKind::Guid | ColumnKind::Lookup { .. }) {
            return Err(GatewayError::InvalidQuery(format!(
                "The operator {:?} cannot be used with the column '{}', which holds {}.",
                condition.operator(),
                column.logical_name,
                column.edm_type()
            )));
        }
        let (is_within, ids) = match condition.operator() {
            // There are no teams: nobody is in one.
            Op::EqualUserTeams => (true, Vec::new()),
            Op::EqualUserId | Op::EqualUserOrUserTeams => (true, vec![self.user()?]),
            Op::NotEqualUserId => (false, vec![self.user()?]),
            Op::EqualBusinessId => (true, vec![self.business_unit().await?]),
            Op::NotEqualBusinessId => (false, vec![self.business_unit().await?]),
            Op::EqualUserOrUserHierarchy | Op::EqualUserOrUserHierarchyAndTeams => {
                (true, self.user_and_below().await?)
            }
            operator => {
                let id = id_of(condition, column)?;
                let hierarchy = self.hierarchy(table, column)?;
                let down = matches!(operator, Op::Under | Op::UnderOrEqual | Op::NotUnder);
                let mut ids = hierarchy.related(self.core, self.call, id, down).await?;
                if matches!(operator, Op::AboveOrEqual | Op::UnderOrEqual) {
                    ids.push(id);
                }
                (operator != Op::NotUnder, ids)
            }
        };
        replace(condition, ids, is_within);
        Ok(())
    }

    fn user(&self) -> Result<Uuid, GatewayError> {
        own_id(&self.call.session.system_user_id)
    }

    async fn business_unit(&self) -> Result<Uuid, GatewayError> {
        let facts = self.core.organization.facts(self.call).await;
        let facts = facts.map_err(|it| GatewayError::of_service(&it))?;
        own_id(&facts.business_unit_id)
    }

    /// The user, and everybody below where users have managers.
    async fn user_and_below(&self) -> Result<Vec<Uuid>, GatewayError> {
        let user = self.user()?;
        let users = self.snapshot.by_name(USERS).cloned();
        let mut ids = match users.and_then(|it| Hierarchy::of(it, None)) {
            Some(hierarchy) => hierarchy.related(self.core, self.call, user, true).await?,
            None => Vec::new(),
        };
        ids.push(user);
        Ok(ids)
    }

    /// The hierarchy that a column is about: that of the rows it leads to.
    fn hierarchy(&self, table: &Table, column: &Column) -> Result<Hierarchy, GatewayError> {
        let name = match &column.kind {
            ColumnKind::Lookup { target, .. } => target,
            _ => &table.logical_name,
        };
        let is_own = *name == table.logical_name;
        let of = self.snapshot.by_name(name).cloned();
        let found = of.and_then(|it| Hierarchy::of(it, is_own.then_some(column)));
        found.ok_or_else(|| {
            GatewayError::InvalidQuery(format!(
                "The table '{name}' has no hierarchy: none of its lookups leads to itself."
            ))
        })
    }
}

fn column_of<'t>(
    condition: &pb::ConditionExpression,
    table: &'t Table,
) -> Result<&'t Column, GatewayError> {
    use pb::column_ref::Column as Named;
    let name = match condition.column.as_ref().and_then(|it| it.column.as_ref()) {
        Some(Named::Field(name)) => name.as_str(),
        Some(Named::System(it)) if *it == i32::from(SystemColumn::RecordId) => &table.primary_id,
        _ => "",
    };
    table.by_name(name).ok_or_else(|| GatewayError::unknown_column(table, name))
}

/// The one GUID that a condition has.
fn id_of(condition: &pb::ConditionExpression, column: &Column) -> Result<Uuid, GatewayError> {
    let id = match condition.values.as_slice() {
        [value] => match &value.kind {
            Some(Kind::GuidValue(bytes)) => Uuid::from_slice(bytes).ok(),
            Some(Kind::StringValue(text)) => text.trim().parse().ok(),
            _ => None,
        },
        _ => None,
    };
    id.ok_or_else(|| {
        let name = &column.logical_name;
        let message = format!("The condition on '{name}' takes one value, the GUID of a row.");
        GatewayError::InvalidValue(message)
    })
}

fn replace(condition: &mut pb::ConditionExpression, ids: Vec<Uuid>, is_within: bool) {
    let operator = match (ids.len(), is_within) {
        (1, true) => Operator::Equal,
        (1, false) => Operator::NotEqual,
        (_, true) => Operator::In,
        (_, false) => Operator::NotIn,
    };
    condition.operator = operator.into();
    condition.values = ids.into_iter().map(guid).collect();
}

fn own_id(text: &str) -> Result<Uuid, GatewayError> {
    text.parse().map_err(|_| {
        tracing::error!(id = text, "an id of the caller or the organization is no GUID");
        GatewayError::Internal
    })
}
