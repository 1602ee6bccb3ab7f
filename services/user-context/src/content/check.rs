//! Whether an entry can be one: its own fields, and whether those exist whom it names.

use chrono_tz::Tz;

use super::{Content, Duty, Entry, Privilege, Role, User};
use rpc::Companies;

/// Names are part of resource names (`users/NAME`) and of sign-in names.
const LONGEST_USER_NAME: usize = 100;
const LONGEST_NAME: usize = 200;
/// A language and a sorting rule in 20 bits; the first that names a country's language is Arabic.
const LCIDS: std::ops::RangeInclusive<i32> = 1025..=0x000F_FFFF;

/// A field that cannot be as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// `users/alice`.
    pub(crate) resource: String,
    pub(crate) field: &'static str,
    pub(crate) reason: String,
}

/// What is wrong with entries, all of it.
struct Findings<'a> {
    resource: String,
    found: &'a mut Vec<Violation>,
}

impl<'a> Findings<'a> {
    fn of<T: Entry>(entry: &T, found: &'a mut Vec<Violation>) -> Self {
        Self { resource: format!("{}/{}", T::COLLECTION, entry.name()), found }
    }

    fn add(&mut self, field: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        self.found.push(Violation { resource: self.resource.clone(), field, reason });
    }

    fn name(&mut self, name: &str) {
        if name.is_empty() || name != name.trim() || name.len() > LONGEST_NAME {
            self.add(
                "name",
                format!("a name has 1 to {LONGEST_NAME} bytes and no blanks around it"),
            );
        } else if name.chars().any(char::is_control) {
            self.add("name", "a name has no control characters");
        }
    }

    fn known<T: Entry>(&mut self, field: &'static str, names: &[String], content: &Content) {
        for name in names.iter().filter(|it| content.get::<T>(it).is_none()) {
            self.add(field, format!("there is no `{}/{name}`", T::COLLECTION));
        }
    }

    fn filled(&mut self, field: &'static str, names: &[String]) {
        if names.iter().any(|it| it.trim().is_empty()) {
            self.add(field, "a name in it is empty");
        }
    }
}

/// A user that is in the content already.
pub(crate) fn check_user(user: &User, content: &Content, found: &mut Vec<Violation>) {
    let mut findings = Findings::of(user, found);
    if let Some(reason) = wrong_user_name(&user.name) {
        findings.add("name", reason);
    }
    if user.erp_user.trim().is_empty() {
        findings.add("erp_user", "the ERP's own user id is empty");
    }
    if let Companies::Only(codes) = &user.companies {
        findings.filled("companies", codes);
    }
    if let Some(reason) = wrong_time_zone(&user.time_zone) {
        findings.add("time_zone", reason);
    }
    if let Some(reason) = wrong_language(user.language) {
        findings.add("language", reason);
    }
    if user.serves_portal && user.application_id.is_none() {
        findings.add("serves_portal", "only an application serves a portal; give `application_id`");
    }
    if user.application_id.as_ref().is_some_and(|it| it.trim().is_empty()) {
        findings.add("application_id", "is blank");
    }
    findings.known::<Role>("roles", &user.roles, content);
    let others = || content.users.values().filter(|it| it.system_user_id != user.system_user_id);
    if others().any(|it| it.object_id == user.object_id) {
        findings.add("object_id", format!("{} belongs to another user", user.object_id));
    }
    if let Some(id) = &user.application_id
        && others()
            .any(|it| it.application_id.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(id)))
    {
        findings.add("application_id", format!("{id} belongs to another user"));
    }
}

pub(crate) fn check_role(role: &Role, content: &Content, found: &mut Vec<Violation>) {
    let mut findings = Findings::of(role, found);
    findings.name(&role.name);
    if super::is_built_in(&role.name) {
        findings.add("name", "always exists and cannot be changed");
    }
    findings.known::<Duty>("duties", &role.duties, content);
    findings.known::<Privilege>("privileges", &role.privileges, content);
}

pub(crate) fn check_duty(duty: &Duty, content: &Content, found: &mut Vec<Violation>) {
    let mut findings = Findings::of(duty, found);
    findings.name(&duty.name);
    findings.known::<Privilege>("privileges", &duty.privileges, content);
}

pub(crate) fn check_privilege(privilege: &Privilege, found: &mut Vec<Violation>) {
    let mut findings = Findings::of(privilege, found);
    findings.name(&privilege.name);
    for grant in &privilege.grants {
        if grant.entities.is_empty() && grant.tables.is_empty() {
            findings.add("grants", "a grant names neither entities nor tables");
        }
        if grant.operations.is_empty() {
            findings.add("grants", "a grant names no operations");
        }
        let names = [&grant.entities, &grant.tables, &grant.hidden_fields, &grant.read_only_fields];
        names.into_iter().for_each(|it| findings.filled("grants", it));
    }
}

pub(crate) fn wrong_user_name(name: &str) -> Option<String> {
    let allowed = |it: char| it.is_ascii_alphanumeric() || "._-@+".contains(it);
    let right = !name.is_empty() && name.len() <= LONGEST_USER_NAME && name.chars().all(allowed);
    let reason = || {
        format!(
            "`{name}` cannot be a user name: 1 to {LONGEST_USER_NAME} letters, digits or any of ._-@+"
        )
    };
    (!right).then(reason)
}

pub(crate) fn wrong_time_zone(name: &str) -> Option<String> {
    name.parse::<Tz>().is_err().then(|| {
        format!(
            "`{name}` is no time zone; give its IANA name, such as \"Europe/Berlin\" or \"UTC\""
        )
    })
}

pub(crate) fn wrong_language(code: i32) -> Option<String> {
    (!LCIDS.contains(&code)).then(|| {
        format!("{code} is no language; give its LCID, such as 1033 for English (United States)")
    })
}
