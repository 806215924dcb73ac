//! An axum app for users of an OpenID Connect provider: its keys are found by its name, kept fresh, and signing out
//! takes effect at once.
//!
//! `cargo run --example jwt_oidc --all-features`, then try the lines that it prints. It brings a small issuer of its
//! own; set `ISSUER` and `AUDIENCE` to use yours.

use std::{env, error::Error};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get},
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_gateway::{
    Identity,
    auth::{
        jwt::{Issuer, Jwks, JwtLayer, RevocationList},
        require::{self, RequireLayer, Rules, authenticated},
    },
    client::HttpClient,
    clock::Clock,
    identity::Claims,
};

#[path = "support/issuer.rs"]
#[allow(dead_code, reason = "another example uses the rest")]
mod issuer;

#[derive(Deserialize)]
struct User {
    sub: String,
}

async fn profile(user: Claims<User>, who: Identity) -> String {
    format!("the profile of {}, says {}\n", user.sub, who.issuer().unwrap_or_default())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let demo = issuer::DemoIssuer::new();
    let issuer = match env::var("ISSUER") {
        Ok(issuer) => issuer,
        Err(_) => demo.publish().await?,
    };
    let audience = env::var("AUDIENCE").unwrap_or_else(|_| "profiles".to_owned());

    let trusted = Issuer::discover(&issuer, HttpClient::new())?.audience(&audience);
    let keys = trusted.jwks().expect("discovered keys are remote").clone();
    // Only a service that can verify tokens should be sent traffic: a probe of readiness would ask this too.
    keys.ready().await.map_err(|no| format!("{no} ({:?})", no.cause()))?;

    let signed_out = RevocationList::new();
    let gate = ServiceBuilder::new()
        .layer(JwtLayer::new(trusted)?.typed::<User>().revocations(signed_out.clone()))
        .layer(RequireLayer::table(
            Rules::new()
                .get(
                    "/users/{id}",
                    require::claims(|user: &User, asked| asked.captured("id", &user.sub)),
                )
                .any("/{*rest}", authenticated()),
        )?);
    let app = Router::new().route("/users/{id}", get(profile)).layer(gate);
    // For operators only: on an address that nobody else reaches.
    let desk = Router::new()
        .route("/health", get(health))
        .route("/sessions/{user}", delete(sign_out))
        .with_state((issuer.clone(), keys, signed_out));

    let token = demo.token(&issuer, &audience, Clock::system().unix().as_secs());
    println!("TOKEN={token}\n");
    println!("curl -i http://127.0.0.1:3000/users/alice                                  # 401");
    println!("curl -i http://127.0.0.1:3000/users/alice -H \"authorization: Bearer $TOKEN\" # 200");
    println!(
        "curl -i http://127.0.0.1:3000/users/bob -H \"authorization: Bearer $TOKEN\"   # 403: not hers"
    );
    println!(
        "curl http://127.0.0.1:3001/health                                          # the keys"
    );
    println!(
        "curl -X DELETE http://127.0.0.1:3001/sessions/alice                        # and then 401"
    );
    let (public, private) =
        (TcpListener::bind("127.0.0.1:3000").await?, TcpListener::bind("127.0.0.1:3001").await?);
    tokio::try_join!(axum::serve(public, app), axum::serve(private, desk))?;
    Ok(())
}

type Desk = State<(String, Jwks, RevocationList)>;

async fn health(State((_, keys, _)): Desk) -> Json<serde_json::Value> {
    let health = keys.health();
    Json(serde_json::json!({
        "keys": health.keys, "age": health.age.map(|it| it.as_secs()), "last_error": health.last_error,
    }))
}

/// Refuses the tokens that the user has; later ones are good.
async fn sign_out(State((issuer, _, signed_out)): Desk, Path(user): Path<String>) -> StatusCode {
    match signed_out.revoke_subject(&issuer, &user) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE, // the list is full
    }
}
