//! The string to sign. `docs/signed-urls.md` is its specification.

use std::net::{IpAddr, Ipv6Addr};

use smallvec::SmallVec;

/// The first line: another version of the format is another message.
const VERSION: &[u8] = b"tower-gateway-url-v1\n";

/// What a signature covers: six lines, none of which can contain a line feed.
pub(super) struct Message<'a> {
    pub(super) method: &'a str,
    /// In lower case; empty if any host will do.
    pub(super) host: SmallVec<[u8; 64]>,
    /// Empty if any client will do.
    pub(super) client: String,
    /// All of it, or the leading segments that are covered.
    pub(super) path: &'a str,
    /// What stands before the signature, as it stands.
    pub(super) query: &'a str,
}

impl Message<'_> {
    /// Octet strings that make the message when they stand one after another.
    pub(super) fn parts(&self) -> [&[u8]; 10] {
        [
            VERSION,
            self.method.as_bytes(),
            b"\n",
            &self.host,
            b"\n",
            self.client.as_bytes(),
            b"\n",
            self.path.as_bytes(),
            b"\n",
            self.query.as_bytes(),
        ]
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

/// The method that is signed for requests of this method: who may GET may ask with HEAD what a GET would answer.
pub(super) fn method(method: &http::Method) -> &str {
    match *method {
        http::Method::HEAD => "GET",
        _ => method.as_str(),
    }
}

/// The host's line.
pub(super) fn host(name: &str) -> SmallVec<[u8; 64]> {
    name.bytes().map(|it| it.to_ascii_lowercase()).collect()
}

/// The client's line: an IPv4 address, or the /64 of an IPv6 address, within which hosts change theirs by the hour
/// (RFC 8981).
pub(super) fn client(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("{}/64", Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

/// The first `count` segments of a path; `None` if it has not as many.
pub(super) fn leading(path: &str, count: usize) -> Option<&str> {
    let slashes = path.match_indices('/').map(|(at, _)| at);
    let mut ends = slashes.skip(1).chain([path.len()]);
    let end = ends.nth(count.checked_sub(1)?)?;
    path.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_segments_end_at_a_slash_or_at_the_end() {
        for (path, count, expected) in [
            ("/videos/7/seg1.ts", 1, Some("/videos")),
            ("/videos/7/seg1.ts", 2, Some("/videos/7")),
            ("/videos/7/seg1.ts", 3, Some("/videos/7/seg1.ts")),
            ("/videos/7/seg1.ts", 4, None),
            ("/videos/77", 2, Some("/videos/77")),
            ("/videos/7/", 2, Some("/videos/7")),
            ("/videos/7", 0, None),
            ("/", 1, Some("/")),
            ("/", 2, None),
            ("*", 2, None),
        ] {
            assert_eq!(leading(path, count), expected, "{path} {count}");
        }
    }

    #[test]
    fn an_address_is_one_line_and_ipv6_counts_by_network() {
        for (ip, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:DB8::1", "2001:db8::/64"),
            ("::1", "::/64"),
            ("0:0:1:2::9", "0:0:1:2::/64"),
        ] {
            assert_eq!(client(ip.parse().unwrap()), expected);
        }
    }

    #[test]
    fn who_may_get_may_head_and_nothing_else_is_alike() {
        use http::Method;
        assert_eq!(method(&Method::HEAD), "GET");
        for other in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(method(&other), other.as_str());
        }
        assert_eq!(method(&Method::from_bytes(b"head").unwrap()), "head");
    }
}
