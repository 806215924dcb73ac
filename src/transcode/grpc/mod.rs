//! What gRPC says around its messages: frames, statuses, metadata and timeouts. All of it pure.

mod base64;
mod code;
pub(super) mod frame;
pub(super) mod metadata;
pub(super) mod render;
pub(super) mod status;
pub(super) mod timeout;

pub use metadata::Metadata;
pub use render::ErrorBody;
