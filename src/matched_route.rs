//! Where a request was routed: set by the route layer, read by limits, logs and handlers.

use std::{fmt, ops::Range, sync::Arc};

use http::uri::PathAndQuery;
use smallvec::SmallVec;

/// The pattern that a request matched, and what its captures hold.
///
/// The pattern is a template (`/v1/users/{id}`), so it is safe as a metric label; captured values are slices of
/// the path as it was judged, still percent-encoded.
#[derive(Clone)]
pub struct MatchedRoute {
    pattern: Arc<str>,
    path: Option<PathAndQuery>,
    captures: SmallVec<[(Arc<str>, Range<u32>); 2]>,
}

impl MatchedRoute {
    /// A match without captures.
    pub fn new(pattern: impl Into<Arc<str>>) -> Self {
        Self { pattern: pattern.into(), path: None, captures: SmallVec::new() }
    }

    /// The same with captures: names and the byte ranges of the path that they hold. The path is shared with the
    /// request's URI, not copied.
    ///
    /// Ranges that do not lie within the path read as empty.
    #[must_use]
    pub fn with_captures(
        mut self,
        path: PathAndQuery,
        captures: impl IntoIterator<Item = (Arc<str>, Range<u32>)>,
    ) -> Self {
        self.path = Some(path);
        self.captures = captures.into_iter().collect();
        self
    }

    /// The pattern, as it was written in the table.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// What the capture of this name holds.
    pub fn capture(&self, name: &str) -> Option<&str> {
        self.captures().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// All captures, from left to right.
    pub fn captures(&self) -> impl Iterator<Item = (&str, &str)> {
        let path = self.path.as_ref().map_or("", PathAndQuery::path);
        self.captures.iter().map(move |(name, range)| {
            let range = range.start as usize..range.end as usize;
            (name.as_ref(), path.get(range).unwrap_or_default())
        })
    }
}

impl fmt::Debug for MatchedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MatchedRoute").field(&self.pattern).finish()
    }
}
