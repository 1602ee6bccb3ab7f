//! Every way a document can be refused.

use crate::xml::Position;
use crate::{MAX_DEPTH, MAX_LENGTH};

/// A FetchXML document that is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchXmlError {
    /// Not XML.
    #[error("Invalid XML at {at}: {message}")]
    Xml {
        /// Where.
        at: Position,
        /// Why not.
        message: String,
    },
    /// XML, but not FetchXML.
    #[error("Invalid FetchXML at {at}: {message}")]
    Invalid {
        /// Where the element begins.
        at: Position,
        /// What is wrong with it.
        message: String,
    },
    /// FetchXML that asks for what is not offered.
    #[error("FetchXML at {at}: {what} is not offered.")]
    NotOffered {
        /// Where the element begins.
        at: Position,
        /// As the subject of a sentence.
        what: &'static str,
    },
    /// More text than is read.
    #[error("The FetchXML document is longer than {MAX_LENGTH} bytes.")]
    TooLong,
    /// Elements within elements within elements.
    #[error("The FetchXML document is nested deeper than {MAX_DEPTH} elements.")]
    TooDeep,
    /// Platform code 0x8004430D.
    #[error("Number of link entities in query exceeded maximum limit.")]
    TooManyLinks,
    /// Platform code 0x8004430C.
    #[error("Number of conditions in query exceeded maximum limit.")]
    TooManyConditions,
}

/// A query that the other form has no words for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrintError {
    /// Something that a query can say and the form cannot.
    #[error("The query cannot be written: {0}.")]
    Unsupported(String),
    /// Filters within filters, or links within links.
    #[error("The query is nested deeper than {MAX_DEPTH} levels.")]
    TooDeep,
}

impl PrintError {
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    /// An error when the query says what it is asked about.
    pub(crate) fn when(is_said: bool, what: &str) -> Result<(), Self> {
        if is_said { Err(Self::unsupported(what)) } else { Ok(()) }
    }
}
