//! The guard: what it asks of a request, and what its admission does to it.

use std::{fmt, sync::Arc};

use super::{answer::Token, rules::No, shared::Introspection};
use crate::{
    auth::{
        Admitted, Challenge, Scheme, admission::Entry, credential::is_token68, crypto::Digest,
        lookup::Known, reader::Reader, scheme::is_preflight,
    },
    guard::{Guard, Head, Verdict},
    rejection::Rejection,
};

/// The guard of [`IntrospectionLayer`](super::IntrospectionLayer).
pub struct Introspect<C> {
    pub(super) shared: Arc<Shared>,
    pub(super) reader: Reader<C>,
}

/// The settings.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) introspection: Introspection,
    pub(super) challenge: Challenge,
    pub(super) entry: Arc<Entry>,
    pub(super) max_length: usize,
}

impl<C> Clone for Introspect<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), reader: self.reader }
    }
}

impl<C> fmt::Debug for Introspect<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Introspect")
    }
}

impl<C: Send + Sync + 'static> Guard for Introspect<C> {
    const NAME: &'static str = "introspection";
    type Pass = Admitted<C>;

    fn check(&self, head: Head<'_>) -> Verdict<Admitted<C>> {
        let Shared { introspection, challenge, entry, max_length } = &*self.shared;
        if is_preflight(head) {
            return Verdict::admit(entry.pass());
        }
        let token = match entry.credential(head, challenge) {
            Ok(token) => token,
            Err(no) => return Verdict::refuse(no),
        };
        // Before anything is asked or remembered.
        if token.len() > *max_length || !is_token68(&token) {
            let why = "The token is too long, or malformed.";
            return Verdict::refuse(challenge.invalid_token(why));
        }
        let digest = Digest::of(token.as_bytes());
        match introspection.known(&digest) {
            Some(known) => Verdict::Now(self.judge(known)),
            None => self.ask(digest, token.into_owned()),
        }
    }

    fn bypass(&self) -> Option<Admitted<C>> {
        Some(self.shared.entry.pass())
    }
}

impl<C: Send + Sync + 'static> Scheme for Introspect<C> {
    /// Any bearer token: only its server can tell whether it is one. What looks like a JWT may be one too.
    fn presented(&self, head: Head<'_>) -> bool {
        self.shared.entry.sources.is_there(head)
    }

    fn missing(&self) -> Rejection {
        self.shared.challenge.missing()
    }
}

impl<C: Send + Sync + 'static> Introspect<C> {
    fn ask(&self, digest: Digest, token: String) -> Verdict<Admitted<C>> {
        let guard = self.clone();
        let answer = self.shared.introspection.ask(digest, token);
        Verdict::later(async move { guard.judge(answer.await?) })
    }

    fn judge(&self, known: Known<Arc<Token>>) -> Result<Admitted<C>, Rejection> {
        let Shared { introspection, challenge, .. } = &*self.shared;
        let Known::Good(token) = known else {
            return Err(challenge.invalid_token("The token is not active."));
        };
        match introspection.rules.admit(&token, introspection.clock.unix()) {
            Ok(()) => self.admit(&token),
            Err(No::Invalid(why)) => Err(challenge.invalid_token(why)),
            Err(No::LacksScope) => Err(challenge.insufficient_scope(&introspection.rules.scopes())),
        }
    }

    fn admit(&self, token: &Token) -> Result<Admitted<C>, Rejection> {
        let claims = self.reader.read(&token.identity, &self.shared.challenge)?;
        Ok(self.shared.entry.admit(token.identity.clone(), claims))
    }
}
