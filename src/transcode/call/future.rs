//! The response of a [`Transcode`](crate::transcode::Transcode) service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, response::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    Call,
    download::Download,
    failure::{self, Failure},
    gather::Gather,
    request_body::CallBody,
    response_body::TranscodeBody,
    start::Reading,
    timer::Timer,
};
use crate::{
    BoxError,
    rejection::{Reason, Rejection},
};

pin_project! {
    /// The response of a [`Transcode`](crate::transcode::Transcode) service. Dropping it cancels the call.
    pub struct TranscodeFuture<S, B, R>
    where
        S: Service<Request<CallBody<B>>>,
    {
        #[pin]
        state: State<S, S::Future, B, R>,
        call: Option<Call>,
        #[pin]
        timer: Option<Timer>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, B, R> {
        Passed { #[pin] future: F },
        Refused { response: Option<Response<Bytes>> },
        Reading { service: S, reading: Option<Reading>, #[pin] body: B },
        Calling { #[pin] future: F },
        Gathering { gather: Option<Gather>, #[pin] body: R },
        Beginning { begin: Option<Begin<R>> },
    }
}

/// What comes of a step: another state, or the answer.
#[allow(
    clippy::large_enum_variant,
    reason = "made and taken apart at once; a box would cost an allocation"
)]
enum Next<S, F, B, R> {
    State(State<S, F, B, R>),
    Answer(Response<TranscodeBody<R>>),
    Failed(Failure),
}

impl<S, B, R> TranscodeFuture<S, B, R>
where
    S: Service<Request<CallBody<B>>>,
{
    /// The inner service's response, untouched.
    pub(in crate::transcode) fn passed(future: S::Future) -> Self {
        Self { state: State::Passed { future }, call: None, timer: None }
    }

    /// An answer of ours.
    pub(in crate::transcode) fn refused(response: Response<Bytes>) -> Self {
        Self { state: State::Refused { response: Some(response) }, call: None, timer: None }
    }

    /// The answer of a call that runs.
    pub(in crate::transcode) fn calling(call: Call, future: S::Future) -> Self {
        Self::of(call, State::Calling { future })
    }

    /// The answer of a call that is made when the body has been read. `service` is ready.
    pub(in crate::transcode) fn reading(call: Call, service: S, reading: Reading, body: B) -> Self {
        Self::of(call, State::Reading { service, reading: Some(reading), body })
    }

    fn of(call: Call, state: State<S, S::Future, B, R>) -> Self {
        let timer = Some(call.timer());
        Self { state, call: Some(call), timer }
    }
}

impl<S, B, R> Future for TranscodeFuture<S, B, R>
where
    S: Service<Request<CallBody<B>>, Response = Response<R>>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Output = Result<Response<TranscodeBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Passed { future } => {
                    return future.poll(cx).map_ok(|response| response.map(TranscodeBody::passed));
                }
                StateProj::Refused { response } => {
                    let response = response.take().expect("polled after completion");
                    return Poll::Ready(Ok(response.map(TranscodeBody::whole)));
                }
                StateProj::Reading { service, reading, body } => {
                    read(service, reading, body, cx).map(Ok)
                }
                StateProj::Calling { future } => answered(future, this.call, cx),
                StateProj::Gathering { gather, body } => {
                    gathered(gather, body, this.call, cx).map(Ok)
                }
                StateProj::Beginning { begin } => {
                    // which has a timer of its own
                    let response = ready!(begun(begin, cx));
                    return Poll::Ready(Ok(response));
                }
            };
            let next = match next {
                Poll::Ready(next) => next?,
                Poll::Pending => {
                    let Some(timer) = this.timer.as_mut().as_pin_mut() else {
                        return Poll::Pending;
                    };
                    ready!(timer.poll(cx));
                    Next::Failed(late(&this.state).into())
                }
            };
            match next {
                Next::State(state) => this.state.set(state),
                Next::Answer(response) => return Poll::Ready(Ok(response)),
                Next::Failed(failure) => {
                    let response = this.call.as_ref().expect("polled after completion");
                    let response = response.failed(failure).map(TranscodeBody::whole);
                    return Poll::Ready(Ok(response));
                }
            }
        }
    }
}

/// The client was too slow, or the service.
fn late<S, F, B, R>(state: &State<S, F, B, R>) -> Rejection {
    match state {
        State::Reading { .. } => Rejection::new(
            Reason::RequestTimeout,
            "The request's content was not received in time.",
        ),
        _ => failure::late(),
    }
}

