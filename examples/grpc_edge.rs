//! REST in front of a gRPC server elsewhere, which is asked for its descriptors: at start, and then every minute.
//!
//! `cargo run --example grpc_edge --all-features` starts it with a server of its own, and prints what to try. With
//! `-- http://10.0.0.8:50051` it stands in front of yours, which must offer reflection.

use std::error::Error;

use bytes::Bytes;
use example_proto::{DESCRIPTORS, users::v1::users_server::UsersServer};
use tokio::net::TcpListener;
use tonic::transport::{Server as TonicServer, server::TcpIncoming};
use tower::Layer;
use tower_gateway::{
    ConfigError,
    server::Server,
    target::PathRules,
    transcode::{Descriptors, Schema, TranscodeLayer, reflection::Reflection},
    upstream::Upstream,
};

#[path = "support/users.rs"]
mod users;

/// A tonic server with reflection, as it would run elsewhere.
async fn elsewhere() -> Result<String, Box<dyn Error>> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()?;
    let users = UsersServer::new(users::Users::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let server = TonicServer::builder().add_service(reflection).add_service(users);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(origin)
}

/// What a server tells of itself; a method without a rule is `POST /pkg.Service/Method`.
fn compile(set: Bytes) -> Result<Schema, ConfigError> {
    Descriptors::from_set(set).map_unannotated().compile()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = match std::env::args().nth(1) {
        Some(origin) => origin,
        None => elsewhere().await?,
    };
    let upstream = Upstream::new(&origin)?.http2();
    let reflection = Reflection::of(upstream.clone());
    let rest = TranscodeLayer::new(compile(reflection.fetch().await?)?).reject_unknown();

    // The last good schema stays while the server is away, or tells what does not compile.
    let handle = rest.handle();
    let _following = reflection.refresh(move |set| compile(set).map(|it| handle.replace(it)))?;

    let listener = std::net::TcpListener::bind("127.0.0.1:3000")?;
    println!("REST on http://127.0.0.1:3000, in front of {origin}; for example:");
    println!("curl -i 'localhost:3000/v1/users?id=ada' --json '{{\"displayName\":\"Ada\"}}'");
    println!("curl -i localhost:3000/v1/users/ada");
    println!("curl -N localhost:3000/v1/users:watch");
    println!("curl -i localhost:3000/users.v1.Users/Ping --json '{{}}'");
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let paths = PathRules::default().keep_encoded_slashes(); // in `/v1/users/a%2Fb`, a part of the id
    Server::new().paths(paths).serve(listener, rest.layer(upstream), stop).await?;
    Ok(())
}
