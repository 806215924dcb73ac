//! Every layer, a file per concern.

#[path = "../support/mod.rs"]
mod support;

mod api_key;
mod client_ip;
mod combine;
mod concurrency;
mod contract;
mod introspection;
mod jwt;
mod key_rotation;
mod rate_limit;
mod rate_limit_policy;
mod reply;
mod report_only;
mod require;
mod route;
mod several_limits;
mod signed_url;
mod verified_tokens;
