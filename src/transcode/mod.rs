//! JSON over HTTP in front of gRPC services: `google.api.http`, ProtoJSON and streaming, as a layer.

mod template;
