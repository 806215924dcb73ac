use std::{future::pending, net::SocketAddr, time::Duration};

use tokio::net::TcpListener;
use tonic::{
    Code, Request,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_health::{
    ServingStatus,
    pb::{
        HealthCheckRequest, HealthCheckResponse,
        health_client::HealthClient,
        health_server::{Health, HealthServer},
    },
    server::HealthReporter,
};
use tonic_types::StatusExt;
use tower::ServiceBuilder;
use tower_gateway::{
    auth::{
        jwt::{Algorithm, Issuer, JwtLayer, KeySet},
        require::{RequireLayer, Rules, authenticated, scope},
    },
    client_ip::ClientIpLayer,
    clock::Clock,
    host::tonic::RequestExt,
    key,
    rate_limit::{Limit, Quota, RateLimitLayer},
    server,
    upstream::Upstream,
};

use crate::support::tokens::{AUDIENCE, ISSUER, SECRET, claims, claims_with, hs256};

fn jwt() -> JwtLayer {
    let keys = KeySet::from_secret(Algorithm::HS256, SECRET).unwrap();
    let issuer = Issuer::new(ISSUER, keys).audience(AUDIENCE);
    JwtLayer::new(issuer).unwrap().clock(Clock::manual().0)
}

/// Five calls of each subject, and then one in twelve minutes: the clock stands still.
fn five() -> RateLimitLayer {
    let limit = Limit::new(Quota::per_hour(5), key::subject()).name("calls");
    RateLimitLayer::of(limit).clock(Clock::manual().0)
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

#[tokio::test]
async fn a_client_of_tonics_server_sees_real_status_codes_and_streams() {
    let (reporter, health) = tonic_health::server::health_reporter();
    let (listener, addr) = listen().await;
    let gate = ServiceBuilder::new().layer(ClientIpLayer::direct()).layer(jwt()).layer(five());
    let server = Server::builder().layer(gate).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    see_it_all(addr, reporter).await;
}

#[tokio::test]
async fn so_does_a_client_of_the_gateway_in_front_of_it() {
    let (reporter, health) = tonic_health::server::health_reporter();
    let (listener, origin) = listen().await;
    let server = Server::builder().add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let upstream = Upstream::new(format!("http://{origin}")).unwrap().http2();
    let gate = ServiceBuilder::new().layer(ClientIpLayer::direct()).layer(jwt()).layer(five());
    let listener = server::listen(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(server::Server::new().serve(listener, gate.service(upstream), pending()));
    see_it_all(addr, reporter).await;
}

/// A refusal of each kind, an error of the service's own, and a stream whose messages come one by one.
async fn see_it_all(addr: SocketAddr, reporter: HealthReporter) {
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());

    let anonymous = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(anonymous.code(), Code::Unauthenticated);
    let challenge = anonymous.metadata().get("www-authenticate").unwrap().to_str().unwrap();
    assert!(challenge.starts_with("Bearer "), "{challenge}");

    let mut states = client.watch(call("")).await.unwrap().into_inner();
    assert_eq!(states.message().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
    for status in [ServingStatus::NotServing, ServingStatus::Serving, ServingStatus::NotServing] {
        reporter.set_service_status("", status).await;
        let state = states.message().await.unwrap().unwrap();
        assert_eq!(state.status, status as i32, "each message when it is sent");
    }
    drop(states);

    let unknown = client.check(call("nobody")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "the service's own status passes");
    for _ in 0..3 {
        client.check(call("")).await.unwrap();
    }
    let limited = client.check(call("")).await.unwrap_err();
    assert_eq!(limited.code(), Code::ResourceExhausted);
    let delay = limited.get_error_details().retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_secs(12 * 60)));
}

/// A call by alice about this service.
fn call(service: &str) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest { service: service.to_owned() });
    let token = format!("Bearer {}", hs256(&claims())).parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    request
}

#[tokio::test]
async fn a_client_over_its_limit_reads_when_to_come_back() {
    let limit = Limit::new(Quota::per_minute(2), key::client_ip()).name("calls");
    let limit = RateLimitLayer::of(limit);
    let (_, health) = tonic_health::server::health_reporter();
    let (listener, addr) = listen().await;
    let server = Server::builder()
        .layer(limit.clock(Clock::manual().0))
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);

    let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    for left in ["1", "0"] {
        let answer = client.check(HealthCheckRequest::default()).await.unwrap();
        let field = answer.metadata().get("ratelimit").unwrap().to_str().unwrap();
        assert!(field.starts_with(&format!("\"calls\";r={left};")), "{field}");
    }
    let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = status.get_error_details();
    let delay = details.retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_secs(30)));
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, "calls");
    assert_eq!(status.metadata().get("retry-after").unwrap(), "30");
}

#[tokio::test]
async fn each_method_has_a_rule_of_its_own() {
    let rules = Rules::new()
        .grpc("/grpc.health.v1.Health/Watch", scope("health:watch"))
        .grpc_service("grpc.health.v1.Health", authenticated());
    let gate = ServiceBuilder::new().layer(jwt()).layer(RequireLayer::table(rules).unwrap());
    let (_, health) = tonic_health::server::health_reporter();
    let (listener, addr) = listen().await;
    let server = Server::builder().layer(gate).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());

    client.check(call("")).await.unwrap();
    let lacking = client.watch(call("")).await.unwrap_err();
    assert_eq!(lacking.code(), Code::PermissionDenied);
    assert_eq!(lacking.get_error_details().error_info().unwrap().metadata["lacks"], "scope");
    let challenge = lacking.metadata().get("www-authenticate").unwrap().to_str().unwrap();
    assert!(challenge.contains("scope=\"health:watch\""), "{challenge}");
    let anonymous = client.watch(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(anonymous.code(), Code::Unauthenticated);

    let mut watcher = Request::new(HealthCheckRequest::default());
    let claims = claims_with("scope", "health:watch".into());
    let token = format!("Bearer {}", hs256(&claims)).parse().unwrap();
    watcher.metadata_mut().insert("authorization", token);
    let mut states = client.watch(watcher).await.unwrap().into_inner();
    assert_eq!(states.message().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
}

/// A service that is well when alice asks.
struct Whoami;

#[derive(serde::Deserialize)]
struct Staff {
    sub: String,
}

#[tonic::async_trait]
impl Health for Whoami {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, tonic::Status> {
        let (who, claims) = (request.identity()?, request.claims::<Staff>()?);
        assert!(request.client_ip()?.ip().is_loopback());
        let status = i32::from(who.subject() == "alice" && claims.sub == "alice");
        Ok(tonic::Response::new(HealthCheckResponse { status }))
    }

    type WatchStream = futures_util::stream::Empty<Result<HealthCheckResponse, tonic::Status>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, tonic::Status> {
        Err(tonic::Status::unimplemented("not of interest"))
    }
}

#[tokio::test]
async fn a_method_reads_who_calls() {
    let gate = ServiceBuilder::new().layer(ClientIpLayer::direct()).layer(jwt().typed::<Staff>());
    let (listener, addr) = listen().await;
    let server = Server::builder().layer(gate).add_service(HealthServer::new(Whoami));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    assert_eq!(client.check(call("")).await.unwrap().into_inner().status, 1);

    let (listener, addr) = listen().await;
    let server = Server::builder().add_service(HealthServer::new(Whoami));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    let status = client.check(call("")).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "the stack is at fault");
}
