//! What the client is told when the service fails, or breaks the protocol.

use http::Response;
use serde_json::json;
use tower::{Layer, ServiceExt};
use tower_gateway::{rejection::Rejection, test_util::Frames, transcode::ErrorBody};

use crate::{
    rest::{Answer, get, layer, send, with_ada},
    script::{OK, answering, failed, fields, grpc, user},
};

async fn told(answer: impl Fn() -> Response<Frames> + Clone) -> Answer {
    send(&layer().layer(answering(answer).1), get("/v1/users/ada")).await
}

#[tokio::test]
async fn every_code_has_its_status() {
    let statuses = [499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
    for (code, status) in (1..).zip(statuses) {
        for in_head in [true, false] {
            let answer = told(move || match in_head {
                true => failed(code, "50%25 done"),
                false => {
                    let mut trailers = fields([("grpc-message", "50%25 done")]);
                    trailers.insert("grpc-status", code.into());
                    let body = Frames::new([user("half")]).with_trailers(trailers);
                    grpc([], []).map(|_| body)
                }
            });
            answer.await.is_problem(status, "50% done");
        }
    }
    told(|| failed(77, "new")).await.is_problem(500, "new");
}

#[tokio::test]
async fn details_are_told_in_json() {
    let users = with_ada(&layer()).await;
    let answer = send(&users, get("/v1/users/bob")).await;
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ResourceInfo",
        "resourceType": "users.v1.User",
        "resourceName": "users/bob",
        "description": "does not exist",
    });
    assert_eq!(answer.json()["details"], json!([info]));
    assert_eq!(answer.json()["code"], "NOT_FOUND");
    let users = with_ada(&layer().errors(ErrorBody::Status)).await;
    let answer = send(&users, get("/v1/users/bob")).await;
    assert_eq!(answer.status, 404);
    let status = json!({"code": 5, "message": "users/bob does not exist", "details": [info]});
    assert_eq!(answer.json(), status);
    let answer = send(&users, get("/v1/users?x=1")).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].clone()), (400, json!(3)));
}

#[tokio::test]
async fn an_answer_that_breaks_the_protocol_is_502() {
    let two = || grpc([user("a"), user("b")], OK);
    told(two).await.is_problem(502, "more than one");
    told(|| grpc([], OK)).await.is_problem(502, "no message");
    told(|| grpc([user("a")], [])).await.is_problem(502, "without a status");
    told(|| grpc([user("a")], [("grpc-status", "x")])).await.is_problem(502, "without a status");
    told(|| grpc([user("a")[..4].to_vec()], OK)).await.is_problem(502, "within a message");
    told(|| grpc([vec![0, 0, 0, 0, 1, 0xff]], OK)).await.is_problem(502, "could not be read");
    told(|| grpc([vec![0, 0xff, 0xff, 0xff, 0xff]], OK)).await.is_problem(502, "larger");
    told(|| grpc([vec![1, 0, 0, 0, 0]], OK)).await.is_problem(502, "compressed");
    told(|| failed(0, "")).await.is_problem(502, "no message");
    let after_status = || {
        let mut response = grpc([user("a")], OK);
        response.headers_mut().insert("grpc-status", 0.into());
        response
    };
    told(after_status).await.is_problem(502, "after its status");
    let failed_fine = || {
        let mut response = failed(0, "");
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        response
    };
    assert_eq!(told(failed_fine).await.status, 503);
    told(|| Response::new(Frames::new(["hello"]))).await.is_problem(502, "no gRPC");
    // http-grpc-status-mapping.md
    for (status, told_as) in [(404, 501), (503, 503), (401, 401), (418, 500)] {
        let answer = || Response::builder().status(status).body(Frames::default()).unwrap();
        assert_eq!(told(answer).await.status, told_as);
    }
}

/// For whoever has put the layer around something else, or in front of HTTP/1.1.
#[tokio::test]
async fn what_may_be_wrong_behind_is_for_events() {
    let cause = async |answer: fn() -> Response<Frames>| {
        let told = layer().layer(answering(answer).1).oneshot(get("/v1/users/ada")).await.unwrap();
        told.extensions().get::<Rejection>().unwrap().cause().unwrap().to_string()
    };
    let ended = cause(|| grpc([user("a")], [])).await;
    assert!(ended.contains("`Upstream::http2`"), "{ended}");
    let plain = cause(|| {
        let head = Response::builder().header("content-type", "text/plain");
        head.body(Frames::new(["hello"])).unwrap()
    });
    assert!(plain.await.contains("text/plain"));
}

#[tokio::test]
async fn a_refusal_from_within_is_told_as_it_is() {
    let refused = || {
        let mut response = failed(8, "slow down");
        let no = Rejection::rate_limited(std::time::Duration::from_secs(7));
        response.extensions_mut().insert(no.with_member("policy", "burst"));
        response.headers_mut().insert("ratelimit", "\"burst\";r=0;t=7".parse().unwrap());
        response
    };
    let answer = told(refused).await;
    answer.is_problem(429, "Too many requests");
    assert_eq!(
        (answer.header("retry-after"), answer.header("ratelimit")),
        ("7", "\"burst\";r=0;t=7")
    );
    assert_eq!(answer.json()["policy"], "burst");
}
