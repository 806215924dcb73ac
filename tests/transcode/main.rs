//! REST in front of real gRPC servers.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/support/users.rs"]
mod users;

mod builtin;
mod native;
mod openapi;
mod reflection;
mod rest;
mod unary;
