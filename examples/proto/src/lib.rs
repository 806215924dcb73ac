//! The users service of the examples: messages, client and server as tonic makes them, and the descriptors.
//!
//! See `build.rs` for how they come about and `proto/users/v1/users.proto` for the service itself.

#![allow(missing_docs, clippy::all, reason = "generated code")]

/// The descriptor set of everything below, with comments: what `TranscodeLayer` and tonic's reflection read.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

pub mod users {
    pub mod v1 {
        tonic::include_proto!("users.v1");
    }
}

pub mod google {
    pub mod api {
        tonic::include_proto!("google.api");
    }

    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}
