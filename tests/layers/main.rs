//! Every layer, a file per concern.

#[path = "../support/mod.rs"]
mod support;

mod client_ip;
mod contract;
mod jwt;
mod key_rotation;
mod rate_limit;
mod reply;
mod route;
mod verified_tokens;
