//! The layer and its settings.

use std::{sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use super::{
    cache::Limits,
    guard::{Jwt, Shared},
    issuer::Issuer,
    policy::Policy,
    revocations::Revocations,
};
use crate::{
    auth::{
        Challenge,
        admission::Entry,
        credential::{Source, Sources},
        reader::Reader,
        settings::{entry_settings, scheme_layer, token_sources},
    },
    clock::Clock,
    config_error::{ConfigError, Mistakes},
    guard::GuardLayer,
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
        Ok(Self { guard: GuardLayer::new(Jwt::new(Arc::new(shared), Reader::NONE)) })
    }

    /// Reads the claims into `C` as well, for handlers, which get [`Claims<C>`](crate::identity::Claims). A token
    /// whose claims do not fit is refused with 401.
    #[must_use]
    pub fn typed<C>(self) -> JwtLayer<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let shared = Arc::clone(&self.guard.guard().shared);
        JwtLayer { guard: self.guard.with_guard(Jwt::new(shared, Reader::typed())) }
    }
}

impl<C: Send + Sync + 'static> JwtLayer<C> {
    fn set(self, set: impl FnOnce(&mut Shared)) -> Self {
        let guard = self.guard.guard();
        let mut shared = guard.shared.as_ref().clone();
        set(&mut shared);
        let jwt = Jwt::new(Arc::new(shared), guard.reader);
        Self { guard: self.guard.with_guard(jwt) }
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

entry_settings!(JwtLayer, "jwt", Challenge::bearer);
token_sources!(JwtLayer, "jwt");
scheme_layer!(JwtLayer<C>, Jwt<C>);
