//! The issuer's files in the data directory, in `issuer/`: `key.pem`, `issuer.json`, `password` (the
//! development password of every user) and `client-secret.key` (of which each application's secret
//! is made). All are their owner's alone.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::EncodingKey;

use super::Description;
use super::codes;

const DIRECTORY: &str = "issuer";
const KEY_FILE: &str = "key.pem";
const DESCRIPTION_FILE: &str = "issuer.json";
const PASSWORD_FILE: &str = "password";
const SECRET_FILE: &str = "client-secret.key";
const OWNER_ONLY: u32 = 0o600;
const PEM_LINE: usize = 64;

/// The issuer's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file's content is not what was written.
    #[error("{} is damaged ({reason}); remove it and run `tombolo dev`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// The system's random source failed.
    #[error("could not generate a key")]
    Generate,
}

/// The key, made if there is none.
pub(super) fn open_key(data_dir: &Path) -> Result<EncodingKey, StoreError> {
    let directory = data_dir.join(DIRECTORY);
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(at(&directory))?;
    if let Some(key) = read_key(data_dir)? {
        let path = directory.join(KEY_FILE);
        fs::set_permissions(&path, Permissions::from_mode(OWNER_ONLY)).map_err(at(&path))?;
        return Ok(key);
    }
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| StoreError::Generate)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| StoreError::Generate)?;
    let pem = pem(der.as_ref());
    write(&directory.join(KEY_FILE), pem.as_bytes())?;
    EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|error| bad_key(data_dir, &error))
}

pub(super) fn read_key(data_dir: &Path) -> Result<Option<EncodingKey>, StoreError> {
    let Some(pem) = read(&data_dir.join(DIRECTORY).join(KEY_FILE))? else { return Ok(None) };
    EncodingKey::from_rsa_pem(&pem).map(Some).map_err(|error| bad_key(data_dir, &error))
}

/// The development password, made if there is none. Whoever sets another one may end it with a
/// line feed.
pub(super) fn open_password(data_dir: &Path) -> Result<String, StoreError> {
    open_secret(data_dir, PASSWORD_FILE)
}

/// What the applications' secrets are made of.
pub(super) fn open_client_secret_key(data_dir: &Path) -> Result<String, StoreError> {
    open_secret(data_dir, SECRET_FILE)
}

fn open_secret(data_dir: &Path, file: &str) -> Result<String, StoreError> {
    let path = data_dir.join(DIRECTORY).join(file);
    let Some(content) = read(&path)? else {
        let secret = codes::random().ok_or(StoreError::Generate)?;
        write(&path, format!("{secret}\n").as_bytes())?;
        return Ok(secret);
    };
    fs::set_permissions(&path, Permissions::from_mode(OWNER_ONLY)).map_err(at(&path))?;
    let text = String::from_utf8(content).map_err(|error| damaged(path.clone(), &error))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    // An empty one would let everybody in.
    if secret.is_empty() { Err(damaged(path, &"it is empty")) } else { Ok(secret.to_owned()) }
}

pub(super) fn bad_key(data_dir: &Path, reason: &impl ToString) -> StoreError {
    damaged(data_dir.join(DIRECTORY).join(KEY_FILE), reason)
}

pub(super) fn write_description(data_dir: &Path, it: &Description) -> Result<(), StoreError> {
    let path = data_dir.join(DIRECTORY).join(DESCRIPTION_FILE);
    let text = serde_json::to_vec_pretty(it).map_err(|error| damaged(path.clone(), &error))?;
    write(&path, &text)
}

pub(super) fn read_description(data_dir: &Path) -> Result<Option<Description>, StoreError> {
    let path = data_dir.join(DIRECTORY).join(DESCRIPTION_FILE);
    let Some(text) = read(&path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| damaged(path, &error))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// All of it or nothing: `tombolo token` may read at the same moment.
fn write(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    let written = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(OWNER_ONLY);
        let mut file = options.open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    written().map_err(at(path))
}

fn pem(der: &[u8]) -> String {
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    let text = STANDARD.encode(der);
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_at_checked(PEM_LINE) {
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        pem.push_str(rest);
        pem.push('\n');
    }
    pem + "-----END PRIVATE KEY-----\n"
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}

fn damaged(path: PathBuf, reason: &impl ToString) -> StoreError {
    StoreError::Damaged { path, reason: reason.to_string() }
}
