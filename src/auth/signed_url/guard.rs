//! The guard: what it asks of a request, and what its admission does to it.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderName, Request, Response};

use super::{
    lifetime,
    parameters::is_ours,
    policy::{Good, MISSING, Policy},
};
use crate::{
    auth::{Admitted, Scheme, admission::Entry, query, scheme::is_preflight},
    clock::Clock,
    fields::same_name,
    guard::{Guard, Head, Pass, Verdict},
    rejection::Rejection,
};

/// The guard of [`SignedUrlLayer`](super::SignedUrlLayer).
#[derive(Clone)]
pub struct SignedUrl {
    pub(super) policy: Policy,
    pub(super) clock: Clock,
    pub(super) entry: Arc<Entry>,
    /// Fields that would make a request another one than was signed.
    pub(super) removed_fields: Arc<[HeaderName]>,
}

impl SignedUrl {
    fn admit(&self, good: Good) -> Permitted {
        Permitted {
            keeps_signature: self.entry.forward_credential,
            admitted: self.entry.admit(good.identity, None),
            removed_fields: Arc::clone(&self.removed_fields),
            remaining: Some(good.remaining),
        }
    }

    /// For a request that no signature speaks for.
    fn pass(&self) -> Permitted {
        Permitted {
            keeps_signature: false,
            admitted: self.entry.pass(),
            removed_fields: Arc::default(),
            remaining: None,
        }
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedUrl").field("keys", &self.policy.keys).finish_non_exhaustive()
    }
}

impl Guard for SignedUrl {
    const NAME: &'static str = "signed_url";
    type Pass = Permitted;

    fn check(&self, head: Head<'_>) -> Verdict<Permitted> {
        if is_preflight(head) {
            return Verdict::admit(self.pass());
        }
        match self.policy.judge(head, self.clock.unix()) {
            Ok(good) => Verdict::admit(self.admit(good)),
            Err(refusal) => Verdict::refuse(refusal.into()),
        }
    }

    fn bypass(&self) -> Option<Permitted> {
        Some(self.pass())
    }
}

impl Scheme for SignedUrl {
    /// A parameter of ours in the query, whatever its spelling.
    fn presented(&self, head: Head<'_>) -> bool {
        query::parameters(head.uri()).any(is_ours)
    }

    /// 403: there is no challenge (RFC 9110 §11.6.1) that a client could answer with a URL.
    fn missing(&self) -> Rejection {
        MISSING.into()
    }
}

/// What a signed URL brings: the identity in extensions, our parameters out of the URI, and out of the fields what
/// would change the meaning of what was signed.
pub struct Permitted {
    keeps_signature: bool,
    admitted: Admitted,
    removed_fields: Arc<[HeaderName]>,
    remaining: Option<Duration>,
}

impl fmt::Debug for Permitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permitted").field(&self.admitted).finish()
    }
}

impl Pass for Permitted {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        if !self.keeps_signature {
            query::remove(request, is_ours);
        }
        remove_fields(request, &self.removed_fields);
        self.admitted.enter(request);
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        if let Some(remaining) = self.remaining {
            lifetime::cap(response.headers_mut(), remaining.as_secs());
        }
    }
}

/// Under any spelling that a recipient might take for one of these.
fn remove_fields<B>(request: &mut Request<B>, fields: &[HeaderName]) {
    let headers = request.headers_mut();
    let is_one = |name: &&HeaderName| fields.iter().any(|it| same_name(it.as_str(), name.as_str()));
    let found: Vec<HeaderName> = headers.keys().filter(is_one).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}
