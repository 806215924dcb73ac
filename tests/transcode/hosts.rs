//! The layer where it is to stand: in axum, in tonic, in front of an upstream; and its clients on sockets.

use std::{future::pending, net::SocketAddr};

use axum::{Router, routing};
use example_proto::users::v1::{
    GetUserRequest, WatchUsersRequest, users_client::UsersClient, users_server::UsersServer,
};
use http::Request;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::{
    service::Routes,
    transport::{Channel, server::TcpIncoming},
};
use tower::Layer;
use tower_gateway::{server, target::PathRules, upstream::Upstream};

use crate::{
    rest::{get, layer, post, send},
    users::Users,
};

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn server() -> UsersServer<Users> {
    UsersServer::new(Users::default())
}

/// A tonic server that speaks REST too.
async fn tonic() -> SocketAddr {
    let (listener, addr) = listen().await;
    let server =
        tonic::transport::Server::builder().accept_http1(true).layer(layer()).add_service(server());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    addr
}

/// The gateway, in front of a tonic server that does not.
async fn gateway() -> SocketAddr {
    gateway_of(server::Server::new()).await
}

async fn gateway_of(gateway: server::Server) -> SocketAddr {
    let (listener, origin) = listen().await;
    let server = tonic::transport::Server::builder().add_service(server());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let upstream = Upstream::new(format!("http://{origin}")).unwrap().http2();
    let listener = server::listen(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(gateway.serve(listener, layer().layer(upstream), pending()));
    addr
}

/// Sends it in pieces of this size, and reads until the server closes.
async fn raw(addr: SocketAddr, request: &str, piece: usize) -> (String, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in request.as_bytes().chunks(piece) {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn clients_on_sockets() {
    for addr in [tonic().await, gateway().await] {
        let body = r#"{"displayName":"Ada"}"#;
        let create = format!(
            "POST /v1/users?id=ada HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let (head, body) = raw(addr, &create, 1).await;
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["name"], "users/ada");

        let get = "GET /v1/users/bob HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let (head, body) = raw(addr, get, 7).await;
        assert!(head.starts_with("HTTP/1.1 404 Not Found"), "{head}");
        let details = &serde_json::from_str::<Value>(&body).unwrap()["details"];
        assert_eq!(details[0]["resourceName"], "users/bob");

        let watch = "GET /v1/users:watch?limit=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             accept: text/event-stream\r\n\r\n";
        let (head, body) = raw(addr, watch, 11).await;
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(body.contains("data: {\"kind\":\"KIND_EXISTS\""), "{body}");

        let lines = "{\"id\":\"a\",\"user\":{\"displayName\":\"A\"}}\n{\"id\":\"b\"";
        let rest = ",\"user\":{\"displayName\":\"B\"}}\n";
        let import = format!(
            "POST /v1/users:import HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n{lines}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
            lines.len(),
            rest.len(),
        );
        let (_, body) = raw(addr, &import, 3).await;
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({"created": "2"}));

        let wrong = import.replace("\"id\"", "\"xx\"");
        let (head, body) = raw(addr, &wrong, 1_000).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{head} {body}");
    }
}

/// What is said is answered before more is said, however the bytes come; who leaves in the middle hurts nobody.
#[tokio::test]
async fn a_chat_on_a_socket() {
    for addr in [tonic().await, gateway().await] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let head = "POST /v1/chat HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut next = head.to_owned();
        for text in ["one", "two", "three"] {
            let line = format!("{{\"author\":\"me\",\"text\":\"{text}\"}}\n");
            next += &format!("{:x}\r\n{line}\r\n", line.len());
            for byte in std::mem::take(&mut next).into_bytes() {
                stream.write_all(&[byte]).await.unwrap();
            }
            let mut got = Vec::new();
            while !String::from_utf8_lossy(&got).contains(&format!("you said: {text}\"")) {
                assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0, "{addr}: {got:?}");
            }
        }
        drop(stream);
        let get = "GET /v1/users/bob HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(raw(addr, get, 1_000).await.0.starts_with("HTTP/1.1 404 "));
    }
}

/// Slashes in one segment: our server keeps them from all layers unless it is told not to.
#[tokio::test]
async fn a_segment_may_hold_a_slash_where_the_server_lets_it() {
    let get = "GET /v1/users/a%2Fb HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (head, _) = raw(gateway().await, get, 1_000).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let keeping = server::Server::new().paths(PathRules::default().keep_encoded_slashes());
    for addr in [tonic().await, gateway_of(keeping).await] {
        let (head, body) = raw(addr, get, 1_000).await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        assert!(body.contains("users/a/b does not exist"), "{body}");
    }
}

#[tokio::test]
async fn native_clients_see_no_difference() {
    for addr in [tonic().await, gateway().await] {
        let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
        let mut client = UsersClient::new(channel.connect().await.unwrap());
        let missing = client.get_user(GetUserRequest { id: "bob".into() }).await.unwrap_err();
        assert_eq!(missing.code(), tonic::Code::NotFound);
        assert!(!missing.details().is_empty());
        client.ping(()).await.unwrap();
        let watch = WatchUsersRequest { id: "bob".into(), limit: 1 };
        assert_eq!(client.watch_users(watch).await.unwrap_err().code(), tonic::Code::NotFound);
    }
}

#[tokio::test]
async fn in_an_axum_app() {
    let hello = || Router::new().route("/hello", routing::get(|| async { "hello" }));
    let fallback = hello().fallback_service(layer().layer(server()));
    let around = hello().merge(Routes::new(server()).into_axum_router());
    let around = axum::Router::new().fallback_service(layer().layer(around));
    for app in [fallback, around] {
        assert_eq!(send(&app, get("/hello")).await.body, "hello");
        let created = send(&app, post("/v1/users?id=ada", r#"{"displayName":"Ada"}"#)).await;
        assert_eq!(created.json()["name"], "users/ada");
        assert_eq!(send(&app, get("/v1/users/ada")).await.json()["displayName"], "Ada");
    }
}

#[tokio::test]
async fn grpc_web_passes() {
    let (seen, inner) = crate::script::answering(|| crate::script::failed(0, ""));
    let request = Request::post("/v1/users/ada").header("content-type", "application/grpc-web");
    let request = request.body(crate::rest::Content::default()).unwrap();
    let answer = send(&layer().reject_unknown().layer(inner), request).await;
    assert!(answer.headers.contains_key("grpc-status"), "the service's answer, untouched");
    assert_eq!(seen.lock().unwrap()[0].uri(), "/v1/users/ada");
}
