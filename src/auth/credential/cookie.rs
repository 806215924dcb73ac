//! One cookie among others.

use http::{HeaderMap, HeaderValue, header};

use super::{Unreadable, source::visible};

/// The value of the one cookie of this name (RFC 6265 §5.4).
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Unreadable> {
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
pub(super) fn remove(headers: &mut HeaderMap, name: &str) {
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
