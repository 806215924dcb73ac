//! One call to reflection: questions go out together, answers come back in their order.

use std::{future::poll_fn, pin::Pin};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri, Version,
    header::{CONTENT_TYPE, TE},
};
use prost::Message;
use tokio::sync::mpsc::UnboundedSender;
use tower_service::Service;

use super::{
    error::ReflectionError,
    messages::{Answer, Question, Request, Response},
    questions::Questions,
};
use crate::{
    BoxError,
    transcode::grpc::{
        frame::{self, Encoding, Frames},
        status::Status,
    },
};

/// What became of a question.
pub(super) enum Heard {
    Answer(Answer),
    /// The call has ended with this status instead.
    Status(Ended),
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) message: String,
}

pub(super) const NOT_FOUND: i32 = 5;
pub(super) const UNIMPLEMENTED: i32 = 12;

/// A call that is open.
pub(super) struct Call<R> {
    questions: UnboundedSender<Bytes>,
    body: Pin<Box<R>>,
    frames: Frames,
    /// The fields of the head, then the trailers: where the status is.
    fields: HeaderMap,
    /// The server does not know the path.
    unknown: bool,
}

impl<R> Call<R>
where
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    /// Opens a call with its first questions: there are servers that say nothing before they are asked.
    pub(super) async fn open<S>(
        service: &mut S,
        path: &'static str,
        first: &[Question],
        cap: usize,
    ) -> Result<Self, ReflectionError>
    where
        S: Service<http::Request<Questions>, Response = http::Response<R>, Error: Into<BoxError>>,
    {
        let (questions, body) = Questions::channel();
        let failed = |error: S::Error| ReflectionError::because("the server failed", error);
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(failed)?;
        send(&questions, first)?;
        let response = service.call(request(path, body)).await.map_err(failed)?;
        let (head, body) = response.into_parts();
        Ok(Self {
            questions,
            body: Box::pin(body),
            frames: Frames::new(Encoding::of(&head.headers), cap),
            unknown: is_unknown(&head)?,
            fields: head.headers,
        })
    }

    pub(super) fn ask(&self, questions: &[Question]) -> Result<(), ReflectionError> {
        send(&self.questions, questions)
    }

    /// The answer to the next question.
    pub(super) async fn hear(&mut self) -> Result<Heard, ReflectionError> {
        if self.unknown {
            let message = String::new();
            return Ok(Heard::Status(Ended { code: UNIMPLEMENTED, message }));
        }
        loop {
            if let Some(message) = self.frames.next() {
                let message = message.map_err(broken)?;
                let response = Response::decode(message).map_err(broken)?;
                let unknown = || ReflectionError::new("it gave an answer of an unknown kind");
                return response.answer.map(Heard::Answer).ok_or_else(unknown);
            }
            let next = next_frame(self.body.as_mut()).await.map_err(broken)?;
            match next.map(http_body::Frame::into_data) {
                Some(Ok(chunk)) => self.frames.push(chunk),
                Some(Err(last)) => {
                    self.fields.extend(last.into_trailers().unwrap_or_default());
                    return self.ended();
                }
                None => return self.ended(),
            }
        }
    }

    fn ended(&self) -> Result<Heard, ReflectionError> {
        self.frames.end().map_err(broken)?;
        ended(&self.fields).map(Heard::Status)
    }
}

async fn next_frame<R: http_body::Body>(
    mut body: Pin<&mut R>,
) -> Result<Option<http_body::Frame<R::Data>>, R::Error> {
    poll_fn(|cx| body.as_mut().poll_frame(cx)).await.transpose()
}

fn broken(error: impl Into<BoxError>) -> ReflectionError {
    ReflectionError::because("its answer cannot be read", error)
}

fn send(to: &UnboundedSender<Bytes>, questions: &[Question]) -> Result<(), ReflectionError> {
    let mut frames = Vec::new();
    for question in questions {
        let open = frame::open(&mut frames);
        frames.extend(Request { question: Some(question.clone()) }.encode_to_vec());
        open.close(&mut frames).map_err(|_| ReflectionError::new("a name is too long"))?;
    }
    // It fails when the server has let go of the call; how that has ended is what comes next.
    let _ = to.send(frames.into());
    Ok(())
}

fn request(path: &'static str, body: Questions) -> http::Request<Questions> {
    let mut request = http::Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static(path);
    let fields = request.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fields.insert(TE, HeaderValue::from_static("trailers"));
    fields.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    request
}

/// Whether the server does not know the path; an error if what it said is not gRPC at all.
fn is_unknown(head: &http::response::Parts) -> Result<bool, ReflectionError> {
    let media = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match head.status {
        StatusCode::OK if media.is_some_and(|it| it.starts_with(b"application/grpc")) => Ok(false),
        StatusCode::OK => Err(ReflectionError::new("the server does not speak gRPC")),
        // As gRPC over HTTP/2 maps it.
        StatusCode::NOT_FOUND => Ok(true),
        status => Err(ReflectionError::new(format!("the server answered {status}"))),
    }
}

/// The status that the fields say.
fn ended(fields: &HeaderMap) -> Result<Ended, ReflectionError> {
    let status = Status::of(fields);
    let status = status.ok_or_else(|| ReflectionError::new("its answer ended without a status"))?;
    let code = i32::try_from(status.number()).unwrap_or(i32::MAX);
    Ok(Ended { code, message: status.message().to_owned() })
}
