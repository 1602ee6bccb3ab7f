//! Query options: which ones were given, decoded but not yet understood.

use std::collections::BTreeMap;

use crate::expr::Path;
use crate::parser::Aliases;
use crate::percent::{InvalidEncoding, decode_query, encode_query};

/// The system query options that the platform knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemOption {
    /// `$select`
    Select,
    /// `$expand`
    Expand,
    /// `$filter`
    Filter,
    /// `$orderby`
    OrderBy,
    /// `$top`
    Top,
    /// `$count`
    Count,
    /// `$apply`
    Apply,
    /// `$skiptoken`
    SkipToken,
    /// `$deltatoken`
    DeltaToken,
}

/// What follows the question mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOptions {
    system: BTreeMap<SystemOption, String>,
    /// Parameter aliases by name, without the `@`.
    pub aliases: Aliases,
    custom: Vec<(String, String)>,
    /// Every option but `$skiptoken`, exactly as it came.
    raw: String,
}

/// One key of a `$orderby`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderItem {
    /// By what.
    pub path: Path,
    /// Largest first.
    pub descending: bool,
}

/// Query options that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// Escapes that are no text.
    #[error(transparent)]
    Encoding(#[from] InvalidEncoding),
    /// A `$` name that the platform does not know.
    #[error("The query parameter '{0}' is not supported.")]
    Unknown(String),
    /// The same option twice.
    #[error(
        "Query option '{0}' was specified more than once, but it must be specified at most once."
    )]
    Duplicate(String),
    /// A value that the option cannot have.
    #[error("Invalid value '{value}' for {name} query option found. {expected}")]
    Value {
        /// The option.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// What it could have been set to.
        expected: &'static str,
    },
}

impl SystemOption {
    const ALL: [Self; 9] = [
        Self::Select,
        Self::Expand,
        Self::Filter,
        Self::OrderBy,
        Self::Top,
        Self::Count,
        Self::Apply,
        Self::SkipToken,
        Self::DeltaToken,
    ];

    /// As written in a URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Select => "$select",
            Self::Expand => "$expand",
            Self::Filter => "$filter",
            Self::OrderBy => "$orderby",
            Self::Top => "$top",
            Self::Count => "$count",
            Self::Apply => "$apply",
            Self::SkipToken => "$skiptoken",
            Self::DeltaToken => "$deltatoken",
        }
    }
}

