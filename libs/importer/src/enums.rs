//! The enums of a model, from PostgreSQL's enums, from CHECKs and for booleans.

use std::collections::HashMap;

use model::{Enum, Member, Stored};

use crate::catalog::{Catalog, Oid, TypeKind};
use crate::names::{Names, humanised, pascal_case};

/// What booleans are, as finance-and-operations apps call it.
const NO_YES: &str = "NoYes";

/// The enums so far.
#[derive(Debug)]
pub(crate) struct Enums {
    names: Names,
    enums: Vec<Enum>,
    by_type: HashMap<Oid, String>,
}

impl Enums {
    pub(crate) fn new() -> Self {
        let mut names = Names::default();
        names.take(NO_YES);
        Self { names, enums: Vec::new(), by_type: HashMap::new() }
    }

    pub(crate) fn no_yes(&mut self) -> String {
        if !self.enums.iter().any(|it| it.name == NO_YES) {
            let member = |symbol: &str, stored| Member {
                symbol: symbol.to_owned(),
                label: symbol.to_owned(),
                stored: Stored::Bool(stored),
            };
            let members = vec![member("No", false), member("Yes", true)];
            let label = "No or yes".to_owned();
            self.enums.push(Enum { name: NO_YES.to_owned(), label, members });
        }
        NO_YES.to_owned()
    }

    /// One enum for each of PostgreSQL's, however many columns use it.
    pub(crate) fn of_type(&mut self, catalog: &Catalog, oid: Oid) -> Option<String> {
        if let Some(name) = self.by_type.get(&oid) {
            return Some(name.clone());
        }
        let r#type = catalog.types.get(&oid)?;
        let TypeKind::Enum { labels } = &r#type.kind else { return None };
        let values = labels.iter().map(|it| (it.clone(), Stored::Text(it.clone())));
        let name = self.add(&pascal_case(&r#type.name), &humanised(&r#type.name), values);
        self.by_type.insert(oid, name.clone());
        Some(name)
    }

    /// An enum of the values that a CHECK allows.
    pub(crate) fn of_values(
        &mut self,
        wanted: &str,
        label: &str,
        values: Vec<(String, Stored)>,
    ) -> String {
        self.add(wanted, label, values.into_iter())
    }

    fn add(
        &mut self,
        wanted: &str,
        label: &str,
        values: impl Iterator<Item = (String, Stored)>,
    ) -> String {
        let name = self.names.take(wanted);
        let mut symbols = Names::default();
        let members = values.map(|(text, stored)| Member {
            symbol: symbols.take(&symbol(&text)),
            label: if text.is_empty() { "(empty)".to_owned() } else { humanised(&text) },
            stored,
        });
        let members = members.collect();
        self.enums.push(Enum { name: name.clone(), label: label.to_owned(), members });
        name
    }

    /// By name.
    pub(crate) fn finish(mut self) -> Vec<Enum> {
        self.enums.sort_by(|a, b| a.name.cmp(&b.name));
        self.enums
    }
}

fn symbol(text: &str) -> String {
    match text.strip_prefix('-') {
        _ if text.is_empty() => "Empty".to_owned(),
        Some(number) if is_number(number) => format!("Minus{number}"),
        _ if is_number(text) => format!("Value{text}"),
        _ => pascal_case(text),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|it| it.is_ascii_digit())
}
