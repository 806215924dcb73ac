//! What an HTTP client costs: the same keep-alive `GET` of about 200 octets of JSON over loopback, by each client.
//!
//! `cargo bench --bench clients`. Every contender runs in a process of its own on one thread; what counts is the
//! CPU time of that process (from the scheduler, user and system), not the clock on the wall. Two tables: the
//! client alone, and a proxy made of it (a hyper server in front). The best of several rounds is shown: on a
//! shared machine all noise is upwards. Without `--bench` (as in `cargo test --all-targets`) it only checks that
//! it runs.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    io::{BufRead, BufReader},
    net::SocketAddr,
    pin::Pin,
    process::{Child, Command, Stdio},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{body::Incoming, client::conn::http1, service::service_fn};
use hyper_util::{
    client::{legacy, pool::cache},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use tower::{Service, ServiceExt};
use tower_gateway::{client::HttpClient, upstream::Upstream};

type BoxError = Box<dyn Error + Send + Sync>;

const CONTENDERS: [&str; 5] = ["bare", "pool-cache", "legacy", "HttpClient", "Upstream"];
const CONNECTIONS: usize = 32;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    match args.as_slice() {
        ["origin"] => runtime.block_on(origin()),
        ["client", kind, addr, count] => runtime.block_on(client(kind, parse(addr), parse(count))),
        ["proxy", kind, addr] => runtime.block_on(proxy(kind, parse(addr))),
        ["load", addr, count] => runtime.block_on(load(parse(addr), parse(count))),
        other => compare(other.contains(&"--bench")),
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().expect("our own argument")
}

// === the comparison ===

fn compare(real: bool) {
    let (rounds, count) = if real { (7, 60_000) } else { (1, 200) };
    let (_origin, addr) = server(&["origin"]);
    println!("{:<12} {:>14} {:>8} {:>14} {:>8}", "", "client µs/req", "", "proxy µs/req", "");
    let mut best = [[f64::MAX; 2]; CONTENDERS.len()];
    for _ in 0..rounds {
        for (kind, best) in CONTENDERS.iter().zip(&mut best) {
            best[0] = best[0].min(client_cost(kind, &addr, count));
            best[1] = best[1].min(proxy_cost(kind, &addr, count));
        }
    }
    let bare = best[0];
    for (kind, [client, proxy]) in CONTENDERS.iter().zip(best) {
        println!(
            "{kind:<12} {client:>14.2} {:>8.2} {proxy:>14.2} {:>8.2}",
            client / bare[0],
            proxy / bare[1]
        );
    }
}

fn client_cost(kind: &str, addr: &str, count: usize) -> f64 {
    let (mut child, line) = child(&["client", kind, addr, &count.to_string()]);
    child.wait().expect("the client ends");
    parse::<f64>(&line)
}

fn proxy_cost(kind: &str, addr: &str, count: usize) -> f64 {
    let (proxy, front) = server(&["proxy", kind, addr]);
    let run = |count: usize| {
        let (mut load, _) = child(&["load", &front, &count.to_string()]);
        load.wait().expect("the load ends");
    };
    run(count / 10); // warm
    let before = cpu(&proxy.0.id().to_string());
    run(count);
    (cpu(&proxy.0.id().to_string()) - before) as f64 / count as f64 / 1_000.0
}

/// A process that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn server(args: &[&str]) -> (Running, String) {
    let (child, line) = child(args);
    (Running(child), line)
}

/// Starts this program again and reads the first line that it says.
fn child(args: &[&str]) -> (Child, String) {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    (child, line.trim().to_owned())
}

/// CPU time of a process' main thread, in nanoseconds.
fn cpu(pid: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("Linux");
    parse(stat.split(' ').next().unwrap_or_default())
}

// === the parts ===

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    listener
}

async fn origin() {
    const JSON: &str = r#"{"id":7,"name":"Ada Lovelace","mail":"ada@example.org","roles":["admin","staff"],"plan":"gold","created":"2026-01-02T03:04:05Z","address":{"street":"1 Main Street","city":"London","zip":"W1"}}"#;
    serve(listen().await, || {
        service_fn(|_: Request<Incoming>| async {
            let mut response = Response::new(Full::<Bytes>::from(JSON));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            Ok::<_, Infallible>(response)
        })
    })
    .await;
}

/// One service for each connection.
async fn serve<M, S, B>(listener: TcpListener, make: M)
where
    M: Fn() -> S,
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), make());
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}

fn get(addr: SocketAddr) -> Request<Empty<Bytes>> {
    let uri = format!("http://{addr}/users/7");
    Request::get(uri).header("accept", "application/json").body(Empty::new()).expect("a request")
}

