//! Calls of one message each way.

use std::sync::{Arc, Mutex};

use example_proto::users::v1::users_server::UsersServer;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tonic::codec::CompressionEncoding::Gzip;
use tower::{Layer, Service, service_fn};
use tower_gateway::{
    test_util::Frames,
    transcode::{CallBody, JsonOptions},
};

use crate::{
    rest::{Content, get, layer, post, send, users, with_ada, with_json},
    users::Users,
};

#[tokio::test]
async fn a_path_names_the_user() {
    let users = with_ada(&layer()).await;
    let answer = send(&users, get("/v1/users/ada")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(answer.json()["name"], "users/ada");
    assert_eq!(answer.json()["displayName"], "Ada");
    assert!(!answer.headers.contains_key("grpc-status"));
}

#[tokio::test]
async fn every_verb() {
    let users = with_ada(&layer()).await;
    let patch = with_json("PATCH", "/v1/users/ada", r#"{"displayName":"Lady Ada"}"#);
    assert_eq!(send(&users, patch).await.json()["displayName"], "Lady Ada");
    let list = send(&users, get("/v1/users?pageSize=5&order=ORDER_NEWEST")).await.json();
    assert_eq!(list["users"][0]["name"], "users/ada");
    let delete = with_json("DELETE", "/v1/users/ada", "");
    let deleted = send(&users, delete).await;
    assert_eq!((deleted.status.as_u16(), deleted.json()), (200, json!({})));
    send(&users, get("/v1/users/ada")).await.is_problem(404, "users/ada does not exist");
}

#[tokio::test]
async fn a_patch_changes_what_its_body_names() {
    let users = with_ada(&layer()).await;
    let patch = |query: &str, json: &'static str| {
        with_json("PATCH", &format!("/v1/users/ada{query}"), json)
    };
    let address = r#"{"address":{"city":"London","country":"GB"}}"#;
    send(&users, patch("", address)).await;
    let moved = send(&users, patch("", r#"{"address":{"city":"Paris"}}"#)).await.json();
    assert_eq!(moved["address"], json!({"city": "Paris", "country": "GB"}));
    assert_eq!(moved["displayName"], "Ada");
    let cleared = send(&users, patch("", r#"{"address":null}"#)).await.json();
    assert_eq!(cleared.get("address"), None);
    let chosen = r#"{"displayName":"Lady","role":"ROLE_ADMIN"}"#;
    let chosen = send(&users, patch("?updateMask=role", chosen)).await.json();
    assert_eq!((&chosen["displayName"], &chosen["role"]), (&json!("Ada"), &json!("ROLE_ADMIN")));
}

#[tokio::test]
async fn a_field_of_the_response_is_the_whole_body() {
    let users = with_ada(&layer()).await;
    let batch = send(&users, get("/v1/users:batchGet?ids=ada&ids=ada")).await.json();
    assert_eq!(batch.as_array().unwrap().len(), 2);
    assert_eq!(batch[1]["name"], "users/ada");
    assert_eq!(send(&users, get("/v1/users:batchGet")).await.json(), json!([]));
}

#[tokio::test]
async fn a_head_is_answered_without_content() {
    let users = with_ada(&layer()).await;
    let whole = send(&users, get("/v1/users/ada")).await;
    let head = send(&users, with_json("HEAD", "/v1/users/ada", "")).await;
    assert_eq!((head.status, head.body.len()), (whole.status, 0));
    assert_eq!(head.header("content-length"), whole.header("content-length"));
    let missing = send(&users, with_json("HEAD", "/v1/users/bob", "")).await;
    assert_eq!((missing.status.as_u16(), missing.body.len()), (404, 0));
}

#[tokio::test]
async fn a_body_may_come_in_any_pieces() {
    let json = r#"{"displayName":"Änne","labels":{"a":"b"}}"#.as_bytes();
    for cut in 0..=json.len() {
        let users = users(&layer());
        let (head, tail) = json.split_at(cut);
        let body = Frames::new([head.to_vec(), tail.to_vec()]);
        let request = Request::post("/v1/users?id=anne").body(body).unwrap();
        let answer = send(&users, request).await;
        assert_eq!(answer.json()["displayName"], "Änne", "{answer:?}");
    }
}

#[tokio::test]
async fn no_content_is_a_message_without_fields() {
    let users = users(&layer());
    for empty in ["", " \n"] {
        send(&users, post("/v1/users", empty)).await.is_problem(400, "user: is missing");
    }
}

#[tokio::test]
async fn what_the_client_says_wrongly_is_named() {
    let users = with_ada(&layer()).await;
    let said = send(&users, post("/v1/users", r#"{"address":{"zip":1}}"#)).await;
    said.is_problem(400, "address.zip");
    assert_eq!(said.json()["field"], "user.address.zip");
    send(&users, post("/v1/users", "{")).await.is_problem(400, "");
    send(&users, get("/v1/users?pageSize=x")).await.is_problem(400, "pageSize");
    send(&users, get("/v1/users?page=1")).await.is_problem(400, "page");
    let twice = r#"{"name":"users/bob","displayName":"B"}"#;
    send(&users, with_json("PATCH", "/v1/users/ada", twice)).await.is_problem(400, "name");
}

#[tokio::test]
async fn what_is_ignored_by_choice() {
    let users = with_ada(&layer().ignore_query(["key"])).await;
    assert_eq!(send(&users, get("/v1/users?key=1")).await.status, 200);
    assert_eq!(send(&users, get("/v1/users?other=1")).await.status, 400);
    let users = with_ada(&layer().ignore_unknown_query()).await;
    assert_eq!(send(&users, get("/v1/users?other=1")).await.status, 200);
    let users = with_ada(&layer().path_wins()).await;
    let twice = r#"{"name":"users/bob","displayName":"B"}"#;
    let patched = send(&users, with_json("PATCH", "/v1/users/ada", twice)).await;
    assert_eq!(patched.json()["name"], "users/ada", "{patched:?}");
    let users = with_ada(&layer().json(JsonOptions::new().ignore_unknown_fields())).await;
    let unknown = post("/v1/users", r#"{"displayName":"B","x":1}"#);
    assert_eq!(send(&users, unknown).await.status, 200);
}

#[tokio::test]
async fn a_media_type_that_is_no_json_is_not_taken() {
    let users = users(&layer());
    let mut request = post("/v1/users", r#"{"displayName":"B"}"#);
    request.headers_mut().insert("content-type", "text/xml".parse().unwrap());
    let answer = send(&users, request).await;
    answer.is_problem(415, "has to be application/json");
    assert_eq!(answer.header("accept"), "application/json");
    let mut request = post("/v1/users", r#"{"displayName":"B"}"#);
    request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    send(&users, request).await.is_problem(415, "");
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_refused_and_not_cut() {
    let layer = layer().max_request(64).max_message(128).max_response(110);
    let users = users(&layer);
    let json = |name: usize| format!(r#"{{"displayName":"{}"}}"#, "x".repeat(name));
    let exact = 64 - json(0).len();
    assert_eq!(send(&users, post("/v1/users?id=a", json(1))).await.status, 200);
    send(&users, post("/v1/users", json(exact + 1))).await.is_problem(413, "");
    // without a length, and cut
    let chunks = json(exact + 1).into_bytes().chunks(7).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let request = Request::post("/v1/users").body(crate::rest::Unsized(Frames::new(chunks)));
    send(&users, request.unwrap()).await.is_problem(413, "");
    // the service's answer is larger as JSON than is taken
    send(&users, post("/v1/users?id=b", json(exact))).await.is_problem(502, "");
    assert_eq!(send(&users, get("/v1/users/b")).await.status, 502);
}

#[tokio::test]
async fn what_nobody_takes_passes_or_is_told_so() {
    let passed = send(&users(&layer()), get("/v2/else")).await;
    assert!(passed.headers.contains_key("grpc-status") || passed.status == 404, "{passed:?}");
    let users = users(&layer().reject_unknown());
    send(&users, get("/v2/else")).await.is_problem(404, "");
    let wrong = Request::builder().method(Method::PUT).uri("/v1/users/ada");
    let wrong = send(&users, wrong.body(Content::default()).unwrap()).await;
    wrong.is_problem(405, "");
    assert!(wrong.header("allow").contains("GET"), "{wrong:?}");
}

#[tokio::test]
async fn messages_go_in_gzip_both_ways_by_choice() {
    let server = UsersServer::new(Users::default());
    let server = server.accept_compressed(Gzip).send_compressed(Gzip);
    for (layer, compressed) in [(layer(), false), (layer().compress_requests(), true)] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&seen);
        let server = server.clone();
        let users = layer.layer(service_fn(move |request: Request<CallBody<Content>>| {
            let (mut server, note) = (server.clone(), Arc::clone(&note));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                note.lock().unwrap().push((body[0], body.len()));
                server.call(Request::from_parts(head, Full::new(body))).await
            }
        }));
        let name = "x".repeat(10_000);
        let long = post("/v1/users", format!(r#"{{"displayName":"{name}"}}"#));
        let answer = send(&users, long).await;
        assert_eq!(answer.json()["displayName"], name);
        let (flag, length) = seen.lock().unwrap()[0];
        assert_eq!((flag == 1, length < 1_000), (compressed, compressed));
    }
}
