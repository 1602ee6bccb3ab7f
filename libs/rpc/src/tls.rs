//! TLS 1.2 and 1.3 from certificate files, which may be replaced while the process runs: connections
//! that begin later use what is in the files by then. Start with [`MutualTls`] (between services) and
//! [`ServerTls`] (towards clients from outside).

mod peer;
mod reload;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use serde::Deserialize;

use crate::channel::ConnectError;
use reload::Reloading;

pub(crate) use peer::service_of;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The files of a server that clients from outside reach.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTlsFiles {
    /// PEM: the certificate, then those that lead to its authority.
    pub certificate_file: PathBuf,
    /// PEM: its private key.
    pub key_file: PathBuf,
}

/// The files of a service among services that all show certificates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MutualTlsFiles {
    /// PEM: the certificate, then those that lead to its authority. A DNS name of it begins with the
    /// service's name.
    pub certificate_file: PathBuf,
    /// PEM: its private key.
    pub key_file: PathBuf,
    /// PEM: the authority that issues certificates to the services of this environment, and to
    /// nobody else.
    pub authority_file: PathBuf,
}

/// Files that are no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not there, or not PEM.
    #[error("cannot read {}: {source}", file.display())]
    File {
        /// Which one.
        file: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate does not go with the key, or neither can be used.
    #[error("{} cannot be used: {source}", file.display())]
    Unusable {
        /// The certificate's file.
        file: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// No certificate in it can be an authority.
    #[error("{} is no authority: {reason}", file.display())]
    Authority {
        /// The authority's file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// The answering side of TLS.
#[derive(Clone, Debug)]
pub struct ServerTls {
    configs: Arc<Reloading<ServerConfig>>,
    peers: Peers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// Anybody.
    Anonymous,
    /// Holders of a certificate of the authority.
    Certified,
}

/// Both sides of connections between services, each with a certificate.
#[derive(Clone, Debug)]
pub struct MutualTls {
    server: ServerTls,
    client: Arc<Reloading<ClientConfig>>,
}

// === impl ServerTls ===

impl ServerTls {
    /// Reads the files, and again whenever they change.
    ///
    /// # Errors
    ///
    /// When they cannot be used.
    pub fn open(files: ServerTlsFiles) -> Result<Self, TlsError> {
        let paths = vec![files.certificate_file.clone(), files.key_file.clone()];
        let build = move || {
            let builder = builder(&files.certificate_file)?.with_no_client_auth();
            server(builder, &files.certificate_file, &files.key_file, &[HTTP2, HTTP1])
        };
        let configs = Arc::new(Reloading::new(paths, build)?);
        Ok(Self { configs, peers: Peers::Anonymous })
    }

    /// As the files are now.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.configs.current()
    }

    pub(crate) fn peers(&self) -> Peers {
        self.peers
    }
}

// === impl MutualTls ===

impl MutualTls {
    /// Reads the files, and again whenever they change.
    ///
    /// # Errors
    ///
    /// When they cannot be used.
    pub fn open(files: &MutualTlsFiles) -> Result<Self, TlsError> {
        let MutualTlsFiles { certificate_file, key_file, authority_file } = files;
        let paths = vec![certificate_file.clone(), key_file.clone(), authority_file.clone()];
        let at = files.clone();
        let accept = Reloading::new(paths.clone(), move || {
            let authority = Arc::new(authority(&at.authority_file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(authority, provider());
            let verifier = verifier.build().map_err(|error| TlsError::Authority {
                file: at.authority_file.clone(),
                reason: error.to_string(),
            })?;
            let builder = builder(&at.certificate_file)?.with_client_cert_verifier(verifier);
            server(builder, &at.certificate_file, &at.key_file, &[HTTP2])
        })?;
        let at = files.clone();
        let connect = Reloading::new(paths, move || client(&at))?;
        let server = ServerTls { configs: Arc::new(accept), peers: Peers::Certified };
        Ok(Self { server, client: Arc::new(connect) })
    }

    /// The answering side.
    #[must_use]
    pub fn server(&self) -> ServerTls {
        self.server.clone()
    }

    /// The calling side, as the files are now.
    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        self.client.current()
    }
}

/// A channel to a server from outside, `https://HOST:PORT`, whose certificate is in a file.
///
/// # Errors
///
/// When the address is malformed or the file holds no certificate.
pub fn trusting(
    address: &str,
    certificate_file: &Path,
) -> Result<tonic::transport::Channel, ConnectError> {
    let roots = authority(certificate_file)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|it| unusable(certificate_file, it))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP2.to_vec()];
    let config = Arc::new(config);
    crate::channel::connect_lazy(address, move || Arc::clone(&config))
}

/// Whether the certificate of a file is one for this host, by its DNS name or its IP address.
#[must_use]
pub fn is_for(certificate_file: &Path, host: &str) -> bool {
    let Ok(chain) = certificates(certificate_file) else { return false };
    chain.first().is_some_and(|it| peer::is_for(it, host))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// TLS 1.2 and 1.3; the library knows no older version.
fn builder(
    certificate_file: &Path,
) -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, TlsError> {
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|it| unusable(certificate_file, it))
}

fn server(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    certificate_file: &Path,
    key_file: &Path,
    protocols: &[&[u8]],
) -> Result<ServerConfig, TlsError> {
    let (chain, key) = (certificates(certificate_file)?, private_key(key_file)?);
    let mut config =
        builder.with_single_cert(chain, key).map_err(|it| unusable(certificate_file, it))?;
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    Ok(config)
}

fn client(files: &MutualTlsFiles) -> Result<ClientConfig, TlsError> {
    let (chain, key) = (certificates(&files.certificate_file)?, private_key(&files.key_file)?);
    let unusable = |it| unusable(&files.certificate_file, it);
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(authority(&files.authority_file)?)
        .with_client_auth_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(config)
}

fn authority(file: &Path) -> Result<RootCertStore, TlsError> {
    let refused = |reason: String| TlsError::Authority { file: file.to_owned(), reason };
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store.add(certificate).map_err(|it| refused(it.to_string()))?;
    }
    if store.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|source| TlsError::File { file: file.to_owned(), source })
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|source| TlsError::File { file: file.to_owned(), source })
}

fn unusable(file: &Path, source: rustls::Error) -> TlsError {
    TlsError::Unusable { file: file.to_owned(), source }
}
