//! Query parameters that the gateway reads itself and takes out.

use std::borrow::Cow;

use http::{Request, Uri, uri::PathAndQuery};

/// The parameters as they stand, still encoded; none of an empty query.
pub(crate) fn parameters(uri: &Uri) -> impl Iterator<Item = &str> {
    let query = uri.query().filter(|query| !query.is_empty());
    query.into_iter().flat_map(|query| query.split('&'))
}

/// Whether this is the parameter's name, under any spelling: what an upstream would decode to it, is it.
pub(crate) fn is_named(parameter: &str, name: &str) -> bool {
    let (key, _) = parts(parameter);
    key == name || (key.contains(['%', '+']) && decoded(key).as_ref() == name.as_bytes())
}

/// The name and the value of a parameter, still encoded.
pub(crate) fn parts(parameter: &str) -> (&str, &str) {
    parameter.split_once('=').unwrap_or((parameter, ""))
}

/// Percent-decoded, with `+` as a space (HTML, `application/x-www-form-urlencoded`).
pub(crate) fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('+') {
        return percent_encoding::percent_decode_str(text).into();
    }
    percent_encoding::percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>().into()
}

/// Takes the parameters out for which `gone` holds; the others stay as they stand, in their order.
pub(crate) fn remove<B>(request: &mut Request<B>, gone: impl Fn(&str) -> bool) {
    let uri = request.uri().clone();
    if !parameters(&uri).any(&gone) {
        return;
    }
    set(request, parameters(&uri).filter(|it| !gone(it)));
}

/// Puts a parameter, which stood in a query before, behind the others.
pub(crate) fn append<B>(request: &mut Request<B>, parameter: &str) {
    let uri = request.uri().clone();
    set(request, parameters(&uri).chain([parameter]));
}

fn set<'a, B>(request: &mut Request<B>, parameters: impl Iterator<Item = &'a str>) {
    let uri = std::mem::take(request.uri_mut());
    let mut target = String::with_capacity(uri.path().len() + uri.query().map_or(0, str::len) + 32);
    target.push_str(uri.path());
    let mut separator = '?';
    for parameter in parameters {
        target.push(separator);
        target.push_str(parameter);
        separator = '&';
    }
    let mut parts = uri.into_parts();
    parts.path_and_query =
        Some(PathAndQuery::try_from(target).expect("parts of valid queries are one"));
    *request.uri_mut() = Uri::from_parts(parts).expect("only the query changed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_name_under_any_spelling() {
        for parameter in ["key=1", "key", "%6bey=1", "k%65y=", "key=a=b"] {
            assert!(is_named(parameter, "key"), "{parameter}");
        }
        for parameter in ["Key=1", "keys=1", "=key", "", "x&key"] {
            assert!(!is_named(parameter, "key"), "{parameter}");
        }
        assert!(is_named("a+b", "a b") && is_named("a%20b", "a b"));
    }

    #[test]
    fn removal_leaves_the_rest_as_it_stands() {
        let removed = |uri: &str| {
            let mut request = Request::get(uri).body(()).unwrap();
            remove(&mut request, |it| is_named(it, "k"));
            request.uri().to_string()
        };
        assert_eq!(removed("/p?k=a"), "/p");
        assert_eq!(removed("/p?x=%61&k=a&y"), "/p?x=%61&y");
        assert_eq!(removed("/p?&k=a&"), "/p?&");
        assert_eq!(removed("http://h/p?%6b=a&y"), "http://h/p?y");
        assert_eq!(removed("/p?"), "/p?");
    }
}
