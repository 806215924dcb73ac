//! Hostile heads and bodies at the whole gateway: the right answer, and nothing of theirs at an upstream.

use std::io::{Read, Write};

use crate::{
    process::{Gateway, content, status},
    recorder::Recorder,
    support::tokens,
};

const UNLIMITED: &[&str] = &["--rate", "100000", "--burst", "100000"];

/// A gateway in front of a recorder, and a token that it accepts.
struct Rig {
    gateway: Gateway,
    upstream: Recorder,
    token: String,
}

impl Rig {
    fn new(more: &[&str]) -> Self {
        let upstream = Recorder::start();
        let issuer = tokens::es256();
        let file = std::env::temp_dir().join(format!("jwks-{}.json", upstream.addr.port()));
        std::fs::write(&file, tokens::jwks([issuer])).unwrap();
        let (url, file) = (upstream.url(), file.to_str().unwrap().to_owned());
        let base =
            ["--users", &url, "--default", &url, "--jwks", &file, "--issuer", tokens::ISSUER];
        let audience = ["--audience", tokens::AUDIENCE];
        let arguments: Vec<&str> = base.iter().chain(&audience).chain(more).copied().collect();
        let gateway = Gateway::start(&arguments);
        std::fs::remove_file(file).unwrap();
        Self { gateway, upstream, token: issuer.token(&tokens::claims()) }
    }

    /// The answer, and what reached the upstream, of this request; `{T}` stands for a good credential.
    fn ask(&self, request: impl AsRef<[u8]>) -> (String, Vec<String>) {
        let authorization = format!("authorization: Bearer {}", self.token);
        let mut bytes = Vec::new();
        let mut rest = request.as_ref();
        while let Some(at) = rest.windows(3).position(|it| it == b"{T}") {
            bytes.extend_from_slice(&rest[..at]);
            bytes.extend_from_slice(authorization.as_bytes());
            rest = &rest[at + 3..];
        }
        bytes.extend_from_slice(rest);
        let answer = self.gateway.exchange(bytes);
        (answer, self.upstream.take())
    }
}

/// A problem document of that status.
fn is_refusal(answer: &str) -> bool {
    let (head, content) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let document = serde_json::from_str::<serde_json::Value>(content);
    head.contains("content-type: application/problem+json")
        && document.is_ok_and(|it| it["status"] == status(answer))
}

