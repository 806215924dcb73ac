use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{Empty, Full};
use tower::{Layer, ServiceExt};
use tower_gateway::{
    Scheme,
    client_ip::{ClientIpLayer, PeerAddr},
    upstream::Upstream,
};

use super::{
    origin::{answer, echo, front, says, serve, talk},
    support::{assert_problem, get, text},
};

/// What the origin sees of a request with these fields.
async fn seen(upstream: Upstream, fields: &[(&str, &str)]) -> String {
    let mut request = Request::get("http://public.example/a?b");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = upstream.oneshot(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    text(response).await
}

fn values<'a>(seen: &'a str, name: &str) -> Vec<&'a str> {
    let line = |line: &'a str| line.split_once(": ").filter(|(it, _)| *it == name);
    seen.lines().filter_map(line).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn the_target_goes_byte_for_byte_in_origin_form() {
    let origin = echo().await;
    for target in ["/", "/a%2Fb/%7e?x=%61;//..&y", "/a//b/../c;v=1", "/?", "/%"] {
        let request = Request::get(target).body(Empty::<Bytes>::new()).unwrap();
        let seen = text(origin.upstream().oneshot(request).await.unwrap()).await;
        assert!(seen.starts_with(&format!("GET {target} HTTP/1.1\n")), "{seen}");
    }
    let seen = seen(origin.upstream(), &[]).await;
    assert!(seen.starts_with("GET /a?b HTTP/1.1\n"), "{seen}");
}

#[tokio::test]
async fn a_base_path_is_put_in_front() {
    let origin = echo().await;
    let upstream = Upstream::new(format!("{}/v2/", origin.url())).unwrap();
    for (target, expected) in [("/users?x", "/v2/users?x"), ("/", "/v2/"), ("http://h?x", "/v2/?x")]
    {
        let response = upstream.clone().oneshot(get(target)).await.unwrap();
        let seen = text(response).await;
        assert!(seen.starts_with(&format!("GET {expected} ")), "{seen}");
    }
}

#[tokio::test]
async fn no_path_leads_out_of_the_base_path() {
    let origin = echo().await;
    let upstream = Upstream::new(format!("{}/v2", origin.url())).unwrap();
    for target in ["/../admin", "/a/%2E%2e/../x", "/..;x/admin", "/..%2Fadmin", "/.%2e%5cx", "/x/."]
    {
        let response = upstream.clone().oneshot(get(target)).await.unwrap();
        assert_problem(response, 400, "malformed").await;
    }
    for target in ["/...", "/.well-known/x", "/a?/../b", "/a..b"] {
        assert_eq!(upstream.clone().oneshot(get(target)).await.unwrap().status(), 200, "{target}");
    }
}

