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
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::{
    Asked, Drained, Limits,
    activity::Activity,
    connection::Accepted,
    tls::Acceptor,
    watch::{Stage, Watch},
};
use crate::{BoxError, clock::Clock, event};

/// How long to wait when the process or the machine has no file descriptor left.
const BACK_OFF: Duration = Duration::from_millis(200);

/// What connections come from; a trait so that tests can make the kernel fail.
pub(super) trait Accept {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>>;

    /// A connection that the kernel has accepted already, though the runtime may not know it yet.
    fn accept_now(&self) -> io::Result<(TcpStream, SocketAddr)>;
}

impl Accept for TcpListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        Self::poll_accept(self, cx)
    }

    fn accept_now(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = SockRef::from(self).accept()?;
        socket.set_nonblocking(true)?;
        let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        Ok((TcpStream::from_std(socket.into())?, peer))
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
        self.empty(&listener, &stage);
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
    fn empty<B>(&self, listener: &impl Accept, stage: &watch::Sender<Stage>)
    where
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        loop {
            match listener.accept_now() {
                Ok((stream, peer)) => {
                    let place = Arc::clone(&self.places).try_acquire_owned().ok();
                    self.start(stream, peer, place, stage);
                }
                Err(error) if is_the_clients(&error) => {}
                Err(_) => return, // no more, or no file descriptor for more
            }
        }
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
        let activity = Arc::new(Activity::start(self.clock.clone()));
        let accepted = Accepted {
            peer,
            place,
            watch: Watch::new(activity, Arc::clone(&self.limits), stage.subscribe()),
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
            time_is_up.as_mut().poll(cx).map(|()| stage.receiver_count())
        })
        .await;
        stage.send_replace(Stage::Cut);
        stage.closed().await;
        Drained { finished: before - cut.min(before), cut }
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

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::{collections::VecDeque, sync::Mutex};

    use http::{Request, Response};

    use super::*;
    use crate::server::{RequestBody, Server};

    /// A listener whose first accepts fail with these error numbers.
    struct Failing(TcpListener, Mutex<VecDeque<i32>>);

    impl Accept for Failing {
        fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
            match self.1.lock().expect("never poisoned").pop_front() {
                Some(number) => Poll::Ready(Err(io::Error::from_raw_os_error(number))),
                None => self.0.poll_accept(cx),
            }
        }

        fn accept_now(&self) -> io::Result<(TcpStream, SocketAddr)> {
            self.0.accept_now()
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn failing_to_accept_ends_nothing_and_costs_less_than_a_second() {
        const ECONNABORTED: i32 = 103;
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        let (clock, time) = Clock::manual();
        let (server, start) = (Server::new().clock(clock.clone()), clock.now());
        let places = Arc::new(Semaphore::new(1));
        let hello =
            |_: Request<RequestBody>| async { Ok::<_, Infallible>(Response::new(String::new())) };
        let serving = server.serving(tower::service_fn(hello), places);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let errors = [ECONNABORTED, EMFILE, ECONNABORTED, ENFILE, ECONNABORTED];
        let failing = Failing(listener, Mutex::new(errors.into()));
        let running = tokio::spawn(serving.run(failing, std::future::pending()));

        let client = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut client = TcpStream::connect(addr).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            client.write_all(request).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        });
        while !client.is_finished() {
            if time.sleepers() > 0 && clock.now() - start < Duration::from_secs(1) {
                time.advance(BACK_OFF);
            }
            tokio::task::yield_now().await;
        }
        assert!(client.await.unwrap().starts_with("HTTP/1.1 200"));
        assert!(!running.is_finished());
        running.abort();
    }
}
