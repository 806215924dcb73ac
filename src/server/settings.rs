//! The server's settings.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{accept::Serving, activity::Patience, head::HeadRules, tls::Acceptor};
use crate::{clock::Clock, target::PathRules};

/// Settings of a server; [`serve`](Self::serve) or [`serve_per_core`](Self::serve_per_core) starts it. See the
/// [module docs](super).
#[derive(Clone, Debug)]
pub struct Server {
    limits: Limits,
    pub(super) max_connections: usize,
    clock: Clock,
    #[cfg(feature = "tls")]
    tls: Option<super::ServerTls>,
}

/// What every connection is held to.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) head: HeadRules,
    pub(super) patience: Patience,
    pub(super) body_idle_timeout: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) max_header_bytes: usize,
    pub(super) max_body_bytes: Option<u64>,
    pub(super) max_streams: u32,
}

impl Server {
    /// The defaults that stand at each setting.
    pub fn new() -> Self {
        let seconds = Duration::from_secs;
        Self {
            limits: Limits {
                head: HeadRules { max_headers: 100, paths: Some(PathRules::default()) },
                patience: Patience { header: seconds(10), idle: seconds(60), write: seconds(30) },
                body_idle_timeout: seconds(30),
                drain_timeout: seconds(30),
                max_header_bytes: 64 * 1024,
                max_body_bytes: None,
                max_streams: 100,
            },
            max_connections: 10_000,
            clock: Clock::system(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// How long a client may take for a header section, and a new connection for its TLS handshake and first
    /// header section together. Default: 10 s.
    #[must_use]
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.limits.patience.header = timeout;
        self
    }

    /// How long a connection may have no request in flight. HTTP/2 connections are pinged at half of it, so that
    /// dead ones are found. Default: 60 s.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.patience.idle = timeout;
        self
    }

    /// How long the content of a request may stand still while it is waited for. Default: 30 s.
    #[must_use]
    pub fn body_idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.body_idle_timeout = timeout;
        self
    }

    /// How long a client may take nothing of what is sent to it. Default: 30 s.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.limits.patience.write = timeout;
        self
    }

    /// How long requests in flight may take once shutdown has begun. Default: 30 s.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.limits.drain_timeout = timeout;
        self
    }

    /// How many connections are open at a time; further ones wait in the kernel's backlog. Upgraded ones count.
    /// Default: 10,000.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// The size of a header section, request line included. Default: 64 KiB.
    #[must_use]
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_header_bytes = bytes;
        self
    }

    /// The number of header fields in a request. Default: 100.
    #[must_use]
    pub fn max_headers(mut self, fields: usize) -> Self {
        self.limits.head.max_headers = fields;
        self
    }

    /// The size of a request's content: a greater one is refused with 413, if not by its `Content-Length` then
    /// while it is read. Default: none.
    #[must_use]
    pub fn max_body_bytes(mut self, bytes: u64) -> Self {
        self.limits.max_body_bytes = Some(bytes);
        self
    }

    /// How many requests an HTTP/2 connection may have in flight. Default: 100.
    #[must_use]
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.limits.max_streams = streams;
        self
    }

    /// What a path may contain. Default: [`PathRules::default`].
    #[must_use]
    pub fn paths(mut self, rules: PathRules) -> Self {
        self.limits.head.paths = Some(rules);
        self
    }

    /// Leaves paths as they come. Then every layer and every upstream must read them alike: a layer that judges
    /// `/public/..%2fadmin` by its prefix is bypassed by a server that decodes it.
    #[must_use]
    pub fn dangerous_raw_paths(mut self) -> Self {
        self.limits.head.paths = None;
        self
    }

    /// Serves https. Default: http.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: super::ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The clock of all timeouts.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    pub(super) fn serving<S>(self, service: S, places: Arc<Semaphore>) -> Serving<S> {
        Serving {
            tls: self.acceptor(),
            limits: Arc::new(self.limits),
            clock: self.clock,
            places,
            service,
        }
    }

    #[cfg(feature = "tls")]
    fn acceptor(&self) -> Option<Acceptor> {
        self.tls.as_ref().map(super::ServerTls::acceptor)
    }

    #[cfg(not(feature = "tls"))]
    fn acceptor(&self) -> Option<Acceptor> {
        None
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}
