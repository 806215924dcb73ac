//! One origin: its connections, and how an exchange with it goes.

use std::{
    sync::{Arc, Weak},
    time::Instant,
};

use http::{
    HeaderValue, Method, Request, Response, Uri, Version, header,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use http_body::Body as _;
use tokio::runtime::Handle;

use super::{
    Settings,
    body::{IncomingBody, Limits, RequestBody},
    connect::{self, Fresh},
    error::{ClientError, ClientErrorKind},
    exchange::{Failure, exchange},
    lease::Lease,
    place::{Address, Place},
    pool::{Http1, Pool},
    settings::HttpVersion,
};
use crate::{BoxError, clock::within};

/// An origin server and the connections to it.
#[derive(Debug)]
pub(crate) struct Origin {
    place: Place,
    address: Address,
    host: HeaderValue,
    settings: Arc<Settings>,
    pool: Pool,
    /// Held while an HTTP/2 connection is made, so that a burst of requests makes one.
    connecting: tokio::sync::Mutex<()>,
}

/// What an exchange needs of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Whatever the settings say.
    Any,
    /// HTTP/1.1, to upgrade from.
    #[cfg_attr(not(feature = "upstream"), allow(dead_code))]
    Http1,
}

impl Origin {
    pub(crate) fn new(place: Place, settings: Arc<Settings>) -> Arc<Self> {
        let host = HeaderValue::from_str(place.authority.as_str());
        Arc::new(Self {
            address: place.address(),
            host: host.expect("an authority is visible ASCII"),
            place,
            settings,
            pool: Pool::default(),
            connecting: tokio::sync::Mutex::default(),
        })
    }

    /// Whether it holds no connection.
    pub(super) fn is_unused(&self) -> bool {
        self.pool.is_empty()
    }

