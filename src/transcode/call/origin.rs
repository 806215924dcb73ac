//! Whom an answer of ours goes to.

use bytes::Bytes;
use http::{Method, Request, Response, Uri};

use crate::{
    body::Body,
    client_ip::ClientIp,
    event,
    guard::Head,
    rejection::Rejection,
    reply::reply,
    transcode::grpc::{ErrorBody, render},
};

/// What answers and events need of a client's request, which the service has by now.
#[derive(Debug)]
pub(in crate::transcode) struct Origin {
    method: Method,
    uri: Uri,
    client: Option<ClientIp>,
}

impl Origin {
    pub(in crate::transcode) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            client: request.extensions().get().copied(),
        }
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Tells of a refusal of this layer's.
    pub(in crate::transcode) fn tell(&self, rejection: &Rejection) {
        event::refused("transcode", Head::of(&self.request()), rejection);
    }

    /// The answer that refuses. `any` writes details.
    pub(in crate::transcode) fn refusal(
        &self,
        rejection: Rejection,
        body: ErrorBody,
        any: impl render::WriteAny,
    ) -> Response<Bytes> {
        let response = match body {
            ErrorBody::Problem => reply(Head::of(&self.request()), rejection).map(Body::into_own),
            ErrorBody::Status => {
                let mut response = render::refusal(&rejection, any);
                response.extensions_mut().insert(rejection);
                response
            }
        };
        self.fit(response)
    }

    /// The answer to a `HEAD` has no content.
    pub(super) fn fit(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        if self.is_head() {
            *response.body_mut() = Bytes::new();
        }
        response
    }

    /// Its head, as far as it matters, in the dialect of HTTP.
    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        if let Some(client) = self.client {
            request.extensions_mut().insert(client);
        }
        request
    }
}
