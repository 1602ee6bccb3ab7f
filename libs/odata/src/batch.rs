//! Reads the multipart body of a `$batch` into requests and change sets.
//!
//! Clients differ in how they write it, and all of this is read: CRLF or LF, empty lines before the
//! first boundary and anything behind the last, a boundary with or without quotes, no space behind a
//! header's colon, absolute, rooted and relative URLs, URLs with raw spaces and quotes, and parts that
//! end right behind the request line. The whole body is checked before anything of it can run.

mod multipart;
mod request;

use multipart::{Head, boundary};

/// Requests in a batch, those of change sets included.
pub const MAX_OPERATIONS: usize = 1_000;

/// One part of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchPart<'a> {
    /// A request of its own.
    Request(BatchRequest<'a>),
    /// Requests that succeed or fail as one.
    ChangeSet(Vec<BatchRequest<'a>>),
}

/// A request within a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRequest<'a> {
    /// What is to be done.
    pub method: BatchMethod,
    /// With what.
    pub target: BatchTarget<'a>,
    /// What later requests call the result.
    pub content_id: Option<&'a str>,
    /// Of the request itself, in order.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Empty when there is nothing but whitespace.
    pub body: &'a [u8],
}

/// The methods that the platform knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchMethod {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PATCH`
    Patch,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

/// The URL of a request within a batch: path and query as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchTarget<'a> {
    /// From the root of the host, which an absolute URL may have named: `/api/data/v9.2/accounts`.
    Rooted(&'a str),
    /// From the service root: `accounts?$top=1`.
    Relative(&'a str),
    /// `$1/name`: what another request of the change set made, and a path from there.
    Reference {
        /// Without `$`.
        content_id: &'a str,
        /// What follows it, with its slash or question mark.
        rest: &'a str,
    },
}

/// A body that is not a batch, or not one that may run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Something else than multipart, or no boundary.
    #[error("The content type of a batch must be 'multipart/mixed' with a boundary.")]
    ContentType,
    /// The boundary that ends a batch or a change set is missing.
    #[error("The batch ends without its closing boundary. Stream was not readable.")]
    Truncated,
    /// A part that is not a request.
    #[error("Part {part} of the batch cannot be read: {problem}.")]
    Part {
        /// From 1; change sets count as one.
        part: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More than [`MAX_OPERATIONS`].
    #[error("A batch may have {MAX_OPERATIONS} requests at most.")]
    TooManyOperations,
    /// A batch within a batch, or a change set within a change set.
    #[error("Batches and change sets cannot be nested.")]
    Nested,
    /// A `GET` in a change set.
    #[error("A change set cannot contain GET requests.")]
    ReadInChangeSet,
    /// Two requests of a change set have the same id.
    #[error("The Content-ID '{0}' is used more than once in a change set.")]
    DuplicateContentId(String),
}

impl BatchMethod {
    const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Patch, Self::Put, Self::Delete];

    /// As written in a request line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl BatchRequest<'_> {
    /// A header of the request; names differ in no more than their case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// Reads the body of a batch that came with this `Content-Type`.
///
/// # Errors
///
/// When any part of it cannot be read, or must not run.
pub fn parse_batch<'a>(
    content_type: &str,
    body: &'a [u8],
) -> Result<Vec<BatchPart<'a>>, BatchError> {
    let boundary = boundary(content_type).ok_or(BatchError::ContentType)?;
    let mut operations = 0;
    let parts = multipart::split(body, boundary)?;
    let parts = parts.into_iter().enumerate();
    parts.map(|(at, part)| read_part(part, at + 1, &mut operations)).collect()
}

fn read_part<'a>(
    text: &'a [u8],
    part: usize,
    operations: &mut usize,
) -> Result<BatchPart<'a>, BatchError> {
    let bad = |problem| BatchError::Part { part, problem };
    let (head, content) = Head::read(text).map_err(bad)?;
    let Some(boundary) = head.change_set().map_err(bad)? else {
        count(operations)?;
        return request::read(&head, content).map_err(|it| it.of(part)).map(BatchPart::Request);
    };
    let mut requests: Vec<BatchRequest<'a>> = Vec::new();
    for text in multipart::split(content, boundary)? {
        count(operations)?;
        let (head, content) = Head::read(text).map_err(bad)?;
        if !matches!(head.change_set(), Ok(None)) {
            return Err(BatchError::Nested);
        }
        let request = request::read(&head, content).map_err(|it| it.of(part))?;
        if request.method == BatchMethod::Get {
            return Err(BatchError::ReadInChangeSet);
        }
        if let Some(id) = request.content_id
            && requests.iter().any(|it| it.content_id == Some(id))
        {
            return Err(BatchError::DuplicateContentId(id.to_owned()));
        }
        requests.push(request);
    }
    Ok(BatchPart::ChangeSet(requests))
}

fn count(operations: &mut usize) -> Result<(), BatchError> {
    *operations += 1;
    if *operations > MAX_OPERATIONS { Err(BatchError::TooManyOperations) } else { Ok(()) }
}
