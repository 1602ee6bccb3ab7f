//! The MIME side of a batch: boundaries, lines, headers.

use super::{BatchError, MAX_OPERATIONS};

/// Headers of a part at most.
const MAX_HEADERS: usize = 100;

/// The longest boundary; MIME allows 70.
const MAX_BOUNDARY: usize = 200;

type Header<'a> = (&'a str, &'a str);

/// What stands before the first empty line of a part.
pub(super) struct Head<'a>(Vec<Header<'a>>);

impl<'a> Head<'a> {
    /// The headers, and what follows them.
    pub(super) fn read(text: &'a [u8]) -> Result<(Self, &'a [u8]), &'static str> {
        let (headers, rest) = headers(text)?;
        Ok((Self(headers), rest))
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The boundary, if the part is a change set; none, if it is a request.
    pub(super) fn change_set(&self) -> Result<Option<&'a str>, &'static str> {
        let content_type = self.get("Content-Type").ok_or("it has no Content-Type")?;
        let media = content_type.split(';').next().unwrap_or_default().trim();
        let encoding = self.get("Content-Transfer-Encoding").unwrap_or("binary");
        if !["binary", "8bit", "7bit"].iter().any(|it| it.eq_ignore_ascii_case(encoding)) {
            return Err("its Content-Transfer-Encoding is not 'binary'");
        }
        if media.eq_ignore_ascii_case("application/http") {
            return Ok(None);
        }
        boundary(content_type)
            .map(Some)
            .ok_or("its Content-Type is neither 'application/http' nor 'multipart/mixed'")
    }
}

/// The boundary that a content type of `multipart/mixed` names.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (media, parameters) = content_type.split_once(';')?;
    if !media.trim().eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let value = parameters.split(';').find_map(|it| {
        let (name, value) = it.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    })?;
    let value = value.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(value);
    let printable = value.bytes().all(|it| (0x20..0x7f).contains(&it) && it != b'"');
    (printable && !value.is_empty() && value.len() <= MAX_BOUNDARY && !value.ends_with(' '))
        .then_some(value)
}

/// The parts between the boundaries, without the line ends that belong to the boundaries.
pub(super) fn split<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<&'a [u8]>, BatchError> {
    let mut parts = Vec::new();
    let mut start = None;
    let mut at = 0;
    while let Some(line) = line(body, at) {
        let next = at + line.len();
        let mark = line.trim_ascii_end().strip_prefix(b"--");
        let mark = mark.and_then(|it| it.strip_prefix(boundary.as_bytes()));
        if let Some(ending @ (b"" | b"--")) = mark {
            if let Some(start) = start {
                if parts.len() == MAX_OPERATIONS {
                    return Err(BatchError::TooManyOperations);
                }
                parts.push(without_line_end(body.get(start..at).unwrap_or_default()));
            }
            if ending == b"--" {
                return Ok(parts);
            }
            start = Some(next);
        }
        at = next;
    }
    Err(BatchError::Truncated)
}

/// Headers to the first empty line, or to the end of the text; and what follows.
pub(super) fn headers(text: &[u8]) -> Result<(Vec<Header<'_>>, &[u8]), &'static str> {
    let mut headers = Vec::new();
    let mut at = 0;
    while let Some(line) = line(text, at) {
        at += line.len();
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        let line = std::str::from_utf8(line).map_err(|_| "a header is not UTF-8 text")?;
        let (name, value) = line.split_once(':').ok_or("a header has no colon")?;
        let token = |it: u8| it.is_ascii_graphic() && it != b':';
        if name.is_empty() || !name.bytes().all(token) {
            return Err("the name of a header is not a name");
        }
        if value.contains(|it: char| it.is_control() && it != '\t') {
            return Err("a header holds control characters");
        }
        if headers.len() == MAX_HEADERS {
            return Err("it has too many headers");
        }
        headers.push((name, value.trim()));
    }
    Ok((headers, text.get(at..).unwrap_or_default()))
}

/// The line that begins at this byte, with its end.
pub(super) fn line(text: &[u8], at: usize) -> Option<&[u8]> {
    let rest = text.get(at..).filter(|it| !it.is_empty())?;
    let end = rest.iter().position(|it| *it == b'\n').map_or(rest.len(), |it| it + 1);
    rest.get(..end)
}

fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}
