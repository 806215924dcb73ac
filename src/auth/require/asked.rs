//! What a rule of the user's sees of a request.

use std::{borrow::Cow, fmt};

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use crate::{guard::Head, matched_route::MatchedRoute, pattern::Captures};

/// What is asked: the method, and what the path's pattern has captured.
///
/// Under a table, these are the captures of the rule's own pattern; under a single rule, those of the
/// [`MatchedRoute`] that a route layer further out has left.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub(super) head: Head<'a>,
    pub(super) place: Option<Place<'a>>,
}

/// Where a table has found the rule.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) pattern: &'a str,
    pub(super) captures: &'a Captures,
    /// Canonical.
    pub(super) path: &'a str,
}

impl<'a> Asked<'a> {
    /// The request method, as it stands: fields such as `X-HTTP-Method-Override` are not read.
    pub fn method(self) -> &'a Method {
        self.head.method()
    }

    /// The header fields.
    pub fn headers(self) -> &'a HeaderMap {
        self.head.headers()
    }

    /// The typed extension that an outer layer left.
    pub fn get<T: Clone + Send + Sync + 'static>(self) -> Option<&'a T> {
        self.head.get()
    }

    /// The pattern: `/users/{id}`.
    pub fn pattern(self) -> Option<&'a str> {
        let routed = || self.get::<MatchedRoute>().map(MatchedRoute::pattern);
        self.place.map(|it| it.pattern).or_else(routed)
    }

    /// What the capture of this name holds, percent-decoded once; `None` if there is none, or it is not UTF-8.
    pub fn capture(self, name: &str) -> Option<Cow<'a, str>> {
        percent_decode_str(self.encoded(name)?).decode_utf8().ok()
    }

    /// Whether the capture of this name holds this text: `asked.captured("id", &claims.sub)`. No text is in an
    /// absent capture.
    pub fn captured(self, name: &str, text: &str) -> bool {
        self.capture(name).is_some_and(|held| held == text)
    }

    fn encoded(self, name: &str) -> Option<&'a str> {
        let Some(Place { captures, path, .. }) = self.place else {
            return self.get::<MatchedRoute>()?.capture(name);
        };
        let (_, at) = captures.ranges(path).find(|(known, _)| known.as_ref() == name)?;
        path.get(at)
    }
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No captures: they name other people's things.
        f.debug_struct("Asked")
            .field("method", self.method())
            .field("pattern", &self.pattern())
            .finish_non_exhaustive()
    }
}
