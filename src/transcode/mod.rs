//! JSON over HTTP in front of gRPC services: `google.api.http`, ProtoJSON and streaming, as a layer.
#![allow(dead_code, unused_imports, reason = "pieces before the layer that joins them")]

mod bind;
mod call;
mod chunk;
mod descriptors;
mod escape;
mod fault;
mod grpc;
mod json;
mod layer;
mod mask;
mod rules;
mod schema;
mod service;
mod settings;
mod stream;
mod template;
mod types;
mod well_known;
mod wire;

pub use call::{CallBody, TranscodeBody, TranscodeFuture};
pub use descriptors::Descriptors;
pub use grpc::{ErrorBody, Metadata};
pub use json::JsonOptions;
pub use layer::{TranscodeHandle, TranscodeLayer};
pub use schema::Schema;
pub use service::Transcode;
pub use stream::Framing;
