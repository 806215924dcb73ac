//! The layer and its settings.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{
    guard::{Introspect, Shared},
    shared::Introspection,
};
use crate::{
    auth::{
        Challenge,
        admission::Entry,
        credential::{Source, Sources},
        reader::Reader,
        settings::{entry_settings, scheme_layer, token_sources},
    },
    config_error::{ConfigError, Mistakes},
    guard::GuardLayer,
};

/// Longer tokens are refused, and nobody is asked about them.
const MAX_LENGTH: usize = 8 * 1024;

/// Admits requests with a token that its authorization server calls active. See the [module docs](super).
///
/// `C` is the type that the answer is read into, by [`typed`](Self::typed).
pub struct IntrospectionLayer<C = ()> {
    guard: GuardLayer<Introspect<C>>,
}

impl IntrospectionLayer {
    /// Admits what this server calls active and its requirements allow.
    ///
    /// # Errors
    ///
    /// When no audience is chosen, or a requirement cannot be met by any token; all mistakes are listed.
    pub fn new(introspection: Introspection) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of("introspection");
        introspection.check(&mut mistakes);
        let challenge = mistakes.note(Challenge::bearer("gateway"));
        let challenge = mistakes.or(challenge)?.expect("no mistake was noted");
        let entry = Arc::new(Entry::reading(Sources::only(Source::Bearer)));
        let shared = Shared { introspection, challenge, entry, max_length: MAX_LENGTH };
        let shared = Arc::new(shared);
        Ok(Self { guard: GuardLayer::new(Introspect { shared, reader: Reader::NONE }) })
    }

    /// Reads the answer's members into `C` as well, for handlers, which get
    /// [`Claims<C>`](crate::identity::Claims). A token whose answer does not fit is refused with 401.
    #[must_use]
    pub fn typed<C>(self) -> IntrospectionLayer<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let shared = Arc::clone(&self.guard.guard().shared);
        IntrospectionLayer {
            guard: self.guard.with_guard(Introspect { shared, reader: Reader::typed() }),
        }
    }
}

impl<C: Send + Sync + 'static> IntrospectionLayer<C> {
    fn set(self, set: impl FnOnce(&mut Shared)) -> Self {
        let Introspect { shared, reader } = &**self.guard.guard();
        let mut shared = shared.as_ref().clone();
        set(&mut shared);
        let guard = Introspect { shared: Arc::new(shared), reader: *reader };
        Self { guard: self.guard.with_guard(guard) }
    }

    /// The longest token that is asked about, in bytes. Default: 8 KiB.
    #[must_use]
    pub fn max_length(self, bytes: usize) -> Self {
        self.set(|it| it.max_length = bytes)
    }
}

entry_settings!(IntrospectionLayer, "introspection", Challenge::bearer);
token_sources!(IntrospectionLayer, "introspection");
scheme_layer!(IntrospectionLayer<C>, Introspect<C>);
