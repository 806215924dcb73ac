//! The engine: ask, then refuse or admit, then stamp.
//!
//! Most concerns of a gateway answer one question: *may this request go on, and what follows from that?* A
//! [`Guard`] answers it from the request's [`Head`]; [`GuardLayer`] does the rest:
//!
//! 1. On `Err`, the inner service is not called; the [`Rejection`] becomes a response in the client's dialect.
//! 2. On `Ok`, the [`Pass`] may change the request going in and the response coming out.
//! 3. A guard that needs no I/O answers [`Verdict::Now`]: no clone, no box, no allocation of the engine's.
//!    One that must wait answers [`Verdict::Later`]. It may choose for each request.
//!
//! ```
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_gateway::{
//!     guard::{Guard, GuardLayer, Head, Verdict},
//!     rejection::Rejection,
//! };
//!
//! /// Admits requests that say please.
//! struct Polite;
//!
//! impl Guard for Polite {
//!     const NAME: &'static str = "polite";
//!     type Pass = ();
//!
//!     fn check(&self, head: Head<'_>) -> Verdict<()> {
//!         match head.headers().contains_key("please") {
//!             true => Verdict::admit(()),
//!             false => Verdict::refuse(Rejection::forbidden("Say please.")),
//!         }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let service = ServiceBuilder::new().layer(GuardLayer::new(Polite)).service(service_fn(
//!     |_: Request<String>| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) },
//! ));
//! let rude = Request::get("/").body(String::new()).unwrap();
//! assert_eq!(service.clone().oneshot(rude).await.unwrap().status(), 403);
//! let kind = Request::get("/").header("please", "1").body(String::new()).unwrap();
//! assert_eq!(service.oneshot(kind).await.unwrap().status(), 200);
//! # });
//! ```
//!
//! A refusal is a response and never an `Err`, so guarded services fit axum's `Router` and tonic's `Server`.
//! The inner service's own errors pass unchanged.
//!
//! **Readiness.** `poll_ready` is the inner service's, and the instance that was polled ready is the one that is
//! called: at once for `Now`, after the verdict for `Later` (a permit that readiness took is held while the
//! guard waits).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Extensions, HeaderMap, Method, Request, Response, Uri, Version, request::Parts};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    body::{Body, Watch},
    event,
    rejection::Rejection,
    reply::reply,
};

/// A boxed future that can move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Decides whether a request may go on. See the [module docs](self).
///
/// State that requests share (counters, key sets) lives in the guard: [`GuardLayer`] keeps it behind an `Arc`,
/// however often the layer or its services are cloned.
pub trait Guard {
    /// The guard's name in events and metrics: `"jwt"`.
    const NAME: &'static str;

    /// What an admission brings with it; `()` for nothing.
    type Pass: Pass;

    /// The verdict on the request with this head. It must not block; what has to wait goes into
    /// [`Verdict::Later`], which owns what it needs.
    fn check(&self, head: Head<'_>) -> Verdict<Self::Pass>;

    /// What goes in with a request that passes without the guard's consent: one that it refused in
    /// [report-only mode](GuardLayer::report_only), say. A guard that removes something from requests, such as
    /// fields that only it may set, removes it here too. Default: nothing.
    fn bypass(&self) -> Option<Self::Pass> {
        None
    }
}

/// The answer of a [`Guard`].
pub enum Verdict<P> {
    /// Decided.
    Now(Result<P, Rejection>),
    /// To be decided. Dropping the future, as happens when the client leaves, cancels the question.
    Later(BoxFuture<Result<P, Rejection>>),
}

impl<P> Verdict<P> {
    /// Yes.
    pub fn admit(pass: P) -> Self {
        Self::Now(Ok(pass))
    }

    /// No.
    pub fn refuse(rejection: Rejection) -> Self {
        Self::Now(Err(rejection))
    }

    /// Boxes a future that will decide.
    pub fn later(decision: impl Future<Output = Result<P, Rejection>> + Send + 'static) -> Self {
        Self::Later(Box::pin(decision))
    }
}

impl<P> fmt::Debug for Verdict<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(Ok(_)) => f.write_str("Now(Ok(..))"),
            Self::Now(Err(rejection)) => write!(f, "Now(Err({rejection:?}))"),
            Self::Later(_) => f.write_str("Later(..)"),
        }
    }
}

