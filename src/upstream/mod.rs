//! Forward requests to an origin server.
//!
//! [`Upstream`] is a service that sends every request to one origin and hands back its response. It streams in
//! both directions, passes trailers, gRPC and WebSockets, and speaks HTTP/1.1, HTTP/2 and (with feature `tls`)
//! https. Its errors are responses:
//!
//! | what happened | the client sees |
//! |---|---|
//! | refused, reset, cut, not HTTP, TLS failed | 502 / `UNAVAILABLE` |
//! | no connection, no first octet, not done in time | 504 / `DEADLINE_EXCEEDED` |
//! | the *request's* body is malformed, or broke off | 400: not the upstream's fault |
//! | a layer's body refused it (too large, too slow) | that layer's refusal |
//! | the request's body stopped coming | 408 |
//! | our own name came back in `Via` | 508 |
//! | `CONNECT` | 501 |
//! | the response's body broke off, or stopped | a body that ends with an error: it never looks whole |
//!
//! ```no_run
//! use tower_gateway::upstream::Upstream;
//!
//! # fn main() -> Result<(), tower_gateway::ConfigError> {
//! let users = Upstream::new("http://10.0.0.7:9000")?.x_forwarded().via("edge")?;
//! let greeter = Upstream::new("http://10.0.0.8:50051")?.http2(); // gRPC
//! # Ok(()) }
//! ```
//!
//! **What is sent.** Path and query go byte for byte as they stand in the request's URI, behind the origin's own
//! path if it has one: out of that, a path with dot segments might lead, and is refused with 400. `Host` is the origin's, unless [`preserve_host`](Upstream::preserve_host). Hop-by-hop
//! fields are removed in both directions (RFC 9110 §7.6.1), and so is `Expect`: whoever reads the client's content
//! has said 100 to it. The lines of `Cookie` become one (RFC 9113 §8.2.3).
//!
//! **What a client may not say.** `X-Forwarded-*`, `Forwarded`, `X-Real-IP`, `Client-Cert`, `X-Original-URL`,
//! `X-HTTP-Method-Override` and their kin are always removed, under every spelling that a server might take for
//! them. [`x_forwarded`](Upstream::x_forwarded) and [`forwarded`](Upstream::forwarded) say what is so, and
//! continue the chain of a peer that the [`ClientIpLayer`](crate::client_ip::ClientIpLayer) trusts. The same
//! fields, those that other layers set, and whatever RFC 9110 §6.5.1 forbids are removed from the trailers.
//!
//! **Once.** A request is sent once. Only one that met a closed connection before an octet of it was written is
//! sent on another. When the client leaves, the exchange with the upstream is cancelled.
//!
//! HTTP/1.1 sends request trailers only if the client announced them in `Trailer`, and from HTTP/2 to HTTP/1.1
//! they are dropped otherwise.

mod failure;
mod fields;
mod forwarded;
mod framing;
mod service;
mod upgrade;
mod upload;

use std::{fmt, sync::Arc, time::Duration};

use http::Uri;

use crate::{
    client::{HttpVersion, Origin, Place, Settings, bounded},
    clock::Clock,
    config_error::{ConfigError, Mistakes},
};

use forwarded::Via;

/// Sends requests to one origin. See the [module docs](self).
///
/// Clones share connections. A setter makes an upstream with connections of its own.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    origin: Arc<Origin>,
    place: Place,
    settings: Arc<Settings>,
    policy: Policy,
}

/// What becomes of a request's head.
#[derive(Clone, Debug, Default)]
struct Policy {
    /// The origin's own path, without a slash at its end.
    base: Option<String>,
    preserve_host: bool,
    x_forwarded: bool,
    forwarded: bool,
    via: Option<Via>,
}

impl Policy {
    /// Whether the host that the client asked for is told to the upstream, and so must be unambiguous.
    fn reads_host(&self) -> bool {
        self.preserve_host || self.x_forwarded || self.forwarded
    }
}

impl Upstream {
    /// The origin at this URI: `http://10.0.0.7:9000`, `https://api.example/v2`.
    ///
    /// A path is put before that of each request, segment by segment: `/users` goes to `/v2/users`.
    ///
    /// # Errors
    ///
    /// When it is no absolute `http` or `https` URI, holds a user's name, a query, or a path with `.` or `..`
    /// segments; and for `https` without feature `tls`.
    pub fn new(origin: impl AsRef<str>) -> Result<Self, ConfigError> {
        let (place, base) = read(origin.as_ref())?;
        let policy = Policy { base, ..Policy::default() };
        Ok(Self::with(place, Arc::default(), policy))
    }

    fn with(place: Place, settings: Arc<Settings>, policy: Policy) -> Self {
        Self(Arc::new(Inner {
            origin: Origin::new(place.clone(), Arc::clone(&settings)),
            place,
            settings,
            policy,
        }))
    }

    fn set(self, change: impl FnOnce(&mut Settings)) -> Self {
        let settings = self.0.settings.with(change);
        Self::with(self.0.place.clone(), settings, self.0.policy.clone())
    }

    fn choose(self, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = self.0.policy.clone();
        change(&mut policy);
        Self::with(self.0.place.clone(), Arc::clone(&self.0.settings), policy)
    }

