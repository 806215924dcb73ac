//! One host.

use http::{Version, header};

use super::Ambiguous;
use crate::guard::Head;

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

/// Nothing, or a colon and a number.
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
}
