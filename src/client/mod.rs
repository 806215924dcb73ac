//! A ready HTTP client: a tower service with a pool of connections.
//!
//! [`HttpClient`] takes requests with absolute `http` and `https` URIs (the latter with feature `tls`) and any
//! request body. It is always ready, and its clones share one pool. It follows no redirects, keeps no cookies
//! and decodes no content.
//!
//! ```no_run
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::{BodyExt, Full};
//! use tower::ServiceExt;
//! use tower_gateway::client::HttpClient;
//!
//! # async fn fetch() -> Result<(), Box<dyn std::error::Error>> {
//! let client = HttpClient::new();
//! let request = Request::get("http://127.0.0.1:8080/keys").body(Full::<Bytes>::default())?;
//! let response = client.oneshot(request).await?;
//! assert_eq!(response.status(), 200);
//! let keys = response.into_body().collect().await?.to_bytes();
//! # Ok(()) }
//! ```
//!
//! **Waiting.** Five seconds for a connection, thirty for the first octet of a response (counted from the last
//! octet of the request), sixty between two pieces of a body. Each is a setting.
//!
//! **A request is sent once.** Only if a kept connection turns out to be closed before an octet of the request
//! was written to it, the request goes out on another one.
//!
//! **Cancellation.** Dropping the future or the response's body closes the HTTP/1.1 connection or resets the
//! HTTP/2 stream, so that the origin can stop working.
//!
//! Connections live in tasks of the runtime on which they were made. With a runtime per core, give each a
//! client of its own ([`HttpClient::unshared`]).

mod body;
mod connect;
mod error;
mod exchange;
mod lease;
mod origin;
mod place;
mod pool;
#[cfg(feature = "tls")]
mod secure;
#[cfg(not(feature = "tls"))]
#[path = "insecure.rs"]
mod secure;
mod settings;
mod timer;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{BoxError, clock::Clock, guard::BoxFuture};

pub use body::IncomingBody;
pub use error::{ClientError, ClientErrorKind};
#[cfg(feature = "tls")]
pub use secure::{ClientTls, ClientTlsBuilder};
pub use settings::HttpVersion;

#[cfg(feature = "upstream")]
pub(crate) use origin::Need;
pub(crate) use origin::Origin;
pub(crate) use place::Place;
pub(crate) use settings::{Settings, bounded};

/// More origins than this are not remembered at a time.
const MAX_ORIGINS: usize = 1024;

/// Sends requests to wherever their URIs say. See the [module docs](self).
#[derive(Clone)]
pub struct HttpClient {
    settings: Arc<Settings>,
    origins: Arc<Mutex<HashMap<Place, Arc<Origin>>>>,
}

impl HttpClient {
    /// A client with the default settings and an empty pool.
    pub fn new() -> Self {
        Self::with(Arc::default())
    }

    fn with(settings: Arc<Settings>) -> Self {
        Self { settings, origins: Arc::default() }
    }

    fn set(self, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with(self.settings.with(change))
    }

    /// A client with the same settings and a pool of its own.
    #[must_use]
    pub fn unshared(&self) -> Self {
        Self::with(Arc::clone(&self.settings))
    }

    /// Which protocol to speak. Default: [`HttpVersion::Negotiated`].
    #[must_use]
    pub fn version(self, version: HttpVersion) -> Self {
        self.set(|it| it.version = version)
    }

    /// Whom to trust, and what to show. Default: the roots of the Mozilla programme, no certificate.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, tls: ClientTls) -> Self {
        self.set(|it| it.tls.0 = Some(tls))
    }

    /// How long name, TCP and TLS may take together. Default: 5 s.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.connect = bounded(timeout))
    }

    /// How long the origin may take from the request's last octet to the response's first. Default: 30 s.
    #[must_use]
    pub fn first_byte_timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.first_byte = bounded(timeout))
    }

    /// How long a body may make no progress. Default: 60 s.
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.idle = bounded(timeout))
    }

    /// How long the exchange may take, from the call to the last octet of the response. Default: no limit.
    #[must_use]
    pub fn total_timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.total = Some(bounded(timeout)))
    }

    /// How long a connection is kept without use. Default: 60 s.
    #[must_use]
    pub fn keep_alive(self, timeout: Duration) -> Self {
        self.set(|it| it.pool_idle = bounded(timeout))
    }

    /// How many unused HTTP/1.1 connections are kept to one origin. Default: 1024.
    #[must_use]
    pub fn max_idle_per_origin(self, connections: usize) -> Self {
        self.set(|it| it.max_idle = connections)
    }

    /// Where time comes from.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|it| it.clock = clock)
    }

    fn origin(&self, place: Place) -> Arc<Origin> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if origins.len() >= MAX_ORIGINS && !origins.contains_key(&place) {
            origins.retain(|_, origin| !origin.is_unused());
        }
        match origins.get(&place) {
            Some(origin) => Arc::clone(origin),
            None => {
                let origin = Origin::new(place.clone(), Arc::clone(&self.settings));
                if origins.len() < MAX_ORIGINS {
                    origins.insert(place, Arc::clone(&origin));
                }
                origin
            }
        }
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for HttpClient
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<IncomingBody>;
    type Error = ClientError;
    type Future = BoxFuture<Result<Self::Response, ClientError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match Place::of(request.uri()) {
            Some(place) => Box::pin(self.origin(place).send(request, origin::Need::Any)),
            None => Box::pin(std::future::ready(Err(ClientErrorKind::Request.into()))),
        }
    }
}
