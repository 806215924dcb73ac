//! The layer and its settings.

use std::{borrow::Cow, fmt, sync::Arc};

use http::HeaderName;
use serde::de::DeserializeOwned;
use tower_layer::Layer;

use super::{
    digest::Hashing,
    factory::KeyFactory,
    form::Form,
    guard::{ApiKey, Keys, Read, Shared},
};
use crate::{
    auth::{
        Challenge, SchemeLayer,
        admission::Entry,
        credential::{Source, Sources, is_token},
        forward::is_reserved,
    },
    clock::Clock,
    config_error::ConfigError,
    guard::{GuardLayer, Guarded},
};

/// Longer keys are refused before any work.
const MAX_LENGTH: usize = 512;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Admits requests with a known key. See the [module docs](super).
///
/// Keys are looked for in the header field `x-api-key`, until a source is named: then in those that were named.
///
/// `C` is the type that the claims are read into, by [`typed`](Self::typed).
pub struct ApiKeyLayer<C = ()> {
    guard: GuardLayer<ApiKey<C>>,
}

impl ApiKeyLayer {
    /// Accepts the keys of [`MemoryKeys`](super::MemoryKeys) or [`StoredKeys`](super::StoredKeys).
    pub fn new(keys: impl Into<Keys>) -> Self {
        let shared = Shared {
            keys: keys.into(),
            hashing: Hashing::default(),
            form: None,
            max_length: MAX_LENGTH,
            challenge: Challenge::api_key("gateway").expect("a good realm"),
            clock: Clock::system(),
            entry: Arc::new(Entry::reading(Sources::only(Source::Header(X_API_KEY)))),
            named: false,
        };
        Self { guard: GuardLayer::new(ApiKey { shared: Arc::new(shared), read: None }) }
    }

    /// Reads the claims into `C` as well, for handlers, which get [`Claims<C>`](crate::identity::Claims): the record's
    /// `metadata`, with `sub`, `key_id`, `plan` and `scope`. A key whose claims do not fit is refused with 401.
    #[must_use]
    pub fn typed<C>(self) -> ApiKeyLayer<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let shared = Arc::clone(&self.guard.guard().shared);
        let read: Read<C> = |json| serde_json::from_slice(json).ok();
        ApiKeyLayer { guard: self.guard.with_guard(ApiKey { shared, read: Some(read) }) }
    }
}

