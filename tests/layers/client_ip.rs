use std::net::SocketAddr;

use http::Request;
use tower::{Layer, ServiceExt};
use tower_gateway::client_ip::{ClientIp, ClientIpLayer, ForwardedField, PeerAddr};

/// What the layer finds for a request from 10.0.0.1 with these fields.
async fn found(layer: ClientIpLayer, fields: &[(&str, &str)]) -> Option<String> {
    let mut request = Request::builder();
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let peer = PeerAddr(SocketAddr::from(([10, 0, 0, 1], 4711)));
    found_in(layer, request.extension(peer).body(String::new()).unwrap()).await
}

async fn found_in(layer: ClientIpLayer, request: Request<String>) -> Option<String> {
    let inner = tower::service_fn(|request: Request<String>| async move {
        let ip = request.extensions().get::<ClientIp>().map(|it| it.ip().to_string());
        Ok::<_, std::convert::Infallible>(http::Response::new(ip.unwrap_or_default()))
    });
    let ip = crate::support::text(layer.layer(inner).oneshot(request).await.unwrap()).await;
    Some(ip).filter(|ip| !ip.is_empty())
}

#[tokio::test]
async fn no_field_is_believed_until_proxies_are_named() {
    let fields = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-real-ip", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7"),
        ("true-client-ip", "203.0.113.7"),
        ("cf-connecting-ip", "203.0.113.7"),
    ];
    assert_eq!(found(ClientIpLayer::direct(), &fields).await.unwrap(), "10.0.0.1");
    assert_eq!(found(ClientIpLayer::behind_proxies(0), &fields).await.unwrap(), "10.0.0.1");
}

#[tokio::test]
async fn only_the_chosen_field_is_read() {
    let layer = ClientIpLayer::behind_proxies(1).field(ForwardedField::Forwarded);
    let fields = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=203.0.113.7;proto=https")];
    assert_eq!(found(layer, &fields).await.unwrap(), "203.0.113.7");
    assert_eq!(found(ClientIpLayer::behind_proxies(1), &fields[1..]).await.unwrap(), "10.0.0.1");
}

#[tokio::test]
async fn lines_count_from_the_last() {
    let fields = [("x-forwarded-for", "6.6.6.6, 7.7.7.7"), ("x-forwarded-for", "203.0.113.7")];
    assert_eq!(found(ClientIpLayer::behind_proxies(1), &fields).await.unwrap(), "203.0.113.7");
    assert_eq!(found(ClientIpLayer::behind_proxies(2), &fields).await.unwrap(), "7.7.7.7");
}

#[tokio::test]
async fn the_hosts_extensions_name_the_peer() {
    let addr = SocketAddr::from(([192, 0, 2, 1], 80));
    let axum = Request::builder().extension(axum::extract::ConnectInfo(addr));
    let axum = axum.body(String::new()).unwrap();
    assert_eq!(found_in(ClientIpLayer::direct(), axum).await.unwrap(), "192.0.2.1");

    let info =
        tonic::transport::server::TcpConnectInfo { local_addr: None, remote_addr: Some(addr) };
    let tonic = Request::builder().extension(info).body(String::new()).unwrap();
    assert_eq!(found_in(ClientIpLayer::direct(), tonic).await.unwrap(), "192.0.2.1");
}

#[tokio::test]
async fn a_client_ip_from_outside_does_not_survive() {
    let planted = Request::builder().extension(ClientIp::new([6, 6, 6, 6].into()));
    let request = planted.body(String::new()).unwrap();
    assert_eq!(found_in(ClientIpLayer::direct(), request).await, None);
}
