//! Requests that are streams.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Channel};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_gateway::{test_util::Frames, transcode::CallBody};

use crate::{
    rest::{Content, get, layer, post, read, send, users, with_ada, with_json},
    script::{OK, grpc, user},
};

const TWO: &str = "{\"id\":\"a\",\"user\":{\"displayName\":\"Ä\"}}\r\n\n\
    {\"id\":\"b\",\"user\":{\"displayName\":\"B\"}}";

#[tokio::test]
async fn each_line_is_a_message_wherever_it_is_cut() {
    for cut in 0..=TWO.len() {
        let (head, tail) = TWO.as_bytes().split_at(cut);
        let body = Frames::new([head.to_vec(), tail.to_vec()]);
        let request = Request::post("/v1/users:import").body(body).unwrap();
        let answer = send(&users(&layer()), request).await;
        assert_eq!(answer.json(), json!({"created": "2"}), "cut at {cut}");
    }
    let empty = send(&users(&layer()), post("/v1/users:import", "")).await;
    assert_eq!(empty.json(), json!({}));
}

#[tokio::test]
async fn a_line_that_is_wrong_ends_the_call() {
    let users = users(&layer());
    let wrong = "{\"id\":\"a\",\"user\":{\"displayName\":\"A\"}}\n{\"id\":1}\n";
    let answer = send(&users, post("/v1/users:import", wrong)).await;
    answer.is_problem(400, "id");
    assert_eq!(answer.json()["line"], "2");
    assert_eq!(send(&users, get("/v1/users/a")).await.status, 200, "what came before has arrived");
}

#[tokio::test]
async fn a_list_within_a_message_is_no_array_wherever_it_is_cut() {
    let line = r#"{"id":"a","user":{"groups": [ "g"],"displayName":"A"}}"#;
    for cut in 0..=line.len() {
        let body = Frames::new([line[..cut].to_owned(), line[cut..].to_owned()]);
        let request = Request::post("/v1/users:import").body(body).unwrap();
        let answer = send(&users(&layer()), request).await;
        assert_eq!(answer.json(), json!({"created": "1"}), "cut at {cut}");
    }
}

#[tokio::test]
async fn an_array_is_no_stream() {
    let users = users(&layer());
    for array in ["[{}]", " \n [", "[\n{},\n{}]", "\u{feff}[]"] {
        send(&users, post("/v1/users:import", array)).await.is_problem(400, "lines of JSON");
    }
}

#[tokio::test]
async fn a_line_beyond_the_cap_is_refused() {
    let users = users(&layer().max_message(64));
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(64));
    send(&users, post("/v1/users:import", long)).await.is_problem(413, "");
}

#[tokio::test]
async fn a_chat_goes_back_and_forth() {
    let (mut said, body) = Channel::<Bytes, std::io::Error>::new(4);
    let chat = Request::post("/v1/chat").body(body).unwrap();
    // the head comes before anything was said
    let response = users(&layer()).oneshot(chat).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let mut body = response.into_body();
    for text in ["one", "two"] {
        said.send_data(format!("{{\"text\":\"{text}\"}}\n").into()).await.unwrap();
        let heard = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let heard: Value = serde_json::from_slice(&heard).unwrap();
        assert!(heard["text"].as_str().unwrap().ends_with(text), "{heard}");
    }
    said.send_data("{\"text\":".into()).await.unwrap();
    assert!(futures_util::poll!(body.frame()).is_pending());
    said.send_data("7}\n".into()).await.unwrap();
    let heard = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let status: Value = serde_json::from_slice(&heard).unwrap();
    assert_eq!(
        (&status["code"], &status["@type"]),
        (&json!(3), &json!("type.googleapis.com/google.rpc.Status"))
    );
    assert!(status["message"].as_str().unwrap().contains("text"), "{status}");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_answer() {
    let (mut said, body) = Channel::<Bytes, std::io::Error>::new(4);
    let import = Request::post("/v1/users:import").body(body).unwrap();
    said.send_data("{\"id\":\"a\",\"user\":{\"displayName\":\"A\"}}\n".into()).await.unwrap();
    said.abort(std::io::Error::other("gone"));
    let response = users(&layer()).oneshot(import).await.unwrap();
    read(response).await.is_problem(400, "incomplete");
}

#[tokio::test]
async fn a_fault_is_told_though_the_service_makes_do_with_half() {
    // answers all is well without reading, and after having read what it could
    for reads in [false, true] {
        let service =
            layer().layer(service_fn(move |request: Request<CallBody<Content>>| async move {
                let mut body = request.into_body();
                while reads && body.frame().await.is_some_and(|frame| frame.is_ok()) {}
                Ok::<_, std::convert::Infallible>(grpc([user("x")], OK))
            }));
        let import = send(&service, post("/v1/users:import", "{}\n{]")).await;
        assert_eq!(import.status, if reads { 400 } else { 200 });
        let chat = send(&service, post("/v1/chat", "{}\n{]")).await;
        assert_eq!(chat.status, if reads { 400 } else { 200 });
    }
}

#[tokio::test]
async fn content_of_any_type_goes_in_and_out() {
    let users = with_ada(&layer()).await;
    let mut image = with_json("PUT", "/v1/users/ada/avatar", &b"\x89PNG\0"[..]);
    image.headers_mut().insert("content-type", "image/png".parse().unwrap());
    assert_eq!(send(&users, image).await.status, 200);
    let got = send(&users, get("/v1/users/ada/avatar")).await;
    assert_eq!((got.header("content-type"), &got.body[..]), ("image/png", &b"\x89PNG\0"[..]));
}

#[tokio::test]
async fn content_of_any_type_is_taken_in_pieces() {
    let export = send(&with_ada(&layer()).await, get("/v1/users:export")).await.body;
    for cut in 0..=export.len() {
        let body = Frames::new([export.slice(..cut), export.slice(cut..)]);
        let restore = Request::post("/v1/users:restore").header("content-type", "text/csv");
        let users = users(&layer());
        let answer = send(&users, restore.body(body).unwrap()).await;
        assert_eq!(answer.json(), json!({"created": "1"}), "cut at {cut}");
    }
}
