//! One place where a credential may be.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};

use super::{Found, Kept, Unreadable, cookie};
use crate::{
    auth::{forward::is_reserved, query},
    config_error::ConfigError,
    fields::remove_spellings,
    guard::Head,
};

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

    pub(super) fn read<'a>(&self, head: Head<'a>) -> Found<'a> {
        match self {
            Self::Bearer => Ok(in_authorization(head.headers())?.map(Cow::Borrowed)),
            Self::BearerWith(prefix) => {
                let token = in_authorization(head.headers())?;
                Ok(token.filter(|it| it.starts_with(&**prefix)).map(Cow::Borrowed))
            }
            Self::Header(name) => Ok(in_header(head.headers(), name)?.map(Cow::Borrowed)),
            Self::Query(name) => in_query(head.uri(), name),
            Self::Cookie(name) => Ok(cookie::value(head.headers(), name)?.map(Cow::Borrowed)),
        }
    }

    pub(super) fn keep<B>(&self, request: &Request<B>) -> Option<Kept> {
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

    pub(super) fn remove<B>(&self, request: &mut Request<B>) {
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
            Self::Cookie(name) => cookie::remove(request.headers_mut(), name),
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
pub(super) fn visible(value: &[u8]) -> Result<&str, Unreadable> {
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
