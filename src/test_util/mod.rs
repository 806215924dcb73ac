//! For tests of your own layers: a strict inner service and the contract checklist (feature `test-util`).
//!
//! [`Contract`] runs the points of [the layer contract](crate::docs::layer_contract) over a layer: the same
//! checks that every layer of this crate passes. Give it a request that the layer admits and, if there is one,
//! a request that it refuses:
//!
//! ```
//! use http::Request;
//! use tower_gateway::{
//!     guard::{Guard, GuardLayer, Head, Verdict},
//!     rejection::Rejection,
//!     test_util::Contract,
//! };
//!
//! struct Polite;
//!
//! impl Guard for Polite {
//!     const NAME: &'static str = "polite";
//!     type Pass = ();
//!
//!     fn check(&self, head: Head<'_>) -> Verdict<()> {
//!         match head.headers().contains_key("please") {
//!             true => Verdict::admit(()),
//!             false => Verdict::refuse(Rejection::forbidden("Say please.")),
//!         }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! Contract::new(|| Request::get("/").header("please", "1").body(()).unwrap())
//!     .refuses(|| Request::get("/").body(()).unwrap())
//!     .check(GuardLayer::new(Polite))
//!     .await;
//! # });
//! ```
//!
//! A point that does not hold panics with its name, as assertions do. [`StrictReady`] and
//! [`Clock::manual`](crate::clock::Clock::manual) serve tests of your own.

mod contract;
mod frames;
mod strict_ready;

pub use contract::{Contract, Probe, TestError};
pub use frames::Frames;
pub use strict_ready::{Reservations, StrictReady};
