use std::time::Duration;

use super::quota::Quota;

/// A ban for who is refused too often by a [limit](super::Limit::penalty): Fastly's penalty box.
///
/// ```
/// use std::time::Duration;
/// use tower_gateway::{key, rate_limit::{Limit, Penalty, Quota}};
///
/// // Who goes on for ten refusals within a minute may come back in an hour.
/// let penalty = Penalty::after(10).ban(Duration::from_secs(3_600));
/// let limit = Limit::new(Quota::per_second(5), key::client_ip()).penalty(penalty);
/// ```
///
/// Each refusal by its limit counts, and none by other limits of the layer. The refusal that fills the box says so
/// already: `Retry-After` is the whole ban, and the violated policy is `<name>-penalty`. While the ban lasts, requests of the key are refused whatever it has left, spend nothing, and do not prolong it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Penalty {
    refusals: u64,
    within: Duration,
    ban: Duration,
}

impl Penalty {
    /// After so many refusals; 0 is 1. Without further settings, within a minute, for five minutes.
    pub const fn after(refusals: u64) -> Self {
        Self { refusals, within: Duration::from_secs(60), ban: Duration::from_secs(300) }
    }

    /// Counts refusals for so long, from the first one on. Default: 60 s. At least a nanosecond, at most 146 years.
    #[must_use]
    pub const fn within(self, period: Duration) -> Self {
        Self { within: period, ..self }
    }

    /// How long the ban lasts. Default: 300 s. At most 146 years.
    #[must_use]
    pub const fn ban(self, ban: Duration) -> Self {
        Self { ban, ..self }
    }

    pub(super) fn quota(self) -> Quota {
        Quota::penalty_box(self.refusals, self.within, self.ban)
    }
}
