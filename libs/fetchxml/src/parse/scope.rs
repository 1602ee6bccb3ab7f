//! The links of a document by their names, and which of them can be named from where.

use std::collections::HashSet;

use super::join_of;
use crate::error::FetchXmlError;
use crate::tree;
use crate::xml::Element;
use crate::{MAX_CONDITIONS, MAX_LINKS};

/// The links in document order.
#[derive(Default)]
pub(super) struct Scope {
    root: String,
    links: Vec<Known>,
    conditions: usize,
}

struct Known {
    alias: String,
    table: String,
    /// The document gives the alias itself.
    named: bool,
    /// The semi-joins that it stands in, itself included; from outside it cannot be named.
    within: Vec<usize>,
}

/// Where an expression stands.
#[derive(Clone)]
pub(super) struct Place {
    /// The link; the root where there is none.
    own: Option<usize>,
    within: Vec<usize>,
}

impl Place {
    pub(super) fn root() -> Self {
        Self { own: None, within: Vec::new() }
    }

    pub(super) fn is_root(&self) -> bool {
        self.own.is_none()
    }

    /// Nothing of the rows here is returned.
    pub(super) fn is_tested_only(&self) -> bool {
        !self.within.is_empty()
    }
}

impl Scope {
    pub(super) fn of(entity: &Element) -> Result<Self, FetchXmlError> {
        let mut scope =
            Self { root: entity.get("name").unwrap_or_default().to_owned(), ..Self::default() };
        let mut taken = HashSet::new();
        scope.collect(entity, &[], &mut taken)?;
        scope.name_the_others(&taken);
        Ok(scope)
    }

    /// Counts before anything is built, so that what is too large is refused as such.
    fn collect(
        &mut self,
        element: &Element,
        within: &[usize],
        taken: &mut HashSet<String>,
    ) -> Result<(), FetchXmlError> {
        for child in &element.children {
            match child.name.as_str() {
                "condition" => self.conditions += 1,
                "filter" => self.collect(child, within, taken)?,
                "link-entity" => {
                    let mut within = within.to_vec();
                    if tree::is_semi_join(join_of(child)?) {
                        within.push(self.links.len());
                    }
                    self.add(child, &within, taken)?;
                    self.collect(child, &within, taken)?;
                }
                _ => {}
            }
            if self.links.len() > MAX_LINKS {
                return Err(FetchXmlError::TooManyLinks);
            }
            if self.conditions + self.links.len() > MAX_CONDITIONS {
                return Err(FetchXmlError::TooManyConditions);
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        element: &Element,
        within: &[usize],
        taken: &mut HashSet<String>,
    ) -> Result<(), FetchXmlError> {
        let alias = element.alias()?;
        if let Some(alias) = alias
            && !taken.insert(alias.to_owned())
        {
            return Err(element.invalid(format!("The alias '{alias}' is not unique.")));
        }
        self.links.push(Known {
            alias: alias.unwrap_or_default().to_owned(),
            table: element.get("name").unwrap_or_default().trim().to_owned(),
            named: alias.is_some(),
            within: within.to_vec(),
        });
        Ok(())
    }

    /// `{table}{n}`, where `n` is the link's number in the document, or the next that is free.
    fn name_the_others(&mut self, taken: &HashSet<String>) {
        let mut taken = taken.clone();
        for (at, link) in self.links.iter_mut().enumerate().filter(|(_, it)| !it.named) {
            let candidates = (at + 1..).map(|number| format!("{}{number}", link.table));
            let alias = candidates.into_iter().find(|it| !taken.contains(it)).unwrap_or_default();
            taken.insert(alias.clone());
            link.alias = alias;
        }
    }

    pub(super) fn alias(&self, number: usize) -> &str {
        self.links.get(number).map_or("", |it| &it.alias)
    }

    pub(super) fn place_of(&self, number: usize, semi_join: bool, parent: &Place) -> Place {
        let mut within = parent.within.clone();
        if semi_join {
            within.push(number);
        }
        Place { own: Some(number), within }
    }

    /// How columns of the place itself are named where nothing else is said: by alias.
    pub(super) fn own_alias(&self, place: &Place) -> &str {
        place.own.map_or("", |it| self.alias(it))
    }

    /// What a column's `link` is for a name in `entityname` or before a dot: an alias, or the name of
    /// a table that has none.
    pub(super) fn resolve(
        &self,
        name: &str,
        place: &Place,
        element: &Element,
    ) -> Result<String, FetchXmlError> {
        let visible = || {
            let links = self.links.iter().enumerate();
            links.filter(|(_, it)| place.within.starts_with(&it.within))
        };
        let by_alias = visible().find(|(_, it)| it.alias == name).map(|(at, _)| at);
        let own_table = place
            .own
            .filter(|at| self.links.get(*at).is_some_and(|it| !it.named && it.table == name));
        if let Some(at) = by_alias.or(own_table) {
            return Ok(self.link_of(at, place));
        }
        let mut by_table = visible().filter(|(_, it)| !it.named && it.table == name);
        match (by_table.next(), by_table.next()) {
            (Some(_), Some(_)) => Err(element.invalid(format!(
                "The name '{name}' is not unique in the query; give its link-entities aliases."
            ))),
            (Some((at, _)), None) => Ok(self.link_of(at, place)),
            (None, _) if name == self.root => {
                Ok(if place.is_root() { String::new() } else { tree::ROOT.to_owned() })
            }
            (None, _) => {
                Err(element
                    .invalid(format!("Link entity with name or alias '{name}' is not found.")))
            }
        }
    }

    fn link_of(&self, at: usize, place: &Place) -> String {
        if place.own == Some(at) { String::new() } else { self.alias(at).to_owned() }
    }
}
