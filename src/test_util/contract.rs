//! The checklist.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::BodyExt;
use tower_layer::Layer;
use tower_service::Service;

use super::{Frames, StrictReady};
use crate::rejection::Rejection;

type NewHead = Arc<dyn Fn() -> Request<()> + Send + Sync>;

/// The layer contract, as a checklist. See the [module docs](super).
#[derive(Clone)]
pub struct Contract {
    admitted: NewHead,
    refused: Option<NewHead>,
    capacity: Option<usize>,
}

impl Contract {
    /// For a layer that admits requests with this head.
    ///
    /// Each check makes requests of its own; a layer that counts has to admit at least 16 of them.
    pub fn new(admitted: impl Fn() -> Request<()> + Send + Sync + 'static) -> Self {
        Self { admitted: Arc::new(admitted), refused: None, capacity: None }
    }

    /// The layer refuses requests with this head.
    #[must_use]
    pub fn refuses(self, refused: impl Fn() -> Request<()> + Send + Sync + 'static) -> Self {
        Self { refused: Some(Arc::new(refused)), ..self }
    }

    /// A fresh layer admits exactly so many of the admitted requests, whichever of its services they reach. Only
    /// this is then checked.
    #[must_use]
    pub fn admits_exactly(self, capacity: usize) -> Self {
        Self { capacity: Some(capacity), ..self }
    }

    /// Runs the checklist.
    ///
    /// # Panics
    ///
    /// At the first point that does not hold.
    pub async fn check<L, B>(&self, layer: L)
    where
        L: Layer<StrictReady<Probe>> + Clone + Send + Sync + 'static,
        L::Service: Service<Request<Frames>, Response = Response<B>, Error = TestError, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        B: Body<Data = Bytes, Error: fmt::Debug> + Send,
    {
        if let Some(capacity) = self.capacity {
            return self.state_is_shared(&layer, capacity).await;
        }
        self.admission_reaches_the_inner_service(&layer).await;
        self.errors_pass_unchanged(&layer).await;
        self.dropping_cancels(&layer).await;
        if let Some(refused) = &self.refused {
            a_refusal_stays_outside(&layer, refused).await;
            every_dialect_is_spoken(&layer, refused).await;
        }
    }

    /// Body, trailers, hints and extensions pass both ways; readiness is asked of the instance that is called.
    async fn admission_reaches_the_inner_service<L, B>(&self, layer: &L)
    where
        L: Layer<StrictReady<Probe>>,
        L::Service: Service<Request<Frames>, Response = Response<B>, Error = TestError> + Clone,
        B: Body<Data = Bytes, Error: fmt::Debug>,
    {
        let (probe, inner) = Probe::answering();
        let held = inner.reservations();
        let service = layer.layer(inner);
        for mut service in [service.clone(), service] {
            let before = probe.calls();
            let response = call(&mut service, with_content(&self.admitted)).await;
            let response =
                response.unwrap_or_else(|error| panic!("an admitted request failed: {error}"));
            assert_eq!(probe.calls(), before + 1, "the inner service is called once");
            assert!(
                response.extensions().get::<Marker>().is_some(),
                "the response's extensions are kept"
            );
            let body = response.into_body();
            assert_eq!(body.size_hint().exact(), Some(8), "the response's size hint passes");
            assert!(!body.is_end_stream(), "the response's body has not ended");
            let collected = body.collect().await.expect("the response's body passes");
            assert_eq!(collected.trailers(), Some(&trailers()), "the response's trailers pass");
            assert_eq!(collected.to_bytes(), "contents", "the response's data pass");
        }
        let (_, inner) = Probe::empty();
        let response = call(&mut layer.layer(inner), with_content(&self.admitted)).await;
        let body = response.unwrap_or_else(|error| panic!("an admitted request failed: {error}"));
        assert!(body.body().is_end_stream(), "the end of an empty body passes");
        assert_eq!(held.held(), 0, "no reservation outlives its service");
    }