#[tokio::test]
async fn exactly_one_host_goes_up() {
    let origin = echo().await;
    let own = origin.addr.to_string();
    let request = &[("host", "public.example"), ("connection", "Host")];
    assert_eq!(values(&seen(origin.upstream(), request).await, "host"), [own.as_str()]);
    let preserving = origin.upstream().preserve_host();
    assert_eq!(values(&seen(preserving.clone(), request).await, "host"), ["public.example"]);
    assert_eq!(values(&seen(preserving.clone(), &[]).await, "host"), ["public.example"]);

    let two = Request::get("/").header("host", "a").header("host", "b");
    let response = preserving.oneshot(two.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_problem(response, 400, "malformed").await;
}

#[tokio::test]
async fn hop_by_hop_fields_end_here() {
    let origin = echo().await;
    let request = [
        ("connection", "close, X-Hop"),
        ("connection", " x-other,,upgrade"),
        ("x-hop", "1"),
        ("x-other", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("te", "deflate, trailers"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("x-stays", "1"),
    ];
    let seen = seen(origin.upstream(), &request).await;
    let expected =
        format!("GET /a?b HTTP/1.1\nx-stays: 1\nte: trailers\nhost: {}\n\n", origin.addr);
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&seen), sorted(&expected));
}

#[tokio::test]
async fn hop_by_hop_fields_of_the_response_end_here_too() {
    let origin = says(
        "HTTP/1.1 200 OK\r\nConnection: X-Internal\r\nX-Internal: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let response = origin.upstream().oneshot(get("/")).await.unwrap();
    let mut names: Vec<_> = response.headers().keys().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["content-length", "x-stays"]);
    assert_eq!(text(response).await, "ok");
}

#[tokio::test]
async fn what_only_a_proxy_may_say_does_not_pass() {
    let origin = echo().await;
    let forged = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("X-Forwarded-Host", "evil"),
        ("X-Forwarded-Anything", "evil"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("X.Real.IP", "6.6.6.6"),
        ("true-client-ip", "6.6.6.6"),
        ("cf-connecting-ip", "6.6.6.6"),
        ("x-original-url", "/admin"),
        ("x_rewrite_url", "/admin"),
        ("x-http-method-override", "DELETE"),
        ("client-cert", ":evil:"),
        ("client_cert_chain", ":evil:"),
        ("x-forwarded-client-cert", "evil"),
        ("x-forwarded", "for=6.6.6.6"),
        ("x-original-forwarded-for", "6.6.6.6"),
        ("wl-proxy-client-ip", "6.6.6.6"),
        ("proxy", "http://evil"),
        ("transfer_encoding", "chunked"),
        ("content_length", "5"),
    ];
    let expected = format!("GET /a?b HTTP/1.1\nhost: {}\n\n", origin.addr);
    assert_eq!(seen(origin.upstream(), &forged).await, expected);
}

/// What the origin sees of a request from 10.0.0.1 over TLS, by way of this layer.
async fn told(upstream: Upstream, layer: ClientIpLayer) -> String {
    let request = Request::get("/")
        .header("host", "public.example:8443")
        .header("x-forwarded-for", "203.0.113.7")
        .header("x_forwarded_for", "6.6.6.6")
        .header("forwarded", "for=203.0.113.7")
        .header("connection", "x-forwarded-for, forwarded")
        .extension(PeerAddr(SocketAddr::from(([10, 0, 0, 1], 4711))))
        .extension(Scheme::Https);
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    text(layer.layer(upstream).oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn who_asks_is_said_by_choice_and_in_the_connection_field_it_cannot_be_unsaid() {
    let origin = echo().await;
    let seen = told(origin.upstream().x_forwarded(), ClientIpLayer::direct()).await;
    assert_eq!(values(&seen, "x-forwarded-for"), ["10.0.0.1"]);
    assert_eq!(values(&seen, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&seen, "x-forwarded-host"), ["public.example:8443"]);
    assert_eq!(values(&seen, "x_forwarded_for"), [""; 0]);
    assert_eq!(values(&seen, "forwarded"), [""; 0]);

    let seen = told(origin.upstream().forwarded(), ClientIpLayer::direct()).await;
    let element = "for=10.0.0.1;host=\"public.example:8443\";proto=https";
    assert_eq!(values(&seen, "forwarded"), [element]);
    assert_eq!(values(&seen, "x-forwarded-for"), [""; 0]);
}

#[tokio::test]
async fn a_trusted_peers_chain_is_continued() {
    let origin = echo().await;
    let request = |layer: ClientIpLayer, upstream: Upstream| async move {
        let request = Request::get("http://a.example/")
            .header("x-forwarded-for", "203.0.113.7")
            .header("x-forwarded-proto", "https")
            .header("x-real-ip", "6.6.6.6")
            .extension(PeerAddr(SocketAddr::from(([10, 0, 0, 1], 4711))));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        text(layer.layer(upstream).oneshot(request).await.unwrap()).await
    };
    let trusting = || ClientIpLayer::trusting(["10.0.0.0/8"]).unwrap();
    let seen = request(trusting(), origin.upstream().x_forwarded()).await;
    assert_eq!(values(&seen, "x-forwarded-for"), ["203.0.113.7, 10.0.0.1"]);
    assert_eq!(values(&seen, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&seen, "x-real-ip"), [""; 0]);
    // trusted, but not chosen
    let seen = request(trusting(), origin.upstream()).await;
    assert_eq!(values(&seen, "x-forwarded-for"), [""; 0]);
}

#[tokio::test]
async fn via_is_signed_both_ways_and_breaks_loops() {
    let origin = echo().await;
    let upstream = origin.upstream().via("edge").unwrap();
    let response = upstream.clone().oneshot(get("/")).await.unwrap();
    assert_eq!(response.headers()["via"], "1.1 edge");
    assert_eq!(values(&text(response).await, "via"), ["1.1 edge"]);

    let request = Request::get("/").header("via", "1.0 fred, 1.1 edge");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    assert_problem(upstream.oneshot(request).await.unwrap(), 508, "loop-detected").await;
    assert!(origin.upstream().via("no token").is_err());
}

#[tokio::test]
async fn a_loop_through_ourselves_ends() {
    // The gateway's upstream is the gateway.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let upstream = Upstream::new(format!("http://{addr}")).unwrap().via("edge").unwrap();
    let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
    let inner = upstream.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper_util::service::TowerToHyperService::new(inner.clone());
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), service),
            );
        }
    });
    assert_eq!(upstream.oneshot(get("/")).await.unwrap().status(), 508);
}

