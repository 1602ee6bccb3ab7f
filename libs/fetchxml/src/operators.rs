//! Condition operators by the names of each dialect (spec §3.4), as one table.

use proto::query::v1::ConditionOperator as Op;

/// How many values an operator takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arity {
    None,
    One,
    Two,
    /// One or more.
    List,
}

/// An operator's names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) operator: Op,
    /// Absent where FetchXML has no word of its own.
    pub(crate) fetch: Option<&'static str>,
    pub(crate) sdk: &'static str,
    pub(crate) arity: Arity,
}

const fn names(operator: Op, fetch: &'static str, sdk: &'static str, arity: Arity) -> Names {
    Names { operator, fetch: Some(fetch), sdk, arity }
}

const OPERATORS: &[Names] = &[
    names(Op::Equal, "eq", "Equal", Arity::One),
    names(Op::NotEqual, "ne", "NotEqual", Arity::One),
    names(Op::GreaterThan, "gt", "GreaterThan", Arity::One),
    names(Op::GreaterEqual, "ge", "GreaterEqual", Arity::One),
    names(Op::LessThan, "lt", "LessThan", Arity::One),
    names(Op::LessEqual, "le", "LessEqual", Arity::One),
    names(Op::Null, "null", "Null", Arity::None),
    names(Op::NotNull, "not-null", "NotNull", Arity::None),
    names(Op::In, "in", "In", Arity::List),
    names(Op::NotIn, "not-in", "NotIn", Arity::List),
    Names { operator: Op::Contains, fetch: None, sdk: "Contains", arity: Arity::One },
    Names { operator: Op::NotContains, fetch: None, sdk: "DoesNotContain", arity: Arity::One },
    names(Op::BeginsWith, "begins-with", "BeginsWith", Arity::One),
    names(Op::NotBeginsWith, "not-begin-with", "DoesNotBeginWith", Arity::One),
    names(Op::EndsWith, "ends-with", "EndsWith", Arity::One),
    names(Op::NotEndsWith, "not-end-with", "DoesNotEndWith", Arity::One),
    names(Op::Like, "like", "Like", Arity::One),
    names(Op::NotLike, "not-like", "NotLike", Arity::One),
    names(Op::Between, "between", "Between", Arity::Two),
    names(Op::NotBetween, "not-between", "NotBetween", Arity::Two),
    names(Op::ContainValues, "contain-values", "ContainValues", Arity::List),
    names(Op::DoesNotContainValues, "not-contain-values", "DoesNotContainValues", Arity::List),
    names(Op::EqualUserId, "eq-userid", "EqualUserId", Arity::None),
    names(Op::NotEqualUserId, "ne-userid", "NotEqualUserId", Arity::None),
    names(Op::EqualBusinessId, "eq-businessid", "EqualBusinessId", Arity::None),
    names(Op::NotEqualBusinessId, "ne-businessid", "NotEqualBusinessId", Arity::None),
    names(Op::EqualUserTeams, "eq-userteams", "EqualUserTeams", Arity::None),
    names(Op::EqualUserOrUserTeams, "eq-useroruserteams", "EqualUserOrUserTeams", Arity::None),
    names(
        Op::EqualUserOrUserHierarchy,
        "eq-useroruserhierarchy",
        "EqualUserOrUserHierarchy",
        Arity::None,
    ),
    names(
        Op::EqualUserOrUserHierarchyAndTeams,
        "eq-useroruserhierarchyandteams",
        "EqualUserOrUserHierarchyAndTeams",
        Arity::None,
    ),
    names(Op::EqualUserLanguage, "eq-userlanguage", "EqualUserLanguage", Arity::None),
    names(Op::Above, "above", "Above", Arity::One),
    names(Op::AboveOrEqual, "eq-or-above", "AboveOrEqual", Arity::One),
    names(Op::Under, "under", "Under", Arity::One),
    names(Op::UnderOrEqual, "eq-or-under", "UnderOrEqual", Arity::One),
    names(Op::NotUnder, "not-under", "NotUnder", Arity::One),
    names(Op::On, "on", "On", Arity::One),
    names(Op::NotOn, "not-on", "NotOn", Arity::One),
    names(Op::OnOrAfter, "on-or-after", "OnOrAfter", Arity::One),
    names(Op::OnOrBefore, "on-or-before", "OnOrBefore", Arity::One),
    names(Op::Today, "today", "Today", Arity::None),
    names(Op::Yesterday, "yesterday", "Yesterday", Arity::None),
    names(Op::Tomorrow, "tomorrow", "Tomorrow", Arity::None),
    names(Op::LastSevenDays, "last-seven-days", "Last7Days", Arity::None),
    names(Op::NextSevenDays, "next-seven-days", "Next7Days", Arity::None),
    names(Op::LastWeek, "last-week", "LastWeek", Arity::None),
    names(Op::ThisWeek, "this-week", "ThisWeek", Arity::None),
    names(Op::NextWeek, "next-week", "NextWeek", Arity::None),
    names(Op::LastMonth, "last-month", "LastMonth", Arity::None),
    names(Op::ThisMonth, "this-month", "ThisMonth", Arity::None),
    names(Op::NextMonth, "next-month", "NextMonth", Arity::None),
    names(Op::LastYear, "last-year", "LastYear", Arity::None),
    names(Op::ThisYear, "this-year", "ThisYear", Arity::None),
    names(Op::NextYear, "next-year", "NextYear", Arity::None),
    names(Op::LastXHours, "last-x-hours", "LastXHours", Arity::One),
    names(Op::LastXDays, "last-x-days", "LastXDays", Arity::One),
    names(Op::LastXWeeks, "last-x-weeks", "LastXWeeks", Arity::One),
    names(Op::LastXMonths, "last-x-months", "LastXMonths", Arity::One),
    names(Op::LastXYears, "last-x-years", "LastXYears", Arity::One),
    names(Op::NextXHours, "next-x-hours", "NextXHours", Arity::One),
    names(Op::NextXDays, "next-x-days", "NextXDays", Arity::One),
    names(Op::NextXWeeks, "next-x-weeks", "NextXWeeks", Arity::One),
    names(Op::NextXMonths, "next-x-months", "NextXMonths", Arity::One),
    names(Op::NextXYears, "next-x-years", "NextXYears", Arity::One),
    names(Op::OlderThanXMinutes, "olderthan-x-minutes", "OlderThanXMinutes", Arity::One),
    names(Op::OlderThanXHours, "olderthan-x-hours", "OlderThanXHours", Arity::One),
    names(Op::OlderThanXDays, "olderthan-x-days", "OlderThanXDays", Arity::One),
    names(Op::OlderThanXWeeks, "olderthan-x-weeks", "OlderThanXWeeks", Arity::One),
    names(Op::OlderThanXMonths, "olderthan-x-months", "OlderThanXMonths", Arity::One),
    names(Op::OlderThanXYears, "olderthan-x-years", "OlderThanXYears", Arity::One),
    names(Op::LastFiscalPeriod, "last-fiscal-period", "LastFiscalPeriod", Arity::None),
    names(Op::ThisFiscalPeriod, "this-fiscal-period", "ThisFiscalPeriod", Arity::None),
    names(Op::NextFiscalPeriod, "next-fiscal-period", "NextFiscalPeriod", Arity::None),
    names(Op::LastFiscalYear, "last-fiscal-year", "LastFiscalYear", Arity::None),
    names(Op::ThisFiscalYear, "this-fiscal-year", "ThisFiscalYear", Arity::None),
    names(Op::NextFiscalYear, "next-fiscal-year", "NextFiscalYear", Arity::None),
    names(Op::LastXFiscalPeriods, "last-x-fiscal-periods", "LastXFiscalPeriods", Arity::One),
    names(Op::NextXFiscalPeriods, "next-x-fiscal-periods", "NextXFiscalPeriods", Arity::One),
    names(Op::LastXFiscalYears, "last-x-fiscal-years", "LastXFiscalYears", Arity::One),
    names(Op::NextXFiscalYears, "next-x-fiscal-years", "NextXFiscalYears", Arity::One),
    names(Op::InFiscalPeriod, "in-fiscal-period", "InFiscalPeriod", Arity::One),
    names(Op::InFiscalYear, "in-fiscal-year", "InFiscalYear", Arity::One),
    names(
        Op::InFiscalPeriodAndYear,
        "in-fiscal-period-and-year",
        "InFiscalPeriodAndYear",
        Arity::Two,
    ),
    names(
        Op::InOrAfterFiscalPeriodAndYear,
        "in-or-after-fiscal-period-and-year",
        "InOrAfterFiscalPeriodAndYear",
        Arity::Two,
    ),
    names(
        Op::InOrBeforeFiscalPeriodAndYear,
        "in-or-before-fiscal-period-and-year",
        "InOrBeforeFiscalPeriodAndYear",
        Arity::Two,
    ),
];

