//! Reading a bearer credential from a request's head, and removing it.
//!
//! There must be one credential, in one place. Two are never a choice for the gateway: an upstream might choose
//! the other one.

use std::borrow::Cow;

use http::{HeaderMap, Request, Uri, header, uri::PathAndQuery};

use crate::guard::Head;

/// The query parameter of RFC 6750 §2.3.
const QUERY_PARAMETER: &str = "access_token";

/// Where bearer tokens are looked for: always in `Authorization`, elsewhere by choice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) query: bool,
}

/// Why no credential could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// More than one; RFC 6750 §3.1 makes that `invalid_request`, 400.
    Ambiguous(&'static str),
    /// One that is no bearer credential; `invalid_token`, 401.
    Malformed(&'static str),
}

/// The one bearer token of the request, if it has any.
pub(crate) fn bearer<'a>(head: Head<'a>, sources: Sources) -> Result<Option<&'a str>, Unreadable> {
    let in_header = in_authorization(head.headers())?;
    if !sources.query {
        return Ok(in_header);
    }
    match (in_header, in_query(head.uri())?) {
        (Some(_), Some(_)) => Err(Unreadable::Ambiguous(
            "The request has a token in its header section and one in its query.",
        )),
        (one, other) => Ok(one.or(other)),
    }
}

/// The token of the one `Authorization` field; `None` for another scheme.
fn in_authorization(headers: &HeaderMap) -> Result<Option<&str>, Unreadable> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(Unreadable::Ambiguous("The request has more than one Authorization field."));
    }
    let malformed = Unreadable::Malformed("The Authorization field is malformed.");
    let text = std::str::from_utf8(field.as_bytes()).map_err(|_| malformed)?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return match is_token(scheme) {
            true => Ok(None),
            false => Err(malformed),
        };
    }
    // RFC 9110 §11.4: one or more spaces
    let token = rest.trim_start_matches(' ');
    match is_token68(token) {
        true => Ok(Some(token)),
        false => Err(malformed),
    }
}

/// The token of the one `access_token` parameter.
fn in_query(uri: &Uri) -> Result<Option<&str>, Unreadable> {
    let mut found = parameters(uri).filter(|it| is_access_token(it));
    let Some(parameter) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(Unreadable::Ambiguous("The query has more than one access_token."));
    }
    let value = parameter.split_once('=').map_or("", |(_, value)| value);
    match is_token68(value) {
        true => Ok(Some(value)),
        false => Err(Unreadable::Malformed("The query's token is malformed.")),
    }
}

/// Whether the credential stands in the URI.
pub(crate) fn is_in_query(uri: &Uri, sources: Sources) -> bool {
    sources.query && parameters(uri).any(is_access_token)
}

/// Takes the credential out of the request, wherever it was read from.
pub(crate) fn remove<B>(request: &mut Request<B>, sources: Sources) {
    request.headers_mut().remove(header::AUTHORIZATION);
    if is_in_query(request.uri(), sources) {
        let rest: Vec<_> = parameters(request.uri()).filter(|it| !is_access_token(it)).collect();
        let path = request.uri().path();
        let target = match rest.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", rest.join("&")),
        };
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query =
            Some(PathAndQuery::try_from(target).expect("a part of a valid query is one"));
        *request.uri_mut() = Uri::from_parts(parts).expect("only the query changed");
    }
}

fn parameters(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&')
}

/// Under any spelling: what an upstream would decode to the name is the name.
fn is_access_token(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    let name: Cow<'_, [u8]> = percent_encoding::percent_decode_str(name).into();
    *name == *QUERY_PARAMETER.as_bytes()
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let tchar = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    !text.is_empty() && text.bytes().all(tchar)
}

/// RFC 9110 §11.2: no commas, no spaces, padding only at the end.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=').as_bytes();
    // Without early exits the compiler looks at many bytes at once; tokens are long.
    let is_in = |it: u8, first: u8, last: u8| it.wrapping_sub(first) <= last - first;
    let allowed = |it: u8| {
        is_in(it | 0x20, b'a', b'z')
            | is_in(it, b'-', b'9') // `-`, `.`, `/`, digits
            | (it == b'_')
            | (it == b'~')
            | (it == b'+')
    };
    !body.is_empty() && body.iter().fold(true, |ok, it| ok & allowed(*it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(uri: &str, fields: &[&str], query: bool) -> Result<Option<String>, Unreadable> {
        let request = request(uri, fields);
        let found = bearer(Head::of(&request), Sources { query });
        found.map(|it| it.map(str::to_owned))
    }

    fn request(uri: &str, fields: &[&str]) -> Request<()> {
        let mut request = Request::get(uri);
        for field in fields {
            let value = HeaderValue::from_bytes(field.as_bytes()).unwrap();
            request = request.header("authorization", value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn one_bearer_credential_in_any_case() {
        for field in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"] {
            assert_eq!(read("/", &[field], false), Ok(Some("a.b.c".into())));
        }
        assert_eq!(read("/", &[], false), Ok(None));
        assert_eq!(read("/", &["Basic YTpi"], false), Ok(None));
    }

    #[test]
    fn what_is_not_exactly_that_is_refused() {
        let bad = [
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer a, Bearer b",
            "Bearer a\tb",
            "Bearer\ta",
            "Bearer \ta",
            "Bearer \u{e9}",
            "Bearer a=b",
            "Bearer =",
            "Bearer \"a\"",
            "",
            " Bearer a",
            "Bearer a ",
            "B\u{e9}arer a",
            "Basic,Bearer a",
        ];
        for field in bad {
            let found = read("/", &[field], false);
            assert!(matches!(found, Err(Unreadable::Malformed(_))), "{field:?}");
        }
        for two in [["Bearer a", "Bearer b"], ["Bearer a", "Basic b"], ["Basic b", "Bearer a"]] {
            let found = read("/", &two, false);
            assert!(matches!(found, Err(Unreadable::Ambiguous(_))));
        }
    }

    #[test]
    fn the_alphabet_of_a_token() {
        for byte in 0..=0x7f_u8 {
            let expected = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            let text = format!("a{}a", char::from(byte));
            assert_eq!(is_token68(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_query_is_read_by_choice_only() {
        assert_eq!(read("/?access_token=a.b", &[], false), Ok(None));
        assert_eq!(read("/?x&access_token=a.b&y=1", &[], true), Ok(Some("a.b".into())));
        assert_eq!(read("/?access%5Ftoken=a.b", &[], true), Ok(Some("a.b".into())));
        assert!(read("/?access_token=a&access_token=a", &[], true).is_err());
        assert!(read("/?access_token=a&access%5ftoken=a", &[], true).is_err());
        assert!(read("/?access_token=a", &["Bearer a"], true).is_err());
        assert!(read("/?access_token", &[], true).is_err());
        assert!(read("/?access_token=a%2eb", &[], true).is_err());
    }

    #[test]
    fn removal_leaves_the_rest_of_the_query() {
        let removed = |uri: &str, query| {
            let mut request = request(uri, &["Bearer a"]);
            remove(&mut request, Sources { query });
            assert!(request.headers().is_empty());
            request.uri().to_string()
        };
        assert_eq!(removed("/p?access_token=a", true), "/p");
        assert_eq!(removed("/p?x=%61&access_token=a&y", true), "/p?x=%61&y");
        assert_eq!(removed("http://h/p?access%5Ftoken=a&y", true), "http://h/p?y");
        assert_eq!(removed("/p?access_token=a", false), "/p?access_token=a");
    }
}
