//! Limits as an API has them: by plan for holders of keys, by address before any key is looked at, dearer where an
//! endpoint is dear, and a queue in front of what can only do so much.
//!
//! `cargo run --example rate_limits --all-features`, then try the lines that it prints.

use axum::{Router, routing::get};
use tower::ServiceBuilder;
use tower_gateway::{
    Identity,
    auth::api_key::{ApiKeyLayer, KeyFactory, MemoryKeys},
    guard::Head,
    key,
    rate_limit::{Limit, Plans, Quota, RateLimitLayer},
};

/// A search costs as much as ten other calls.
fn dear_searches(head: Head<'_>) -> u64 {
    if head.uri().path() == "/search" { 10 } else { 1 }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let factory = KeyFactory::new("acme")?;
    let (gold, free) = (factory.mint()?, factory.mint()?);
    let keys = MemoryKeys::new([
        gold.record("paula").with_plan("gold"),
        free.record("quentin").with_plan("free"),
    ])?;

    // As nginx's `limit_req rate=10r/s burst=20 nodelay`: before the keys, so that guessing them is limited too.
    let by_address = Quota::per_second(10).burst(21);

    // Checked together, spent together: what one of them refuses takes nothing from the other.
    let minute = Plans::otherwise(Quota::per_minute(20)).plan("gold", Quota::per_minute(600));
    let month = Plans::otherwise(Quota::per_calendar_month(1_000)).plan("gold", Quota::unlimited());
    let by_plan =
        RateLimitLayer::of(Limit::new(minute, key::subject()).name("minute").cost(dear_searches))
            .and(Limit::new(month, key::subject()).name("month").cost(dear_searches));

    // As nginx's `limit_req rate=2r/s burst=4`: the report is slow, so calls of it wait for their turn.
    let queue = RateLimitLayer::new(Quota::per_second(2).leaky_bucket(4, 0), key::shared());
    let report = async |who: Identity| format!("the report of {}\n", who.subject());

    let gate = ServiceBuilder::new()
        .layer(RateLimitLayer::of(Limit::new(by_address, key::client_ip()).name("address")))
        .layer(ApiKeyLayer::new(keys).minted_by(&factory))
        .layer(by_plan);
    let app = Router::new()
        .route("/search", get(async || "found\n"))
        .route("/orders", get(async || "orders\n"))
        .route("/report", get(report).layer(queue))
        .layer(gate);

    let (gold, free) = (gold.reveal(), free.reveal());
    println!("curl -i http://127.0.0.1:3000/orders -H 'x-api-key: {gold}'");
    println!("# a free plan has 20 a minute, of which two searches take all; the third is a 429");
    println!(
        "for n in 1 2 3; do curl -i http://127.0.0.1:3000/search -H 'x-api-key: {free}'; done"
    );
    println!("# six reports at once: one now, four in turn, half a second apart, and a 429");
    println!(
        "for n in 1 2 3 4 5 6; do curl -sw '%{{http_code}} after %{{time_total}} s\\n' -o /dev/null http://127.0.0.1:3000/report -H 'x-api-key: {gold}' & done; wait"
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let until = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    axum::serve(listener, app).with_graceful_shutdown(until).await?;
    Ok(())
}