impl<C: Send + Sync + 'static> ApiKeyLayer<C> {
    fn set(self, set: impl FnOnce(&mut Shared)) -> Self {
        let ApiKey { shared, read } = &**self.guard.guard();
        let mut shared = shared.as_ref().clone();
        set(&mut shared);
        if let Some(form) = &shared.form {
            // With a prefix, other bearer tokens are not ours.
            Arc::make_mut(&mut shared.entry).sources.narrow_bearer(form.prefix());
        }
        let guard = ApiKey { shared: Arc::new(shared), read: *read };
        Self { guard: self.guard.with_guard(guard) }
    }

    fn set_entry(self, set: impl FnOnce(&mut Entry)) -> Self {
        self.set(|it| set(Arc::make_mut(&mut it.entry)))
    }

    fn source(self, source: Source) -> Self {
        self.set(|it| {
            let sources = &mut Arc::make_mut(&mut it.entry).sources;
            match std::mem::replace(&mut it.named, true) {
                true => sources.add(source),
                false => *sources = Sources::only(source),
            }
        })
    }

    /// Reads the key from the header field `name`: its whole value.
    ///
    /// # Errors
    ///
    /// When it is no field name, or means something to HTTP itself; for `authorization` see [`bearer`](Self::bearer).
    pub fn header(self, name: &str) -> Result<Self, ConfigError> {
        match name.parse::<HeaderName>() {
            Ok(field) if !is_reserved(&field) => Ok(self.source(Source::Header(field))),
            Ok(_) => {
                refuse(name, "means something to HTTP itself; choose a name such as x-api-key")
            }
            Err(_) => refuse(name, "is no field name"),
        }
    }

    /// Reads the key from the query parameter `name`, which ends up in logs, histories and `Referer` fields. It is
    /// removed from the URI that goes on, and answers are marked `Cache-Control: private` if they say nothing else.
    ///
    /// # Errors
    ///
    /// When the name is empty.
    pub fn query_parameter(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let name = name.into();
        match name.is_empty() {
            true => refuse(&name, "is no name of a query parameter"),
            false => Ok(self.source(Source::Query(name))),
        }
    }

    /// Reads the key from the cookie `name`. A browser sends cookies with requests that other sites make it send:
    /// protect what changes something against that.
    ///
    /// # Errors
    ///
    /// When the name is no cookie's name (RFC 6265 §4.1.1).
    pub fn cookie(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        let name = name.into();
        match is_token(&name) {
            true => Ok(self.source(Source::Cookie(name))),
            false => refuse(&name, "is no name of a cookie"),
        }
    }

    /// Reads the key from `Authorization: Bearer`. With a [`prefix`](Self::prefix), tokens that do not begin with it
    /// are another scheme's credentials: they are not judged here, and not removed.
    #[must_use]
    pub fn bearer(self) -> Self {
        self.source(Source::Bearer)
    }

    /// Accepts only what this factory could have minted, and hashes as it does. What has not its prefix and checksum
    /// is refused without a look into the store.
    #[must_use]
    pub fn minted_by(self, factory: &KeyFactory) -> Self {
        let KeyFactory { form, hashing, .. } = factory.clone();
        self.set(|it| (it.form, it.hashing) = (Some(form), hashing))
    }

    /// Accepts only keys with this prefix, and the checksum of a [`KeyFactory`].
    ///
    /// # Errors
    ///
    /// As [`KeyFactory::new`].
    pub fn prefix(self, prefix: &str) -> Result<Self, ConfigError> {
        let form = Form::new(prefix)?;
        Ok(self.set(|it| it.form = Some(form)))
    }

    /// How the digests of keys were made. Default: [`Hashing::sha256`].
    #[must_use]
    pub fn hashing(self, hashing: Hashing) -> Self {
        self.set(|it| it.hashing = hashing)
    }

    /// The longest key that is looked at, in bytes. Default: 512.
    #[must_use]
    pub fn max_length(self, bytes: usize) -> Self {
        self.set(|it| it.max_length = bytes)
    }

    /// The protection space that challenges name (RFC 9110 §11.5). Default: `gateway`.
    ///
    /// # Errors
    ///
    /// When it is not printable ASCII, or contains a quotation mark or backslash.
    pub fn realm(self, realm: &str) -> Result<Self, ConfigError> {
        let challenge = Challenge::api_key(realm)?;
        Ok(self.set(|it| it.challenge = challenge))
    }

    /// Sends a claim to the inner service as the header field `field`, and removes whatever a client sent under
    /// that name, or under a spelling that some servers take for it (`x_auth_sub`), also from requests that pass
    /// without a key. Claims are the members of the record's `metadata`, and `sub` (the consumer), `key_id`, `plan`
    /// and `scope`.
    ///
    /// They are written as by `JwtLayer::forward_claim`: scalars as text, arrays of strings joined by spaces, what
    /// may not stand in a field percent-encoded.
    ///
    /// # Errors
    ///
    /// When `field` is no field name, is already taken, or means something to HTTP itself.
    pub fn forward_claim(self, claim: &str, field: &str) -> Result<Self, ConfigError> {
        let mut outcome = Ok(());
        let layer = self.set_entry(|it| outcome = it.forwarding.add(claim, field));
        outcome.map(|()| layer)
    }

    /// Leaves the key in the request that goes on. Whoever receives it can act as its consumer.
    #[must_use]
    pub fn forward_credential(self) -> Self {
        self.set_entry(|it| it.forward_credential = true)
    }

    /// Judges, and lets every request through: to see what would be refused. A request whose key does not hold goes
    /// on without a key and without an identity.
    #[must_use]
    pub fn report_only(self) -> Self {
        Self { guard: self.guard.report_only() }
    }

    /// The clock that the dates of keys are compared with. Default: [`Clock::system`]. The memory of a store has its
    /// own: [`StoredKeys::clock`](super::StoredKeys::clock).
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|it| it.clock = clock)
    }
}

fn refuse<T>(name: &str, why: &str) -> Result<T, ConfigError> {
    Err(ConfigError::new("api_key", format!("`{}` {why}", name.escape_debug())))
}

impl<C: Send + Sync + 'static> SchemeLayer for ApiKeyLayer<C> {
    type Scheme = ApiKey<C>;

    fn scheme(&self) -> Arc<ApiKey<C>> {
        Arc::clone(self.guard.guard())
    }
}

impl<C> Clone for ApiKeyLayer<C> {
    fn clone(&self) -> Self {
        Self { guard: self.guard.clone() }
    }
}

impl<C> fmt::Debug for ApiKeyLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyLayer")
    }
}

impl<S, C> Layer<S> for ApiKeyLayer<C> {
    type Service = Guarded<S, ApiKey<C>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
