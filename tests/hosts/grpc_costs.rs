//! What gRPC calls cost is told in their trailers, as tonic's server and client see them.

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Status,
    metadata::MetadataMap,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_client::HealthClient,
    health_server::{Health, HealthServer},
};
use tower::ServiceBuilder;
use tower_gateway::{
    clock::Clock,
    key,
    rate_limit::{Limit, LimitHandle, Quota, RateLimitLayer, settle},
};

/// Answers calls about "well", and is not there for others; a watcher sees two messages and a status with a cost.
struct Dear;

#[tonic::async_trait]
impl Health for Dear {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "well" => Ok(tonic::Response::new(HealthCheckResponse { status: 1 })),
            _ => Err(Status::unavailable("not there")),
        }
    }

    type WatchStream =
        futures_util::stream::Iter<std::array::IntoIter<Result<HealthCheckResponse, Status>, 3>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        let mut cost = MetadataMap::new();
        cost.insert("x-cost", "30".parse().unwrap());
        let end = Status::with_metadata(Code::Aborted, "enough", cost);
        let message = || Ok(HealthCheckResponse { status: 1 });
        Ok(tonic::Response::new(futures_util::stream::iter([message(), message(), Err(end)])))
    }
}

/// The trailers of a call that succeeds, with its cost among them.
fn with_cost<B>(
    response: Response<B>,
) -> Response<impl http_body::Body<Data = Bytes, Error = B::Error>>
where
    B: http_body::Body<Data = Bytes>,
{
    let add = |frame: Frame<Bytes>| match frame.into_trailers() {
        Ok(mut trailers) => {
            trailers.entry("x-cost").or_insert_with(|| "5".parse().unwrap());
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    };
    response.map(|body| body.map_frame(add))
}

async fn remaining(limit: &LimitHandle) -> u64 {
    limit.remaining(key::shared().of()).await.unwrap()
}

#[tokio::test]
async fn a_call_costs_what_its_trailers_tell_and_nothing_when_nobody_is_there() {
    let limit = Limit::new(Quota::per_hour(100), key::shared())
        .settle((settle::refund_failures(), settle::trailer("x-cost")));
    let layer = RateLimitLayer::of(limit).clock(Clock::manual().0);
    let limit = layer.handle().limit("default").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let gate = ServiceBuilder::new().layer(layer).map_response(with_cost);
    let server = Server::builder().layer(gate).add_service(HealthServer::new(Dear));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());

    let call = |service: &str| HealthCheckRequest { service: service.to_owned() };
    client.check(call("well")).await.unwrap();
    assert_eq!(remaining(&limit).await, 95);

    let status = client.check(call("ill")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(remaining(&limit).await, 95, "given back");

    let mut messages = client.watch(call("")).await.unwrap().into_inner();
    assert!(messages.message().await.unwrap().is_some());
    assert!(messages.message().await.unwrap().is_some());
    assert_eq!(messages.message().await.unwrap_err().code(), Code::Aborted);
    assert_eq!(remaining(&limit).await, 65);
}
