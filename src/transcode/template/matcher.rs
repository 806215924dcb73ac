//! All templates: which one takes a path.

use std::{borrow::Cow, collections::BTreeMap};

use http::{HeaderValue, Method};
use percent_encoding::percent_decode_str;

use super::{Segment, Template};
use crate::pattern::{End, Node, Pattern, PatternSegment, allow};

/// Templates by method, as trees of segments: one for those without a verb, and one for each verb.
#[derive(Default)]
pub(crate) struct Matcher {
    plain: Node,
    /// By decoded verb.
    verbs: BTreeMap<Box<[u8]>, Node>,
}

impl Matcher {
    /// Adds a template for a method, or for any; or returns the number of the one that takes the same requests.
    pub(crate) fn add(
        &mut self,
        method: Option<Method>,
        template: &Template,
        number: usize,
    ) -> Option<usize> {
        let tree = match template.verb() {
            None => &mut self.plain,
            Some(verb) => self.verbs.entry(decoded(verb).into()).or_default(),
        };
        tree.leaf_mut(&Pattern::from(template)).add(method, number)
    }

    /// The number of the template that takes the path.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<usize> {
        let mut trees = self.trees(path);
        trees.find_map(|(tree, path)| tree.find(Some(path), &mut |leaf| leaf.pick(method)))
    }

    /// The methods, for `Allow`, for which the path is taken; none if it is not for any.
    pub(crate) fn allow(&self, path: &str) -> Option<HeaderValue> {
        let mut methods = Vec::new();
        for (tree, path) in self.trees(path) {
            tree.find::<()>(Some(path), &mut |leaf| {
                leaf.methods(&mut methods);
                None
            });
        }
        (!methods.is_empty()).then(|| allow(methods))
    }

    /// The trees in which the path may be found, each with what it finds: the path after its first slash.
    fn trees<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a Node, &'a str)> {
        let relative = path.strip_prefix('/').filter(|_| !path.contains("//"));
        let with_verb = || {
            let (before, verb) = split_verb(path)?;
            Some((self.verbs.get(&*decoded(verb))?, before.get(1..)?))
        };
        let plain = relative.map(|relative| (&self.plain, relative));
        relative.and_then(|_| with_verb()).into_iter().chain(plain)
    }
}

/// The path up to the last colon of its last segment, and what follows.
pub(super) fn split_verb(path: &str) -> Option<(&str, &str)> {
    let at = memchr::memrchr2(b':', b'/', path.as_bytes())?;
    let verb = path.get(at..)?.strip_prefix(':')?;
    Some((path.get(..at)?, verb))
}

fn decoded(verb: &str) -> Cow<'_, [u8]> {
    percent_decode_str(verb).into()
}

// === impl Pattern ===

impl From<&Template> for Pattern {
    fn from(template: &Template) -> Self {
        let literal = |text: &str| PatternSegment::Literal(text.into());
        let (end, segments) = match template.segments() {
            [] => return Self { segments: vec![literal("")], end: End::Exact },
            [before @ .., Segment::Rest] => (End::Prefix, before),
            all => (End::Exact, all),
        };
        let segments = segments.iter().map(|segment| match segment {
            Segment::Literal(text) => literal(text),
            Segment::One | Segment::Rest => PatternSegment::Capture("".into()),
        });
        Self { segments: segments.collect(), end }
    }
}