/// Reads the client's body, then calls the service.
fn read<S, B, R>(
    service: &mut S,
    reading: &mut Option<Reading>,
    body: Pin<&mut B>,
    cx: &mut Context<'_>,
) -> Poll<Next<S, S::Future, B, R>>
where
    S: Service<Request<CallBody<B>>>,
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let collect = &mut reading.as_mut().expect("polled after completion").collect;
    let content = ready!(collect.poll(body, cx));
    let reading = reading.take().expect("it is there");
    Poll::Ready(match content.and_then(|content| reading.finish(&content)) {
        Ok(request) => Next::State(State::Calling { future: service.call(request) }),
        Err(rejection) => Next::Failed(rejection.into()),
    })
}

/// Waits for the head of the answer.
fn answered<S, F, B, R, E>(
    future: Pin<&mut F>,
    call: &mut Option<Call>,
    cx: &mut Context<'_>,
) -> Poll<Result<Next<S, F, B, R>, E>>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let response = future.poll(cx);
    // What the service makes of a request that is at fault is no answer to it.
    let fault = call.as_ref().and_then(|call| call.fault(cx));
    match (response, fault) {
        (_, Some(fault)) => Poll::Ready(Ok(Next::Failed(fault.into()))),
        (response, None) => response.map_ok(|response| opened(response, call)),
    }
}

/// What the head of the answer leads to.
fn opened<S, F, B, R>(response: Response<R>, call: &mut Option<Call>) -> Next<S, F, B, R>
where
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let (mut head, body) = response.into_parts();
    let status = match failure::of_head(&mut head) {
        Ok(status) => status,
        Err(failure) => return Next::Failed(failure),
    };
    if status.is_some() && !body.is_end_stream() {
        return Next::Failed(failure::broken("The service sent messages after its status.").into());
    }
    match call.take_if(|call| call.plan.is_stream()) {
        Some(call) => {
            let body = status.is_none().then_some(body);
            let download = Box::pin(Download::new(call, &head.headers, body));
            Next::State(State::Beginning { begin: Some((head, download)) })
        }
        None if status.is_some() => Next::Failed(failure::without_message().into()),
        None => {
            let limit = call.as_ref().map_or(0, |call| call.plan.settings.limits.message);
            let gather = Some(Gather::new(head, limit));
            Next::State(State::Gathering { gather, body })
        }
    }
}

/// Reads the answer that is one message.
fn gathered<S, F, B, R>(
    gather: &mut Option<Gather>,
    body: Pin<&mut R>,
    call: &mut Option<Call>,
    cx: &mut Context<'_>,
) -> Poll<Next<S, F, B, R>>
where
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let call = call.as_ref().expect("it is taken for streams only");
    let result = gather.as_mut().expect("polled after completion").poll(body, cx);
    if let Some(fault) = call.fault(cx) {
        return Poll::Ready(Next::Failed(fault.into()));
    }
    let (message, trailers) = match ready!(result) {
        Ok(whole) => whole,
        Err(failure) => return Poll::Ready(Next::Failed(failure)),
    };
    let head = gather.take().expect("it is there").head;
    Poll::Ready(match call.answer(head, &message, trailers) {
        Ok(response) => Next::Answer(response.map(TranscodeBody::whole)),
        Err(rejection) => Next::Failed(rejection.into()),
    })
}

/// The head of an answer that is a stream, and the stream.
type Begin<R> = (Parts, Pin<Box<Download<R>>>);

/// Waits until the stream begins.
fn begun<R>(begin: &mut Option<Begin<R>>, cx: &mut Context<'_>) -> Poll<Response<TranscodeBody<R>>>
where
    R: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let (_, download) = begin.as_mut().expect("polled after completion");
    let begun = ready!(download.as_mut().poll_begin(cx));
    let (head, download) = begin.take().expect("it is there");
    Poll::Ready(match begun {
        Ok(()) => {
            let call = download.call();
            let response = call.stream_head(head, download.media());
            match call.origin.is_head() {
                true => response.map(|()| TranscodeBody::whole(Bytes::new())),
                false => response.map(|()| TranscodeBody::stream(download)),
            }
        }
        Err(failure) => download.call().failed(failure).map(TranscodeBody::whole),
    })
}

impl<S, B, R> fmt::Debug for TranscodeFuture<S, B, R>
where
    S: Service<Request<CallBody<B>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TranscodeFuture")
    }
}
