//! Until when an answer is of use: set by an outer layer that gives up then, read by layers that ask others.

use std::time::Instant;

/// When the request's time is up, by [`Clock::now`](crate::clock::Clock::now).
///
/// A layer that stops waiting at some moment may put it into the request's extensions, so that those within tell whom
/// they ask: work that nobody waits for is not begun. A layer that finds one already keeps the earlier of the two
/// ([`Deadline::earlier`]). It is a hint and ends nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The one of two that comes first; the outer layer's may be missing.
    #[must_use]
    pub fn earlier(self, outer: Option<Self>) -> Self {
        outer.map_or(self, |outer| self.min(outer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::time::Duration;

    #[test]
    fn the_earlier_one_holds() {
        let soon = Deadline(Clock::system().now());
        let late = Deadline(soon.0 + Duration::from_secs(1));
        assert_eq!(late.earlier(Some(soon)), soon);
        assert_eq!(soon.earlier(Some(late)), soon);
        assert_eq!(late.earlier(None), late);
    }
}
