//! The layer and its settings.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderName;
use serde::de::DeserializeOwned;
use tower_layer::Layer;

use super::{
    cache::Limits,
    guard::{Jwt, Read, Shared},
    issuer::Issuer,
    policy::Policy,
    revocations::Revocations,
};
use crate::{
    auth::{
        Challenge, SchemeLayer,
        admission::Entry,
        credential::{ACCESS_TOKEN, Source, Sources, is_token},
        forward::is_reserved,
    },
    clock::Clock,
    config_error::{ConfigError, Mistakes},
    guard::{GuardLayer, Guarded},
};

/// Longer tokens are refused before any work.
const MAX_LENGTH: usize = 8 * 1024;

/// Admits requests with a valid token. See the [module docs](super).
///
/// `C` is the type that the claims are read into, by [`typed`](Self::typed).
pub struct JwtLayer<C = ()> {
    guard: GuardLayer<Jwt<C>>,
}

impl JwtLayer {
    /// Accepts the tokens of one issuer.
    ///
    /// # Errors
    ///
    /// When the issuer has no audience or other settings that cannot work; all mistakes are listed.
    pub fn new(issuer: Issuer) -> Result<Self, ConfigError> {
        Self::any_of([issuer])
    }

    /// Accepts the tokens of several issuers, each by its own keys and rules. The token's `iss` decides whose.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and when there is no issuer, or two have the same name.
    pub fn any_of(issuers: impl IntoIterator<Item = Issuer>) -> Result<Self, ConfigError> {
        let issuers: Vec<Issuer> = issuers.into_iter().collect();
        let mut mistakes = Mistakes::of("jwt");
        if issuers.is_empty() {
            mistakes.add("there is no issuer to accept tokens from");
        }
        for (n, issuer) in issuers.iter().enumerate() {
            issuer.check(&mut mistakes);
            if issuers[..n].iter().any(|it| it.name() == issuer.name()) {
                let name = issuer.name().escape_debug();
                mistakes.add(format!("issuer `{name}` is given twice"));
            }
        }
        let challenge = mistakes.note(Challenge::bearer("gateway"));
        let challenge = mistakes.or(challenge)?.expect("no mistake was noted");
        let shared = Shared {
            policy: Policy::new(issuers, MAX_LENGTH),
            challenge,
            clock: Clock::system(),
            entry: Arc::new(Entry::reading(Sources::only(Source::Bearer))),
            cache: Limits::default(),
            revocations: None,
        };
        Ok(Self { guard: GuardLayer::new(Jwt::new(Arc::new(shared), None)) })
    }

    /// Reads the claims into `C` as well, for handlers, which get [`Claims<C>`](crate::identity::Claims). A token
    /// whose claims do not fit is refused with 401.
    #[must_use]
    pub fn typed<C>(self) -> JwtLayer<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let shared = Arc::clone(&self.guard.guard().shared);
        let read: Read<C> = |json| serde_json::from_slice(json).ok();
        JwtLayer { guard: self.guard.with_guard(Jwt::new(shared, Some(read))) }
    }
}

