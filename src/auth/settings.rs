//! What the layers of all schemes can be set to, and what makes each of them a layer.

/// The settings that schemes with an [`Entry`](super::admission::Entry) and a challenge share. The layer brings
/// `set`, which changes its guard's settings.
macro_rules! entry_settings {
    ($layer:ident, $concern:literal, $challenge:path) => {
        impl<C: Send + Sync + 'static> $layer<C> {
            fn set_entry(self, set: impl FnOnce(&mut $crate::auth::admission::Entry)) -> Self {
                self.set(|it| set(Arc::make_mut(&mut it.entry)))
            }

            /// The protection space that challenges name (RFC 9110 §11.5). Default: `gateway`.
            ///
            /// # Errors
            ///
            /// When it is not printable ASCII, or contains a quotation mark or backslash.
            pub fn realm(self, realm: &str) -> Result<Self, ConfigError> {
                let challenge = $challenge(realm)?;
                Ok(self.set(|it| it.challenge = challenge))
            }

            /// Sends a claim to the inner service as the header field `field`, and removes whatever a client sent
            /// under that name, or under a spelling that some servers take for it (`x_auth_sub`), also from requests
            /// that pass without a credential. What the claims of this scheme are, stands at [`typed`](Self::typed).
            ///
            /// Strings, numbers and booleans become their text, arrays of strings are joined by spaces. Control
            /// characters, `%` and what is not ASCII are percent-encoded (UTF-8), as are spaces at the ends of a
            /// string and in the strings of an array. Other claims, and those that are not there, become no field.
            ///
            /// # Errors
            ///
            /// When `field` is no field name, is already taken, or means something to HTTP itself.
            pub fn forward_claim(self, claim: &str, field: &str) -> Result<Self, ConfigError> {
                self.forward($crate::auth::forward::What::Claim(claim.to_owned()), field)
            }

            /// Sends all claims to the inner service as the header field `field`: a JSON object, in base64url (RFC
            /// 4648 §5) without padding. What a client sent under that name, or a spelling of it, is removed.
            ///
            /// The field is a third longer than the claims; an upstream has a limit for those.
            ///
            /// # Errors
            ///
            /// As [`forward_claim`](Self::forward_claim).
            pub fn forward_claims(self, field: &str) -> Result<Self, ConfigError> {
                self.forward($crate::auth::forward::What::Claims, field)
            }

            fn forward(
                self,
                what: $crate::auth::forward::What,
                field: &str,
            ) -> Result<Self, ConfigError> {
                let mut outcome = Ok(());
                let layer = self.set_entry(|it| outcome = it.forwarding.add($concern, what, field));
                outcome.map(|()| layer)
            }

            /// Leaves the credential in the request that goes on, once it is verified. Whoever receives it can act as
            /// its holder.
            #[must_use]
            pub fn forward_credential(self) -> Self {
                self.set_entry(|it| it.forward_credential = true)
            }
        }
    };
}

/// Where else the bearer tokens of a scheme may be.
macro_rules! token_sources {
    ($layer:ident, $concern:literal) => {
        impl<C: Send + Sync + 'static> $layer<C> {
            /// Also reads the token from the query parameter `access_token` (RFC 6750 §2.3), which ends up in logs,
            /// histories and `Referer` fields. It is removed from the URI that goes on, and answers are marked
            /// `Cache-Control: private` if they say nothing else.
            #[must_use]
            pub fn accept_query_parameter(self) -> Self {
                self.set_entry(|it| it.sources.add($crate::auth::credential::ACCESS_TOKEN))
            }

            /// Also reads the token from the header field `name`, whose whole value it must be. The field does not go
            /// on.
            ///
            /// # Errors
            ///
            /// When it is no field name, or means something to HTTP itself.
            pub fn accept_header(self, name: &str) -> Result<Self, ConfigError> {
                let source = $crate::auth::credential::Source::header($concern, name)?;
                Ok(self.set_entry(|it| it.sources.add(source)))
            }

            /// Also reads the token from the cookie `name`. Only this cookie is removed from what goes on.
            ///
            /// A browser sends cookies with requests that other sites make: guard what changes something against
            /// that (`SameSite`, a CSRF layer).
            ///
            /// # Errors
            ///
            /// When it is no name of a cookie (RFC 6265 §4.1.1).
            pub fn accept_cookie(self, name: &str) -> Result<Self, ConfigError> {
                let source = $crate::auth::credential::Source::cookie($concern, name.to_owned())?;
                Ok(self.set_entry(|it| it.sources.add(source)))
            }
        }
    };
}

/// Makes a struct with a `guard: GuardLayer<_>` the layer of a scheme.
macro_rules! scheme_layer {
    ($layer:ident $(<$claims:ident>)?, $guard:ty) => {
        impl$(<$claims: Send + Sync + 'static>)? $layer$(<$claims>)? {
            /// Judges, and lets every request through: to see what would be refused. A request whose credential does
            /// not hold goes on without it and without an identity.
            #[must_use]
            pub fn report_only(self) -> Self {
                Self { guard: self.guard.report_only() }
            }
        }

        impl$(<$claims: Send + Sync + 'static>)? $crate::auth::SchemeLayer for $layer$(<$claims>)? {
            type Scheme = $guard;

            fn scheme(&self) -> Arc<$guard> {
                Arc::clone(self.guard.guard())
            }
        }

        impl$(<$claims>)? Clone for $layer$(<$claims>)? {
            fn clone(&self) -> Self {
                Self { guard: self.guard.clone() }
            }
        }

        impl$(<$claims>)? std::fmt::Debug for $layer$(<$claims>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($layer)).field(self.guard.guard()).finish()
            }
        }

        impl<S $(, $claims)?> tower_layer::Layer<S> for $layer$(<$claims>)? {
            type Service = $crate::guard::Guarded<S, $guard>;

            fn layer(&self, inner: S) -> Self::Service {
                self.guard.layer(inner)
            }
        }
    };
}

pub(super) use entry_settings;
pub(super) use scheme_layer;
pub(super) use token_sources;
