//! Judges a request's head before anybody else sees it. Pure.
//!
//! The parsers below take some messages that can be read in two ways; here they end. See the table in the
//! [server's docs](super).

use http::{HeaderMap, HeaderValue, Method, Request, Version, header, uri::Scheme};

use crate::{
    guard::Head,
    rejection::{Reason, Rejection},
    target::{self, PathRules},
};

/// The longest request target that is taken; RFC 9112 §3 recommends to support 8,000 octets at least.
const MAX_TARGET: usize = 8 * 1024;

/// What a head is measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadRules {
    pub(super) max_headers: usize,
    pub(super) paths: Option<PathRules>,
}

impl HeadRules {
    /// Refuses the head, or brings it into its one form: one `Host` field (HTTP/1), one spelling of the path.
    pub(super) fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Rejection> {
        self.size(Head::of(request))?;
        method_and_target(Head::of(request))?;
        let seen = Seen::among(request.headers());
        framing(request.version(), &seen)?;
        expectation(&seen)?;
        if seen.authorization.count > 1 {
            return Err(Rejection::malformed("The request has more than one Authorization field."));
        }
        let head = Head::of(request);
        let named = host(head)?;
        // The target's authority overrules the field (RFC 9112 §3.2.2).
        let overruled = named.filter(|_| head.uri().authority().is_some()).map(field_value);
        if let Some(paths) = self.paths {
            paths.normalize(request)?;
        }
        if let Some(host) = overruled {
            set_host(request, host);
        }
        Ok(())
    }

    fn size(&self, head: Head<'_>) -> Result<(), Rejection> {
        let uri = head.uri();
        let target = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
        if target > MAX_TARGET {
            return Err(Rejection::new(
                Reason::UriTooLong,
                "The request target is longer than this server takes.",
            ));
        }
        if head.headers().len() > self.max_headers {
            return Err(Rejection::new(
                Reason::HeadersTooLarge,
                "The request has more header fields than this server takes.",
            ));
        }
        Ok(())
    }
}

/// RFC 9112 §3.2: the target has the form that its method demands.
fn method_and_target(head: Head<'_>) -> Result<(), Rejection> {
    if head.method() == Method::CONNECT {
        return Err(Rejection::new(Reason::NotImplemented, "This server opens no tunnels."));
    }
    if head.uri().path_and_query().is_none() {
        return Err(Rejection::malformed("The request target has no path."));
    }
    if head.uri().path() == "*" && head.method() != Method::OPTIONS {
        return Err(Rejection::malformed("Only OPTIONS takes the target `*`."));
    }
    match head.uri().scheme() {
        Some(scheme) if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS => {
            Err(Rejection::malformed("The scheme of the request target is neither http nor https."))
        }
        _ => Ok(()),
    }
}

/// The fields of which more than one line, or a wrong one, would be read in two ways; found in one look at all.
#[derive(Default)]
struct Seen<'a> {
    authorization: Lines<'a>,
    length: Lines<'a>,
    coding: Lines<'a>,
    expectation: Lines<'a>,
}

#[derive(Default)]
struct Lines<'a> {
    count: usize,
    last: Option<&'a HeaderValue>,
}

impl<'a> Seen<'a> {
    fn among(headers: &'a HeaderMap) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            let lines = match name.as_str() {
                "authorization" => &mut seen.authorization,
                "content-length" => &mut seen.length,
                "transfer-encoding" => &mut seen.coding,
                "expect" => &mut seen.expectation,
                _ => continue,
            };
            *lines = Lines { count: lines.count + 1, last: Some(value) };
        }
        seen
    }
}

/// RFC 9112 §6: one way to find the end of the message.
///
/// hyper has refused a `Content-Length` that is no number, lines of it that differ, `Transfer-Encoding` in
/// HTTP/1.0 and one that does not end in `chunked`.
fn framing(version: Version, Seen { length, coding, .. }: &Seen<'_>) -> Result<(), Rejection> {
    if length.count > 1 {
        return Err(Rejection::malformed("The request has more than one Content-Length field."));
    }
    match coding.last {
        None => Ok(()),
        Some(_) if version != Version::HTTP_11 || length.count > 0 => {
            Err(Rejection::malformed("Transfer-Encoding stands where it may not."))
        }
        Some(it) if coding.count == 1 && it.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        // RFC 9112 §6.1: a coding that is not understood
        Some(_) => Err(Rejection::new(
            Reason::NotImplemented,
            "The only transfer coding is `chunked`, once.",
        )),
    }
}

/// RFC 9110 §10.1.1: the one expectation there is.
fn expectation(Seen { expectation, .. }: &Seen<'_>) -> Result<(), Rejection> {
    match (expectation.count, expectation.last) {
        (0, _) => Ok(()),
        (1, Some(it)) if it.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(()),
        _ => Err(Rejection::new(
            Reason::ExpectationFailed,
            "The only expectation is `100-continue`.",
        )),
    }
}

/// The one host; HTTP/2 must name it, as HTTP/1.1 must (RFC 9113 §8.3.1).
fn host(head: Head<'_>) -> Result<Option<&str>, Rejection> {
    match target::authority(head)? {
        None if head.version() > Version::HTTP_10 => {
            Err(Rejection::malformed("The request names no host."))
        }
        authority => Ok(authority),
    }
}