    async fn errors_pass_unchanged<L, B>(&self, layer: &L)
    where
        L: Layer<StrictReady<Probe>>,
        L::Service: Service<Request<Frames>, Response = Response<B>, Error = TestError>,
    {
        let (_, inner) = Probe::failing();
        let result = call(&mut layer.layer(inner), with_content(&self.admitted)).await;
        assert_eq!(result.err(), Some(TestError), "the inner service's error passes unchanged");
    }

    /// A future dropped before its first poll, or while the inner service works, leaves nothing behind.
    async fn dropping_cancels<L, B>(&self, layer: &L)
    where
        L: Layer<StrictReady<Probe>>,
        L::Service: Service<Request<Frames>, Response = Response<B>, Error = TestError> + Clone,
    {
        for polls in [0, 1, 2] {
            let (probe, inner) = Probe::never();
            let held = inner.reservations();
            let mut service = layer.layer(inner);
            poll_fn(|cx| service.poll_ready(cx)).await.unwrap_or_else(|error| panic!("{error}"));
            {
                let mut future = pin!(service.call(with_content(&self.admitted)));
                for _ in 0..polls {
                    let poll = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    assert!(poll.is_pending(), "waits for the inner service");
                }
            }
            assert_eq!(probe.running(), 0, "dropping the future cancels the inner call");
            drop(service);
            assert_eq!(held.held(), 0, "dropping the future leaks no reservation");
        }
    }

    /// Whichever clone and whichever `layer()` call: one state.
    async fn state_is_shared<L, B>(&self, layer: &L, capacity: usize)
    where
        L: Layer<StrictReady<Probe>> + Clone,
        L::Service: Service<Request<Frames>, Response = Response<B>, Error = TestError> + Clone,
    {
        let (probe, inner) = Probe::answering();
        for _ in 0..capacity + 3 {
            let service = layer.clone().layer(inner.clone());
            let response = call(&mut service.clone(), with_content(&self.admitted)).await;
            assert!(response.is_ok(), "a refusal is a response");
        }
        assert_eq!(probe.calls(), capacity, "clones and repeated `layer()` calls share one state");
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contract")
    }
}

/// The inner service is untouched, and the answer says why.
async fn a_refusal_stays_outside<L, B>(layer: &L, refused: &NewHead)
where
    L: Layer<StrictReady<Probe>>,
    L::Service: Service<Request<Frames>, Response = Response<B>, Error = TestError>,
    B: Body<Data = Bytes, Error: fmt::Debug>,
{
    let (probe, inner) = Probe::answering();
    let response = call(&mut layer.layer(inner), with_content(refused)).await;
    let response = response.unwrap_or_else(|_| panic!("a refusal is a response, not an error"));
    assert_eq!(probe.calls(), 0, "a refusal leaves the inner service untouched");
    let rejection = response.extensions().get::<Rejection>();
    let status = rejection.expect("a refusal carries its `Rejection`").status();
    assert_eq!(response.status(), status, "over HTTP, the status is the rejection's");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let hint = response.body().size_hint().exact();
    let document =
        response.into_body().collect().await.expect("the document is complete").to_bytes();
    assert_eq!(hint, Some(document.len() as u64), "the size of a refusal is known");
    let document: serde_json::Value =
        serde_json::from_slice(&document).expect("a problem document is JSON");
    assert_eq!(document["status"], status.as_u16(), "the document repeats the status");
    assert!(document["type"].is_string() && document["title"].is_string(), "RFC 9457 §3.1");
}

