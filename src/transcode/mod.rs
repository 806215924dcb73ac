//! JSON over HTTP in front of gRPC services: `google.api.http`, ProtoJSON and streaming, as a layer.
#![allow(dead_code, reason = "pieces before the layer that joins them")]

mod fault;
mod grpc;
mod json;
mod schema;
mod stream;
mod types;
mod well_known;
mod wire;

pub use grpc::ErrorBody;
pub use json::JsonOptions;
pub use schema::Schema;
pub use stream::Framing;
