//! What can be installed in an environment: packages, each with its tables and its views. They are files, in
//! `packages/`.

use std::collections::BTreeSet;

use serde::Deserialize;
use uuid::Uuid;

use crate::error::StartError;

const FILES: [(&str, &str); 11] = [
    (
        "MicrosoftOperationsVEAnchor.toml",
        include_str!("../packages/MicrosoftOperationsVEAnchor.toml"),
    ),
    ("DualWriteCoreAnchor.toml", include_str!("../packages/DualWriteCoreAnchor.toml")),
    ("MsDynCE_CRMHub.toml", include_str!("../packages/MsDynCE_CRMHub.toml")),
    (
        "MsDyn_FnOIntegrationMDLApp_Anchor.toml",
        include_str!("../packages/MsDyn_FnOIntegrationMDLApp_Anchor.toml"),
    ),
    (
        "MsDyn_DualWriteAppCoreAnchor.toml",
        include_str!("../packages/MsDyn_DualWriteAppCoreAnchor.toml"),
    ),
    (
        "Dynamics365FinanceAndOperationsAnchor.toml",
        include_str!("../packages/Dynamics365FinanceAndOperationsAnchor.toml"),
    ),
    ("ProjectOperations_Anchor.toml", include_str!("../packages/ProjectOperations_Anchor.toml")),
    ("CurrencyExchangeRates.toml", include_str!("../packages/CurrencyExchangeRates.toml")),
    (
        "Dynamics365FinanceAndOperationsCommon.toml",
        include_str!("../packages/Dynamics365FinanceAndOperationsCommon.toml"),
    ),
    (
        "Dynamics365FinanceExtended.toml",
        include_str!("../packages/Dynamics365FinanceExtended.toml"),
    ),
    (
        "Dynamics365SupplyChainExtended.toml",
        include_str!("../packages/Dynamics365SupplyChainExtended.toml"),
    ),
];

/// Something to install; its solution says that it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    pub(crate) unique_name: String,
    pub(crate) friendly_name: String,
    /// Four numbers.
    pub(crate) version: String,
    pub(crate) publisher: String,
    pub(crate) description: String,
    /// Unique names of those that have to be there before.
    pub(crate) requires: Vec<String>,
    /// Unique names of those that come with it, in the order in which they are installed. They include none.
    #[serde(default)]
    pub(crate) includes: Vec<String>,
    /// Native tables that are shown where it is installed.
    pub(crate) tables: Vec<String>,
    #[serde(default)]
    pub(crate) views: Vec<View>,
}

/// A view that everybody has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct View {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) description: String,
    pub(crate) fetchxml: String,
}

/// Every package there is.
#[derive(Debug)]
pub(crate) struct Packages(Vec<Package>);

impl Packages {
    pub(crate) fn load() -> Result<Self, StartError> {
        let package = |(file, text): (&'static str, &str)| {
            toml::from_str(text).map_err(|error| StartError::Package { file, error })
        };
        Ok(Self(FILES.into_iter().map(package).collect::<Result<_, _>>()?))
    }

    pub(crate) fn get(&self, unique_name: &str) -> Option<&Package> {
        self.0.iter().find(|it| it.unique_name == unique_name)
    }

