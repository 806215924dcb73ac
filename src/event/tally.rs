//! The counters of a policy, with keys that are made once: counting allocates nothing.

/// What became of a request under a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "used by the concerns that have policies")]
pub(crate) enum Outcome {
    /// It was within the limit, and went on.
    Admitted,
    /// The limit refused it.
    Refused,
    /// The limit would have refused it, and only reports.
    Reported,
    /// Its key is banned for a time.
    Banned,
    /// Its final cost could not be told to those who keep the limit.
    Unsettled,
}

#[cfg(feature = "metrics")]
pub(crate) use counted::Tally;
#[cfg(not(feature = "metrics"))]
pub(crate) use uncounted::Tally;

#[cfg(feature = "metrics")]
mod counted {
    use metrics::{Key, Label};

    use super::Outcome;

    const NAME: &str = "tower_gateway_rate_limit_total";
    const OUTCOMES: [&str; 5] = ["admitted", "refused", "reported", "banned", "unsettled"];

    /// `tower_gateway_rate_limit_total{policy, outcome}` for one policy.
    #[derive(Debug)]
    pub(crate) struct Tally([Key; OUTCOMES.len()]);

    #[allow(dead_code, reason = "used by the concerns that have policies")]
    impl Tally {
        pub(crate) fn of(policy: &str) -> Self {
            Self(OUTCOMES.map(|outcome| {
                let policy = Label::new("policy", policy.to_owned());
                Key::from_parts(NAME, vec![policy, Label::new("outcome", outcome)])
            }))
        }

        pub(crate) fn count(&self, outcome: Outcome) {
            super::super::count(&self.0[outcome as usize]);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn each_outcome_has_its_own_name() {
            let tally = Tally::of("per-client");
            let outcomes = [
                (Outcome::Admitted, "admitted"),
                (Outcome::Refused, "refused"),
                (Outcome::Reported, "reported"),
                (Outcome::Banned, "banned"),
                (Outcome::Unsettled, "unsettled"),
            ];
            for (outcome, name) in outcomes {
                let labels = [("policy", "per-client"), ("outcome", name)];
                assert_eq!(tally.0[outcome as usize], Key::from_parts(NAME, &labels));
            }
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod uncounted {
    use super::Outcome;

    /// Counts nothing.
    #[derive(Debug)]
    pub(crate) struct Tally;

    #[allow(dead_code, reason = "used by the concerns that have policies")]
    impl Tally {
        pub(crate) fn of(_: &str) -> Self {
            Self
        }

        pub(crate) fn count(&self, _: Outcome) {}
    }
}
