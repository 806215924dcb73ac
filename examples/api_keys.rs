//! An axum app for holders of API keys: their plan decides their limit, and keys are rotated and revoked while it runs.
//!
//! `cargo run --example api_keys --all-features`, then try the lines that it prints.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get, post},
};
use tower::ServiceBuilder;
use tower_gateway::{
    Identity,
    auth::api_key::{ApiKeyLayer, KeyFactory, MemoryKeys},
    clock::Clock,
    key,
    rate_limit::{Plans, Quota, RateLimitLayer},
};

async fn whoami(who: Identity) -> String {
    format!("{} on {}\n", who.subject(), who.plan().unwrap_or("no plan"))
}

type Desk = State<(KeyFactory, MemoryKeys)>;

/// A second key, beside which the old one is good for another hour. This is the only time that anyone sees it.
async fn rotate(
    State((factory, keys)): Desk,
    Path(id): Path<String>,
) -> Result<String, StatusCode> {
    let records = keys.records();
    let old = records.iter().find(|it| it.id() == id).ok_or(StatusCode::NOT_FOUND)?;
    let new = factory.mint().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let until = Clock::system().unix() + Duration::from_secs(3600);
    let record = old.successor(new.digest(), new.id());
    keys.rotate(&id, record, until).map_err(|_| StatusCode::CONFLICT)?;
    Ok(new.into_string() + "\n")
}

async fn revoke(State((_, keys)): Desk, Path(id): Path<String>) -> StatusCode {
    if keys.revoke(&id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let factory = KeyFactory::new("acme")?;
    let key = factory.mint()?;
    // In earnest this is a file, without the keys themselves: only their digests.
    let document = serde_json::json!([
        {"digest": key.digest(), "id": "paula-1", "consumer": "paula", "plan": "gold"},
        {"digest": factory.mint()?.digest(), "id": "quentin-1", "consumer": "quentin", "plan": "free"},
    ]);
    let keys = MemoryKeys::from_json(document.to_string())?;

    let plans = Plans::otherwise(Quota::per_minute(5)).plan("gold", Quota::per_minute(600));
    let gate = ServiceBuilder::new()
        .layer(ApiKeyLayer::new(keys.clone()).minted_by(&factory))
        .layer(RateLimitLayer::new(plans, key::subject()));
    let app = Router::new().route("/whoami", get(whoami)).layer(gate);
    // For operators only: on an address that nobody else reaches.
    let desk = Router::new()
        .route("/keys/{id}", delete(revoke))
        .route("/keys/{id}/successor", post(rotate))
        .with_state((factory, keys));

    println!("curl -i http://127.0.0.1:3000/whoami  # 401");
    println!("curl -i http://127.0.0.1:3000/whoami -H 'x-api-key: {}'", key.reveal());
    println!("curl -X POST http://127.0.0.1:3001/keys/paula-1/successor  # both are good now");
    println!("curl -X DELETE http://127.0.0.1:3001/keys/paula-1  # and now one is");
    let public = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let private = tokio::net::TcpListener::bind("127.0.0.1:3001").await?;
    tokio::try_join!(axum::serve(public, app), axum::serve(private, desk))?;
    Ok(())
}
