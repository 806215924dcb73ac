//! The server on the wire: raw bytes against real sockets, and what reaches the service behind it.
#![allow(unreachable_pub, clippy::unwrap_used)]

mod http1;
mod http2;
mod overload;
mod rig;
mod services;
mod slow;
mod tls;
