//! What REST costs a call in process: beside the same call of the tonic service by its own client, and by a request
//! that is made by hand.

use std::hint::black_box;

use bytes::Bytes;
use example_proto::users::v1::{
    CreateUserRequest, GetUserRequest, User, users_client::UsersClient, users_server::UsersServer,
};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service};
use tower_gateway::transcode::{Transcode, TranscodeLayer};

use super::{
    cost::{Cost, cost},
    users::Users,
};

type Content = Full<Bytes>;
type Server = UsersServer<Users>;

/// Each is answered at the first poll: nothing here waits.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("ready at the first poll")
}

fn server() -> Server {
    let server = UsersServer::new(Users::default());
    let user = User { display_name: "Ada".into(), ..User::default() };
    let create = CreateUserRequest { id: "ada".into(), user: Some(user) };
    now(UsersClient::new(server.clone()).create_user(create)).expect("there is none of this name");
    server
}

fn rest(layer: &TranscodeLayer) -> Transcode<Server> {
    layer.layer(server())
}

/// Calls it, and reads the answer to its end.
fn call<S, B>(service: &mut S, request: Request<Content>) -> Bytes
where
    S: Service<Request<Content>, Response = Response<B>, Error = std::convert::Infallible>,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let response = now(service.call(request)).unwrap_or_else(|never| match never {});
    assert_eq!(response.status(), 200);
    now(response.into_body().collect()).expect("the answer is whole").to_bytes()
}

fn get() -> Request<Content> {
    Request::get("/v1/users/ada").body(Content::default()).expect("it is a request")
}

fn native() -> Request<Content> {
    let frame = Bytes::from_static(b"\0\0\0\0\x05\x0a\x03ada");
    let request = Request::post("/users.v1.Users/GetUser");
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    request.body(frame.into()).expect("it is a request")
}

/// A name, and the cost of a call.
pub fn measure() -> Vec<(&'static str, Cost)> {
    let layer = TranscodeLayer::from_descriptor_set(example_proto::DESCRIPTORS);
    let layer = layer.expect("protox made the set");
    let mut rows = Vec::new();

    let (mut plain, mut passed) = (server(), rest(&layer));
    rows.push(("GetUser, native", cost(|_| drop(black_box(call(&mut plain, native()))))));
    rows.push((
        "GetUser, native, through the layer",
        cost(|_| {
            drop(black_box(call(&mut passed, native())));
        }),
    ));
    let mut client = UsersClient::new(server());
    rows.push((
        "GetUser, by tonic's client",
        cost(|_| {
            let request = GetUserRequest { id: "ada".into() };
            drop(black_box(now(client.get_user(request)).expect("there is one")));
        }),
    ));
    let mut users = rest(&layer);
    let json = call(&mut users, get());
    assert!(json.starts_with(br#"{"name":"users/ada","displayName":"Ada""#));
    rows.push(("GET /v1/users/{id}", cost(|_| drop(black_box(call(&mut users, get()))))));
    let list = || Request::get("/v1/users?pageSize=3&filter.city=Bern").body(Content::default());
    rows.push((
        "GET /v1/users?pageSize=3&filter.city=Bern",
        cost(|_| {
            drop(black_box(call(&mut users, list().expect("it is a request"))));
        }),
    ));
    let patch = || {
        let body = Content::from(r#"{"displayName":"Ada"}"#);
        Request::patch("/v1/users/ada").body(body).expect("it is a request")
    };
    rows.push(("PATCH /v1/users/{id}", cost(|_| drop(black_box(call(&mut users, patch()))))));
    rows
}
