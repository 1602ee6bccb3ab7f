//! How the administrator's verbs reach the system: by its public gRPC, with a token of a user.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::certificate::CERTIFICATE_FILE;
use crate::cli::ServerArgs;
use crate::token;

/// A bearer token of whoever calls.
const TOKEN_VARIABLE: &str = "TOMBOLO_TOKEN";
/// Where Debian has them, and most others.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

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
        Ok(request)
    }
}

/// Connects as the arguments say.
pub(crate) async fn connect(args: &ServerArgs) -> Result<Access> {
    // In no argument, which everybody on the machine can read.
    let token = match std::env::var(TOKEN_VARIABLE) {
        Ok(token) if !token.trim().is_empty() => token.trim().to_owned(),
        _ => token::mint(&args.data, &args.user)?,
    };
    let mut bearer: MetadataValue<Ascii> =
        format!("Bearer {token}").parse().ok().context("the token is no header")?;
    bearer.set_sensitive(true);
    let bearer = Bearer(bearer);
    let channel = if args.server.starts_with("https://") {
        rpc::tls::trusting(&args.server, &authority(args))?
    } else {
        let endpoint = Endpoint::from_shared(args.server.clone())?;
        endpoint.connect().await.with_context(|| {
            format!("nothing answers at {}; is `tombolo dev` running there?", args.server)
        })?
    };
    Ok(InterceptedService::new(channel, bearer))
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

/// What the server said, for people.
pub(crate) fn explain(status: Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}
