//! `Forwarded` (RFC 7239) and `X-Forwarded-For`, read from the right.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use smallvec::SmallVec;

use super::ForwardedField;

/// More hops than this are nobody's chain of proxies.
const MAX_HOPS: usize = 64;

/// The addresses that the field's lines hold, rightmost first, up to the first that is none.
///
/// At most 64 are read.
pub(super) fn from_the_right<'a>(
    field: ForwardedField,
    lines: impl DoubleEndedIterator<Item = &'a HeaderValue>,
) -> impl Iterator<Item = IpAddr> {
    lines
        .rev()
        .flat_map(move |line| elements(field, line))
        .take(MAX_HOPS)
        .map_while(|address| address)
}

/// One line's addresses, rightmost first; `None` for an element that names none.
fn elements(field: ForwardedField, line: &HeaderValue) -> SmallVec<[Option<IpAddr>; 4]> {
    let Ok(line) = line.to_str() else {
        return SmallVec::from_slice(&[None]);
    };
    match field {
        ForwardedField::XForwardedFor => line
            .rsplit(',')
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .take(MAX_HOPS)
            .map(node)
            .collect(),
        ForwardedField::Forwarded => {
            let mut found: SmallVec<[_; 4]> = forwarded_elements(line).collect();
            found.reverse();
            found
        }
    }
}

/// The `for` address of each `forwarded-element`, leftmost first. A line that breaks the grammar ends in `None`.
fn forwarded_elements(line: &str) -> impl Iterator<Item = Option<IpAddr>> {
    split_unquoted(line, b',').map(str::trim).filter(|element| !element.is_empty()).map(|element| {
        let mut nodes = split_unquoted(element, b';').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
        });
        match (nodes.next(), nodes.next()) {
            (Some(value), None) => node(unquote(value)?),
            _ => None, // none, or two that disagree
        }
    })
}

/// Splits at `separator` outside quoted strings.
fn split_unquoted(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            let found = byte == separator && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
            found
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// A token as it stands, or what a quoted string holds. Escapes occur in no address.
fn unquote(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\'])),
        None => Some(value).filter(|value| !value.contains('"')),
    }
}

/// The address of a `node` (RFC 7239 §6): with a port or without, IPv6 in brackets or bare.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|addr| addr.ip()))
        .map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: ForwardedField, lines: &[&str]) -> Vec<String> {
        let lines: Vec<_> = lines.iter().map(|it| HeaderValue::from_str(it).unwrap()).collect();
        from_the_right(field, lines.iter()).map(|ip| ip.to_string()).collect()
    }

    #[test]
    fn x_forwarded_for() {
        let read = |lines: &[&str]| read(ForwardedField::XForwardedFor, lines);
        assert_eq!(read(&["1.1.1.1, 2.2.2.2"]), ["2.2.2.2", "1.1.1.1"]);
        assert_eq!(read(&["1.1.1.1", "2.2.2.2,3.3.3.3"]), ["3.3.3.3", "2.2.2.2", "1.1.1.1"]);
        assert_eq!(
            read(&["1.1.1.1:443, [2001:db8::1]:443, 2001:db8::2"]),
            ["2001:db8::2", "2001:db8::1", "1.1.1.1"]
        );
        assert_eq!(read(&["::ffff:192.0.2.1"]), ["192.0.2.1"]);
        assert_eq!(read(&["1.1.1.1, , 2.2.2.2,"]), ["2.2.2.2", "1.1.1.1"]);
        assert_eq!(read(&["1.1.1.1, unknown, 2.2.2.2"]), ["2.2.2.2"]);
        assert_eq!(read(&["fe80::1%eth0"]), [""; 0]);
        assert_eq!(read(&[""]), [""; 0]);
    }

    #[test]
    fn forwarded_as_rfc_7239_writes_it() {
        let read = |lines: &[&str]| read(ForwardedField::Forwarded, lines);
        // §4, §6 and §7 of the RFC
        assert_eq!(read(&["for=192.0.2.60;proto=http;by=203.0.113.43"]), ["192.0.2.60"]);
        assert_eq!(read(&["For=\"[2001:db8:cafe::17]:4711\""]), ["2001:db8:cafe::17"]);
        assert_eq!(read(&["for=192.0.2.43, for=198.51.100.17"]), ["198.51.100.17", "192.0.2.43"]);
        assert_eq!(read(&["for=_gazonk"]), [""; 0]);
        assert_eq!(read(&["for=192.0.2.43, for=unknown"]), [""; 0]);
        assert_eq!(
            read(&["for=192.0.2.43,for=\"[2001:db8:cafe::17]\";x=\"a,b\""]),
            ["2001:db8:cafe::17", "192.0.2.43"]
        );
    }

    #[test]
    fn a_forwarded_element_without_one_clear_address_ends_the_walk() {
        let read = |lines: &[&str]| read(ForwardedField::Forwarded, lines);
        assert_eq!(read(&["for=6.6.6.6;for=7.7.7.7, for=1.1.1.1"]), ["1.1.1.1"]);
        assert_eq!(read(&["for=6.6.6.6, proto=https, for=1.1.1.1"]), ["1.1.1.1"]);
        assert_eq!(read(&["for=\"6.6.6.6"]), [""; 0]);
        // an open quote swallows what follows: the line names nobody
        assert_eq!(read(&["for=\"6.6.6.6, for=1.1.1.1"]), [""; 0]);
    }

    #[test]
    fn a_long_chain_is_cut() {
        let chain = vec!["10.0.0.1"; 5_000].join(",");
        assert_eq!(read(ForwardedField::XForwardedFor, &[&chain]).len(), MAX_HOPS);
    }
}
