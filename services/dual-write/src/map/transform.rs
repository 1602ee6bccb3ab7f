//! How one value changes on its way, in one direction (spec DW-20).

use proto::dual_write::v1 as pb;
use proto::dual_write::v1::transform::Kind as Written;
use proto::query::v1::Value;

use super::issue;
use super::issue::Finding;
use super::schema::{ColumnSchema, Kind};
use super::value;
use super::value::Misfit;

/// Where values go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    ToPlatform,
    ToFinanceAndOperations,
}

impl Direction {
    pub(super) fn back(self) -> Self {
        match self {
            Self::ToPlatform => Self::ToFinanceAndOperations,
            Self::ToFinanceAndOperations => Self::ToPlatform,
        }
    }
}

/// From a column of one side to one of the other.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    steps: Vec<Step>,
    /// Longest text; digits after the point may be lost too.
    cut: Option<usize>,
    to: ColumnSchema,
}

#[derive(Clone, Debug)]
enum Step {
    /// Of the destination.
    Default(Value),
    /// Of the source, and of the destination.
    Replace(Vec<(Value, Value)>),
}

impl Pipeline {
    /// `from` is absent for a constant.
    pub(crate) fn new(
        transforms: &[pb::Transform],
        direction: Direction,
        from: Option<&ColumnSchema>,
        to: &ColumnSchema,
    ) -> Result<Self, Finding> {
        let mut it = Self { steps: Vec::new(), cut: None, to: to.clone() };
        // What came last on the way there comes first on the way back.
        let backwards = direction == Direction::ToFinanceAndOperations;
        let mut order: Vec<&pb::Transform> = transforms.iter().collect();
        if backwards {
            order.reverse();
        }
        for transform in order {
            match &transform.kind {
                Some(Written::DefaultValue(default)) => {
                    let default = default.value.clone().unwrap_or_default();
                    let default = value::literal(&default, to).map_err(|_| issue::LITERAL)?;
                    it.steps.push(Step::Default(default));
                }
                Some(Written::ValueMap(map)) => {
                    let from = from.ok_or(issue::NO_SOURCE)?;
                    it.steps.push(Step::Replace(pairs(map, direction, from, to)?));
                }
                Some(Written::Truncate(truncate)) => {
                    let length = usize::try_from(truncate.max_length).unwrap_or(0);
                    it.cut = Some(if length == 0 { usize::MAX } else { length });
                }
                None => return Err(issue::LITERAL),
            }
        }
        match from {
            Some(from) => it.check(from)?,
            None if it.constant().is_none() => return Err(issue::NO_DEFAULT),
            None => {}
        }
        Ok(it)
    }

    /// Two values may become the same one.
    pub(crate) fn is_lossy(&self) -> bool {
        self.cut.is_some()
    }

    /// What is given where the source has nothing.
    pub(crate) fn constant(&self) -> Option<&Value> {
        self.steps.iter().find_map(|it| match it {
            Step::Default(value) => Some(value),
            Step::Replace(_) => None,
        })
    }

    /// # Errors
    ///
    /// When the destination cannot hold the value.
    pub(crate) fn apply(&self, source: &Value) -> Result<Value, Misfit> {
        let mut current = source;
        let mut replaced = false;
        for step in &self.steps {
            match step {
                Step::Default(default) if value::is_none(current) => {
                    (current, replaced) = (default, true);
                }
                Step::Default(_) => {}
                Step::Replace(pairs) if !replaced => {
                    let pair = pairs.iter().find(|it| value::same(&it.0, current));
                    if let Some((_, target)) = pair {
                        (current, replaced) = (target, true);
                    }
                }
                Step::Replace(_) => {}
            }
        }
        value::convert(current, &self.to, self.cut)
    }

    fn check(&self, from: &ColumnSchema) -> Result<(), Finding> {
        let to = &self.to;
        let is_mapped = self.steps.iter().any(|it| matches!(it, Step::Replace(_)));
        if !fits(from, to, is_mapped, self.cut.is_some()) {
            return Err(issue::TYPES);
        }
        let loses_digits = match (from.scale, to.scale) {
            (Some(from), Some(to)) => from > to,
            _ => false,
        };
        let is_decimal = from.kind == Kind::Decimal && to.kind == Kind::Decimal;
        if is_decimal && loses_digits && self.cut.is_none() {
            return Err(issue::PRECISION);
        }
        Ok(())
    }
}

fn pairs(
    map: &pb::ValueMapTransform,
    direction: Direction,
    from: &ColumnSchema,
    to: &ColumnSchema,
) -> Result<Vec<(Value, Value)>, Finding> {
    let mut pairs: Vec<(Value, Value)> = Vec::with_capacity(map.pairs.len());
    for pair in &map.pairs {
        let erp = pair.finance_and_operations_value.clone().unwrap_or_default();
        let platform = pair.platform_value.clone().unwrap_or_default();
        let (source, target) = match direction {
            Direction::ToPlatform => (erp, platform),
            Direction::ToFinanceAndOperations => (platform, erp),
        };
        let source = value::literal(&source, from).map_err(|_| issue::LITERAL)?;
        let target = value::literal(&target, to).map_err(|_| issue::LITERAL)?;
        if pairs.iter().any(|it| value::same(&it.0, &source)) {
            return Err(issue::VALUE_MAP_TWICE);
        }
        pairs.push((source, target));
    }
    Ok(pairs)
}

/// Whether values of one column can be values of another; single ones may still be out of range.
fn fits(from: &ColumnSchema, to: &ColumnSchema, is_mapped: bool, cut: bool) -> bool {
    let has = |column: &ColumnSchema, symbol: &str| {
        column.members.iter().any(|it| it.symbol.eq_ignore_ascii_case(symbol))
    };
    let is_yes_or_no = |column: &ColumnSchema| {
        !column.members.is_empty()
            && column.members.iter().all(|it| {
                it.symbol.eq_ignore_ascii_case("yes") || it.symbol.eq_ignore_ascii_case("no")
            })
    };
    match (from.kind, to.kind) {
        _ if is_mapped => true,
        (Kind::Text | Kind::Memo | Kind::Enum, Kind::Text | Kind::Memo) => true,
        (Kind::Text, Kind::Enum) => true,
        (Kind::Enum, Kind::Enum) => from.members.iter().all(|it| has(to, &it.symbol)),
        (Kind::Enum, Kind::Boolean) => is_yes_or_no(from),
        (Kind::Boolean, Kind::Enum) => has(to, "Yes") && has(to, "No"),
        (Kind::Decimal | Kind::Double, Kind::Integer | Kind::Long) => cut,
        (from, to) if from.is_number() && to.is_number() => true,
        (Kind::Date, Kind::DateTime) => true,
        (Kind::DateTime, Kind::Date) => cut,
        (Kind::Guid, Kind::Guid) => true,
        (from, to) => from == to && from != Kind::Lookup,
    }
}