/// So many requests over 32 connections; says what one cost.
async fn client(kind: &str, addr: SocketAddr, count: usize) {
    let legacy = legacy_client();
    let pooled = cache::builder()
        .executor(TokioExecutor::new())
        .build(tower::service_fn(move |()| Box::pin(connect(addr))));
    let (ours, upstream) =
        (HttpClient::new(), Upstream::new(format!("http://{addr}")).expect("an origin"));
    let run = async |count: usize| {
        let each = count / CONNECTIONS;
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| match kind {
                "bare" => tokio::spawn(bare(addr, each)),
                "pool-cache" => {
                    let pooled = pooled.clone();
                    tokio::spawn(again(each, move || {
                        let mut pooled = pooled.clone();
                        async move {
                            let mut sender = pooled
                                .ready()
                                .await
                                .expect("ready")
                                .call(())
                                .await
                                .expect("connected");
                            sender.inner_mut().ready().await.expect("open");
                            let response =
                                sender.inner_mut().send_request(origin_form(get(addr))).await;
                            drain(response.expect("a response")).await; // the connection goes back after it
                        }
                    }))
                }
                "legacy" => {
                    let legacy = legacy.clone();
                    tokio::spawn(again(each, move || {
                        let call = legacy.request(get(addr));
                        async move { drain(call.await.expect("a response")).await }
                    }))
                }
                "HttpClient" => {
                    let mut ours = ours.clone();
                    tokio::spawn(again(each, move || {
                        let call = ours.call(get(addr));
                        async move { drain(call.await.expect("a response")).await }
                    }))
                }
                _ => {
                    let mut upstream = upstream.clone();
                    tokio::spawn(again(each, move || {
                        let call = upstream.call(get(addr));
                        async move { drain(call.await.expect("a response")).await }
                    }))
                }
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    };
    run(count / 10).await; // connects, warms
    let before = cpu("self");
    run(count).await;
    println!("{}", (cpu("self") - before) as f64 / count as f64 / 1_000.0);
}

async fn again<F: Future<Output = ()>>(times: usize, mut call: impl FnMut() -> F) {
    for _ in 0..times {
        call().await;
    }
}

/// A connection of its own, and nothing around it: the floor.
async fn bare(addr: SocketAddr, times: usize) {
    let mut sender = connect(addr).await.expect("connected");
    for _ in 0..times {
        sender.ready().await.expect("open");
        drain(sender.send_request(origin_form(get(addr))).await.expect("a response")).await;
    }
}

async fn connect<B>(addr: SocketAddr) -> Result<http1::SendRequest<B>, BoxError>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn origin_form<B>(mut request: Request<B>) -> Request<B> {
    let uri = std::mem::take(request.uri_mut()).into_parts();
    if let Some(host) = uri.authority.and_then(|it| HeaderValue::from_str(it.as_str()).ok()) {
        request.headers_mut().insert(header::HOST, host);
    }
    *request.uri_mut() = uri.path_and_query.map_or_else(Uri::default, Uri::from);
    request
}

async fn drain<B>(response: Response<B>)
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.expect("a whole body");
}

fn legacy_client<B>() -> legacy::Client<legacy::connect::HttpConnector, B>
where
    B: http_body::Body<Data = Bytes> + Send,
{
    let mut connector = legacy::connect::HttpConnector::new();
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new()).build(connector)
}

/// A front on one thread that hands every request to the contender.
async fn proxy(kind: &str, addr: SocketAddr) {
    let listener = listen().await;
    match kind {
        "bare" => {
            serve(listener, || {
                let sender = Arc::new(Mutex::new(None::<http1::SendRequest<Incoming>>));
                service_fn(move |request| {
                    let sender = Arc::clone(&sender);
                    async move {
                        let mut sender = sender.lock().await; // one connection for each of the front's
                        if sender.is_none() {
                            *sender = Some(connect(addr).await?);
                        }
                        let sender = sender.as_mut().expect("connected");
                        sender.ready().await?;
                        Ok::<_, BoxError>(sender.send_request(request).await?)
                    }
                })
            })
            .await;
        }
        "pool-cache" => {
            let pooled = cache::builder()
                .executor(TokioExecutor::new())
                .build(tower::service_fn(move |()| Box::pin(connect(addr))));
            serve(listener, || {
                let pooled = pooled.clone();
                service_fn(move |request| {
                    let mut pooled = pooled.clone();
                    async move {
                        let mut sender = pooled.ready().await?.call(()).await?;
                        sender.inner_mut().ready().await?;
                        let response = sender.inner_mut().send_request(request).await?;
                        Ok::<_, BoxError>(response.map(|body| Held { body, _sender: sender }))
                    }
                })
            })
            .await;
        }
        "legacy" => {
            let legacy = legacy_client();
            serve(listener, || {
                let legacy = legacy.clone();
                service_fn(move |request| legacy.request(absolute(request, addr)))
            })
            .await;
        }
        "HttpClient" => {
            let ours = HttpClient::new();
            serve(listener, || {
                let ours = ours.clone();
                service_fn(move |request| ours.clone().call(absolute(request, addr)))
            })
            .await;
        }
        _ => {
            let upstream = Upstream::new(format!("http://{addr}")).expect("an origin");
            serve(listener, || {
                let upstream = upstream.clone();
                service_fn(move |request| upstream.clone().call(request))
            })
            .await;
        }
    }
}

fn absolute(mut request: Request<Incoming>, addr: SocketAddr) -> Request<Incoming> {
    let target = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let uri = Uri::builder().scheme("http").authority(addr.to_string()).path_and_query(target);
    *request.uri_mut() = uri.build().expect("a URI");
    request
}

/// A body that keeps its connection from the pool until it ends.
struct Held<S> {
    body: Incoming,
    _sender: S,
}

impl<S: Unpin> http_body::Body for Held<S> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// So many requests over 32 connections to a front.
async fn load(front: SocketAddr, count: usize) {
    let each = count / CONNECTIONS;
    let tasks: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(bare(front, each))).collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    println!("done");
}
