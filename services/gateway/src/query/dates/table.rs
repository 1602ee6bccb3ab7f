//! Which operator means what.

use proto::query::v1::ConditionOperator as Op;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    FiscalPeriod,
    FiscalYear,
}

/// What an operator means, before its values are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipe {
    /// A given day.
    On,
    NotOn,
    OnOrAfter,
    OnOrBefore,
    /// The whole unit so many units from the present one.
    Whole(Unit, i64),
    /// From X units ago until now.
    Last(Unit),
    /// From now until X units ahead.
    Next(Unit),
    LastSeven,
    NextSeven,
    /// Before X units ago.
    Older(Unit),
    InPeriod,
    InYear,
    InPeriodAndYear,
    FromPeriodAndYear,
    UntilPeriodAndYear,
}

/// The table: one row per operator.
#[rustfmt::skip]
pub(super) const RECIPES: &[(Op, Recipe)] = &[
    (Op::On, Recipe::On),
    (Op::NotOn, Recipe::NotOn),
    (Op::OnOrAfter, Recipe::OnOrAfter),
    (Op::OnOrBefore, Recipe::OnOrBefore),
    (Op::Yesterday, Recipe::Whole(Unit::Day, -1)),
    (Op::Today, Recipe::Whole(Unit::Day, 0)),
    (Op::Tomorrow, Recipe::Whole(Unit::Day, 1)),
    (Op::LastSevenDays, Recipe::LastSeven),
    (Op::NextSevenDays, Recipe::NextSeven),
    (Op::LastWeek, Recipe::Whole(Unit::Week, -1)),
    (Op::ThisWeek, Recipe::Whole(Unit::Week, 0)),
    (Op::NextWeek, Recipe::Whole(Unit::Week, 1)),
    (Op::LastMonth, Recipe::Whole(Unit::Month, -1)),
    (Op::ThisMonth, Recipe::Whole(Unit::Month, 0)),
    (Op::NextMonth, Recipe::Whole(Unit::Month, 1)),
    (Op::LastYear, Recipe::Whole(Unit::Year, -1)),
    (Op::ThisYear, Recipe::Whole(Unit::Year, 0)),
    (Op::NextYear, Recipe::Whole(Unit::Year, 1)),
    (Op::LastXHours, Recipe::Last(Unit::Hour)),
    (Op::LastXDays, Recipe::Last(Unit::Day)),
    (Op::LastXWeeks, Recipe::Last(Unit::Week)),
    (Op::LastXMonths, Recipe::Last(Unit::Month)),
    (Op::LastXYears, Recipe::Last(Unit::Year)),
    (Op::NextXHours, Recipe::Next(Unit::Hour)),
    (Op::NextXDays, Recipe::Next(Unit::Day)),
    (Op::NextXWeeks, Recipe::Next(Unit::Week)),
    (Op::NextXMonths, Recipe::Next(Unit::Month)),
    (Op::NextXYears, Recipe::Next(Unit::Year)),
    (Op::OlderThanXMinutes, Recipe::Older(Unit::Minute)),
    (Op::OlderThanXHours, Recipe::Older(Unit::Hour)),
    (Op::OlderThanXDays, Recipe::Older(Unit::Day)),
    (Op::OlderThanXWeeks, Recipe::Older(Unit::Week)),
    (Op::OlderThanXMonths, Recipe::Older(Unit::Month)),
    (Op::OlderThanXYears, Recipe::Older(Unit::Year)),
    (Op::LastFiscalPeriod, Recipe::Whole(Unit::FiscalPeriod, -1)),
    (Op::ThisFiscalPeriod, Recipe::Whole(Unit::FiscalPeriod, 0)),
    (Op::NextFiscalPeriod, Recipe::Whole(Unit::FiscalPeriod, 1)),
    (Op::LastFiscalYear, Recipe::Whole(Unit::FiscalYear, -1)),
    (Op::ThisFiscalYear, Recipe::Whole(Unit::FiscalYear, 0)),
    (Op::NextFiscalYear, Recipe::Whole(Unit::FiscalYear, 1)),
    (Op::LastXFiscalPeriods, Recipe::Last(Unit::FiscalPeriod)),
    (Op::NextXFiscalPeriods, Recipe::Next(Unit::FiscalPeriod)),
    (Op::LastXFiscalYears, Recipe::Last(Unit::FiscalYear)),
    (Op::NextXFiscalYears, Recipe::Next(Unit::FiscalYear)),
    (Op::InFiscalPeriod, Recipe::InPeriod),
    (Op::InFiscalYear, Recipe::InYear),
    (Op::InFiscalPeriodAndYear, Recipe::InPeriodAndYear),
    (Op::InOrAfterFiscalPeriodAndYear, Recipe::FromPeriodAndYear),
    (Op::InOrBeforeFiscalPeriodAndYear, Recipe::UntilPeriodAndYear),
];

pub(super) fn recipe(operator: Op) -> Option<Recipe> {
    RECIPES.iter().find(|(it, _)| *it == operator).map(|(_, recipe)| *recipe)
}

// === impl Unit ===

impl Unit {
    pub(super) fn is_clock(self) -> bool {
        matches!(self, Self::Minute | Self::Hour)
    }
}
