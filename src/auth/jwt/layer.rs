//! The layer: settings, the guard, and what an admission does to a request.

use std::{fmt, sync::Arc};

use http::{HeaderValue, Method, Request, Response, header};
use serde::de::DeserializeOwned;
use tower_layer::Layer;

use super::{
    forward::{Fields, Forwarding},
    issuer::Issuer,
    policy::{Judgement, Policy, UNKNOWN_KEY},
    remote::Jwks,
    token::Invalid,
};
use crate::{
    auth::{
        Challenge,
        credential::{self, Sources, Unreadable},
    },
    clock::Clock,
    config_error::{ConfigError, Mistakes},
    guard::{Guard, GuardLayer, Guarded, Head, Pass, Verdict},
    identity::{Claims, Identity},
    rejection::Rejection,
};

/// Longer tokens are refused before any work.
const MAX_LENGTH: usize = 8 * 1024;

/// Reads claims into a type of the user's.
type Read<C> = fn(&[u8]) -> Option<C>;

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
            sources: Sources::default(),
            forward_credential: false,
            forwarding: Forwarding::default(),
        };
        Ok(Self::with(shared, None))
    }

    /// Reads the claims into `C` as well, for handlers, which get [`Claims<C>`]. A token whose claims do not fit
    /// is refused with 401.
    #[must_use]
    pub fn typed<C>(self) -> JwtLayer<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let shared = self.guard.guard().shared.as_ref().clone();
        JwtLayer::with(shared, Some(|json| serde_json::from_slice(json).ok()))
    }
}

impl<C: Send + Sync + 'static> JwtLayer<C> {
    fn with(shared: Shared, read: Option<Read<C>>) -> Self {
        let shared = Arc::new(shared);
        Self {
            guard: GuardLayer::new(Jwt { shared, read }),
        }
    }

    fn set(self, set: impl FnOnce(&mut Shared)) -> Self {
        let Jwt { shared, read } = &**self.guard.guard();
        let mut shared = shared.as_ref().clone();
        set(&mut shared);
        Self::with(shared, *read)
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
        let layer = self.set(|it| outcome = it.forwarding.add(claim, field));
        outcome.map(|()| layer)
    }

    /// Leaves the token in the request that goes on. Whoever receives it can act as its subject.
    #[must_use]
    pub fn forward_credential(self) -> Self {
        self.set(|it| it.forward_credential = true)
    }

    /// Also reads the token from the query parameter `access_token` (RFC 6750 §2.3), which ends up in logs,
    /// histories and `Referer` fields. It is removed from the URI that goes on.
    #[must_use]
    pub fn accept_query_parameter(self) -> Self {
        self.set(|it| it.sources.query = true)
    }

    /// The longest token that is looked at, in bytes. Default: 8 KiB.
    #[must_use]
    pub fn max_length(self, bytes: usize) -> Self {
        self.set(|it| it.policy.limit_length(bytes))
    }

    /// The clock that `exp`, `nbf` and `iat` are compared with. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|it| it.clock = clock)
    }
}

impl<C> Clone for JwtLayer<C> {
    fn clone(&self) -> Self {
        Self {
            guard: self.guard.clone(),
        }
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

/// The guard of [`JwtLayer`].
pub struct Jwt<C> {
    shared: Arc<Shared>,
    read: Option<Read<C>>,
}

#[derive(Clone)]
struct Shared {
    policy: Policy,
    challenge: Challenge,
    clock: Clock,
    sources: Sources,
    forward_credential: bool,
    forwarding: Forwarding,
}

impl<C> Clone for Jwt<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            read: self.read,
        }
    }
}

impl<C> fmt::Debug for Jwt<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jwt")
    }
}