impl<C: Send + Sync + 'static> JwtLayer<C> {
    fn set(self, set: impl FnOnce(&mut Shared)) -> Self {
        let guard = self.guard.guard();
        let mut shared = guard.shared.as_ref().clone();
        set(&mut shared);
        let jwt = Jwt::new(Arc::new(shared), guard.read);
        Self { guard: self.guard.with_guard(jwt) }
    }

    fn set_entry(self, set: impl FnOnce(&mut Entry)) -> Self {
        self.set(|it| set(Arc::make_mut(&mut it.entry)))
    }

    /// The protection space that challenges name (RFC 9110 §11.5). Default: `gateway`.
    ///
    /// # Errors
    ///
    /// When it is not printable ASCII, or contains a quotation mark or backslash.
    pub fn realm(self, realm: &str) -> Result<Self, ConfigError> {
        let challenge = Challenge::bearer(realm)?;
        Ok(self.set(|it| it.challenge = challenge))
    }

    /// Sends a claim to the inner service as the header field `field`, and removes whatever a client sent under
    /// that name, or under a spelling that some servers take for it (`x_auth_sub`), also from requests that pass
    /// without a token.
    ///
    /// Strings, numbers and booleans become their text, arrays of strings are joined by spaces. Control characters,
    /// `%` and what is not ASCII are percent-encoded (UTF-8), as are spaces at the ends of a string and in the
    /// strings of an array. Other claims, and those that the token does not have, become no field.
    ///
    /// # Errors
    ///
    /// When `field` is no field name, is already taken, or means something to HTTP itself.
    pub fn forward_claim(self, claim: &str, field: &str) -> Result<Self, ConfigError> {
        let mut outcome = Ok(());
        let layer = self.set_entry(|it| {
            outcome = match it.sources.reads_header(field) {
                true => Err(ConfigError::new("jwt", "a claim cannot go where the token is read")),
                false => it.forwarding.add(claim, field),
            };
        });
        outcome.map(|()| layer)
    }

    /// Leaves the token in the request that goes on. Whoever receives it can act as its subject.
    #[must_use]
    pub fn forward_credential(self) -> Self {
        self.set_entry(|it| it.forward_credential = true)
    }

    /// Also reads the token from the query parameter `access_token` (RFC 6750 §2.3), which ends up in logs,
    /// histories and `Referer` fields. It is removed from the URI that goes on.
    #[must_use]
    pub fn accept_query_parameter(self) -> Self {
        self.set_entry(|it| it.sources.add(ACCESS_TOKEN))
    }

    /// Also reads the token from the header field `name`, whose whole value it must be. The field does not go on.
    ///
    /// # Errors
    ///
    /// When it is no field name, means something to HTTP itself, or carries a claim.
    pub fn accept_header(self, name: &str) -> Result<Self, ConfigError> {
        let refuse = |why: &str| {
            let name = name.escape_debug();
            Err(ConfigError::new("jwt", format!("no token is read from header `{name}`: it {why}")))
        };
        let Ok(field) = name.parse::<HeaderName>() else {
            return refuse("is no field name");
        };
        if is_reserved(&field) {
            return refuse("means something to HTTP itself");
        }
        if self.guard.guard().shared.entry.forwarding.writes(&field) {
            return refuse("carries a claim");
        }
        Ok(self.set_entry(|it| it.sources.add(Source::Header(field))))
    }

    /// Also reads the token from the cookie `name` (RFC 6265). Only this cookie is removed from what goes on.
    ///
    /// A browser sends cookies with requests that other sites make: guard what changes something against that
    /// (`SameSite`, a CSRF layer).
    ///
    /// # Errors
    ///
    /// When it is no name of a cookie.
    pub fn accept_cookie(self, name: &str) -> Result<Self, ConfigError> {
        match is_token(name) {
            true => Ok(self.set_entry(|it| it.sources.add(Source::Cookie(name.to_owned().into())))),
            false => {
                let name = name.escape_debug();
                Err(ConfigError::new("jwt", format!("`{name}` is no name of a cookie")))
            }
        }
    }

    /// Judges, and lets every request through: to see what would be refused. A request whose token does not hold
    /// goes on without a token and without an identity.
    #[must_use]
    pub fn report_only(self) -> Self {
        Self { guard: self.guard.report_only() }
    }

    /// The longest token that is looked at, in bytes. Default: 8 KiB.
    #[must_use]
    pub fn max_length(self, bytes: usize) -> Self {
        self.set(|it| it.policy.limit_length(bytes))
    }

    /// How many verified tokens are kept, so that a token that comes again costs a digest and not a signature; zero
    /// keeps none. Default: 10,000.
    ///
    /// The answers are those of a layer that keeps none: a token that is kept is refused all the same once it
    /// expires, is revoked, or its issuer withdraws the key or changes its key set. A token of more than 4 KiB is
    /// not kept, so that an entry takes at most about 4 KiB, and what claims read by [`typed`](Self::typed) take.
    /// Clones of the layer and its services share what is kept; a setting that is changed later begins anew.
    #[must_use]
    pub fn verified_cache(self, tokens: usize) -> Self {
        self.set(|it| it.cache.tokens = tokens)
    }

    /// After what time a token that is kept is verified again. Default: 5 minutes.
    #[must_use]
    pub fn cached_for(self, time: Duration) -> Self {
        self.set(|it| it.cache.time = time)
    }

    /// Refuses tokens that were revoked, with 401, from the moment on that `revocations` knows of it.
    ///
    /// ```
    /// # use tower_gateway::auth::jwt::{Algorithm, Issuer, JwtLayer, KeySet, RevocationList};
    /// # let keys = KeySet::from_secret(Algorithm::HS256, [7; 32])?;
    /// # let issuer = Issuer::new("https://id.example", keys).audience("orders");
    /// let list = RevocationList::new();
    /// let layer = JwtLayer::new(issuer)?.revocations(list.clone());
    /// // and where an administrator signs somebody out:
    /// list.revoke_subject("https://id.example", "alice")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn revocations(self, revocations: impl Revocations) -> Self {
        self.set(|it| it.revocations = Some(Arc::new(revocations)))
    }

    /// The clock that `exp`, `nbf` and `iat` are compared with. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|it| it.clock = clock)
    }
}

impl<C: Send + Sync + 'static> SchemeLayer for JwtLayer<C> {
    type Scheme = Jwt<C>;

    fn scheme(&self) -> Arc<Jwt<C>> {
        Arc::clone(self.guard.guard())
    }
}

impl<C> Clone for JwtLayer<C> {
    fn clone(&self) -> Self {
        Self { guard: self.guard.clone() }
    }
}

impl<C> fmt::Debug for JwtLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtLayer")
    }
}

impl<S, C> Layer<S> for JwtLayer<C> {
    type Service = Guarded<S, Jwt<C>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
