//! The add-ins that there are: one file each, in the program and in a directory of the operator. All of them are
//! checked when the service starts, so a wrong one is found before anybody installs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rust_embed::Embed;
use serde::Deserialize;

use super::parameters::{InvalidSchema, Schema};
use super::version::Version;

#[derive(Embed)]
#[folder = "add-ins"]
struct BuiltIn;

/// Something that can be installed.
#[derive(Debug)]
pub(crate) struct AddIn {
    pub(crate) file: File,
    pub(crate) schema: Schema,
    /// Absent: any.
    pub(crate) minimum_version: Option<Version>,
}

/// As an add-in's file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// `data-export`.
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) publisher: String,
    pub(crate) version: String,
    pub(crate) terms_url: String,
    /// Of finance and operations; empty: any.
    #[serde(default)]
    pub(crate) minimum_version: String,
    /// Empty: all.
    #[serde(default)]
    pub(crate) regions: Vec<String>,
    #[serde(default)]
    pub(crate) requires_dual_write: bool,
    #[serde(default)]
    pub(crate) required_add_ins: Vec<String>,
    /// JSON Schema, as a text.
    pub(crate) parameter_schema: String,
}

/// Every add-in, by name.
#[derive(Debug)]
pub(crate) struct Catalogue(BTreeMap<String, AddIn>);

/// Why the catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueError {
    /// The directory, or a file in it, cannot be read.
    #[error("add-ins in {}: {source}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is not as it should be.
    #[error("add-in {file}: {source}")]
    Malformed {
        /// Its name.
        file: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A name that cannot be one.
    #[error("add-in {file}: `{name}` is no name; expected lower case letters, digits and hyphens")]
    Name {
        /// Of the file.
        file: String,
        /// Of the add-in.
        name: String,
    },
    /// Two files about the same.
    #[error("add-in {file}: there is another `{name}`")]
    Twice {
        /// Of the second file.
        file: String,
        /// Of the add-in.
        name: String,
    },
    /// A version that cannot be compared.
    #[error("add-in {file}: `{version}` is no version")]
    Version {
        /// Of the file.
        file: String,
        /// As it says it.
        version: String,
    },
    /// A schema that is none.
    #[error("add-in {file}: `parameter_schema`: {source}")]
    Schema {
        /// Of the file.
        file: String,
        /// Why not.
        source: InvalidSchema,
    },
    /// One requires what there is not, or itself.
    #[error("add-in `{name}` requires `{required}`, {why}")]
    Requirement {
        /// Of the add-in.
        name: String,
        /// What it requires.
        required: String,
        /// What is wrong with that.
        why: &'static str,
    },
}

impl Catalogue {
    /// What comes with the program, and the operator's own.
    pub(crate) fn load(directory: Option<&Path>) -> Result<Self, CatalogueError> {
        let built_in = BuiltIn::iter().filter_map(|name| {
            let content = BuiltIn::get(&name)?;
            Some((name.into_owned(), String::from_utf8_lossy(&content.data).into_owned()))
        });
        let mut files: Vec<_> = built_in.collect();
        if let Some(directory) = directory {
            files.extend(read(directory)?);
        }
        Self::of(files)
    }

    fn of(files: Vec<(String, String)>) -> Result<Self, CatalogueError> {
        let mut add_ins = BTreeMap::new();
        for (file, text) in files {
            let add_in = AddIn::parse(&file, &text)?;
            let name = add_in.file.name.clone();
            if add_ins.insert(name.clone(), add_in).is_some() {
                return Err(CatalogueError::Twice { file, name });
            }
        }
        let catalogue = Self(add_ins);
        catalogue.0.keys().try_for_each(|it| catalogue.check_required(it, it, 0))?;
        Ok(catalogue)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&AddIn> {
        self.0.get(name)
    }

    /// By name, those after `name`.
    pub(crate) fn after<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a AddIn> + use<'a> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.0.range::<str, _>((Excluded(name), Unbounded)).map(|it| it.1)
    }

    /// That everything `name` requires, and what that requires, is there and is not `first`.
    fn check_required(&self, first: &str, name: &str, depth: usize) -> Result<(), CatalogueError> {
        let required = self.get(name).map(|it| it.file.required_add_ins.as_slice());
        for required in required.unwrap_or_default() {
            let wrong = |why| CatalogueError::Requirement {
                name: name.to_owned(),
                required: required.clone(),
                why,
            };
            if self.get(required).is_none() {
                return Err(wrong("which there is not"));
            }
            if required == first || depth > self.0.len() {
                return Err(wrong("which requires it"));
            }
            self.check_required(first, required, depth + 1)?;
        }
        Ok(())
    }
}

