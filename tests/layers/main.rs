//! Every layer, a file per concern.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod client_ip;
mod contract;
mod rate_limit;
mod reply;
mod route;
