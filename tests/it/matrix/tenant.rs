//! What administers the tenant and dual-write: environments, links, add-ins, licences, capacity, maps. Each method is called with
//! an empty message: who may, is told what is wrong with it or that there is nothing of that name; who may
//! not, must not learn that much.

use anyhow::{Context as _, Result};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::grpc::as_actor;
use super::world::World;
use super::{Actor, Said};

pub(super) async fn perform(world: &World, actor: &Actor, path: &'static str) -> Result<Said> {
    let mut client = Grpc::new(world.channel().await?);
    client.ready().await.context("no connection")?;
    let (request, at) = (as_actor(actor, ())?, PathAndQuery::from_static(path));
    let codec = ProstCodec::<(), Empty>::default();
    let streams = ["/WatchOperation", "/WatchInitialSync"].iter().any(|it| path.ends_with(it));
    let answer = match streams {
        true => match client.server_streaming(request, at, codec).await {
            Ok(stream) => stream.into_inner().message().await.map(drop),
            Err(status) => Err(status),
        },
        false => client.unary(request, at, codec).await.map(drop),
    };
    Ok(said(answer))
}

/// An answer that nobody looks at: every field of it is skipped.
type Empty = ();

fn said(answer: Result<(), Status>) -> Said {
    let Err(status) = answer else { return Said::Allowed };
    match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => Said::Denied,
        Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists => {
            Said::Allowed
        }
        code => Said::Other(format!("{code:?} {}", status.message())),
    }
}
