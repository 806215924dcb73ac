//! HTTP/2 with prior knowledge, its frames written by hand.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::rig::{Rig, soon, statuses};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as literals, never indexed (RFC 7541 §6.2.2).
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

fn get(path: &str) -> Vec<u8> {
    fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)])
}

/// A connection whose preface and settings are sent.
async fn connect(rig: &Rig, settings: &[u8]) -> TcpStream {
    let mut stream = rig.connect().await;
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
    stream
}

#[derive(Debug, PartialEq, Eq)]
struct Frame(u8, u32, Vec<u8>);

async fn read(stream: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    soon(stream.read_exact(&mut head)).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    soon(stream.read_exact(&mut payload)).await.ok()?;
    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some(Frame(head[3], id, payload))
}

/// What becomes of the stream 1: its status (0 for one that HPACK has no index for), or no answer.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Answered(u16),
    Refused,
}

async fn fate(stream: &mut TcpStream) -> Fate {
    loop {
        match read(stream).await {
            Some(Frame(HEADERS, 1, block)) => {
                return Fate::Answered(match block.iter().find(|it| **it & 0xe0 != 0x20) {
                    Some(0x88) => 200,
                    Some(0x8c) => 400,
                    Some(0x8d) => 404,
                    Some(0x8e) => 500,
                    _ => 0,
                });
            }
            None | Some(Frame(GOAWAY | RST_STREAM, ..)) => return Fate::Refused,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_request_with_prior_knowledge_is_served() {
    let rig = Rig::start();
    let mut stream = connect(&rig, &[]).await;
    let headers = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/%61"));
    stream.write_all(&headers).await.unwrap();
    assert_eq!(fate(&mut stream).await, Fate::Answered(200));
    assert!(rig.service.heads.lock().unwrap()[0].starts_with("GET http://a/a\n"));
}

#[tokio::test]
async fn a_malformed_head_never_reaches_the_service() {
    const M: (&str, &str) = (":method", "GET");
    const S: (&str, &str) = (":scheme", "http");
    const A: (&str, &str) = (":authority", "a");
    const P: (&str, &str) = (":path", "/");
    let rows: &[&[(&str, &str)]] = &[
        &[M, S, A, P, ("transfer-encoding", "chunked")],
        &[M, S, A, P, ("connection", "close")],
        &[M, S, A, P, ("keep-alive", "1")],
        &[M, S, A, P, ("proxy-connection", "1")],
        &[M, S, A, P, ("upgrade", "h2c")],
        &[M, S, A, P, ("te", "gzip")],
        &[M, S, A, P, ("X-Upper", "1")],
        &[M, S, A, P, ("x:y", "1")],
        &[M, S, A, P, ("x y", "1")],
        &[M, S, A, P, ("", "1")],
        &[M, S, A, P, ("x", "a\r\nb: c")],
        &[M, S, A, P, ("x", "a\0b")],
        &[M, S, A, P, P],
        &[M, M, S, A, P],
        &[M, S, A, A, P],
        &[M, S, A],
        &[S, A, P],
        &[M, A, P],
        &[M, S, A, (":path", "")],
        &[M, S, A, (":path", "x")],
        &[M, S, A, (":path", "*")],
        &[M, S, A, (":path", "/a b")],
        &[M, S, A, ("x", "1"), P],
        &[M, S, A, P, (":unknown", "1")],
        &[M, S, A, P, (":status", "200")],
        &[(":method", "G\r\nT"), S, A, P],
        &[M, S, P],
        &[M, S, A, P, ("host", "b")],
        &[M, S, A, P, ("host", "a"), ("host", "a")],
        &[M, S, (":authority", "a@b"), P],
        &[M, S, (":authority", ""), P],
        &[M, (":scheme", "ftp"), A, P],
        &[M, S, A, P, ("content-length", "5"), ("content-length", "6")],
        &[M, S, A, P, ("content-length", "+5")],
        &[M, S, A, P, ("authorization", "Bearer a"), ("authorization", "Bearer b")],
        &[M, S, A, P, ("expect", "x")],
        &[M, S, A, (":path", "/public/%2e%2e/admin")],
        &[(":method", "CONNECT"), (":authority", "a:443")],
        &[(":method", "CONNECT"), S, A, P, (":protocol", "websocket")],
    ];
    for row in rows {
        let rig = Rig::start();
        let mut stream = connect(&rig, &[]).await;
        let headers = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(row));
        stream.write_all(&headers).await.unwrap();
        let fate = fate(&mut stream).await;
        assert!(matches!(fate, Fate::Refused | Fate::Answered(400 | 0)), "{row:?} {fate:?}");
        assert_eq!(rig.seen(), 0, "{row:?}");
    }
}

#[tokio::test]
async fn a_length_that_contradicts_the_data_breaks_the_content() {
    for (length, data) in [("3", "hello"), ("9", "hello"), ("5", "")] {
        let rig = Rig::start();
        let mut stream = connect(&rig, &[]).await;
        let head = fields(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/"),
            ("content-length", length),
        ]);
        stream.write_all(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
        stream.write_all(&frame(DATA, END_STREAM, 1, data.as_bytes())).await.unwrap();
        let fate = fate(&mut stream).await;
        assert!(matches!(fate, Fate::Refused | Fate::Answered(400)), "{length} {fate:?}");
    }
}

#[tokio::test]
async fn rapid_resets_are_cancelled_and_hurt_nobody_else() {
    let rig = Rig::start();
    let mut stream = connect(&rig, &[]).await;
    let mut burst = Vec::new();
    for id in (1..6_000).step_by(2) {
        burst.extend(frame(HEADERS, END_STREAM | END_HEADERS, id, &get("/hold")));
        burst.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    let _ = soon(stream.write_all(&burst)).await; // the server may have hung up
    let other = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(statuses(&rig.exchange(other).await), [200]);
    drop(stream);
    rig.until(|rig| rig.service.cancelled.load(SeqCst) + 1 == rig.seen()).await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused() {
    let rig = Rig::with(|server| server.max_streams(4));
    let mut stream = connect(&rig, &[]).await;
    for id in [1, 3, 5, 7, 9] {
        let headers = frame(HEADERS, END_STREAM | END_HEADERS, id, &get("/hold"));
        stream.write_all(&headers).await.unwrap();
    }
    loop {
        if let Frame(RST_STREAM, id, reason) = read(&mut stream).await.unwrap() {
            assert_eq!((id, reason), (9, 7_u32.to_be_bytes().to_vec())); // REFUSED_STREAM
            break;
        }
    }
    assert!(rig.seen() <= 4);
}

/// Writes until the server hangs up; how much it took.
async fn flood(stream: &mut TcpStream, chunk: &[u8], most: usize) -> usize {
    let mut written = 0;
    while written < most {
        if soon(stream.write_all(chunk)).await.is_err() {
            break;
        }
        written += chunk.len();
    }
    written
}

#[tokio::test]
async fn floods_are_cut_off() {
    let most = 64 << 20;
    let rig = Rig::start();
    let mut stream = connect(&rig, &[]).await;
    stream.write_all(&frame(HEADERS, END_STREAM, 1, &get("/"))).await.unwrap();
    let more = frame(CONTINUATION, 0, 1, &fields(&[("x", &"y".repeat(120))]).repeat(100));
    assert!(flood(&mut stream, &more, most).await < most, "CONTINUATION");
    assert_eq!(rig.seen(), 0);

    let rig = Rig::start();
    let mut stream = connect(&rig, &[]).await;
    stream.write_all(&frame(HEADERS, END_HEADERS, 1, &get("/hold"))).await.unwrap();
    let empty = frame(DATA, 0, 1, &[]).repeat(20_000);
    assert!(flood(&mut stream, &empty, most).await < most, "empty DATA");
}

#[tokio::test]
async fn too_many_fields_are_refused() {
    let rig = Rig::start();
    let mut stream = connect(&rig, &[]).await;
    let mut block = get("/");
    block.extend(fields(&[("x", "1"); 101]));
    let headers = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block);
    stream.write_all(&headers).await.unwrap();
    assert_eq!(fate(&mut stream).await, Fate::Answered(0)); // 431
    assert_eq!(rig.seen(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_away() {
    let rig = Rig::start();
    let mut stream = connect(&rig, &[]).await;
    let headers = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/"));
    stream.write_all(&headers).await.unwrap();
    assert_eq!(fate(&mut stream).await, Fate::Answered(200));
    while !matches!(read(&mut stream).await, Some(Frame(DATA, 1, data)) if data.is_empty() || data.ends_with(b"\n"))
    {
    }
    rig.until(|rig| rig.time.sleepers() >= 1).await;
    rig.time.advance(Duration::from_secs(61));
    let goodbye = loop {
        match read(&mut stream).await {
            Some(Frame(GOAWAY, ..)) => break true,
            None => break false,
            _ => {}
        }
    };
    assert!(goodbye);
}

/// It asks, answers pings, and takes nothing (a window of 0), or no more than comes unasked.
#[tokio::test]
async fn a_client_that_gives_no_window_is_cut() {
    const INITIAL_WINDOW_SIZE_0: &[u8] = &[0, 4, 0, 0, 0, 0];
    let second = Duration::from_secs(1);
    // The second waits for content that has left the service: an idle connection that does not say goodbye.
    for (settings, waits) in [(INITIAL_WINDOW_SIZE_0, &[30][..]), (&[], &[60, 30])] {
        let rig = Rig::start();
        let mut stream = connect(&rig, settings).await;
        let headers = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/big"));
        stream.write_all(&headers).await.unwrap();
        assert_eq!(fate(&mut stream).await, Fate::Answered(200));
        let client = tokio::spawn(async move {
            while let Some(Frame(kind, _, payload)) = read(&mut stream).await {
                if kind == PING {
                    let _ = stream.write_all(&frame(PING, ACK, 0, &payload)).await;
                }
            }
        });
        rig.until(|rig| rig.time.sleepers() >= 1).await;
        for wait in waits {
            for _ in 0..*wait {
                assert!(!client.is_finished(), "cut too early");
                rig.time.advance(second);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            }
        }
        soon(client).await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_in_flight_outlives_the_shutdown() {
    let rig = Rig::start();
    let mut stream = connect(&rig, &[]).await;
    let headers = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/hold"));
    stream.write_all(&headers).await.unwrap();
    rig.until(|rig| rig.seen() == 1).await;
    let service = rig.service.clone();
    let server = rig.stop();
    let (mut told, mut held) = (false, Vec::new());
    while let Some(Frame(kind, _, payload)) = read(&mut stream).await {
        match kind {
            PING if payload.len() == 8 => {
                let _ = stream.write_all(&frame(PING, ACK, 0, &payload)).await;
            }
            GOAWAY if !told => {
                told = true;
                service.gate.add_permits(1);
            }
            DATA => held.extend(payload),
            _ => {}
        }
    }
    assert!(told);
    assert_eq!(held, b"held");
    let drained = soon(server).await.unwrap().unwrap();
    assert_eq!((drained.finished, drained.cut), (1, 0));
}