/// What admission grants: a change to the request going in, a stamp on the response coming out.
///
/// `leave` also sees the responses that inner layers made themselves, such as another guard's refusal.
pub trait Pass {
    /// Looks at the request before several passes that go in together change it: one that leaves in the request
    /// what another of them takes out, keeps it here and puts it back in [`enter`](Self::enter). Not called for a
    /// pass that goes in alone. Default: nothing.
    fn prepare<B>(&mut self, request: &Request<B>) {
        let _ = request;
    }

    /// Changes the request before the inner service is called.
    fn enter<B>(&mut self, request: &mut Request<B>) {
        let _ = request;
    }

    /// Changes the response's head on its way back.
    fn leave<B>(&mut self, response: &mut Response<B>) {
        let _ = response;
    }

    /// What goes along with the response's body until it has ended, such as a permit. Asked after
    /// [`leave`](Self::leave). Default: nothing.
    fn watch(&mut self) -> Option<Box<dyn Watch>> {
        None
    }
}

impl Pass for () {}

/// `None` changes nothing.
impl<P: Pass> Pass for Option<P> {
    fn prepare<B>(&mut self, request: &Request<B>) {
        if let Some(pass) = self {
            pass.prepare(request);
        }
    }

    fn enter<B>(&mut self, request: &mut Request<B>) {
        if let Some(pass) = self {
            pass.enter(request);
        }
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        if let Some(pass) = self {
            pass.leave(response);
        }
    }

    fn watch(&mut self) -> Option<Box<dyn Watch>> {
        self.as_mut()?.watch()
    }
}

/// What a guard sees of a request: all but the body.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> Head<'a> {
    /// The head of a request.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// The request method.
    pub fn method(self) -> &'a Method {
        self.method
    }

    /// The request target.
    pub fn uri(self) -> &'a Uri {
        self.uri
    }

    /// The HTTP version.
    pub fn version(self) -> Version {
        self.version
    }

    /// The header fields.
    pub fn headers(self) -> &'a HeaderMap {
        self.headers
    }

    /// What outer layers left for inner ones.
    pub fn extensions(self) -> &'a Extensions {
        self.extensions
    }

    /// The typed extension that an outer layer left.
    pub fn get<T: Clone + Send + Sync + 'static>(self) -> Option<&'a T> {
        self.extensions.get()
    }
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            version: parts.version,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither fields nor query: they carry credentials.
        f.debug_struct("Head")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

/// Puts a [`Guard`] in front of services. See the [module docs](self).
pub struct GuardLayer<G> {
    guard: Arc<G>,
    report_only: bool,
}

impl<G: Guard> GuardLayer<G> {
    /// Clones of the layer, and all services that it makes, share this guard.
    pub fn new(guard: G) -> Self {
        Self { guard: Arc::new(guard), report_only: false }
    }

    /// Asks, and admits whatever the answer is: to see in events and metrics what a new rule would refuse, before
    /// it does. Such a request is counted as `reported`, and brings nothing with it, no identity above all.
    #[must_use]
    pub fn report_only(self) -> Self {
        Self { report_only: true, ..self }
    }

    /// Another guard in the same mode.
    #[allow(dead_code, reason = "used by the concerns whose settings are set one by one")]
    pub(crate) fn with_guard<H>(&self, guard: H) -> GuardLayer<H> {
        GuardLayer { guard: Arc::new(guard), report_only: self.report_only }
    }
}

impl<G> GuardLayer<G> {
    /// The shared guard.
    pub fn guard(&self) -> &Arc<G> {
        &self.guard
    }
}

impl<S, G> Layer<S> for GuardLayer<G> {
    type Service = Guarded<S, G>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, guard: Arc::clone(&self.guard), report_only: self.report_only }
    }
}

impl<G> Clone for GuardLayer<G> {
    fn clone(&self) -> Self {
        Self { guard: Arc::clone(&self.guard), report_only: self.report_only }
    }
}

