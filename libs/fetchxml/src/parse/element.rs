//! What can be asked of an element, and what to say when it is not as it should be.

use crate::error::FetchXmlError;
use crate::tree;
use crate::xml::Element;

impl Element {
    pub(super) fn invalid(&self, message: impl Into<String>) -> FetchXmlError {
        FetchXmlError::Invalid { at: self.at, message: message.into() }
    }

    pub(super) fn bad_value(&self, attribute: &str, value: &str) -> FetchXmlError {
        let name = &self.name;
        self.invalid(format!(
            "The '{attribute}' attribute of the element '{name}' is invalid - The value '{value}' is \
             invalid according to its datatype."
        ))
    }

    pub(super) fn bad_child(&self, child: &Self, expected: &str) -> FetchXmlError {
        let (name, found) = (&self.name, &child.name);
        child.invalid(format!(
            "The element '{name}' has invalid child element '{found}'. List of possible elements \
             expected: '{expected}'."
        ))
    }

    /// Attributes that the element may have.
    pub(super) fn only(&self, allowed: &[&str]) -> Result<(), FetchXmlError> {
        // Namespace declarations change nothing here.
        let known =
            |name: &str| allowed.contains(&name) || name == "xmlns" || name.starts_with("xmlns:");
        match self.attributes.iter().find(|(name, _)| !known(name)) {
            Some((name, _)) => {
                let element = &self.name;
                let message =
                    format!("The '{name}' attribute is not declared for the element '{element}'.");
                Err(self.invalid(message))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(it, _)| it == attribute).map(|(_, value)| value.as_str())
    }

    /// As [`Self::get`], where an empty value is as good as none.
    pub(super) fn filled(&self, attribute: &str) -> Option<&str> {
        self.get(attribute).map(str::trim).filter(|it| !it.is_empty())
    }

    pub(super) fn required(&self, attribute: &str) -> Result<&str, FetchXmlError> {
        self.filled(attribute).ok_or_else(|| {
            let name = &self.name;
            let message =
                format!("The required attribute '{attribute}' is missing on the element '{name}'.");
            self.invalid(message)
        })
    }

    pub(super) fn flag(&self, attribute: &str) -> Result<Option<bool>, FetchXmlError> {
        let Some(text) = self.filled(attribute) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(self.bad_value(attribute, text)),
        }
    }

    /// A number of at least `least`.
    pub(super) fn number(&self, attribute: &str, least: i32) -> Result<Option<i32>, FetchXmlError> {
        let Some(text) = self.filled(attribute) else { return Ok(None) };
        let number = text.parse::<i32>().ok().filter(|it| *it >= least);
        number.map(Some).ok_or_else(|| self.bad_value(attribute, text))
    }

    /// A name that results can be called by.
    pub(super) fn alias(&self) -> Result<Option<&str>, FetchXmlError> {
        let Some(alias) = self.filled("alias") else { return Ok(None) };
        match tree::is_alias(alias) {
            true => Ok(Some(alias)),
            false => Err(self.invalid(format!(
                "Invalid alias '{alias}': only letters, digits and '_' are allowed, and a letter or \
                 '_' as the first."
            ))),
        }
    }

    pub(super) fn no_children(&self) -> Result<(), FetchXmlError> {
        self.no_text()?;
        match self.children.first() {
            Some(child) => {
                let (name, found) = (&self.name, &child.name);
                let message =
                    format!("The element '{name}' cannot contain child element '{found}'.");
                Err(child.invalid(message))
            }
            None => Ok(()),
        }
    }

    pub(super) fn no_text(&self) -> Result<(), FetchXmlError> {
        match self.text.trim().is_empty() {
            true => Ok(()),
            false => Err(self.invalid(format!("The element '{}' cannot contain text.", self.name))),
        }
    }
}
