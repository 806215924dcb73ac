//! Which header fields become metadata of a call, and which metadata become header fields of the answer.

use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::base64;
use crate::{
    config_error::{ConfigError, Mistakes},
    fields::{OwnFields, concerns_this_hop, strip_hop_by_hop},
    rejection::Rejection,
};

/// Header fields that are passed to the service, and metadata that are passed to the client. All others are dropped.
///
/// | | passed by default |
/// |---|---|
/// | request | `authorization` (where a layer before has left it), `accept-language`, `x-request-id`, `x-correlation-id`, `traceparent`, `tracestate`, `baggage`, `forwarded`, `x-forwarded-*`, and the identity fields that layers of this crate have set ([`OwnFields`]) |
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
        let response = Names::parse(&self.response, &mut mistakes);
        mistakes.or(Allowed { request, response: Names { all: self.all_response, ..response } })
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self::new()
    }
}

/// The lists, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    request: Names,
    response: Names,
}

impl Allowed {
    /// Makes a request's header section the metadata of a call, in place.
    ///
    /// # Errors
    ///
    /// 400 for a `-bin` field that is no base64.
    pub(crate) fn request(
        &self,
        headers: &mut HeaderMap,
        own: Option<&OwnFields>,
    ) -> Result<(), Rejection> {
        strip_hop_by_hop(headers); // among them what `Connection` names, whatever the list says
        let is_own = |name: &HeaderName| own.is_some_and(|own| own.0.contains(name));
        retain(headers, |name| !never(name) && (self.request.contain(name) || is_own(name)));
        match headers.iter().find(|(name, value)| is_binary(name) && !is_base64(value)) {
            Some((name, _)) => {
                Err(Rejection::malformed(format!("The field {name} is not base64.")))
            }
            None => Ok(()),
        }
    }

    /// Makes the metadata of an answer header fields, in place.
    pub(crate) fn response(&self, metadata: &mut HeaderMap) {
        retain(metadata, |name| !never(name) && self.response.contain(name));
    }

    /// Adds what came after the messages to what came before them, for an answer that is not sent until then. A name
    /// that came before keeps its values.
    pub(crate) fn trailers(&self, headers: &mut HeaderMap, mut trailers: HeaderMap) {
        retain(&mut trailers, |name| {
            !never(name) && self.response.contain(name) && !headers.contains_key(name)
        });
        headers.extend(trailers);
    }
}

/// Names, and beginnings of names.
#[derive(Clone, Debug, Default)]
struct Names {
    exact: Vec<HeaderName>,
    prefixes: Vec<String>,
    all: bool,
}

impl Names {
    fn parse(names: &[String], mistakes: &mut Mistakes) -> Self {
        let mut parsed = Self::default();
        for text in names {
            let (text, is_prefix) = match text.strip_suffix('*') {
                Some(prefix) => (prefix, true),
                None => (text.as_str(), false),
            };
            match HeaderName::try_from(text) {
                Err(_) => mistakes.add(format!("`{text}` is no name of metadata")),
                Ok(name) if never(&name) => mistakes.add(format!("`{name}` is never passed")),
                Ok(name) if is_prefix => parsed.prefixes.push(name.as_str().to_owned()),
                Ok(name) => parsed.exact.push(name),
            }
        }
        parsed
    }

    fn contain(&self, name: &HeaderName) -> bool {
        self.all
            || self.exact.contains(name)
            || self.prefixes.iter().any(|prefix| name.as_str().starts_with(prefix))
    }
}

/// What belongs to one message or one connection, and what the layer and the service say to each other.
fn never(name: &HeaderName) -> bool {
    concerns_this_hop(name)
        || name.as_str().starts_with("grpc-")
        || matches!(
            name.as_str(),
            "accept-encoding"
                | "accept-ranges"
                | "content-digest"
                | "content-encoding"
                | "content-length"
                | "content-md5"
                | "content-range"
                | "content-type"
                | "digest"
                | "expect"
                | "host"
                | "repr-digest"
                | "trailer"
        )
}

/// Keeps the fields that `keep` says. The map's memory stays; few fields pass, so they are set aside on the stack.
fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName) -> bool) {
    if headers.keys().all(&keep) {
        return;
    }
    let mut kept: SmallVec<[(HeaderName, HeaderValue); 8]> = SmallVec::new();
    let mut current = None;
    for (name, value) in headers.drain() {
        // Only the first of several values comes with its name.
        if let Some(name) = name {
            current = keep(&name).then_some(name);
        }
        kept.extend(current.clone().map(|name| (name, value)));
    }
    for (name, value) in kept {
        headers.append(name, value);
    }
}

fn is_binary(name: &HeaderName) -> bool {
    name.as_str().ends_with("-bin")
}