/// HTTP/1: the target's authority replaces the field (RFC 9112 §3.2.2). HTTP/2: a field that agrees is dropped.
fn set_host<B>(request: &mut Request<B>, host: HeaderValue) {
    if request.version() >= Version::HTTP_2 {
        request.headers_mut().remove(header::HOST);
    } else {
        request.headers_mut().insert(header::HOST, host);
    }
}

fn field_value(authority: &str) -> HeaderValue {
    HeaderValue::from_str(authority)
        .expect("an authority has only characters that a field may have")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> HeadRules {
        HeadRules { max_headers: 8, paths: Some(PathRules::default()) }
    }

    fn request(version: Version, line: &str, fields: &[(&str, &str)]) -> Request<()> {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = Request::builder().version(version).method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    /// 200, or the status of the refusal.
    fn status(version: Version, line: &str, fields: &[(&str, &str)]) -> u16 {
        match rules().admit(&mut request(version, line, fields)) {
            Ok(()) => 200,
            Err(no) => no.status().as_u16(),
        }
    }

    /// The status, the request line and the fields but for Host.
    type Case<'a> = (u16, &'a str, &'a [(&'a str, &'a str)]);

    #[test]
    fn heads_of_http_1_1() {
        let with = |line: &str, fields: &[(&str, &str)]| {
            let fields = [&[("host", "a")], fields].concat();
            status(Version::HTTP_11, line, &fields)
        };
        let cases: &[Case<'_>] = &[
            (200, "GET /", &[]),
            (200, "OPTIONS *", &[]),
            (200, "GET http://b/x", &[]),
            (400, "GET *", &[]),
            (400, "GET ftp://b/x", &[]),
            (400, "GET a:80", &[]),
            (501, "CONNECT a:80", &[]),
            (200, "POST /", &[("transfer-encoding", "Chunked")]),
            (501, "POST /", &[("transfer-encoding", "gzip, chunked")]),
            (501, "POST /", &[("transfer-encoding", "chunked, chunked")]),
            (501, "POST /", &[("transfer-encoding", "identity")]),
            (501, "POST /", &[("transfer-encoding", "cow"), ("transfer-encoding", "chunked")]),
            (400, "POST /", &[("transfer-encoding", "chunked"), ("content-length", "5")]),
            (400, "POST /", &[("content-length", "5"), ("content-length", "5")]),
            (200, "POST /", &[("expect", "100-Continue")]),
            (417, "POST /", &[("expect", "200-ok")]),
            (417, "POST /", &[("expect", "100-continue"), ("expect", "100-continue")]),
            (200, "GET /", &[("authorization", "Bearer a")]),
            (400, "GET /", &[("authorization", "Bearer a"), ("authorization", "Bearer b")]),
            (400, "GET /a/%2e%2e/b", &[]),
            (400, "GET /", &[("host", "a")]),
            (431, "GET /", &[("x", "1"); 8]),
        ];
        for (expected, line, fields) in cases {
            assert_eq!(with(line, fields), *expected, "{line} {fields:?}");
        }
        assert_eq!(status(Version::HTTP_11, "GET /", &[]), 400);
        assert_eq!(status(Version::HTTP_11, "GET /", &[("host", "a b")]), 400);
        assert_eq!(with(&format!("GET /{}", "a".repeat(MAX_TARGET)), &[]), 414);
    }

    #[test]
    fn heads_of_other_versions() {
        assert_eq!(status(Version::HTTP_10, "GET /", &[]), 200);
        let coded = [("transfer-encoding", "chunked")];
        assert_eq!(status(Version::HTTP_10, "POST /", &coded), 400);
        assert_eq!(status(Version::HTTP_2, "GET https://a/", &[]), 200);
        assert_eq!(status(Version::HTTP_2, "GET /", &[]), 400);
        assert_eq!(status(Version::HTTP_2, "GET https://a/", &[("host", "b")]), 400);
        let twice = [("content-length", "5"), ("content-length", "6")];
        assert_eq!(status(Version::HTTP_2, "POST https://a/", &twice), 400);
    }

    #[test]
    fn a_head_leaves_in_its_one_form() {
        let mut absolute = request(Version::HTTP_11, "GET http://b:80/%61", &[("host", "a")]);
        rules().admit(&mut absolute).unwrap();
        assert_eq!(absolute.headers()[header::HOST], "b:80");
        assert_eq!(absolute.uri(), "http://b:80/a");

        let mut h2 = request(Version::HTTP_2, "GET https://a/", &[("host", "A")]);
        rules().admit(&mut h2).unwrap();
        assert!(!h2.headers().contains_key(header::HOST));
    }

    #[test]
    fn paths_can_be_left_alone() {
        let untouched = HeadRules { paths: None, ..rules() };
        let mut odd = request(Version::HTTP_10, "GET /a//%2e%2e;x", &[]);
        untouched.admit(&mut odd).unwrap();
        assert_eq!(odd.uri().path(), "/a//%2e%2e;x");
    }
}
