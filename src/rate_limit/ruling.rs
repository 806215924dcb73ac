//! What all limits of a request say together, whoever keeps them.

use std::time::Duration;

use smallvec::SmallVec;

use super::{quota::Quota, store::Answer};

/// What each limit said, in the order in which they were asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ruling(SmallVec<[Said; 2]>);

/// What one limit said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) quota: Quota,
    /// Whether a refusal counts.
    pub(super) enforced: bool,
    pub(super) answer: Answer,
}

impl Said {
    /// Whether it refuses the request.
    pub(super) fn refuses(&self) -> bool {
        self.enforced && self.answer.verdict.is_err()
    }
}

impl FromIterator<Said> for Ruling {
    fn from_iter<I: IntoIterator<Item = Said>>(said: I) -> Self {
        Self(said.into_iter().collect())
    }
}

impl Ruling {
    pub(super) fn said(&self) -> &[Said] {
        &self.0
    }

    /// `None` if the request is admitted; else when it would be, if ever: when the last of those that refuse it
    /// would admit it.
    pub(super) fn refusal(&self) -> Option<Option<Duration>> {
        let waits = self.0.iter().filter(|said| said.refuses());
        let waits = waits.map(|said| said.answer.verdict.err().flatten());
        waits.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)))
    }

    /// The ruling where nobody can wait: who would have to is refused.
    pub(super) fn without_waiting(mut self) -> Self {
        for said in &mut self.0 {
            if let Ok(grant) = said.answer.verdict
                && !grant.delay.is_zero()
            {
                said.answer.verdict = Err(Some(grant.delay));
            }
        }
        self
    }

    /// How long the admitted request waits for its turn.
    pub(super) fn delay(&self) -> Duration {
        let delays = self.0.iter().filter(|said| said.enforced);
        delays.filter_map(|said| Some(said.answer.verdict.ok()?.delay)).max().unwrap_or_default()
    }
}
