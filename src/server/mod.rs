//! Serve a tower service over HTTP/1.1 and HTTP/2, to clients who mean harm.
//!
//! `axum::serve` and bare hyper accept connections; what they leave open is closed here:
//!
//! | a client that | meets |
//! |---|---|
//! | drips its header section, or its TLS handshake | [`header_timeout`](Server::header_timeout): cut |
//! | keeps idle connections | [`idle_timeout`](Server::idle_timeout): closed |
//! | stops sending content | [`body_idle_timeout`](Server::body_idle_timeout): 408 to whoever reads it |
//! | does not read what it asked for | [`write_timeout`](Server::write_timeout): cut |
//! | opens too many connections or streams | [`max_connections`](Server::max_connections): waits in the backlog; [`max_streams`](Server::max_streams): refused stream |
//! | sends a huge header section or target | 431 or 414 |
//! | opens and resets streams without end | `GOAWAY` |
//! | sends malformed content | 400 to whoever reads it, as a [`Rejection`](crate::Rejection) in the error |
//! | sends no host, two, or one that contradicts its target | 400 |
//! | frames its message in two ways, sends two `Authorization` fields, or a path that can be read in two ways | 400 or 501 |
//! | asks for a tunnel (`CONNECT`) or expects what there is not | 501, 417 |
//!
//! All of it before the first layer runs, so that every layer and the upstream see one host and one path.
//!
//! ```
//! use http::{Request, Response};
//! use tower_gateway::server::{RequestBody, Server, listen};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let hello = tower::service_fn(|request: Request<RequestBody>| async move {
//!     Ok::<_, std::convert::Infallible>(Response::new(request.uri().path().to_owned()))
//! });
//! let listener = listen(([127, 0, 0, 1], 0).into())?;
//! let addr = listener.local_addr()?;
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let server = tokio::spawn(Server::new().serve(listener, hello, async { drop(stopped.await) }));
//!
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # async fn ask(addr: std::net::SocketAddr, request: &str) -> String {
//! #     let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
//! #     stream.write_all(request.as_bytes()).await.unwrap();
//! #     let mut answer = String::new();
//! #     stream.read_to_string(&mut answer).await.unwrap();
//! #     answer
//! # }
//! let answer = ask(addr, "GET /%61 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
//! assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("/a"));
//! let answer = ask(addr, "GET / HTTP/1.1\r\n\r\n").await;
//! assert!(answer.starts_with("HTTP/1.1 400"));
//!
//! stop.send(()).unwrap();
//! server.await.unwrap()?;
//! # Ok(()) }
//! ```
//!
//! **Hosts.** An axum `Router` and a tonic `Routes` take any body, so they are served as they are:
//! `Server::new().serve(listener, router, shutdown)`; so is a stack of this crate's layers around them. A service
//! that wants one body type takes `request.map(axum::body::Body::new)`, for [`RequestBody`] is a body.
//!
//! **Extensions.** Each request carries the [`PeerAddr`](crate::client_ip::PeerAddr); over TLS also
//! [`Scheme::Https`](crate::target::Scheme) and, when the client presented a certificate that verified, its
//! [`PeerCertificate`].
//!
//! **Answers.** The service's error, a panic included, becomes a 500, or the rejection that lies among the error's
//! sources. What hyper refuses while it parses (a request line or field that breaks the grammar, a header section
//! or target over its size, contradicting lengths) gets a problem document too, over HTTP/1; over HTTP/2 it is an
//! error of the stream or the connection, as RFC 9113 demands. An answer to a request whose content nobody will read
//! says `Connection: close`. A message with both `Content-Length` and `Transfer-Encoding: chunked` is read as chunked, loses its
//! `Content-Length`, and its connection is closed after the answer, as RFC 9112 §6.1 demands.
//!
//! **Runtimes.** [`Server::serve`] runs on the caller's; [`Server::serve_per_core`] makes one current-thread runtime
//! per core, which costs less CPU per request than one multi-thread runtime.
//!
//! **Caveat.** Upgraded connections (WebSocket) belong to whoever upgraded them: they keep their place among the
//! [`max_connections`](Server::max_connections), and neither deadlines nor the drain concern them.

mod accept;
mod activity;
mod answer;
mod ask;
mod certificate;
mod connection;
mod cores;
mod head;
mod io;
mod parser;
mod request_body;
mod settings;
mod timer;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod watch;

use crate::BoxError;
use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tower_service::Service;

use settings::Limits;

pub use certificate::PeerCertificate;
pub use cores::{Cores, listen};
pub use request_body::RequestBody;
pub use settings::Server;
#[cfg(feature = "tls")]
pub use tls::ServerTls;

/// How a shutdown went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that were open when it began and ended in time.
    pub finished: usize,
    /// Connections that were cut at the end of the [drain timeout](Server::drain_timeout).
    pub cut: usize,
}

/// What a [`Server`] serves: a service from requests to responses that can be cloned for each of them.
///
/// Implemented for every such service; there is nothing to implement.
pub trait Asked<B>:
    Service<
        Request<RequestBody>,
        Response = Response<B>,
        Error: Into<BoxError>,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<S, B> Asked<B> for S where
    S: Service<
            Request<RequestBody>,
            Response = Response<B>,
            Error: Into<BoxError>,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

impl Server {
    /// Serves on the caller's runtime until `shutdown` completes, then drains: connections that the kernel has
    /// accepted are taken in, the listener closes, requests in flight end.
    ///
    /// Each request is put to a clone of `service`, once that is ready.
    ///
    /// # Errors
    ///
    /// When the listener cannot be used. Once it serves, it ends only by `shutdown`; dropping the future cuts all
    /// connections.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with I/O and time enabled.
    pub async fn serve<S, B>(
        self,
        listener: std::net::TcpListener,
        service: S,
        shutdown: impl Future<Output = ()>,
    ) -> std::io::Result<Drained>
    where
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let places = self.places();
        Ok(self.serving(service, places).run(listener, shutdown).await)
    }

    fn places(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.max_connections.min(Semaphore::MAX_PERMITS)))
    }
}
