//! The settings of an introspection endpoint.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tower_service::Service;

use super::{
    answer::Reading,
    assertion::ClientAssertion,
    client_auth::ClientAuth,
    rules::Rules,
    server::{Place, Server, discover, exchange_by},
    shared::Introspection,
};
use crate::{
    BoxError,
    auth::{
        fetch::checked_url,
        lookup::{Lookup, Settings},
        metadata::Directory,
    },
    clock::Clock,
    config_error::{ConfigError, Mistakes},
    refreshing::{Refreshing, Schedule},
};

/// How to ask an authorization server, and how long to remember what it says. Created by [`Introspection::at`] and
/// [`Introspection::discover`].
///
/// One of the ways to show who is asking must be chosen.
#[derive(Debug)]
#[must_use = "nothing is asked before `build`"]
pub struct Endpoint<S> {
    site: Site,
    client: S,
    auth: Option<ClientAuth>,
    settings: Settings,
    subject: Option<Arc<str>>,
    clock: Clock,
    http_allowed: bool,
    mistakes: Mistakes,
}

/// Where the endpoint is said to be.
#[derive(Debug)]
pub(super) enum Site {
    Url(String),
    Issuer(String),
}

impl<S> Endpoint<S> {
    pub(super) fn new(site: Site, client: S) -> Self {
        Self {
            site,
            client,
            auth: None,
            settings: Settings::default(),
            subject: None,
            clock: Clock::system(),
            http_allowed: false,
            mistakes: Mistakes::of("introspection"),
        }
    }

    // === who is asking ===

    /// Shows a client id and secret in HTTP Basic (RFC 6749 §2.3.1).
    pub fn client_secret_basic(mut self, id: &str, secret: &str) -> Self {
        self.require_id(id);
        self.shows(ClientAuth::basic(id, secret))
    }

    /// Shows a client id and secret in the form (RFC 6749 §2.3.1), for servers that take no HTTP Basic.
    pub fn client_secret_post(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        let (id, secret) = (id.into(), secret.into());
        self.require_id(&id);
        self.shows(ClientAuth::Secret { id, secret })
    }

    /// Shows an assertion that a private key signs anew for each question (RFC 7523 §2.2), so that no secret
    /// leaves the gateway.
    pub fn private_key_jwt(mut self, id: impl Into<String>, assertion: ClientAssertion) -> Self {
        let id = id.into();
        self.require_id(&id);
        self.shows(ClientAuth::Assertion { id, assertion })
    }

    /// Shows the certificate that the client is configured with (mutual TLS, RFC 8705 §2), and names its id.
    pub fn tls_client_auth(mut self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.require_id(&id);
        self.shows(ClientAuth::Certificate { id })
    }

    /// Shows an access token of the gateway's own (RFC 7662 §2.1, RFC 6750).
    pub fn bearer_token(mut self, token: &str) -> Self {
        match ClientAuth::bearer(token) {
            Some(auth) => self.shows(auth),
            None => {
                self.mistakes.add("the endpoint's bearer token is no token (RFC 6750 §2.1)");
                self
            }
        }
    }

    /// Shows nothing. A server that answers everyone lets everyone try tokens out (RFC 7662 §2.1 forbids it).
    pub fn without_client_authentication(self) -> Self {
        self.shows(ClientAuth::Nobody)
    }

    fn shows(mut self, auth: ClientAuth) -> Self {
        if self.auth.replace(auth).is_some() {
            self.mistakes.add("client authentication is chosen twice");
        }
        self
    }

    fn require_id(&mut self, id: &str) {
        if id.is_empty() {
            self.mistakes.add("the client id is empty");
        }
    }

    // === how it is asked ===

    /// How long an active token is remembered, at most: its `exp` may come first. So long a token that is revoked
    /// at the server is still admitted; see [`Introspection::forget`]. Zero asks for each request. Default: 30
    /// seconds.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// How long a token that is not active is remembered. Default: 5 seconds.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.settings.negative_ttl = ttl;
        self
    }

    /// How many active tokens are remembered, and how many others. An answer of more than 4 KiB, of at most 64,
    /// takes the place of several, so that this many times 4 KiB is the most that answers take. Default: 10,000.
    pub fn capacity(mut self, tokens: usize) -> Self {
        self.settings.capacity = tokens;
        self
    }

    /// How many questions may be open at a time. A token that would need one more is answered `503` at once:
    /// nothing queues. Default: 64.
    pub fn max_in_flight(mut self, questions: usize) -> Self {
        self.settings.max_in_flight = questions;
        self
    }

    /// How long one question may take. Default: 3 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Admits tokens by a remembered answer for so long after its time, while no new one can be had; never beyond
    /// the token's `exp`. A revocation then goes unnoticed for as long. Default: never.
    pub fn stale_if_error(mut self, duration: Duration) -> Self {
        self.settings.stale_if_error = duration;
        self
    }

    /// The member of the answer that names the subject, such as `username` (which not every server keeps unique).
    /// Default: `sub`, else `client_id`.
    pub fn subject(mut self, member: impl AsRef<str>) -> Self {
        self.subject = Some(member.as_ref().into());
        self
    }

    /// Asks over plain `http` on hosts other than loopback. Whoever is on the path then sees every token, and can
    /// admit any.
    pub fn allow_http(mut self) -> Self {
        self.http_allowed = true;
        self
    }

    /// The clock for the remembered answers, their dates and the timeouts. Default: [`Clock::system`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What layers ask with.
    ///
    /// # Errors
    ///
    /// When the URL or the issuer is not absolute or not `https`, no client authentication or two are chosen, or a
    /// capacity or the timeout is zero; for discovery, outside of a Tokio runtime. All mistakes are listed.
    pub fn build<B>(self) -> Result<Introspection, ConfigError>
    where
        S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
        B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let Self { site, client, auth, settings, subject, clock, http_allowed, mut mistakes } =
            self;
        if auth.is_none() {
            mistakes.add(
                "choose how to show who is asking: `client_secret_basic`, `private_key_jwt` or another",
            );
        }
        if settings.capacity == 0 || settings.max_in_flight == 0 || settings.timeout.is_zero() {
            mistakes.add("the capacity, the questions in flight and the timeout must not be zero");
        }
        let mut rules = Rules::default();
        let (place, name): (_, Arc<str>) = match site {
            Site::Url(url) => {
                let what = "the endpoint's URL";
                let uri = checked_url("introspection", what, &url, http_allowed);
                let uri = mistakes.note(uri);
                (mistakes.or(uri)?.map(Place::Given), url.into())
            }
            Site::Issuer(issuer) => {
                let member = "introspection_endpoint";
                let directory = Directory::of("introspection", member, &issuer, http_allowed);
                let directory = mistakes.note(directory);
                let directory = mistakes.or(directory)?.expect("no mistake was noted");
                let (client, schedule) = (client.clone(), Schedule::default());
                let fetch = move || discover(client.clone(), directory.clone());
                let found = Refreshing::start("introspection", schedule, clock.clone(), fetch)?;
                let issuer: Arc<str> = issuer.into();
                rules.issuer_if_stated(Arc::clone(&issuer));
                (Some(Place::Published(found)), issuer)
            }
        };
        let server = Server {
            place: place.expect("no mistake was noted"),
            name,
            auth: auth.expect("no mistake was noted"),
            reading: Reading { subject },
            clock: clock.clone(),
            exchange: exchange_by(client),
        };
        Ok(Introspection {
            server: Arc::new(server),
            lookup: Lookup::new("introspection", settings, clock.clone()),
            rules,
            clock,
        })
    }
}