impl AddIn {
    fn parse(file: &str, text: &str) -> Result<Self, CatalogueError> {
        let owned = || file.to_owned();
        let content: File = toml::from_str(text)
            .map_err(|it| CatalogueError::Malformed { file: owned(), source: Box::new(it) })?;
        if !is_name(&content.name) {
            return Err(CatalogueError::Name { file: owned(), name: content.name });
        }
        let version = |text: &str| {
            let wrong = || CatalogueError::Version { file: owned(), version: text.to_owned() };
            Version::parse(text).ok_or_else(wrong)
        };
        version(&content.version)?;
        let minimum_version = match content.minimum_version.as_str() {
            "" => None,
            text => Some(version(text)?),
        };
        let schema = Schema::parse(&content.parameter_schema)
            .map_err(|source| CatalogueError::Schema { file: owned(), source })?;
        Ok(Self { file: content, schema, minimum_version })
    }
}

/// The files of a directory, by name.
fn read(directory: &Path) -> Result<Vec<(String, String)>, CatalogueError> {
    let wrong = |path: &Path, source| CatalogueError::Read { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|it| wrong(directory, it))? {
        let path = entry.map_err(|it| wrong(directory, it))?.path();
        if path.extension().is_some_and(|it| it == "toml") {
            let text = std::fs::read_to_string(&path).map_err(|it| wrong(&path, it))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a text can be the last part of a resource's name.
fn is_name(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(fits) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, more: &str) -> (String, String) {
        let text = format!(
            "name = \"{name}\"\ndisplay_name = \"It\"\ndescription = \"Does.\"\npublisher = \"We\"\n\
             version = \"1.2.0\"\nterms_url = \"https://example.com\"\n\
             parameter_schema = '{{\"type\": \"object\"}}'\n{more}"
        );
        (format!("{name}.toml"), text)
    }

    fn fault(files: Vec<(String, String)>) -> String {
        Catalogue::of(files).unwrap_err().to_string()
    }

    #[test]
    fn what_comes_with_the_program_is_right() {
        let catalogue = Catalogue::load(None).unwrap();
        assert!(catalogue.get("data-export").is_some());
        for (name, add_in) in &catalogue.0 {
            assert_eq!(name, &add_in.file.name);
            assert!(add_in.file.terms_url.starts_with("https://"), "{name}");
        }
    }

    #[test]
    fn an_operator_adds_files_of_his_own() {
        let directory = tempfile::tempdir().unwrap();
        let (name, text) = file("own", "required_add_ins = [\"data-export\"]");
        std::fs::write(directory.path().join(name), text).unwrap();
        std::fs::write(directory.path().join("notes.txt"), "none").unwrap();
        let catalogue = Catalogue::load(Some(directory.path())).unwrap();
        assert!(catalogue.get("own").is_some());
        let after: Vec<_> = catalogue.after("data-export").map(|it| &it.file.name).collect();
        assert!(after.iter().any(|it| *it == "own") && after.iter().all(|it| *it != "data-export"));
        let missing = Catalogue::load(Some(&directory.path().join("none"))).unwrap_err();
        assert!(matches!(missing, CatalogueError::Read { .. }));
    }

    #[test]
    fn a_wrong_file_is_named_with_what_is_wrong() {
        let unknown = fault(vec![file("a", "colour = \"red\"")]);
        assert!(unknown.contains("a.toml") && unknown.contains("colour"), "{unknown}");
        assert!(fault(vec![file("A b", "")]).contains("`A b` is no name"));
        assert!(fault(vec![file("a", ""), file("a", "")]).contains("another `a`"));
        assert!(fault(vec![file("a", "minimum_version = \"ten\"")]).contains("`ten`"));
        assert!(fault(vec![file("a", "required_add_ins = [\"b\"]")]).contains("there is not"));
        let (name, text) = file("a", "");
        let text = text.replace("object", "strange");
        assert!(fault(vec![(name, text)]).contains("parameter_schema"));
    }

    #[test]
    fn no_add_in_waits_for_itself() {
        let ring = vec![
            file("a", "required_add_ins = [\"b\"]"),
            file("b", "required_add_ins = [\"c\"]"),
            file("c", "required_add_ins = [\"b\"]"),
        ];
        assert!(fault(ring).contains("which requires it"));
    }
}
