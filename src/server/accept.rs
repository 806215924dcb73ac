//! The loop that accepts connections, and survives what the kernel answers.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::{
    Asked, BoxError, Drained, Limits,
    activity::Activity,
    connection::{Accepted, Stage},
    tls::Acceptor,
};
use crate::{clock::Clock, event};

/// How long to wait when the process or the machine has no file descriptor left.
const BACK_OFF: Duration = Duration::from_millis(200);

/// What connections come from; a trait so that tests can make the kernel fail.
pub(super) trait Accept {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>>;
}

impl Accept for TcpListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        Self::poll_accept(self, cx)
    }
}

/// A server that is set up and about to accept.
pub(super) struct Serving<S> {
    pub(super) limits: Arc<Limits>,
    pub(super) tls: Option<Acceptor>,
    pub(super) clock: Clock,
    pub(super) places: Arc<Semaphore>,
    pub(super) service: S,
}

impl<S> Serving<S> {
    /// Accepts until `shutdown`, then drains.
    pub(super) async fn run<B>(
        self,
        listener: impl Accept,
        shutdown: impl Future<Output = ()>,
    ) -> Drained
    where
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (stage, _) = watch::channel(Stage::Serving);
        {
            let mut accepting = pin!(self.accept(&listener, &stage));
            let mut shutdown = pin!(shutdown);
            poll_fn(|cx| {
                if shutdown.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                accepting.as_mut().poll(cx).map(|never| match never {})
            })
            .await;
        }
        stage.send_replace(Stage::Draining);
        self.empty(&listener, &stage).await;
        drop(listener);
        self.drain(stage).await
    }

    async fn accept<B>(&self, listener: &impl Accept, stage: &watch::Sender<Stage>) -> Infallible
    where
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            match poll_fn(|cx| listener.poll_accept(cx)).await {
                Ok((stream, peer)) => self.start(stream, peer, Some(place), stage),
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    event::warning("server", "cannot accept a connection", &error);
                    self.clock.sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// Takes in what the kernel has accepted already: to close the listener would reset it.
    async fn empty<B>(&self, listener: &impl Accept, stage: &watch::Sender<Stage>)
    where
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        tokio::task::yield_now().await; // let the driver see what has arrived
        poll_fn(|cx| {
            loop {
                match listener.poll_accept(cx) {
                    Poll::Ready(Ok((stream, peer))) => {
                        let place = Arc::clone(&self.places).try_acquire_owned().ok();
                        self.start(stream, peer, place, stage);
                    }
                    Poll::Ready(Err(error)) if is_the_clients(&error) => {}
                    Poll::Ready(Err(_)) | Poll::Pending => return Poll::Ready(()),
                }
            }
        })
        .await;
    }

    fn start<B>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: Option<OwnedSemaphorePermit>,
        stage: &watch::Sender<Stage>,
    ) where
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        // Answers are written whole; waiting to fill a segment only delays them. A socket that refuses is dead.
        let _ = stream.set_nodelay(true);
        let accepted = Accepted {
            limits: Arc::clone(&self.limits),
            activity: Arc::new(Activity::start(self.clock.clone())),
            peer,
            place,
            stage: stage.subscribe(),
        };
        tokio::spawn(accepted.serve(stream, self.tls.clone(), self.service.clone()));
    }

    /// Waits for the connections to end, and cuts those that do not.
    async fn drain(&self, stage: watch::Sender<Stage>) -> Drained {
        let before = stage.receiver_count();
        let mut time_is_up = pin!(self.clock.sleep(self.limits.drain_timeout));
        let mut all_closed = pin!(stage.closed());
        let cut = poll_fn(|cx| {
            if all_closed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(0);
            }
            time_is_up
                .as_mut()
                .poll(cx)
                .map(|()| stage.receiver_count())
        })
        .await;
        stage.send_replace(Stage::Cut);
        stage.closed().await;
        Drained {
            finished: before - cut.min(before),
            cut,
        }
    }
}

/// Whether accepting failed for this one client, and the next may be tried at once (accept(2)).
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(
        error.kind(),
        E::ConnectionAborted
            | E::ConnectionReset
            | E::ConnectionRefused
            | E::Interrupted
            | E::HostUnreachable
            | E::NetworkUnreachable
            | E::NetworkDown
            | E::TimedOut
    )
}
