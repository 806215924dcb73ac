//! A connection, for as long as one exchange needs it.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::TrySendError};
use pin_project_lite::pin_project;
use tokio::runtime::Handle;

use super::{
    body::RequestBody,
    origin::Origin,
    pool::{Http1, Http2, Stream},
    timer::Timer,
};

/// The right to send one request over a connection. Dropping it closes the connection, if it is HTTP/1.1's.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Connection,
    origin: Arc<Origin>,
    /// Whether others have used the connection before, so that it may have been closed by now.
    pub(super) reused: bool,
}

#[derive(Debug)]
enum Connection {
    Http1(Http1),
    Http2(Http2, Stream, Timer),
}

pin_project! {
    /// hyper's two futures, which have no names.
    #[project = SendingProj]
    enum Sending<A, B> {
        Http1 { #[pin] sending: A },
        Http2 { #[pin] sending: B },
    }
}

impl<A: Future, B: Future<Output = A::Output>> Future for Sending<A, B> {
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        match self.project() {
            SendingProj::Http1 { sending } => sending.poll(cx),
            SendingProj::Http2 { sending } => sending.poll(cx),
        }
    }
}

impl Lease {
    pub(super) fn http1(origin: Arc<Origin>, http1: Http1, reused: bool) -> Self {
        Self { connection: Connection::Http1(http1), origin, reused }
    }

    pub(super) fn http2(
        origin: Arc<Origin>,
        (http2, stream): (Http2, Stream),
        reused: bool,
    ) -> Self {
        Self { connection: Connection::Http2(http2, stream, Timer::default()), origin, reused }
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.connection, Connection::Http2(..))
    }

    /// Sends; an error holds the request again if nothing of it has been written.
    #[allow(clippy::result_large_err)] // hyper's
    pub(super) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>>
    + Send
    + use<> {
        match &mut self.connection {
            Connection::Http1(it) => {
                Sending::Http1 { sending: it.sender.try_send_request(request) }
            }
            Connection::Http2(it, ..) => {
                Sending::Http2 { sending: it.sender.try_send_request(request) }
            }
        }
    }

    pub(super) fn timer(&mut self) -> &mut Timer {
        match &mut self.connection {
            Connection::Http1(it) => &mut it.timer,
            Connection::Http2(_, _, timer) => timer,
        }
    }

    /// Whether an HTTP/1.1 connection has done with this exchange: the response has been received to its end
    /// and the request sent to its end.
    pub(super) fn is_free(&self) -> bool {
        matches!(&self.connection, Connection::Http1(it) if it.sender.is_ready())
    }

    /// The connection is suspect: an HTTP/2 one gets no new streams.
    pub(super) fn retire(&self) {
        if let Connection::Http2(_, stream, _) = &self.connection {
            stream.retire_connection();
        }
    }

    /// The response has ended. Keeps an HTTP/1.1 connection for the next exchange.
    pub(super) fn give_back(self) {
        let Connection::Http1(mut http1) = self.connection else {
            return;
        };
        if http1.sender.is_ready() {
            return self.origin.keep(http1);
        }
        // Rare: the request's body is not through yet, or another thread has not got as far.
        let origin: Weak<Origin> = Arc::downgrade(&self.origin);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let ready = http1.sender.ready().await;
                if let (Ok(()), Some(origin)) = (ready, origin.upgrade()) {
                    origin.keep(http1);
                }
            });
        }
    }
}
