//! What the captures of a pattern hold in a path.

use std::{ops::Range, sync::Arc};

use super::path::{End, Pattern, Segment};

/// Each capture's name, the number of its segment, and whether it takes the rest.
pub(crate) struct Captures(Box<[(Arc<str>, usize, bool)]>);

impl Captures {
    pub(crate) fn of(pattern: &Pattern) -> Self {
        let of_segment = |(at, segment): (usize, &Segment)| match segment {
            Segment::Capture(name) => Some((Arc::clone(name), at, false)),
            Segment::Literal(_) => None,
        };
        let rest = match &pattern.end {
            End::Rest(name) => Some((Arc::clone(name), pattern.segments.len(), true)),
            End::Exact | End::Prefix => None,
        };
        let segments = pattern.segments.iter().enumerate().filter_map(of_segment);
        Self(segments.chain(rest).collect())
    }

    #[cfg(feature = "route")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, and the ranges that they hold of a `path` that the pattern takes.
    pub(crate) fn ranges(&self, path: &str) -> impl Iterator<Item = (&Arc<str>, Range<usize>)> {
        self.0.iter().map(move |(name, segment, rest)| {
            let start = start_of(path, *segment);
            let end = match rest {
                true => path.len(),
                false => start + path.get(start..).map_or(0, |it| it.find('/').unwrap_or(it.len())),
            };
            (name, start..end)
        })
    }
}

/// Where the segment of this number begins; beyond the end for the one after the last.
pub(crate) fn start_of(path: &str, segment: usize) -> usize {
    let mut slashes = path.match_indices('/').map(|(at, _)| at + 1);
    slashes.nth(segment).unwrap_or(path.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_hold_a_segment_or_the_rest() {
        let held = |pattern: &str, prefix, path: &str| {
            let captures = Captures::of(&Pattern::parse(pattern, prefix).unwrap());
            let ranges = captures.ranges(path).map(|(name, at)| format!("{name}={}", &path[at]));
            ranges.collect::<Vec<_>>()
        };
        assert_eq!(held("/a/{b}/c/{d}", false, "/a/%20/c/x"), ["b=%20", "d=x"]);
        assert_eq!(held("/{a}", true, "/x/y/z"), ["a=x"]);
        assert_eq!(held("/a/{b}/{*c}", false, "/a/x/y/z/"), ["b=x", "c=y/z/"]);
        assert!(held("/a", false, "/a").is_empty());
    }
}
