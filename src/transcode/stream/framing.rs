//! How the messages of a stream stand in a response body, and who chooses.

use bytes::Bytes;
use http::HeaderValue;

/// How the messages of a stream stand in a response body.
///
/// The client chooses with `Accept` (RFC 9110 §12.5.1): the highest quality wins; among equals the framing that is named
/// rather than meant by a wildcard, then the one that is named first. With `*/*`, without `Accept`, and with one that
/// admits none of them, it is the default of the layer: `Ndjson`, if no other is set.
///
/// | `Accept` | framing | a message | an error | the end |
/// |---|---|---|---|---|
/// | `application/x-ndjson`, `application/ndjson`, `application/jsonl` | `Ndjson` | `{…}\n` | `{"@type":…}\n` | |
/// | `text/event-stream` | `Sse` | `data: {…}\n\n` | `event: error\ndata: {…}\n\n` | |
/// | `application/json` | `Array` | `{…}`, with `[` or `,` before it | an element, the last | `]` |
///
/// The error in each is a `google.rpc.Status` as ProtoJSON writes it within an `Any`, so that its `@type` sets it apart
/// from messages. A stream without messages is `[]` as an array, and nothing otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// A line for each message: `application/x-ndjson`.
    #[default]
    Ndjson,
    /// An event for each message: `text/event-stream`, as
    /// [WHATWG](https://html.spec.whatwg.org/multipage/server-sent-events.html) has it.
    Sse,
    /// One JSON array of all messages: `application/json`. It is whole at the end only; a reader that parses it
    /// at once has to wait for that.
    Array,
}

impl Framing {
    /// In the order in which they are preferred when a client does not care and the default is out.
    pub(super) const ALL: [Self; 3] = [Self::Ndjson, Self::Sse, Self::Array];

    /// The media type of the body.
    pub(crate) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Sse => "text/event-stream",
            Self::Array => "application/json",
        })
    }

    /// What is sent while there are no messages, so that nobody on the way takes the connection for dead: an
    /// event stream has comments for it.
    pub(crate) const fn heartbeat(self) -> Option<Bytes> {
        match self {
            Self::Sse => Some(Bytes::from_static(b": \n\n")),
            Self::Ndjson | Self::Array => None,
        }
    }
}