/// The operator of this name in a FetchXML document.
pub(crate) fn by_fetch(name: &str) -> Option<&'static Names> {
    // An old name that documents still hold.
    let name = if name == "neq" { "ne" } else { name };
    OPERATORS.iter().find(|it| it.fetch == Some(name))
}

/// The member of the SDK's enumeration of this name.
pub(crate) fn by_sdk(name: &str) -> Option<&'static Names> {
    OPERATORS.iter().find(|it| it.sdk == name)
}

/// The names of an operator.
pub(crate) fn of(operator: Op) -> Option<&'static Names> {
    OPERATORS.iter().find(|it| it.operator == operator)
}

/// Operators that may compare two columns.
pub(crate) fn compares_columns(operator: Op) -> bool {
    matches!(
        operator,
        Op::Equal
            | Op::NotEqual
            | Op::GreaterThan
            | Op::GreaterEqual
            | Op::LessThan
            | Op::LessEqual
    )
}

impl Arity {
    pub(crate) fn takes(self, values: usize) -> bool {
        match self {
            Self::None => values == 0,
            Self::One => values == 1,
            Self::Two => values == 2,
            Self::List => values >= 1,
        }
    }

    /// For messages.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::None => "no value",
            Self::One => "one value",
            Self::Two => "two values",
            Self::List => "one or more values",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fx_03_every_operator_of_the_tree_has_its_names_once() {
        for number in 1..=85 {
            let operator = Op::try_from(number).unwrap();
            let found: Vec<_> = OPERATORS.iter().filter(|it| it.operator == operator).collect();
            assert_eq!(found.len(), 1, "{operator:?}");
            assert!(by_sdk(found[0].sdk).is_some_and(|it| it.operator == operator));
            if let Some(name) = found[0].fetch {
                assert!(by_fetch(name).is_some_and(|it| it.operator == operator), "{name}");
            }
        }
        assert!(Op::try_from(86).is_err(), "a new operator has no name here");
        assert!(by_fetch("neq").is_some_and(|it| it.operator == Op::NotEqual));
    }
}