impl<C: Send + Sync + 'static> Guard for Jwt<C> {
    const NAME: &'static str = "jwt";
    type Pass = Admitted<C>;

    fn check(&self, head: Head<'_>) -> Verdict<Admitted<C>> {
        let shared = &self.shared;
        if is_preflight(head) {
            return Verdict::admit(self.pass());
        }
        let token = match credential::bearer(head, shared.sources) {
            Ok(Some(token)) => token,
            Ok(None) => return Verdict::refuse(shared.challenge.missing()),
            Err(Unreadable::Ambiguous(why)) => {
                return Verdict::refuse(shared.challenge.invalid_request(why));
            }
            Err(Unreadable::Malformed(why)) => {
                return Verdict::refuse(shared.challenge.invalid_token(why));
            }
        };
        match shared.policy.judge(token, shared.clock.unix()) {
            Judgement::Good(identity) => Verdict::Now(self.admit(identity)),
            Judgement::Bad(why) => Verdict::refuse(self.refusal(why)),
            Judgement::UnknownKey(keys) | Judgement::NoKeys(keys) => self.ask(keys, token),
        }
    }
}

impl<C: Send + Sync + 'static> Jwt<C> {
    /// Waits for newer keys and judges again, once; refuses at once where none are to be had.
    fn ask(&self, keys: Jwks, token: &str) -> Verdict<Admitted<C>> {
        let Some(newer) = keys.newer() else {
            return Verdict::refuse(self.undecided(&keys));
        };
        let (guard, token) = (self.clone(), token.to_owned());
        Verdict::later(async move {
            newer.await;
            let now = guard.shared.clock.unix();
            match guard.shared.policy.judge(&token, now) {
                Judgement::Good(identity) => guard.admit(identity),
                Judgement::Bad(why) => Err(guard.refusal(why)),
                Judgement::UnknownKey(keys) | Judgement::NoKeys(keys) => {
                    Err(guard.undecided(&keys))
                }
            }
        })
    }

    /// 401 where there are keys and the token's is not among them; 503 where there are none.
    fn undecided(&self, keys: &Jwks) -> Rejection {
        match keys.is_empty() {
            true => keys.unavailable(),
            false => self.refusal(UNKNOWN_KEY),
        }
    }

    fn refusal(&self, why: Invalid) -> Rejection {
        self.shared.challenge.invalid_token(why.0)
    }

    fn admit(&self, identity: Identity) -> Result<Admitted<C>, Rejection> {
        let claims = match self.read {
            None => None,
            Some(read) => match read(identity.claims_json()) {
                Some(claims) => Some(Claims::new(claims)),
                None => {
                    let why = Invalid("The token's claims are not those that are needed.");
                    return Err(self.refusal(why));
                }
            },
        };
        let fields = self.shared.forwarding.fields(identity.claims_json());
        Ok(Admitted {
            identity: Some(identity),
            claims,
            fields,
            ..self.pass()
        })
    }

    fn pass(&self) -> Admitted<C> {
        Admitted {
            shared: Arc::clone(&self.shared),
            identity: None,
            claims: None,
            fields: Fields::new(),
            in_query: false,
        }
    }
}

/// A browser asks what it may ask, and sends no credential (Fetch §4.8); the request proper is judged.
fn is_preflight(head: Head<'_>) -> bool {
    let has = |name| head.headers().contains_key(name);
    head.method() == Method::OPTIONS
        && has(header::ORIGIN)
        && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What an admission brings: the identity and the claims in extensions, the token out, claim fields in.
pub struct Admitted<C> {
    shared: Arc<Shared>,
    identity: Option<Identity>,
    claims: Option<Claims<C>>,
    fields: Fields,
    in_query: bool,
}

impl<C> fmt::Debug for Admitted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl<C: Send + Sync + 'static> Pass for Admitted<C> {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        let Shared {
            forwarding,
            sources,
            forward_credential,
            ..
        } = &*self.shared;
        forwarding.apply(request, &mut self.fields);
        self.in_query = credential::is_in_query(request.uri(), *sources);
        // What nobody has verified is never passed on, whatever the settings.
        if self.identity.is_none() || !forward_credential {
            credential::remove(request, *sources);
        }
        let extensions = request.extensions_mut();
        if let Some(identity) = self.identity.take() {
            extensions.insert(identity);
        }
        if let Some(claims) = self.claims.take() {
            extensions.insert(claims);
        }
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        // RFC 6750 §2.3: caches must not keep what a token in a URI has opened.
        if self.in_query && !response.headers().contains_key(header::CACHE_CONTROL) {
            let private = HeaderValue::from_static("private");
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, private);
        }
    }
}
