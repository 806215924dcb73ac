//! One current-thread runtime per core, each with a listener of its own on the same port.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::Arc,
    thread::JoinHandle,
};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{Semaphore, watch};

use super::{Asked, Drained, Server};
use crate::BoxError;

/// How many connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// A listener for [`Server::serve`]: address reuse on, so that a restart need not wait, and a long backlog.
///
/// # Errors
///
/// When the address cannot be bound.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    bind(addr, false).map_err(|error| unavailable(addr, &error))
}

/// `shared`: other listeners of this process have the port already.
fn bind(addr: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(unix)]
    {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    let _ = shared;
    Ok(socket.into())
}

/// A listener for each core, all on the address of the first.
fn listen_each(addr: SocketAddr, cores: NonZeroUsize) -> io::Result<Vec<TcpListener>> {
    // Alone, and only then shared: into a port that is shared from the start the kernel lets another gateway of
    // the same user too, and each of them gets some of the connections.
    let first = bind(addr, false).map_err(|error| unavailable(addr, &error))?;
    #[cfg(unix)]
    socket2::SockRef::from(&first).set_reuse_port(true)?;
    let addr = first.local_addr()?;
    let rest = (1..cores.get()).map(|_| bind(addr, true));
    std::iter::once(Ok(first)).chain(rest).collect()
}

/// Says which address it was: the system's error does not.
fn unavailable(addr: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"))
}

/// A server that runs on threads of its own. Created by [`Server::serve_per_core`].
///
/// Dropping it begins the shutdown, and does not wait for its end.
pub struct Cores {
    addr: SocketAddr,
    stop: watch::Sender<()>,
    threads: Vec<JoinHandle<io::Result<Drained>>>,
}

impl Server {
    /// Serves on `cores` threads, each a current-thread runtime with its own listener on `addr`
    /// (`SO_REUSEPORT`): the kernel spreads the connections, and a request never changes threads.
    ///
    /// `make_service` runs once on each thread, inside its runtime, so that pools and caches of connections are
    /// a core's own. What all cores should share (limits, key sets) it clones in.
    /// [`max_connections`](Self::max_connections) counts over all cores. With port 0 the system chooses one port
    /// for all.
    ///
    /// ```
    /// use std::{convert::Infallible, num::NonZeroUsize};
    /// use http::{Request, Response};
    /// use tower_gateway::server::{RequestBody, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let make_service = || {
    ///     tower::service_fn(|_: Request<RequestBody>| async {
    ///         Ok::<_, Infallible>(Response::new(String::from("hello")))
    ///     })
    /// };
    /// let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    /// let cores = Server::new().serve_per_core(([127, 0, 0, 1], 0).into(), cores, make_service)?;
    /// // ... until it is time to go:
    /// let drained = cores.drain()?;
    /// assert_eq!(drained.cut, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// Where there is no `SO_REUSEPORT` (outside of Unix) only one core can be served.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound, another server's included that shares its port among its own cores, or a
    /// thread cannot be started; then nothing is left running.
    pub fn serve_per_core<F, S, B>(
        self,
        addr: SocketAddr,
        cores: NonZeroUsize,
        make_service: F,
    ) -> io::Result<Cores>
    where
        F: Fn() -> S + Send + Sync + 'static,
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let listeners = listen_each(addr, cores)?;
        let addr = listeners[0].local_addr()?;
        let make_service = Arc::new(make_service);
        let places = self.places();
        let (stop, _) = watch::channel(());
        let threads = listeners
            .into_iter()
            .enumerate()
            .map(|(core, listener)| {
                let (server, make) = (self.clone(), Arc::clone(&make_service));
                let (places, stopped) = (Arc::clone(&places), stop.subscribe());
                std::thread::Builder::new()
                    .name(format!("gateway-{core}"))
                    .spawn(move || server.serve_core(listener, &*make, places, stopped))
            })
            .collect::<io::Result<_>>()?;
        Ok(Cores { addr, stop, threads })
    }

    fn serve_core<S, B>(
        self,
        listener: TcpListener,
        make_service: &dyn Fn() -> S,
        places: Arc<Semaphore>,
        mut stopped: watch::Receiver<()>,
    ) -> io::Result<Drained>
    where
        S: Asked<B>,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let serving = self.serving(make_service(), places);
            // A message or the sender's end: both mean stop.
            let shutdown = async { drop(stopped.changed().await) };
            Ok(serving.run(listener, shutdown).await)
        })
    }
}

impl Cores {
    /// The address that all cores listen on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Shuts down gracefully and blocks until all threads have ended.
    ///
    /// # Errors
    ///
    /// When a thread could not start its runtime, or panicked.
    pub fn drain(self) -> io::Result<Drained> {
        self.stop.send_replace(());
        let mut total = Drained::default();
        for thread in self.threads {
            let drained =
                thread.join().map_err(|_| io::Error::other("a core's thread panicked"))??;
            total.finished += drained.finished;
            total.cut += drained.cut;
        }
        Ok(total)
    }
}

impl fmt::Debug for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cores")
            .field("addr", &self.addr)
            .field("cores", &self.threads.len())
            .finish()
    }
}
