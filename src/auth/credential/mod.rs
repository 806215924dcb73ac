//! Reading a credential from a request's head, and removing it.
//!
//! There must be one credential, in one place. Two are never a choice for the gateway: an upstream might choose
//! the other one.

mod cookie;
mod source;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc};

use http::{HeaderName, HeaderValue, Request, Uri, header};
use smallvec::SmallVec;

use super::query;
use crate::guard::Head;

pub(crate) use self::source::{ACCESS_TOKEN, Source, is_token68};

/// All places where one scheme's credential may be; it must be in one of them.
#[derive(Clone, Debug)]
pub(crate) struct Sources(SmallVec<[Source; 2]>);

/// Why no credential could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// More than one; RFC 6750 §3.1 makes that `invalid_request`, 400.
    Ambiguous(&'static str),
    /// One that is none in form; `invalid_token`, 401.
    Malformed(&'static str),
}

/// A credential as it stood in a request.
pub(crate) enum Kept {
    Field(HeaderName, HeaderValue),
    /// Still encoded.
    Parameter(Box<str>),
    /// The pair.
    Cookie(HeaderValue),
}

type Found<'a> = Result<Option<Cow<'a, str>>, Unreadable>;

// === impl Sources ===

impl Sources {
    pub(crate) fn only(source: Source) -> Self {
        Self(SmallVec::from_iter([source]))
    }

    /// Bearer tokens are ours only if they begin so.
    #[cfg(feature = "api-key")]
    pub(crate) fn narrow_bearer(&mut self, prefix: &Arc<str>) {
        let is_bearer = |it: &Source| matches!(it, Source::Bearer | Source::BearerWith(_));
        if self.0.iter().any(is_bearer) {
            self.0.retain(|it| !is_bearer(it)); // one, even if it was asked for twice
            self.0.push(Source::BearerWith(Arc::clone(prefix)));
        }
    }

    /// Another place, if it is one.
    pub(crate) fn add(&mut self, source: Source) {
        if !self.0.contains(&source) {
            self.0.push(source);
        }
    }

    /// The one credential of the request, if it has any.
    pub(crate) fn read<'a>(&self, head: Head<'a>) -> Found<'a> {
        let mut found = None;
        for source in &self.0 {
            match (source.read(head)?, &found) {
                (Some(_), Some(_)) => {
                    return Err(Unreadable::Ambiguous(
                        "The request has credentials in two places.",
                    ));
                }
                (Some(one), None) => found = Some(one),
                (None, _) => {}
            }
        }
        Ok(found)
    }

    /// Whether the request has a credential, or what looks like one.
    pub(crate) fn is_there(&self, head: Head<'_>) -> bool {
        !matches!(self.read(head), Ok(None))
    }

    /// Whether the credential stands in the URI.
    pub(crate) fn in_query(&self, uri: &Uri) -> bool {
        self.0.iter().any(|source| match source {
            Source::Query(name) => query::parameters(uri).any(|it| query::is_named(it, name)),
            _ => false,
        })
    }

    /// The one credential as it stands in the request, to be put back.
    pub(crate) fn keep<B>(&self, request: &Request<B>) -> Option<Kept> {
        self.0.iter().find_map(|source| source.keep(request))
    }

    /// Puts the credential back, if it is gone.
    pub(crate) fn put_back<B>(&self, kept: Kept, request: &mut Request<B>) {
        if self.keep(request).is_none() {
            kept.put_back(request);
        }
    }

    /// Takes whatever stands in these places out of the request.
    pub(crate) fn remove<B>(&self, request: &mut Request<B>) {
        for source in &self.0 {
            source.remove(request);
        }
    }
}

// === impl Kept ===

impl Kept {
    fn put_back<B>(self, request: &mut Request<B>) {
        match self {
            Self::Field(name, value) => {
                request.headers_mut().insert(name, value);
            }
            Self::Parameter(parameter) => query::append(request, &parameter),
            Self::Cookie(cookie) => {
                request.headers_mut().append(header::COOKIE, cookie);
            }
        }
    }
}
