//! What a limit does while its store cannot be asked: pure.

use std::time::Duration;

/// What becomes of requests while the store of a shared limit cannot be asked. See
/// [`Limit::on_store_failure`](crate::rate_limit::Limit::on_store_failure).
///
/// ```
/// use std::time::Duration;
/// use tower_gateway::rate_limit::Fallback;
///
/// let a_while = Fallback::local_share().at_most(Duration::from_secs(300)).then_closed();
/// assert_eq!(Fallback::default(), Fallback::local_share());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    first: Rung,
    then: Option<(Duration, Rung)>,
}

/// A step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rate_limit) enum Rung {
    Share,
    Open,
    Closed,
}

impl Fallback {
    /// Each node admits its share: the limit divided by the number of nodes, rounded up. The default.
    pub const fn local_share() -> Self {
        Self { first: Rung::Share, then: None }
    }

    /// All are admitted, as if there were no limit: for limits that protect a price rather than a machine.
    pub const fn open() -> Self {
        Self { first: Rung::Open, then: None }
    }

    /// None is admitted: 503 with `Retry-After`, since it is not the client that has taken too much.
    pub const fn closed() -> Self {
        Self { first: Rung::Closed, then: None }
    }

    /// So long at most, counted from the first failure of an outage; what then, is said next.
    pub const fn at_most(self, time: Duration) -> FirstFallback {
        FirstFallback { first: self.first, time }
    }

    /// Where it stands in an outage that lasts so long.
    pub(super) fn rung(self, outage: Duration) -> Rung {
        match self.then {
            Some((time, then)) if outage >= time => then,
            _ => self.first,
        }
    }
}

impl Default for Fallback {
    fn default() -> Self {
        Self::local_share()
    }
}

impl Rung {
    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// The first part of a [`Fallback`] that changes as an outage lasts. Created by [`Fallback::at_most`].
#[derive(Clone, Copy, Debug)]
#[must_use = "what comes then?"]
pub struct FirstFallback {
    first: Rung,
    time: Duration,
}

impl FirstFallback {
    /// Then all are admitted.
    pub const fn then_open(self) -> Fallback {
        Fallback { first: self.first, then: Some((self.time, Rung::Open)) }
    }

    /// Then none is.
    pub const fn then_closed(self) -> Fallback {
        Fallback { first: self.first, then: Some((self.time, Rung::Closed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_holds_for_its_time_and_the_last_for_ever() {
        let minute = Duration::from_secs(60);
        let share = Fallback::local_share();
        let table = [
            (share, [Rung::Share, Rung::Share, Rung::Share]),
            (Fallback::open(), [Rung::Open, Rung::Open, Rung::Open]),
            (Fallback::closed(), [Rung::Closed, Rung::Closed, Rung::Closed]),
            (share.at_most(minute).then_open(), [Rung::Share, Rung::Open, Rung::Open]),
            (share.at_most(minute).then_closed(), [Rung::Share, Rung::Closed, Rung::Closed]),
            (
                Fallback::open().at_most(minute).then_closed(),
                [Rung::Open, Rung::Closed, Rung::Closed],
            ),
            (share.at_most(Duration::ZERO).then_open(), [Rung::Open, Rung::Open, Rung::Open]),
        ];
        for (fallback, rungs) in table {
            let times = [Duration::ZERO, minute, Duration::MAX];
            assert_eq!(times.map(|time| fallback.rung(time)), rungs, "{fallback:?}");
        }
    }
}
