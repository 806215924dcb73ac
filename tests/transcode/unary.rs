//! Calls of one message each way.

use http::{Method, Request};
use http_body_util::Empty;
use serde_json::json;

use crate::rest::{get, layer, post, send, users, with_ada, with_json};

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
