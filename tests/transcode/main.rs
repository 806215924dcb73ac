//! REST in front of real gRPC servers.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/support/users.rs"]
mod users;

mod builtin;
mod download;
mod failures;
mod native;
mod rest;
mod script;
mod unary;
mod upload;
