//! `users.toml` (docs/model-format.md): every mistake is found, and says where it is.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use rpc::{Access, Companies, DEFAULT_LANGUAGE, DEFAULT_TIME_ZONE, Rights};
use serde::Deserialize;
use toml::Spanned;
use uuid::Uuid;

use super::{ADMIN, User, object_id, sort_key, system_user_id};

/// Names are part of resource names (`users/NAME`) and of sign-in names.
const LONGEST_NAME: usize = 100;
/// A language and a sorting rule in 20 bits; the first that names a country's language is Arabic.
const LCIDS: std::ops::RangeInclusive<i32> = 1025..=0x000F_FFFF;

/// The users could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{}", join(.0))]
    Wrong(Vec<Mistake>),
}

/// Something wrong in a users file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    #[serde(default)]
    users: Vec<UserEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    name: Spanned<String>,
    label: Option<String>,
    erp_user: Option<Spanned<String>>,
    object_id: Option<Spanned<Uuid>>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    administrator: bool,
    acts_on_behalf: Option<bool>,
    #[serde(default)]
    companies: Vec<Spanned<String>>,
    time_zone: Option<Spanned<String>>,
    language: Option<Spanned<i64>>,
    #[serde(default)]
    privileges: Vec<PrivilegeEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrivilegeEntry {
    entities: Vec<Spanned<String>>,
    access: AccessEntry,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AccessEntry {
    Read,
    Write,
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    mistakes: Vec<Mistake>,
    names: HashMap<String, usize>,
    object_ids: HashMap<Uuid, usize>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.reason)
    }
}

/// Reads the users of a file.
pub(super) fn read(path: &Path) -> Result<Vec<User>, UsersError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| UsersError::Read { path: path.into(), source })?;
    parse(path, &text).map_err(UsersError::Wrong)
}

fn parse(path: &Path, text: &str) -> Result<Vec<User>, Vec<Mistake>> {
    let mut reader = Reader {
        path,
        text,
        mistakes: Vec::new(),
        names: HashMap::new(),
        object_ids: HashMap::from([(object_id(ADMIN), 0)]),
    };
    let users = match toml::from_str::<FileEntry>(text) {
        Ok(file) => file.users.into_iter().map(|it| reader.user(it)).collect(),
        Err(error) => {
            reader.mistake(error.span().unwrap_or_default(), error.message().to_owned());
            Vec::new()
        }
    };
    if reader.mistakes.is_empty() { Ok(users) } else { Err(reader.mistakes) }
}

