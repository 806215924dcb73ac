//! The layer and its settings.

use std::{fmt, sync::Arc};

use http::HeaderName;
use serde::de::DeserializeOwned;
use tower_layer::Layer;

use super::{
    guard::{Introspect, Read, Shared},
    shared::Introspection,
};
use crate::{
    auth::{
        Challenge, SchemeLayer,
        admission::Entry,
        credential::{ACCESS_TOKEN, Source, Sources},
    },
    config_error::{ConfigError, Mistakes},
    guard::{GuardLayer, Guarded},
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
        Ok(Self { guard: GuardLayer::new(Introspect { shared, read: None }) })
    }

    /// Reads the answer's members into `C` as well, for handlers, which get
    /// [`Claims<C>`](crate::identity::Claims). A token whose answer does not fit is refused with 401.
    #[must_use]
    pub fn typed<C>(self) -> IntrospectionLayer<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let shared = Arc::clone(&self.guard.guard().shared);
        let read: Read<C> = |json| serde_json::from_slice(json).ok();
        IntrospectionLayer { guard: self.guard.with_guard(Introspect { shared, read: Some(read) }) }
    }
}

impl<C: Send + Sync + 'static> IntrospectionLayer<C> {
    fn set(self, set: impl FnOnce(&mut Shared)) -> Self {
        let Introspect { shared, read } = &**self.guard.guard();
        let mut shared = shared.as_ref().clone();
        set(&mut shared);
        let guard = Introspect { shared: Arc::new(shared), read: *read };
        Self { guard: self.guard.with_guard(guard) }
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

    /// Sends a member of the answer to the inner service as the header field `field`, and removes whatever a client
    /// sent under that name, or under a spelling that some servers take for it (`x_auth_sub`), also from requests
    /// that pass without a token. `sub` is the identity's subject, if it has one: see
    /// [`Endpoint::subject`](super::Endpoint::subject).
    ///
    /// Strings, numbers and booleans become their text, arrays of strings are joined by spaces. Control characters,
    /// `%` and what is not ASCII are percent-encoded (UTF-8), as are spaces at the ends of a string and in the
    /// strings of an array. Other members, and those that the answer does not have, become no field.
    ///
    /// # Errors
    ///
    /// When `field` is no field name, is already taken, or means something to HTTP itself.
    pub fn forward_claim(self, claim: &str, field: &str) -> Result<Self, ConfigError> {
        let mut outcome = Ok(());
        let layer = self.set_entry(|it| outcome = it.forwarding.add(claim, field));
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

    /// Also reads the token from this header field, as its whole value. The field is removed from what goes on.
    ///
    /// # Errors
    ///
    /// When `field` is no field name.
    pub fn accept_header(self, field: &str) -> Result<Self, ConfigError> {
        let Ok(name) = field.parse::<HeaderName>() else {
            let field = field.escape_debug();
            return Err(ConfigError::new("introspection", format!("`{field}` is no field name")));
        };
        Ok(self.set_entry(|it| it.sources.add(Source::Header(name))))
    }

    /// Also reads the token from this cookie, which browsers send with requests of other sites too: put a check
    /// against forged requests in front. The cookie is removed from what goes on.
    ///
    /// # Errors
    ///
    /// When `name` cannot be a cookie's (RFC 6265 §4.1.1).
    pub fn accept_cookie(self, name: &str) -> Result<Self, ConfigError> {
        if name.parse::<HeaderName>().is_err() {
            let name = name.escape_debug();
            return Err(ConfigError::new("introspection", format!("`{name}` is no cookie's name")));
        }
        let name = name.to_owned().into();
        Ok(self.set_entry(|it| it.sources.add(Source::Cookie(name))))
    }

    /// Judges, and lets every request through: to see what would be refused. A request whose token does not hold
    /// goes on without a token and without an identity.
    #[must_use]
    pub fn report_only(self) -> Self {
        Self { guard: self.guard.report_only() }
    }

    /// The longest token that is asked about, in bytes. Default: 8 KiB.
    #[must_use]
    pub fn max_length(self, bytes: usize) -> Self {
        self.set(|it| it.max_length = bytes)
    }
}

impl<C: Send + Sync + 'static> SchemeLayer for IntrospectionLayer<C> {
    type Scheme = Introspect<C>;

    fn scheme(&self) -> Arc<Introspect<C>> {
        Arc::clone(self.guard.guard())
    }
}

impl<C> Clone for IntrospectionLayer<C> {
    fn clone(&self) -> Self {
        Self { guard: self.guard.clone() }
    }
}

impl<C> fmt::Debug for IntrospectionLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntrospectionLayer")
    }
}

impl<S, C> Layer<S> for IntrospectionLayer<C> {
    type Service = Guarded<S, Introspect<C>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}
