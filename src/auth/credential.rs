//! Reading a credential from a request's head, and removing it.
//!
//! There must be one credential, in one place. Two are never a choice for the gateway: an upstream might choose
//! the other one.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use smallvec::SmallVec;

use super::{forward::is_reserved, query};
use crate::{config_error::ConfigError, fields::remove_spellings, guard::Head};

/// Where one scheme's credentials are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `Authorization: Bearer`, RFC 6750 §2.1.
    Bearer,
    /// The same, if the token begins so: another one is the credential of another scheme, and stays.
    BearerWith(Arc<str>),
    /// The whole value of this field.
    Header(HeaderName),
    /// This query parameter.
    Query(Cow<'static, str>),
    /// This cookie, RFC 6265 §4.2.
    Cookie(Cow<'static, str>),
}

/// The query parameter of RFC 6750 §2.3.
pub(crate) const ACCESS_TOKEN: Source = Source::Query(Cow::Borrowed("access_token"));

/// All places where one scheme's credential may be; it must be in one of them.
#[derive(Clone, Debug)]
pub(crate) struct Sources(SmallVec<[Source; 2]>);

/// Why no credential could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// More than one; RFC 6750 §3.1 makes that `invalid_request`, 400.
    Ambiguous(&'static str),
    /// One that is none in form; `invalid_token`, 401.
    Malformed(&'static str),
}

/// A credential as it stood in a request.
pub(crate) enum Kept {
    Field(HeaderName, HeaderValue),
    /// Still encoded.
    Parameter(Box<str>),
    /// The pair.
    Cookie(HeaderValue),
}

type Found<'a> = Result<Option<Cow<'a, str>>, Unreadable>;

// === impl Sources ===

impl Sources {
    pub(crate) fn only(source: Source) -> Self {
        Self(SmallVec::from_iter([source]))
    }

    /// Bearer tokens are ours only if they begin so.
    #[cfg(feature = "api-key")]
    pub(crate) fn narrow_bearer(&mut self, prefix: &Arc<str>) {
        let is_bearer = |it: &Source| matches!(it, Source::Bearer | Source::BearerWith(_));
        if self.0.iter().any(is_bearer) {
            self.0.retain(|it| !is_bearer(it)); // one, even if it was asked for twice
            self.0.push(Source::BearerWith(Arc::clone(prefix)));
        }
    }

    /// Another place, if it is one.
    pub(crate) fn add(&mut self, source: Source) {
        if !self.0.contains(&source) {
            self.0.push(source);
        }
    }

    /// The one credential of the request, if it has any.
    pub(crate) fn read<'a>(&self, head: Head<'a>) -> Found<'a> {
        let mut found = None;
        for source in &self.0 {
            match (source.read(head)?, &found) {
                (Some(_), Some(_)) => {
                    return Err(Unreadable::Ambiguous(
                        "The request has credentials in two places.",
                    ));
                }
                (Some(one), None) => found = Some(one),
                (None, _) => {}
            }
        }
        Ok(found)
    }

    /// Whether the request has a credential, or what looks like one.
    pub(crate) fn is_there(&self, head: Head<'_>) -> bool {
        !matches!(self.read(head), Ok(None))
    }

    /// Whether the credential stands in the URI.
    pub(crate) fn in_query(&self, uri: &Uri) -> bool {
        self.0.iter().any(|source| match source {
            Source::Query(name) => query::parameters(uri).any(|it| query::is_named(it, name)),
            _ => false,
        })
    }

    /// The one credential as it stands in the request, to be put back.
    pub(crate) fn keep<B>(&self, request: &Request<B>) -> Option<Kept> {
        self.0.iter().find_map(|source| source.keep(request))
    }

    /// Puts the credential back, if it is gone.
    pub(crate) fn put_back<B>(&self, kept: Kept, request: &mut Request<B>) {
        if self.keep(request).is_none() {
            kept.put_back(request);
        }
    }

    /// Takes whatever stands in these places out of the request.
    pub(crate) fn remove<B>(&self, request: &mut Request<B>) {
        for source in &self.0 {
            source.remove(request);
        }
    }
}