#[tokio::test]
async fn connect_is_refused() {
    let origin = echo().await;
    let request = Request::connect("a.example:443").body(Full::<Bytes>::default()).unwrap();
    let response = origin.upstream().oneshot(request).await.unwrap();
    assert_problem(response, 501, "not-implemented").await;
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test]
async fn a_head_response_keeps_its_length_and_has_no_content() {
    let origin = says("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n").await;
    let front = front(origin.upstream()).await;
    let answer = talk(front, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(
        answer.contains("content-length: 1000\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_204_has_neither_length_nor_content() {
    let origin = says("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello").await;
    let front = front(origin.upstream()).await;
    let answer = talk(front, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(!answer.contains("content-length") && !answer.contains("hello"), "{answer}");
}

#[tokio::test]
async fn a_304_passes_as_it_is() {
    let origin =
        says("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n").await;
    let response = origin.upstream().oneshot(get("/")).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["etag"]),
        (304, &"\"a\"".parse().unwrap())
    );
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn the_request_version_is_ours() {
    let origin = echo().await;
    for version in [Version::HTTP_10, Version::HTTP_2] {
        let mut request = get("http://a.example/");
        *request.version_mut() = version;
        let seen = text(origin.upstream().oneshot(request).await.unwrap()).await;
        assert!(seen.starts_with("GET / HTTP/1.1\n"), "{seen}");
    }
}

#[tokio::test]
async fn an_http_10_origin_is_answered_for_in_our_version() {
    let origin = says("HTTP/1.0 200 OK\r\n\r\nto the end").await;
    let response = origin.upstream().oneshot(get("/")).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(text(response).await, "to the end");
}

#[tokio::test]
async fn many_set_cookie_lines_stay_apart() {
    let origin = serve(|_| async {
        let mut response = answer(Empty::new());
        for cookie in ["a=1", "b=2"] {
            response.headers_mut().append("set-cookie", cookie.parse().unwrap());
        }
        response
    })
    .await;
    let response = origin.upstream().oneshot(get("/")).await.unwrap();
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
}

/// An HTTP/2 client may send a line for each cookie; an HTTP/1.1 server reads one field (RFC 9113 §8.2.3).
#[tokio::test]
async fn the_lines_of_cookie_become_one() {
    let origin = echo().await;
    let seen = seen(origin.upstream(), &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]);
    assert_eq!(values(&seen.await, "cookie"), ["a=1; b=2; c=3"]);
}

/// The content is sent at once: an origin that waited to be asked for it would read it as the next request.
#[tokio::test]
async fn the_expectation_is_met_here() {
    let origin = echo().await;
    let seen = seen(origin.upstream(), &[("expect", "100-continue")]).await;
    assert!(values(&seen, "expect").is_empty(), "{seen}");
}

#[tokio::test]
async fn a_length_that_is_said_twice_is_said_once() {
    for said in ["content-length: 2, 2", "content-length: 2\r\ncontent-length: 2"] {
        let origin = says(format!("HTTP/1.1 200 OK\r\n{said}\r\n\r\nok")).await;
        let response = origin.upstream().oneshot(get("/")).await.unwrap();
        let lengths: Vec<_> = response.headers().get_all("content-length").iter().collect();
        assert_eq!(lengths, ["2"], "{said}");
    }
}
