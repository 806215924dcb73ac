//! A guard of your own, with the checklist that every layer of the crate passes.
//!
//! `cargo run --example custom_guard --all-features`, then `curl -i localhost:3000` with and without
//! `-H 'x-team: blue'`; `cargo test --example custom_guard --all-features` runs the checklist.

use axum::{Router, routing::get};
use tower_gateway::{
    guard::{Guard, GuardLayer, Head, Verdict},
    rejection::Rejection,
};

/// Admits requests of teams that it knows.
struct Teams(&'static [&'static str]);

impl Guard for Teams {
    const NAME: &'static str = "teams";
    type Pass = ();

    fn check(&self, head: Head<'_>) -> Verdict<()> {
        let team = head.headers().get("x-team").and_then(|team| team.to_str().ok());
        match team {
            Some(team) if self.0.contains(&team) => Verdict::admit(()),
            Some(_) => Verdict::refuse(Rejection::forbidden("That team has no access.")),
            None => Verdict::refuse(Rejection::malformed("Name your team in `x-team`.")),
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let gate = GuardLayer::new(Teams(&["blue", "green"]));
    let app = Router::new().route("/", get(|| async { "Welcome.\n" })).layer(gate);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}

#[cfg(test)]
#[tokio::test]
async fn keeps_the_contract() {
    use http::Request;
    tower_gateway::test_util::Contract::new(|| {
        Request::get("/").header("x-team", "blue").body(()).unwrap()
    })
    .refuses(|| Request::get("/").header("x-team", "red").body(()).unwrap())
    .check(GuardLayer::new(Teams(&["blue"])))
    .await;
}