// === impl Source ===

impl Source {
    /// The whole value of the header field `name`.
    ///
    /// # Errors
    ///
    /// When it is no field name, or means something to HTTP itself.
    pub(crate) fn header(concern: &'static str, name: &str) -> Result<Self, ConfigError> {
        match name.parse::<HeaderName>() {
            Ok(field) if !is_reserved(&field) => Ok(Self::Header(field)),
            Ok(_) => refuse(concern, name, "means something to HTTP itself; choose another name"),
            Err(_) => refuse(concern, name, "is no field name"),
        }
    }

    /// The cookie `name`.
    ///
    /// # Errors
    ///
    /// When it is no name of a cookie (RFC 6265 §4.1.1).
    pub(crate) fn cookie(
        concern: &'static str,
        name: impl Into<Cow<'static, str>>,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        match is_token(&name) {
            true => Ok(Self::Cookie(name)),
            false => refuse(concern, &name, "is no name of a cookie"),
        }
    }

    /// The query parameter `name`.
    ///
    /// # Errors
    ///
    /// When it is empty.
    pub(crate) fn query(
        concern: &'static str,
        name: impl Into<Cow<'static, str>>,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        match name.is_empty() {
            true => refuse(concern, &name, "is no name of a query parameter"),
            false => Ok(Self::Query(name)),
        }
    }

    fn read<'a>(&self, head: Head<'a>) -> Found<'a> {
        match self {
            Self::Bearer => Ok(in_authorization(head.headers())?.map(Cow::Borrowed)),
            Self::BearerWith(prefix) => {
                let token = in_authorization(head.headers())?;
                Ok(token.filter(|it| it.starts_with(&**prefix)).map(Cow::Borrowed))
            }
            Self::Header(name) => Ok(in_header(head.headers(), name)?.map(Cow::Borrowed)),
            Self::Query(name) => in_query(head.uri(), name),
            Self::Cookie(name) => Ok(in_cookie(head.headers(), name)?.map(Cow::Borrowed)),
        }
    }

    fn keep<B>(&self, request: &Request<B>) -> Option<Kept> {
        let field = |name| {
            let value = request.headers().get(name)?;
            Some(Kept::Field(HeaderName::clone(name), value.clone()))
        };
        let token = self.read(Head::of(request)).ok()??;
        match self {
            Self::Bearer | Self::BearerWith(_) => field(&header::AUTHORIZATION),
            Self::Header(name) => field(name),
            Self::Query(name) => {
                let mut parameters = query::parameters(request.uri());
                parameters.find(|it| query::is_named(it, name)).map(|it| Kept::Parameter(it.into()))
            }
            Self::Cookie(name) => {
                HeaderValue::try_from(format!("{name}={token}")).ok().map(Kept::Cookie)
            }
        }
    }

    fn remove<B>(&self, request: &mut Request<B>) {
        match self {
            Self::Bearer => {
                request.headers_mut().remove(header::AUTHORIZATION);
            }
            Self::BearerWith(prefix) => {
                let token = in_authorization(request.headers());
                let of_others =
                    token.is_ok_and(|it| it.is_none_or(|it| !it.starts_with(&**prefix)));
                if !of_others {
                    request.headers_mut().remove(header::AUTHORIZATION);
                }
            }
            Self::Header(name) => remove_spellings(request.headers_mut(), name),
            Self::Query(name) => query::remove(request, |it| query::is_named(it, name)),
            Self::Cookie(name) => remove_cookie(request.headers_mut(), name),
        }
    }
}

impl Kept {
    fn put_back<B>(self, request: &mut Request<B>) {
        match self {
            Self::Field(name, value) => {
                request.headers_mut().insert(name, value);
            }
            Self::Parameter(parameter) => query::append(request, &parameter),
            Self::Cookie(cookie) => {
                request.headers_mut().append(header::COOKIE, cookie);
            }
        }
    }
}

fn refuse<T>(concern: &'static str, name: &str, why: &str) -> Result<T, ConfigError> {
    Err(ConfigError::new(concern, format!("`{}` {why}", name.escape_debug())))
}

