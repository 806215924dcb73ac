//! Descriptors by reflection from tonic's own server, in process and over a socket.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use example_proto::{DESCRIPTORS, users::v1::users_server::UsersServer};
use prost_reflect::DescriptorPool;
use tokio::net::TcpListener;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tower_gateway::{
    ConfigError,
    clock::Clock,
    transcode::{
        Descriptors, TranscodeLayer,
        reflection::{Reflection, ReflectionError},
    },
    upstream::Upstream,
};

use crate::{rest, users::Users};

const USERS: &str = "users.v1.Users";

fn v1(set: &'static [u8]) -> Routes {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(set)
        .build_v1()
        .unwrap();
    Routes::new(reflection).add_service(UsersServer::new(Users::default()))
}

fn v1alpha(set: &'static [u8]) -> Routes {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(set)
        .build_v1alpha()
        .unwrap();
    Routes::new(reflection).add_service(UsersServer::new(Users::default()))
}

/// Serves on a free port of loopback.
async fn serve(routes: Routes) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_routes(routes);
    let serving = server.serve_with_incoming(TcpIncoming::from(listener));
    (address, tokio::spawn(async { serving.await.unwrap() }))
}

fn upstream(address: std::net::SocketAddr) -> Upstream {
    Upstream::new(format!("http://{address}")).unwrap().http2()
}

/// Reads the set as others do, and finds the service with its HTTP rules.
fn assert_serves_users(set: &Bytes) {
    let pool = DescriptorPool::decode(set.clone()).unwrap();
    let service = pool.get_service_by_name(USERS).unwrap();
    let whole = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let expected = whole.get_service_by_name(USERS).unwrap();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    assert_eq!(service.methods().count(), expected.methods().count());
    for (method, expected) in service.methods().zip(expected.methods()) {
        assert_eq!(method.full_name(), expected.full_name());
        assert_eq!(method.options().has_extension(&http), method.name() != "Ping");
    }
}

#[tokio::test]
async fn of_a_tonic_server_in_process() {
    for routes in [v1(DESCRIPTORS), v1alpha(DESCRIPTORS)] {
        assert_serves_users(&Reflection::of(routes).fetch().await.unwrap());
    }
}

#[tokio::test]
async fn of_a_tonic_server_over_a_socket() {
    for routes in [v1(DESCRIPTORS), v1alpha(DESCRIPTORS)] {
        let (address, server) = serve(routes).await;
        assert_serves_users(&Reflection::of(upstream(address)).fetch().await.unwrap());
        server.abort();
    }
}

#[tokio::test]
async fn a_server_without_reflection_is_told_what_to_do() {
    let told = |error: ReflectionError| assert!(error.to_string().contains("tonic-reflection"));
    let routes = || Routes::new(UsersServer::new(Users::default()));
    told(Reflection::of(routes()).fetch().await.unwrap_err());
    told(Reflection::of(UsersServer::new(Users::default())).fetch().await.unwrap_err());
    let (address, server) = serve(routes()).await;
    told(Reflection::of(upstream(address)).fetch().await.unwrap_err());
    server.abort();
}

#[tokio::test]
async fn nobody_there_is_an_error_that_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Reflection::of(upstream(address)).fetch().await.unwrap_err();
    assert!(error.to_string().contains("code 14"), "{error}");
}

/// A set with one more service than the users', as after a deployment.
fn changed() -> &'static [u8] {
    let more = prost_types::FileDescriptorProto {
        name: Some("more.proto".into()),
        package: Some("more.v1".into()),
        syntax: Some("proto3".into()),
        service: vec![prost_types::ServiceDescriptorProto {
            name: Some("More".into()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let set = prost_types::FileDescriptorSet { file: vec![more] };
    let set = [DESCRIPTORS, &prost::Message::encode_to_vec(&set)].concat();
    Box::leak(set.into_boxed_slice())
}

/// Answers by whatever is in its place now.
#[derive(Clone)]
struct Deployed(Arc<Mutex<Routes>>);

impl tower::Service<http::Request<tower_gateway::transcode::reflection::Questions>> for Deployed {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = futures_util::future::BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(
        &mut self,
        request: http::Request<tower_gateway::transcode::reflection::Questions>,
    ) -> Self::Future {
        let routes = self.0.lock().unwrap().clone();
        Box::pin(tower::ServiceExt::oneshot(routes, request))
    }
}

#[tokio::test]
async fn a_deployment_is_followed() {
    let deployed = Deployed(Arc::new(Mutex::new(v1(DESCRIPTORS))));
    let (clock, time) = Clock::manual();
    let (sets, mut applied) = tokio::sync::mpsc::unbounded_channel();
    let refresh = Reflection::of(deployed.clone())
        .clock(clock)
        .every(Duration::from_secs(60))
        .refresh(move |set| sets.send(set))
        .unwrap();
    assert_serves_users(&applied.recv().await.unwrap());
    *deployed.0.lock().unwrap() = v1(changed());
    let second = loop {
        match applied.try_recv() {
            Ok(set) => break set,
            Err(_) => {
                time.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        }
    };
    assert_serves_users(&second);
    let pool = DescriptorPool::decode(second).unwrap();
    assert!(pool.get_service_by_name("more.v1.More").is_some());
    assert_eq!(refresh.health().last_error, None);
}

#[tokio::test]
async fn a_layer_follows_its_server() {
    let more = "http: {rules: [{selector: users.v1.Users.Ping, get: /ping}]}";
    let layer = TranscodeLayer::new(Descriptors::from_set(DESCRIPTORS).compile().unwrap());
    let layer = layer.reject_unknown();
    let users = rest::users(&layer);
    assert_eq!(rest::send(&users, rest::get("/ping")).await.status, 404);
    let handle = layer.handle();
    let refresh = Reflection::of(v1(DESCRIPTORS)).refresh(move |set| {
        let schema = Descriptors::from_set(set).service_config(more).compile()?;
        handle.replace(schema);
        Ok::<_, ConfigError>(())
    });
    refresh.unwrap().tried().await;
    assert_eq!(rest::send(&users, rest::get("/ping")).await.status, 200);
}
