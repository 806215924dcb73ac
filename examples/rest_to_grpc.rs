//! A tonic service that also speaks REST: JSON by its `google.api.http` rules, streams, errors, and OpenAPI.
//!
//! `cargo run --example rest_to_grpc --all-features`, then try the lines that it prints. The service's proto is
//! `examples/proto/proto/users/v1/users.proto`; `examples/proto/build.rs` compiles it, without `protoc`.

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use example_proto::{DESCRIPTORS, users::v1::users_server::UsersServer};
use tower::Layer;
use tower_gateway::transcode::{JsonOptions, OpenApi, TranscodeLayer};

#[path = "support/users.rs"]
mod users;

/// REST and gRPC on one port: calls of gRPC pass through the layer as they are.
fn app() -> Result<Router, Box<dyn std::error::Error>> {
    let rest = TranscodeLayer::from_descriptor_set(DESCRIPTORS)?
        .json(JsonOptions::new().print_defaults())
        .reject_unknown();
    let schema = rest.handle();
    let openapi = move || async move {
        let document = schema.schema().openapi(&OpenApi::new("Users", "1.0"));
        ([(CONTENT_TYPE, "application/json")], document)
    };
    let service = UsersServer::new(users::Users::default());
    Ok(Router::new().route("/openapi.json", get(openapi)).fallback_service(rest.layer(service)))
}

const LINES: &str = r#"
curl -i 'localhost:3000/v1/users?id=ada' -d '{"displayName":"Ada","role":"ROLE_ADMIN","email":"ada@example.com"}' -H 'content-type: application/json'
curl -i localhost:3000/v1/users/ada
curl -i localhost:3000/v1/users/nobody                                    # 404, a problem document
curl -i 'localhost:3000/v1/users?filter.roles=ROLE_ADMIN&page_size=2'
curl -i 'localhost:3000/v1/users?colour=red'                              # 400: no such parameter
curl -i -X PATCH localhost:3000/v1/users/ada -d '{"phone":"+47 1"}' -H 'content-type: application/json'
curl -iN localhost:3000/v1/users:watch -H 'accept: text/event-stream'     # until you leave
printf '{"user":{"displayName":"Bo"}}\n{"user":{"displayName":"Cy"}}\n' | curl -iT- -X POST localhost:3000/v1/users:import
curl -i localhost:3000/openapi.json
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("{LINES}");
    axum::serve(listener, app()?).await?;
    Ok(())
}