#[test]
fn nothing_hostile_reaches_an_upstream() {
    let rig = Rig::new(UNLIMITED);
    let long = "x".repeat(64 * 1024);
    let fields: String = (0..5_000).map(|n| format!("x-{n}: 1\r\n")).collect();
    let get =
        |rest: &str| format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{rest}\r\n\r\n");
    let post =
        |rest: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{{T}}\r\nconnection: close\r\n{rest}");
    let path = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: a\r\n{{T}}\r\nconnection: close\r\n\r\n")
    };
    let cases: Vec<(&str, String, &[u16])> = vec![
        ("no host", "GET / HTTP/1.1\r\n{T}\r\n\r\n".into(), &[400]),
        ("two hosts", get("host: b\r\n{T}"), &[400]),
        ("the same host twice", get("host: a\r\n{T}"), &[400]),
        ("a host with a path", "GET / HTTP/1.1\r\nhost: a/b\r\n{T}\r\n\r\n".into(), &[400]),
        ("a host with a user", "GET / HTTP/1.1\r\nhost: u@a\r\n{T}\r\n\r\n".into(), &[400]),
        ("an empty host", "GET / HTTP/1.1\r\nhost:\r\n{T}\r\n\r\n".into(), &[400]),
        ("a tunnel", "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n{T}\r\n\r\n".into(), &[405, 501]),
        ("two credentials, good first", get("{T}\r\nauthorization: Bearer x.y.z"), &[400, 401]),
        ("two credentials, bad first", get("authorization: Bearer x.y.z\r\n{T}"), &[400, 401]),
        ("the same credential twice", get("{T}\r\n{T}"), &[400, 401]),
        ("a tab in the credential", get("authorization: Bearer\tx.y.z"), &[400, 401]),
        ("a credential beyond ASCII", get("authorization: Bearer x\u{e9}.y.z"), &[400, 401]),
        ("a list of credentials", get("authorization: Bearer x, Bearer y"), &[400, 401]),
        ("a token of 64 KiB", get(&format!("authorization: Bearer {long}")), &[400, 401, 431]),
        ("a user agent that monitors", get("user-agent: kube-probe/1.0"), &[401]),
        (
            "a method of one's own",
            "FOO / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".into(),
            &[401],
        ),
        (
            "a header override",
            get("x-original-url: /public\r\nx-http-method-override: GET"),
            &[401],
        ),
        ("5,000 fields", get(&format!("{fields}{{T}}")), &[400, 431]),
        ("a target of 300 KB", path(&format!("/{}", "a".repeat(300_000))), &[400, 414, 431]),
        ("a header section of 1 MB", get(&format!("x: {}", "a".repeat(1_000_000))), &[400, 431]),
        ("dot segments", path("/public/../v1/users"), &[400]),
        ("encoded dot segments", path("/public/%2e%2e/v1/users"), &[400]),
        ("an encoded slash", path("/v1%2fusers"), &[400]),
        ("a backslash", path("/v1\\users"), &[400]),
        ("an encoded backslash", path("/..%5cv1"), &[400]),
        ("a parameter", path("/public/..;/v1/users"), &[400]),
        ("an empty segment", path("//v1/users"), &[400]),
        ("an encoded NUL", path("/v1/users%00"), &[400]),
        ("a broken escape", path("/%zz"), &[400]),
        ("a target without a slash", path("v1/users"), &[400]),
        (
            "CL and TE",
            post("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG"),
            &[400, 200],
        ),
        ("two lengths", post("content-length: 5\r\ncontent-length: 6\r\n\r\nhello!"), &[400]),
        ("a list of lengths", post("content-length: 5, 6\r\n\r\nhello!"), &[400]),
        ("a signed length", post("content-length: +5\r\n\r\nhello"), &[400]),
        ("a huge length", post("content-length: 99999999999999999999999\r\n\r\n"), &[400]),
        ("an unknown coding", post("transfer-encoding: cow\r\n\r\n"), &[400, 501]),
        ("cow, chunked", post("transfer-encoding: cow, chunked\r\n\r\n0\r\n\r\n"), &[400, 501]),
        (
            "chunked, identity",
            post("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
            &[400, 501],
        ),
        (
            "identity, chunked",
            post("transfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n"),
            &[400, 501],
        ),
        (
            "chunked twice",
            post("transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
            &[400, 501],
        ),
        (
            "chunked in two fields",
            post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            &[400, 501],
        ),
        (
            "a coding with a space before the colon",
            post("transfer-encoding : chunked\r\n\r\n0\r\n\r\n"),
            &[400],
        ),
        ("a folded field", post("x: a\r\n b\r\ncontent-length: 0\r\n\r\n"), &[400]),
        (
            "TE in HTTP/1.0",
            "POST / HTTP/1.0\r\nhost: a\r\n{T}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
                .into(),
            &[400],
        ),
        ("HTTP/9.9", "GET / HTTP/9.9\r\nhost: a\r\n{T}\r\n\r\n".into(), &[400, 505]),
        ("a bare CR", "GET / HTTP/1.1\rhost: a\r\n\r\n".into(), &[400]),
        ("a space in a name", get("x a: 1\r\n{T}"), &[400]),
        ("a NUL in a value", get("x: \0\r\n{T}"), &[400]),
        ("no colon", get("nonsense\r\n{T}"), &[400]),
    ];
    for (name, request, expected) in cases {
        let (answer, reached) = rig.ask(&request);
        assert!(expected.contains(&status(&answer)), "{name}: {answer}");
        match status(&answer) {
            200 => assert!(!reached[0].contains("content-length"), "{name}: {reached:?}"),
            _ => {
                assert_eq!(reached, [""; 0], "{name}");
                assert!(is_refusal(&answer), "{name}: {answer}");
            }
        }
    }
    let (answer, reached) = rig.ask(get("{T}"));
    assert_eq!((status(&answer), reached.len()), (200, 1), "and the good are served as before");
}

#[test]
fn a_malformed_body_is_the_clients_fault() {
    let rig = Rig::new(UNLIMITED);
    let bodies = [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\nhello\n0\n\n",
    ];
    for body in bodies {
        let head = "POST / HTTP/1.1\r\nhost: a\r\n{T}\r\ntransfer-encoding: chunked\r\n\r\n";
        let (answer, reached) = rig.ask(format!("{head}{body}"));
        assert_eq!(status(&answer), 400, "{body:?}: {answer}");
        assert!(is_refusal(&answer), "{body:?}: {answer}");
        assert_eq!(reached, [""; 0], "no complete request reaches the upstream: {body:?}");
    }
}

#[test]
fn identity_fields_are_the_gateways() {
    let rig = Rig::new(UNLIMITED);
    let spoofs = [
        "x-auth-sub: admin",
        "X-AUTH-SUB: admin\r\nx-auth-sub: root",
        "x_auth_sub: admin",
        "x.auth.sub: admin",
        "x_auth-sub: admin",
        "connection: x-auth-sub",
        "connection: x-auth-sub, close\r\nx-auth-sub: admin",
        "client-cert: :YWRtaW4=:",
        "client-cert-chain: :YWRtaW4=:",
        "x-forwarded-client-cert: admin",
        "connection: authorization",
    ];
    for spoof in spoofs {
        let (answer, reached) = rig.ask(format!(
            "GET / HTTP/1.1\r\nhost: a\r\n{{T}}\r\nconnection: close\r\n{spoof}\r\n\r\n"
        ));
        assert_eq!(status(&answer), 200, "{spoof}: {answer}");
        let [request] = &reached[..] else { panic!("{spoof}: {reached:?}") };
        let request = request.to_ascii_lowercase();
        assert_eq!(request.matches("x-auth-sub: alice\r\n").count(), 1, "{spoof}: {request}");
        assert!(!request.contains("admin") && !request.contains("root"), "{spoof}: {request}");
        assert!(
            !request.contains("client-cert") && !request.contains("bearer"),
            "{spoof}: {request}"
        );
    }
    // In trailers, too.
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\n{T}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let trailers =
        "5\r\nhello\r\n0\r\nx-auth-sub: admin\r\nX_Auth_Sub: admin\r\nx-checksum: 1\r\n\r\n";
    let (_, reached) = rig.ask(format!("{chunked}{trailers}"));
    assert!(reached[0].contains("hello") && !reached[0].contains("admin"), "{reached:?}");
}

#[test]
fn addresses_are_believed_from_named_proxies_only() {
    let spoofs = "x-forwarded-for: 203.0.113.7\r\nx-real-ip: 203.0.113.7\r\nforwarded: for=203.0.113.7\r\n\
        true-client-ip: 203.0.113.7\r\ncf-connecting-ip: 203.0.113.7\r\nx-forwarded-host: evil\r\n\
        x-forwarded-proto: gopher\r\nx-forwarded-port: 1\r\nx-forwarded-prefix: /evil\r\n\
        x-forwarded-uri: /evil\r\nx-original-url: /evil\r\nx-rewrite-url: /evil\r\nx_forwarded_for: 203.0.113.7";
    let request =
        format!("GET / HTTP/1.1\r\nhost: a\r\n{{T}}\r\n{spoofs}\r\nconnection: close\r\n\r\n");

    let direct = Rig::new(UNLIMITED);
    let (_, reached) = direct.ask(&request);
    assert!(!reached[0].contains("203.0.113.7") && !reached[0].contains("evil"), "{reached:?}");
    assert!(reached[0].contains("x-forwarded-for: 127.0.0.1\r\n"), "{reached:?}");

    let behind_one = Rig::new(&["--trusted-hops", "1", "--rate", "100000"]);
    let (_, reached) = behind_one.ask(&request);
    assert!(reached[0].contains("x-forwarded-for: 203.0.113.7, 127.0.0.1\r\n"), "{reached:?}");
}

#[test]
fn rotating_addresses_buys_no_quota() {
    let rig = Rig::new(&["--rate", "1", "--burst", "3"]);
    let ask = |n: u8| {
        let fields = format!("x-forwarded-for: 203.0.113.{n}\r\nx-real-ip: 203.0.113.{n}");
        status(
            &rig.ask(format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\nconnection: close\r\n\r\n"))
                .0,
        )
    };
    let limited = (0..40).map(ask).filter(|status| *status == 429).count();
    assert!(limited >= 30, "{limited} of 40 limited");
}

#[test]
fn hop_by_hop_fields_stop_here() {
    let rig = Rig::new(UNLIMITED);
    let fields = "connection: close, X-Hop ,, keep-alive\r\nconnection: x-other\r\nx-hop: 1\r\nx-other: 1\r\n\
        keep-alive: timeout=5\r\nproxy-connection: close\r\nte: gzip\r\nproxy-authorization: Basic eA==\r\n\
        upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nx-stays: 1";
    let (answer, reached) =
        rig.ask(format!("GET / HTTP/1.1\r\nhost: a\r\n{{T}}\r\n{fields}\r\n\r\n"));
    assert_eq!(status(&answer), 200);
    let request = reached[0].to_ascii_lowercase();
    let gone = [
        "x-hop",
        "x-other",
        "keep-alive",
        "proxy-",
        "te:",
        "upgrade",
        "http2-settings",
        "connection",
    ];
    for name in gone {
        assert!(!request.contains(&format!("\n{name}")), "{name}: {request}");
    }
    assert!(request.contains("x-stays: 1"));
    let (_, reached) =
        rig.ask("GET / HTTP/1.1\r\nhost: a\r\n{T}\r\nconnection: host, close\r\n\r\n");
    assert_eq!(reached[0].matches("\nhost: ").count(), 1, "{reached:?}");
}

#[test]
fn after_an_early_refusal_the_next_answer_is_the_next_requests() {
    let rig = Rig::new(UNLIMITED);
    let mut stream = rig.gateway.connect();
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let post = format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    );
    let next = "GET /v1/users HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    // A gateway that closes instead may do so before the second write.
    let _ = stream.write_all(post.as_bytes()).and_then(|()| stream.write_all(next.as_bytes()));
    let mut answers = String::new();
    let _ = stream.read_to_string(&mut answers);
    assert!((1..=2).contains(&answers.matches("HTTP/1.1 401").count()), "{answers}");
    assert!(content(&answers).starts_with('{'), "{answers}");
    assert_eq!(rig.upstream.take(), [""; 0]);
}