/// Several values may stand in one line, separated by commas.
fn is_base64(value: &HeaderValue) -> bool {
    let mut values = value.as_bytes().split(|byte| *byte == b',');
    values.all(|value| base64::decode(value.trim_ascii()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn lines(headers: &HeaderMap) -> Vec<String> {
        let line =
            |(name, value): (_, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        let mut lines: Vec<_> = headers.iter().map(line).collect();
        lines.sort();
        lines
    }

    fn sent(metadata: &Metadata, fields: &[(&str, &str)]) -> Result<Vec<String>, Rejection> {
        let mut headers = map(fields);
        metadata.compile().unwrap().request(&mut headers, None)?;
        Ok(lines(&headers))
    }

    fn answered(metadata: &Metadata, fields: &[(&str, &str)]) -> Vec<String> {
        let mut headers = map(fields);
        metadata.compile().unwrap().response(&mut headers);
        lines(&headers)
    }

    #[test]
    fn a_browser_passes_little() {
        let browser = [
            ("host", "api.example"),
            ("accept", "application/json"),
            ("accept-encoding", "gzip, br"),
            ("accept-language", "de"),
            ("authorization", "Bearer x"),
            ("content-length", "5"),
            ("content-type", "application/json"),
            ("cookie", "session=1"),
            ("origin", "https://app.example"),
            ("traceparent", "00-1-2-01"),
            ("user-agent", "Mozilla/5.0"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarder", "no"),
            ("x-tenant", "a"),
        ];
        let passed = sent(&Metadata::new(), &browser).unwrap();
        let expected = [
            "accept-language: de",
            "authorization: Bearer x",
            "traceparent: 00-1-2-01",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-proto: https",
        ];
        assert_eq!(passed, expected);
    }

    #[test]
    fn what_is_named_passes_with_all_its_values() {
        let metadata = Metadata::new().request(["X-Tenant", "x-acme-*", "cookie"]);
        let fields = [
            ("x-tenant", "1"),
            ("x-other", "2"),
            ("x-tenant", "3"),
            ("x-acme-a", "4"),
            ("x-acme", "5"),
            ("cookie", "6"),
        ];
        let expected = ["cookie: 6", "x-acme-a: 4", "x-tenant: 1", "x-tenant: 3"];
        assert_eq!(sent(&metadata, &fields).unwrap(), expected);
    }

    #[test]
    fn identity_fields_of_our_layers_pass() {
        let own = OwnFields([HeaderName::from_static("x-auth-sub")].into());
        let mut headers = map(&[("x-auth-sub", "alice"), ("x-auth-scope", "forged")]);
        Metadata::new().compile().unwrap().request(&mut headers, Some(&own)).unwrap();
        assert_eq!(lines(&headers), ["x-auth-sub: alice"]);
    }

    /// TC-09: a client does not speak for the layer.
    #[test]
    fn nothing_of_the_call_itself_passes() {
        let metadata = Metadata::new().request(["g*", "t*", "c*", "h*"]).all_response();
        let fields = [
            ("grpc-timeout", "99999999H"),
            ("grpc-encoding", "zstd"),
            ("grpc-status", "0"),
            ("grpc-status-details-bin", "!"),
            ("te", "trailers"),
            ("host", "a"),
            ("content-type", "application/grpc"),
            ("content-length", "5"),
            ("connection", "close, tail"),
            ("transfer-encoding", "chunked"),
            ("trailer", "x"),
            ("tail", "named by connection"),
            ("tenant", "a"),
        ];
        assert_eq!(sent(&metadata, &fields).unwrap(), ["tenant: a"]);
        assert_eq!(answered(&metadata, &fields), ["tail: named by connection", "tenant: a"]);
    }

    #[test]
    fn binary_metadata_are_base64() {
        let metadata = Metadata::new().request(["x-id-bin"]);
        let with = |value| sent(&metadata, &[("x-id-bin", value)]);
        for fine in ["", "AAE=", "AAE", "AAEC", "AAE=,AAE", "AAE, AAEC"] {
            assert_eq!(with(fine).unwrap(), [format!("x-id-bin: {fine}")]);
        }
        for bad in ["!", "A", "AAE==", "-_-_", "AAE;", "AA\tEC", "plain text"] {
            let no = with(bad).unwrap_err();
            assert_eq!(no.status(), 400, "{bad}");
            assert!(no.detail().contains("x-id-bin"), "{}", no.detail());
        }
        assert!(sent(&metadata, &[("x-other-bin", "!")]).unwrap().is_empty(), "it does not pass");
    }

    #[test]
    fn an_answer_says_what_is_listed() {
        let fields = [
            ("content-type", "application/grpc"),
            ("grpc-encoding", "gzip"),
            ("etag", "\"1\""),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("ratelimit", "\"a\";r=1"),
            ("x-ratelimit-remaining", "1"),
            ("x-id-bin", "AAE"),
            ("server", "inside"),
        ];
        let some = ["etag: \"1\"", "ratelimit: \"a\";r=1", "x-ratelimit-remaining: 1"];
        assert_eq!(answered(&Metadata::new(), &fields), some);
        let cookies = Metadata::new().response(["set-cookie"]);
        assert_eq!(answered(&cookies, &fields)[2..4], ["set-cookie: a=1", "set-cookie: b=2"]);
        assert_eq!(answered(&Metadata::new().all_response(), &fields).len(), 7);
    }

    #[test]
    fn what_comes_last_is_added() {
        let allowed = Metadata::new().compile().unwrap();
        let mut headers = map(&[("etag", "\"1\"")]);
        let trailers = map(&[
            ("grpc-status", "0"),
            ("etag", "\"2\""),
            ("retry-after", "3"),
            ("vary", "a"),
            ("vary", "b"),
        ]);
        allowed.trailers(&mut headers, trailers);
        assert_eq!(lines(&headers), ["etag: \"1\"", "retry-after: 3", "vary: a", "vary: b"]);
    }

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

    proptest! {
        #[test]
        fn what_is_kept_is_kept_in_order(
            fields in prop::collection::vec(("[a-d]", "[0-9]"), 0..30),
            kept in prop::collection::hash_set("[a-d]", 0..4),
        ) {
            let all: Vec<_> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            let mut headers = map(&all);
            retain(&mut headers, |name| kept.contains(name.as_str()));
            for name in ["a", "b", "c", "d"] {
                let expected = all.iter().filter(|it| it.0 == name && kept.contains(name));
                let expected: Vec<_> = expected.map(|it| it.1).collect();
                let left: Vec<_> = headers.get_all(name).iter().map(|it| it.to_str().unwrap()).collect();
                prop_assert_eq!(left, expected);
            }
        }
    }
}
