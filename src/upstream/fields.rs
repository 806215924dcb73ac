//! Which fields pass: what nobody but the gateway may say, and what may stand in a trailer section.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;

use crate::fields::{OwnFields, same_name};

/// Fields by which a proxy speaks to the next hop, and which a client forges to be somebody else, or somewhere
/// else (RFC 9440 §4 for the certificates). All of `X-Forwarded-*` belongs to them.
const SPOKEN_BY_PROXIES: [&str; 25] = [
    "forwarded",
    "forwarded-for",
    "client-cert",
    "client-cert-chain",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "fastly-client-ip",
    "front-end-https",
    "proxy", // CGI hands it on as HTTP_PROXY: CVE-2016-5385
    "proxy-client-ip",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-scheme",
    "x-url-scheme",
];

/// Fields that frame a message, under other spellings: no recipient may take them for the real ones.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

const X_FORWARDED: &str = "x-forwarded-";

/// The families that a trusted peer may speak, if the user forwards them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    pub(super) x_forwarded: bool,
    pub(super) forwarded: bool,
}

/// Removes what only a proxy of ours may say, under every spelling.
pub(super) fn remove_forged(headers: &mut HeaderMap, kept: Kept) {
    // One pass over names, and on most requests nothing to remove: no allocation.
    let forged: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| is_spoken_by_proxies(name.as_str()) && !is_kept(name.as_str(), kept))
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
}

fn is_spoken_by_proxies(name: &str) -> bool {
    if !matches!(name.as_bytes().first(), Some(b'c' | b'f' | b'p' | b't' | b'w' | b'x')) {
        return false;
    }
    let forwarded = name.get(..X_FORWARDED.len());
    forwarded.is_some_and(|prefix| same_name(prefix, X_FORWARDED))
        || SPOKEN_BY_PROXIES.iter().any(|known| same_name(name, known))
        || FRAMING.iter().any(|known| name != *known && same_name(name, known))
}

/// Exactly the field: an alias of it is never kept.
fn is_kept(name: &str, kept: Kept) -> bool {
    match name {
        "forwarded" => kept.forwarded,
        "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" | "x-forwarded-port"
        | "x-forwarded-prefix" => kept.x_forwarded,
        _ => false,
    }
}

/// HTTP/2 may send a line for each cookie; other recipients read one field (RFC 9113 §8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let lines = headers.get_all(header::COOKIE);
    if lines.iter().nth(1).is_none() {
        return;
    }
    let lines: Vec<_> = lines.iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&lines.join(&b"; "[..]));
    headers.insert(header::COOKIE, joined.expect("values joined by visible octets are a value"));
}

/// Fields that must not stand in a trailer section: framing, routing, authentication, request modifiers, content
/// format and control (RFC 9110 §6.5.1).
const NEVER_TRAILING: [&str; 34] = [
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Removes from a request's trailers what its header section may not say either, and what is no trailer.
pub(super) fn clean_trailers(trailers: &mut HeaderMap, own: Option<&OwnFields>) {
    let ours = |name: &str| {
        own.is_some_and(|own| own.0.iter().any(|known| same_name(name, known.as_str())))
    };
    let unfit: SmallVec<[HeaderName; 4]> = trailers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            is_spoken_by_proxies(name)
                || NEVER_TRAILING.iter().any(|known| same_name(name, known))
                || ours(name)
        })
        .cloned()
        .collect();
    for name in unfit {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(names: &[&'static str]) -> HeaderMap {
        let field = |name: &&'static str| (name.parse().unwrap(), HeaderValue::from_static("1"));
        names.iter().map(field).collect()
    }

    fn left(names: &[&'static str], kept: Kept) -> Vec<String> {
        let mut headers = map(names);
        remove_forged(&mut headers, kept);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn every_spelling_of_a_forged_field_is_removed() {
        for name in SPOKEN_BY_PROXIES {
            let (under, dot) = (name.replace('-', "_"), name.replace('-', "."));
            for name in [name.to_owned(), under, dot, name.to_uppercase()] {
                let name: &'static str = name.leak();
                assert_eq!(left(&[name, "accept"], Kept::default()), ["accept"], "{name}");
            }
        }
        let forged = ["x-forwarded-for", "x_forwarded_for", "x.forwarded-server", "X-Forwarded-Zz"];
        assert_eq!(left(&forged, Kept::default()), [""; 0]);
    }

    #[test]
    fn other_fields_stay() {
        let names = ["x-forwarder", "x-request-id", "content-type", "cookie", "te", "traceparent"];
        assert_eq!(left(&names, Kept::default()), names);
    }

    #[test]
    fn only_the_chosen_family_is_kept_and_no_alias_of_it() {
        let names =
            ["x-forwarded-for", "x_forwarded_for", "x-forwarded-uri", "forwarded", "x-real-ip"];
        let x = Kept { x_forwarded: true, forwarded: false };
        assert_eq!(left(&names, x), ["x-forwarded-for"]);
        let rfc = Kept { x_forwarded: false, forwarded: true };
        assert_eq!(left(&names, rfc), ["forwarded"]);
    }

    #[test]
    fn trailers_say_nothing_that_decides() {
        let own = OwnFields([HeaderName::from_static("x-auth-sub")].into());
        let mut trailers = map(&[
            "x-auth-sub",
            "x_auth_sub",
            "content-length",
            "Transfer-Encoding",
            "authorization",
            "x-forwarded-for",
            "host",
            "x-checksum",
            "grpc-status",
        ]);
        clean_trailers(&mut trailers, Some(&own));
        let mut left: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }
}