async fn every_dialect_is_spoken<L, B>(layer: &L, refused: &NewHead)
where
    L: Layer<StrictReady<Probe>>,
    L::Service: Service<Request<Frames>, Response = Response<B>, Error = TestError>,
    B: Body<Data = Bytes, Error: fmt::Debug>,
{
    for media in ["application/grpc", "application/grpc-web+proto", "application/grpc-web-text"] {
        let mut request = with_content(refused);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        let (_, inner) = Probe::answering();
        let response = call(&mut layer.layer(inner), request).await;
        let response = response.unwrap_or_else(|_| panic!("a refusal is a response, not an error"));
        assert_eq!(response.status(), 200, "{media}: gRPC says no under HTTP 200");
        assert_eq!(response.headers()[header::CONTENT_TYPE], media, "the media type is repeated");
        let in_head = response.headers().contains_key("grpc-status");
        let body = response.into_body().collect().await.expect("the answer is complete").to_bytes();
        match media {
            "application/grpc" => assert!(in_head && body.is_empty(), "trailers-only"),
            "application/grpc-web+proto" => assert!(!in_head && body.first() == Some(&0x80)),
            _ => assert!(!in_head && body.starts_with(b"gA"), "a trailer frame in base64"),
        }
    }
}

async fn call<S, R>(service: &mut S, request: R) -> Result<S::Response, S::Error>
where
    S: Service<R>,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(request).await
}

/// The head with a marked extension and content with trailers, all of which has to arrive.
fn with_content(head: &NewHead) -> Request<Frames> {
    let mut request = head().map(|()| Frames::new(["con", "tents"]).with_trailers(trailers()));
    request.extensions_mut().insert(Marker);
    request
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"x\""))])
}

/// Extensions are where an upgrade's handle lives.
#[derive(Clone)]
struct Marker;

/// The error of the checklist's inner service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestError;

impl fmt::Display for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the inner service's own error")
    }
}

impl std::error::Error for TestError {}

/// The checklist's inner service: checks what arrives and counts.
#[derive(Clone, Debug)]
pub struct Probe {
    behaviour: Behaviour,
    calls: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug)]
enum Behaviour {
    Answer,
    AnswerEmpty,
    Fail,
    Never,
}

impl Probe {
    fn answering() -> (Self, StrictReady<Self>) {
        Self::with(Behaviour::Answer)
    }

    fn empty() -> (Self, StrictReady<Self>) {
        Self::with(Behaviour::AnswerEmpty)
    }

    fn failing() -> (Self, StrictReady<Self>) {
        Self::with(Behaviour::Fail)
    }

    fn never() -> (Self, StrictReady<Self>) {
        Self::with(Behaviour::Never)
    }

    fn with(behaviour: Behaviour) -> (Self, StrictReady<Self>) {
        let probe = Self { behaviour, calls: Arc::default(), running: Arc::default() };
        (probe.clone(), StrictReady::new(probe))
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

impl<B> Service<Request<B>> for Probe
where
    B: Body<Data = Bytes, Error: fmt::Debug> + Send + 'static,
{
    type Response = Response<Frames>;
    type Error = TestError;
    type Future = crate::guard::BoxFuture<Result<Self::Response, TestError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TestError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let running = Running::start(&self.running);
        let behaviour = self.behaviour;
        Box::pin(async move {
            let _running = running;
            match behaviour {
                Behaviour::Fail => return Err(TestError),
                Behaviour::Never => std::future::pending().await,
                Behaviour::AnswerEmpty => return Ok(Response::new(Frames::default())),
                Behaviour::Answer => {}
            }
            assert!(
                request.extensions().get::<Marker>().is_some(),
                "the request's extensions are kept"
            );
            let body = request.into_body();
            assert_eq!(body.size_hint().exact(), Some(8), "the request's size hint passes");
            let collected = body.collect().await.expect("the request's body passes");
            assert_eq!(collected.trailers(), Some(&trailers()), "the request's trailers pass");
            assert_eq!(collected.to_bytes(), "contents", "the request's data pass");
            let body = Frames::new(["con", "tents"]).with_trailers(trailers());
            let mut response = Response::new(body);
            response.extensions_mut().insert(Marker);
            Ok(response)
        })
    }
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn start(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
