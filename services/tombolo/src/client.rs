//! How the administrator's verbs reach the system: by its public gRPC, with a token of a user.

use anyhow::{Context as _, Result};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::certificate::CERTIFICATE_FILE;
use crate::cli::ServerArgs;
use crate::token;

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
    let token = token::mint(&args.data, &args.user)?;
    let bearer = Bearer(format!("Bearer {token}").parse().context("the token is no header")?);
    let channel = if args.server.starts_with("https://") {
        rpc::tls::trusting(&args.server, &args.data.join(CERTIFICATE_FILE))?
    } else {
        let endpoint = Endpoint::from_shared(args.server.clone())?;
        endpoint.connect().await.with_context(|| {
            format!("nothing answers at {}; is `tombolo dev` running there?", args.server)
        })?
    };
    Ok(InterceptedService::new(channel, bearer))
}

/// What the server said, for people.
pub(crate) fn explain(status: Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}
