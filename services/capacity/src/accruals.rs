//! What licences are worth: the table that comes with a release, and what a row of it may say.

use serde::Deserialize;

use crate::pool::{Amounts, MB, Pool};

const BUILT_IN: &str = include_str!("../accruals.toml");

/// Which rule of entitlement applies to a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProductKind {
    FinanceAndOperations,
    PlatformUser,
    StorageAddOn,
    SandboxAddOn,
}

/// A row of the accrual table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accrual {
    pub(crate) id: String,
    pub(crate) display_name: String,
    pub(crate) kind: ProductKind,
    pub(crate) tenant_amounts: Amounts,
    pub(crate) unit_amounts: Amounts,
    pub(crate) permits_setup: bool,
    pub(crate) source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    accruals: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    display_name: String,
    kind: ProductKind,
    #[serde(default)]
    tenant: Megabytes,
    #[serde(default)]
    unit: Megabytes,
    #[serde(default)]
    permits_setup: bool,
    source: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Megabytes {
    database: i64,
    file: i64,
    log: i64,
    operations_database: i64,
    operations_file: i64,
}

/// The table that comes with this release.
pub(crate) fn built_in() -> Result<Vec<Accrual>, toml::de::Error> {
    let file: File = toml::from_str(BUILT_IN)?;
    Ok(file.accruals.into_iter().map(Accrual::from).collect())
}

// === impl ProductKind ===

impl ProductKind {
    pub(crate) const ALL: [Self; 4] =
        [Self::FinanceAndOperations, Self::PlatformUser, Self::StorageAddOn, Self::SandboxAddOn];

    /// As it is stored: the number in the contract.
    pub(crate) const fn number(self) -> i16 {
        self as i16 + 1
    }

    pub(crate) fn of_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }
}

// === impl Accrual ===

impl Accrual {
    /// What is wrong with it: the field, and why.
    pub(crate) fn mistake(&self) -> Option<(&'static str, &'static str)> {
        let negative = |it: &Amounts| it.iter().any(|(_, bytes)| bytes < 0);
        let platform = |it: &Amounts| it.iter().any(|(pool, _)| pool.blocks());
        let sandbox = self.kind == ProductKind::SandboxAddOn;
        if self.source.trim().is_empty() {
            Some(("source", "says where the figures are from, and is required"))
        } else if self.display_name.trim().is_empty() {
            Some(("display_name", "is required"))
        } else if negative(&self.tenant_amounts) {
            Some(("tenant_amounts", "must not be negative"))
        } else if negative(&self.unit_amounts) {
            Some(("unit_amounts", "must not be negative"))
        } else if sandbox && platform(&self.tenant_amounts.plus(&self.unit_amounts)) {
            Some(("unit_amounts", "an add-on sandbox gives no platform capacity"))
        } else {
            None
        }
    }
}

impl From<Row> for Accrual {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            display_name: row.display_name,
            kind: row.kind,
            tenant_amounts: row.tenant.into(),
            unit_amounts: row.unit.into(),
            permits_setup: row.permits_setup,
            source: row.source,
        }
    }
}

impl From<Megabytes> for Amounts {
    fn from(it: Megabytes) -> Self {
        Self::of(Pool::Database, it.database)
            .with(Pool::File, it.file)
            .with(Pool::Log, it.log)
            .with(Pool::OperationsDatabase, it.operations_database)
            .with(Pool::OperationsFile, it.operations_file)
            .times(MB)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_can_be_read_and_has_no_mistake() {
        let accruals = built_in().unwrap();
        for it in &accruals {
            assert_eq!(it.mistake(), None, "{}", it.id);
            let told = ["UNVERIFIED", "verified"].iter().any(|word| it.source.contains(word));
            assert!(told, "{} does not say whether it was verified", it.id);
        }
        let ids: BTreeSet<_> = accruals.iter().map(|it| &it.id).collect();
        assert_eq!(ids.len(), accruals.len(), "ids are unique");
    }

    #[test]
    fn licences_that_permit_a_setup() {
        let accruals = built_in().unwrap();
        let permit: Vec<_> =
            accruals.iter().filter(|it| it.permits_setup).map(|it| it.id.as_str()).collect();
        let expected = [
            "finance",
            "supply-chain-management",
            "commerce",
            "human-resources",
            "project-operations",
            "unified-operations-plan",
            "ax-enterprise",
        ];
        assert_eq!(permit, expected);
    }

    #[test]
    fn mistakes_of_rows() {
        let good = built_in().unwrap().remove(0);
        let changed = |change: fn(&mut Accrual)| {
            let mut row = good.clone();
            change(&mut row);
            row.mistake().map(|it| it.0)
        };
        assert_eq!(changed(|it| it.source = " ".into()), Some("source"));
        assert_eq!(changed(|it| it.display_name.clear()), Some("display_name"));
        let minus = Amounts::of(Pool::Log, -1);
        assert_eq!(
            Accrual { tenant_amounts: minus, ..good.clone() }.mistake().map(|it| it.0),
            Some("tenant_amounts")
        );
        assert_eq!(
            Accrual { unit_amounts: minus, ..good.clone() }.mistake().map(|it| it.0),
            Some("unit_amounts")
        );
        assert_eq!(changed(|it| it.kind = ProductKind::SandboxAddOn), Some("unit_amounts"));
    }
}
