//! Maps as solution files, to carry them between environments (spec DW-28): a zip with `solution.xml`,
//! `customizations.xml` and one JSON file for each map version.

use std::io::{Cursor, Read as _, Write as _};

use proto::dual_write::v1 as pb;
use quick_xml::Reader;
use quick_xml::events::Event;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::file::{FileError, MapFile};
use super::validate::is_version;

/// The largest file.
pub(crate) const MAX_SIZE: usize = 4 << 20;
/// The most that it may become, once it is decompressed.
const MAX_CONTENT: u64 = 32 << 20;
const MAX_ENTRIES: usize = 2_000;
const MAX_ID: usize = 63;
const FOLDER: &str = "dualwriteentitymaps/";
const MANIFEST: &str = "solution.xml";
const CONTENT_TYPES: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/octet-stream"/><Default Extension="json" ContentType="application/octet-stream"/></Types>
"#;

/// Map versions of one publisher.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Solution {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) publisher: String,
    /// Recipients cannot change it.
    pub(crate) managed: bool,
    /// Solutions that have to be there, in at least this version.
    pub(crate) requires: Vec<pb::SolutionRequirement>,
    pub(crate) maps: Vec<(pb::TableMap, pb::MapVersion)>,
}

/// Why a file is no solution, or maps make none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SolutionError {
    #[error("the file is larger than 4 MiB")]
    TooLarge,
    #[error("the file holds more than 32 MiB or 2,000 parts")]
    TooMuch,
    #[error("the file is no solution: {0}")]
    Malformed(String),
    #[error("`{part}`: {cause}")]
    Map { part: String, cause: FileError },
    #[error("the maps are of several publishers; a solution has one")]
    Publishers,
    #[error("the solution has no maps")]
    Empty,
}

impl Solution {
    /// # Errors
    ///
    /// When there are no maps, or not all are of the solution's publisher, or they are too many.
    pub(crate) fn write(&self) -> Result<Vec<u8>, SolutionError> {
        if self.maps.is_empty() {
            return Err(SolutionError::Empty);
        }
        if self.maps.iter().any(|(_, it)| it.publisher != self.publisher) {
            return Err(SolutionError::Publishers);
        }
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        let mut put = |name: &str, content: &[u8]| -> Result<(), SolutionError> {
            zip.start_file(name, options).map_err(malformed)?;
            zip.write_all(content).map_err(malformed)
        };
        put("[Content_Types].xml", CONTENT_TYPES.as_bytes())?;
        put(MANIFEST, self.manifest().as_bytes())?;
        put("customizations.xml", b"<ImportExportXml><Entities/></ImportExportXml>\n")?;
        for (map, version) in &self.maps {
            let id = map.name.strip_prefix("maps/").unwrap_or(&map.name);
            let file = MapFile::of(map, version);
            let content = serde_json::to_vec_pretty(&file).map_err(malformed)?;
            put(&format!("{FOLDER}{id}/{}.json", version.version), &content)?;
        }
        let content = zip.finish().map_err(malformed)?.into_inner();
        if content.len() > MAX_SIZE { Err(SolutionError::TooLarge) } else { Ok(content) }
    }

