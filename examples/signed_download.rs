//! An axum app that hands out links to its downloads: good for two minutes, for whoever has them, and nothing else.
//!
//! `cargo run --example signed_download --features full`, then try the lines that it prints.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use tower_gateway::{
    Identity,
    auth::signed_url::{Link, SignedUrlLayer, SigningKey, UrlSigner},
    key,
    rate_limit::{Quota, RateLimitLayer},
};

const SECRET: &[u8] = b"a secret of at least 32 random octets, from your configuration";
const ORIGIN: &str = "http://127.0.0.1:3000";

#[derive(serde::Deserialize)]
struct Wish {
    #[serde(default = "two_minutes")]
    seconds: u64,
}

fn two_minutes() -> u64 {
    120
}

/// Asks for a link; in a real app, behind a login, whose user is the link's subject.
async fn link(
    State(signer): State<UrlSigner>,
    Path(file): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<String, (StatusCode, String)> {
    let url = format!("{ORIGIN}/files/{file}?disposition=attachment");
    let link = Link::get(url, Duration::from_secs(wish.seconds)).subject("ada");
    signer
        .sign(link)
        .map(|it| format!("{it}\n"))
        .map_err(|why| (StatusCode::BAD_REQUEST, why.to_string()))
}

/// Only reached with a link; the signature is gone from the URL.
async fn download(who: Identity, uri: http::Uri) -> String {
    format!("the content of {uri}, for {}\n", who.subject())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = SigningKey::hmac("2033-05", SECRET)?;
    let signed = SignedUrlLayer::new([key.verifying_key()])?.require_host();
    let limit = RateLimitLayer::new(Quota::per_second(5).burst(10), key::client_ip());
    let signer = UrlSigner::new(key);

    let ready = Link::get(format!("{ORIGIN}/files/7.pdf"), Duration::from_secs(120));
    println!("curl -i '{}'", signer.sign(ready)?);
    println!("curl -i {ORIGIN}/files/7.pdf                     # 403");
    println!("curl -s '{ORIGIN}/links/8.pdf?seconds=5'         # a link, good for five seconds");

    let downloads = Router::new().route("/files/{*path}", get(download)).layer(signed);
    let links = Router::new().route("/links/{file}", get(link)).with_state(signer);
    let app = links.merge(downloads).layer(limit);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
