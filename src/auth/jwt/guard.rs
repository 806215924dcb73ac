//! The guard: what it asks of a request, and what its admission does to it.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    cache::{Cache, Kept, Limits},
    policy::{self, Judgement, Policy, UNKNOWN_KEY, Verified},
    revocations::Revocations,
    token::Invalid,
};
use crate::{
    auth::{
        Admitted, Challenge, Scheme, admission::Entry, crypto::Digest, reader::Reader,
        scheme::is_preflight,
    },
    clock::Clock,
    guard::{Guard, Head, Verdict},
    rejection::Rejection,
};

/// The guard of [`JwtLayer`](super::JwtLayer).
pub struct Jwt<C> {
    pub(super) shared: Arc<Shared>,
    pub(super) reader: Reader<C>,
    /// Of this guard's own: what is kept was verified under these settings, and read into this type.
    cache: Arc<Cache<C>>,
}

/// The settings.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) policy: Policy,
    pub(super) challenge: Challenge,
    pub(super) clock: Clock,
    pub(super) entry: Arc<Entry>,
    pub(super) cache: Limits,
    pub(super) revocations: Option<Arc<dyn Revocations>>,
}

impl<C> Clone for Jwt<C> {
    fn clone(&self) -> Self {
        let (shared, cache) = (Arc::clone(&self.shared), Arc::clone(&self.cache));
        Self { shared, reader: self.reader, cache }
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
        let token = match shared.entry.credential(head, &shared.challenge) {
            Ok(token) => token,
            Err(no) => return Verdict::refuse(no),
        };
        let now = shared.clock.unix();
        let name = self.cache.name(&token);
        if let Some(kept) = name.and_then(|name| self.recall(name, now)) {
            return Verdict::Now(self.admit_again(&kept));
        }
        match shared.policy.judge(&token, now) {
            Judgement::Good(verified) => Verdict::Now(self.admit_first(verified, name, now)),
            Judgement::Bad(why) => Verdict::refuse(self.refusal(why)),
            Judgement::Undecided(keys, kid) => match keys.newer(kid) {
                Some(newer) => self.judge_after(newer, &token, name),
                // They may have come since the first look.
                None => Verdict::Now(self.judge_finally(&token, name)),
            },
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

impl<C> Jwt<C> {
    pub(super) fn new(shared: Arc<Shared>, reader: Reader<C>) -> Self {
        let cache = Arc::new(Cache::new(shared.cache));
        Self { shared, reader, cache }
    }
}

impl<C: Send + Sync + 'static> Jwt<C> {
    /// The token of this name, if it was verified lately and would be again.
    fn recall(&self, name: Digest, now: Duration) -> Option<Arc<Kept<C>>> {
        let kept = self.cache.get(name, now)?;
        self.shared.policy.still_holds(&kept.token, now).then_some(kept)
    }

    /// Waits for newer keys and judges again, once.
    fn judge_after(
        &self,
        newer: impl Future<Output = ()> + Send + 'static,
        token: &str,
        name: Option<Digest>,
    ) -> Verdict<Admitted<C>> {
        let (guard, token) = (self.clone(), token.to_owned());
        Verdict::later(async move {
            newer.await;
            guard.judge_finally(&token, name)
        })
    }

    fn judge_finally(&self, token: &str, name: Option<Digest>) -> Result<Admitted<C>, Rejection> {
        let now = self.shared.clock.unix();
        match self.shared.policy.judge(token, now) {
            Judgement::Good(verified) => self.admit_first(verified, name, now),
            Judgement::Bad(why) => Err(self.refusal(why)),
            // 503 where there are no keys at all: that says nothing about the token.
            Judgement::Undecided(keys, _) if keys.is_empty() => Err(keys.unavailable()),
            Judgement::Undecided(..) => Err(self.refusal(UNKNOWN_KEY)),
        }
    }

    fn refusal(&self, why: Invalid) -> Rejection {
        self.shared.challenge.invalid_token(why.0)
    }

    /// Admits a token that was verified just now, and keeps it under this name.
    fn admit_first(
        &self,
        token: Verified,
        name: Option<Digest>,
        now: Duration,
    ) -> Result<Admitted<C>, Rejection> {
        self.check_revoked(&token)?;
        let claims = self.reader.read(&token.identity, &self.shared.challenge)?;
        let fields = self.shared.entry.forwarding.fields(&token.identity);
        let kept = Kept { token, claims, fields, since: now };
        match name {
            None => Ok(self.shared.entry.admit_with(kept.token.identity, kept.claims, kept.fields)),
            Some(name) => {
                let admitted = self.admitted(&kept);
                self.cache.keep(name, kept);
                Ok(admitted)
            }
        }
    }

    /// Admits a token that was kept and still holds.
    fn admit_again(&self, kept: &Kept<C>) -> Result<Admitted<C>, Rejection> {
        self.check_revoked(&kept.token)?;
        Ok(self.admitted(kept))
    }

    fn admitted(&self, kept: &Kept<C>) -> Admitted<C> {
        let Kept { token, claims, fields, .. } = kept;
        self.shared.entry.admit_with(token.identity.clone(), claims.clone(), fields.clone())
    }

    fn check_revoked(&self, token: &Verified) -> Result<(), Rejection> {
        let revocations = self.shared.revocations.as_ref();
        match revocations.is_some_and(|it| it.revoked(&token.id())) {
            true => Err(self.refusal(Invalid("The token was revoked."))),
            false => Ok(()),
        }
    }
}
