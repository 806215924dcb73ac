//! The upstream over real sockets: well-behaved origins, and origins that misbehave.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod client;
mod connections;
mod faults;
mod fields;
mod http2;
mod origin;
mod timeouts;
mod tls;
mod websocket;
