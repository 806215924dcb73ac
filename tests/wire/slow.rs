//! Clients that take their time; ours moves by hand.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::rig::{Rig, soon, statuses};

const SECOND: Duration = Duration::from_secs(1);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Whether the server has closed the connection; what it sent before is dropped.
async fn closed(stream: &mut TcpStream) -> bool {
    let mut answer = Vec::new();
    // a reset closes it too
    soon(stream.read_to_end(&mut answer)).await.is_ok_and(|_| true) || answer.is_empty()
}

/// One answer of the echo, whose content ends with an empty line.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        let byte = soon(stream.read_u8()).await.expect("the connection is open");
        text.push(char::from(byte));
    }
    text
}

#[tokio::test]
async fn sixty_dripping_heads_are_cut_and_others_served() {
    let rig = Rig::start();
    let mut dripping = Vec::new();
    for n in 0..60 {
        let mut stream = rig.connect().await;
        let start = if n % 2 == 0 { "" } else { "GET /" };
        stream.write_all(start.as_bytes()).await.unwrap();
        dripping.push(stream);
    }
    rig.until(|rig| rig.time.sleepers() == 60).await;
    for _ in 0..9 {
        rig.time.advance(SECOND);
        for stream in &mut dripping {
            stream.write_all(b"T").await.unwrap();
        }
    }
    let served = rig.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(statuses(&served), [200]);
    rig.time.advance(SECOND);
    for stream in &mut dripping {
        assert!(closed(stream).await);
    }
    assert_eq!(rig.seen(), 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_each_request_begins_anew() {
    let rig = Rig::start();
    let mut stream = rig.connect().await;
    for _ in 0..3 {
        stream.write_all(GET).await.unwrap();
        answer(&mut stream).await;
        rig.until(|rig| rig.time.sleepers() == 1).await;
        rig.time.advance(59 * SECOND);
    }
    rig.time.advance(SECOND);
    assert!(closed(&mut stream).await);
    assert_eq!(rig.seen(), 3);
}

#[tokio::test]
async fn a_later_head_may_not_drip_either() {
    let rig = Rig::start();
    let mut stream = rig.connect().await;
    stream.write_all(GET).await.unwrap();
    answer(&mut stream).await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let other = rig.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(statuses(&other), [200]); // by now the server has read the drip
    rig.time.advance(10 * SECOND);
    assert!(closed(&mut stream).await);
}

#[tokio::test]
async fn content_that_stops_arriving_is_answered_with_408() {
    let rig = Rig::start();
    let mut stream = rig.connect().await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    stream.write_all(head).await.unwrap();
    rig.until(|rig| rig.seen() == 1 && rig.time.sleepers() == 1).await;
    for _ in 0..3 {
        rig.time.advance(29 * SECOND);
        stream.write_all(b"d").await.unwrap();
        let other = rig.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert_eq!(statuses(&other), [200]);
    }
    rig.time.advance(30 * SECOND);
    let mut text = [0; 12];
    soon(stream.read_exact(&mut text)).await.unwrap();
    assert_eq!(&text, b"HTTP/1.1 408");
    drop(stream);
}

#[tokio::test]
async fn a_service_may_take_its_time() {
    let rig = Rig::start();
    let mut stream = rig.connect().await;
    let hold = b"GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(hold).await.unwrap();
    rig.until(|rig| rig.seen() == 1).await;
    rig.time.advance(3_600 * SECOND);
    rig.service.gate.add_permits(1);
    let mut text = String::new();
    soon(stream.read_to_string(&mut text)).await.unwrap();
    assert!(text.ends_with("held"));
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut() {
    let rig = Rig::start();
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    rig.until(|rig| rig.seen() == 1 && rig.time.sleepers() == 1).await;
    rig.time.advance(31 * SECOND);
    let mut sent = Vec::new();
    let _ = soon(stream.read_to_end(&mut sent)).await;
    assert!(sent.len() < 64 << 20, "{} bytes", sent.len());
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_request() {
    let rig = Rig::start();
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    rig.until(|rig| rig.seen() == 1).await;
    drop(stream);
    rig.until(|rig| rig.service.cancelled.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
}