    /// Sends the request and waits for the response's head.
    ///
    /// Only path and query of the URI are used. Without a `Host` field the origin's own is sent.
    ///
    /// The request is sent again only if a connection that was open before turned out to be closed before an
    /// octet of the request had been written to it.
    pub(crate) fn send<B>(
        self: Arc<Self>,
        request: Request<B>,
        need: Need,
    ) -> impl Future<Output = Result<Response<IncomingBody>, ClientError>> + Send + use<B>
    where
        B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (head, body) = request.into_parts();
        let (body, upload) = RequestBody::of(body, &self.settings.clock);
        let mut request = Request::from_parts(head, body);
        // Not an async function: that would hold its arguments twice.
        async move {
            let settings = &self.settings;
            let start = settings.clock.now();
            let total = settings.total.and_then(|it| start.checked_add(it));
            loop {
                let mut lease = self.lease(need, start, total).await?;
                self.address(&mut request, lease.is_http2());
                let sending = lease.send(request);
                match exchange(sending, settings, &mut lease, upload.as_deref(), total).await {
                    Ok(response) => {
                        let limits = Limits::new(settings, total);
                        return Ok(response.map(|body| IncomingBody::new(body, lease, limits)));
                    }
                    Err(Failure::Unsent(again, _)) if lease.reused => {
                        lease.retire();
                        request = *again;
                    }
                    Err(Failure::Unsent(_, error) | Failure::Sent(error)) => {
                        // An HTTP/2 connection that swallows requests would swallow the next ones too.
                        if error.kind() == ClientErrorKind::FirstByteTimeout {
                            lease.retire();
                        }
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The request in the form that the connection's protocol demands (RFC 9112 §3.2.1, RFC 9113 §8.3.1).
    fn address(&self, request: &mut Request<RequestBody>, http2: bool) {
        let uri = std::mem::take(request.uri_mut());
        let named = uri.authority().filter(|it| **it != self.place.authority);
        if http2 {
            let host = request.headers_mut().remove(header::HOST);
            let host = host.and_then(|it| Authority::try_from(it.as_bytes()).ok());
            let authority = host.or_else(|| named.cloned());
            let mut parts = Parts::default();
            parts.scheme = Some(match self.place.secure {
                true => Scheme::HTTPS,
                false => Scheme::HTTP,
            });
            parts.authority = Some(authority.unwrap_or_else(|| self.place.authority.clone()));
            parts.path_and_query = Some(path_and_query(uri));
            *request.uri_mut() = Uri::from_parts(parts).expect("all three parts are there");
            *request.version_mut() = Version::HTTP_2;
        } else {
            if !request.headers().contains_key(header::HOST) {
                let named = named.and_then(|it| HeaderValue::from_str(it.as_str()).ok());
                let host = named.unwrap_or_else(|| self.host.clone());
                request.headers_mut().insert(header::HOST, host);
            }
            if expects_content(request.method()) && request.body().is_end_stream() {
                // RFC 9110 §8.6: some servers answer 411 without it
                let length = request.headers_mut().entry(header::CONTENT_LENGTH);
                length.or_insert(HeaderValue::from_static("0"));
            }
            *request.uri_mut() = Uri::from(path_and_query(uri));
            *request.version_mut() = Version::HTTP_11;
        }
    }

    /// A connection: an open one if there is one, else a new one.
    async fn lease(
        self: &Arc<Self>,
        need: Need,
        now: Instant,
        total: Option<Instant>,
    ) -> Result<Lease, ClientError> {
        if let Some(lease) = self.reuse(need, now) {
            return Ok(lease);
        }
        let clock = &self.settings.clock;
        let deadline = clock.now() + self.settings.connect;
        let (deadline, kind) = match total {
            Some(total) if total <= deadline => (total, ClientErrorKind::TotalTimeout),
            _ => (deadline, ClientErrorKind::ConnectTimeout),
        };
        // Boxed: it is rare and large, and each request's future would carry it.
        let connect = Box::pin(self.connect(need, deadline));
        within(clock.sleep_until(deadline), connect).await.unwrap_or_else(|| Err(kind.into()))
    }

    fn reuse(self: &Arc<Self>, need: Need, now: Instant) -> Option<Lease> {
        if need == Need::Any
            && self.may_be_http2()
            && let Some(shared) = self.pool.shared()
        {
            return Some(Lease::http2(Arc::clone(self), shared, true));
        }
        let http1 = self.pool.take_idle(now, self.settings.pool_idle)?;
        Some(Lease::http1(Arc::clone(self), http1, true))
    }

    fn may_be_http2(&self) -> bool {
        match self.settings.version {
            HttpVersion::Negotiated => self.place.secure,
            HttpVersion::Http1 => false,
            HttpVersion::Http2 => true,
        }
    }

    async fn connect(
        self: &Arc<Self>,
        need: Need,
        deadline: Instant,
    ) -> Result<Lease, ClientError> {
        let one_for_all = need == Need::Any && self.settings.version == HttpVersion::Http2;
        let _turn = match one_for_all {
            true => Some(self.connecting.lock().await),
            false => None,
        };
        if let Some(shared) = one_for_all.then(|| self.pool.shared()).flatten() {
            return Ok(Lease::http2(Arc::clone(self), shared, true));
        }
        match self.fresh(need, deadline).await? {
            Fresh::Http1(http1) => Ok(Lease::http1(Arc::clone(self), http1, false)),
            Fresh::Http2(http2) => {
                self.pool.share(http2.clone());
                let stream = http2.load.begin();
                Ok(Lease::http2(Arc::clone(self), (http2, stream), false))
            }
        }
    }

    async fn fresh(&self, need: Need, deadline: Instant) -> Result<Fresh, ClientError> {
        let tcp = connect::tcp(&self.address, &self.settings.clock, deadline).await?;
        let version = match (need, self.settings.version) {
            (Need::Http1, _) => HttpVersion::Http1,
            (Need::Any, version) => version,
        };
        if self.place.secure {
            return self.settings.tls.connect(tcp, &self.address.host, version).await;
        }
        match version {
            HttpVersion::Http2 => connect::http2(tcp).await,
            _ => connect::http1(tcp).await,
        }
    }

    /// Keeps an idle connection.
    pub(super) fn keep(self: &Arc<Self>, http1: Http1) {
        let settings = &self.settings;
        let unswept = self.pool.put_idle(http1, settings.clock.now(), settings.max_idle);
        if unswept {
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(sweep(Arc::downgrade(self)))),
                Err(_) => self.pool.unswept(),
            }
        }
    }
}

/// Closes connections that have been idle for too long, until none is left.
async fn sweep(origin: Weak<Origin>) {
    let mut sweeper = Sweeper(origin);
    while let Some(wait) = sweeper.next() {
        wait.await;
    }
}

/// Takes note when the task ends, as it does with its runtime.
struct Sweeper(Weak<Origin>);

impl Sweeper {
    fn next(&mut self) -> Option<crate::clock::Sleep> {
        let origin = self.0.upgrade()?;
        let (clock, timeout) = (&origin.settings.clock, origin.settings.pool_idle);
        origin.pool.sweep(clock.now(), timeout).then(|| clock.sleep(timeout))
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(origin) = self.0.upgrade() {
            origin.pool.unswept();
        }
    }
}

fn expects_content(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn path_and_query(uri: Uri) -> PathAndQuery {
    uri.into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"))
}
