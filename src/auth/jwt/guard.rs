//! The guard: what it asks of a request, and what its admission does to it.

use std::{fmt, sync::Arc};

use super::{
    policy::{self, Judgement, Policy, UNKNOWN_KEY},
    remote::Jwks,
    token::Invalid,
};
use crate::{
    auth::{
        Admitted, Challenge, Scheme, admission::Entry, credential::Unreadable, scheme::is_preflight,
    },
    clock::Clock,
    guard::{Guard, Head, Verdict},
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
    pub(super) entry: Arc<Entry>,
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
            return Verdict::admit(shared.entry.pass());
        }
        let token = match shared.entry.sources.read(head) {
            Ok(Some(token)) => token,
            Ok(None) => return Verdict::refuse(shared.challenge.missing()),
            Err(Unreadable::Ambiguous(why)) => {
                return Verdict::refuse(shared.challenge.invalid_request(why));
            }
            Err(Unreadable::Malformed(why)) => {
                return Verdict::refuse(shared.challenge.invalid_token(why));
            }
        };
        match shared.policy.judge(&token, shared.clock.unix()) {
            Judgement::Good(identity) => Verdict::Now(self.admit(identity)),
            Judgement::Bad(why) => Verdict::refuse(self.refusal(why)),
            Judgement::Undecided(keys) => self.ask(&keys, &token),
        }
    }

    fn bypass(&self) -> Option<Admitted<C>> {
        Some(self.shared.entry.pass())
    }
}

impl<C: Send + Sync + 'static> Scheme for Jwt<C> {
    /// A bearer token that looks like a JWT: three parts, of which the first is a JSON object. What does not may
    /// be a credential of another scheme.
    fn presented(&self, head: Head<'_>) -> bool {
        match self.shared.entry.sources.read(head) {
            Ok(Some(token)) => policy::looks_like_a_jwt(&token),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    fn attempted(&self, head: Head<'_>) -> bool {
        self.shared.entry.sources.is_there(head)
    }

    fn missing(&self) -> Rejection {
        self.shared.challenge.missing()
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
        Ok(self.shared.entry.admit(identity, claims))
    }
}
