//! `tombolo keys`: a key for every service, and the file by which they know each other.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rpc::{ServiceKeySet, SigningKey};

use crate::cli::KeysArgs;

/// The public keys of all.
const SERVICES_FILE: &str = "services.json";

pub(crate) fn run(args: &KeysArgs) -> Result<()> {
    let out = &args.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let services = out.join(SERVICES_FILE);
    let mut keys = match std::fs::read_to_string(&services) {
        Ok(text) => ServiceKeySet::from_json(&text)
            .with_context(|| format!("{} is wrong", services.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => ServiceKeySet::default(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", services.display()));
        }
    };
    for service in &args.services {
        let file = out.join(format!("{service}.key"));
        ensure!(!file.exists(), "{} exists; a service keeps its key", file.display());
        let (key, document) = SigningKey::generate()?;
        keys.add(service, &key);
        write_private(&file, &document)?;
    }
    // Written aside and renamed, so that a service that starts meanwhile finds it whole.
    let draft = out.join(format!("{SERVICES_FILE}.draft"));
    std::fs::write(&draft, keys.to_json()?)
        .and_then(|()| std::fs::rename(&draft, &services))
        .with_context(|| format!("cannot write {}", services.display()))
}

/// Writes a new file that only its owner can read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    opened
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc::{ServiceIdentity, TrustedServices};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn every_service_gets_a_key_of_its_own_that_the_others_know() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("keys");
        let make = |services: &[&str]| {
            let services = services.iter().map(|it| (*it).to_owned()).collect();
            run(&KeysArgs { out: out.clone(), services })
        };
        make(&["gateway", "query"]).unwrap();
        // Another service later; the keys that are there stay.
        make(&["events"]).unwrap();
        assert!(make(&["query"]).is_err());
        let text = std::fs::read_to_string(out.join(SERVICES_FILE)).unwrap();
        let trusted = TrustedServices::of(&ServiceKeySet::from_json(&text).unwrap()).unwrap();
        for service in ["gateway", "query", "events"] {
            let file = out.join(format!("{service}.key"));
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let key = SigningKey::from_pkcs8(&std::fs::read(&file).unwrap()).unwrap();
            assert!(trusted.knows(service, &key), "{service}");
            assert!(!trusted.knows("catalog", &key), "{service}");
            assert_eq!(ServiceIdentity::new(service, key).name(), service);
        }
    }
}
