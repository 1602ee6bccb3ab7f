//! Services that prove themselves with certificates.

use std::sync::Arc;

use proto::user_context::v1::WatchTrustRequest;
use rpc::tls::{MutualTls, MutualTlsFiles, ServerTls, ServerTlsFiles};
use rpc::{Channel, Environment, ErrorReason, Listener, Server, ServiceIdentity, TrustedServices};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;

use crate::certificates::{Authority, Files};
use crate::outside::tls_client;
use crate::world::{Calls, Client, Served, loopback, refused, resolve, soon, verifier};

const CALLEE: [&str; 3] = ["user-context.tombolo.svc", "localhost", "127.0.0.1"];

async fn served(files: &Files) -> Served {
    let tls = MutualTls::open(&files.mutual()).unwrap();
    let listener = Listener::bind(loopback(), Some(tls.server())).await.unwrap();
    let server = Server::new("user-context", Arc::new(TrustedServices::none()), verifier());
    Served::start(Calls::default(), server, listener).await
}

fn identity(name: &str, files: &Files) -> ServiceIdentity {
    ServiceIdentity::certified(name, MutualTls::open(&files.mutual()).unwrap())
}

fn client(served: &Served, name: &str, files: &Files) -> Client {
    let address = format!("https://localhost:{}", served.address.port());
    Client::new(Channel::tcp(&address, "user-context", &identity(name, files)).unwrap())
}

/// Not because of what the service says, but because there is no connection.
async fn not_connected(mut client: Client, why: &str) {
    let status = resolve(&mut client).await.expect_err(why);
    assert_eq!(rpc::reason(&status), None, "{why}: {status:?}");
}

/// What the server says to a client that trusts it and shows no certificate.
async fn answer_to_nobody(served: &Served, authority: &Authority) -> std::io::Result<usize> {
    let mut stream = tls_client(served.address, &authority.pem(), b"h2").await?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    soon(stream.read(&mut [0; 64])).await
}

#[tokio::test]
async fn the_certificate_says_who_calls() {
    let authority = Authority::new();
    let served = served(&authority.files(&CALLEE)).await;
    let gateway = authority.files(&["gateway.tombolo.svc.cluster.local"]);
    // Whatever name it gives itself.
    let mut client = client(&served, "query", &gateway);
    resolve(&mut client).await.unwrap();
    assert_eq!(served.calls.taken(), ["gateway"]);
}

#[tokio::test]
async fn a_certificate_of_no_service_or_another_one_is_not_let_through() {
    let authority = Authority::new();
    let served = served(&authority.files(&CALLEE)).await;
    for names in [&["somebody.tombolo.svc"][..], &["gateway.svc", "query.svc"], &["127.0.0.1"]] {
        let mut client = client(&served, "gateway", &authority.files(names));
        refused(resolve(&mut client).await, Code::Unauthenticated, ErrorReason::NoServiceToken);
    }
    let mut query = client(&served, "gateway", &authority.files(&["query.tombolo.svc"]));
    refused(resolve(&mut query).await, Code::PermissionDenied, ErrorReason::ServiceDenied);
    soon(query.watch_trust(WatchTrustRequest::default())).await.unwrap();
    assert_eq!(served.calls.taken(), ["query"]);
}

#[tokio::test]
async fn without_a_certificate_of_the_authority_there_is_no_connection() {
    let authority = Authority::new();
    let served = served(&authority.files(&CALLEE)).await;
    // Trusts the server, and shows what another authority issued.
    let elsewhere = Authority::new().files(&["gateway.tombolo.svc"]);
    elsewhere.write_authority(&authority.pem());
    not_connected(client(&served, "gateway", &elsewhere), "another authority's").await;
    let impostor = Authority::new().files(&["gateway.tombolo.svc"]);
    not_connected(client(&served, "gateway", &impostor), "and does not trust the server").await;
    let services = Environment::generate();
    let plain = format!("http://{}", served.address);
    let channel = Channel::tcp(&plain, "user-context", &services.identity("gateway").unwrap());
    not_connected(Client::new(channel.unwrap()), "no TLS").await;

    let nothing_said = answer_to_nobody(&served, &authority).await;
    assert!(nothing_said.is_err(), "a client without a certificate: {nothing_said:?}");
    assert!(served.calls.taken().is_empty());
    assert!(Channel::tcp(&plain, "user-context", &identity("gateway", &elsewhere)).is_err());
}

#[tokio::test]
async fn a_server_is_known_by_its_host_name() {
    let authority = Authority::new();
    let served = served(&authority.files(&["catalog.tombolo.svc"])).await;
    let gateway = authority.files(&["gateway.tombolo.svc"]);
    not_connected(client(&served, "gateway", &gateway), "the certificate names another host").await;
    assert!(served.calls.taken().is_empty());
}

#[tokio::test]
async fn rotated_certificates_count_for_new_connections_and_old_ones_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let server = old.files(&CALLEE);
    let served = served(&server).await;
    let gateway = old.files(&["gateway.tombolo.svc"]);
    let mut before = client(&served, "gateway", &gateway);
    let mut news =
        soon(before.watch_trust(WatchTrustRequest::default())).await.unwrap().into_inner();

    // Half of a rotation: the certificate without its key. The old pair stays.
    let (certificate, key) = new.issue(&CALLEE);
    server.replace("certificate.pem", &certificate);
    resolve(&mut client(&served, "gateway", &gateway)).await.unwrap();
    server.replace("key.pem", "not a key");
    resolve(&mut client(&served, "gateway", &gateway)).await.unwrap();

    server.replace("key.pem", &key);
    server.write_authority(&new.pem());
    not_connected(client(&served, "gateway", &gateway), "its authority is not the server's").await;
    // The same channel, when its files have been rotated too, and one that began before.
    let mut late = client(&served, "gateway", &gateway);
    gateway.write(&new.issue(&["gateway.tombolo.svc"]));
    gateway.write_authority(&new.pem());
    resolve(&mut late).await.unwrap();
    resolve(&mut before).await.unwrap();
    let silent = tokio::time::timeout(std::time::Duration::from_millis(50), news.message()).await;
    assert!(silent.is_err(), "the old connection's watch ended: {silent:?}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let check = |name: &str, text: &str| {
        let files = authority.files(&CALLEE);
        files.replace(name, text);
        let error = MutualTls::open(&files.mutual()).unwrap_err().to_string();
        assert!(error.contains(".pem"), "{error}");
    };
    check("certificate.pem", "");
    check("certificate.pem", "nonsense");
    check("key.pem", "");
    check("key.pem", &authority.issue(&["another"]).1);
    check("authority.pem", "");
    check("authority.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let files = authority.files(&CALLEE);
    std::fs::remove_file(files.path().join("key.pem")).unwrap();
    assert!(MutualTls::open(&files.mutual()).is_err());
    let MutualTlsFiles { certificate_file, key_file, .. } = files.mutual();
    assert!(ServerTls::open(ServerTlsFiles { certificate_file, key_file }).is_err());
}
