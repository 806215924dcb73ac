//! A server with a recording service, and clients that send what they like.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};
use tower_gateway::target::Scheme;
use tower_gateway::{
    BoxError,
    clock::{Clock, ManualClock},
    server::{Drained, RequestBody, Server, listen},
};

/// A running server.
pub struct Rig {
    pub addr: SocketAddr,
    pub service: Recorder,
    pub time: ManualClock,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<Drained>>,
}

impl Rig {
    /// Default settings and a clock that stands still.
    pub fn start() -> Self {
        Self::with(|server| server)
    }

    pub fn with(set: impl FnOnce(Server) -> Server) -> Self {
        let (clock, time) = Clock::manual();
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let addr = listener.local_addr().unwrap();
        let service = Recorder::default();
        let (stop, stopped) = oneshot::channel();
        let server = set(Server::new().clock(clock));
        let (recorder, shutdown) = (service.clone(), async { drop(stopped.await) });
        let answer = tower::service_fn(move |request| recorder.clone().answer(request));
        Self {
            addr,
            service,
            time,
            stop,
            server: tokio::spawn(server.serve(listener, answer, shutdown)),
        }
    }

    /// Begins the shutdown.
    pub fn stop(self) -> JoinHandle<std::io::Result<Drained>> {
        self.stop.send(()).unwrap();
        self.server
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Sends the bytes and reads to the end of the connection.
    pub async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let stream = self.connect().await;
        converse(stream, bytes.as_ref()).await
    }

    /// How many requests reached the service.
    pub fn seen(&self) -> usize {
        self.service.0.seen.load(SeqCst)
    }

    /// Waits, in turns of the runtime and without a clock, until this holds.
    pub async fn until(&self, what: impl Fn(&Self) -> bool) {
        soon(async {
            while !what(self) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// Writes while it reads: an early answer must not be lost in a broken pipe.
pub async fn converse(stream: TcpStream, bytes: &[u8]) -> String {
    let (mut read, mut write) = stream.into_split();
    let bytes = bytes.to_vec();
    let writing = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        write // kept open: the server is to close
    });
    let mut answer = Vec::new();
    let end = soon(read.read_to_end(&mut answer)).await;
    writing.abort();
    let text = String::from_utf8_lossy(&answer).into_owned();
    match end {
        Ok(_) => text,
        Err(error) => format!("{text}\n[{error}]"),
    }
}

/// Fails the test when this takes five seconds of real time: a hang, said in words.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::select! {
        output = future => output,
        () = Clock::system().sleep(Duration::from_secs(5)) => panic!("nothing happened for 5 s"),
    }
}

/// The statuses of the answers in this text, in order.
pub fn statuses(answers: &str) -> Vec<u16> {
    answers.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}

/// Counts what reaches it, and answers by the path.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

pub struct Shared {
    pub seen: AtomicUsize,
    pub cancelled: AtomicUsize,
    pub heads: Mutex<Vec<String>>,
    /// Requests to `/hold` take one each.
    pub gate: Semaphore,
}

impl Default for Recorder {
    fn default() -> Self {
        Self(Arc::new(Shared {
            seen: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            heads: Mutex::default(),
            gate: Semaphore::new(0),
        }))
    }
}

impl std::ops::Deref for Recorder {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Counts a future that was dropped before its end.
struct Cancelled(Recorder, bool);

impl Drop for Cancelled {
    fn drop(&mut self) {
        if !self.1 {
            self.0.cancelled.fetch_add(1, SeqCst);
        }
    }
}

impl Recorder {
    async fn answer(
        self,
        request: Request<RequestBody>,
    ) -> Result<Response<Full<Bytes>>, BoxError> {
        self.seen.fetch_add(1, SeqCst);
        let mut cancelled = Cancelled(self.clone(), false);
        let (parts, body) = request.into_parts();
        let mut head = format!("{} {}\n", parts.method, parts.uri);
        for (name, value) in &parts.headers {
            head += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
        }
        let extension = |what: &str, it: Option<String>| {
            it.map_or(String::new(), |it| format!("[{what} {it}]\n"))
        };
        let found = &parts.extensions;
        head += &extension(
            "peer",
            found.get::<tower_gateway::client_ip::PeerAddr>().map(|it| it.0.ip().to_string()),
        );
        head += &extension(
            "scheme",
            Some(found.get::<Scheme>().copied().unwrap_or_default().as_str().to_owned()),
        );
        head += &extension(
            "certificate",
            found
                .get::<tower_gateway::server::PeerCertificate>()
                .map(|it| it.leaf().len().to_string()),
        );
        self.heads.lock().unwrap().push(head.clone());
        let answer = match parts.uri.path() {
            "/early" => Ok(Response::builder().status(401).body(Full::from("early")).unwrap()),
            "/panic" => panic!("on purpose"),
            "/fail" => Err("password=hunter2".into()),
            "/big" => Ok(Response::new(Full::from(vec![b'x'; 64 << 20]))),
            "/hold" => {
                self.gate.acquire().await.unwrap().forget();
                Ok(Response::new(Full::from("held")))
            }
            _ => match body.collect().await {
                Ok(body) => {
                    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                    Ok(Response::new(Full::from(format!("{head}\n{text}"))))
                }
                Err(rejection) => Err(rejection.into()),
            },
        };
        cancelled.1 = true;
        answer
    }
}
