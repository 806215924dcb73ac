//! Every layer, a file per concern.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod client_ip;
mod jwt;
