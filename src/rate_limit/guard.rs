//! The guard of a [`RateLimitLayer`](super::RateLimitLayer): asks all limits, and says what they said.

use std::{fmt, slice, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use http::{Request, Response};
use smallvec::SmallVec;

use super::{
    book::{Book, Kept},
    fields::Stamp,
    legacy::Legacy,
    memory::{self, Ask},
    ruling::{Ruling, Said},
    settle::ResponseHead,
    settling::{Account, Reservation, Settling},
    sharing::{Shared, Taken},
    waiting::Place,
};
use crate::{
    body::Watch,
    event::{self, Outcome},
    guard::{Guard, Head, Pass, Verdict},
    rejection::{Reason, Rejection},
};

/// The limits of a layer, and all that they have counted.
pub struct Limits(Arc<ArcSwap<Book>>);

impl Limits {
    pub(super) fn new(book: Book) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(book)))
    }

    /// What a request is judged by; replaced whole.
    pub(super) fn book(&self) -> &Arc<ArcSwap<Book>> {
        &self.0
    }
}

/// What is asked for a request.
#[derive(Default)]
struct Asking {
    asked: SmallVec<[Asked; 4]>,
    reservations: Vec<Reservation>,
}

/// Who is asked: the limit at this place in the layer, or its penalty box.
#[derive(Clone, Copy)]
struct Asked {
    place: usize,
    penalty: bool,
}

impl Asking {
    /// The limit is asked, and its penalty box behind it.
    fn push(&mut self, place: usize, kept: &Kept) {
        self.asked.push(Asked { place, penalty: false });
        if kept.penalty.is_some() {
            self.asked.push(Asked { place, penalty: true });
        }
    }

    /// What the limit that is asked next takes will be settled.
    fn reserve(&mut self, kept: &Arc<Kept>, account: Account) {
        let answer = self.asked.len();
        self.reservations.push(Reservation::new(Arc::clone(kept), account, answer));
    }
}

impl Guard for Limits {
    const NAME: &'static str = "rate_limit";
    type Pass = Counted;

    fn check(&self, head: Head<'_>) -> Verdict<Counted> {
        let book = self.0.load();
        match &book.shared {
            None => take(&book, head).unwrap_or_else(Verdict::refuse),
            Some(shared) => share(&book, shared, head).unwrap_or_else(Verdict::refuse),
        }
    }
}

/// Takes what the request costs from the limits that are kept here.
fn take(book: &Arc<Book>, head: Head<'_>) -> Result<Verdict<Counted>, Rejection> {
    match &*book.limits {
        [kept] if kept.is_plain() => take_from_one(book, kept, head),
        _ => take_from_all(book, head),
    }
}

/// The way of most: one limit, which has its say at once and is done with it. Nothing here is more than
/// [`take_from_all`], but faster.
fn take_from_one(
    book: &Arc<Book>,
    kept: &Kept,
    head: Head<'_>,
) -> Result<Verdict<Counted>, Rejection> {
    let Some(key) = kept.limit.key(head)? else { return Ok(Verdict::admit(Counted::default())) };
    let ask = kept.ask(head, &key);
    let delays = ask.quota.delays();
    let place = delays.then(|| book.room.enter()).flatten();
    let at = book.timeline.moment(ask.quota.reads_the_wall());
    let said = ask.take(at, place.is_some() || !delays);
    if said.answer.verdict.is_ok_and(|grant| grant.delay.is_zero()) {
        kept.tally.count(Outcome::Admitted);
        if kept.fields.is_none() && !book.terms.legacy {
            return Ok(Verdict::admit(Counted::default()));
        }
        let stamps = kept.fields.iter().filter_map(|fields| fields.stamp(&said)).collect();
        let legacy = book.terms.legacy.then(|| Legacy::of(slice::from_ref(&said))).flatten();
        let counted = Aftermath { stamps, legacy, ..Aftermath::default() };
        return Ok(Verdict::admit(counted.into()));
    }
    let asked = SmallVec::from_iter([Asked { place: 0, penalty: false }]);
    let asking = Asking { asked, reservations: Vec::new() };
    Ok(answer(book, asking, Ruling::from_iter([said]), place))
}

