//! `$apply`: rows become groups, one transformation after the other.

use crate::expr::{Expr, Path};
use crate::parser::{Aliases, Parse, Parser, Problem, SyntaxError, parse_all};

/// One step of a `$apply`.
#[derive(Clone, Debug, PartialEq)]
pub enum Transformation {
    /// `filter(..)`: only rows for which this holds.
    Filter(Expr),
    /// `groupby((paths),..)`: one row for each combination of values.
    GroupBy {
        /// At least one.
        paths: Vec<Path>,
        /// What happens within each group; empty when only the values are asked for.
        then: Vec<Transformation>,
    },
    /// `aggregate(..)`: one row for all. At least one.
    Aggregate(Vec<Aggregation>),
    /// A transformation of OData that the platform does not know, by its name.
    Unsupported(String),
}

/// One value made of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// Of what.
    pub source: AggregateSource,
    /// What the value is called.
    pub alias: String,
}

/// What is aggregated, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AggregateSource {
    /// `$count`: the number of rows.
    Count,
    /// `path with method`.
    Column {
        /// The values.
        path: Path,
        /// What becomes of them.
        method: AggregateMethod,
    },
}

/// How values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateMethod {
    /// `sum`
    Sum,
    /// `average`
    Average,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `countdistinct`
    CountDistinct,
}

impl AggregateMethod {
    const ALL: [Self; 5] = [Self::Sum, Self::Average, Self::Min, Self::Max, Self::CountDistinct];

    /// As written in a URL.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Average => "average",
            Self::Min => "min",
            Self::Max => "max",
            Self::CountDistinct => "countdistinct",
        }
    }
}

/// Transformations that OData has and the platform has not; they are read by name only.
const UNSUPPORTED: [&str; 19] = [
    "ancestors",
    "bottomcount",
    "bottompercent",
    "bottomsum",
    "compute",
    "concat",
    "descendants",
    "expand",
    "identity",
    "join",
    "nest",
    "orderby",
    "outerjoin",
    "search",
    "skip",
    "top",
    "topcount",
    "toppercent",
    "topsum",
];

/// Reads a `$apply`.
///
/// # Errors
///
/// When the text is not a chain of transformations.
pub fn parse_apply(text: &str, aliases: &Aliases) -> Result<Vec<Transformation>, SyntaxError> {
    parse_all(text, Some(aliases), Parser::transformations)
}

impl Parser<'_> {
    fn transformations(&mut self) -> Parse<Vec<Transformation>> {
        let mut steps = vec![self.transformation()?];
        while self.scan.eat('/') {
            steps.push(self.transformation()?);
        }
        Ok(steps)
    }

    fn transformation(&mut self) -> Parse<Transformation> {
        let start = self.scan.at;
        let name = self.scan.name()?;
        if UNSUPPORTED.contains(&name) || name.contains('.') {
            if self.scan.eat('(') {
                self.skip_value()?;
                self.scan.expect(')')?;
            }
            return Ok(Transformation::Unsupported(name.to_owned()));
        }
        self.scan.expect('(')?;
        self.scan.skip_space();
        let step = match name {
            "filter" => Transformation::Filter(self.deeper(Self::disjunction)?),
            "aggregate" => Transformation::Aggregate(self.list(Self::aggregation)?),
            "groupby" => self.deeper(Self::group_by)?,
            _ => return Err(Problem::Unexpected(start)),
        };
        self.scan.skip_space();
        self.scan.expect(')')?;
        Ok(step)
    }

    fn group_by(&mut self) -> Parse<Transformation> {
        self.scan.expect('(')?;
        self.scan.skip_space();
        if self.scan.peek_name() == Some("rollup") {
            return Err(Problem::Refused("rollup".to_owned()));
        }
        let paths = self.list(Self::path)?;
        self.scan.expect(')')?;
        self.scan.skip_space();
        let mut then = Vec::new();
        if self.scan.eat(',') {
            self.scan.skip_space();
            then = self.transformations()?;
        }
        Ok(Transformation::GroupBy { paths, then })
    }

    fn aggregation(&mut self) -> Parse<Aggregation> {
        let source = if self.scan.eat_word("$count") {
            AggregateSource::Count
        } else {
            let path = self.path()?;
            self.required_space()?;
            self.required_word("with")?;
            let method = self.scan.name()?;
            let known = AggregateMethod::ALL.into_iter().find(|it| it.keyword() == method);
            let method = known.ok_or_else(|| Problem::Refused(method.to_owned()))?;
            AggregateSource::Column { path, method }
        };
        self.required_space()?;
        self.required_word("as")?;
        let start = self.scan.at;
        let alias = self.scan.name()?;
        if alias.contains(['.', '$']) {
            return Err(Problem::Unexpected(start));
        }
        Ok(Aggregation { source, alias: alias.to_owned() })
    }

    fn required_word(&mut self, word: &str) -> Parse<()> {
        if self.scan.eat_word(word) { self.required_space() } else { Err(self.unexpected()) }
    }
}
