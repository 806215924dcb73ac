//! An axum app whose tokens are opaque: only their authorization server can say what they are good for (RFC 7662).
//!
//! `cargo run --example opaque_tokens --all-features`, then try the lines that it prints. It brings a small
//! authorization server of its own; set `INTROSPECTION_URL`, `CLIENT_ID` and `CLIENT_SECRET` to ask yours.

use std::{env, error::Error};

use axum::{Json, Router, http::HeaderMap, http::StatusCode, routing};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_gateway::{
    Identity,
    auth::introspection::{Introspection, IntrospectionLayer},
    client::HttpClient,
};

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

    // One server and one memory; each route requires what it needs.
    let server = Introspection::at(url, HttpClient::new())
        .client_secret_basic(&id, &secret)
        .build()?
        .audience("orders");
    let read = IntrospectionLayer::new(server.clone().require_scope("orders:read"))?;
    let write = IntrospectionLayer::new(server.clone().require_scope("orders:write"))?;

    let app = Router::new()
        .route("/orders", routing::get(list).layer(read))
        .route("/orders", routing::post(list).layer(write))
        // Where your authorization server tells of revoked tokens. Keep it from the public.
        .route("/revoked", routing::post(async move |token: String| server.forget(&token)));

    for (arguments, status) in [
        ("orders", "401"),
        ("orders -H 'authorization: Bearer ada-7f3a'", "200"),
        ("orders -H 'authorization: Bearer ada-7f3a' -X POST", "403"),
        ("orders -H 'authorization: Bearer guessed'", "401"),
        ("revoked -d ada-7f3a", "200, and the next request asks again"),
    ] {
        println!("curl -i http://127.0.0.1:3000/{arguments:<52} # {status}");
    }
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app).await?)
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
