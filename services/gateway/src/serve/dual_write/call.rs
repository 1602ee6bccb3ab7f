//! A call of a method that is known by its descriptor only.

use http::uri::PathAndQuery;
use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _};
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use rpc::Channel;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::callers::Service;
use crate::providers::{Call, within};

/// As the caller, to dual-write.
pub(super) async fn unary(
    channel: Channel,
    call: Call<'_>,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> Result<DynamicMessage, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path)
        .map_err(|_| Status::internal("the name of a method is no path"))?;
    let request = call.request(Service::DualWrite, message.clone())?;
    let mut client = Grpc::new(channel);
    let codec = Dynamic(method.output());
    let answer = async {
        let ready = client.ready().await;
        ready.map_err(|_| Status::unavailable("dual-write is not there"))?;
        client.unary(request, path, codec).await
    };
    Ok(within(call.deadline, answer).await?.into_inner())
}

/// Answers are of this message.
#[derive(Clone)]
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&message.encode_to_vec());
        Ok(())
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        let message = DynamicMessage::decode(self.0.clone(), bytes);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
