use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, channel::Channel};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, ServiceBuilder, limit::ConcurrencyLimitLayer, util::BoxCloneSyncService};
use tower_gateway::{
    Identity,
    auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet},
    client_ip::{ClientIpLayer, PeerAddr},
    clock::Clock,
    key,
    rate_limit::{Quota, RateLimitLayer},
    route::{RouteLayer, Routes},
};

use crate::support::{
    assert_problem,
    tokens::{AUDIENCE, ISSUER, SECRET, claims, hs256},
};

type Handler = BoxCloneSyncService<Request<Incoming>, Response<Incoming>, Infallible>;

/// Gives the content back as it comes, or the connection if it is asked for that.
async fn echo(mut request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
    assert_eq!(request.extensions().get::<Identity>().unwrap().subject(), "alice");
    let upgrades = request.headers().contains_key(header::UPGRADE);
    let upgrade = upgrades.then(|| hyper::upgrade::on(&mut request));
    let mut response = Response::new(request.into_body());
    if let Some(upgrade) = upgrade {
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::UPGRADE, "echo".parse().unwrap());
        tokio::spawn(async move {
            let (mut from, mut to) = tokio::io::split(TokioIo::new(upgrade.await.unwrap()));
            tokio::io::copy(&mut from, &mut to).await.unwrap();
        });
    }
    Ok(response)
}

/// Every layer around a service that is ready for one call at a time, in a bare hyper server.
async fn serve() -> SocketAddr {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    let issuer = Issuer::new(ISSUER, keys).audience(AUDIENCE);
    let limit = RateLimitLayer::new(Quota::per_hour(5), key::client_ip());
    let one = || ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(1));
    let echo = || Handler::new(one().service(tower::service_fn(echo)));
    let gateway = ServiceBuilder::new()
        .layer(ClientIpLayer::direct())
        .layer(limit.clock(Clock::manual().0))
        .layer(JwtLayer::new(issuer).unwrap().clock(Clock::manual().0))
        .layer(RouteLayer::new(Routes::new().prefix("/routed", echo())).unwrap())
        .service(echo());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, peer)) = listener.accept().await {
            let gateway = tower::util::MapRequestLayer::new(move |mut it: Request<Incoming>| {
                it.extensions_mut().insert(PeerAddr(peer));
                it
            })
            .layer(gateway.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let gateway = TowerToHyperService::new(gateway);
                let socket = TokioIo::new(socket);
                let _ = server.serve_connection_with_upgrades(socket, gateway).await;
            });
        }
    });
    addr
}

async fn connect(addr: SocketAddr) -> SendRequest<Channel<Bytes>> {
    let socket = TokioIo::new(TcpStream::connect(addr).await.unwrap());
    let client = hyper::client::conn::http2::handshake(TokioExecutor::new(), socket);
    let (sender, connection) = client.await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A request without content, without a token.
fn anonymous(addr: SocketAddr, path: &str) -> Request<Channel<Bytes>> {
    Request::post(format!("http://{addr}{path}")).body(Channel::new(1).1).unwrap()
}

fn authorized(mut request: Request<Channel<Bytes>>) -> Request<Channel<Bytes>> {
    let token = format!("Bearer {}", hs256(&claims()));
    request.headers_mut().insert(header::AUTHORIZATION, token.parse().unwrap());
    request
}

#[tokio::test]
async fn the_layers_judge_over_every_connection() {
    let addr = serve().await;
    let refused = connect(addr).await.send_request(anonymous(addr, "/")).await.unwrap();
    assert_problem(refused, 401, "unauthenticated").await;
    let ambiguous = authorized(anonymous(addr, "/routed/%2e%2e/x"));
    let refused = connect(addr).await.send_request(ambiguous).await.unwrap();
    assert_problem(refused, 400, "malformed").await;
    for path in ["/", "/routed", "/"] {
        let request = authorized(anonymous(addr, path));
        assert_eq!(connect(addr).await.send_request(request).await.unwrap().status(), 200);
    }
    let limited = connect(addr).await.send_request(authorized(anonymous(addr, "/"))).await.unwrap();
    assert_problem(limited, 429, "rate-limited").await;
}

#[tokio::test]
async fn frames_and_trailers_pass_both_ways_as_they_come() {
    let addr = serve().await;
    for path in ["/", "/routed"] {
        let (mut sender, content) = Channel::new(1);
        let request = authorized(anonymous(addr, path)).map(|_| content);
        let answer = connect(addr).await.send_request(request).await.unwrap();
        let mut echoed = answer.into_body();
        for chunk in ["one", "two"] {
            sender.send_data(Bytes::from(chunk)).await.unwrap();
            let frame = echoed.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), chunk, "before the next is sent");
        }
        let trailers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"x\""))]);
        sender.send_trailers(trailers.clone()).await.unwrap();
        drop(sender);
        let frame = echoed.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap(), trailers);
    }
}

#[tokio::test]
async fn an_upgraded_connection_passes_the_layers() {
    let mut socket = TcpStream::connect(serve().await).await.unwrap();
    let token = hs256(&claims());
    let upgrade = format!(
        "GET /routed HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\
         connection: upgrade\r\nupgrade: echo\r\n\r\n"
    );
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("\r\n\r\n") {
        answer.push(char::from(socket.read_u8().await.unwrap()));
    }
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    socket.write_all(b"hello").await.unwrap();
    let mut echoed = [0; 5];
    socket.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"hello");
}
