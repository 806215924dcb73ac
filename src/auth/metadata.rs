//! Where an issuer says that its endpoints are: OpenID Connect Discovery 1.0 §4, RFC 8414 §3.
//!
//! The metadata must name exactly the issuer that was asked for (OpenID Connect Discovery §4.3, RFC 8414 §3.3): else
//! whoever can put a document under a path of a shared host could speak for all of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Request, Response, Uri, uri::Scheme};
use tower_service::Service;

use super::{
    fetch,
    json::{Members, Text, object},
};
use crate::{BoxError, config_error::ConfigError, event};

/// The largest metadata document that is read.
const MAX_METADATA: usize = 128 * 1024;

/// An issuer, and where to ask for one endpoint of its.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    concern: &'static str,
    /// The endpoint, by its member in the metadata.
    member: &'static str,
    issuer: Arc<str>,
    /// In the order in which they are asked for.
    metadata: [Uri; 2],
    http_allowed: bool,
    /// Where the endpoint was last.
    known: Arc<Mutex<Option<Uri>>>,
}

/// Why metadata do not tell where the endpoint is.
enum Failure {
    /// There are none: the other place may have them, or what was known holds on.
    Absent(BoxError),
    /// They are of somebody else, or lead where nobody should go.
    Wrong(String),
}

impl Directory {
    /// For this issuer, which is spelled as its tokens and its metadata spell it, and the endpoint under `member`,
    /// such as `jwks_uri`.
    ///
    /// # Errors
    ///
    /// When the issuer's name is no `https` URL, or one with a user, a query or a fragment (RFC 8414 §2), or the URL
    /// of its metadata.
    pub(crate) fn of(
        concern: &'static str,
        member: &'static str,
        issuer: &str,
        http_allowed: bool,
    ) -> Result<Self, ConfigError> {
        let uri = fetch::checked_url(concern, "the issuer's URL", issuer, http_allowed)?;
        if uri.path().contains("/.well-known/") {
            let why = "give the issuer's name, as its tokens have it in `iss`, and not the URL of its metadata";
            return Err(ConfigError::new(concern, why));
        }
        let metadata = places(&uri).filter(|_| !issuer.contains(['?', '#']));
        let metadata = metadata.ok_or_else(|| {
            ConfigError::new(concern, "an issuer's URL has neither query nor fragment nor user")
        })?;
        let (issuer, known) = (issuer.into(), Arc::default());
        Ok(Self { concern, member, issuer, metadata, http_allowed, known })
    }

    /// Where the endpoint is now, and for how long that holds. While the metadata cannot be read, it is where it
    /// was last.
    pub(crate) async fn endpoint<S, B>(
        &self,
        client: S,
    ) -> Result<(Uri, Option<Duration>), BoxError>
    where
        S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>> + Clone,
        B: http_body::Body<Error: Into<BoxError>>,
    {
        let mut failure = None;
        for place in &self.metadata {
            match self.ask(client.clone(), place).await {
                Ok(found) => {
                    let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                    *known = Some(found.0.clone());
                    return Ok(found);
                }
                Err(Failure::Wrong(why)) => return Err(why.into()),
                Err(Failure::Absent(error)) => _ = failure.get_or_insert(error),
            }
        }
        let error = failure.unwrap_or_else(|| "the issuer has no metadata".into());
        match self.known.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            None => Err(error),
            Some(known) => {
                let message = "the issuer's metadata cannot be read; what they said last holds on";
                event::warning(self.concern, message, &error);
                Ok((known, None))
            }
        }
    }

    async fn ask<S, B>(&self, client: S, place: &Uri) -> Result<(Uri, Option<Duration>), Failure>
    where
        S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>>,
        B: http_body::Body<Error: Into<BoxError>>,
    {
        let document = fetch::get(client, place.clone(), MAX_METADATA).await;
        let document = document.map_err(Failure::Absent)?;
        Ok((self.read(&document.content)?, document.max_age))
    }

    fn read(&self, json: &[u8]) -> Result<Uri, Failure> {
        let member = self.member;
        let absent = || {
            let text = format!("there are no metadata with `issuer` and `{member}`");
            Failure::Absent(text.into())
        };
        // No member twice: two readers would see two documents.
        let members: Members<'_> = object(json).map_err(|_| absent())?;
        let text = |name| {
            let Text(text) = serde_json::from_str(members.get(name)?.get()).ok()?;
            Some(text)
        };
        let (named, endpoint) = text("issuer").zip(text(member)).ok_or_else(absent)?;
        if *named != *self.issuer {
            let named: String = named.chars().take(200).collect();
            return Err(Failure::Wrong(format!(
                "the metadata are of issuer `{}`, not of `{}`; they must be the same to the letter",
                named.escape_debug(),
                self.issuer.escape_debug(),
            )));
        }
        let endpoint = fetch::checked_url(self.concern, member, &endpoint, self.http_allowed)
            .map_err(|error| Failure::Wrong(error.to_string()))?;
        // An issuer elsewhere does not get to choose what is asked on this machine.
        let is_downgrade = self.metadata[0].scheme() == Some(&Scheme::HTTPS)
            && endpoint.scheme() != Some(&Scheme::HTTPS);
        match is_downgrade && !self.http_allowed {
            true => Err(Failure::Wrong(format!("the issuer's `{member}` is not https"))),
            false => Ok(endpoint),
        }
    }
}

