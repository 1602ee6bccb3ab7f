//! XML as a tree of elements, within bounds: no document type, so no entities but the five that XML
//! itself has; a bound on length and depth, kept without recursion.

use std::fmt;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::error::FetchXmlError;
use crate::{MAX_DEPTH, MAX_LENGTH};

/// A place in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// An element with what is in it.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Element>,
    /// The text directly in it.
    pub(crate) text: String,
}

impl Element {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(crate) fn set(&mut self, attribute: &str, value: &str) {
        self.attributes.push((attribute.to_owned(), value.to_owned()));
    }
}

/// Reads a document with one root element.
pub(crate) fn read(text: &str) -> Result<Element, FetchXmlError> {
    if text.len() > MAX_LENGTH {
        return Err(FetchXmlError::TooLong);
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    let mut cursor = Cursor::new(text);
    if let Some(at) = text.char_indices().find(|(_, it)| !is_xml_char(*it)) {
        return Err(cursor.xml(at.0, "a character that XML does not allow"));
    }
    let mut reader = Reader::from_str(text);
    let mut builder = Builder::default();
    loop {
        let start = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let event = reader.read_event().map_err(|error| {
            let at = usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
            cursor.xml(at, &error.to_string())
        })?;
        match event {
            Event::Start(tag) => builder.open(element(&tag, start, &mut cursor)?)?,
            Event::Empty(tag) => {
                builder.open(element(&tag, start, &mut cursor)?)?;
                builder.close();
            }
            Event::End(_) => builder.close(),
            Event::Text(it) => {
                builder.text(&it.xml10_content()).map_err(|it| cursor.xml(start, it))?;
            }
            Event::CData(it) => {
                builder.text(&it.xml10_content()).map_err(|it| cursor.xml(start, it))?;
            }
            Event::GeneralRef(it) => {
                let text = reference(&it).ok_or_else(|| {
                    cursor.xml(start, &format!("the entity '{}' is not defined", &*it))
                })?;
                builder.text(&text).map_err(|it| cursor.xml(start, it))?;
            }
            Event::DocType(_) => {
                return Err(cursor.xml(start, "document types are not allowed"));
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return builder.finish().map_err(|it| cursor.xml(text.len(), it)),
        }
    }
}

fn element(
    tag: &BytesStart<'_>,
    start: usize,
    cursor: &mut Cursor<'_>,
) -> Result<Element, FetchXmlError> {
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|it| cursor.xml(start, &it.to_string()))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|it| cursor.xml(start, &it.to_string()))?;
        if !value.chars().all(is_xml_char) {
            return Err(cursor.xml(start, "a character that XML does not allow"));
        }
        attributes.push((AsRef::<str>::as_ref(&attribute.key).to_owned(), value.into_owned()));
    }
    let name = AsRef::<str>::as_ref(&tag.name()).to_owned();
    Ok(Element { name, at: cursor.position(start), attributes, ..Element::default() })
}

fn reference(reference: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    if reference.is_char_ref() {
        let resolved = reference.resolve_char_ref().ok().flatten()?;
        return is_xml_char(resolved).then(|| resolved.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(reference).map(str::to_owned)
}

/// Writes an element as text. `None` where it holds what XML cannot.
pub(crate) fn write(element: &Element) -> Option<String> {
    let mut out = String::new();
    write_into(&mut out, element)?;
    Some(out)
}

/// The depth is that of the document, which its maker bounds.
fn write_into(out: &mut String, element: &Element) -> Option<()> {
    out.push('<');
    out.push_str(&element.name);
    for (name, value) in &element.attributes {
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        escape(out, value)?;
        out.push('"');
    }
    if element.children.is_empty() && element.text.is_empty() {
        out.push_str("/>");
        return Some(());
    }
    out.push('>');
    escape(out, &element.text)?;
    for child in &element.children {
        write_into(out, child)?;
    }
    out.push_str("</");
    out.push_str(&element.name);
    out.push('>');
    Some(())
}

/// So that it reads back as it is, in an attribute too, where readers turn line ends into spaces.
pub(crate) fn escape(out: &mut String, text: &str) -> Option<()> {
    for it in text.chars() {
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            it if is_xml_char(it) => out.push(it),
            _ => return None,
        }
    }
    Some(())
}

/// What XML 1.0 lets a document hold.
pub(crate) fn is_xml_char(it: char) -> bool {
    matches!(it, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Elements that are open, the innermost last.
#[derive(Default)]
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
}

impl Builder {
    fn open(&mut self, element: Element) -> Result<(), FetchXmlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(FetchXmlError::TooDeep);
        }
        if self.open.is_empty() && self.root.is_some() {
            let message = "there is more than one root element".to_owned();
            return Err(FetchXmlError::Xml { at: element.at, message });
        }
        self.open.push(element);
        Ok(())
    }

    /// The reader has checked that the names of both tags are the same.
    fn close(&mut self) {
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), &'static str> {
        match self.open.last_mut() {
            Some(element) => {
                element.text.push_str(text);
                Ok(())
            }
            None if text.trim().is_empty() => Ok(()),
            None => Err("there is text outside of the root element"),
        }
    }

    fn finish(self) -> Result<Element, &'static str> {
        if !self.open.is_empty() {
            return Err("the document ends within an element");
        }
        self.root.ok_or("the root element is missing")
    }
}

/// Turns offsets into positions; they are asked for in ascending order, so each byte is passed once.
struct Cursor<'a> {
    text: &'a str,
    offset: usize,
    position: Position,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, offset: 0, position: Position { line: 1, column: 1 } }
    }

    fn position(&mut self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        for it in self.text.get(self.offset..offset).unwrap_or_default().chars() {
            if it == '\n' {
                self.position = Position { line: self.position.line + 1, column: 1 };
            } else {
                self.position.column += 1;
            }
        }
        self.offset = self.offset.max(offset);
        self.position
    }

    fn xml(&mut self, offset: usize, message: &str) -> FetchXmlError {
        FetchXmlError::Xml { at: self.position(offset), message: message.to_owned() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, position {}", self.line, self.column)
    }
}
