//! The query functions of the platform (spec API-10): one table.

use odata::{ArgumentValue, Literal, QueryFunction};
use proto::query::v1::ConditionOperator as Operator;

use crate::error::GatewayError;
use crate::translate::negated;

/// Which arguments a function takes besides the property's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// None.
    Bare,
    /// `PropertyValue`.
    One,
    /// `PropertyValues`.
    Many,
    /// `PropertyValue1` and `PropertyValue2`, or two `PropertyValues`.
    Two,
}

/// What a function of the platform's namespace means.
pub(super) fn function(name: &str) -> Option<(Operator, Shape)> {
    FUNCTIONS.iter().find(|it| it.0 == name).map(|(_, operator, shape)| (*operator, *shape))
}

pub(super) const FUNCTIONS: [(&str, Operator, Shape); 69] = [
    ("Above", Operator::Above, Shape::One),
    ("AboveOrEqual", Operator::AboveOrEqual, Shape::One),
    ("Between", Operator::Between, Shape::Two),
    ("Contains", Operator::Contains, Shape::One),
    ("ContainValues", Operator::ContainValues, Shape::Many),
    ("DoesNotContainValues", Operator::DoesNotContainValues, Shape::Many),
    ("EqualBusinessId", Operator::EqualBusinessId, Shape::Bare),
    ("EqualUserId", Operator::EqualUserId, Shape::Bare),
    ("EqualUserLanguage", Operator::EqualUserLanguage, Shape::Bare),
    ("EqualUserOrUserHierarchy", Operator::EqualUserOrUserHierarchy, Shape::Bare),
    ("EqualUserOrUserHierarchyAndTeams", Operator::EqualUserOrUserHierarchyAndTeams, Shape::Bare),
    ("EqualUserOrUserTeams", Operator::EqualUserOrUserTeams, Shape::Bare),
    ("EqualUserTeams", Operator::EqualUserTeams, Shape::Bare),
    ("In", Operator::In, Shape::Many),
    ("InFiscalPeriod", Operator::InFiscalPeriod, Shape::One),
    ("InFiscalPeriodAndYear", Operator::InFiscalPeriodAndYear, Shape::Two),
    ("InFiscalYear", Operator::InFiscalYear, Shape::One),
    ("InOrAfterFiscalPeriodAndYear", Operator::InOrAfterFiscalPeriodAndYear, Shape::Two),
    ("InOrBeforeFiscalPeriodAndYear", Operator::InOrBeforeFiscalPeriodAndYear, Shape::Two),
    ("Last7Days", Operator::LastSevenDays, Shape::Bare),
    ("LastFiscalPeriod", Operator::LastFiscalPeriod, Shape::Bare),
    ("LastFiscalYear", Operator::LastFiscalYear, Shape::Bare),
    ("LastMonth", Operator::LastMonth, Shape::Bare),
    ("LastWeek", Operator::LastWeek, Shape::Bare),
    ("LastXDays", Operator::LastXDays, Shape::One),
    ("LastXFiscalPeriods", Operator::LastXFiscalPeriods, Shape::One),
    ("LastXFiscalYears", Operator::LastXFiscalYears, Shape::One),
    ("LastXHours", Operator::LastXHours, Shape::One),
    ("LastXMonths", Operator::LastXMonths, Shape::One),
    ("LastXWeeks", Operator::LastXWeeks, Shape::One),
    ("LastXYears", Operator::LastXYears, Shape::One),
    ("LastYear", Operator::LastYear, Shape::Bare),
    ("Next7Days", Operator::NextSevenDays, Shape::Bare),
    ("NextFiscalPeriod", Operator::NextFiscalPeriod, Shape::Bare),
    ("NextFiscalYear", Operator::NextFiscalYear, Shape::Bare),
    ("NextMonth", Operator::NextMonth, Shape::Bare),
    ("NextWeek", Operator::NextWeek, Shape::Bare),
    ("NextXDays", Operator::NextXDays, Shape::One),
    ("NextXFiscalPeriods", Operator::NextXFiscalPeriods, Shape::One),
    ("NextXFiscalYears", Operator::NextXFiscalYears, Shape::One),
    ("NextXHours", Operator::NextXHours, Shape::One),
    ("NextXMonths", Operator::NextXMonths, Shape::One),
    ("NextXWeeks", Operator::NextXWeeks, Shape::One),
    ("NextXYears", Operator::NextXYears, Shape::One),
    ("NextYear", Operator::NextYear, Shape::Bare),
    ("NotBetween", Operator::NotBetween, Shape::Two),
    ("NotEqualBusinessId", Operator::NotEqualBusinessId, Shape::Bare),
    ("NotEqualUserId", Operator::NotEqualUserId, Shape::Bare),
    ("NotIn", Operator::NotIn, Shape::Many),
    ("NotUnder", Operator::NotUnder, Shape::One),
    ("OlderThanXDays", Operator::OlderThanXDays, Shape::One),
    ("OlderThanXHours", Operator::OlderThanXHours, Shape::One),
    ("OlderThanXMinutes", Operator::OlderThanXMinutes, Shape::One),
    ("OlderThanXMonths", Operator::OlderThanXMonths, Shape::One),
    ("OlderThanXWeeks", Operator::OlderThanXWeeks, Shape::One),
    ("OlderThanXYears", Operator::OlderThanXYears, Shape::One),
    ("On", Operator::On, Shape::One),
    ("OnOrAfter", Operator::OnOrAfter, Shape::One),
    ("OnOrBefore", Operator::OnOrBefore, Shape::One),
    ("ThisFiscalPeriod", Operator::ThisFiscalPeriod, Shape::Bare),
    ("ThisFiscalYear", Operator::ThisFiscalYear, Shape::Bare),
    ("ThisMonth", Operator::ThisMonth, Shape::Bare),
    ("ThisWeek", Operator::ThisWeek, Shape::Bare),
    ("ThisYear", Operator::ThisYear, Shape::Bare),
    ("Today", Operator::Today, Shape::Bare),
    ("Tomorrow", Operator::Tomorrow, Shape::Bare),
    ("Under", Operator::Under, Shape::One),
    ("UnderOrEqual", Operator::UnderOrEqual, Shape::One),
    ("Yesterday", Operator::Yesterday, Shape::Bare),
];

