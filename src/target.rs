//! Reading a request's target in one way only: one host, one path.
//!
//! A gateway that judges `/public/%2e%2e/admin` and forwards it to a server that reads `/admin` has judged
//! nothing. So a path is brought into one form **before** anything looks at it, and that form is what is
//! forwarded; what cannot be brought into one form is refused with 400:
//!
//! | in the path | becomes |
//! |---|---|
//! | `%61`, `%7E`: an unreserved character, encoded | the character (RFC 3986 §6.2.2.2) |
//! | `%c3%a9`, `%20`: any other encoded octet | kept, hexadecimal digits in upper case (§6.2.2.1) |
//! | `.` and `..` segments, encoded or not | refused |
//! | `//` | refused |
//! | `%2F`, `%5C`, `\`, `%00` and other encoded controls | refused |
//! | `;` and `%3B` (path parameters, which some servers cut off) | refused, or kept by choice |
//! | a broken escape, an overlong UTF-8 sequence, an octet outside of ASCII | refused |
//! | the query | kept, byte for byte |
//!
//! ```
//! use tower_gateway::target::PathRules;
//!
//! let rules = PathRules::default();
//! assert_eq!(rules.canonical("/v1/%75sers/7").unwrap(), "/v1/users/7");
//! assert_eq!(rules.canonical("/caf%c3%a9").unwrap(), "/caf%C3%A9");
//! assert!(rules.canonical("/public/%2e%2e/admin").is_err());
//! ```

use std::{borrow::Cow, fmt};

use http::{Request, Uri, Version, header, uri::PathAndQuery};

use crate::{guard::Head, rejection::Rejection};

/// What a path may contain. See the [module docs](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    keep_parameters: bool,
}

/// How the client's connection came in: in the clear, or under TLS.
///
/// This crate's server puts it into each request's extensions. The scheme that a client writes into its target
/// says nothing about the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    #[default]
    Http,
    /// Under TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A path or host that can be read in more than one way, or in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous(&'static str);

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Ambiguous {}

impl From<Ambiguous> for Rejection {
    fn from(ambiguous: Ambiguous) -> Self {
        Self::malformed(ambiguous.0)
    }
}

impl PathRules {
    /// Takes `;` in paths. Only for upstreams that read it as part of the segment, as RFC 3986 §3.3 allows, and
    /// not as Java servers do, which cut parameters off before they match.
    #[must_use]
    pub fn keep_parameters(self) -> Self {
        Self { keep_parameters: true }
    }

    /// The one form of this path; borrowed when it is in that form already.
    ///
    /// # Errors
    ///
    /// When the path can be read in two ways.
    pub fn canonical(self, path: &str) -> Result<Cow<'_, str>, Ambiguous> {
        if path == "*" {
            return Ok(Cow::Borrowed(path)); // OPTIONS, RFC 9112 §3.2.4
        }
        if !path.starts_with('/') {
            return Err(Ambiguous("The path does not begin with a slash."));
        }
        let decoded = match path.bytes().any(|byte| byte == b'%') {
            true => decode_unreserved(path)?,
            false => Cow::Borrowed(path),
        };
        self.check(&decoded)?;
        Ok(decoded)
    }

    /// Brings a request's path into its one form, in place.
    ///
    /// # Errors
    ///
    /// As [`canonical`](Self::canonical); the request is then unchanged.
    pub fn normalize<B>(self, request: &mut Request<B>) -> Result<(), Ambiguous> {
        let uri = request.uri();
        if uri.path_and_query().is_none() {
            return Ok(()); // CONNECT has an authority only
        }
        let Cow::Owned(path) = self.canonical(uri.path())? else {
            return Ok(());
        };
        let path_and_query = match uri.query() {
            Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
            None => PathAndQuery::try_from(path),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query =
            Some(path_and_query.expect("decoding unreserved characters keeps a URI valid"));
        *request.uri_mut() = Uri::from_parts(parts).expect("only the path changed");
        Ok(())
    }

    /// What may not stand in a path after decoding.
    fn check(self, path: &str) -> Result<(), Ambiguous> {
        // The usual path: nothing but unreserved characters, and segments that begin with one that is no dot.
        if path.as_bytes().windows(2).all(is_plain) && path.bytes().all(is_plain_octet) {
            return Ok(());
        }
        for byte in path.bytes() {
            match byte {
                b'\\' => return Err(Ambiguous("The path contains a backslash.")),
                b'#' => return Err(Ambiguous("The path contains a fragment.")),
                b';' if !self.keep_parameters => {
                    return Err(Ambiguous("The path contains parameters (`;`)."));
                }
                0x21..=0x7e => {}
                _ => {
                    return Err(Ambiguous("The path contains an octet that must be encoded."));
                }
            }
        }
        let mut segments = path.as_bytes().split(|byte| *byte == b'/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            if matches!(name, b"." | b"..") {
                return Err(Ambiguous("The path contains a dot segment."));
            }
            if name.is_empty() && (segments.peek().is_some() || !segment.is_empty()) {
                return Err(Ambiguous("The path contains an empty segment."));
            }
        }
        Ok(())
    }
}

