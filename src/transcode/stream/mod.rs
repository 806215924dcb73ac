//! Streams of JSON: how a request body is split into messages, and how messages become a response body. All of it
//! pure.

pub(super) mod accept;
pub(super) mod framing;
pub(super) mod ndjson;
pub(super) mod records;

pub use framing::Framing;
