//! Names of resources, as requests give them.

use crate::error::Error;

const LONGEST_ID: usize = 63;
const LONGEST_USER: usize = 200;
const LONGEST_NAME: usize = 300;

pub(crate) const LICENCES: &str = "licences";
pub(crate) const ACCRUALS: &str = "accruals";
pub(crate) const RESERVATIONS: &str = "reservations";
pub(crate) const USERS: &str = "users";
const ENVIRONMENTS: [&str; 2] = ["platformEnvironments", "financeAndOperationsEnvironments"];

/// Whether it can be the last part of a name that administrators make up.
pub(crate) fn is_id(id: &str) -> bool {
    let inner = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(inner) && !id.starts_with('-')
}

/// The id in `COLLECTION/ID`.
pub(crate) fn id_in<'n>(collection: &str, name: &'n str) -> Result<&'n str, Error> {
    let id = name.strip_prefix(collection).and_then(|it| it.strip_prefix('/'));
    id.filter(|it| is_id(it)).ok_or_else(|| Error::NotFound(shown(name)))
}

/// The user in `users/USER`.
pub(crate) fn user_in(name: &str) -> Option<&str> {
    name.strip_prefix(USERS)?.strip_prefix('/').filter(|it| is_user(it))
}

/// The licence and the user in `licences/ID/assignments/USER`.
pub(crate) fn assignment_in(name: &str) -> Result<(&str, &str), Error> {
    let parts = name.split_once("/assignments/");
    let parts = parts.and_then(|(licence, user)| Some((id_in(LICENCES, licence).ok()?, user)));
    parts.filter(|it| is_user(it.1)).ok_or_else(|| Error::NotFound(shown(name)))
}

/// Users are told apart without regard to case.
pub(crate) fn user_key(user: &str) -> String {
    user.to_lowercase()
}

/// Whether it is the name of an environment.
pub(crate) fn is_environment(name: &str) -> bool {
    ENVIRONMENTS.iter().any(|collection| is_in(collection, name))
}

/// Whether it is `COLLECTION/` and anything that can be written down.
pub(crate) fn is_in(collection: &str, name: &str) -> bool {
    let id = name.strip_prefix(collection).and_then(|it| it.strip_prefix('/'));
    let visible = |it: &str| it.chars().all(|it| it.is_ascii_graphic());
    name.len() <= LONGEST_NAME && id.is_some_and(|it| !it.is_empty() && visible(it))
}

/// As much of a name as is told back.
pub(crate) fn shown(name: &str) -> String {
    name.chars().filter(|it| !it.is_control()).take(LONGEST_NAME).collect()
}

fn is_user(name: &str) -> bool {
    let allowed = |it: char| it.is_ascii_alphanumeric() || "._-@+".contains(it);
    !name.is_empty() && name.len() <= LONGEST_USER && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(id_in(LICENCES, "licences/finance-2026").unwrap(), "finance-2026");
        for bad in
            ["", "licences", "licences/", "licences/-", "licences/A", "accruals/a", "licences/a/b"]
        {
            assert!(id_in(LICENCES, bad).is_err(), "{bad}");
        }
        assert!(!is_id(&"a".repeat(64)) && is_id(&"a".repeat(63)));
        let (licence, user) = assignment_in("licences/a/assignments/b@c.d").unwrap();
        assert_eq!((licence, user), ("a", "b@c.d"));
        for bad in ["licences/a", "licences/a/assignments/", "licences/-/assignments/b", "a\0"] {
            assert!(assignment_in(bad).is_err(), "{bad}");
        }
        assert_eq!(
            (user_in("users/a"), user_in("users/a b"), user_in("a")),
            (Some("a"), None, None)
        );
        assert!(
            is_environment("platformEnvironments/1") && !is_environment("platformEnvironments/")
        );
        assert!(!is_environment("others/1") && !is_environment("platformEnvironments/\0"));
    }
}
