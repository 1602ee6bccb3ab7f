//! The certificate of a `tombolo dev` that other machines reach: made at first use, signed by itself.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use rpc::Listener;
use rpc::tls::{ServerTls, ServerTlsFiles};
use rustls::pki_types::ServerName;

use crate::home::Home;
use crate::keys_command::write_private;

/// In the data directory; what clients have to trust.
pub(crate) const CERTIFICATE_FILE: &str = "certificate.pem";
const KEY_FILE: &str = "certificate.key";

/// Listens at an address, under TLS if other machines reach it.
pub(crate) async fn listen(address: SocketAddr, tls: Option<&ServerTls>) -> Result<Listener> {
    Ok(Listener::bind(address, tls.filter(|_| is_reached(address)).cloned()).await?)
}

/// TLS for listeners at these addresses, if other machines reach any of them.
pub(crate) fn tls_for(home: &Home, addresses: &[SocketAddr]) -> Result<Option<ServerTls>> {
    let addresses: Vec<SocketAddr> =
        addresses.iter().copied().filter(|it| is_reached(*it)).collect();
    if addresses.is_empty() {
        return Ok(None);
    }
    let certificate_file = home.dir().join(CERTIFICATE_FILE);
    let key_file = home.dir().join(KEY_FILE);
    let names = names(&addresses);
    let named = names.iter().all(|it| rpc::tls::is_for(&certificate_file, it));
    if !(named && key_file.exists()) {
        let made = rcgen::generate_simple_self_signed(names)?;
        match fs::remove_file(&key_file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("cannot replace {}", key_file.display()));
            }
            Ok(()) | Err(_) => {}
        }
        write_private(&key_file, made.signing_key.serialize_pem().as_bytes())?;
        fs::write(&certificate_file, made.cert.pem())
            .with_context(|| format!("cannot write {}", certificate_file.display()))?;
    }
    Ok(Some(ServerTls::open(ServerTlsFiles { certificate_file, key_file })?))
}

fn is_reached(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// What clients may call this machine.
fn names(addresses: &[SocketAddr]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let given = addresses.iter().map(|it| it.ip().to_canonical());
    names.extend(given.filter(|it| !it.is_unspecified()).map(|it| it.to_string()));
    let machine = rustix::system::uname();
    let name = machine.nodename().to_str().ok().map(str::to_ascii_lowercase);
    // Some machines have names that no certificate can say.
    names.extend(name.filter(|it| ServerName::try_from(it.as_str()).is_ok()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_certificate_is_made_once_for_addresses_that_are_reached() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let loopback = [address("127.0.0.1:0"), address("[::1]:0")];
        assert!(tls_for(&home, &loopback).unwrap().is_none());
        let file = home.dir().join(CERTIFICATE_FILE);
        assert!(!file.exists());

        let tls = tls_for(&home, &[address("0.0.0.0:0"), loopback[0]]).unwrap();
        let key = home.dir().join(KEY_FILE);
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let made = fs::read(&file).unwrap();
        tls_for(&home, &[address("0.0.0.0:0")]).unwrap();
        assert_eq!(fs::read(&file).unwrap(), made, "kept");
        tls_for(&home, &[address("192.0.2.1:0")]).unwrap();
        assert!(rpc::tls::is_for(&file, "192.0.2.1"), "made anew for an address that it lacked");

        let outside = listen(address("0.0.0.0:0"), tls.as_ref()).await.unwrap();
        let inside = listen(loopback[0], tls.as_ref()).await.unwrap();
        assert_eq!((outside.scheme(), inside.scheme()), ("https", "http"));
    }
}