/// The token of the one `Authorization` field; `None` for another scheme.
fn in_authorization(headers: &HeaderMap) -> Result<Option<&str>, Unreadable> {
    let malformed = Unreadable::Malformed("The Authorization field is malformed.");
    let Some(field) = one_field(headers, &header::AUTHORIZATION)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(field).map_err(|_| malformed)?;
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

/// The value of the one field of this name.
fn in_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Unreadable> {
    let field = one_field(headers, name)?;
    field.map(visible).transpose()
}

/// The value of the one parameter of this name, decoded.
fn in_query<'a>(uri: &'a Uri, name: &str) -> Found<'a> {
    let mut found = query::parameters(uri).filter(|it| query::is_named(it, name));
    let Some(parameter) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(Unreadable::Ambiguous("The query has more than one credential."));
    }
    let (_, value) = query::parts(parameter);
    match value.contains('%') {
        false => visible(value.as_bytes()).map(|value| Some(Cow::Borrowed(value))),
        // `+` stays: keys have it, and no spaces.
        true => {
            let value: Vec<u8> = percent_encoding::percent_decode_str(value).collect();
            visible(&value).map(|value| Some(Cow::Owned(value.to_owned())))
        }
    }
}

/// The value of the one cookie of this name (RFC 6265 §5.4).
fn in_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Unreadable> {
    let mut found = None;
    for field in headers.get_all(header::COOKIE) {
        for cookie in field.as_bytes().split(|it| *it == b';') {
            let Some(value) = cookie_value(cookie, name) else {
                continue;
            };
            if found.is_some() {
                return Err(Unreadable::Ambiguous("The request has the cookie twice."));
            }
            found = Some(visible(value)?);
        }
    }
    Ok(found)
}

fn cookie_value<'a>(cookie: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let cookie = cookie.trim_ascii();
    let at = cookie.iter().position(|it| *it == b'=').unwrap_or(cookie.len());
    let (key, value) = cookie.split_at(at);
    (key.trim_ascii() == name.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
}

/// Takes the cookie out of all `Cookie` fields; the others stay as they stand.
fn remove_cookie(headers: &mut HeaderMap, name: &str) {
    let is_it = |cookie: &[u8]| cookie_value(cookie, name).is_some();
    let of = |field: &HeaderValue| field.as_bytes().split(|it| *it == b';').any(is_it);
    if !headers.get_all(header::COOKIE).iter().any(of) {
        return;
    }
    let fields: Vec<_> = headers.get_all(header::COOKIE).iter().cloned().collect();
    headers.remove(header::COOKIE);
    for field in fields {
        let rest: Vec<_> =
            field.as_bytes().split(|it| *it == b';').filter(|it| !is_it(it)).collect();
        let rest = rest.join(&b';');
        let rest = rest.trim_ascii();
        if let (false, Ok(rest)) = (rest.is_empty(), HeaderValue::from_bytes(rest)) {
            headers.append(header::COOKIE, rest);
        }
    }
}

fn one_field<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a [u8]>, Unreadable> {
    let mut fields = headers.get_all(name).iter();
    let first = fields.next();
    match fields.next() {
        Some(_) if *name == header::AUTHORIZATION => {
            Err(Unreadable::Ambiguous("The request has more than one Authorization field."))
        }
        Some(_) => Err(Unreadable::Ambiguous("The request has the credential's field twice.")),
        None => Ok(first.map(HeaderValue::as_bytes)),
    }
}

