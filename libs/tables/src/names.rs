//! Names of tables (spec virtual-entities §2.3, lifecycle-and-web-api §2.2).

/// Logical name of a data entity's virtual table.
#[must_use]
pub fn virtual_name(entity: &str) -> String {
    format!("mserp_{}", entity.to_lowercase())
}

/// The platform's plural of a logical name.
#[must_use]
pub fn entity_set_name(logical_name: &str) -> String {
    if logical_name.ends_with('s') {
        return format!("{logical_name}es");
    }
    match logical_name.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{logical_name}s"),
    }
}

/// What a declared relationship is called, after the id that it was declared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredNames {
    /// Unique in the organization; also the target's collection-valued navigation property.
    pub schema_name: String,
    /// Logical name of the lookup column.
    pub column: String,
    /// The source's navigation property.
    pub navigation_property: String,
}

impl DeclaredNames {
    /// `source`: what its provider calls the table that gets the lookup.
    #[must_use]
    pub fn new(source: &str, id: &str) -> Self {
        let navigation_property = format!("mserp_FK_{id}_id");
        Self {
            schema_name: format!("mserp_FK_{source}_{id}"),
            column: navigation_property.to_lowercase(),
            navigation_property,
        }
    }
}
