//! One path.

use std::borrow::Cow;

use http::{Request, Uri, uri::PathAndQuery};

use super::Ambiguous;

/// What a path may contain. See the [module docs](crate::target).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    keep_parameters: bool,
    keep_encoded_slashes: bool,
}

impl PathRules {
    /// Takes `;` in paths. Only for upstreams that read it as part of the segment, as RFC 3986 §3.3 allows, and
    /// not as Java servers do, which cut parameters off before they match.
    #[must_use]
    pub fn keep_parameters(self) -> Self {
        Self { keep_parameters: true, ..self }
    }

    /// Takes `%2F` in paths, and keeps it. Only for upstreams that read it as a part of the segment, as RFC 3986 §2.2
    /// has it, and match before they decode, as the transcoding layer does.
    #[must_use]
    pub fn keep_encoded_slashes(self) -> Self {
        Self { keep_encoded_slashes: true, ..self }
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
            true => self.decode_unreserved(path)?,
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

    /// Decodes unreserved characters and raises the digits of what stays encoded.
    fn decode_unreserved(self, path: &str) -> Result<Cow<'_, str>, Ambiguous> {
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
                b'/' if self.keep_encoded_slashes => out.push_str("%2F"),
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
            if has_dot_segment(segment) {
                return Err(Ambiguous("The path contains a dot segment."));
            }
            if name.is_empty() && (segments.peek().is_some() || !segment.is_empty()) {
                return Err(Ambiguous("The path contains an empty segment."));
            }
        }
        Ok(())
    }
}

/// Whether it is a dot segment, parameters aside, or would have one if its encoded slashes were decoded.
fn has_dot_segment(segment: &[u8]) -> bool {
    let mut start = 0;
    let encoded = segment.windows(3).enumerate().filter(|(_, it)| *it == b"%2F").map(|(at, _)| at);
    encoded.chain([segment.len()]).any(|end| {
        let piece = segment[start..end].split(|byte| *byte == b';').next();
        start = end + 3;
        matches!(piece, Some(b"." | b".."))
    })
}

fn is_plain(pair: &[u8]) -> bool {
    !matches!(pair, [b'/', b'/' | b'.'])
}

fn is_plain_octet(octet: u8) -> bool {
    matches!(octet, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/')
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

#[cfg(test)]
mod tests {
    use super::*;
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
    fn encoded_slashes_can_be_kept_and_never_make_a_segment() {
        let rules = PathRules::default().keep_encoded_slashes();
        assert_eq!(rules.canonical("/a%2fb/%2F").unwrap(), "/a%2Fb/%2F");
        for path in ["/a%5cb", "/..%2fb", "/a%2f%2e%2e", "/a%2F.%2Fb", "/a%2fb//", "/a%2f..;x"] {
            assert!(rules.canonical(path).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_kept_hides_nothing_together_either() {
        let rules = PathRules::default().keep_encoded_slashes().keep_parameters();
        for path in ["/a;x%2f..", "/a%2f..;x", "/a;x%2f..;y/b"] {
            assert!(rules.canonical(path).is_err(), "{path}");
        }
        assert_eq!(rules.canonical("/a;x%2fy").unwrap(), "/a;x%2Fy");
    }

    #[test]
    fn the_query_is_kept_byte_for_byte() {
        let mut request = Request::get("http://h/%61?x=%61;//..&y").body(()).unwrap();
        PathRules::default().normalize(&mut request).unwrap();
        assert_eq!(request.uri(), "http://h/a?x=%61;//..&y");
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(path in "/([a-z.;/\\\\]|%[0-9a-fA-F]{2}|%){0,12}") {
            let rules = PathRules::default();
            for rules in [rules, rules.keep_parameters(), rules.keep_encoded_slashes()] {
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
