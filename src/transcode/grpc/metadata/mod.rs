//! Which header fields become metadata of a call, and which metadata become header fields of the answer.

mod allowed;
mod names;

use crate::config_error::{ConfigError, Mistakes};

pub(crate) use allowed::Allowed;
use names::Names;

/// Header fields that are passed to the service, and metadata that are passed to the client. All others are dropped.
///
/// | | passed by default |
/// |---|---|
/// | request | `authorization` (where a layer before has left it), `accept-language`, `x-request-id`, `x-correlation-id`, `traceparent`, `tracestate`, `baggage`, `forwarded`, `x-forwarded-*`, and the identity fields that layers of this crate have set ([`OwnFields`](crate::fields::OwnFields)) |
/// | response | `x-request-id`, `x-correlation-id`, `traceparent`, `tracestate`, `traceresponse`, `retry-after`, `www-authenticate`, `cache-control`, `etag`, `last-modified`, `vary`, `content-language`, `location`, `ratelimit`, `ratelimit-policy`, `x-ratelimit-*` |
///
/// A name that ends with `*` means all that begin so. Cookies pass only if they are named. Never passed, and a mistake
/// to name: what concerns one connection (`connection`, `te`, …), what describes the content of one message
/// (`content-type`, `content-length`, `content-encoding`, …), `host`, and `grpc-*`, which is between the layer and the
/// service.
///
/// Metadata whose name ends with `-bin` are base64 on both sides, with or without padding; a request with other text
/// in one that passes is refused with 400.
///
/// ```
/// use tower_gateway::transcode::Metadata;
///
/// let metadata = Metadata::new().request(["x-tenant", "x-acme-*"]).response(["set-cookie"]);
/// ```
#[derive(Clone, Debug)]
pub struct Metadata {
    request: Vec<String>,
    response: Vec<String>,
    all_response: bool,
}

const REQUEST: [&str; 9] = [
    "authorization",
    "accept-language",
    "x-request-id",
    "x-correlation-id",
    "traceparent",
    "tracestate",
    "baggage",
    "forwarded",
    "x-forwarded-*",
];

const RESPONSE: [&str; 16] = [
    "x-request-id",
    "x-correlation-id",
    "traceparent",
    "tracestate",
    "traceresponse",
    "retry-after",
    "www-authenticate",
    "cache-control",
    "etag",
    "last-modified",
    "vary",
    "content-language",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit-*",
];

impl Metadata {
    /// What is passed by default.
    pub fn new() -> Self {
        Self {
            request: REQUEST.map(str::to_owned).into(),
            response: RESPONSE.map(str::to_owned).into(),
            all_response: false,
        }
    }

    /// Passes these fields to the service too; `x-acme-*` is all that begin with `x-acme-`.
    ///
    /// What a client says in them, the service will hear: name none that only a layer of yours should set.
    #[must_use]
    pub fn request<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.request.extend(names.into_iter().map(Into::into));
        self
    }

    /// Passes these metadata to the client too; `x-acme-*` is all that begin with `x-acme-`.
    #[must_use]
    pub fn response<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.response.extend(names.into_iter().map(Into::into));
        self
    }

    /// Passes all metadata of the service to the client, but for what never passes. Default: the list.
    #[must_use]
    pub fn all_response(mut self) -> Self {
        self.all_response = true;
        self
    }

    /// # Errors
    ///
    /// Names that are none, or never pass.
    pub(crate) fn compile(&self) -> Result<Allowed, ConfigError> {
        let mut mistakes = Mistakes::of("transcode");
        let request = Names::parse(&self.request, &mut mistakes);
        let mut response = Names::parse(&self.response, &mut mistakes);
        response.all = self.all_response;
        mistakes.or(Allowed { request, response })
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told() {
        let metadata = Metadata::new()
            .request(["x tenant", "*", "", "Grpc-Timeout", "te", "content-type"])
            .response(["grpc-*", ":path", "ä"]);
        let error = metadata.compile().unwrap_err();
        let expected = [
            "`x tenant` is no name of metadata",
            "`` is no name of metadata",
            "`` is no name of metadata",
            "`grpc-timeout` is never passed",
            "`te` is never passed",
            "`content-type` is never passed",
            "`grpc-` is never passed",
            "`:path` is no name of metadata",
            "`ä` is no name of metadata",
        ];
        assert_eq!(error.mistakes().collect::<Vec<_>>(), expected);
    }
}