fn is_plain(pair: &[u8]) -> bool {
    !matches!(pair, [b'/', b'/' | b'.'])
}

fn is_plain_octet(octet: u8) -> bool {
    matches!(octet, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/')
}

/// Decodes unreserved characters and raises the digits of what stays encoded.
fn decode_unreserved(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let octet = escaped(&rest.as_bytes()[at..])
            .ok_or(Ambiguous("The path contains a broken escape."))?;
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(octet.into());
            }
            b'/' | b'\\' => {
                return Err(Ambiguous("The path contains an encoded slash or backslash."));
            }
            b';' => out.push(';'), // judged like a plain one
            0..=0x1f | 0x7f => {
                return Err(Ambiguous("The path contains an encoded control character."));
            }
            _ if is_overlong(octet, escaped(&rest.as_bytes()[at + 3..])) => {
                return Err(Ambiguous("The path contains an overlong UTF-8 sequence."));
            }
            _ => {
                out.push('%');
                out.push_str(&rest[at + 1..at + 3].to_ascii_uppercase());
            }
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Ok(if out == path { Cow::Borrowed(path) } else { Cow::Owned(out) })
}

/// The octet of the escape at the start of `text`.
fn escaped(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    match text {
        [b'%', high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// The start of a longer spelling of a shorter code point: `%c0%af` for `/` (RFC 3629 §10).
fn is_overlong(lead: u8, next: Option<u8>) -> bool {
    match (lead, next) {
        (0xc0 | 0xc1, _) => true,
        (0xe0, Some(next)) => (0x80..0xa0).contains(&next),
        (0xf0, Some(next)) => (0x80..0x90).contains(&next),
        _ => false,
    }
}

/// The host that a request is for, as it came, with its port.
///
/// The target's authority if it has one (absolute-form, HTTP/2), else the one `Host` field.
///
/// # Errors
///
/// RFC 9112 §3.2 and RFC 9113 §8.3.1: no host in HTTP/1.1, two `Host` fields, one that is no host, or one that
/// contradicts an HTTP/2 `:authority`.
pub fn authority(head: Head<'_>) -> Result<Option<&str>, Ambiguous> {
    Ok(host(head)?.map(|host| host.text))
}

/// The name or address of the host that a request is for: without its port and the dot of a rooted name, in the
/// case in which it came. Allocates nothing.
///
/// # Errors
///
/// As [`authority`].
pub fn host_name(head: Head<'_>) -> Result<Option<&str>, Ambiguous> {
    Ok(host(head)?.map(Host::rootless))
}

fn host(head: Head<'_>) -> Result<Option<Host<'_>>, Ambiguous> {
    let mut fields = head.headers().get_all(header::HOST).iter();
    let (field, more) = (fields.next(), fields.next());
    if more.is_some() {
        return Err(Ambiguous("The request has more than one Host field."));
    }
    let field = match field {
        Some(value) => Some(Host::parse(value.as_bytes())?),
        None => None,
    };
    match (head.uri().authority(), field) {
        (Some(target), field) => {
            let target = Host::parse(target.as_str().as_bytes())?;
            // HTTP/1.1 absolute-form overrides Host (RFC 9112 §3.2.2); in HTTP/2 the two must agree.
            let agrees = field.is_none_or(|field| field.text.eq_ignore_ascii_case(target.text));
            match agrees || head.version() < Version::HTTP_2 {
                true => Ok(Some(target)),
                false => Err(Ambiguous("The Host field contradicts the request's authority.")),
            }
        }
        (None, Some(field)) => Ok(Some(field)),
        (None, None) if head.version() == Version::HTTP_11 => {
            Err(Ambiguous("The request has no Host field."))
        }
        (None, None) => Ok(None),
    }
}

const NO_HOST: Ambiguous = Ambiguous("The Host field is no host.");

/// A host with an optional port: a registered name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Clone, Copy)]
struct Host<'a> {
    text: &'a str,
    name: &'a str,
}

impl<'a> Host<'a> {
    fn rootless(self) -> &'a str {
        self.name.strip_suffix('.').unwrap_or(self.name)
    }

    fn parse(bytes: &'a [u8]) -> Result<Self, Ambiguous> {
        if let Some(name) = plain_name(bytes) {
            return Ok(Self { text: name, name });
        }
        let other = |byte: &u8| matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'[' | b']');
        if !bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || other(byte)) {
            return Err(NO_HOST);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NO_HOST)?;
        let find = |byte: u8| bytes.iter().position(|it| *it == byte);
        let end = match find(b']') {
            Some(bracket) => bracket + 1,
            None => find(b':').unwrap_or(text.len()),
        };
        let (name, port) = text.split_at(end);
        let name_ok = match name.strip_prefix('[') {
            Some(rest) => {
                rest.strip_suffix(']').is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok())
            }
            None => is_registered_name(name),
        };
        match name_ok && is_port(port) {
            true => Ok(Self { text, name }),
            false => Err(NO_HOST),
        }
    }
}