impl QueryOptions {
    /// Reads a query string, without its question mark. Options without `$` or `@` are kept but
    /// mean nothing here.
    ///
    /// # Errors
    ///
    /// When an option is unknown, comes twice, or is not text.
    pub fn parse(query: &str) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for part in query.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode_query(name)?, decode_query(value)?);
            if name != SystemOption::SkipToken.name() {
                if !options.raw.is_empty() {
                    options.raw.push('&');
                }
                options.raw.push_str(part);
            }
            options.add(name, value)?;
        }
        Ok(options)
    }

    fn add(&mut self, name: String, value: String) -> Result<(), OptionError> {
        if name.starts_with('$') {
            let option = SystemOption::ALL.into_iter().find(|it| it.name() == name);
            let option = option.ok_or_else(|| OptionError::Unknown(name.clone()))?;
            if self.system.insert(option, value).is_some() {
                return Err(OptionError::Duplicate(name));
            }
        } else if let Some(alias) = name.strip_prefix('@') {
            if self.aliases.insert(alias.to_owned(), value).is_some() {
                return Err(OptionError::Duplicate(name));
            }
        } else {
            self.custom.push((name, value));
        }
        Ok(())
    }

    /// The decoded value of an option, if it was given.
    #[must_use]
    pub fn get(&self, option: SystemOption) -> Option<&str> {
        self.system.get(&option).map(String::as_str)
    }

    /// The value of an option without `$`, if it was given.
    #[must_use]
    pub fn custom(&self, name: &str) -> Option<&str> {
        self.custom.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// `$top`, if it was given.
    ///
    /// # Errors
    ///
    /// When it is not a number that is zero or more.
    pub fn top(&self) -> Result<Option<u64>, OptionError> {
        let Some(text) = self.get(SystemOption::Top) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let value = text.parse().ok().filter(|_| digits);
        value.map(Some).ok_or_else(|| OptionError::Value {
            name: "$top",
            value: text.to_owned(),
            expected: "The $top query option requires a non-negative integer value.",
        })
    }

    /// `$count`; false when it was not given.
    ///
    /// # Errors
    ///
    /// When it is neither `true` nor `false`.
    pub fn count(&self) -> Result<bool, OptionError> {
        match self.get(SystemOption::Count) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(OptionError::Value {
                name: "$count",
                value: other.to_owned(),
                expected: "Valid values are 'true' and 'false'.",
            }),
        }
    }

    /// The same query string with another `$skiptoken`.
    #[must_use]
    pub fn with_skip_token(&self, token: &str) -> String {
        self.with(SystemOption::SkipToken, token)
    }

    /// The same query string, which has no `$deltatoken` yet, with one.
    #[must_use]
    pub fn with_delta_token(&self, token: &str) -> String {
        self.with(SystemOption::DeltaToken, token)
    }

    /// Of these options only the `$select`.
    #[must_use]
    pub fn selection(&self) -> Self {
        let mut options = Self::default();
        if let Some(columns) = self.get(SystemOption::Select) {
            options.raw = format!("{}={}", SystemOption::Select.name(), encode_query(columns));
            options.system.insert(SystemOption::Select, columns.to_owned());
        }
        options
    }

    fn with(&self, option: SystemOption, value: &str) -> String {
        let separator = if self.raw.is_empty() { "" } else { "&" };
        format!("{}{separator}{}={}", self.raw, option.name(), encode_query(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_decode_after_they_are_split() {
        let options = QueryOptions::parse(
            "%24select=a%2Cb&$filter=name+eq+%27R%26D%27&x=1&@p='a%2Bb'&$top=5&$count=true&",
        )
        .unwrap();
        assert_eq!(options.get(SystemOption::Select), Some("a,b"));
        assert_eq!(options.get(SystemOption::Filter), Some("name eq 'R&D'"));
        assert_eq!(options.aliases["p"], "'a+b'");
        assert_eq!(options.custom("x"), Some("1"));
        assert_eq!((options.top(), options.count()), (Ok(Some(5)), Ok(true)));
    }

    #[test]
    fn what_cannot_be_accepted_says_why() {
        let check = |query: &str, expected: &str| {
            let error =
                QueryOptions::parse(query).and_then(|it| Ok((it.top()?, it.count()?))).unwrap_err();
            assert_eq!(error.to_string(), expected, "{query}");
        };
        check("$skip=1", "The query parameter '$skip' is not supported.");
        check("$Select=a", "The query parameter '$Select' is not supported.");
        check("%24search=a", "The query parameter '$search' is not supported.");
        check("$top=1&%24top=1", {
            "Query option '$top' was specified more than once, but it must be specified at most once."
        });
        check("$filter=%ff", "The URL holds escapes that are not valid UTF-8 text.");
        for bad in ["-1", "abc", "", "1.5", "99999999999999999999", "%2B1"] {
            let error = QueryOptions::parse(&format!("$top={bad}")).unwrap().top().unwrap_err();
            assert!(error.to_string().contains("non-negative integer"), "{error}");
        }
        check("$count=maybe", {
            "Invalid value 'maybe' for $count query option found. Valid values are 'true' and 'false'."
        });
    }

    #[test]
    fn a_next_link_keeps_every_option() {
        let options = QueryOptions::parse("%24select=a+b&$skiptoken=old&x=%C3%A9").unwrap();
        assert_eq!(options.with_skip_token("<n>"), "%24select=a+b&x=%C3%A9&$skiptoken=%3Cn%3E");
        assert_eq!(QueryOptions::default().with_skip_token("a"), "$skiptoken=a");
    }

    #[test]
    fn a_delta_link_keeps_the_columns() {
        let options = QueryOptions::parse("%24select=a,b&$count=true&x=1&$skiptoken=old").unwrap();
        let link = options.selection().with_delta_token("1!08/22/2017 08:10:44");
        assert_eq!(QueryOptions::parse(&link).unwrap().get(SystemOption::Select), Some("a,b"));
        let read = QueryOptions::parse(&link).unwrap();
        assert_eq!(read.get(SystemOption::DeltaToken), Some("1!08/22/2017 08:10:44"));
        assert_eq!((read.get(SystemOption::Count), read.custom("x")), (None, None));
        assert!(QueryOptions::default().selection().with_delta_token("a").starts_with("$delta"));
    }

    proptest! {
        #[test]
        fn no_query_panics(query in any::<String>()) {
            if let Ok(options) = QueryOptions::parse(&query) {
                let _ = (options.top(), options.count());
            }
        }
    }
}
