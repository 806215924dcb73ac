//! Where an origin is, read from a URI.

use http::{Uri, uri::Authority};

/// A server, as a URI names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) secure: bool,
    pub(crate) authority: Authority,
}

impl Place {
    /// The place that an absolute URI names.
    ///
    /// Nothing, if its scheme is neither `http` nor `https`, or it holds a user's name: that is a credential,
    /// and has no place in a request line.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let secure = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = uri.authority()?.clone();
        let host = authority.host();
        let port = authority.as_str().get(host.len()..)?;
        let plain = !authority.as_str().contains('@') && !host.is_empty();
        let port_holds = matches!(port, "" | ":") || authority.port_u16().is_some();
        (plain && port_holds).then_some(Self { secure, authority })
    }

    pub(super) fn address(&self) -> Address {
        let host = self.authority.host();
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        Address {
            host: bare.unwrap_or(host).to_owned(),
            port: self.authority.port_u16().unwrap_or(if self.secure { 443 } else { 80 }),
        }
    }
}

/// Where an origin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or an address; IPv6 without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(uri: &str) -> Option<(bool, String, u16)> {
        let place = Place::of(&uri.parse().ok()?)?;
        let Address { host, port } = place.address();
        Some((place.secure, host, port))
    }

    #[test]
    fn a_place_is_a_scheme_a_host_and_a_port() {
        let at = |secure, host: &str, port| Some((secure, host.to_owned(), port));
        assert_eq!(address("http://a.example/x?y"), at(false, "a.example", 80));
        assert_eq!(address("https://a.example"), at(true, "a.example", 443));
        assert_eq!(address("http://127.0.0.1:9000"), at(false, "127.0.0.1", 9000));
        assert_eq!(address("https://[::1]:8443/"), at(true, "::1", 8443));
        assert_eq!(address("http://a:/"), at(false, "a", 80));
    }

    #[test]
    fn what_names_no_place_or_holds_a_credential_is_refused() {
        for uri in [
            "/path",
            "a:80",
            "ftp://a",
            "http://:80",
            "http://u@a",
            "http://u:p@a",
            "http://a:99999",
            "*",
        ] {
            assert_eq!(address(uri), None, "{uri}");
        }
    }
}