impl Reader<'_> {
    fn user(&mut self, entry: UserEntry) -> User {
        let rights = Rights {
            administrator: entry.administrator,
            companies: self.companies(&entry),
            entities: self.privileges(&entry.privileges),
        };
        self.check_name(&entry.name);
        let object_id = self.object_id(&entry);
        let time_zone = self.time_zone(entry.time_zone.as_ref());
        let language = self.language(entry.language.as_ref());
        let name = entry.name.into_inner();
        let erp_user = entry.erp_user.map_or_else(
            || name.clone(),
            |erp_user| {
                if erp_user.get_ref().trim().is_empty() {
                    self.mistake(erp_user.span(), "`erp_user` is empty".into());
                }
                erp_user.into_inner()
            },
        );
        User {
            display_name: entry.label.unwrap_or_else(|| name.clone()),
            system_user_id: system_user_id(&name),
            object_id,
            erp_user,
            roles: entry.roles,
            acts_on_behalf: entry.acts_on_behalf.unwrap_or(entry.administrator),
            rights,
            time_zone,
            language,
            name,
        }
    }

    fn time_zone(&mut self, given: Option<&Spanned<String>>) -> String {
        let Some(given) = given else { return DEFAULT_TIME_ZONE.into() };
        let name = given.get_ref();
        if name.parse::<Tz>().is_err() {
            let reason = format!(
                "`{name}` is no time zone; give its IANA name, such as \"Europe/Berlin\" or \"UTC\""
            );
            self.mistake(given.span(), reason);
        }
        name.clone()
    }

    fn language(&mut self, given: Option<&Spanned<i64>>) -> i32 {
        let Some(given) = given else { return DEFAULT_LANGUAGE };
        let code = i32::try_from(*given.get_ref()).ok().filter(|it| LCIDS.contains(it));
        code.unwrap_or_else(|| {
            let reason = format!(
                "{} is no language; give its LCID, such as 1033 for English (United States)",
                given.get_ref()
            );
            self.mistake(given.span(), reason);
            DEFAULT_LANGUAGE
        })
    }

    fn check_name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let allowed = |it: char| it.is_ascii_alphanumeric() || "._-@+".contains(it);
        if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(allowed) {
            let reason = format!(
                "`{text}` cannot be a user name: 1 to {LONGEST_NAME} letters, digits or any of ._-@+"
            );
            return self.mistake(name.span(), reason);
        }
        if sort_key(text) == ADMIN {
            let reason = format!("the user `{ADMIN}` always exists; choose another name");
            return self.mistake(name.span(), reason);
        }
        let line = self.line(&name.span());
        if let Some(first) = self.names.insert(sort_key(text), line) {
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

    fn privileges(&mut self, entries: &[PrivilegeEntry]) -> BTreeMap<String, Access> {
        let mut entities = BTreeMap::new();
        for entry in entries {
            let access = match entry.access {
                AccessEntry::Read => Access::Read,
                AccessEntry::Write => Access::Write,
            };
            for entity in &entry.entities {
                if entity.get_ref().trim().is_empty() {
                    self.mistake(entity.span(), "an entity's name is empty".into());
                }
                let widest = entities.entry(entity.get_ref().clone()).or_insert(access);
                *widest = access.max(*widest);
            }
        }
        entities
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

fn join(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

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
            access = "read"

            [[users]]
            name = "boss"
            administrator = true
        "#;
        let users = parse(Path::new("users.toml"), text).unwrap();
        let [clerk, boss] = users.as_slice() else { panic!("{users:?}") };
        assert_eq!((clerk.display_name.as_str(), clerk.erp_user.as_str()), ("USMF clerk", "clerk"));
        assert_eq!(clerk.rights.companies, Companies::Only(vec!["USMF".into()]));
        assert_eq!(clerk.rights.access("B"), Some(Access::Write));
        assert_eq!(clerk.rights.access("C"), Some(Access::Read));
        assert_eq!((boss.display_name.as_str(), boss.erp_user.as_str()), ("boss", "boss"));
        assert_eq!((clerk.time_zone.as_str(), clerk.language), ("America/New_York", 1036));
        assert_eq!((boss.time_zone.as_str(), boss.language), ("UTC", 1033));
        assert!(boss.rights.administrator);
        assert_eq!(boss.rights.companies, Companies::All);
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
    }

    #[test]
    fn what_is_not_in_the_format_is_a_mistake() {
        let check = |text: &str, line: &str, word: &str| {
            let found = mistakes(text);
            let [only] = found.as_slice() else { panic!("{found:?}") };
            assert!(only.starts_with(&format!("users.toml:{line}: ")), "{only}");
            assert!(only.contains(word), "{only}");
        };
        check("[[users]]\nname = \"a\"\nrole = \"x\"", "3", "role");
        check("[[users]]\nname = 5", "2", "string");
        check("[[users]]\nlabel = \"a\"", "1", "name");
        check("x = ", "1", "");
        check("[[users]]\nname = \"a\"\nobject_id = \"b\"", "3", "UUID");
        let twice =
            "[[users]]\nname = \"a\"\nobject_id = \"7f2c1a80-53d9-4f4e-8f57-3a8d1f3f0c11\"\n";
        check(&format!("{twice}{}", twice.replace("\"a\"", "\"b\"")), "6", "another user");
        check(
            "[[users]]\nname=\"a\"\n[[users.privileges]]\nentities=[]\naccess=\"all\"",
            "5",
            "all",
        );
    }
}
