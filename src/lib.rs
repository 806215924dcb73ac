//! An embeddable API gateway: authentication, rate limits, routing and proxying as tower layers.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

// The kernel knows no concern.
pub mod body;
pub mod client_ip;
pub mod clock;
mod config_error;
mod event;
pub mod fields;
pub mod guard;
pub mod identity;
pub mod key;
mod matched_route;
pub mod rejection;
pub mod reply;
pub mod target;
#[cfg(feature = "test-util")]
pub mod test_util;

pub mod docs;

// Concerns: the feature is the module.
#[cfg(feature = "rate-limit")]
pub mod rate_limit;
#[cfg(feature = "route")]
pub mod route;

// Machinery that concerns share, and the concerns.
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "upstream")]
pub mod upstream;

#[cfg(feature = "server")]
pub mod server;

#[cfg(feature = "jwt")]
pub mod auth;

#[cfg(feature = "axum")]
mod host;

pub use config_error::ConfigError;
pub use identity::Identity;
pub use matched_route::MatchedRoute;
pub use rejection::Rejection;
pub use target::Scheme;