    /// What comes with a package, in order.
    pub(crate) fn included<'p>(
        &'p self,
        package: &'p Package,
    ) -> impl Iterator<Item = &'p Package> {
        package.includes.iter().filter_map(|it| self.get(it))
    }

    /// What came with installed packages and is not there: it came with them later.
    pub(crate) fn missing(&self, installed: &[String]) -> Vec<&Package> {
        let there = |it: &str| installed.iter().any(|name| name == it);
        let packages = self.0.iter().filter(|it| there(&it.unique_name));
        let mut missing: Vec<&Package> = Vec::new();
        for it in packages.flat_map(|it| self.included(it)) {
            let is_known = missing.iter().any(|known| known.unique_name == it.unique_name);
            if !is_known && !there(&it.unique_name) {
                missing.push(it);
            }
        }
        missing
    }

    /// Unique names of those that bring a table.
    pub(crate) fn with_table(&self, table: &str) -> Vec<&str> {
        let brings = |it: &&Package| it.tables.iter().any(|it| it == table);
        self.0.iter().filter(brings).map(|it| it.unique_name.as_str()).collect()
    }

    #[cfg(test)]
    pub(crate) fn views(&self) -> impl Iterator<Item = &View> {
        self.0.iter().flat_map(|it| &it.views)
    }

    /// Tables that are not shown where only these are installed.
    pub(crate) fn hidden_tables(&self, installed: &[String]) -> BTreeSet<String> {
        let (there, missing): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|it| installed.contains(&it.unique_name));
        let shown: BTreeSet<_> = there.into_iter().flat_map(|it| &it.tables).collect();
        let tables = missing.into_iter().flat_map(|it| &it.tables);
        tables.filter(|it| !shown.contains(it)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the order in which the templates install them.
    const TEMPLATES: [&[&str]; 3] = [
        &[
            "MicrosoftOperationsVEAnchor",
            "DualWriteCoreAnchor",
            "MsDynCE_CRMHub",
            "MsDyn_FnOIntegrationMDLApp_Anchor",
        ],
        &[
            "MicrosoftOperationsVEAnchor",
            "DualWriteCoreAnchor",
            "MsDynCE_CRMHub",
            "MsDyn_FnOIntegrationMDLApp_Anchor",
            "MsDyn_DualWriteAppCoreAnchor",
        ],
        &[
            "MicrosoftOperationsVEAnchor",
            "Dynamics365FinanceAndOperationsAnchor",
            "ProjectOperations_Anchor",
        ],
    ];

    #[test]
    fn every_template_can_be_installed_in_its_order_and_brings_add_ins() {
        let packages = Packages::load().unwrap();
        for template in TEMPLATES {
            let mut installed: Vec<String> = Vec::new();
            for name in template {
                let package = packages.get(name).unwrap();
                for required in &package.requires {
                    assert!(installed.contains(required), "{name} before {required}");
                }
                installed.push((*name).to_owned());
                for included in packages.included(package) {
                    assert!(included.includes.is_empty(), "{name}");
                    for required in &included.requires {
                        assert!(installed.contains(required), "{name} with {required}");
                    }
                    installed.push(included.unique_name.clone());
                }
                assert!(packages.missing(&installed).is_empty(), "{name}");
            }
            assert!(packages.hidden_tables(&installed).is_empty(), "{template:?}");
        }
    }

    #[test]
    fn a_table_is_shown_where_one_of_its_packages_is() {
        let packages = Packages::load().unwrap();
        let hidden = packages.hidden_tables(&[]);
        assert_eq!(hidden.len(), 17, "{hidden:?}");
        let installed = ["DualWriteCoreAnchor".to_owned(), "Other".to_owned()];
        let without = packages.hidden_tables(&installed);
        let brought: Vec<_> = hidden.difference(&without).collect();
        let expected =
            ["msdyn_dualwriteentitymap", "msdyn_dualwriteruntimeconfig", "tombolo_teamgap"];
        assert_eq!(brought, expected);
        let missing = packages.missing(&installed);
        let names: Vec<_> = missing.iter().map(|it| it.unique_name.clone()).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        let hidden = packages.hidden_tables(&[&installed[..], &names].concat());
        let expected = ["msdyn_financeandoperationsvirtualentity", "tombolo_addin"];
        assert_eq!(hidden, expected.map(str::to_owned).into());
        let bring = ["MsDyn_FnOIntegrationMDLApp_Anchor", "Dynamics365FinanceAndOperationsAnchor"];
        assert_eq!(packages.with_table("tombolo_addin"), bring);
    }
}
