//! The document in which an authorization server says where its endpoints are: RFC 8414, OpenID Connect Discovery.

use http::Uri;

use super::{
    fetch,
    json::{Members, Text, object},
};
use crate::{BoxError, config_error::ConfigError};

/// An issuer that publishes its metadata.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    issuer: String,
    places: [Uri; 2],
    http_allowed: bool,
}

impl Published {
    /// # Errors
    ///
    /// When the issuer's name is no `https` URL without query and fragment (RFC 8414 §2).
    pub(crate) fn by(
        concern: &'static str,
        issuer: &str,
        http_allowed: bool,
    ) -> Result<Self, ConfigError> {
        let uri = fetch::checked_url(concern, "the issuer's name", issuer, http_allowed)?;
        if uri.query().is_some() || issuer.contains('#') {
            let why = "the issuer's name must have no query and no fragment";
            return Err(ConfigError::new(concern, why));
        }
        let checked = |url: String| fetch::checked_url(concern, "its metadata", &url, http_allowed);
        let [oauth, openid] = well_known(issuer, uri.path());
        let places = [checked(oauth)?, checked(openid)?];
        Ok(Self { issuer: issuer.to_owned(), places, http_allowed })
    }

    /// Where the document may be: by RFC 8414 §3.1 first, then by OpenID Connect Discovery §4.
    pub(crate) fn places(&self) -> &[Uri] {
        &self.places
    }

    /// The URL that the document has under `member`, such as `introspection_endpoint`.
    ///
    /// # Errors
    ///
    /// When the document is none, has another issuer's name (RFC 8414 §3.3: it must not be used), or no `https` URL
    /// under this member.
    pub(crate) fn endpoint(&self, document: &[u8], member: &'static str) -> Result<Uri, BoxError> {
        let members: Members<'_> = object(document)?;
        let text = |name| {
            let value =
                members.get(name).ok_or_else(|| format!("the metadata have no `{name}`"))?;
            let Text(text) = serde_json::from_str(value.get())?;
            Ok::<_, BoxError>(text)
        };
        if text("issuer")? != self.issuer {
            return Err("the metadata are another issuer's".into());
        }
        Ok(fetch::checked_url("metadata", member, &text(member)?, self.http_allowed)?)
    }
}

/// RFC 8414 puts its well-known name before the issuer's path, OpenID Connect after it.
fn well_known(issuer: &str, path: &str) -> [String; 2] {
    let whole = issuer.strip_suffix('/').unwrap_or(issuer);
    let path = path.strip_suffix('/').unwrap_or(path);
    let origin = whole.strip_suffix(path).unwrap_or(whole);
    [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{whole}/.well-known/openid-configuration"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> Published {
        Published::by("test", "https://id.example/a", false).unwrap()
    }

    #[test]
    fn where_the_document_is() {
        let places = |issuer: &str| {
            let published = Published::by("test", issuer, false).unwrap();
            published.places.map(|it| it.to_string())
        };
        let oauth = "https://id.example/.well-known/oauth-authorization-server";
        let openid = "/.well-known/openid-configuration";
        for slash in ["", "/"] {
            let root = format!("https://id.example{openid}");
            assert_eq!(places(&format!("https://id.example{slash}")), [oauth.to_owned(), root]);
            let tenant = [format!("{oauth}/a/b"), format!("https://id.example/a/b{openid}")];
            assert_eq!(places(&format!("https://id.example/a/b{slash}")), tenant);
        }
        for bad in ["http://id.example", "https://id.example/?a", "https://id.example/#a", "id"] {
            assert!(Published::by("test", bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn rfc_8414_3_3_the_document_is_the_issuers_own() {
        let endpoint = |json: &str| published().endpoint(json.as_bytes(), "introspection_endpoint");
        let good =
            r#"{"issuer":"https://id.example/a","introspection_endpoint":"https://id.example/i"}"#;
        assert_eq!(endpoint(good).unwrap(), "https://id.example/i");
        for bad in [
            good.replace("example/a", "example/a/"),
            good.replace("example/a", "example/A"),
            good.replace("https://id.example/a", "https://evil.example/a"),
            good.replace("https://id.example/i", "http://id.example/i"),
            good.replace("https://id.example/i", "/i"),
            good.replace("introspection", "token"),
            good.replace("\"https://id.example/i\"", "[]"),
            good.replace('}', r#","issuer":"https://id.example/a"}"#),
            "<html>".to_owned(),
        ] {
            assert!(endpoint(&bad).is_err(), "{bad}");
        }
    }
}
