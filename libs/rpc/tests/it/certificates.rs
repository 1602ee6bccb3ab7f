//! An authority and what it issues, as files.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rpc::tls::MutualTlsFiles;
use tempfile::TempDir;

/// Issues certificates to services.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The files of one service.
pub(crate) struct Files {
    directory: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The certificate and the key of somebody with these names.
    pub(crate) fn issue(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn files(&self, names: &[&str]) -> Files {
        let files = Files { directory: tempfile::tempdir().unwrap() };
        files.write_authority(&self.pem());
        files.write(&self.issue(names));
        files
    }
}

impl Files {
    pub(crate) fn mutual(&self) -> MutualTlsFiles {
        MutualTlsFiles {
            certificate_file: self.path().join("certificate.pem"),
            key_file: self.path().join("key.pem"),
            authority_file: self.path().join("authority.pem"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, (certificate, key): &(String, String)) {
        self.replace("certificate.pem", certificate);
        self.replace("key.pem", key);
    }

    pub(crate) fn write_authority(&self, pem: &str) {
        self.replace("authority.pem", pem);
    }

    /// Written aside and renamed, as certificates are rotated.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let draft = self.path().join("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, self.path().join(name)).unwrap();
    }
}
