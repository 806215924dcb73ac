//! The upstream over real sockets: well-behaved origins, and origins that misbehave.

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