/// A credential outside of `Authorization`: visible ASCII, and not the comma that joins two fields into one.
fn visible(value: &[u8]) -> Result<&str, Unreadable> {
    let allowed = |it: &u8| it.is_ascii_graphic() && *it != b',';
    match std::str::from_utf8(value) {
        Ok(text) if !text.is_empty() && value.iter().all(allowed) => Ok(text),
        _ => Err(Unreadable::Malformed("The credential is malformed.")),
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let tchar = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    !text.is_empty() && text.bytes().all(tchar)
}

/// RFC 9110 §11.2: no commas, no spaces, padding only at the end.
pub(crate) fn is_token68(text: &str) -> bool {
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

    /// What is read from these places of a request with these fields.
    fn read_from(
        sources: &[Source],
        uri: &str,
        fields: &[(&'static str, &str)],
    ) -> Result<Option<String>, Unreadable> {
        let mut request = Request::get(uri);
        for (name, field) in fields {
            let value = HeaderValue::from_bytes(field.as_bytes()).unwrap();
            request = request.header(*name, value);
        }
        let request = request.body(()).unwrap();
        let sources = Sources(sources.iter().cloned().collect());
        sources.read(Head::of(&request)).map(|it| it.map(Cow::into_owned))
    }

    fn bearer(fields: &[&str]) -> Result<Option<String>, Unreadable> {
        let fields: Vec<_> = fields.iter().map(|field| ("authorization", *field)).collect();
        read_from(&[Source::Bearer], "/", &fields)
    }

    #[test]
    fn one_bearer_credential_in_any_case() {
        for field in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"] {
            assert_eq!(bearer(&[field]), Ok(Some("a.b.c".into())));
        }
        assert_eq!(bearer(&[]), Ok(None));
        assert_eq!(bearer(&["Basic YTpi"]), Ok(None));
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
            let found = bearer(&[field]);
            assert!(matches!(found, Err(Unreadable::Malformed(_))), "{field:?}");
        }
        for two in [["Bearer a", "Bearer b"], ["Bearer a", "Basic b"], ["Basic b", "Bearer a"]] {
            assert!(matches!(bearer(&two), Err(Unreadable::Ambiguous(_))));
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
        let read = |uri| read_from(&[Source::Bearer, ACCESS_TOKEN], uri, &[]);
        assert_eq!(read_from(&[Source::Bearer], "/?access_token=a.b", &[]), Ok(None));
        assert_eq!(read("/?x&access_token=a.b&y=1"), Ok(Some("a.b".into())));
        assert_eq!(read("/?access%5Ftoken=a.b"), Ok(Some("a.b".into())));
        assert_eq!(read("/?access_token=a%2eb+c"), Ok(Some("a.b+c".into())));
        assert!(read("/?access_token=a&access_token=a").is_err());
        assert!(read("/?access_token=a&access%5ftoken=a").is_err());
        assert!(read("/?access_token").is_err());
        assert!(read("/?access_token=a%20b").is_err());
        assert!(read("/?access_token=a%00").is_err());
        let both = read_from(
            &[Source::Bearer, ACCESS_TOKEN],
            "/?access_token=a",
            &[("authorization", "Bearer a")],
        );
        assert!(matches!(both, Err(Unreadable::Ambiguous(_))));
    }

    #[test]
    fn a_bearer_token_that_begins_otherwise_belongs_to_another_scheme() {
        let ours = || Source::BearerWith("acme_".into());
        let read = |field| read_from(&[ours()], "/", &[("authorization", field)]);
        assert_eq!(read("Bearer acme_1"), Ok(Some("acme_1".into())));
        for others in ["Bearer a.b.c", "Bearer Acme_1", "Bearer acme", "Basic YTpi"] {
            assert_eq!(read(others), Ok(None), "{others}");
        }
        assert!(read("Bearer acme_1 x").is_err());
        let stays = |fields: &[&str]| {
            let mut request = Request::new(());
            for field in fields {
                let field = HeaderValue::from_str(field).unwrap();
                request.headers_mut().append("authorization", field);
            }
            Sources::only(ours()).remove(&mut request);
            request.headers().contains_key("authorization")
        };
        assert!(stays(&["Bearer a.b.c"]) && stays(&["Basic YTpi"]));
        assert!(!stays(&["Bearer acme_1"]) && !stays(&["bearer  acme_1"]));
        // What cannot be read may be ours.
        assert!(!stays(&["Bearer acme_1 x"]) && !stays(&["Basic YTpi", "Bearer acme_1"]));
    }

    #[test]
    fn a_field_of_its_own() {
        let x_key = Source::Header(HeaderName::from_static("x-key"));
        let read = |values: &[&str]| {
            let fields: Vec<_> = values.iter().map(|value| ("x-key", *value)).collect();
            read_from(std::slice::from_ref(&x_key), "/", &fields)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["a{}=/+b"]), Ok(Some("a{}=/+b".into())));
        for bad in ["", "a b", "a,b", "a\u{e9}", " ", "a\tb"] {
            assert!(matches!(read(&[bad]), Err(Unreadable::Malformed(_))), "{bad:?}");
        }
        assert!(matches!(read(&["a", "a"]), Err(Unreadable::Ambiguous(_))));
    }

    #[test]
    fn a_cookie() {
        let key = Source::Cookie("key".into());
        let read = |values: &[&str]| {
            let fields: Vec<_> = values.iter().map(|value| ("cookie", *value)).collect();
            read_from(std::slice::from_ref(&key), "/", &fields)
        };
        assert_eq!(read(&["a=1; key=k; b=2"]), Ok(Some("k".into())));
        assert_eq!(read(&["a=1", "key=k"]), Ok(Some("k".into())));
        assert_eq!(read(&["keys=1; xkey=2; Key=3"]), Ok(None));
        assert!(read(&["key=a; key=a"]).is_err() && read(&["key=a", "key=b"]).is_err());
        assert!(read(&["key="]).is_err() && read(&["key"]).is_err());
        assert!(read(&["key=\"a b\""]).is_err());
    }

    #[test]
    fn what_was_kept_is_put_back_once() {
        let again = |source: Source, gone: bool| {
            let request = Request::get("/p?x&access%5Ftoken=a%2e&y").header("cookie", "b=1; key=k");
            let mut request =
                request.header("authorization", "bearer a").header("x-key", "z").body(()).unwrap();
            let sources = Sources::only(source);
            let kept = sources.keep(&request).unwrap();
            if gone {
                sources.remove(&mut request);
            }
            sources.put_back(kept, &mut request);
            let fields = request.headers().iter().map(|(_, value)| value.to_str().unwrap());
            let mut fields: Vec<_> = fields.collect();
            fields.sort_unstable();
            format!("{} {}", request.uri(), fields.join(" | "))
        };
        let untouched = "/p?x&access%5Ftoken=a%2e&y b=1; key=k | bearer a | z";
        let x_key = Source::Header(HeaderName::from_static("x-key"));
        for source in [Source::Bearer, x_key] {
            assert_eq!(again(source.clone(), true), untouched);
            assert_eq!(again(source, false), untouched);
        }
        assert_eq!(again(ACCESS_TOKEN, false), untouched);
        let moved = "/p?x&y&access%5Ftoken=a%2e b=1; key=k | bearer a | z";
        assert_eq!(again(ACCESS_TOKEN, true), moved);
        let key = || Source::Cookie("key".into());
        assert_eq!(again(key(), false), untouched);
        assert_eq!(again(key(), true), "/p?x&access%5Ftoken=a%2e&y b=1 | bearer a | key=k | z");
        let basic = Request::get("/").header("authorization", "Basic YTpi").body(()).unwrap();
        assert!(Sources::only(Source::Bearer).keep(&basic).is_none());
    }

    #[test]
    fn removal_leaves_the_rest() {
        let removed = |source: Source, uri: &str, cookie: &'static str| {
            let mut request = Request::get(uri).header("cookie", cookie).body(()).unwrap();
            Sources::only(source).remove(&mut request);
            let cookie = request.headers().get("cookie").map(|it| it.to_str().unwrap().to_owned());
            (request.uri().to_string(), cookie.unwrap_or_default())
        };
        let key = || Source::Cookie("key".into());
        assert_eq!(removed(key(), "/", "a=1; key=k; b=2"), ("/".into(), "a=1; b=2".into()));
        assert_eq!(removed(key(), "/", "key=k; key=l"), ("/".into(), String::new()));
        assert_eq!(removed(key(), "/", "a=1;b=2").1, "a=1;b=2");
        assert_eq!(removed(ACCESS_TOKEN, "/p?access_token=a&y", "key=k").0, "/p?y");
        assert_eq!(removed(Source::Bearer, "/p?access_token=a", "key=k").0, "/p?access_token=a");
    }
}
