//! From a folder, or from text, to a model: everything is read, and everything wrong is told at once.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::check;
use crate::entity::Model;
use crate::read::{read_entity, read_model};
use crate::toml_reader::Document;

/// A file of a model, already in memory.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Named in problems.
    pub path: &'a Path,
    /// TOML.
    pub text: &'a str,
}

/// A model that cannot be used, and all the reasons why.
#[derive(Debug, thiserror::Error)]
pub struct LoadError {
    /// At least one; by file, then by line.
    pub problems: Vec<Problem>,
}

/// One mistake in a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub file: PathBuf,
    /// Counted from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// What is wrong.
    pub reason: String,
}

/// Reads the model in `dir`: `model.toml` and every `entities/*.toml`.
///
/// # Errors
///
/// Every mistake in every file, or that a file cannot be read.
pub fn load(dir: &Path) -> Result<Model, LoadError> {
    let mut unreadable = Vec::new();
    let mut read = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) => Some((path, text)),
        Err(error) => {
            unreadable.push(Problem { file: path, line: 0, reason: error.to_string() });
            None
        }
    };
    let settings = read(dir.join("model.toml"));
    let entities_dir = dir.join("entities");
    let entities: Vec<_> = match entity_files(&entities_dir) {
        Ok(paths) => paths.into_iter().filter_map(read).collect(),
        Err(error) => {
            let reason = error.to_string();
            unreadable.push(Problem { file: entities_dir, line: 0, reason });
            Vec::new()
        }
    };
    let Some((path, text)) = settings.as_ref().filter(|_| unreadable.is_empty()) else {
        return Err(LoadError { problems: unreadable });
    };
    let files: Vec<_> = entities.iter().map(|(path, text)| File { path, text }).collect();
    parse(File { path, text }, &files)
}

/// In order of their names, so that mistakes come in the same order everywhere. A model without
/// entities needs no folder.
fn entity_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(paths),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Makes a model of files that are already in memory.
///
/// # Errors
///
/// Every mistake in every file.
pub fn parse(model: File<'_>, entities: &[File<'_>]) -> Result<Model, LoadError> {
    let settings_file = Document::new(model.path, model.text);
    let files: Vec<_> = entities.iter().map(|it| Document::new(it.path, it.text)).collect();

    let settings = read_model(&settings_file);
    let drafts: Vec<_> = files.iter().map(|it| read_entity(it, &settings)).collect();
    check::across(&settings_file, &settings, &files, &drafts);

    let documents = std::iter::once(settings_file).chain(files);
    let problems: Vec<_> = documents.flat_map(Document::into_problems).collect();
    if !problems.is_empty() {
        return Err(LoadError { problems });
    }
    let mut entities: Vec<_> = drafts.into_iter().map(|it| it.entity).collect();
    entities.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Model { entities, ..settings.model })
}

/// Makes a model of text that a program carries within itself. `label` names its files in problems.
///
/// # Errors
///
/// Every mistake in every file.
pub fn parse_entities(
    label: &str,
    model: &str,
    entities: &[(&str, &str)],
) -> Result<Model, LoadError> {
    let root = Path::new(label);
    let model_path = root.join("model.toml");
    let paths: Vec<_> = entities.iter().map(|(name, _)| root.join("entities").join(name)).collect();
    let texts = entities.iter().map(|(_, text)| *text);
    let files: Vec<_> = paths.iter().zip(texts).map(|(path, text)| File { path, text }).collect();
    parse(File { path: &model_path, text: model }, &files)
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        write!(f, " {}", self.reason)
    }
}
