//! A tonic server behind a token check and a limit, and what its client sees: real status codes.
//!
//! `cargo run --example tonic_server --all-features`

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tonic::{
    Code, Request,
    metadata::MetadataValue,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::ServiceBuilder;
use tower_gateway::{
    auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet},
    key,
    rate_limit::{Quota, RateLimitLayer},
};

#[path = "support/token.rs"]
mod token;

const SECRET: &[u8] = b"a secret of at least 32 octets, from your configuration";

async fn serve() -> Result<SocketAddr, Box<dyn std::error::Error>> {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET)?;
    let gate = ServiceBuilder::new()
        .layer(JwtLayer::new(Issuer::new("https://id.example", keys).audience("grpc"))?)
        .layer(RateLimitLayer::new(Quota::per_minute(1).burst(2), key::subject()));
    let (_, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder().layer(gate).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(address)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let channel = Channel::from_shared(format!("http://{}", serve().await?))?.connect().await?;
    let mut client = HealthClient::new(channel);
    let token = token::hs256(
        SECRET,
        r#"{"iss":"https://id.example","aud":"grpc","sub":"ada","exp":4102444800}"#,
    );
    let bearer: MetadataValue<_> = format!("Bearer {token}").parse()?;
    let call = || {
        let mut request = Request::new(HealthCheckRequest::default());
        request.metadata_mut().insert("authorization", bearer.clone());
        request
    };

    let anonymous = client.check(HealthCheckRequest::default()).await.unwrap_err();
    println!("without a token: {:?}, {}", anonymous.code(), anonymous.message());
    assert_eq!(anonymous.code(), Code::Unauthenticated);
    for nth in ["first", "second"] {
        println!("{nth} call: {:?}", client.check(call()).await?.into_inner());
    }
    let limited = client.check(call()).await.unwrap_err();
    println!("third call: {:?}, {}", limited.code(), limited.message());
    assert_eq!(limited.code(), Code::ResourceExhausted);
    Ok(())
}
