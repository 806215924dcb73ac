//! What a newcomer sees: two services, a token, a limit; and what an operator does.

use std::io::{Read, Write};

use crate::process::{Gateway, content, refusal_to_start, status};

fn get(path: &str, token: Option<&str>) -> String {
    let authorization = token.map_or(String::new(), |it| format!("authorization: Bearer {it}\r\n"));
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n{authorization}connection: close\r\n\r\n")
}

/// What the embedded service says of itself and of what reached it.
fn seen(answer: &str) -> serde_json::Value {
    serde_json::from_str(content(answer)).unwrap()
}

#[test]
fn routes_to_the_service_that_is_meant() {
    let gateway = Gateway::start(&["--rate", "100000"]);
    let token = gateway.token.as_deref();
    let cases = [
        ("/v1/users", "users"),
        ("/v1/users/", "users"),
        ("/v1/users/7?x=/v1/orders", "users"),
        ("/v1/%75sers/7", "users"),
        ("/v1/users2", "default"),
        ("/v1/Users", "default"),
        ("/v1", "default"),
        ("/", "default"),
        ("/orders?/v1/users", "default"),
    ];
    for (path, service) in cases {
        let answer = gateway.exchange(get(path, token));
        assert_eq!(status(&answer), 200, "{path}: {answer}");
        assert_eq!(seen(&answer)["service"], service, "{path}");
    }
    let seen = seen(&gateway.exchange(get("/v1/%75sers/7?a=%75", token)));
    assert_eq!(seen["target"], "/v1/users/7?a=%75", "the path that was judged is forwarded");
    assert_eq!(seen["headers"]["x-auth-sub"], "alice");
    assert_eq!(seen["headers"]["x-forwarded-for"], "127.0.0.1");
    assert!(seen["headers"].get("authorization").is_none(), "the credential stays here");
}

#[test]
fn without_a_token_nothing_passes_and_the_answer_says_what_is_missing() {
    let gateway = Gateway::start(&["--rate", "100000"]);
    let answer = gateway.exchange(get("/v1/users/7", None));
    assert_eq!(status(&answer), 401);
    assert!(answer.contains("www-authenticate: Bearer realm="), "{answer}");
    assert!(!answer.contains("error="), "no credential is no error (RFC 6750 §3.1): {answer}");
    assert_eq!(seen(&answer)["reason"], "unauthenticated");
    let answer = gateway.exchange(get("/v1/users/7", Some("a.b.c")));
    assert_eq!(status(&answer), 401);
    assert!(answer.contains("error=\"invalid_token\""), "{answer}");
}

#[test]
fn a_burst_is_admitted_and_the_rest_is_told_when_to_come_back() {
    let gateway = Gateway::start(&["--rate", "0", "--burst", "0"]);
    let answer = gateway.exchange(get("/", gateway.token.as_deref()));
    assert_eq!(status(&answer), 429, "a quota of nothing admits nothing");

    let gateway = Gateway::start(&["--rate", "1", "--burst", "20"]);
    let requests: String = (0..200).map(|_| "GET / HTTP/1.1\r\nhost: a\r\n\r\n").collect();
    let mut stream = gateway.connect();
    stream.write_all((requests + &get("/", None)).as_bytes()).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let count = |status: &str| answers.matches(&format!("HTTP/1.1 {status} ")).count();
    let admitted = count("401"); // the limit is asked before the token
    assert!((20..40).contains(&admitted), "{admitted} admitted");
    assert_eq!(count("429"), 201 - admitted);
    let limited = &answers[answers.find("HTTP/1.1 429").unwrap()..];
    assert!(limited.contains("retry-after: 1\r\n"), "{limited}");
    assert!(limited.contains("ratelimit-policy: \"per-client\";q=20;w=20\r\n"), "{limited}");
    assert!(limited.contains("ratelimit: \"per-client\";r=0;t="), "{limited}");
}

#[test]
fn every_decision_is_a_line_and_no_line_holds_a_secret() {
    let gateway = Gateway::start(&["--rate", "100000"]);
    let token = gateway.token.as_deref();
    gateway.exchange(get("/v1/users/7?api_key=canary-in-query", token));
    gateway.exchange(get("/nobody", Some("canary-in-token.b.c")));
    let said = loop {
        let said = gateway.output();
        if said.contains("/nobody") && said.contains("unauthenticated") {
            break said;
        }
        std::thread::yield_now();
    };
    for layer in ["client_ip", "rate_limit", "jwt"] {
        assert!(said.contains(&format!("layer=\"{layer}\"")), "{layer}: {said}");
    }
    assert!(said.contains("/v1/users/7") && said.contains("outcome=\"refused\""), "{said}");
    let signature = token.unwrap().rsplit('.').next().unwrap();
    assert!(!said.contains(signature) && !said.contains("canary"), "{said}");
}

#[test]
fn sigterm_drains() {
    let mut gateway = Gateway::start(&["--rate", "100000", "--burst", "100000"]);
    let request = get("/v1/users/7", gateway.token.as_deref());
    // Half of each head before the signal, the other half after it.
    let (first, rest) = request.split_at(request.len() - 10);
    let mut streams: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    streams.iter_mut().for_each(|stream| stream.write_all(first.as_bytes()).unwrap());
    gateway.terminate();
    while !gateway.output().contains("draining") {
        assert!(gateway.is_running(), "it ended without draining: {}", gateway.output());
        std::thread::yield_now();
    }
    for mut stream in streams {
        stream.write_all(rest.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(status(&answer), 200, "{answer}");
    }
    assert!(gateway.wait().success());
}

#[test]
fn what_cannot_start_says_why() {
    let running = Gateway::start(&[]);
    let taken = running.addr.to_string();
    let mine = ["--listen", "127.0.0.1:0"];
    let jwks = |url| {
        [&mine[..], &["--jwks", url, "--issuer", "https://id.example", "--audience", "api"]]
            .concat()
    };
    let cases = [
        (vec!["--listen", &taken], "cannot listen on"),
        ([&mine[..], &["--users", "ftp://a"]].concat(), "`http://host` or `https://host`"),
        ([&mine[..], &["--audience", ""]].concat(), "empty audience"),
        (jwks("/nowhere/keys.json"), "cannot read /nowhere/keys.json"),
        (jwks("http://id.example/keys"), "must be https"),
    ];
    for (arguments, why) in cases {
        let said = refusal_to_start(&arguments);
        assert!(said.starts_with("edge_gateway: ") && said.contains(why), "{arguments:?}: {said}");
    }
}
