//! What is said of a ruling: in metrics, in fields, and to whom it refuses.

use std::time::Duration;

use super::{
    book::{Book, Kept},
    counted::Stamps,
    fields::Stamp,
    legacy::Legacy,
    ruling::{Ruling, Said},
};
use crate::{
    event::Outcome,
    rejection::{Reason, Rejection},
};

/// Who is asked: the limit at this place in the layer, or its penalty box.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) place: usize,
    pub(super) penalty: bool,
}

impl Book {
    /// Each limit that counts, and what it said; behind it, its penalty box.
    fn said<'a>(
        &'a self,
        asked: &'a [Asked],
        ruling: &'a Ruling,
    ) -> impl Iterator<Item = (&'a Kept, bool, &'a Said)> {
        let said = asked.iter().zip(ruling.said());
        said.map(|(asked, said)| (&*self.limits[asked.place], asked.penalty, said))
    }

    /// Counts what became of the request under each limit.
    pub(super) fn count(&self, asked: &[Asked], ruling: &Ruling) {
        let goes_on = ruling.refusal().is_none();
        let mut said = self.said(asked, ruling).peekable();
        while let Some((kept, _, limit)) = said.next() {
            let penalty = said.next_if(|(_, penalty, _)| *penalty).map(|(_, _, said)| said);
            let outcome = outcome(limit, penalty, goes_on);
            let outcome = match outcome {
                Some(Outcome::Refused | Outcome::Banned) if self.terms.report_only => {
                    Some(Outcome::Reported)
                }
                outcome => outcome,
            };
            outcome.into_iter().for_each(|it| kept.tally.count(it));
        }
    }

    /// Penalty boxes have no fields but when they refuse.
    pub(super) fn stamps(&self, asked: &[Asked], ruling: &Ruling) -> Stamps {
        let shown =
            self.said(asked, ruling).filter(|(_, penalty, said)| !penalty || said.refuses());
        shown.filter_map(|(kept, penalty, said)| kept.stamp(said, penalty)).collect()
    }

    pub(super) fn legacy(&self, ruling: &Ruling) -> Option<Legacy> {
        self.terms.legacy.then(|| Legacy::of(ruling.said())).flatten()
    }

    /// What limits that only report would have refused.
    pub(super) fn reports(&self, asked: &[Asked], ruling: &Ruling) -> Vec<Rejection> {
        let would = self.said(asked, ruling).filter(|(_, _, said)| !said.enforced);
        let report = |(kept, penalty, said): (&Kept, bool, &Said)| {
            let wait = said.answer.verdict.err()?;
            Some(kept.named(limited(wait), penalty))
        };
        would.filter_map(report).collect()
    }

    /// The refusal by those that refuse.
    pub(super) fn refusal(
        &self,
        asked: &[Asked],
        ruling: &Ruling,
        wait: Option<Duration>,
    ) -> Rejection {
        // A ban outlasts what its limit says, and so is named first.
        let by = |boxes| {
            self.said(asked, ruling).filter(move |(_, it, said)| *it == boxes && said.refuses())
        };
        let refusing = by(true).chain(by(false));
        let no = refusing.fold(limited(wait), |no, (kept, penalty, _)| kept.named(no, penalty));
        let fields = self.stamps(asked, ruling).into_iter().flat_map(Stamp::into_fields);
        let legacy = self.legacy(ruling);
        let fields = fields.chain(legacy.into_iter().flat_map(Legacy::into_fields));
        fields.fold(no, |no, (name, value)| no.with_header(name, value))
    }
}

impl Kept {
    /// What its fields say; those of no limit say nothing.
    pub(super) fn stamp(&self, said: &Said, penalty: bool) -> Option<Stamp> {
        self.fields(penalty)?.stamp(said)
    }

    /// A refusal by this limit, or by its penalty box.
    fn named(&self, no: Rejection, penalty: bool) -> Rejection {
        no.with_member("policy", &**self.policy(penalty))
    }
}

/// What became of a request under one limit; nothing, if others refused it.
fn outcome(limit: &Said, penalty: Option<&Said>, goes_on: bool) -> Option<Outcome> {
    let refuses = |said: &Said| said.answer.verdict.is_err();
    match (refuses(limit), penalty.is_some_and(refuses)) {
        (false, false) => goes_on.then_some(Outcome::Admitted),
        _ if !limit.enforced => Some(Outcome::Reported),
        (_, true) => Some(Outcome::Banned),
        (true, false) => Some(Outcome::Refused),
    }
}

fn limited(wait: Option<Duration>) -> Rejection {
    match wait {
        Some(wait) => Rejection::rate_limited(wait),
        None => Rejection::new(Reason::RateLimited, "No requests are admitted here."),
    }
}
