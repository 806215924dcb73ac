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
//! | `%2F` | refused, or kept by choice |
//! | `%5C`, `\`, `%00` and other encoded controls | refused |
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

mod host;
mod path;

use std::fmt;

use crate::rejection::Rejection;

pub use host::{authority, host_name};
pub use path::PathRules;

/// How the client's connection came in: in the clear, or under TLS.
///
/// This crate's server puts `Https` into the extensions of requests over TLS; a request without one came in the
/// clear. The scheme that a client writes into its target
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
pub struct Ambiguous(pub(super) &'static str);

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