impl<G: Guard> fmt::Debug for GuardLayer<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardLayer({})", G::NAME)
    }
}

/// A service behind a [`Guard`]. Created by [`GuardLayer`].
pub struct Guarded<S, G> {
    inner: S,
    guard: Arc<G>,
    report_only: bool,
}

impl<S: Clone, G> Clone for Guarded<S, G> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            guard: Arc::clone(&self.guard),
            report_only: self.report_only,
        }
    }
}

impl<S, G: Guard> fmt::Debug for Guarded<S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guarded({})", G::NAME)
    }
}

impl<S, G, B, R> Service<Request<B>> for Guarded<S, G>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    G: Guard,
{
    type Response = Response<Body<R>>;
    type Error = S::Error;
    type Future = GuardFuture<S, G, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let state = match self.guard.check(Head::of(&request)) {
            Verdict::Now(decision) => {
                match settle(&*self.guard, decision, self.report_only, &mut request) {
                    Ok(pass) => State::Inside { future: self.inner.call(request), pass },
                    Err(response) => State::Refused { response: Some(response) },
                }
            }
            Verdict::Later(decision) => {
                // Keep the instance that was polled ready; its clone has yet to be.
                let clone = self.clone();
                let service = std::mem::replace(self, clone);
                State::Waiting { decision, held: Some((service, request)) }
            }
        };
        GuardFuture { state }
    }
}

/// Carries a decision out: the request is changed and may go in, or here is its answer.
#[allow(clippy::result_large_err, reason = "it is taken apart where it is made")]
fn settle<G: Guard, B>(
    guard: &G,
    decision: Result<G::Pass, Rejection>,
    report_only: bool,
    request: &mut Request<B>,
) -> Result<Option<G::Pass>, Response<Body<Never>>> {
    match decision {
        Ok(mut pass) => {
            pass.enter(request);
            event::admitted::<G>(Head::of(request));
            Ok(Some(pass))
        }
        Err(rejection) if report_only => {
            event::reported(G::NAME, Head::of(request), &rejection);
            let mut pass = guard.bypass();
            pass.enter(request);
            Ok(pass)
        }
        Err(rejection) => {
            let head = Head::of(request);
            event::refused(G::NAME, head, &rejection);
            Err(reply(head, rejection))
        }
    }
}

pin_project! {
    /// The response of a [`Guarded`] service.
    pub struct GuardFuture<S, G, B>
    where
        S: Service<Request<B>>,
        G: Guard,
    {
        #[pin]
        state: State<S, S::Future, G, G::Pass, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, G, P, B> {
        Waiting {
            decision: BoxFuture<Result<P, Rejection>>,
            held: Option<(Guarded<S, G>, Request<B>)>,
        },
        Inside { #[pin] future: F, pass: Option<P> },
        Refused { response: Option<Response<Body<Never>>> },
    }
}

/// Stands for the inner body's type where only a body of ours can be.
type Never = std::convert::Infallible;

impl<S, G, B, R> Future for GuardFuture<S, G, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    G: Guard,
{
    type Output = Result<Response<Body<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Inside { future, pass } => {
                    let mut response = ready!(future.poll(cx))?;
                    pass.leave(&mut response);
                    let watch = pass.watch();
                    return Poll::Ready(Ok(response.map(|body| Body::inner(body).watched(watch))));
                }
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after completion");
                    return Poll::Ready(Ok(response.map(Body::retyped)));
                }
                StateProj::Waiting { decision, held } => {
                    let decision = ready!(decision.as_mut().poll(cx));
                    let (held, mut request) = held.take().expect("polled after completion");
                    let Guarded { mut inner, guard, report_only } = held;
                    match settle(&*guard, decision, report_only, &mut request) {
                        Ok(pass) => State::Inside { future: inner.call(request), pass },
                        Err(response) => State::Refused { response: Some(response) },
                    }
                }
            };
            state.set(next);
        }
    }
}

impl<S, G, B> fmt::Debug for GuardFuture<S, G, B>
where
    S: Service<Request<B>>,
    G: Guard,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardFuture({})", G::NAME)
    }
}
