//! JSON over HTTP in front of gRPC services: `google.api.http`, ProtoJSON and streaming, as a layer.

#[allow(dead_code, reason = "the service follows")]
mod grpc;
#[allow(dead_code, reason = "the service follows")]
mod stream;
#[allow(dead_code, reason = "the service follows")]
mod wire;

pub use grpc::ErrorBody;
pub use stream::Framing;
