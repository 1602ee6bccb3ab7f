//! Filters: every part where it stands, and conditions that become several in their place.

use proto::query::v1 as pb;
use proto::query::v1::FilterOperator;

use super::{Lowering, MAX_CONDITIONS, MAX_DEPTH};
use crate::error::GatewayError;

impl Lowering<'_> {
    /// A filter of the row called `current`.
    pub(super) fn filter(
        &mut self,
        filter: &pb::FilterExpression,
        current: &str,
        depth: usize,
    ) -> Result<pb::FilterExpression, GatewayError> {
        if depth > MAX_DEPTH {
            return Err(GatewayError::TooManyConditions);
        }
        let operator = match FilterOperator::try_from(filter.operator) {
            Ok(FilterOperator::Unspecified) => FilterOperator::And,
            Ok(operator) => operator,
            Err(_) => {
                let number = filter.operator;
                let message = format!("There is no filter operator with the number {number}.");
                return Err(GatewayError::InvalidValue(message));
            }
        };
        let mut out = pb::FilterExpression { operator: operator.into(), ..Default::default() };
        for it in &filter.conditions {
            let lowered = self.condition(it, current)?;
            absorb(&mut out, lowered);
        }
        for it in &filter.filters {
            self.count()?;
            let lowered = self.filter(it, current, depth + 1)?;
            out.filters.push(lowered);
        }
        for it in &filter.links {
            let lowered = self.semi_join(it, current, depth + 1)?;
            absorb(&mut out, lowered);
        }
        Ok(out)
    }

    /// Conditions and nested filters cost alike.
    pub(super) fn count(&mut self) -> Result<(), GatewayError> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(GatewayError::TooManyConditions);
        }
        Ok(())
    }
}

/// A filter of one part, or of the same operator, becomes part of this one.
fn absorb(out: &mut pb::FilterExpression, part: pb::FilterExpression) {
    let parts = part.conditions.len() + part.filters.len() + part.links.len();
    if parts == 1 || part.operator == out.operator {
        out.conditions.extend(part.conditions);
        out.filters.extend(part.filters);
        out.links.extend(part.links);
    } else {
        out.filters.push(part);
    }
}
