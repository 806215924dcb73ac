//! What the client is answered.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header, response::Parts};

use super::{Call, failure::Failure};
use crate::{
    rejection::Rejection,
    transcode::{grpc::render, stream::Framing},
};

impl Call {
    /// The answer that is one message.
    pub(super) fn answer(
        &self,
        head: Parts,
        message: &Bytes,
        trailers: HeaderMap,
    ) -> Result<Response<Bytes>, Rejection> {
        let mut response = self.head(head);
        self.plan.settings.metadata.trailers(response.headers_mut(), trailers);
        let (media, body) = self.content(message)?;
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
        Ok(self.origin.fit(response.map(|()| body)))
    }

    fn content(&self, message: &Bytes) -> Result<(HeaderValue, Bytes), Rejection> {
        if self.plan.answers_raw() {
            let body = self.plan.raw(message)?;
            return Ok((body.media_type(), body.data));
        }
        let mut json = Vec::with_capacity(message.len().saturating_mul(2).max(64));
        self.plan.json(message, &mut json)?;
        Ok((HeaderValue::from_static("application/json"), json.into()))
    }

    /// The head of an answer that is a stream. `media` is that of raw content.
    pub(super) fn stream_head(&self, head: Parts, media: Option<HeaderValue>) -> Response<()> {
        let mut response = self.head(head);
        let headers = response.headers_mut();
        let Some(media) = media else {
            headers.insert(header::CONTENT_TYPE, self.framing.content_type());
            headers.append(header::VARY, HeaderValue::from_name(header::ACCEPT));
            if self.framing != Framing::Array {
                // nginx and its like would keep messages back
                let name = header::HeaderName::from_static("x-accel-buffering");
                headers.insert(name, HeaderValue::from_static("no"));
            }
            if self.framing == Framing::Sse {
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            }
            return response;
        };
        headers.insert(header::CONTENT_TYPE, media);
        response
    }

    /// 200, with the metadata that pass.
    fn head(&self, head: Parts) -> Response<()> {
        let mut response = Response::new(());
        *response.headers_mut() = head.headers;
        *response.extensions_mut() = head.extensions;
        self.plan.settings.metadata.response(response.headers_mut());
        response
    }

    /// The answer of a call that has failed before anything of it was sent.
    pub(super) fn failed(&self, failure: Failure) -> Response<Bytes> {
        let settings = &self.plan.settings;
        match failure {
            Failure::Status(status, mut metadata) => {
                settings.metadata.response(&mut metadata);
                let response = render::response(&status, metadata, settings.errors, self.any());
                self.origin.fit(response)
            }
            Failure::Rejected(rejection) => self.refuse(rejection),
            Failure::RejectedWithin(rejection, mut metadata) => {
                settings.metadata.response(&mut metadata);
                let mut response = self.origin.refusal(rejection, settings.errors, self.any());
                settings.metadata.trailers(response.headers_mut(), metadata);
                response
            }
        }
    }

    /// The answer of a call that this layer refuses.
    pub(in crate::transcode) fn refuse(&self, rejection: Rejection) -> Response<Bytes> {
        self.origin.tell(&rejection);
        self.origin.refusal(rejection, self.plan.settings.errors, self.any())
    }

    /// Writes details of types that the schema has.
    pub(super) fn any(&self) -> impl render::WriteAny {
        |url: &str, value: &[u8], out: &mut Vec<u8>| self.plan.any(url, value, out)
    }
}
