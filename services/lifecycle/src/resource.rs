//! Names of resources: `collection/id`.

use uuid::Uuid;

use crate::error::Error;

pub(crate) const OPERATIONS: &str = "operations";
pub(crate) const FINANCE_AND_OPERATIONS: &str = "financeAndOperationsEnvironments";
pub(crate) const PLATFORM: &str = "platformEnvironments";
pub(crate) const LINKS: &str = "links";
pub(crate) const TEMPLATES: &str = "templates";
pub(crate) const USERS: &str = "users";

/// `collection/id`.
pub(crate) fn name(collection: &str, id: impl std::fmt::Display) -> String {
    format!("{collection}/{id}")
}

/// The id in a name of this collection.
pub(crate) fn id<'n>(collection: &str, name: &'n str) -> Result<&'n str, Error> {
    name.strip_prefix(collection)
        .and_then(|it| it.strip_prefix('/'))
        .filter(|it| crate::text::is_id(it))
        .ok_or_else(|| Error::NotFound(name.to_owned()))
}

/// The same where ids are GUIDs.
pub(crate) fn guid(collection: &str, name: &str) -> Result<Uuid, Error> {
    id(collection, name)?.parse().map_err(|_| Error::NotFound(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_its_collection() {
        assert_eq!(id(LINKS, "links/contoso").unwrap(), "contoso");
        let long = format!("links/{}", "a".repeat(100_000));
        let bad =
            ["", "links", "links/", "links/a/b", "templates/a", "linksx/a", "links/a\0", &long];
        for bad in bad {
            assert!(matches!(id(LINKS, bad), Err(Error::NotFound(_))), "{bad}");
        }
        assert!(guid(PLATFORM, "platformEnvironments/x").is_err());
    }
}
