//! What follows from an authentication: an identity goes in, the credential does not.

use std::{borrow::Cow, fmt, sync::Arc};

use http::{HeaderValue, Request, Response, header};

use super::{
    challenge::Challenge,
    credential::{Kept, Sources, Unreadable},
    forward::{Fields, Forwarding},
};
use crate::{
    guard::{Head, Pass},
    identity::{Claims, Identity},
    rejection::Rejection,
};

/// How a scheme's admissions change requests.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) sources: Sources,
    /// Whether a credential that was verified stays in the request.
    pub(crate) forward_credential: bool,
    pub(crate) forwarding: Forwarding,
}

impl Entry {
    pub(crate) fn reading(sources: Sources) -> Self {
        Self { sources, forward_credential: false, forwarding: Forwarding::default() }
    }

    /// For a request that speaks for this identity.
    pub(crate) fn admit<C>(
        self: &Arc<Self>,
        identity: Identity,
        claims: Option<Claims<C>>,
    ) -> Admitted<C> {
        let fields = self.forwarding.fields(&identity);
        self.admit_with(identity, claims, fields)
    }

    /// The same, with the fields that this identity was given before.
    pub(crate) fn admit_with<C>(
        self: &Arc<Self>,
        identity: Identity,
        claims: Option<Claims<C>>,
        fields: Fields,
    ) -> Admitted<C> {
        Admitted { claims, fields, identity: Some(identity), ..self.pass() }
    }

    /// The one credential of the request; or the refusal of one that has none, or two to choose from.
    pub(crate) fn credential<'a>(
        &self,
        head: Head<'a>,
        challenge: &Challenge,
    ) -> Result<Cow<'a, str>, Rejection> {
        match self.sources.read(head) {
            Ok(Some(credential)) => Ok(credential),
            Ok(None) => Err(challenge.missing()),
            Err(Unreadable::Ambiguous(why)) => Err(challenge.invalid_request(why)),
            Err(Unreadable::Malformed(why)) => Err(challenge.invalid_token(why)),
        }
    }

    /// For a request that speaks for nobody: it loses the credential, and fields that look like ours.
    pub(crate) fn pass<C>(self: &Arc<Self>) -> Admitted<C> {
        Admitted {
            entry: Arc::clone(self),
            identity: None,
            claims: None,
            fields: Fields::new(),
            in_query: false,
            kept: None,
        }
    }
}

/// What an authentication brings: the identity and the claims in extensions, the credential out, claim fields in.
pub struct Admitted<C = ()> {
    entry: Arc<Entry>,
    identity: Option<Identity>,
    claims: Option<Claims<C>>,
    fields: Fields,
    in_query: bool,
    /// The verified credential that stays, when other passes go in before this one.
    kept: Option<Box<Kept>>,
}

impl<C> fmt::Debug for Admitted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl<C: Send + Sync + 'static> Pass for Admitted<C> {
    fn prepare<B>(&mut self, request: &Request<B>) {
        if self.identity.is_some() && self.entry.forward_credential {
            self.kept = self.entry.sources.keep(request).map(Box::new);
        }
    }

    fn enter<B>(&mut self, request: &mut Request<B>) {
        let Entry { forwarding, sources, forward_credential } = &*self.entry;
        self.in_query = sources.in_query(request.uri());
        // What nobody has verified is never passed on, whatever the settings.
        if self.identity.is_none() || !forward_credential {
            sources.remove(request);
        } else if let Some(kept) = self.kept.take() {
            // Another scheme that reads the same place takes out what it has not verified.
            sources.put_back(*kept, request);
        }
        // After that: a claim may go on under the name under which the credential came.
        forwarding.apply(request, &mut self.fields);
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
