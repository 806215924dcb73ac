//! Asks the service: one request of a connection, from its judged head to the end of its answer.

use std::{
    any::Any,
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Limits, PeerCertificate, RequestBody,
    activity::Activity,
    answer::{Answer, Ticket},
    request_body::too_large,
};
use crate::{
    BoxError, body::Body, client_ip::PeerAddr, event, guard::Head, rejection::Rejection,
    reply::reply, target::Scheme,
};

/// What the requests of a connection have in common.
pub(super) struct Facts {
    pub(super) limits: Arc<Limits>,
    pub(super) activity: Arc<Activity>,
    pub(super) peer: PeerAddr,
    pub(super) scheme: Scheme,
    pub(super) certificate: Option<PeerCertificate>,
}

impl Facts {
    /// Refuses the request's head, or brings it into its one form.
    fn judge(&self, request: &mut Request<Incoming>) -> Result<(), Rejection> {
        self.limits.head.admit(request)?;
        let declared = request.body().size_hint().lower();
        match self.limits.max_body_bytes {
            Some(most) if declared > most => Err(too_large()),
            _ => Ok(()),
        }
    }

    /// The request as services see it.
    fn hand_over(&self, request: Request<Incoming>) -> Request<RequestBody> {
        let activity = Arc::clone(&self.activity);
        let (patience, most) = (self.limits.body_idle_timeout, self.limits.max_body_bytes);
        let mut request = request.map(|body| RequestBody::new(body, activity, patience, most));
        let extensions = request.extensions_mut();
        extensions.insert(self.peer);
        if self.scheme != Scheme::default() {
            extensions.insert(self.scheme);
        }
        if let Some(certificate) = &self.certificate {
            extensions.insert(certificate.clone());
        }
        request
    }
}

/// The answer to a head that was refused. HTTP/1 closes: where a message can be read in two ways, so can its end.
fn refusal(request: &Request<Incoming>, rejection: Rejection) -> Response<Body<Infallible>> {
    let head = Head::of(request);
    event::refused("server", head, &rejection);
    let mut response = reply(head, rejection);
    if request.version() < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// The service as hyper calls it.
pub(super) struct Ask<S> {
    pub(super) service: S,
    pub(super) facts: Arc<Facts>,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Ask<S>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>> + Clone,
    B: http_body::Body<Data = Bytes>,
{
    type Response = Response<Answer<B>>;
    type Error = Infallible;
    type Future = Asking<S, S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let ticket = Ticket::new(Arc::clone(&self.facts.activity));
        let asker = Asker::of(&request);
        let step = match self.facts.judge(&mut request) {
            Err(rejection) => {
                self.facts.activity.leaves_unread();
                Step::Refused { response: Some(refusal(&request, rejection)) }
            }
            Ok(()) => {
                Step::Readying { held: Some((self.service.clone(), self.facts.hand_over(request))) }
            }
        };
        Asking { step, asker, ticket: Some(ticket) }
    }
}

pin_project! {
    /// The answer to come. It is never an error: a failing service is answered for.
    pub(super) struct Asking<S, F> {
        #[pin]
        step: Step<S, F>,
        asker: Asker,
        ticket: Option<Ticket>,
    }
}

pin_project! {
    #[project = StepProj]
    enum Step<S, F> {
        Refused { response: Option<Response<Body<Infallible>>> },
        Readying { held: Option<(S, Request<RequestBody>)> },
        Calling { #[pin] future: F },
    }
}

impl<S, B> Step<S, S::Future>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>>,
{
    /// The service's answer; the instance that was polled ready is the one that is called.
    fn poll_service(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Body<B>>, BoxError>> {
        loop {
            let future = match self.as_mut().project() {
                StepProj::Refused { response } => {
                    let response = response.take().expect("polled after completion");
                    return Poll::Ready(Ok(response.map(Body::retyped)));
                }
                StepProj::Readying { held } => {
                    let (service, _) = held.as_mut().expect("taken only to be called");
                    ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    let (mut service, request) = held.take().expect("was there a line ago");
                    service.call(request)
                }
                StepProj::Calling { future } => {
                    let response = ready!(future.poll(cx)).map_err(Into::into)?;
                    return Poll::Ready(Ok(response.map(Body::inner)));
                }
            };
            self.set(Self::Calling { future });
        }
    }
}

impl<S, B> Future for Asking<S, S::Future>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>>,
    B: http_body::Body<Data = Bytes>,
{
    type Output = Result<Response<Answer<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let step = this.step.as_mut();
        // After a panic the future is never polled again.
        let answer = match catch_unwind(AssertUnwindSafe(|| step.poll_service(cx))) {
            Ok(poll) => ready!(poll),
            Err(panic) => Err(panicked(&*panic)),
        };
        let mut response = answer.unwrap_or_else(|error| this.asker.failure(error));
        // How the message is framed is hyper's to say; a field of the service's own would contradict it.
        response.headers_mut().remove(header::TRANSFER_ENCODING);
        let ticket = this.ticket.take().expect("polled after completion");
        // Content that nobody will read stands between this answer and the next request: the client should know that
        // there will be none on this connection.
        let http1 = this.asker.version < Version::HTTP_2;
        if http1 && ticket.is_unread() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response.map(|body| Answer::new(body, ticket))))
    }
}

fn panicked(panic: &(dyn Any + Send)) -> BoxError {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the service panicked: {}", message.unwrap_or("no message")).into()
}

/// What it takes to answer for a service that failed: the dialect's fields are kept aside only for gRPC.
struct Asker {
    version: Version,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Asker {
    fn of<B>(request: &Request<B>) -> Self {
        let media = request.headers().get(header::CONTENT_TYPE);
        let grpc = media.is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"));
        Self {
            version: request.version(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: match media {
                Some(media) if grpc => {
                    HeaderMap::from_iter([(header::CONTENT_TYPE, media.clone())])
                }
                _ => HeaderMap::new(),
            },
        }
    }

    /// The refusal that the failure carries, else 500.
    fn failure<B>(&self, error: BoxError) -> Response<Body<B>> {
        let rejection = match Rejection::find(&*error) {
            Some(rejection) => rejection.clone(),
            None => Rejection::internal().caused_by(error),
        };
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        event::refused("server", Head::of(&request), &rejection);
        reply(Head::of(&request), rejection)
    }
}
