//! REST in front of real gRPC servers.
#![allow(clippy::unwrap_used)]

#[path = "../../examples/support/users.rs"]
mod users;

mod builtin;
mod contract;
mod download;
mod failures;
mod metadata;
mod native;
mod openapi;
mod reflection;
mod rest;
mod script;
mod time;
mod unary;
mod upload;