    /// The same upstream with connections of its own: one for each runtime, when there is one per core.
    #[must_use]
    pub fn unshared(&self) -> Self {
        let inner = &self.0;
        let settings = Arc::clone(&inner.settings);
        Self::with(inner.place.clone(), settings, inner.policy.clone())
    }

    /// Speaks HTTP/2: with prior knowledge to an `http` origin, and to an `https` one that agrees. For gRPC.
    ///
    /// Default: HTTP/1.1 to `http`, what ALPN negotiates to `https`.
    #[must_use]
    pub fn http2(self) -> Self {
        self.set(|it| it.version = HttpVersion::Http2)
    }

    /// Speaks HTTP/1.1, also where ALPN would negotiate HTTP/2.
    #[must_use]
    pub fn http1(self) -> Self {
        self.set(|it| it.version = HttpVersion::Http1)
    }

    /// Whom to trust, and what to show. Default: the roots of the Mozilla programme, no certificate.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, tls: crate::client::ClientTls) -> Self {
        self.set(|it| it.tls.0 = Some(tls))
    }

    /// How long name, TCP and TLS may take together. Default: 5 s.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.connect = bounded(timeout))
    }

    /// How long the upstream may take from the request's last octet to the response's first. Default: 30 s.
    #[must_use]
    pub fn first_byte_timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.first_byte = bounded(timeout))
    }

    /// How long a body, or a WebSocket, may make no progress. Default: 60 s.
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.idle = bounded(timeout))
    }

    /// How long the exchange may take, to the last octet of the response. Default: no limit.
    #[must_use]
    pub fn total_timeout(self, timeout: Duration) -> Self {
        self.set(|it| it.total = Some(bounded(timeout)))
    }

    /// How long a connection is kept without use; shorter than the upstream's own limit. Default: 60 s.
    #[must_use]
    pub fn keep_alive(self, timeout: Duration) -> Self {
        self.set(|it| it.pool_idle = bounded(timeout))
    }

    /// How many unused HTTP/1.1 connections are kept. Default: 1024.
    #[must_use]
    pub fn max_idle(self, connections: usize) -> Self {
        self.set(|it| it.max_idle = connections)
    }

    /// Sends the host that the client asked for. A request whose host is ambiguous is answered 400.
    ///
    /// Default: the origin's own.
    #[must_use]
    pub fn preserve_host(self) -> Self {
        self.choose(|it| it.preserve_host = true)
    }

    /// Says who asks in `X-Forwarded-For`, `-Proto` and `-Host`.
    ///
    /// What a trusted peer said in these (and in `-Port` and `-Prefix`) is kept and continued.
    #[must_use]
    pub fn x_forwarded(self) -> Self {
        self.choose(|it| it.x_forwarded = true)
    }

    /// Says who asks in `Forwarded` (RFC 7239); continues what a trusted peer said.
    #[must_use]
    pub fn forwarded(self) -> Self {
        self.choose(|it| it.forwarded = true)
    }

    /// Signs requests and responses in `Via` with this pseudonym, and answers 508 to a request that carries it
    /// already (RFC 9110 §7.6.3).
    ///
    /// # Errors
    ///
    /// When the pseudonym is no token: letters, digits, `-`, `.`, `_` and the like.
    pub fn via(self, pseudonym: impl Into<String>) -> Result<Self, ConfigError> {
        let via = Via::new(pseudonym.into())
            .ok_or_else(|| ConfigError::new("upstream", "the pseudonym for `Via` is no token"))?;
        Ok(self.choose(|it| it.via = Some(via)))
    }

    /// Where time comes from.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|it| it.clock = clock)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("origin", &self.0.place.authority)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}

/// The place and the base path of an origin.
fn read(origin: &str) -> Result<(Place, Option<String>), ConfigError> {
    let mut mistakes = Mistakes::of("upstream");
    let uri: Option<Uri> = origin.parse().ok();
    let Some(place) = uri.as_ref().and_then(Place::of) else {
        return Err(ConfigError::new(
            "upstream",
            "the origin is no `http://host` or `https://host` URI without a user's name",
        ));
    };
    if place.secure && cfg!(not(feature = "tls")) {
        mistakes.add("an `https` origin needs feature `tls`");
    }
    let (path, query) = uri.map_or((String::new(), false), |it| {
        (it.path().trim_end_matches('/').to_owned(), it.query().is_some())
    });
    if query || origin.contains('#') {
        mistakes.add("the origin holds a query or a fragment");
    }
    if path.split('/').any(|it| matches!(it, "." | "..")) || path.contains("//") {
        mistakes.add("the origin's path holds empty, `.` or `..` segments");
    }
    mistakes.or((place, Some(path).filter(|it| !it.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_host_and_perhaps_a_path() {
        let base = |origin| read(origin).map(|(_, base)| base);
        assert_eq!(base("http://127.0.0.1:9000"), Ok(None));
        assert_eq!(base("http://127.0.0.1:9000/"), Ok(None));
        assert_eq!(base("http://[::1]:9000/v1/"), Ok(Some("/v1".into())));
        for bad in [
            "",
            "127.0.0.1:9000",
            "/path",
            "ftp://a",
            "http://",
            "http://user@a",
            "http://u:p@a",
            "http://a?x=1",
            "http://a/../b",
            "http://a//b",
            "http://a/#f",
            "http://a:99999",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
