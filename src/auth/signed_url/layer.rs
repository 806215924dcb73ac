//! The layer and its settings.

use std::{sync::Arc, time::Duration};

use http::HeaderName;

use super::{
    guard::SignedUrl,
    key::VerifyingKey,
    parameters::{Name, is_ours},
    policy::Policy,
};
use crate::{
    auth::{
        admission::Entry,
        credential::{Source, Sources},
        forward::What,
        settings::scheme_layer,
    },
    clock::Clock,
    config_error::{ConfigError, Mistakes},
    guard::GuardLayer,
    target::PathRules,
};

/// As long as S3 allows.
const MAX_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// Longer URLs are refused before any work.
const MAX_LENGTH: usize = 8 * 1024;

/// Fields by which a client asks servers for another request than the one that it sends.
const OVERRIDES: [HeaderName; 6] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-amz-copy-source"),
];

/// Admits requests whose URL carries a valid signature. See the [module docs](super).
pub struct SignedUrlLayer {
    guard: GuardLayer<SignedUrl>,
}

impl SignedUrlLayer {
    /// Accepts what these keys have signed; the URL names which.
    ///
    /// # Errors
    ///
    /// When there is no key, or two have the same id; all mistakes are listed.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, ConfigError> {
        let keys: Arc<[VerifyingKey]> = keys.into_iter().collect();
        let mut mistakes = Mistakes::of("signed_url");
        if keys.is_empty() {
            mistakes.add("there is no key to verify with");
        }
        for (n, key) in keys.iter().enumerate() {
            if keys[..n].iter().any(|it| it.id() == key.id()) {
                mistakes.add(format!("key `{}` is given twice", key.id()));
            }
        }
        let signature = Source::Query(Name::Signature.as_str().into());
        let guard = SignedUrl {
            policy: Policy {
                keys,
                rules: PathRules::default(),
                unsigned: Vec::new(),
                leeway: Duration::ZERO,
                max_lifetime: MAX_LIFETIME,
                max_length: MAX_LENGTH,
                require_host: false,
            },
            clock: Clock::system(),
            entry: Arc::new(Entry::reading(Sources::only(signature))),
            removed_fields: Arc::new(OVERRIDES),
        };
        mistakes.or(Self { guard: GuardLayer::new(guard) })
    }

    fn set(self, set: impl FnOnce(&mut SignedUrl)) -> Self {
        let mut guard = (**self.guard.guard()).clone();
        set(&mut guard);
        Self { guard: self.guard.with_guard(guard) }
    }

    /// The longest time between a URL's start (`gw-from`, or else now) and its expiry. Default: 7 days.
    ///
    /// A URL without a start that has longer to go is refused until it has not, and gets a minute more, because the
    /// signer's clock may be ahead.
    #[must_use]
    pub fn max_lifetime(self, longest: Duration) -> Self {
        self.set(|it| it.policy.max_lifetime = longest)
    }

    /// How far the clocks of signers may be off: a URL is good so much earlier and longer. Default: zero, so that
    /// what has expired is expired.
    #[must_use]
    pub fn leeway(self, leeway: Duration) -> Self {
        self.set(|it| it.policy.leeway = leeway)
    }

    /// Lets clients append these parameters after the signature, each once; the upstream then sees what nobody
    /// has signed. A parameter that the signature covers cannot be overruled. Default: none.
    ///
    /// # Errors
    ///
    /// When a name is empty or begins with `gw-`.
    pub fn allow_unsigned<I>(self, names: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut mistakes = Mistakes::of("signed_url");
        let mut unsigned: Vec<Box<str>> = Vec::new();
        for name in names {
            let name = name.as_ref();
            if name.is_empty() || is_ours(name) {
                let name = name.escape_debug();
                mistakes.add(format!("`{name}` cannot be the name of an unsigned parameter"));
            }
            unsigned.push(name.into());
        }
        let unsigned = mistakes.or(unsigned)?;
        Ok(self.set(|it| it.policy.unsigned.extend(unsigned)))
    }

    /// Refuses URLs that do not cover their host: where the same keys serve several hosts with different content.
    #[must_use]
    pub fn require_host(self) -> Self {
        self.set(|it| it.policy.require_host = true)
    }

    /// Also removes this field from the requests that are admitted, beside `X-HTTP-Method-Override`,
    /// `X-HTTP-Method`, `X-Method-Override`, `X-Original-URL`, `X-Rewrite-URL` and `X-Amz-Copy-Source`: fields
    /// by which an upstream would do something else than what was signed.
    ///
    /// # Errors
    ///
    /// When it is no field name.
    pub fn remove_field(self, name: &str) -> Result<Self, ConfigError> {
        let Ok(field) = name.parse::<HeaderName>() else {
            let name = name.escape_debug();
            return Err(ConfigError::new("signed_url", format!("`{name}` is no field name")));
        };
        Ok(self.set(|it| {
            it.removed_fields = it.removed_fields.iter().cloned().chain([field]).collect();
        }))
    }

    /// Sends the subject to the inner service as the header field `field`, and removes whatever a client sent under
    /// that name, also from requests that pass without a signature. Encoded as in
    /// `JwtLayer::forward_claim`: what is not printable ASCII, and `%`, is percent-encoded.
    ///
    /// # Errors
    ///
    /// When `field` is no field name, is already taken, or means something to HTTP itself.
    pub fn forward_subject(self, field: &str) -> Result<Self, ConfigError> {
        let mut outcome = Ok(());
        let layer = self.set(|it| {
            outcome = Arc::make_mut(&mut it.entry).forwarding.add(
                "signed_url",
                What::Claim("sub".to_owned()),
                field,
            );
        });
        outcome.map(|()| layer)
    }

    /// Leaves our parameters in the URI that goes on, for an inner service that verifies it again. Whoever receives
    /// it can use it.
    #[must_use]
    pub fn forward_signature(self) -> Self {
        self.set(|it| Arc::make_mut(&mut it.entry).forward_credential = true)
    }

    /// The longest path and query that are looked at, in bytes. Default: 8 KiB.
    #[must_use]
    pub fn max_length(self, bytes: usize) -> Self {
        self.set(|it| it.policy.max_length = bytes)
    }

    /// What a path may contain; the same as at the signer and the routes. Default: [`PathRules::default`].
    #[must_use]
    pub fn path_rules(self, rules: PathRules) -> Self {
        self.set(|it| it.policy.rules = rules)
    }

    /// The clock that start and expiry are compared with. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|it| it.clock = clock)
    }
}

scheme_layer!(SignedUrlLayer, SignedUrl);
