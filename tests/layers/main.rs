//! Every layer, a file per concern.

#[path = "../support/mod.rs"]
mod support;

mod client_ip;
mod jwt;
