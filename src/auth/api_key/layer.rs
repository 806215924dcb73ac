//! The layer and its settings.

use std::{borrow::Cow, sync::Arc};

use http::HeaderName;
use serde::de::DeserializeOwned;

use super::{
    digest::Hashing,
    factory::KeyFactory,
    form::Form,
    guard::{ApiKey, Keys, Shared},
};
use crate::{
    auth::{
        Challenge,
        admission::Entry,
        credential::{Source, Sources},
        reader::Reader,
        settings::{entry_settings, scheme_layer},
    },
    clock::Clock,
    config_error::ConfigError,
    guard::GuardLayer,
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
        Self { guard: GuardLayer::new(ApiKey { shared: Arc::new(shared), reader: Reader::NONE }) }
    }

    /// Reads the claims into `C` as well, for handlers, which get [`Claims<C>`](crate::identity::Claims): the record's
    /// `metadata`, with `sub`, `key_id`, `plan` and `scope`. A key whose claims do not fit is refused with 401.
    #[must_use]
    pub fn typed<C>(self) -> ApiKeyLayer<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let shared = Arc::clone(&self.guard.guard().shared);
        ApiKeyLayer { guard: self.guard.with_guard(ApiKey { shared, reader: Reader::typed() }) }
    }
}

impl<C: Send + Sync + 'static> ApiKeyLayer<C> {
    fn set(self, set: impl FnOnce(&mut Shared)) -> Self {
        let ApiKey { shared, reader } = &**self.guard.guard();
        let mut shared = shared.as_ref().clone();
        set(&mut shared);
        if let Some(form) = &shared.form {
            // With a prefix, other bearer tokens are not ours.
            Arc::make_mut(&mut shared.entry).sources.narrow_bearer(form.prefix());
        }
        let guard = ApiKey { shared: Arc::new(shared), reader: *reader };
        Self { guard: self.guard.with_guard(guard) }
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
        Ok(self.source(Source::header("api_key", name)?))
    }

    /// Reads the key from the query parameter `name`, which ends up in logs, histories and `Referer` fields. It is
    /// removed from the URI that goes on, and answers are marked `Cache-Control: private` if they say nothing else.
    ///
    /// # Errors
    ///
    /// When the name is empty.
    pub fn query_parameter(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        Ok(self.source(Source::query("api_key", name)?))
    }

    /// Reads the key from the cookie `name`. A browser sends cookies with requests that other sites make it send:
    /// protect what changes something against that.
    ///
    /// # Errors
    ///
    /// When the name is no cookie's name (RFC 6265 §4.1.1).
    pub fn cookie(self, name: impl Into<Cow<'static, str>>) -> Result<Self, ConfigError> {
        Ok(self.source(Source::cookie("api_key", name)?))
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

    /// The clock that the dates of keys are compared with. Default: [`Clock::system`]. The memory of a store has its
    /// own: [`StoredKeys::clock`](super::StoredKeys::clock).
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|it| it.clock = clock)
    }
}

entry_settings!(ApiKeyLayer, "api_key", Challenge::api_key);
scheme_layer!(ApiKeyLayer<C>, ApiKey<C>);
