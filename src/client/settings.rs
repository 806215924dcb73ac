//! How a client connects, and how long it waits.

use std::{sync::Arc, time::Duration};

use super::secure::Secure;
use crate::clock::Clock;

/// Which protocol to speak to an origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.1 for `http`; for `https` what TLS negotiates by ALPN, HTTP/2 preferred.
    #[default]
    Negotiated,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, with prior knowledge for `http` (RFC 9113 §3.3). Right for gRPC servers.
    Http2,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) version: HttpVersion,
    pub(crate) tls: Secure,
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    pub(crate) total: Option<Duration>,
    pub(crate) pool_idle: Duration,
    pub(crate) max_idle: usize,
    pub(crate) clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: HttpVersion::default(),
            tls: Default::default(),
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            total: None,
            pool_idle: Duration::from_secs(60),
            max_idle: 1024,
            clock: Clock::system(),
        }
    }
}

impl Settings {
    /// The same settings with a change.
    pub(crate) fn with(self: &Arc<Self>, change: impl FnOnce(&mut Self)) -> Arc<Self> {
        let mut settings = Self::clone(self);
        change(&mut settings);
        Arc::new(settings)
    }
}

/// A duration that deadlines can be computed with: at most a year.
pub(crate) fn bounded(duration: Duration) -> Duration {
    duration.min(Duration::from_secs(86_400 * 365))
}
