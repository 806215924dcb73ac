//! What gRPC says around its messages: frames, statuses, metadata and timeouts. All of it pure.

pub(super) mod frame;
mod gzip;
pub(super) mod timeout;
