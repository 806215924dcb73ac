//! ProtoJSON: JSON to wire bytes, wire bytes to JSON, and no message in between.
//!
//! Follows the [ProtoJSON format](https://protobuf.dev/programming-guides/json/).

mod number;
mod options;
pub(crate) mod read;
pub(crate) mod text;
pub(crate) mod write;

pub use options::JsonOptions;
