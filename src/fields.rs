//! Hygiene of header fields: what belongs to one connection only, and what nobody but the gateway may say.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;

/// Whether the field means something on one connection only (RFC 9110 §7.6.1), as do those that `Connection` names.
/// By name, and without hashing, because every message is asked.
pub(crate) fn concerns_this_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "http2-settings"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Fields that stay although `Connection` names them: without them the message would mean something else
/// (RFC 9110 §7.6.1: a sender must not name what all recipients need).
static END_TO_END: [HeaderName; 4] =
    [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::CACHE_CONTROL];

/// Removes what belongs to this hop: the hop-by-hop fields and those that `Connection` names.
///
/// Two things stay for the next sender to act on: `TE: trailers`, and the pair `Connection: upgrade` and
/// `Upgrade: websocket` of an upgrade that the gateway passes on. Doing it twice does nothing more, so that a
/// layer that adds fields can do it first: a client that names our field in `Connection` must not thereby
/// remove it (CVE-2024-45410).
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let ours: SmallVec<[HeaderName; 4]> =
        headers.keys().filter(|name| concerns_this_hop(name)).cloned().collect();
    if ours.is_empty() {
        return; // as on most messages
    }
    let upgrade = websocket_upgrade(headers);
    let trailers = accepts_trailers(headers);
    for name in connection_options(headers) {
        if !END_TO_END.contains(&name) {
            headers.remove(name);
        }
    }
    for name in ours {
        headers.remove(name);
    }
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

/// The names in all `Connection` fields, but for `upgrade`, `close` and `keep-alive`, which name no field of use.
fn connection_options(headers: &HeaderMap) -> Vec<HeaderName> {
    members(headers, &header::CONNECTION).filter_map(|it| it.parse().ok()).collect()
}

/// `TE: trailers` among its members.
fn accepts_trailers(headers: &HeaderMap) -> bool {
    members(headers, &header::TE).any(|it| it.eq_ignore_ascii_case("trailers"))
}

/// The protocol, if this is a well-formed request or answer of a WebSocket upgrade (RFC 6455 §4.1). Other
/// protocols are not passed on: `h2c` would smuggle requests past every layer.
pub fn websocket_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let connection =
        members(headers, &header::CONNECTION).any(|it| it.eq_ignore_ascii_case("upgrade"));
    let mut protocols = headers.get_all(header::UPGRADE).iter();
    let protocol = protocols.next()?;
    let one = protocols.next().is_none() && protocol.as_bytes().eq_ignore_ascii_case(b"websocket");
    (connection && one).then(|| protocol.clone())
}

/// The members of a field whose value is a comma-separated list of tokens, over all its lines.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|member| !member.is_empty())
}

/// Whether two field names are one to a recipient that maps fields to variables: CGI and its heirs read
/// `x_auth_sub`, and some `x.auth.sub`, as `X-Auth-Sub`.
pub fn same_name(one: &str, other: &str) -> bool {
    let fold = |byte: u8| match byte {
        b'_' | b'.' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    one.len() == other.len() && one.bytes().map(fold).eq(other.bytes().map(fold))
}

/// Removes a field under every spelling that a recipient might take for it.
pub fn remove_spellings(headers: &mut HeaderMap, name: &HeaderName) {
    let alias = |known: &HeaderName| known != name && same_name(known.as_str(), name.as_str());
    let aliases: Vec<HeaderName> = headers.keys().filter(|it| alias(it)).cloned().collect();
    headers.remove(name);
    for alias in aliases {
        headers.remove(alias);
    }
}

/// The names of fields that layers of the gateway have set and a client must not: an upstream drops them from
/// the request's trailers too.
#[derive(Clone, Debug, Default)]
pub struct OwnFields(pub std::sync::Arc<[HeaderName]>);

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    fn stripped(fields: &[(&str, &str)]) -> Vec<String> {
        let mut headers = map(fields);
        strip_hop_by_hop(&mut headers);
        let once = headers.clone();
        strip_hop_by_hop(&mut headers);
        assert_eq!(once, headers, "doing it twice does nothing more");
        let mut left: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        left.sort();
        left
    }

    #[test]
    fn what_connection_names_is_removed() {
        let fields =
            [("Connection", "close, X-Hop"), ("connection", " x-other ,,"), ("x-hop", "1")];
        assert_eq!(stripped(&fields), [""; 0]);
        assert_eq!(stripped(&[("connection", "x-hop"), ("x-stays", "1")]), ["x-stays: 1"]);
        assert_eq!(stripped(&[("connection", "host"), ("host", "a")]), ["host: a"]);
    }

    #[test]
    fn te_keeps_trailers_only() {
        assert_eq!(stripped(&[("te", "trailers, deflate;q=0.5")]), ["te: trailers"]);
        assert_eq!(stripped(&[("te", "deflate")]), [""; 0]);
        assert_eq!(stripped(&[("connection", "te"), ("te", "trailers")]), ["te: trailers"]);
    }

    #[test]
    fn only_a_websocket_upgrade_stays() {
        assert_eq!(
            stripped(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")]),
            ["connection: upgrade", "upgrade: WebSocket"]
        );
        let h2c = [
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
        ];
        assert_eq!(stripped(&h2c), [""; 0]);
        assert_eq!(stripped(&[("upgrade", "websocket")]), [""; 0]);
        assert_eq!(stripped(&[("connection", "upgrade"), ("upgrade", "websocket, h2c")]), [""; 0]);
    }

    #[test]
    fn every_spelling_of_a_name_is_removed() {
        let mut headers = map(&[
            ("x-auth-sub", "a"),
            ("x_auth_sub", "b"),
            ("x.auth_sub", "c"),
            ("x-auth-su", "d"),
        ]);
        remove_spellings(&mut headers, &HeaderName::from_static("x-auth-sub"));
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-auth-su"));
    }
}
