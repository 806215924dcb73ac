//! How the gateway shows the authorization server who is asking: RFC 7662 §2.1, RFC 6749 §2.3.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};

use super::{
    assertion::ClientAssertion,
    form::{encoded, field},
};
use crate::{BoxError, clock::Clock};

/// The gateway's own credential.
pub(super) enum ClientAuth {
    /// An `Authorization` field: HTTP Basic or a bearer token.
    Field(HeaderValue),
    /// RFC 6749 §2.3.1, in the form.
    Secret { id: String, secret: String },
    /// RFC 7523 §2.2.
    Assertion { id: String, assertion: ClientAssertion },
    /// RFC 8705 §2: the connection shows it, the form names it.
    Certificate { id: String },
    /// Whoever asks is answered.
    Nobody,
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAuth(..)")
    }
}

impl ClientAuth {
    /// RFC 6749 §2.3.1: both parts are form-encoded before they are joined by the colon that neither then has.
    pub(super) fn basic(id: &str, secret: &str) -> Self {
        let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
        let field = HeaderValue::try_from(format!("Basic {pair}"));
        Self::Field(sensitive(field.expect("base64 is visible ASCII")))
    }

    /// RFC 6750 §2.1; `None` if it is no token.
    pub(super) fn bearer(token: &str) -> Option<Self> {
        let is_token = crate::auth::credential::is_token68(token);
        let field = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        is_token.then(|| Self::Field(sensitive(field)))
    }

    /// Puts it into a request to `endpoint`.
    pub(super) fn sign(
        &self,
        fields: &mut HeaderMap,
        form: &mut String,
        endpoint: &str,
        clock: &Clock,
    ) -> Result<(), BoxError> {
        match self {
            Self::Field(value) => {
                fields.insert(header::AUTHORIZATION, value.clone());
            }
            Self::Secret { id, secret } => {
                field(form, "client_id", id);
                field(form, "client_secret", secret);
            }
            Self::Assertion { id, assertion } => {
                let assertion = assertion.make(id, endpoint, clock.unix())?;
                field(form, "client_id", id);
                field(form, "client_assertion_type", ClientAssertion::TYPE);
                field(form, "client_assertion", &assertion);
            }
            Self::Certificate { id } => field(form, "client_id", id),
            Self::Nobody => {}
        }
        Ok(())
    }
}

/// Kept out of logs and out of the tables of header compression.
fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(auth: &ClientAuth) -> (String, String) {
        let (mut fields, mut form) = (HeaderMap::new(), String::from("token=t"));
        auth.sign(&mut fields, &mut form, "https://id.example/i", &Clock::system()).unwrap();
        let field = fields.get(header::AUTHORIZATION);
        (field.map_or(String::new(), |it| it.to_str().unwrap().to_owned()), form)
    }

    #[test]
    fn rfc_6749_2_3_1_basic() {
        let (field, form) = signed(&ClientAuth::basic("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"));
        assert_eq!(field, "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
        assert_eq!(form, "token=t");
        // encoded before: the colon and the space are not those that a decoder would see
        let (field, _) = signed(&ClientAuth::basic("a:b", "c d"));
        assert_eq!(field, format!("Basic {}", STANDARD.encode("a%3Ab:c+d")));
    }

    #[test]
    fn rfc_6749_2_3_1_in_the_form() {
        let secret = ClientAuth::Secret { id: "a&b".into(), secret: "c=d".into() };
        assert_eq!(signed(&secret).1, "token=t&client_id=a%26b&client_secret=c%3Dd");
        let certificate = ClientAuth::Certificate { id: "a".into() };
        assert_eq!(signed(&certificate), (String::new(), "token=t&client_id=a".into()));
        assert_eq!(signed(&ClientAuth::Nobody), (String::new(), "token=t".into()));
    }

    #[test]
    fn a_bearer_token_of_our_own() {
        let auth = ClientAuth::bearer("23410913-abewfq.123483").unwrap();
        assert_eq!(signed(&auth).0, "Bearer 23410913-abewfq.123483");
        assert!(["", "a b", "a\r\nb", "a,b"].iter().all(|it| ClientAuth::bearer(it).is_none()));
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", ClientAuth::basic("id", "secret"));
        assert_eq!(shown, "ClientAuth(..)");
    }
}