/// Nothing, or a colon and a number.
/// The usual host, a name or an IPv4 address without a port, at one look; `None` leaves it to a closer one.
fn plain_name(bytes: &[u8]) -> Option<&str> {
    let mut label = 0;
    for byte in bytes {
        label = match byte {
            b'.' if label > 0 => 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' if label < 63 => label + 1,
            _ => return None,
        };
    }
    (label > 0 && bytes.len() <= 255).then(|| std::str::from_utf8(bytes).ok()).flatten()
}

fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some(digits) => {
            digits.parse::<u16>().is_ok() && digits.bytes().all(|it| it.is_ascii_digit())
        }
        None => text.is_empty(),
    }
}

/// Labels of at most 63 octets, none of them empty but for a final one (a rooted name).
fn is_registered_name(name: &str) -> bool {
    let rootless = name.strip_suffix('.').unwrap_or(name);
    !name.bytes().any(|byte| matches!(byte, b'[' | b']' | b':'))
        && name.len() <= 255
        && rootless.as_bytes().split(|it| *it == b'.').all(|label| (1..=63).contains(&label.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    fn canonical(path: &str) -> Option<String> {
        PathRules::default().canonical(path).ok().map(Cow::into_owned)
    }

    #[test]
    fn one_form_of_a_path() {
        let same = [
            "/",
            "/a",
            "/a/",
            "/a.b/..c/c..",
            "/%20",
            "/%25",
            "/%23",
            "/%3F",
            "/a:b@c",
            "/~x",
            "*",
        ];
        for path in same {
            assert_eq!(canonical(path).as_deref(), Some(path));
        }
        assert_eq!(canonical("/%61pi").as_deref(), Some("/api"));
        assert_eq!(canonical("/%7euser/%2d").as_deref(), Some("/~user/-"));
        assert_eq!(canonical("/%e4%bd%a0").as_deref(), Some("/%E4%BD%A0"));
        assert_eq!(canonical("/%252e%252e").as_deref(), Some("/%252e%252e"));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let paths = [
            "",
            "a",
            "/..",
            "/.",
            "/a/../b",
            "/a/./b",
            "/%2e%2e/b",
            "/.%2e/b",
            "/%2E%2e",
            "/a//b",
            "//a",
            "/a//",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/%00",
            "/%0a",
            "/%7f",
            "/a;x=1",
            "/a%3bx",
            "/..;/b",
            "/;/b",
            "/%",
            "/%2",
            "/%zz",
            "/%c0%af",
            "/%e0%80%af",
            "/%f0%80%80%af",
            "/caf\u{e9}",
            "/#a",
            "/%2e",
        ];
        for path in paths {
            assert_eq!(canonical(path), None, "{path}");
        }
    }

    #[test]
    fn parameters_can_be_kept_and_never_hide_a_dot_segment() {
        let rules = PathRules::default().keep_parameters();
        assert_eq!(rules.canonical("/a;x=1/b%3by").unwrap(), "/a;x=1/b;y");
        for path in ["/..;/b", "/.;x/b", "/%2e%2e;/b", "/;x/b", "/a/;x"] {
            assert!(rules.canonical(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_query_is_kept_byte_for_byte() {
        let mut request = Request::get("http://h/%61?x=%61;//..&y").body(()).unwrap();
        PathRules::default().normalize(&mut request).unwrap();
        assert_eq!(request.uri(), "http://h/a?x=%61;//..&y");
    }

    fn of(version: Version, uri: &str, hosts: &[&str]) -> Result<Option<String>, Ambiguous> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request =
                request.header("host", http::HeaderValue::from_bytes(host.as_bytes()).unwrap());
        }
        let request = request.body(()).unwrap();
        authority(Head::of(&request)).map(|it| it.map(str::to_owned))
    }

    #[test]
    fn one_host() {
        let h1 = |uri, hosts: &[&str]| of(Version::HTTP_11, uri, hosts);
        assert_eq!(h1("/", &["a.example:80"]), Ok(Some("a.example:80".into())));
        assert_eq!(h1("/", &["[::1]:80"]), Ok(Some("[::1]:80".into())));
        assert_eq!(h1("/", &["a.example."]), Ok(Some("a.example.".into())));
        assert_eq!(h1("http://b.example/", &["a.example"]), Ok(Some("b.example".into())));
        assert!(h1("/", &[]).is_err());
        assert!(h1("/", &["a", "a"]).is_err());
        let bad = [
            "", "a b", "a/b", "a@b", "a:b", "a:", "a:99999", "a:+1", "[::1", "::1", "a..b", "é",
            "a,b", "a?b",
        ];
        for host in bad {
            assert!(h1("/", &[host]).is_err(), "{host}");
        }
        assert_eq!(of(Version::HTTP_10, "/", &[]), Ok(None));
    }

    #[test]
    fn the_name_of_a_host_has_no_port_and_no_final_dot() {
        for (host, name) in [
            ("A.example:80", "A.example"),
            ("a.example.", "a.example"),
            ("a.example.:80", "a.example"),
            ("[::1]:80", "[::1]"),
        ] {
            let request = Request::get("/").header("host", host).body(()).unwrap();
            assert_eq!(host_name(Head::of(&request)), Ok(Some(name)));
        }
    }

    #[test]
    fn in_http_2_host_and_authority_agree() {
        let h2 = |hosts: &[&str]| of(Version::HTTP_2, "http://a.example/", hosts);
        assert_eq!(h2(&[]), Ok(Some("a.example".into())));
        assert_eq!(h2(&["A.example"]), Ok(Some("a.example".into())));
        assert!(h2(&["b.example"]).is_err());
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(path in "/([a-z.;/\\\\]|%[0-9a-fA-F]{2}|%){0,12}") {
            for rules in [PathRules::default(), PathRules::default().keep_parameters()] {
                if let Ok(once) = rules.canonical(&path) {
                    prop_assert_eq!(rules.canonical(&once).unwrap(), once.clone());
                    let decoded = percent_encoding::percent_decode_str(&once).collect::<Vec<u8>>();
                    prop_assert!(!decoded.windows(2).any(|it| it == b"//"));
                    prop_assert!(!decoded.split(|it| *it == b'/').any(|it| it == b".." || it == b"."));
                }
            }
        }
    }
}
