//! Where an issuer publishes its keys, by its own word: OpenID Connect Discovery 1.0 §4, RFC 8414 §3.
//!
//! The metadata must name exactly the issuer that was asked for (OpenID Connect Discovery §4.3, RFC 8414 §3.3): else
//! whoever can put a document under a path of a shared host could speak for all of it.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response, Uri, uri::Scheme};
use serde::Deserialize;
use tower_service::Service;

use super::remote::checked_url;
use crate::{BoxError, auth::fetch, config_error::ConfigError, event};

/// The largest metadata document that is read.
const MAX_METADATA: usize = 128 * 1024;

/// An issuer, and where to ask for its metadata.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    issuer: Arc<str>,
    /// In the order in which they are asked for.
    metadata: [Uri; 2],
    http_allowed: bool,
    /// Where its keys were last.
    known: Arc<Mutex<Option<Uri>>>,
}

/// The members that matter here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Why metadata do not tell where the keys are.
enum Failure {
    /// There are none: the other place may have them, or what was known holds on.
    Absent(BoxError),
    /// They are of somebody else, or lead where nobody should go.
    Wrong(String),
}

impl Directory {
    /// The places for this issuer, which is spelled as its tokens and its metadata spell it.
    pub(super) fn of(issuer: &str, http_allowed: bool) -> Result<Self, ConfigError> {
        let uri = checked_url(issuer, http_allowed)?;
        let metadata = places(&uri).filter(|_| !issuer.contains(['?', '#']));
        let metadata = metadata.ok_or_else(|| {
            ConfigError::new("jwt", "an issuer's URL has neither query nor fragment nor user")
        })?;
        Ok(Self { issuer: issuer.into(), metadata, http_allowed, known: Arc::default() })
    }

    /// Where the issuer's keys are now. While its metadata cannot be read, that is where they were last.
    pub(super) async fn keys_at<S, B>(&self, client: S) -> Result<Uri, BoxError>
    where
        S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>> + Clone,
        B: http_body::Body<Error: Into<BoxError>>,
    {
        let mut failure = None;
        for place in &self.metadata {
            match self.ask(client.clone(), place).await {
                Ok(keys) => {
                    *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys.clone());
                    return Ok(keys);
                }
                Err(Failure::Wrong(why)) => return Err(why.into()),
                Err(Failure::Absent(error)) => _ = failure.get_or_insert(error),
            }
        }
        let error = failure.unwrap_or_else(|| "the issuer has no metadata".into());
        match self.known.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            None => Err(error),
            Some(known) => {
                let message = "the issuer's metadata cannot be read; its keys are fetched from where they were";
                event::warning("jwt", message, &error);
                Ok(known)
            }
        }
    }

    async fn ask<S, B>(&self, client: S, place: &Uri) -> Result<Uri, Failure>
    where
        S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>>,
        B: http_body::Body<Error: Into<BoxError>>,
    {
        let document = fetch::get(client, place.clone(), MAX_METADATA).await;
        let document = document.map_err(Failure::Absent)?;
        self.read(&document.content)
    }

    fn read(&self, json: &[u8]) -> Result<Uri, Failure> {
        let metadata: Metadata = serde_json::from_slice(json).map_err(|_| {
            Failure::Absent("there are no metadata with `issuer` and `jwks_uri`".into())
        })?;
        if *metadata.issuer != *self.issuer {
            let named: String = metadata.issuer.chars().take(200).collect();
            return Err(Failure::Wrong(format!(
                "the metadata are of issuer `{}`, not of `{}`; they must be the same to the letter",
                named.escape_debug(),
                self.issuer.escape_debug(),
            )));
        }
        let keys = checked_url(&metadata.jwks_uri, self.http_allowed)
            .map_err(|error| Failure::Wrong(error.to_string()))?;
        // An issuer elsewhere does not get to choose what is asked on this machine.
        let is_downgrade = self.metadata[0].scheme() == Some(&Scheme::HTTPS)
            && keys.scheme() != Some(&Scheme::HTTPS);
        match is_downgrade && !self.http_allowed {
            true => Err(Failure::Wrong("the issuer's `jwks_uri` is not https".to_owned())),
            false => Ok(keys),
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
            let directory = Directory::of(issuer, false).unwrap();
            assert_eq!(directory.metadata.map(|it| it.to_string()), [openid, oauth]);
        }
        for bad in [
            "http://id.example",
            "id.example",
            "https://id.example/?tenant=1",
            "https://id.example?",
            "https://id.example/#a",
            "https://user@id.example/",
            "",
        ] {
            assert!(Directory::of(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn metadata_are_of_this_issuer_and_lead_to_https() {
        let leads = |issuer: &str, named: &str, keys: &str| {
            let json = serde_json::json!({ "issuer": named, "jwks_uri": keys, "x": [1] });
            let directory = Directory::of(issuer, false).unwrap();
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
            let directory = Directory::of(id, false).unwrap();
            matches!(directory.read(json), Err(Failure::Absent(_)))
        };
        for json in
            [r#"{"issuer":"https://id.example"}"#, "<html>", "[]", r#"{"issuer":1,"jwks_uri":""}"#]
        {
            assert!(absent(json.as_bytes()), "{json}");
        }
    }
}
