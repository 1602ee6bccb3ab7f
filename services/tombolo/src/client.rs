//! How the administrator's verbs reach the system: by its public gRPC, with a token of a user.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::certificate::CERTIFICATE_FILE;
use crate::cli::ServerArgs;
use crate::exit::{Exit, Failure};
use crate::token;

/// A bearer token of whoever calls.
const TOKEN_VARIABLE: &str = "TOMBOLO_TOKEN";
/// Where Debian has them, and most others.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How long an answer is waited for; no service takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a connection is tried while nothing comes.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Entries of a page, where everything is listed.
pub(crate) const PAGE_SIZE: i32 = 1_000;

/// A channel that says who calls.
pub(crate) type Access = InterceptedService<Channel, Bearer>;

/// Puts the token into every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        request.set_timeout(PATIENCE);
        Ok(request)
    }
}

/// Connects as the arguments say.
pub(crate) async fn connect(args: &ServerArgs) -> Result<Access> {
    // In no argument, which everybody on the machine can read.
    let token = match std::env::var(TOKEN_VARIABLE) {
        Ok(token) if !token.trim().is_empty() => token.trim().to_owned(),
        _ => token::mint(&args.data, &args.user).map_err(|it| {
            Failure::of(
                Exit::NoPermission,
                format!("{it:#}; or put a bearer token into {TOKEN_VARIABLE}"),
            )
        })?,
    };
    if !["http://", "https://"].iter().any(|it| args.server.starts_with(it)) {
        let message =
            format!("--server {}: expected http://HOST:PORT or https://HOST:PORT", args.server);
        return Err(Failure::of(Exit::Usage, message));
    }
    let channel = if args.server.starts_with("https://") {
        rpc::tls::trusting(&args.server, &authority(args))?
    } else {
        let endpoint = Endpoint::from_shared(args.server.clone())
            .map_err(|it| Failure::of(Exit::Usage, format!("--server {}: {it}", args.server)))?
            .connect_timeout(PATIENCE)
            .http2_keep_alive_interval(KEEP_ALIVE);
        endpoint.connect().await.map_err(|_| {
            let server = &args.server;
            let message = format!("nothing answers at {server}; is `tombolo dev` running there?");
            Failure::of(Exit::NoAnswer, message)
        })?
    };
    as_bearer(channel, &token)
}

/// What goes through this channel goes with this token.
pub(crate) fn as_bearer(channel: Channel, token: &str) -> Result<Access> {
    let mut bearer: MetadataValue<Ascii> =
        format!("Bearer {token}").parse().ok().context("the token is no header")?;
    bearer.set_sensitive(true);
    Ok(InterceptedService::new(channel, Bearer(bearer)))
}

/// By what an https server is known.
fn authority(args: &ServerArgs) -> PathBuf {
    let own = args.data.join(CERTIFICATE_FILE);
    match &args.authority {
        Some(file) => file.clone(),
        None if own.exists() => own,
        None => PathBuf::from(SYSTEM_CERTIFICATES),
    }
}

/// What the server said, for people, with its exit code.
pub(crate) fn explain(status: Status) -> anyhow::Error {
    Failure::from(status).into()
}

/// Every entry, page by page.
pub(crate) async fn every<T>(
    mut page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Status>,
) -> Result<Vec<T>> {
    let mut entries = Vec::new();
    let mut token = String::new();
    loop {
        let (mut more, next) = page(token).await.map_err(explain)?;
        entries.append(&mut more);
        if next.is_empty() {
            return Ok(entries);
        }
        token = next;
    }
}