fn take_from_all(book: &Arc<Book>, head: Head<'_>) -> Result<Verdict<Counted>, Rejection> {
    let (mut asking, mut asks) = (Asking::default(), SmallVec::<[Ask<'_>; 2]>::new());
    for (place, kept) in book.limits.iter().enumerate() {
        if let Some(key) = kept.limit.key(head)? {
            let ask = kept.ask(head, &key);
            if kept.limit.settlement().is_some() {
                asking.reserve(kept, Account::Here { key: ask.key, quota: ask.quota });
            }
            asks.push(ask);
            asks.extend(kept.penalty_ask(&key));
            asking.push(place, kept);
        }
    }
    if asks.is_empty() {
        return Ok(Verdict::admit(Counted::default()));
    }
    let wall = asks.iter().any(|ask| ask.quota.reads_the_wall());
    // Before anything is spent: who has no place to wait is refused, and spends nothing.
    let delays = asks.iter().any(|ask| ask.quota.delays());
    let place = delays.then(|| book.room.enter()).flatten();
    let ruling = memory::take(&asks, book.timeline.moment(wall), place.is_some() || !delays);
    Ok(answer(book, asking, ruling, place))
}

/// Asks those who keep the limits for many nodes.
fn share(
    book: &Arc<Book>,
    shared: &Arc<Shared>,
    head: Head<'_>,
) -> Result<Verdict<Counted>, Rejection> {
    let (mut asking, mut demands) = (Asking::default(), Vec::new());
    for (place, kept) in book.limits.iter().enumerate() {
        if let Some(key) = kept.limit.key(head)? {
            let penalty = kept.penalty_demand(&key);
            let demand = kept.demand(head, key);
            if kept.limit.settlement().is_some() {
                asking.reserve(kept, Account::Shared(Box::new(demand.clone())));
            }
            demands.push(demand);
            demands.extend(penalty);
            asking.push(place, kept);
        }
    }
    if demands.is_empty() {
        return Ok(Verdict::admit(Counted::default()));
    }
    let (book, shared) = (Arc::clone(book), Arc::clone(shared));
    Ok(match shared.take(&demands) {
        Taken::Now(taken) => answer(&book, asking, shared.settle(&demands, taken)?, None),
        Taken::Later(taken) => Verdict::later(async move {
            let ruling = shared.settle(&demands, taken.await)?;
            match answer(&book, asking, ruling, None) {
                Verdict::Now(decision) => decision,
                Verdict::Later(decision) => decision.await,
            }
        }),
    })
}

/// What becomes of the request, which may have a place to wait.
fn answer(
    book: &Arc<Book>,
    asking: Asking,
    ruling: Ruling,
    place: Option<Place>,
) -> Verdict<Counted> {
    let delay = ruling.delay();
    let waits = ruling.refusal().is_none() && !delay.is_zero();
    let place = if waits { place.or_else(|| book.room.enter()) } else { None };
    let ruling = if waits && place.is_none() { ruling.without_waiting() } else { ruling };
    book.count(&asking.asked, &ruling);
    if let Some(wait) = ruling.refusal() {
        return Verdict::refuse(book.refusal(&asking.asked, &ruling, wait));
    }
    let counted = Counted::from(Aftermath {
        stamps: book.stamps(&asking.asked, &ruling),
        legacy: book.legacy(&ruling),
        reports: book.reports(&asking.asked, &ruling),
        settling: Settling::of(book, asking.reservations, &ruling),
    });
    match place {
        None => Verdict::admit(counted),
        Some(place) => {
            let turn = book.timeline.clock().sleep(delay);
            Verdict::later(async move {
                turn.await;
                drop(place);
                Ok(counted)
            })
        }
    }
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
    fn count(&self, asked: &[Asked], ruling: &Ruling) {
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
    fn stamps(&self, asked: &[Asked], ruling: &Ruling) -> Stamps {
        let shown =
            self.said(asked, ruling).filter(|(_, penalty, said)| !penalty || said.refuses());
        shown.filter_map(|(kept, penalty, said)| kept.fields(penalty)?.stamp(said)).collect()
    }

    fn legacy(&self, ruling: &Ruling) -> Option<Legacy> {
        self.terms.legacy.then(|| Legacy::of(ruling.said())).flatten()
    }

    /// What limits that only report would have refused.
    fn reports(&self, asked: &[Asked], ruling: &Ruling) -> Vec<Rejection> {
        let would = self.said(asked, ruling).filter(|(_, _, said)| !said.enforced);
        let report = |(kept, penalty, said): (&Kept, bool, &Said)| {
            let wait = said.answer.verdict.err()?;
            Some(kept.named(limited(wait), penalty))
        };
        would.filter_map(report).collect()
    }

    /// The refusal by those that refuse.
    fn refusal(&self, asked: &[Asked], ruling: &Ruling, wait: Option<Duration>) -> Rejection {
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

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.load().limits.iter().map(|kept| &kept.limit)).finish()
    }
}

type Stamps = SmallVec<[Stamp; 1]>;

/// A request that was counted: stamps on the response what is left, and settles what it cost.
#[derive(Default)]
pub struct Counted(Option<Box<Aftermath>>);

/// What is still to be done for a request that goes on.
#[derive(Default)]
struct Aftermath {
    stamps: Stamps,
    legacy: Option<Legacy>,
    /// By limits that only report.
    reports: Vec<Rejection>,
    settling: Option<Box<Settling>>,
}

impl From<Aftermath> for Counted {
    fn from(what: Aftermath) -> Self {
        let nothing = what.stamps.is_empty()
            && what.reports.is_empty()
            && what.legacy.is_none()
            && what.settling.is_none();
        Self((!nothing).then(|| Box::new(what)))
    }
}

impl Pass for Counted {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        self.0.iter_mut().for_each(|it| it.enter(request));
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        self.0.iter_mut().for_each(|it| it.leave(response));
    }

    fn watch(&mut self) -> Option<Box<dyn Watch>> {
        self.0.as_mut()?.watch()
    }
}

impl Aftermath {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        for report in self.reports.drain(..) {
            event::reported(Limits::NAME, Head::of(request), &report);
        }
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        if let Some(settling) = &mut self.settling {
            settling.see(ResponseHead::of(response, 0));
        }
        for stamp in self.stamps.drain(..) {
            stamp.append_to(response.headers_mut());
        }
        if let Some(legacy) = self.legacy.take() {
            legacy.write(response.headers_mut());
        }
    }

    fn watch(&mut self) -> Option<Box<dyn Watch>> {
        let settling = self.settling.take().filter(|it| it.is_metering())?;
        Some(settling)
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}
