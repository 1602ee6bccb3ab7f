//! What was answered, as text that must be the same on both sides.

use std::fmt::Write as _;

use crate::Answer;

/// What was answered to one read, on one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript(String);

/// Made up anew for every answer, or the moment of it.
const OF_THE_ANSWER: [&str; 5] =
    ["date", "x-ms-service-request-id", "req_id", "x-ms-request-id", "server-timing"];
/// The parts of a batch's answer are parted by a boundary that is made up for it, and each has the
/// request's id.
const BEFORE_IDS: [&str; 5] = [
    "batchresponse_",
    "changesetresponse_",
    "REQ_ID: ",
    "x-ms-service-request-id: ",
    "x-ms-request-id: ",
];
const GUID: usize = 36;
/// Names the log of changes, which has an id of its own in each database, and the moment.
const DELTA_TOKEN: &str = "$deltatoken=";

impl Transcript {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an answer of the system at this address.
    pub fn answer(&mut self, answer: &Answer, authority: &str) {
        let mut text = format!("{}\n", answer.status);
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|it| !OF_THE_ANSWER.contains(&it.0.as_str()))
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or("?")))
            .collect();
        headers.sort();
        text.extend(headers);
        text.push_str(&answer.body);
        // The systems listen at ports of their own, of one length.
        self.text(&text.replace(authority, "HOST"));
    }

    /// Adds anything else.
    pub fn text(&mut self, text: &str) {
        let mut text = text.to_owned();
        for mark in BEFORE_IDS {
            text = without_after(&text, mark, |rest| rest.get(GUID..).unwrap_or_default());
        }
        text = without_after(&text, DELTA_TOKEN, |rest| {
            rest.find(['"', '&']).map_or("", |end| &rest[end..])
        });
        let _ = writeln!(self.0, "{text}");
    }

    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The lines that are not the same, first side and second.
    #[must_use]
    pub fn difference(&self, other: &Self) -> String {
        let (mut ours, mut theirs) = (self.0.lines(), other.0.lines());
        let mut text = String::new();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return text,
                (one, two) if one == two => {}
                (one, two) => {
                    let shown = |it: Option<&str>| it.unwrap_or("(nothing)").to_owned();
                    let _ = writeln!(text, "  - {}\n  + {}", shown(one), shown(two));
                }
            }
        }
    }
}

fn without_after<'t>(text: &'t str, mark: &str, cut: impl Fn(&'t str) -> &'t str) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(mark);
        out.push_str(cut(part));
    }
    out
}
