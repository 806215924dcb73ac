use std::time::Duration;

use tokio::net::TcpListener;
use tonic::{
    Code,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;
use tower_gateway::{
    clock::Clock,
    key,
    rate_limit::{Quota, RateLimitLayer},
};

#[tokio::test]
async fn a_client_over_its_limit_reads_when_to_come_back() {
    let limit = RateLimitLayer::new(Quota::per_minute(2), key::client_ip()).name("calls");
    let (_, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
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
