//! The authorization server as layers ask it, and what each requires of a token.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    answer::Token,
    endpoint::{Endpoint, Site},
    rules::Rules,
    server::{Place, Server},
};
use crate::{
    auth::{
        crypto::Digest,
        lookup::{Known, Lookup, Undecided},
    },
    clock::Clock,
    config_error::Mistakes,
    refreshing::Health,
};

/// An authorization server that is asked about tokens, what it has said, and what a token must say to be admitted.
///
/// Clones share the connection and everything that is remembered; the requirements are each clone's own. So
/// routes with different requirements ask about a token once:
///
/// ```
/// # use tower_gateway::auth::introspection::{Introspection, IntrospectionLayer};
/// # let client = tower::service_fn(|_: http::Request<String>| async {
/// #     Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
/// # });
/// let server = Introspection::at("https://id.example/introspect", client)
///     .client_secret_basic("gateway", "from your configuration")
///     .build()?
///     .audience("orders");
/// let read = IntrospectionLayer::new(server.clone().require_scope("orders:read"))?;
/// let write = IntrospectionLayer::new(server.require_scope("orders:write"))?;
/// # Ok::<(), tower_gateway::ConfigError>(())
/// ```
///
/// See the [module docs](super).
#[derive(Clone)]
pub struct Introspection {
    pub(super) server: Arc<Server>,
    pub(super) lookup: Lookup<Arc<Token>>,
    pub(super) rules: Rules,
    pub(super) clock: Clock,
}

impl Introspection {
    /// The server whose introspection endpoint is at `url`, asked through `client`: any tower service that speaks
    /// HTTP and takes a `Request<String>`. TLS, proxies and resolution are the client's; redirects are not followed.
    pub fn at<S>(url: impl Into<String>, client: S) -> Endpoint<S> {
        Endpoint::new(Site::Url(url.into()), client)
    }

    /// The server that is this issuer: its endpoint is where its published metadata say (RFC 8414, else OpenID
    /// Connect Discovery). They must have exactly this issuer's name, and are refreshed every 10 minutes; while
    /// that fails, the last good ones count for 24 hours.
    pub fn discover<S>(issuer: impl Into<String>, client: S) -> Endpoint<S> {
        Endpoint::new(Site::Issuer(issuer.into()), client)
    }

    // === requirements ===

    /// Admits tokens whose `aud` names this audience; called again, or one of several.
    ///
    /// Many servers answer without `aud`, and say `active` only for tokens that are meant for the client that asks
    /// (RFC 7662 §2.2). For these, call [`any_audience`](Self::any_audience).
    #[must_use]
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.with(|rules| rules.audience(audience.into()))
    }

    /// Admits only tokens whose `aud` names every audience that was given.
    #[must_use]
    pub fn all_audiences(self) -> Self {
        self.with(Rules::all_audiences)
    }

    /// Admits whatever the server calls active, for whomever it was issued. Only for a server that compares the
    /// audience itself: else whoever receives a token can use it here.
    #[must_use]
    pub fn any_audience(self) -> Self {
        self.with(Rules::any_audience)
    }

    /// Admits only tokens whose `iss` is exactly this. Default: the issuer of [`discover`](Self::discover), where an
    /// answer names any; for an endpoint whose URL was given, whatever it is.
    #[must_use]
    pub fn issuer(self, issuer: impl AsRef<str>) -> Self {
        self.with(|rules| rules.issuer(issuer.as_ref().into()))
    }

    /// Admits only tokens that have this scope token (RFC 6749 §3.3); called again, also that one. Others are
    /// answered `403` with a challenge that names all of them.
    #[must_use]
    pub fn require_scope(self, scope: impl Into<String>) -> Self {
        self.with(|rules| rules.scope(scope.into()))
    }

    /// The clock difference that is forgiven at `nbf` and `iat`. There is none at `exp`: the server judges it by its
    /// own clock, and here it ends what is remembered. Default: 60 seconds; at most an hour.
    #[must_use]
    pub fn leeway(self, leeway: Duration) -> Self {
        self.with(|rules| rules.leeway(leeway))
    }

    /// Admits tokens that are bound to a key (`cnf`: mutual TLS, RFC 8705; DPoP, RFC 9449) as if they were not.
    /// Nothing here asks for the proof: whoever stole such a token could use it, unless an outer layer asks.
    #[must_use]
    pub fn accept_bound_tokens(self) -> Self {
        self.with(Rules::accept_bound)
    }

    fn with(mut self, set: impl FnOnce(&mut Rules)) -> Self {
        set(&mut self.rules);
        self
    }

    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        self.rules.check(mistakes);
    }

    // === what is remembered ===

    /// Forgets what was said of this token, in all clones: the next request with it asks. To be called when its
    /// server says that it was revoked.
    pub fn forget(&self, token: &str) {
        self.lookup.forget(&Digest::of(token.as_bytes()));
    }

    /// Forgets what was said of all tokens.
    pub fn forget_all(&self) {
        self.lookup.forget_all();
    }

    /// Waits for the first fetch of the issuer's metadata to end, well or not: [`health`](Self::health) tells. At
    /// once for an endpoint whose URL was given. Requests wait for it too.
    pub async fn ready(&self) {
        if let Place::Published(endpoint) = &self.server.place {
            endpoint.tried().await;
        }
    }

    /// How discovery fares; `None` for an endpoint whose URL was given.
    pub fn health(&self) -> Option<Health> {
        match &self.server.place {
            Place::Given(_) => None,
            Place::Published(endpoint) => Some(endpoint.health()),
        }
    }

    pub(super) fn known(&self, token: &Digest) -> Option<Known<Arc<Token>>> {
        self.lookup.known(token)
    }

    pub(super) fn ask(
        &self,
        digest: Digest,
        token: String,
    ) -> impl Future<Output = Result<Known<Arc<Token>>, Undecided>> + Send + use<> {
        let server = Arc::clone(&self.server);
        self.lookup.ask(digest, move || async move { server.ask(&token).await })
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("server", &self.server)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
