//! The layers inside of the hosts that people use, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod axum;
mod tonic;
