//! What services do, and what becomes of it.

use std::convert::Infallible;

use http::{Request, Response};
use tokio::sync::oneshot;
use tower_gateway::server::{RequestBody, Server, listen};

use crate::rig::{Rig, converse, soon, statuses};

const CLOSE: &str = "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_panic_costs_one_request() {
    let rig = Rig::start();
    let answers =
        rig.exchange(format!("GET /panic HTTP/1.1\r\nHost: a\r\n\r\nGET /a {CLOSE}")).await;
    assert_eq!(statuses(&answers), [500, 200], "{answers}");
    assert!(!answers.contains("on purpose"));
}

#[tokio::test]
async fn an_error_is_answered_and_its_text_kept_back() {
    let rig = Rig::start();
    let answer = rig.exchange(format!("GET /fail {CLOSE}")).await;
    assert_eq!(statuses(&answer), [500]);
    assert!(answer.contains("application/problem+json") && !answer.contains("hunter2"), "{answer}");
    let call = "POST /fail HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\
                Connection: close\r\n\r\n";
    let answer = rig.exchange(call).await;
    assert!(answer.contains("grpc-status: 13"), "{answer}");
}

/// Serves it and returns the answer to one request.
async fn served<S, B>(service: S, request: &str) -> String
where
    S: tower_gateway::server::Asked<B>,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<tower_gateway::BoxError>> + Send + 'static,
{
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let answer = async {
        let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let answer = converse(stream, request.as_bytes()).await;
        stop.send(()).unwrap();
        answer
    };
    let (report, answer) = tokio::join!(Server::new().serve(listener, service, shutdown), answer);
    report.unwrap();
    answer
}

#[tokio::test]
async fn a_services_own_refusal_is_not_taken_for_the_parsers() {
    let service = tower::service_fn(|_: Request<RequestBody>| async {
        let refused = Response::builder().status(400).body(String::new());
        Ok::<_, Infallible>(refused.unwrap())
    });
    let twice = format!("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b {CLOSE}");
    let answers = served(service, &twice).await;
    assert_eq!(statuses(&answers), [400, 400], "{answers}");
    assert!(!answers.contains("problem+json"), "{answers}");
    let answers =
        served(service, "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b b HTTP/1.1\r\n\r\n").await;
    assert_eq!(statuses(&answers), [400, 400], "{answers}");
    assert_eq!(answers.matches("problem+json").count(), 1, "{answers}");
}

#[tokio::test]
async fn an_answer_before_unread_content_says_that_the_connection_ends() {
    let service = tower::service_fn(|request: Request<RequestBody>| async move {
        drop(request);
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    let answer = served(service, head).await;
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    let empty = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let answers = served(service, &format!("{empty}GET /b {CLOSE}")).await;
    assert_eq!(statuses(&answers), [200, 200], "{answers}");
}

#[tokio::test]
async fn an_axum_router_is_served_as_it_is() {
    let echo = |body: String| async move { format!("echo {body}") };
    let router = axum::Router::new().route("/", axum::routing::post(echo));
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
    assert!(served(router, request).await.ends_with("echo hi"));
}

#[tokio::test]
async fn a_tonic_service_is_served_as_it_is() {
    let (_, health) = tonic_health::server::health_reporter();
    let routes = tonic::service::Routes::new(health);
    let request = "POST /none HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\
                   Connection: close\r\n\r\n";
    let answer = served(routes, request).await;
    assert!(answer.contains("grpc-status: 12"), "{answer}");
}

/// Ready only once, and only where it was asked.
struct Strict(bool);

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl tower::Service<Request<RequestBody>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.0 = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "called unready");
        std::future::ready(Ok(Response::new("ready".into())))
    }
}

#[tokio::test]
async fn the_instance_that_is_ready_is_called() {
    let answer = served(Strict(false), &format!("GET / {CLOSE}")).await;
    assert!(answer.ends_with("ready"), "{answer}");
}

/// A field of the service's own cannot contradict how the answer is framed.
#[tokio::test]
async fn the_answers_framing_is_the_servers() {
    let odd = tower::service_fn(|_: Request<RequestBody>| async {
        let response = Response::builder()
            .header("content-length", "2")
            .header("transfer-encoding", "chunked");
        Ok::<_, Infallible>(response.body("hi".to_owned()).unwrap())
    });
    let answer = soon(served(odd, &format!("GET / {CLOSE}"))).await;
    assert!(answer.ends_with("\r\n\r\nhi"), "{answer}");
    assert!(!answer.contains("transfer-encoding"), "{answer}");
}

#[tokio::test]
async fn trailers_reach_the_service() {
    use http_body_util::BodyExt;
    let trailers = tower::service_fn(|request: Request<RequestBody>| async {
        let content = request.into_body().collect().await?;
        let trailer = content.trailers().and_then(|it| it.get("x-sum")).cloned();
        let text = trailer.map_or(String::new(), |it| it.to_str().unwrap_or_default().to_owned());
        Ok::<_, tower_gateway::Rejection>(Response::new(text))
    });
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n";
    assert!(served(trailers, request).await.ends_with("\r\n7"));
}

/// After 101 the bytes are the service's; before it, what the client sent ahead goes nowhere.
#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let echo = tower::service_fn(|mut request: Request<RequestBody>| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
            let mut word = [0; 5];
            io.read_exact(&mut word).await.unwrap();
            word.reverse();
            io.write_all(&word).await.unwrap();
            io.shutdown().await.unwrap();
        });
        let response = Response::builder().status(101);
        let response = response.header("connection", "upgrade").header("upgrade", "echo");
        Ok::<_, Infallible>(response.body(String::new()).unwrap())
    });
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello";
    let answer = served(echo, request).await;
    assert!(answer.starts_with("HTTP/1.1 101") && answer.ends_with("\r\n\r\nolleh"), "{answer}");
}
