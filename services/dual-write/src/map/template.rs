//! The maps that Tombolo ships (spec DW-29).

use proto::dual_write::v1 as pb;

use super::file::{FileError, MapFile};

/// Who published them.
pub(crate) const PUBLISHER: &str = "Tombolo";
const VERSION: &str = "1.0.0.0";

macro_rules! shipped {
    ($($id:literal),* $(,)?) => {
        &[$(($id, include_str!(concat!("../../maps/", $id, ".toml")))),*]
    };
}

/// Those of which others look rows up first.
const SHIPPED: &[(&str, &str)] = shipped![
    "legal-entities-cdm-companies",
    "currencies-transactioncurrencies",
    "units-uoms",
    "countries-msdyn-countryregions",
    "terms-of-payment-msdyn-paymentterms",
    "customer-groups-msdyn-customergroups",
    "vendor-groups-msdyn-vendorgroups",
    "customers-v3-accounts",
    "customers-v3-contacts",
    "vendors-v2-msdyn-vendors",
    "products-msdyn-globalproducts",
    "sales-price-agreements-msdyn-salespriceagreements",
    "sales-order-headers-v2-salesorders",
    "parties-accounts",
];

/// A map to begin with, and its one version.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) map: pb::TableMap,
    pub(crate) version: pb::MapVersion,
}

/// All of them, each behind those it needs.
///
/// # Errors
///
/// When a shipped file is none, which a test rules out.
pub(crate) fn shipped() -> Result<Vec<Template>, FileError> {
    SHIPPED.iter().map(|(id, text)| template(id, text)).collect()
}

fn template(id: &str, text: &str) -> Result<Template, FileError> {
    let file: MapFile = toml::from_str(text).map_err(|it| FileError::Syntax(it.to_string()))?;
    let (mut map, version) = file.read(id, VERSION, PUBLISHER)?;
    map.active_version.clone_from(&version.name);
    Ok(Template { map, version })
}
