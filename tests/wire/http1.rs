//! HTTP/1: heads and bodies that can be read in two ways, or in none.

use crate::rig::{Rig, converse, soon, statuses};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A row: its name, the bytes, the statuses that may come out. An empty list: the connection is closed unanswered.
type Row<'a> = (&'a str, &'a str, &'a [u16]);

/// Each row gets one answer with one of its statuses, the connection is closed, and nothing reaches the service.
async fn refused(rows: &[Row<'_>]) {
    let rig = Rig::start();
    for (name, bytes, expected) in rows {
        let answer = rig.exchange(bytes).await;
        match (statuses(&answer).as_slice(), expected) {
            ([], []) => {}
            ([status], expected) if expected.contains(status) => {}
            _ => panic!("{name}: {expected:?} expected, not {answer:?}"),
        }
        assert_eq!(rig.seen(), 0, "{name} reached the service");
    }
}

#[tokio::test]
async fn a_request_has_one_host() {
    refused(&[
        ("none", "GET / HTTP/1.1\r\n\r\n", &[400]),
        ("two", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]),
        ("twice the same", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", &[400]),
        ("empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", &[400]),
        ("a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", &[400]),
        ("a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400]),
        ("user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", &[400]),
        ("bad port", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", &[400]),
        ("space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[400]),
        ("not ASCII", "GET / HTTP/1.1\r\nHost: é\r\n\r\n", &[400]),
        ("open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", &[400]),
        ("none, absolute form", "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", &[400]),
        ("other scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("tunnel", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", &[405, 501]),
        ("tunnel to a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", &[400, 405, 501]),
        ("authority form", "GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", &[400]),
        ("asterisk form", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("no slash", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
    ])
    .await;
}

#[tokio::test]
async fn a_message_has_one_end() {
    const SMUGGLED: &str = "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{SMUGGLED}");
    let rows: &[(&str, &[u16])] = &[
        ("Content-Length: 5\r\nContent-Length: 6\r\n", &[400]),
        ("Content-Length: 5, 6\r\n", &[400]),
        ("Content-Length: +5\r\n", &[400]),
        ("Content-Length: -1\r\n", &[400]),
        ("Content-Length: 0x5\r\n", &[400]),
        ("Content-Length: 5 5\r\n", &[400]),
        ("Content-Length:\r\n", &[400]),
        ("Content-Length: 1e1\r\n", &[400]),
        ("Content-Length: 5_0\r\n", &[400]),
        ("Content-Length: 99999999999999999999999\r\n", &[400, 413]),
        ("Transfer-Encoding: xchunked\r\n", &[400, 501]),
        ("Transfer-Encoding: chunked, identity\r\n", &[400, 501]),
        ("Transfer-Encoding: identity, chunked\r\n", &[400, 501]),
        ("Transfer-Encoding: gzip\r\n", &[400, 501]),
        ("Transfer-Encoding: gzip, chunked\r\n", &[400, 501]),
        ("Transfer-Encoding: chunked, chunked\r\n", &[400, 501]),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &[400, 501]),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", &[400, 501]),
        ("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n", &[400, 501]),
        ("Transfer-Encoding: \x0bchunked\r\n", &[400, 501]),
        ("Transfer-Encoding: chunked\0\r\n", &[400, 501]),
        ("Transfer-Encoding : chunked\r\n", &[400]),
        ("Transfer-Encoding:\r\n chunked\r\n", &[400, 501]),
        ("Transfer-Encoding: \"chunked\"\r\n", &[400, 501]),
        ("Transfer-Encoding:\r\n", &[400, 501]),
        ("Content-Length: 5\r\nTransfer-Encoding: cow\r\n", &[400, 501]),
        ("Expect: 200-ok\r\nContent-Length: 5\r\n", &[417]),
        ("Expect: 100-continue, x\r\nContent-Length: 5\r\n", &[417]),
    ];
    for (fields, expected) in rows {
        refused(&[(fields, &post(fields), expected)]).await;
    }
    let old =
        "POST / HTTP/1.0\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    refused(&[("HTTP/1.0", &format!("{old}{SMUGGLED}"), &[400])]).await;
}

/// RFC 9112 §6.1: chunked wins, the length is gone, the connection is not used again.
#[tokio::test]
async fn a_length_beside_chunks_is_dropped_and_the_connection_closed() {
    let (length, chunked) = ("Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n");
    for fields in [format!("{length}{chunked}"), format!("{chunked}{length}")] {
        let rig = Rig::start();
        let body = "5\r\nhello\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
        let answer = rig.exchange(request).await;
        assert_eq!(statuses(&answer), [200], "{answer}");
        assert!(answer.ends_with("\nhello") && !answer.contains("content-length: 3"));
        assert_eq!(rig.seen(), 1);
    }
}

#[tokio::test]
async fn a_head_that_breaks_the_grammar_is_refused() {
    let get = |field: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
    let fields = [
        "X : a",
        "X A: a",
        "no colon",
        ": a",
        "X: a\0b",
        "X: a\rb",
        "X: a\r\n folded",
        "X\0: a",
        "é: a",
    ];
    for field in fields {
        refused(&[(field, &get(field), &[400])]).await;
    }
    refused(&[
        ("no version", "GET /\r\nHost: a\r\n\r\n", &[400]),
        ("HTTP/9.9", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", &[400, 505]),
        ("HTTP/2.0 in text", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", &[400, 505]),
        ("a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("a control in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("a space in front", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", &[400]),
        ("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("TLS in the clear", "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n", &[400]),
        ("half a preface", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", &[400, 505]),
        (
            "two Authorization fields",
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
            &[400],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let get =
        |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let many = "X: 1\r\n".repeat(5_000);
    let huge = format!("X: {}\r\n", "x".repeat(1 << 20));
    refused(&[
        ("9 KB target", &get(&format!("/{}", "a".repeat(9_000)), ""), &[414]),
        ("300 KB target", &get(&format!("/{}", "a".repeat(300_000)), ""), &[414, 431]),
        ("5,000 fields", &get("/", &many), &[431]),
        ("101 fields", &get("/", &"X: 1\r\n".repeat(100)), &[431]),
        ("a field of 1 MB", &get("/", &huge), &[431]),
        ("a name of 70 KB", &get("/", &format!("{}: 1\r\n", "x".repeat(70_000))), &[400, 431]),
        (
            "a token of 64 KB",
            &get("/", &format!("Authorization: Bearer {}\r\n", "x".repeat(65_536))),
            &[431],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_path_that_can_be_read_in_two_ways_is_refused() {
    let paths = [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/a//b",
        "/a%2fb",
        "/a;x",
        "/a\\b",
        "/%00",
        "/%zz",
        "/%c0%af",
    ];
    for path in paths {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        refused(&[(path, &request, &[400])]).await;
    }
}

#[tokio::test]
async fn what_is_legal_passes_in_its_one_form() {
    let rows = [
        ("GET /%61?x=%61 HTTP/1.1\r\nHost: A.example:80\r\n", "GET /a?x=%61\nhost: A.example:80\n"),
        ("GET http://b/x HTTP/1.1\r\nHost: a\r\n", "GET http://b/x\nhost: b\n"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n", "OPTIONS *\nhost: a\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n", "x: a\tb\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX:\r\n", "x: \n"),
        ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n", "upgrade: h2c\n"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n", "GET /\nhost: a\n"),
    ];
    for (head, expected) in rows {
        let rig = Rig::start();
        let answer = rig.exchange(format!("{head}Connection: close\r\n\r\n")).await;
        assert_eq!(statuses(&answer), [200], "{head:?} {answer}");
        assert!(answer.contains(expected), "{head:?} {answer}");
        assert!(answer.contains("[peer 127.0.0.1]") && answer.contains("[scheme http]"));
    }
    let rig = Rig::start();
    let answer = rig.exchange("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}

#[tokio::test]
async fn a_refusal_is_a_problem_document() {
    let rig = Rig::start();
    let answer = rig.exchange("GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let call = "POST /s/m HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\
                Expect: x\r\nContent-Length: 0\r\n\r\n";
    let answer = rig.exchange(call).await;
    assert!(answer.contains("grpc-status: 3"), "{answer}");
}

/// 400 to whoever reads it: the upstream is not to blame.
#[tokio::test]
async fn broken_content_is_the_clients_fault() {
    let sizes = [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5;a=\nb\r\nhello\r\n0\r\n\r\n",
    ];
    for body in sizes {
        let rig = Rig::start();
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = rig.exchange(format!("{head}{body}")).await;
        assert_eq!(statuses(&answer), [400], "{body:?} {answer}");
        assert!(answer.contains("\"malformed\""), "{body:?} {answer}");
    }
    let rig = Rig::start();
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(70_000));
    let head =
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = rig.exchange(format!("{head}{extension}")).await;
    assert_eq!(statuses(&answer), [400], "{answer}");
}

#[tokio::test]
async fn content_over_the_cap_is_refused() {
    let rig = Rig::with(|server| server.max_body_bytes(4));
    let declared = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(statuses(&rig.exchange(declared).await), [413]);
    assert_eq!(rig.seen(), 0);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    assert_eq!(statuses(&rig.exchange(chunked).await)[..1], [413]);
    let fits = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhell";
    assert!(rig.exchange(fits).await.ends_with("\nhell"));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::start();
    let mut requests = String::new();
    for n in 0..9 {
        requests += &format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n{n}");
    }
    requests += "GET /9 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = rig.exchange(requests).await;
    assert_eq!(statuses(&answers), [200; 10], "{answers}");
    let order: Vec<_> = (0..10).map(|n| answers.find(&format!("/{n}\n")).unwrap()).collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn a_refused_request_ends_its_pipeline() {
    let rig = Rig::start();
    let answers =
        rig.exchange("GET / HTTP/1.1\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(statuses(&answers), [400]);
    assert_eq!(rig.seen(), 0);
}

/// The body of a request that was answered early is never read as the next request.
#[tokio::test]
async fn after_an_early_answer_the_next_answer_is_the_next_requests() {
    let inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for expect in ["", "Expect: 100-continue\r\n"] {
        for size in [100, 100_000, 4 << 20] {
            let rig = Rig::start();
            let body = inner.repeat(size / inner.len() + 1);
            let early = format!(
                "POST /early HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let next = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            let answers = rig.exchange(format!("{early}{next}")).await;
            let heads = rig.service.heads.lock().unwrap().concat();
            assert!(!heads.contains("/smuggled"), "{size}");
            assert!(answers.contains("401"), "{size} {expect:?} {answers}");
            match statuses(&answers).as_slice() {
                [401] => {}
                [401, 200] => assert!(answers.contains("GET /next")),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn expectations_are_met() {
    let rig = Rig::start();
    let mut stream = rig.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n\
                Content-Length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    soon(stream.read_exact(&mut interim)).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let answer = converse(stream, b"hello").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\nhello"));
}

#[tokio::test]
async fn content_of_a_get_is_content_whatever_connection_names() {
    let inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let rig = Rig::start();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, content-length\r\nContent-Length: {}\r\n\r\n{inner}",
        inner.len()
    );
    let answer = rig.exchange(request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(rig.seen(), 1);
    assert!(answer.ends_with(inner), "{answer}");
}
