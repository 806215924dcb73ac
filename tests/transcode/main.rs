//! REST in front of real gRPC servers.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/support/users.rs"]
mod users;

mod builtin;
mod cancel;
mod conformance;
mod contract;
mod download;
mod failures;
mod hosts;
mod metadata;
mod native;
mod openapi;
mod reflection;
mod rest;
mod script;
mod swap;
mod time;
mod unary;
mod upload;
