//! `$expand`: which related rows come along, and what is asked of them.

use crate::expr::{Expr, Path};
use crate::options::{OrderItem, SystemOption};
use crate::parser::{Parse, Parser, Problem, SyntaxError, parse_all};

/// One navigation of a `$expand`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpandItem {
    /// The navigation property; `*` for all of them. Casts are segments with a dot.
    pub path: Path,
    /// Rows, or less than that.
    pub form: ExpandForm,
    /// What stands in parentheses behind it.
    pub options: ExpandOptions,
}

/// What is wanted of the related rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpandForm {
    /// Their columns.
    #[default]
    Rows,
    /// `navigation/$ref`: where they are.
    References,
    /// `navigation/$count`: how many there are.
    Count,
}

/// The options of one navigation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpandOptions {
    /// `$select`.
    pub select: Option<Vec<Path>>,
    /// `$filter`.
    pub filter: Option<Expr>,
    /// `$orderby`; empty when it was not given.
    pub order_by: Vec<OrderItem>,
    /// `$top`.
    pub top: Option<u64>,
    /// `$expand`; empty when it was not given.
    pub expand: Vec<ExpandItem>,
    /// Options of OData that the platform does not take here, in the order they were written.
    pub refused: Vec<RefusedOption>,
}

/// An option that OData has within `$expand` and the platform has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedOption {
    /// `$skip`
    Skip,
    /// `$count`
    Count,
    /// `$search`
    Search,
    /// `$levels`
    Levels,
    /// `$apply`
    Apply,
    /// `$compute`
    Compute,
}

impl RefusedOption {
    const ALL: [Self; 6] =
        [Self::Skip, Self::Count, Self::Search, Self::Levels, Self::Apply, Self::Compute];

    /// As written in a URL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "$skip",
            Self::Count => "$count",
            Self::Search => "$search",
            Self::Levels => "$levels",
            Self::Apply => "$apply",
            Self::Compute => "$compute",
        }
    }
}

/// Reads a `$expand`. Parameter aliases mean nothing in it.
///
/// # Errors
///
/// When the text is not a list of navigations with options.
pub fn parse_expand(text: &str) -> Result<Vec<ExpandItem>, SyntaxError> {
    parse_all(text, None, Parser::expand_items)
}

impl Parser<'_> {
    fn expand_items(&mut self) -> Parse<Vec<ExpandItem>> {
        self.list(Self::expand_item)
    }

    fn expand_item(&mut self) -> Parse<ExpandItem> {
        let start = self.scan.at;
        let path = self.selected_path()?;
        let (path, form) = match path.0.split_last() {
            Some((last, rest)) if last == "$count" => (Path(rest.to_vec()), ExpandForm::Count),
            _ if self.scan.eat_text("/$ref") => (path, ExpandForm::References),
            _ => (path, ExpandForm::Rows),
        };
        if path.0.iter().any(|it| it.starts_with('$')) {
            return Err(Problem::Unexpected(start));
        }
        let options = if self.scan.eat('(') {
            self.deeper(Self::expand_options)?
        } else {
            ExpandOptions::default()
        };
        Ok(ExpandItem { path, form, options })
    }

    fn expand_options(&mut self) -> Parse<ExpandOptions> {
        let mut options = ExpandOptions::default();
        let mut seen = Vec::new();
        loop {
            self.scan.skip_space();
            let start = self.scan.at;
            let name = self.scan.name()?;
            if seen.contains(&name) {
                return Err(Problem::Duplicate(name.to_owned()));
            }
            seen.push(name);
            self.scan.skip_space();
            self.scan.expect('=')?;
            self.scan.skip_space();
            self.expand_option(&mut options, name, start)?;
            self.scan.skip_space();
            // A semicolon behind the last option is common, and harmless.
            let more = self.scan.eat(';');
            self.scan.skip_space();
            if self.scan.eat(')') {
                return Ok(options);
            }
            if !more {
                return Err(self.unexpected());
            }
        }
    }

    fn expand_option(
        &mut self,
        options: &mut ExpandOptions,
        name: &str,
        start: usize,
    ) -> Parse<()> {
        let known = |option: SystemOption| option.name() == name;
        if known(SystemOption::Select) {
            options.select = Some(self.list(Self::selected_path)?);
        } else if known(SystemOption::Filter) {
            options.filter = Some(self.disjunction()?);
        } else if known(SystemOption::OrderBy) {
            options.order_by = self.list(Self::order_item)?;
        } else if known(SystemOption::Top) {
            options.top = Some(self.number()?);
        } else if known(SystemOption::Expand) {
            options.expand = self.expand_items()?;
        } else if let Some(refused) = RefusedOption::ALL.into_iter().find(|it| it.name() == name) {
            self.skip_value()?;
            options.refused.push(refused);
        } else if name.starts_with('$') {
            return Err(Problem::Unknown(name.to_owned()));
        } else {
            return Err(Problem::Unexpected(start));
        }
        Ok(())
    }

    fn number(&mut self) -> Parse<u64> {
        let rest = self.scan.rest();
        let tail = rest.trim_start_matches(|it: char| it.is_ascii_digit());
        let digits = rest.get(..rest.len() - tail.len()).unwrap_or_default();
        let value = digits.parse().map_err(|_| self.unexpected())?;
        self.scan.at += digits.len();
        Ok(value)
    }
}
