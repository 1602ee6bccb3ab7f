//! Listeners that clients from other machines reach.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use proto::user_context::v1::ResolveCallerRequest;
use proto::user_context::v1::user_context_service_client::UserContextServiceClient;
use rpc::tls::{ServerTls, ServerTlsFiles};
use rpc::{Environment, ListenError, Listener};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Code;

use crate::certificates::{Authority, Files};
use crate::world::{Calls, Served, loopback, soon, verifier};

fn tls(files: &Files) -> ServerTls {
    let all = files.mutual();
    let (certificate_file, key_file) = (all.certificate_file, all.key_file);
    ServerTls::open(ServerTlsFiles { certificate_file, key_file }).unwrap()
}

async fn served(files: &Files) -> Served {
    let listener = Listener::bind(loopback(), Some(tls(files))).await.unwrap();
    let server = Environment::generate().server("user-context", verifier());
    Served::start(Calls::default(), server, listener).await
}

/// A connection to `localhost` that shows no certificate.
pub(crate) async fn tls_client(
    address: SocketAddr,
    authority: &str,
    protocol: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

#[tokio::test]
async fn an_address_that_leaves_the_machine_needs_tls() {
    let files = Authority::new().files(&["localhost"]);
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let refused = Listener::bind(address.parse().unwrap(), None).await.err();
        assert!(matches!(refused, Some(ListenError::Exposed(_))), "{address}: {refused:?}");
    }
    for address in ["127.0.0.1:0", "127.1.2.3:0", "[::ffff:127.0.0.1]:0"] {
        Listener::bind(address.parse().unwrap(), None).await.unwrap();
    }
    let listener = Listener::bind("0.0.0.0:0".parse().unwrap(), Some(tls(&files))).await.unwrap();
    assert_eq!(listener.scheme(), "https");
}

#[tokio::test]
async fn clients_choose_http_2_or_1() {
    let authority = Authority::new();
    let served = served(&authority.files(&["localhost"])).await;
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let stream = tls_client(served.address, &authority.pem(), protocol).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    }
    assert!(tls_client(served.address, &authority.pem(), b"spdy/1").await.is_err());
    assert!(tls_client(served.address, &Authority::new().pem(), b"h2").await.is_err());
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_reaches_the_service() {
    let authority = Authority::new();
    let files = authority.files(&["localhost"]);
    let served = served(&files).await;
    let address = format!("https://localhost:{}", served.address.port());
    let channel = rpc::tls::trusting(&address, &files.mutual().authority_file).unwrap();
    let mut client = UserContextServiceClient::new(channel);
    let status = soon(client.resolve_caller(ResolveCallerRequest::default())).await.unwrap_err();
    assert_eq!(
        status.code(),
        Code::Unauthenticated,
        "it answers, and asks for a token: {status:?}"
    );
    assert!(rpc::tls::trusting(&address, &files.mutual().key_file).is_err());
}

#[tokio::test]
async fn versions_of_tls_before_1_2_are_refused() {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const PROTOCOL_VERSION: u8 = 70;
    let served = served(&Authority::new().files(&["localhost"])).await;
    for minor in [0, 1, 2] {
        let answer = answer_to(&served, minor).await;
        assert_eq!((answer[0], answer[6]), (ALERT, PROTOCOL_VERSION), "3.{minor}");
    }
    assert_eq!(answer_to(&served, 3).await[0], HANDSHAKE, "the same of TLS 1.2");
}

/// The beginning of what the server says to a client of version `3.minor`.
async fn answer_to(served: &Served, minor: u8) -> [u8; 7] {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(&client_hello(minor)).await.unwrap();
    let mut answer = [0; 7];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    answer
}

/// Of SSL 3 (3.0), TLS 1.0 (3.1), TLS 1.1 (3.2) or TLS 1.2 (3.3).
fn client_hello(minor: u8) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    // No session; TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 and …_CBC_SHA; no compression.
    hello.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x09, 1, 0]);
    let extensions = [
        // ecdsa_secp256r1_sha256; secp256r1; uncompressed points.
        [0, 13, 0, 4, 0, 2, 4, 3].as_slice(),
        &[0, 10, 0, 4, 0, 2, 0, 23],
        &[0, 11, 0, 2, 1, 0],
    ]
    .concat();
    hello.extend(length(&extensions));
    hello.extend(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend(length(&hello));
    handshake.extend(hello);
    let mut record = vec![22, 3, minor.min(1)];
    record.extend(length(&handshake));
    record.extend(handshake);
    record
}
