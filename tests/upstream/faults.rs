use std::net::TcpListener;

use http::Request;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tower::ServiceExt;
use tower_gateway::{
    rejection::{Reason, Rejection},
    upstream::Upstream,
};

use super::{
    origin::{front, raw, read_head, says, talk},
    support::{assert_problem, get, text},
};

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let upstream = Upstream::new(format!("http://{addr}")).unwrap();
    let response = upstream.oneshot(get("/")).await.unwrap();
    assert!(response.extensions().get::<Rejection>().unwrap().cause().is_some());
    let problem = assert_problem(response, 502, "bad-gateway").await;
    assert!(!problem.to_string().contains(&addr.to_string()), "an address is nobody's business");
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let upstream = Upstream::new("http://does-not-exist.invalid").unwrap();
    assert_problem(upstream.oneshot(get("/")).await.unwrap(), 502, "bad-gateway").await;
}

#[tokio::test]
async fn a_grpc_client_is_told_unavailable() {
    let origin = says("").await;
    let request = Request::post("/pkg.Svc/M").header("content-type", "application/grpc");
    let request = request.body(http_body_util::Full::<bytes::Bytes>::default()).unwrap();
    let response = origin.upstream().oneshot(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["grpc-status"]),
        (200, &"14".parse().unwrap())
    );
}

#[tokio::test]
async fn answers_that_are_none() {
    let answers = [
        "",
        "garbage\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 999999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", // cut in the head
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ];
    for answer in answers {
        let response = says(answer).await.upstream().oneshot(get("/")).await.unwrap();
        assert_eq!(response.status(), 502, "{answer:?}");
        assert_problem(response, 502, "bad-gateway").await;
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(2_000_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(5_000));
    for answer in [large, many] {
        let response = says(answer).await.upstream().oneshot(get("/")).await.unwrap();
        assert_problem(response, 502, "bad-gateway").await;
    }
}

#[tokio::test]
async fn a_body_that_was_cut_never_looks_whole() {
    let cut = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ];
    for answer in cut {
        let origin = says(answer).await;
        let response = origin.upstream().oneshot(get("/")).await.unwrap();
        assert!(response.into_body().collect().await.is_err(), "{answer:?}");
        // and over the wire: no last chunk, or fewer octets than were announced
        let front = front(origin.upstream()).await;
        let answer = talk(front, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let whole = answer.ends_with("0\r\n\r\n") || answer.ends_with(&"x".repeat(10));
        assert!(!whole, "{answer:?}");
    }
}

#[tokio::test]
async fn two_framings_are_read_as_one_and_told_as_one() {
    let origin = says(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )
    .await;
    let front = front(origin.upstream()).await;
    let answer = talk(front, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    assert!(!answer.contains("content-length"), "{answer:?}");
    assert!(answer.ends_with("5\r\nhello\r\n0\r\n\r\n"), "{answer:?}");
}

#[tokio::test]
async fn a_length_that_is_said_twice_is_told_once() {
    let origin =
        says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello").await;
    let response = origin.upstream().oneshot(get("/")).await.unwrap();
    assert_eq!(response.headers().get_all("content-length").iter().count(), 1);
    assert_eq!(text(response).await, "hello");
}

#[tokio::test]
async fn no_octet_of_a_second_answer_reaches_the_next_request() {
    let origin = raw(|mut stream| async move {
        while !read_head(&mut stream).await.is_empty() {
            let answers = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
            if stream.write_all(answers.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let upstream = origin.upstream();
    for _ in 0..10 {
        let response = upstream.clone().oneshot(get("/")).await.unwrap();
        if response.status() == 200 {
            assert_eq!(text(response).await, "ok");
        }
        tokio::task::yield_now().await;
    }
    assert!(origin.accepted() > 1, "such a connection is not kept");
}

#[tokio::test]
async fn healthy_requests_beside_faulty_ones_are_not_lost() {
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let origin = raw(move |mut stream| {
        let turn = std::sync::Arc::clone(&turn);
        async move {
            loop {
                if read_head(&mut stream).await.is_empty() {
                    return;
                }
                if turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 3 == 2 {
                    return; // dies with the request read
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    let upstream = origin.upstream();
    let mut statuses = Vec::new();
    for _ in 0..30 {
        let response = upstream.clone().oneshot(get("/")).await.unwrap();
        statuses.push(response.status().as_u16());
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(statuses.iter().filter(|it| **it == 502).count(), 10, "{statuses:?}");
}

#[tokio::test]
async fn broken_chunks_of_the_client_are_the_clients_fault() {
    let origin = super::origin::echo().await;
    let front = front(origin.upstream()).await;
    for chunk in
        ["0x5\r\nhello", "-5\r\nhello", "g\r\n", "\r\n", "5 5\r\nhello", "11111111111111111\r\n"]
    {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}\r\n0\r\n\r\n"
        );
        let answer = talk(front, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{chunk:?}: {answer:?}");
    }
}

#[tokio::test]
async fn what_a_layer_says_of_the_body_is_what_the_client_gets() {
    use std::{error::Error, fmt};
    #[derive(Debug)]
    struct Wrapped(Rejection);
    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }
    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    for http2 in [false, true] {
        let origin = super::origin::echo().await;
        let upstream = match http2 {
            true => origin.upstream().http2(),
            false => origin.upstream(),
        };
        let too_large = Wrapped(Rejection::new(Reason::ContentTooLarge, "At most 1 MiB."));
        let frames = [
            Ok(http_body::Frame::data(bytes::Bytes::from("some"))),
            Err(Box::<dyn Error + Send + Sync>::from(too_large)),
        ];
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        let request = Request::post("/").body(body).unwrap();
        let response = upstream.oneshot(request).await.unwrap();
        assert_problem(response, 413, "content-too-large").await;
    }
}

#[tokio::test]
async fn a_request_with_two_framings_is_forwarded_with_one_or_not_at_all() {
    let origin = super::origin::echo().await;
    let front = front(origin.upstream()).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (length, chunked) = ("Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n");
    for framing in [format!("{length}{chunked}"), format!("{chunked}{length}")] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n5\r\nhello\r\n0\r\n\r\n{smuggled}");
        let answer = talk(front, &request).await;
        let one =
            answer.contains("transfer-encoding: chunked") && !answer.contains("content-length: 4");
        assert!(answer.starts_with("HTTP/1.1 400") || one, "{answer}");
    }
}

#[tokio::test]
async fn codings_that_nobody_decoded_are_not_dropped() {
    let origin = super::origin::echo().await;
    let front = front(origin.upstream()).await;
    for coding in [
        "gzip, chunked",
        "identity, chunked",
        "chunked, chunked",
        "cow\r\nTransfer-Encoding: chunked",
        "gzip",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: {coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        let answer = talk(front, &request).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 501"),
            "{coding}: {answer}"
        );
    }
    assert_eq!(origin.accepted(), 0);
    let origin =
        says("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            .await;
    let response = origin.upstream().oneshot(get("/")).await.unwrap();
    assert_problem(response, 502, "bad-gateway").await;
}
