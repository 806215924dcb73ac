//! Origins: a hyper server that counts its connections, and a socket that says what it is told to say.
#![allow(unreachable_pub)]

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Service, ServiceExt};
use tower_gateway::upstream::Upstream;

pub type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// A running origin, and how many connections were made to it.
pub struct Origin {
    pub addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Origin {
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn upstream(&self) -> Upstream {
        Upstream::new(self.url()).unwrap()
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }

    /// Until so many connections are open.
    pub async fn open(&self, connections: usize) {
        until(|| self.open.load(SeqCst) == connections).await;
    }
}

/// Yields until the condition holds.
pub async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

/// An origin that speaks HTTP/1.1 and HTTP/2.
pub async fn serve<F, R>(handler: F) -> Origin
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin {
        addr: listener.local_addr().unwrap(),
        accepted: Arc::default(),
        open: Arc::default(),
    };
    let (accepted, open) = (Arc::clone(&origin.accepted), Arc::clone(&origin.open));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            accepted.fetch_add(1, SeqCst);
            open.fetch_add(1, SeqCst);
            let (handler, open) = (handler.clone(), Arc::clone(&open));
            let service = service_fn(move |request| {
                let answer = handler(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(async move {
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await;
                open.fetch_sub(1, SeqCst);
            });
        }
    });
    origin
}

/// An origin that answers with the head that it got, a line per field, and the content after an empty line.
pub async fn echo() -> Origin {
    serve(|request: Request<Incoming>| async move {
        let mut text = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
        for (name, value) in request.headers() {
            text += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
        }
        let content = request.into_body().collect().await.unwrap();
        if let Some(trailers) = content.trailers() {
            for (name, value) in trailers {
                text += &format!("trailer {name}: {}\n", value.to_str().unwrap());
            }
        }
        text += "\n";
        let mut text = text.into_bytes();
        text.extend_from_slice(&content.to_bytes());
        answer(Full::from(text))
    })
    .await
}

pub fn answer<B>(body: B) -> Answer
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    Response::new(body.map_err(|never| match never {}).boxed_unsync())
}

/// An origin that gives each connection to `script`.
pub async fn raw<F, R>(script: F) -> Origin
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin {
        addr: listener.local_addr().unwrap(),
        accepted: Arc::default(),
        open: Arc::default(),
    };
    let accepted = Arc::clone(&origin.accepted);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            accepted.fetch_add(1, SeqCst);
            tokio::spawn(script(stream));
        }
    });
    origin
}

/// An origin that reads a head, says this, and closes.
pub async fn says(answer: impl Into<Vec<u8>>) -> Origin {
    let answer: Arc<[u8]> = answer.into().into();
    raw(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await
}

/// A request's head, with what came along; empty at the end of the stream.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|it| it == b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    String::from_utf8(head).unwrap()
}

/// A hyper server in front of this service: the whole way from a socket to a socket.
pub async fn front<S, B>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            let service = service_fn(move |request| service.clone().oneshot(request));
            tokio::spawn(async move {
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await
                    .map_err(|_| ())
            });
        }
    });
    addr
}

/// Sends these octets and returns all that comes back until the other side closes.
pub async fn talk(addr: SocketAddr, octets: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(octets.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
