//! How a call starts: at once, or when the client's body has been read.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, header, request::Parts};
use http_body::Body;

use super::{
    Call,
    collect::Collect,
    head::{self, Time},
    input::{Content, Input},
    origin::Origin,
    plan::Plan,
    request_body::CallBody,
    upload::Upload,
};
use crate::{
    rejection::Rejection,
    transcode::stream::{Framing, accept},
};

/// A request that may go on.
pub(in crate::transcode) enum Start<B> {
    /// To the service.
    Now(Request<CallBody<B>>),
    /// To the service, when its body has been read.
    Later(Reading, B),
}

/// A request that is one message, of which the body is to be read.
pub(in crate::transcode) struct Reading {
    pub(super) collect: Collect,
    head: Parts,
    message: Message,
}

/// What becomes of its body.
struct Message {
    input: Input,
    content: Content,
    media: Option<HeaderValue>,
}

impl Call {
    pub(in crate::transcode) fn new<B>(plan: Plan, request: &Request<B>) -> Self {
        let origin = Origin::of(request);
        let framing = match plan.is_stream() {
            true => accept::choose(request.headers(), plan.settings.framing),
            false => Framing::default(),
        };
        Self { plan, origin, framing, deadline: None, slot: None }
    }

    /// # Errors
    ///
    /// What is wrong with the request.
    pub(in crate::transcode) fn start<B>(
        &mut self,
        request: Request<B>,
    ) -> Result<Start<B>, Rejection>
    where
        B: Body,
    {
        let (mut head, body) = request.into_parts();
        let time = Time::of(&self.plan, &head)?;
        self.deadline = time.deadline;
        let content = self.plan.content(&head.headers)?;
        let media = head.headers.get(header::CONTENT_TYPE).filter(|_| content == Content::Raw);
        let media = media.cloned();
        let input = Input::new(self.plan.clone(), &head.uri)?;
        head::enter(&self.plan, &time, &mut head)?;

        let message = Message { input, content, media };
        if content != Content::None && self.plan.method().client_streaming {
            let body = CallBody::stream(body, self.upload(message));
            return Ok(Start::Now(Request::from_parts(head, body)));
        }
        if content == Content::None || body.is_end_stream() {
            return message.request(head, &Bytes::new()).map(Start::Now);
        }
        let collect = Collect::new(&body, self.plan.settings.limits.request)?;
        Ok(Start::Later(Reading { collect, head, message }, body))
    }

    fn upload(&mut self, message: Message) -> Upload {
        let slot = Arc::clone(self.slot.insert(Arc::default()));
        match message.content {
            Content::Raw => Upload::raw(message.input, message.media, slot),
            Content::Json | Content::None => Upload::lines(message.input, slot),
        }
    }
}

impl Reading {
    /// The service's request, now that the content is there.
    pub(super) fn finish<B>(self, content: &Bytes) -> Result<Request<CallBody<B>>, Rejection> {
        self.message.request(self.head, content)
    }
}

impl Message {
    /// No JSON at all is a message without any field.
    fn request<B>(self, head: Parts, content: &Bytes) -> Result<Request<CallBody<B>>, Rejection> {
        let mut frame = Vec::with_capacity(64 + content.len());
        match self.content {
            Content::Raw => self.input.raw(self.media.as_ref(), content, &mut frame)?,
            Content::Json if !content.trim_ascii().is_empty() => {
                self.input.json(content, &mut frame)?;
            }
            Content::Json | Content::None => self.input.bare(&mut frame)?,
        }
        Ok(Request::from_parts(head, CallBody::message(frame)))
    }
}
