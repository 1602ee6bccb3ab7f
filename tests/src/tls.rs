//! HTTPS in front of a server, for clients that accept nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use rcgen::generate_simple_self_signed;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Takes TLS connections and hands on what they say.
#[derive(Debug)]
pub struct Terminator {
    url: String,
    directory: TempDir,
    server: JoinHandle<()>,
}

impl Terminator {
    /// In front of `HOST:PORT`, with a certificate of its own.
    pub async fn start(target: &str) -> Result<Self> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certified = generate_simple_self_signed(names)?;
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("certificate.pem"), certified.cert.pem())?;
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der());
        let key = key.map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        ensure!(!target.contains('/'), "{target} is no address");
        let target = target.to_owned();
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(hand_on(acceptor.clone(), client, target.clone()));
            }
        });
        Ok(Self { url, directory, server })
    }

    /// `https://localhost:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file of the certificate to trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        let directory: &Path = self.directory.path();
        directory.join("certificate.pem")
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn hand_on(acceptor: TlsAcceptor, client: TcpStream, target: String) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    if let Ok(mut server) = TcpStream::connect(target).await {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
