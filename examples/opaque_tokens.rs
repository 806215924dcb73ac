//! An axum app that takes two kinds of tokens: JWTs it verifies itself; about opaque ones it asks their authorization
//! server (RFC 7662), seldom.
//!
//! `cargo run --example opaque_tokens --all-features`, then try the lines that it prints. It brings small servers of
//! its own; set `ISSUER`, or `INTROSPECTION_URL`, `CLIENT_ID` and `CLIENT_SECRET`, to ask yours.

use std::{env, error::Error};

use axum::{Json, Router, http::HeaderMap, http::StatusCode, routing};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_gateway::{
    Identity,
    auth::{
        first_of,
        introspection::{Introspection, IntrospectionLayer},
        jwt::{Issuer, JwtLayer},
        require::{RequireLayer, Rules, scope},
    },
    client::HttpClient,
    clock::Clock,
};

#[path = "support/issuer.rs"]
#[allow(dead_code, reason = "another example uses the rest")]
mod issuer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let url = setting("INTROSPECTION_URL", "http://127.0.0.1:3001/introspect");
    let (id, secret) = (setting("CLIENT_ID", "gateway"), setting("CLIENT_SECRET", "hunter2"));
    if env::var("INTROSPECTION_URL").is_err() {
        let stand_in = Router::new().route("/introspect", routing::post(introspect));
        let listener = TcpListener::bind("127.0.0.1:3001").await?;
        tokio::spawn(async { axum::serve(listener, stand_in).await });
    }

    let demo = issuer::DemoIssuer::new();
    let issuer = match env::var("ISSUER") {
        Ok(issuer) => issuer,
        Err(_) => demo.publish().await?,
    };

    let server = Introspection::at(url, HttpClient::new())
        .client_secret_basic(&id, &secret)
        .build()?
        .audience("orders");
    let opaque = IntrospectionLayer::new(server.clone())?;
    let jwt = JwtLayer::new(Issuer::discover(&issuer, HttpClient::new())?.audience("orders"))?;
    let gate = ServiceBuilder::new()
        .layer(first_of((jwt, opaque))) // by its form: what is no JWT is asked about
        .layer(RequireLayer::table(
            Rules::new()
                .get("/orders", scope("orders:read"))
                .post("/orders", scope("orders:write")),
        )?);
    let app = Router::new().route("/orders", routing::get(list).post(list)).layer(gate);
    // Where your authorization server tells of revoked tokens: on an address that nobody else reaches.
    let revoked = routing::post(async move |token: String| server.forget(&token));
    let desk = Router::new().route("/revoked", revoked);

    let now = Clock::system().unix().as_secs();
    let token = demo.sign(&json!({
        "iss": issuer, "aud": "orders", "sub": "grace", "exp": now + 3_600,
        "scope": "orders:read orders:write",
    }));
    println!("TOKEN={token}\n");
    for (arguments, status) in [
        ("orders", "401"),
        ("orders -H 'authorization: Bearer ada-7f3a'", "200"),
        ("orders -H 'authorization: Bearer ada-7f3a' -X POST", "403"),
        ("orders -H 'authorization: Bearer guessed'", "401"),
        ("orders -H \"authorization: Bearer $TOKEN\" -X POST", "200"),
    ] {
        println!("curl -i http://127.0.0.1:3000/{arguments:<52} # {status}");
    }
    println!("curl -i http://127.0.0.1:3002/revoked -d ada-7f3a # the next request asks again");
    let (public, private) =
        (TcpListener::bind("127.0.0.1:3000").await?, TcpListener::bind("127.0.0.1:3002").await?);
    tokio::try_join!(axum::serve(public, app), axum::serve(private, desk))?;
    Ok(())
}

async fn list(who: Identity) -> String {
    let scopes: Vec<_> = who.scopes().collect();
    format!("the orders of {}, who may {}\n", who.subject(), scopes.join(", "))
}

/// The stand-in: it knows one client and one token.
async fn introspect(fields: HeaderMap, form: String) -> Result<Json<Value>, StatusCode> {
    let client = fields.get("authorization").and_then(|it| it.to_str().ok());
    if client != Some("Basic Z2F0ZXdheTpodW50ZXIy") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    println!("asked about {form}");
    Ok(Json(match form.starts_with("token=ada-7f3a&") {
        true => json!({
            "active": true, "sub": "ada", "aud": "orders", "scope": "orders:read",
        }),
        false => json!({ "active": false }),
    }))
}
