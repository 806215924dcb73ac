//! Another schema, while it serves.

use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_gateway::transcode::Schema;

use crate::rest::{Content, get, layer, send, with_ada};

#[tokio::test]
async fn a_schema_is_swapped_whole_and_calls_in_flight_keep_theirs() {
    let layer = layer().reject_unknown();
    let handle = layer.handle();
    let users = with_ada(&layer).await;
    let old = handle.schema();
    let mut stream = users.clone().oneshot(get("/v1/users:watch?limit=2")).await.unwrap();
    handle.replace(Schema::from_descriptor_set([]).unwrap());
    send(&users, get("/v1/users/ada")).await.is_problem(404, "");
    stream.body_mut().frame().await.unwrap().unwrap();

    handle.replace(Schema::clone(&old));
    let delete = Request::delete("/v1/users/ada").body(Content::default()).unwrap();
    assert_eq!(send(&users, delete).await.status, 200);
    let last = stream.into_body().collect().await.unwrap().to_bytes();
    assert!(last.starts_with(b"{\"kind\":\"KIND_DELETED\""), "{last:?}");
}
