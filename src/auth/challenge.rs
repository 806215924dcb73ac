//! Challenges of the `Bearer` scheme, RFC 6750 §3, and in its manner those of the `ApiKey` scheme.

use std::fmt::Write as _;

use http::{HeaderValue, header};

use crate::{
    config_error::ConfigError,
    rejection::{Reason, Rejection},
};

/// Writes the `WWW-Authenticate` field of refusals.
///
/// A request without a credential is told only the scheme and the realm; one with a bad credential also why, in
/// words of ours that never contain the credential (RFC 6750 §3.1).
///
/// ```
/// use tower_gateway::auth::Challenge;
///
/// let challenge = Challenge::bearer("orders").unwrap();
/// let no = challenge.missing();
/// assert_eq!(no.headers()["www-authenticate"], r#"Bearer realm="orders""#);
///
/// let no = challenge.insufficient_scope("orders:write");
/// assert_eq!(no.status(), 403);
/// assert!(no.headers()["www-authenticate"].to_str().unwrap().contains(r#"scope="orders:write""#));
/// ```
#[derive(Clone, Debug)]
pub struct Challenge {
    /// `Bearer realm="…"`.
    bare: HeaderValue,
    words: &'static Words,
}

/// How a scheme speaks.
#[derive(Debug)]
struct Words {
    scheme: &'static str,
    missing: &'static str,
    invalid: &'static str,
    lacks_scope: &'static str,
}

/// RFC 6750.
const BEARER: Words = Words {
    scheme: "Bearer",
    missing: "This resource needs a bearer token.",
    invalid: "invalid_token",
    lacks_scope: "The token lacks a scope that this resource needs.",
};

/// No registered scheme, but what RFC 9110 §15.5.2 asks a 401 to name.
#[cfg(feature = "api-key")]
const API_KEY: Words = Words {
    scheme: "ApiKey",
    missing: "This resource needs an API key.",
    invalid: "invalid_key",
    lacks_scope: "The API key lacks a scope that this resource needs.",
};

impl Challenge {
    /// For the protection space `realm` (RFC 9110 §11.5).
    ///
    /// # Errors
    ///
    /// When the realm contains anything but printable ASCII, or a quotation mark or backslash.
    pub fn bearer(realm: &str) -> Result<Self, ConfigError> {
        Self::new(&BEARER, realm)
    }

    /// For the protection space `realm`, whose credential is an API key: `ApiKey realm="…"`, which is no registered
    /// scheme.
    ///
    /// # Errors
    ///
    /// As [`bearer`](Self::bearer).
    #[cfg(feature = "api-key")]
    pub fn api_key(realm: &str) -> Result<Self, ConfigError> {
        Self::new(&API_KEY, realm)
    }

    /// For the same space, to somebody whom this scheme has authenticated: in the scheme's words, if it has its own.
    #[cfg(feature = "require")]
    pub(super) fn spoken_by(&self, scheme: &str) -> Self {
        let words = match scheme {
            #[cfg(feature = "api-key")]
            "api_key" => &API_KEY,
            _ => self.words,
        };
        let realm = &self.bare.as_bytes()[self.words.scheme.len()..];
        let bare = [words.scheme.as_bytes(), realm].concat();
        Self { bare: HeaderValue::try_from(bare).unwrap_or_else(|_| self.bare.clone()), words }
    }

    fn new(words: &'static Words, realm: &str) -> Result<Self, ConfigError> {
        let bare = format!("{} realm=\"{realm}\"", words.scheme);
        match HeaderValue::try_from(bare) {
            Ok(bare) if realm.chars().all(is_quotable) => Ok(Self { bare, words }),
            _ => Err(ConfigError::new(
                "auth",
                "the realm must be printable ASCII without quotation marks and backslashes",
            )),
        }
    }

    /// 401 for a request without a credential.
    pub fn missing(&self) -> Rejection {
        Rejection::unauthenticated(self.bare.clone(), self.words.missing)
    }

    /// 401 for a credential that does not hold: expired, malformed, or not signed by a known key.
    pub fn invalid_token(&self, why: &'static str) -> Rejection {
        self.refuse(Reason::Unauthenticated, self.words.invalid, why, None)
    }

    /// 400 for a request that presents credentials in more than one way, so that none can be chosen.
    pub fn invalid_request(&self, why: &'static str) -> Rejection {
        self.refuse(Reason::Malformed, "invalid_request", why, None)
    }

    /// 403 for a good credential that lacks a scope; `scope` names what is needed, separated by spaces.
    pub fn insufficient_scope(&self, scope: &str) -> Rejection {
        self.refuse(Reason::Forbidden, "insufficient_scope", self.words.lacks_scope, Some(scope))
    }

    fn refuse(
        &self,
        reason: Reason,
        error: &str,
        why: &'static str,
        scope: Option<&str>,
    ) -> Rejection {
        let mut text = self.bare.to_str().unwrap_or(self.words.scheme).to_owned();
        parameter(&mut text, "error", error);
        parameter(&mut text, "error_description", why);
        if let Some(scope) = scope {
            parameter(&mut text, "scope", scope);
        }
        let challenge = HeaderValue::try_from(text).unwrap_or_else(|_| self.bare.clone());
        Rejection::new(reason, why).with_header(header::WWW_AUTHENTICATE, challenge)
    }
}

/// Appends `, name="value"` without what may not stand there (RFC 6750 §3).
fn parameter(text: &mut String, name: &str, value: &str) {
    let safe: String = value.chars().filter(|it| is_quotable(*it)).collect();
    let _ = write!(text, ", {name}=\"{safe}\"");
}

/// `%x20-21 / %x23-5B / %x5D-7E`: what error descriptions may contain, and what needs no escape when quoted.
fn is_quotable(it: char) -> bool {
    matches!(it, ' '..='~') && !matches!(it, '"' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(no: &Rejection) -> &str {
        no.headers()[header::WWW_AUTHENTICATE].to_str().unwrap()
    }

    #[test]
    fn a_bad_credential_is_told_why_and_a_missing_one_is_not() {
        let challenge = Challenge::bearer("a").unwrap();
        assert_eq!(shown(&challenge.missing()), r#"Bearer realm="a""#);
        assert_eq!(
            shown(&challenge.invalid_token("It has expired.")),
            r#"Bearer realm="a", error="invalid_token", error_description="It has expired.""#
        );
        assert_eq!(challenge.invalid_request("Two.").status(), 400);
    }

    #[cfg(feature = "api-key")]
    #[test]
    fn an_api_key_is_asked_for_in_words_of_its_own() {
        let challenge = Challenge::api_key("a").unwrap();
        let no = challenge.missing();
        assert_eq!(shown(&no), r#"ApiKey realm="a""#);
        assert_eq!(no.detail(), "This resource needs an API key.");
        assert_eq!(
            shown(&challenge.invalid_token("No.")),
            r#"ApiKey realm="a", error="invalid_key", error_description="No.""#
        );
        assert!(challenge.insufficient_scope("x").detail().contains("API key"));
    }

    #[test]
    fn nothing_breaks_out_of_the_quotes() {
        for realm in ["a\"b", "a\\b", "a\r\nb", "é", "a\tb"] {
            assert!(Challenge::bearer(realm).is_err(), "{realm:?}");
        }
        let no = Challenge::bearer("").unwrap().insufficient_scope("a\", x=\"\r\n\u{e9}");
        assert!(shown(&no).ends_with(r#"scope="a, x=""#));
    }
}