/// What holds where a function does not, where there is such an operator.
pub(super) fn opposite(operator: Operator) -> Option<Operator> {
    let turned = match operator {
        Operator::Between => Operator::NotBetween,
        Operator::NotBetween => Operator::Between,
        Operator::On => Operator::NotOn,
        Operator::EqualUserId => Operator::NotEqualUserId,
        Operator::NotEqualUserId => Operator::EqualUserId,
        Operator::EqualBusinessId => Operator::NotEqualBusinessId,
        Operator::NotEqualBusinessId => Operator::EqualBusinessId,
        Operator::Under => Operator::NotUnder,
        Operator::NotUnder => Operator::Under,
        Operator::ContainValues => Operator::DoesNotContainValues,
        Operator::DoesNotContainValues => Operator::ContainValues,
        other => negated(other),
    };
    (turned != operator).then_some(turned)
}

/// A function's values.
pub(super) fn arguments(
    called: &QueryFunction,
    shape: Shape,
) -> Result<Vec<Literal>, GatewayError> {
    let given = |name: &str| called.argument(name);
    let list = |value: &ArgumentValue| match value {
        ArgumentValue::List(values) => values.clone(),
        ArgumentValue::Literal(value) => vec![value.clone()],
    };
    match shape {
        Shape::Bare => Ok(Vec::new()),
        Shape::One => match given("PropertyValue").or_else(|| given("PropertyValues")).map(list) {
            Some(values) if values.len() == 1 => Ok(values),
            _ => Err(missing_argument(called, "PropertyValue")),
        },
        Shape::Many => {
            let values = given("PropertyValues").or_else(|| given("PropertyValue"));
            values.map(list).ok_or_else(|| missing_argument(called, "PropertyValues"))
        }
        Shape::Two => {
            let values = match (given("PropertyValue1"), given("PropertyValue2")) {
                (Some(one), Some(two)) => [list(one), list(two)].concat(),
                _ => given("PropertyValues").map(list).unwrap_or_default(),
            };
            if values.len() == 2 {
                Ok(values)
            } else {
                Err(missing_argument(called, "PropertyValue2"))
            }
        }
    }
}

pub(super) fn missing_argument(function: &QueryFunction, name: &str) -> GatewayError {
    GatewayError::InvalidFilter(format!("The function '{}' needs a '{name}'.", function.name))
}
