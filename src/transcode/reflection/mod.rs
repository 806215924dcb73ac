//! Descriptors from the server itself, by [gRPC server reflection](https://grpc.io/docs/guides/reflection/).
//!
//! A server that offers reflection tells its services, and the `.proto` files that they are declared in, with their
//! `google.api.http` options. So a gateway in front of it needs no descriptor set of its own, and can follow it:
//!
//! 1. [`fetch`](Reflection::fetch) asks once, at start.
//! 2. [`refresh`](Reflection::refresh) asks again on a timer and hands over what has changed.
//!
#![cfg_attr(feature = "upstream", doc = "```no_run")]
#![cfg_attr(not(feature = "upstream"), doc = "```ignore")]
//! use tower::Layer;
//! use tower_gateway::{
//!     ConfigError,
//!     transcode::{Schema, TranscodeLayer, reflection::Reflection},
//!     upstream::Upstream,
//! };
//!
//! # async fn edge() -> Result<(), Box<dyn std::error::Error>> {
//! let users = Upstream::new("http://10.0.0.8:50051")?.http2();
//! let reflection = Reflection::of(users.clone());
//! let layer = TranscodeLayer::from_descriptor_set(reflection.fetch().await?)?;
//!
//! let handle = layer.handle();
//! let following = reflection.refresh(move |set| {
//!     handle.replace(Schema::from_descriptor_set(set)?);
//!     Ok::<_, ConfigError>(())
//! })?; // until it is dropped
//! let edge = layer.layer(users);
//! # let _ = (following, edge);
//! # Ok(()) }
//! ```
//!
//! It asks `grpc.reflection.v1`, and `v1alpha` where the server does not know that; in one call, so that all answers
//! come from one server. Whoever answers decides which methods are served and where, so ask only servers that you
//! would hand requests to. What is taken from one is bounded: 1,000 services, 4,000 files, 16 MiB and
//! [10 seconds](Reflection::timeout). Beyond that there is an error, never a part.
//!
//! A service that the server lists and cannot describe is left out, with a warning; name those that must be there with
//! [`only`](Reflection::only). The services of reflection itself are never among them. Comments are not told by
//! reflection, so OpenAPI has no descriptions.

mod call;
mod collect;
mod error;
mod fetch;
mod messages;
mod questions;
mod refresh;
#[cfg(all(test, feature = "test-util"))]
mod tests;

use std::{fmt, future::Future, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use self::{collect::Bounds, refresh::Changes};
pub use self::{error::ReflectionError, questions::Questions, refresh::Refresh};
pub use crate::refreshing::Health;
use crate::{
    BoxError,
    clock::Clock,
    config_error::ConfigError,
    refreshing::{Schedule, YEAR, before},
};

/// Asks a gRPC server for its descriptors. See the [module docs](self).
#[derive(Clone)]
pub struct Reflection<S> {
    service: S,
    only: Vec<String>,
    bounds: Bounds,
    every: Duration,
    timeout: Duration,
    clock: Clock,
}

impl<S> Reflection<S> {
    /// Of the server behind this service: an `Upstream` that speaks HTTP/2, tonic's `Routes`.
    pub fn of(service: S) -> Self {
        Self {
            service,
            only: Vec::new(),
            bounds: Bounds::default(),
            every: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            clock: Clock::system(),
        }
    }

    /// Only these services, `users.v1.Users`, whether the server lists them or not; it must describe each.
    /// Default: all that it lists.
    #[must_use]
    pub fn only<N: Into<String>>(mut self, services: impl IntoIterator<Item = N>) -> Self {
        self.only = services.into_iter().map(Into::into).collect();
        self
    }

    /// The most bytes of descriptors that are taken. Default: 16 MiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// The time that asking for everything may take. Default: 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(YEAR);
        self
    }

    /// How often [`refresh`](Self::refresh) asks: up to a fifth earlier, so that gateways that have started together
    /// do not ask together. Default: a minute; at least a second.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(Duration::from_secs(1), YEAR);
        self
    }

    /// The clock that times are measured by. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Asks now: the bytes of a `google.protobuf.FileDescriptorSet`, options included.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, offers no reflection, takes too long, or answers what does not fit.
    pub fn fetch<R>(&self) -> impl Future<Output = Result<Bytes, ReflectionError>> + use<S, R>
    where
        S: Service<Request<Questions>, Response = Response<R>, Error: Into<BoxError>> + Clone,
        R: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let fetch = fetch::fetch(self.service.clone(), self.only.clone(), self.bounds);
        let limit = self.clock.sleep(self.timeout);
        async {
            let in_time = before(limit, fetch).await;
            in_time.unwrap_or_else(|| Err(ReflectionError::new("no answer in time")))
        }
    }

    /// Asks now and then [`every`](Self::every) so often, on the current Tokio runtime, and gives `apply` each set
    /// that differs from the one before, the first included.
    ///
    /// After a failure, of asking or of `apply`, there is a warning, what was applied before stays, and it is tried
    /// again after 1, 2, 4 … 60 seconds. It ends when what is returned is dropped.
    ///
    /// # Errors
    ///
    /// Outside of a Tokio runtime.
    pub fn refresh<R, F, E>(self, apply: F) -> Result<Refresh, ConfigError>
    where
        S: Service<Request<Questions>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError> + Send,
        R: http_body::Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError> + Send,
        F: FnMut(Bytes) -> Result<(), E> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let schedule = Schedule {
            every: self.every,
            at_least: self.every,
            timeout: self.timeout,
            ..Schedule::default()
        };
        let changes = Changes::to(apply);
        let clock = self.clock.clone();
        Refresh::start(schedule, clock, move || changes.clone().follow(self.fetch()))
    }
}

impl<S> fmt::Debug for Reflection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflection")
            .field("only", &self.only)
            .field("bounds", &self.bounds)
            .field("every", &self.every)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
