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
