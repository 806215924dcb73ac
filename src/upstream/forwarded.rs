//! What the gateway says of itself: `X-Forwarded-*`, `Forwarded` (RFC 7239) and `Via` (RFC 9110 §7.6.3).

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What is known of how a request reached us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop<'a> {
    /// The other end of the connection.
    pub(super) peer: Option<IpAddr>,
    pub(super) scheme: &'static str,
    /// The host that the request is for.
    pub(super) host: Option<&'a HeaderValue>,
}

/// Appends the peer; says scheme and host, unless a trusted peer has already.
pub(super) fn x_forwarded(headers: &mut HeaderMap, hop: Hop<'_>) {
    if let Some(peer) = hop.peer {
        append(headers, X_FORWARDED_FOR, peer.to_canonical().to_string());
    }
    let scheme = HeaderValue::from_static(hop.scheme);
    headers.entry(X_FORWARDED_PROTO).or_insert(scheme);
    if let Some(host) = hop.host {
        headers.entry(X_FORWARDED_HOST).or_insert_with(|| host.clone());
    }
}

/// Appends an element for this hop.
pub(super) fn forwarded(headers: &mut HeaderMap, hop: Hop<'_>) {
    append(headers, header::FORWARDED, element(hop));
}

/// RFC 7239 §4: a `node` with colons, and a host with a port, are no tokens and must be quoted.
fn element(hop: Hop<'_>) -> String {
    let node = match hop.peer.map(|it| it.to_canonical()) {
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("\"[{ip}]\""),
        None => "unknown".to_owned(),
    };
    let mut element = format!("for={node}");
    match hop.host.and_then(|host| host.to_str().ok()) {
        Some(host) if is_token(host) => element += &format!(";host={host}"),
        Some(host) => element += &format!(";host={}", quoted(host)),
        None => {}
    }
    element + ";proto=" + hop.scheme
}

fn is_token(text: &str) -> bool {
    let other = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || other(it))
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// The name under which the gateway signs messages that it forwards.
#[derive(Clone, Debug)]
pub(super) struct Via(String);

impl Via {
    /// A pseudonym is a token (RFC 9110 §7.6.3).
    pub(super) fn new(pseudonym: String) -> Option<Self> {
        is_token(&pseudonym).then_some(Self(pseudonym))
    }

    /// Whether the message has been signed with our name before.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(header::VIA)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(|hop| hop.split_whitespace().nth(1))
            .any(|by| by.eq_ignore_ascii_case(&self.0))
    }

    /// Signs a message that was received in this version.
    pub(super) fn sign(&self, headers: &mut HeaderMap, received: Version) {
        let version = match received {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2.0",
            Version::HTTP_3 => "3.0",
            _ => "1.1",
        };
        append(headers, header::VIA, format!("{version} {}", self.0));
    }
}

/// Adds a member to the end of a field that is a list: to its last line, so that one line stays one.
fn append(headers: &mut HeaderMap, name: HeaderName, member: String) {
    if !headers.contains_key(&name) {
        if let Ok(value) = HeaderValue::try_from(member) {
            headers.insert(name, value);
        }
        return;
    }
    let lines = headers.get_all(&name).iter();
    let old: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).filter(|it| !it.is_empty()).collect();
    let mut list = old.join(&b", "[..]);
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member.as_bytes());
    if let Ok(value) = HeaderValue::try_from(list) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(peer: &str, host: &'static str) -> Hop<'static> {
        let host = Some(host).filter(|it| !it.is_empty());
        let host = host.map(|it| &*Box::leak(Box::new(HeaderValue::from_static(it))));
        Hop { peer: peer.parse().ok(), scheme: "https", host }
    }

    #[test]
    fn an_element_is_quoted_where_the_grammar_demands_it() {
        assert_eq!(
            element(hop("192.0.2.1", "a.example")),
            "for=192.0.2.1;host=a.example;proto=https"
        );
        assert_eq!(
            element(hop("2001:db8::1", "a.example:8443")),
            "for=\"[2001:db8::1]\";host=\"a.example:8443\";proto=https"
        );
        assert_eq!(element(hop("::ffff:192.0.2.1", "")), "for=192.0.2.1;proto=https");
        assert_eq!(element(hop("", "a\"b")), "for=unknown;host=\"a\\\"b\";proto=https");
    }

    #[test]
    fn a_trusted_chain_is_continued_in_one_line() {
        let mut headers = HeaderMap::new();
        for line in ["203.0.113.7", "10.0.0.2"] {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(line));
        }
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        x_forwarded(&mut headers, hop("10.0.0.1", "a.example"));
        assert_eq!(headers[X_FORWARDED_FOR], "203.0.113.7, 10.0.0.2, 10.0.0.1");
        assert_eq!(headers.get_all(X_FORWARDED_FOR).iter().count(), 1);
        assert_eq!(headers[X_FORWARDED_PROTO], "http");
        assert_eq!(headers[X_FORWARDED_HOST], "a.example");
    }

    #[test]
    fn our_name_in_via_is_found_wherever_it_stands() {
        let via = Via::new("edge-1".into()).unwrap();
        let seen = |line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::VIA, HeaderValue::from_static(line));
            via.is_in(&headers)
        };
        assert!(seen("1.1 edge-1"));
        assert!(seen("1.0 fred, 1.1 EDGE-1 (comment), 2.0 x"));
        assert!(seen("HTTP/1.1\tedge-1"));
        assert!(!seen("1.1 edge-10, 1.1 other (edge-1)"));
        assert!(Via::new("two words".into()).is_none());
    }

    #[test]
    fn via_names_the_version_that_was_received() {
        let (via, mut headers) = (Via::new("edge".into()).unwrap(), HeaderMap::new());
        via.sign(&mut headers, Version::HTTP_2);
        via.sign(&mut headers, Version::HTTP_10);
        assert_eq!(headers[header::VIA], "2.0 edge, 1.0 edge");
    }
}
