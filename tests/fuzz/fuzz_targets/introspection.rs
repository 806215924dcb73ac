//! A token is good only if its server says so, in a way that a parser that forgives more reads alike.
#![no_main]

use std::{convert::Infallible, sync::LazyLock};

use arbitrary::Arbitrary;
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{
    Identity,
    auth::introspection::{Introspection, IntrospectionLayer},
    clock::Clock,
};
use tower_gateway_fuzz::Seen;

const GOOD: &str = r#"{"active":true,"sub":"ada","aud":["api","b"],"exp":2000000300,"nbf":1,"iss":"id","scope":"r w","token_type":"Bearer"}"#;
/// Where the manual clock stands.
const NOW: f64 = 2_000_000_000.0;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Answer(&'a [u8]),
    /// The good answer, with these octets in place of some of its own.
    Edited {
        at: u8,
        remove: u8,
        insert: &'a [u8],
    },
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|input: Input<'_>| {
    let answer = match input {
        Input::Answer(answer) => answer.to_vec(),
        Input::Edited { at, remove, insert } => {
            let good = GOOD.as_bytes();
            let at = usize::from(at) % (good.len() + 1);
            let end = (at + usize::from(remove)).min(good.len());
            [&good[..at], insert, &good[end..]].concat()
        }
    };
    let Ok(answer) = String::from_utf8(answer) else {
        return; // the client's body is text here
    };
    let Some(who) = admitted(answer.clone()) else {
        assert!(answer != GOOD, "the good one");
        return;
    };
    let said: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(said["active"], true);
    let is_for_us = |it: &Value| it == "api";
    let aud = &said["aud"];
    assert!(is_for_us(aud) || aud.as_array().is_some_and(|it| it.iter().any(is_for_us)));
    assert!(said["exp"].is_null() || said["exp"].as_f64().is_some_and(|it| it > NOW));
    assert!(said["nbf"].is_null() || said["nbf"].as_f64().is_some_and(|it| it <= NOW + 60.0));
    if let Some(kind) = said["token_type"].as_str() {
        assert!(kind.eq_ignore_ascii_case("bearer"));
    }
    let subject = said["sub"].as_str().or(said["client_id"].as_str());
    assert_eq!(who.subject(), subject.unwrap_or_default());
});

/// Whom a token speaks for of which the server says this.
fn admitted(answer: String) -> Option<Identity> {
    let server = service_fn(move |_: Request<String>| {
        let answer = Response::new(answer.clone());
        async { Ok::<_, Infallible>(answer) }
    });
    let endpoint = Introspection::at("https://id.example/introspect", server);
    let endpoint = endpoint.bearer_token("a").capacity(16).clock(Clock::manual().0);
    let server = endpoint.build().expect("good settings").audience("api");
    let layer = IntrospectionLayer::new(server).expect("an audience");
    let seen = Seen::default();
    let request = Request::get("/").header("authorization", "Bearer t").body(());
    let service = layer.layer(seen.clone());
    let status = RUNTIME.block_on(service.oneshot(request.expect("a request")));
    let status = status.unwrap_or_else(|never| match never {}).status().as_u16();
    assert!([200, 401, 503].contains(&status), "{status}");
    let request = seen.take()?;
    assert!(!request.headers().contains_key("authorization"), "the token went on");
    Some(request.extensions().get::<Identity>().expect("who was admitted is known").clone())
}
