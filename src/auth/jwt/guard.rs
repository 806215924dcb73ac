//! The guard: what it asks of a request, and what its admission does to it.

use std::{fmt, sync::Arc};

use http::{HeaderValue, Method, Request, Response, header};

use super::{
    forward::{Fields, Forwarding},
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
    guard::{Guard, Head, Pass, Verdict},
    identity::{Claims, Identity},
    rejection::Rejection,
};

/// Reads claims into a type of the user's.
pub(super) type Read<C> = fn(&[u8]) -> Option<C>;

/// The guard of [`JwtLayer`](super::JwtLayer).
pub struct Jwt<C> {
    pub(super) shared: Arc<Shared>,
    pub(super) read: Option<Read<C>>,
}

/// The settings.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) policy: Policy,
    pub(super) challenge: Challenge,
    pub(super) clock: Clock,
    pub(super) sources: Sources,
    pub(super) forward_credential: bool,
    pub(super) forwarding: Forwarding,
}

impl<C> Clone for Jwt<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), read: self.read }
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
            Judgement::Undecided(keys) => self.ask(&keys, token),
        }
    }
}

impl<C: Send + Sync + 'static> Jwt<C> {
    /// Waits for newer keys, if there can be any now, and judges again, once.
    fn ask(&self, keys: &Jwks, token: &str) -> Verdict<Admitted<C>> {
        let Some(newer) = keys.newer() else {
            // They may have come since the first look.
            return Verdict::Now(self.judge_finally(token));
        };
        let (guard, token) = (self.clone(), token.to_owned());
        Verdict::later(async move {
            newer.await;
            guard.judge_finally(&token)
        })
    }

    fn judge_finally(&self, token: &str) -> Result<Admitted<C>, Rejection> {
        match self.shared.policy.judge(token, self.shared.clock.unix()) {
            Judgement::Good(identity) => self.admit(identity),
            Judgement::Bad(why) => Err(self.refusal(why)),
            // 503 where there are no keys at all: that says nothing about the token.
            Judgement::Undecided(keys) if keys.is_empty() => Err(keys.unavailable()),
            Judgement::Undecided(_) => Err(self.refusal(UNKNOWN_KEY)),
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
        let fields = self.shared.forwarding.fields(&identity);
        Ok(Admitted { identity: Some(identity), claims, fields, ..self.pass() })
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
        f.debug_struct("Admitted").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl<C: Send + Sync + 'static> Pass for Admitted<C> {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        let Shared { forwarding, sources, forward_credential, .. } = &*self.shared;
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
            response.headers_mut().insert(header::CACHE_CONTROL, private);
        }
    }
}
