//! Glue for the frameworks that host the layers: what layers left in a request, as their handlers want it.
//!
//! In axum (feature `axum`), [`Identity`](crate::Identity), [`Claims`](crate::identity::Claims) and
//! [`ClientIp`](crate::client_ip::ClientIp) are extractors, and a [`Rejection`](crate::Rejection) is a response. In
//! tonic (feature `tonic`), a trait reads them from a request.

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "tonic")]
pub mod tonic;
