//! Every layer, a file per concern.
<<<<<<< HEAD
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
=======
#![allow(clippy::unwrap_used)]
>>>>>>> jwt

#[path = "../support/mod.rs"]
mod support;

mod client_ip;
<<<<<<< HEAD
mod contract;
mod rate_limit;
mod reply;
mod route;
=======
mod jwt;
>>>>>>> jwt
