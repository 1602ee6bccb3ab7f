//! `users.toml` (docs/model-format.md): every mistake is found, and says where it is.

mod entries;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use rpc::{Companies, DEFAULT_LANGUAGE, DEFAULT_TIME_ZONE, role};
use toml::Spanned;
use uuid::Uuid;

use super::{Mistake, SourceError};
use crate::content::{
    ADMIN, Grant, Privilege, Role, Source, User, key, object_id, wrong_language, wrong_time_zone,
    wrong_user_name,
};
use entries::{FileEntry, PrivilegeEntry, UserEntry};

/// What a users file says.
#[derive(Debug, Default)]
pub(super) struct Users {
    pub(super) users: Vec<User>,
    /// One for each user that is given privileges of its own.
    pub(super) roles: Vec<Role>,
    pub(super) privileges: Vec<Privilege>,
    /// Roles that users are given by name.
    pub(super) named_roles: Vec<String>,
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    mistakes: Vec<Mistake>,
    names: HashMap<String, usize>,
    object_ids: HashMap<Uuid, usize>,
    application_ids: HashMap<String, usize>,
    read: Users,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.reason)
    }
}

/// Reads the users of a file.
pub(super) fn read(path: &Path) -> Result<Users, SourceError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SourceError::Read { path: path.into(), source })?;
    parse(path, &text).map_err(SourceError::Users)
}