    /// # Errors
    ///
    /// When the bytes are no solution, or too many.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, SolutionError> {
        if bytes.len() > MAX_SIZE {
            return Err(SolutionError::TooLarge);
        }
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(malformed)?;
        if zip.len() > MAX_ENTRIES {
            return Err(SolutionError::TooMuch);
        }
        let mut left = MAX_CONTENT;
        let mut manifest = None;
        let mut parts = Vec::new();
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).map_err(malformed)?;
            let name = entry.name().map_err(malformed)?.into_owned();
            let is_map = name.starts_with(FOLDER) && name.ends_with(".json");
            if name != MANIFEST && !is_map {
                continue;
            }
            let mut content = Vec::new();
            let read = entry.by_ref().take(left + 1).read_to_end(&mut content);
            let size = u64::try_from(read.map_err(malformed)?).unwrap_or(u64::MAX);
            left = left.checked_sub(size).ok_or(SolutionError::TooMuch)?;
            if name == MANIFEST {
                manifest = Some(content);
            } else {
                parts.push((name, content));
            }
        }
        let manifest = manifest.ok_or_else(|| malformed("there is no solution.xml"))?;
        let mut solution = Self::of_manifest(&manifest)?;
        for (part, content) in parts {
            let map = solution.map(&part, &content);
            let map = map.map_err(|cause| SolutionError::Map { part, cause })?;
            solution.maps.push(map);
        }
        if solution.maps.is_empty() { Err(SolutionError::Empty) } else { Ok(solution) }
    }

    fn map(&self, part: &str, content: &[u8]) -> Result<(pb::TableMap, pb::MapVersion), FileError> {
        let path = part.strip_prefix(FOLDER).and_then(|it| it.strip_suffix(".json"));
        let (id, version) = path.and_then(|it| it.split_once('/')).unwrap_or_default();
        if !is_id(id) || !is_version(version) {
            let reason = "it is not named by a map and a version of four numbers";
            return Err(FileError::Syntax(reason.to_owned()));
        }
        let file: MapFile =
            serde_json::from_slice(content).map_err(|it| FileError::Syntax(it.to_string()))?;
        file.read(id, version, &self.publisher)
    }

    fn manifest(&self) -> String {
        let escape = |it: &str| quick_xml::escape::escape(it.to_owned()).into_owned();
        let (name, version) = (escape(&self.name), escape(&self.version));
        let publisher = escape(&self.publisher);
        let managed = u8::from(self.managed);
        let requires: String = self
            .requires
            .iter()
            .map(|pb::SolutionRequirement { solution_name, version }| {
                let solution = escape(&format!("{solution_name} ({version})"));
                format!(
                    "<MissingDependency><Required solution=\"{solution}\"/></MissingDependency>"
                )
            })
            .collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<ImportExportXml><SolutionManifest>\
             <UniqueName>{name}</UniqueName><Version>{version}</Version><Managed>{managed}</Managed>\
             <Publisher><UniqueName>{publisher}</UniqueName></Publisher>\
             <MissingDependencies>{requires}</MissingDependencies>\
             </SolutionManifest></ImportExportXml>\n"
        )
    }

    fn of_manifest(manifest: &[u8]) -> Result<Self, SolutionError> {
        let mut it = Self {
            name: String::new(),
            version: String::new(),
            publisher: String::new(),
            managed: false,
            requires: Vec::new(),
            maps: Vec::new(),
        };
        let text = std::str::from_utf8(manifest).map_err(malformed)?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut path: Vec<String> = Vec::new();
        loop {
            match reader.read_event().map_err(malformed)? {
                Event::Start(tag) => {
                    it.requirement(&tag)?;
                    path.push(tag.local_name().as_ref().to_owned());
                }
                Event::Empty(tag) => it.requirement(&tag)?,
                Event::End(_) => {
                    path.pop();
                }
                Event::Text(text) => {
                    it.told(&path, &text);
                }
                Event::GeneralRef(reference) => {
                    let name: &str = &reference;
                    let text = quick_xml::escape::unescape(&format!("&{name};"))
                        .map_err(malformed)?
                        .into_owned();
                    it.told(&path, &text);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        for part in [&mut it.name, &mut it.version, &mut it.publisher] {
            *part = part.trim().to_owned();
        }
        if it.name.is_empty() || it.publisher.is_empty() || !is_version(&it.version) {
            return Err(malformed("solution.xml lacks a name, a version or a publisher"));
        }
        Ok(it)
    }

    fn told(&mut self, path: &[String], text: &str) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            [.., "SolutionManifest", "UniqueName"] => self.name.push_str(text),
            [.., "SolutionManifest", "Version"] => self.version.push_str(text),
            [.., "SolutionManifest", "Managed"] => self.managed = text.trim() != "0",
            [.., "SolutionManifest", "Publisher", "UniqueName"] => self.publisher.push_str(text),
            _ => {}
        }
    }

    /// `<Required solution="Name (1.0.0.0)"/>`
    fn requirement(
        &mut self,
        tag: &quick_xml::events::BytesStart<'_>,
    ) -> Result<(), SolutionError> {
        if tag.local_name().as_ref() != "Required" {
            return Ok(());
        }
        let Some(solution) = tag.try_get_attribute("solution").map_err(malformed)? else {
            return Ok(());
        };
        let value = quick_xml::escape::unescape(&solution.value).map_err(malformed)?;
        if let Some((name, version)) = value.strip_suffix(')').and_then(|it| it.rsplit_once(" ("))
            && is_version(version)
        {
            let (solution_name, version) = (name.to_owned(), version.to_owned());
            self.requires.push(pb::SolutionRequirement { solution_name, version });
        }
        Ok(())
    }
}

/// Last part of a map's name.
fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_ID
        && id.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
}

fn malformed(cause: impl ToString) -> SolutionError {
    SolutionError::Malformed(cause.to_string())
}
