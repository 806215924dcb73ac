//! The layers inside of the hosts that people use, over real sockets.

#[path = "../support/mod.rs"]
mod support;

mod axum;
mod grpc_costs;
mod hyper;
mod tonic;
