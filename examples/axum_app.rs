//! An axum app behind a limit and a token check; its handlers take the token's claims as a type.
//!
//! `cargo run --example axum_app --all-features`, then try the lines that it prints.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use serde::Deserialize;
use tower::ServiceBuilder;
use tower_gateway::{
    auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet},
    identity::Claims,
    key,
    rate_limit::{Quota, RateLimitLayer},
};

#[path = "support/token.rs"]
mod token;

const SECRET: &[u8] = b"a secret of at least 32 octets, from your configuration";

#[derive(Deserialize)]
struct Staff {
    sub: String,
    department: String,
}

/// Only reached with a token whose claims have this shape.
async fn whoami(staff: Claims<Staff>) -> String {
    format!("{} of {}\n", staff.sub, staff.department)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET)?;
    let issuer = Issuer::new("https://id.example", keys).audience("staff");
    let gate =
        ServiceBuilder::new() // one stack: each `Router::layer` of its own costs a box and a clone
            .layer(RateLimitLayer::new(Quota::per_second(5).burst(10), key::client_ip()))
            .layer(JwtLayer::new(issuer)?.typed::<Staff>());
    let app = Router::new().route("/whoami", get(whoami)).layer(gate);

    let token = token::hs256(
        SECRET,
        r#"{"iss":"https://id.example","aud":"staff","sub":"ada","department":"engines","exp":4102444800}"#,
    );
    println!("curl -i http://127.0.0.1:3000/whoami                                   # 401");
    println!("curl -i http://127.0.0.1:3000/whoami -H 'authorization: Bearer {token}'");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