pub(super) fn join(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn parse(path: &Path, text: &str) -> Result<Users, Vec<Mistake>> {
    let mut reader = Reader {
        path,
        text,
        mistakes: Vec::new(),
        names: HashMap::new(),
        object_ids: HashMap::from([(object_id(ADMIN), 0)]),
        application_ids: HashMap::new(),
        read: Users::default(),
    };
    match toml::from_str::<FileEntry>(text) {
        Ok(file) => file.users.into_iter().for_each(|it| reader.user(it)),
        Err(error) => {
            reader.mistake(error.span().unwrap_or_default(), error.message().to_owned());
        }
    }
    if reader.mistakes.is_empty() { Ok(reader.read) } else { Err(reader.mistakes) }
}

impl Reader<'_> {
    fn user(&mut self, entry: UserEntry) {
        self.check_name(&entry.name);
        let object_id = self.object_id(&entry);
        let companies = self.companies(&entry);
        let application_id = self.application_id(&entry);
        let time_zone = self.time_zone(entry.time_zone.as_ref());
        let language = self.language(entry.language.as_ref());
        let name = entry.name.get_ref().clone();
        let erp_user = self.erp_user(&entry).unwrap_or_else(|| name.clone());
        let mut roles = entry.roles;
        self.read.named_roles.extend(roles.iter().cloned());
        if entry.administrator {
            roles.push(role::SYSTEM_ADMINISTRATOR.to_owned());
        }
        roles.extend(self.own_role(&name, &entry.privileges));
        let user = User {
            display_name: entry.label.unwrap_or_else(|| name.clone()),
            object_id,
            erp_user,
            roles,
            companies,
            application_id,
            disabled: entry.disabled,
            acts_on_behalf: entry.acts_on_behalf.unwrap_or(entry.administrator),
            serves_portal: entry.serves_portal,
            time_zone,
            language,
            source: Source::Model,
            ..User::named(&name)
        };
        self.read.users.push(user);
    }

    fn erp_user(&mut self, entry: &UserEntry) -> Option<String> {
        let given = entry.erp_user.as_ref()?;
        if given.get_ref().trim().is_empty() {
            self.mistake(given.span(), "`erp_user` is empty".into());
        }
        Some(given.get_ref().clone())
    }

    fn time_zone(&mut self, given: Option<&Spanned<String>>) -> String {
        let Some(given) = given else { return DEFAULT_TIME_ZONE.into() };
        if let Some(reason) = wrong_time_zone(given.get_ref()) {
            self.mistake(given.span(), reason);
        }
        given.get_ref().clone()
    }

    fn language(&mut self, given: Option<&Spanned<i64>>) -> i32 {
        let Some(given) = given else { return DEFAULT_LANGUAGE };
        let code = i32::try_from(*given.get_ref()).unwrap_or_default();
        if let Some(reason) = wrong_language(code) {
            self.mistake(given.span(), reason);
        }
        code
    }

    fn check_name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        if let Some(reason) = wrong_user_name(text) {
            return self.mistake(name.span(), reason);
        }
        if key(text) == ADMIN {
            let reason = format!("the user `{ADMIN}` always exists; choose another name");
            return self.mistake(name.span(), reason);
        }
        let line = self.line(&name.span());
        if let Some(first) = self.names.insert(key(text), line) {
            self.mistake(name.span(), format!("the user `{text}` is in line {first} already"));
        }
    }

    fn object_id(&mut self, entry: &UserEntry) -> Uuid {
        let name = &entry.name;
        let (id, span) = match &entry.object_id {
            Some(given) => (*given.get_ref(), given.span()),
            None => (object_id(name.get_ref()), name.span()),
        };
        // A name given twice is a mistake already, and the reason for the derived id's coming twice.
        let line = self.line(&span);
        if self.object_ids.insert(id, line).is_some() && entry.object_id.is_some() {
            self.mistake(span, format!("`object_id` {id} belongs to another user"));
        }
        id
    }

    fn application_id(&mut self, entry: &UserEntry) -> Option<String> {
        if entry.serves_portal && entry.application_id.is_none() {
            let reason = "`serves_portal` is for applications; give the user's `application_id`";
            self.mistake(entry.name.span(), reason.into());
        }
        let given = entry.application_id.as_ref()?;
        let (id, line) = (given.get_ref(), self.line(&given.span()));
        if id.trim().is_empty() {
            self.mistake(given.span(), "`application_id` is empty".into());
        } else if self.application_ids.insert(key(id), line).is_some() {
            self.mistake(given.span(), format!("`application_id` {id} belongs to another user"));
        }
        Some(id.clone())
    }

    fn companies(&mut self, entry: &UserEntry) -> Companies {
        for company in &entry.companies {
            if company.get_ref().trim().is_empty() {
                self.mistake(company.span(), "a company's code is empty".into());
            }
        }
        if entry.administrator || entry.companies.iter().any(|it| it.get_ref() == "*") {
            return Companies::All;
        }
        Companies::Only(entry.companies.iter().map(|it| it.get_ref().clone()).collect())
    }

    /// The role that gives a user the privileges which the file gives to it alone.
    fn own_role(&mut self, user: &str, entries: &[PrivilegeEntry]) -> Option<String> {
        if entries.is_empty() {
            return None;
        }
        let name = format!("user:{user}");
        let grants = entries.iter().map(|it| self.grant(it)).collect();
        let display_name = format!("What users.toml gives to {user}");
        self.read.privileges.push(Privilege {
            name: name.clone(),
            display_name: display_name.clone(),
            grants,
            source: Source::Model,
        });
        self.read.roles.push(Role {
            name: name.clone(),
            display_name,
            duties: Vec::new(),
            privileges: vec![name.clone()],
            source: Source::Model,
        });
        Some(name)
    }

    fn grant(&mut self, entry: &PrivilegeEntry) -> Grant {
        for name in entry.entities.iter().chain(&entry.tables) {
            if name.get_ref().trim().is_empty() {
                self.mistake(name.span(), "an entity's name is empty".into());
            }
        }
        if entry.entities.is_empty() && entry.tables.is_empty() {
            let reason = "privileges are for `entities`, `tables` or both";
            self.mistake(entry.access.span(), reason.into());
        }
        let operations = entry.access.get_ref().operations();
        if operations.is_empty() {
            self.mistake(entry.access.span(), "`access` allows nothing".into());
        }
        let names = |given: &[Spanned<String>]| -> Vec<String> {
            given.iter().map(|it| it.get_ref().clone()).collect()
        };
        Grant {
            entities: names(&entry.entities),
            tables: names(&entry.tables),
            operations,
            hidden_fields: entry.hidden_fields.clone(),
            read_only_fields: entry.read_only_fields.clone(),
        }
    }

    fn mistake(&mut self, span: Range<usize>, reason: String) {
        let line = self.line(&span);
        self.mistakes.push(Mistake { path: self.path.into(), line, reason });
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        before.iter().filter(|it| **it == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Operation;

    fn mistakes(text: &str) -> Vec<String> {
        let found = parse(Path::new("users.toml"), text).unwrap_err();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_user_has_what_the_file_says_and_the_defaults() {
        let text = r#"
            [[users]]
            name = "usmf-clerk"
            label = "USMF clerk"
            erp_user = "clerk"
            roles = ["Accounts receivable clerk"]
            companies = ["USMF"]
            time_zone = "America/New_York"
            language = 1036
            [[users.privileges]]
            entities = ["A", "B"]
            access = "write"
            [[users.privileges]]
            entities = ["B", "*"]
            tables = ["account"]
            access = ["read", "invoke"]
            hidden_fields = ["CreditLimit"]

            [[users]]
            name = "boss"
            administrator = true

            [[users]]
            name = "portal"
            application_id = "5F0F"
            serves_portal = true
            disabled = true
        "#;
        let read = parse(Path::new("users.toml"), text).unwrap();
        let [clerk, boss, portal] = read.users.as_slice() else { panic!("{read:?}") };
        assert_eq!((clerk.display_name.as_str(), clerk.erp_user.as_str()), ("USMF clerk", "clerk"));
        assert_eq!(clerk.companies, Companies::Only(vec!["USMF".into()]));
        assert_eq!(clerk.roles, ["Accounts receivable clerk", "user:usmf-clerk"]);
        assert_eq!((clerk.time_zone.as_str(), clerk.language), ("America/New_York", 1036));
        assert_eq!((boss.display_name.as_str(), boss.erp_user.as_str()), ("boss", "boss"));
        assert_eq!((boss.time_zone.as_str(), boss.language), ("UTC", 1033));
        assert!(boss.is_administrator() && boss.acts_on_behalf);
        assert_eq!(boss.companies, Companies::All);
        assert_eq!(portal.application_id.as_deref(), Some("5F0F"));
        assert!(portal.disabled && portal.serves_portal);
        let [own] = read.privileges.as_slice() else { panic!("{read:?}") };
        let [first, second] = own.grants.as_slice() else { panic!("{own:?}") };
        assert_eq!(first.operations, Operation::ALL);
        assert_eq!(second.operations, [Operation::Read, Operation::Invoke]);
        assert_eq!(
            (&*second.hidden_fields, &*second.tables),
            (&["CreditLimit".into()][..], &["account".into()][..])
        );
        assert_eq!(read.roles[0].privileges, ["user:usmf-clerk"]);
        assert_eq!(read.named_roles, ["Accounts receivable clerk"]);
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let text = "[[users]]\nname = \"Admin\"\n[[users]]\nname = \"a\"\n[[users]]\n\
                    name = \"A\"\nerp_user = \" \"\n[[users]]\nname = \"no spaces\"\n\
                    [[users]]\nname = \"b\"\ntime_zone = \"EST5\"\nlanguage = 7\n";
        assert_eq!(
            mistakes(text),
            [
                "users.toml:2: the user `admin` always exists; choose another name",
                "users.toml:6: the user `A` is in line 4 already",
                "users.toml:7: `erp_user` is empty",
                "users.toml:9: `no spaces` cannot be a user name: 1 to 100 letters, digits or any \
                 of ._-@+",
                "users.toml:12: `EST5` is no time zone; give its IANA name, such as \"Europe/Berlin\" \
                 or \"UTC\"",
                "users.toml:13: 7 is no language; give its LCID, such as 1033 for English (United \
                 States)",
            ]
        );
        let text = "[[users]]\nname = \"a\"\nserves_portal = true\n[[users.privileges]]\n\
                    access = \"read\"\n[[users]]\nname = \"b\"\napplication_id = \"X\"\n\
                    [[users]]\nname = \"c\"\napplication_id = \"x\"\n";
        assert_eq!(
            mistakes(text),
            [
                "users.toml:2: `serves_portal` is for applications; give the user's `application_id`",
                "users.toml:5: privileges are for `entities`, `tables` or both",
                "users.toml:11: `application_id` x belongs to another user",
            ]
        );
    }

    #[test]
    fn what_is_no_toml_or_not_asked_for_is_a_mistake() {
        assert!(mistakes("[[users]]\nname = \"a\"\nrole = 1\n")[0].contains("users.toml:3"));
        let text =
            "[[users]]\nname = \"a\"\n[[users.privileges]]\nentities = [\"A\"]\naccess = \"all\"\n";
        let found = mistakes(text);
        assert!(found[0].contains("users.toml:5") && found[0].contains("\"write\""), "{found:?}");
    }
}
