//! The lists, applied to header sections in place.

use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::{
    super::base64,
    names::{Names, never},
};
use crate::{
    fields::{OwnFields, strip_hop_by_hop},
    rejection::Rejection,
};

/// The lists, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    pub(super) request: Names,
    pub(super) response: Names,
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
    use super::{super::Metadata, *};
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