/// OpenID Connect puts the well-known part behind the issuer's path (Discovery §4.1), RFC 8414 before it (§3.1).
/// `None` for an issuer with a user or a query.
fn places(issuer: &Uri) -> Option<[Uri; 2]> {
    let (scheme, authority) = (issuer.scheme()?, issuer.authority()?);
    if issuer.query().is_some() || authority.as_str().contains('@') {
        return None;
    }
    let path = issuer.path().strip_suffix('/').unwrap_or(issuer.path());
    let places = [
        format!("{scheme}://{authority}{path}/.well-known/openid-configuration"),
        format!("{scheme}://{authority}/.well-known/oauth-authorization-server{path}"),
    ];
    let [openid, oauth] = places.map(|it| it.parse().ok());
    Some([openid?, oauth?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_both_specifications() {
        let table = [
            (
                "https://id.example",
                "https://id.example/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://id.example:8443/",
                "https://id.example:8443/.well-known/openid-configuration",
                "https://id.example:8443/.well-known/oauth-authorization-server",
            ),
            // RFC 8414 §3.1's own
            (
                "https://example.com/issuer1",
                "https://example.com/issuer1/.well-known/openid-configuration",
                "https://example.com/.well-known/oauth-authorization-server/issuer1",
            ),
            (
                "https://id.example/a/b/",
                "https://id.example/a/b/.well-known/openid-configuration",
                "https://id.example/.well-known/oauth-authorization-server/a/b",
            ),
        ];
        for (issuer, openid, oauth) in table {
            let directory = Directory::of("test", "jwks_uri", issuer, false).unwrap();
            assert_eq!(directory.metadata.map(|it| it.to_string()), [openid, oauth]);
        }
        for bad in [
            "http://id.example",
            "id.example",
            "https://id.example/?tenant=1",
            "https://id.example?",
            "https://id.example/#a",
            "https://user@id.example/",
            "https://id.example/.well-known/openid-configuration",
            "",
        ] {
            assert!(Directory::of("test", "jwks_uri", bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn metadata_are_of_this_issuer_and_lead_to_https() {
        let leads = |issuer: &str, named: &str, keys: &str| {
            let json = serde_json::json!({ "issuer": named, "jwks_uri": keys, "x": [1] });
            let directory = Directory::of("test", "jwks_uri", issuer, false).unwrap();
            directory.read(json.to_string().as_bytes()).is_ok()
        };
        let (id, local) = ("https://id.example", "http://localhost:1");
        for (issuer, named, keys, good) in [
            (id, id, "https://keys.example/jwks", true),
            (local, local, "http://127.0.0.1:2/jwks", true),
            (local, local, "https://keys.example/jwks", true),
            (id, "https://id.example/", "https://id.example/jwks", false),
            (id, "https://ID.example", "https://id.example/jwks", false),
            (id, "https://evil.example", "https://id.example/jwks", false),
            (id, "", "https://id.example/jwks", false),
            (id, id, "http://keys.example/jwks", false),
            (id, id, "http://127.0.0.1/jwks", false),
            (id, id, "/jwks", false),
            (id, id, "file:///etc/passwd", false),
            (local, local, "http://10.0.0.1/jwks", false),
        ] {
            assert_eq!(leads(issuer, named, keys), good, "{issuer} {named} {keys}");
        }
        let absent = |json: &[u8]| {
            let directory = Directory::of("test", "jwks_uri", id, false).unwrap();
            matches!(directory.read(json), Err(Failure::Absent(_)))
        };
        for json in [
            r#"{"issuer":"https://id.example"}"#,
            r#"{"issuer":1,"jwks_uri":""}"#,
            r#"{"issuer":"https://id.example","issuer":"https://id.example","jwks_uri":"https://id.example/"}"#,
            "<html>",
            "[]",
        ] {
            assert!(absent(json.as_bytes()), "{json}");
        }
    }
}
