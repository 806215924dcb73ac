use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::Empty;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{accept_async, client_async, tungstenite::Message};
use tower::ServiceExt;
use tower_gateway::clock::Clock;

use super::origin::{Origin, front, raw, read_head, says, talk, until};

/// Sends every message back.
async fn websocket() -> Origin {
    raw(|stream| async move {
        let Ok(mut socket) = accept_async(stream).await else {
            return;
        };
        while let Some(Ok(message)) = socket.next().await {
            if !message.is_close() && socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn messages_pass_in_both_directions() {
    let origin = websocket().await;
    let front = front(origin.upstream().x_forwarded().via("edge").unwrap()).await;
    let stream = TcpStream::connect(front).await.unwrap();
    let (mut socket, response) = client_async(format!("ws://{front}/chat"), stream).await.unwrap();
    assert_eq!(response.status(), 101);
    for text in ["hello", "wörld", &"long".repeat(100_000)] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    socket.close(None).await.unwrap();
    assert!(socket.next().await.is_none_or(|it| it.is_ok_and(|it| it.is_close())));
}

#[tokio::test]
async fn a_silent_websocket_is_closed() {
    let origin = websocket().await;
    let (clock, time) = Clock::manual();
    let front = front(origin.upstream().clock(clock).idle_timeout(Duration::from_secs(60))).await;
    let stream = TcpStream::connect(front).await.unwrap();
    let (mut socket, _) = client_async(format!("ws://{front}/"), stream).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    socket.next().await.unwrap().unwrap();
    until(|| time.sleepers() > 0).await;
    time.advance(Duration::from_secs(61));
    assert!(socket.next().await.is_none_or(|it| it.is_err()));
}

#[tokio::test]
async fn octets_behind_an_upgrade_that_was_declined_are_the_next_request() {
    let origin = super::origin::serve(|request: Request<hyper::body::Incoming>| async move {
        super::origin::answer(http_body_util::Full::from(format!("seen {}", request.uri())))
    })
    .await;
    let front = front(origin.upstream()).await;
    let upgrade = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = talk(front, &format!("{upgrade}{smuggled}")).await;
    // Two requests and two answers: the second went through every layer of the front.
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    assert!(answers.contains("seen /chat") && answers.contains("seen /smuggled"), "{answers}");
}

#[tokio::test]
async fn other_upgrades_are_not_passed_on() {
    let origin = super::origin::echo().await;
    let front = front(origin.upstream()).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let answer = talk(front, request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("upgrade: h2c") && !answer.contains("http2-settings"), "{answer}");
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_refused() {
    let origin = says(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    )
    .await;
    let request = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(origin.upstream().oneshot(request).await.unwrap().status(), 502);
}

#[tokio::test]
async fn when_one_side_dies_the_other_is_closed() {
    let origin = raw(|mut stream| async move {
        read_head(&mut stream).await;
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: x\r\n\r\nfirst";
        stream.write_all(switch.as_bytes()).await.unwrap();
        let mut four = [0; 4];
        stream.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"ping");
    })
    .await;
    let front = front(origin.upstream()).await;
    let mut client = TcpStream::connect(front).await.unwrap();
    client
        .write_all(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .await
        .unwrap();
    let mut head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    client.write_all(b"ping").await.unwrap();
    client.read_to_string(&mut head).await.unwrap();
    assert!(head.ends_with("first"), "{head}");
}

#[tokio::test]
async fn an_upstream_that_speaks_http2_only_is_not_asked_to_upgrade() {
    let origin = super::origin::echo().await;
    let front = front(origin.upstream().http2()).await;
    let request =
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n";
    let answer = talk(front, request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("\nupgrade: websocket"), "{answer}");
}
