//! Many patterns: a tree of segments, whose leaves are entries of a table by method.

use std::{borrow::Cow, collections::BTreeMap};

#[cfg(any(feature = "route", feature = "transcode"))]
use http::HeaderValue;
use http::Method;
use percent_encoding::percent_decode_str;

use super::path::{End, Pattern, Segment};

/// A place in the tree: what is behind so many segments.
#[derive(Default)]
pub(crate) struct Node {
    /// By decoded text.
    literals: BTreeMap<Box<[u8]>, Node>,
    capture: Option<Box<Node>>,
    exact: Leaf,
    rest: Leaf,
    prefix: Leaf,
}

/// The routes of one pattern, by method: indices into the table's entries.
#[derive(Default)]
pub(crate) struct Leaf(Vec<(Option<Method>, usize)>);

/// A segment as an upstream reads it: to most, `x%3Acancel` is `x:cancel`. No segment gains a slash by this, for a
/// path with an encoded one is refused before, or no literal has one.
fn decoded(segment: &str) -> Cow<'_, [u8]> {
    percent_decode_str(segment).into()
}

// === impl Node ===

impl Node {
    pub(crate) fn leaf_mut(&mut self, pattern: &Pattern) -> &mut Leaf {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(decoded(text).into()).or_default(),
                Segment::Capture(_) => node.capture.get_or_insert_default(),
            };
        }
        match pattern.end {
            End::Exact => &mut node.exact,
            End::Rest(_) => &mut node.rest,
            End::Prefix => &mut node.prefix,
        }
    }

    /// The first that is accepted at this place or below. `path` is what follows after a slash; `None` when the
    /// path ends here. Visits each node at most once.
    pub(crate) fn find<'a, T>(
        &'a self,
        path: Option<&str>,
        accept: &mut impl FnMut(&'a Leaf) -> Option<T>,
    ) -> Option<T> {
        let more_specific = match path {
            None => accept(&self.exact),
            Some(path) => self.find_below(path, accept),
        };
        more_specific.or_else(|| accept(&self.prefix))
    }

    fn find_below<'a, T>(
        &'a self,
        path: &str,
        accept: &mut impl FnMut(&'a Leaf) -> Option<T>,
    ) -> Option<T> {
        let (segment, path_after) = match path.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (path, None),
        };
        let literal = self.literals.get(&*decoded(segment));
        if let Some(found) = literal.and_then(|node| node.find(path_after, accept)) {
            return Some(found);
        }
        if segment.is_empty() {
            return None; // captures and rests hold something
        }
        let capture = self.capture.as_ref();
        capture.and_then(|node| node.find(path_after, accept)).or_else(|| accept(&self.rest))
    }

    /// Collects the routes here and below whose requests all go to more specific ones. No path ends at the root.
    pub(crate) fn shadowed(&self, root: bool, routes: &mut Vec<usize>) {
        for (method, route) in &self.rest.0 {
            if self.capture_takes_all(method) {
                routes.push(*route);
            }
        }
        for (method, route) in &self.prefix.0 {
            let below = self.capture_takes_all(method) || self.rest.takes(method);
            if (root || self.exact.takes(method)) && self.slash_taken(method) && below {
                routes.push(*route);
            }
        }
        let children = self.literals.values().chain(self.capture.as_deref());
        children.for_each(|node| node.shadowed(false, routes));
    }

    /// Whether every path that goes on with a segment that is not empty is taken behind a capture.
    fn capture_takes_all(&self, method: &Option<Method>) -> bool {
        self.capture.as_ref().is_some_and(|node| {
            let below = || node.capture_takes_all(method) || node.rest.takes(method);
            node.prefix.takes(method)
                || node.exact.takes(method) && node.slash_taken(method) && below()
        })
    }

    /// Whether the path that ends with a slash after this place is taken.
    fn slash_taken(&self, method: &Option<Method>) -> bool {
        let node = self.literals.get(&b""[..]);
        node.is_some_and(|node| node.exact.takes(method) || node.prefix.takes(method))
    }
}

// === impl Leaf ===

impl Leaf {
    /// Adds a route, or returns the one that has this method already.
    pub(crate) fn add(&mut self, method: Option<Method>, index: usize) -> Option<usize> {
        let known = self.0.iter().find(|(known, _)| *known == method);
        let known = known.map(|(_, index)| *index);
        if known.is_none() {
            self.0.push((method, index));
        }
        known
    }

    pub(crate) fn pick(&self, method: &Method) -> Option<usize> {
        let of = |wanted: Option<&Method>| {
            let fits = |(known, _): &&(Option<Method>, usize)| known.as_ref() == wanted;
            self.0.iter().find(fits).map(|(_, index)| *index)
        };
        let as_get = || (method == Method::HEAD).then(|| of(Some(&Method::GET))).flatten();
        of(Some(method)).or_else(as_get).or_else(|| of(None))
    }

    /// Whether all requests with this method, or with any, are taken.
    fn takes(&self, method: &Option<Method>) -> bool {
        match method {
            Some(method) => self.pick(method).is_some(),
            None => self.0.iter().any(|(known, _)| known.is_none()),
        }
    }

    #[cfg(any(feature = "route", feature = "transcode"))]
    pub(crate) fn methods<'a>(&'a self, all: &mut Vec<&'a Method>) {
        all.extend(self.0.iter().filter_map(|(method, _)| method.as_ref()));
    }
}

/// The value of `Allow`: sorted, and with `HEAD` where there is `GET`.
#[cfg(any(feature = "route", feature = "transcode"))]
pub(crate) fn allow(mut methods: Vec<&Method>) -> HeaderValue {
    if methods.contains(&&Method::GET) {
        methods.push(&Method::HEAD);
    }
    methods.sort_unstable_by_key(|method| method.as_str());
    methods.dedup();
    let names: Vec<&str> = methods.into_iter().map(Method::as_str).collect();
    HeaderValue::try_from(names.join(", ")).expect("methods are tokens")
}
