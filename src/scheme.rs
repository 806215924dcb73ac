//! Whether a request came over TLS: set by the server, read by who tells the upstream.

/// How the connection of a request was secured.
///
/// This crate's server inserts it into each request's extensions; behind another TLS-terminating host, insert it
/// yourself. Without one a request counts as plain `http`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    #[default]
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URI: `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}
