//! The guard of a [`RateLimitLayer`](super::RateLimitLayer): asks all limits, and says what they said.

use std::{fmt, sync::Arc, time::Duration};

use http::{Request, Response};
use smallvec::SmallVec;

use super::{
    fields::{Fields, Stamp},
    limit::{Limit, Named},
    memory::{self, Ask, table::Table},
    ruling::{Ruling, Said},
    sharing::{Shared, Taken},
    store::Demand,
    timeline::Timeline,
};
use crate::{
    clock::Clock,
    event,
    guard::{Guard, Head, Pass, Verdict},
    rejection::{Reason, Rejection},
};

/// The limits of a layer, and all that they have counted.
pub struct Limits(Arc<Book>);

struct Book {
    limits: Vec<Kept>,
    timeline: Timeline,
    shared: Option<Shared>,
}

/// A limit, and what is kept for it.
pub(super) struct Kept {
    limit: Limit,
    name: Arc<str>,
    table: Table,
    fields: Option<Fields>,
}

impl Kept {
    pub(super) fn new(limit: Limit, max_keys: usize, fields: bool) -> Self {
        let fields = fields.then(|| Fields::new(limit.label(), limit.usual()));
        Self { table: Table::new(max_keys), fields, name: limit.label().into(), limit }
    }

    /// What the request asks of this limit, where it is kept here.
    fn ask(&self, head: Head<'_>, key: &Named) -> Ask<'_> {
        let quota = self.limit.quota(head);
        Ask {
            table: &self.table,
            key: self.table.fingerprint(quota.kind(), key.bytes()),
            quota,
            cost: self.limit.units(head),
            enforced: self.limit.is_enforced(),
        }
    }

    /// What the request asks of this limit, where others keep it.
    fn demand(&self, head: Head<'_>, key: Named) -> Demand {
        let (quota, units) = (self.limit.quota(head), self.limit.units(head));
        Demand::new(Arc::clone(&self.name), key, quota, units, self.limit.is_enforced())
    }
}

/// The limits that count a request, by their places in the layer.
type Counting = SmallVec<[usize; 4]>;

impl Limits {
    pub(super) fn new(limits: Vec<Kept>, shared: Option<Shared>, clock: Clock) -> Self {
        Self(Arc::new(Book { limits, timeline: Timeline::of(clock), shared }))
    }
}

impl Guard for Limits {
    const NAME: &'static str = "rate_limit";
    type Pass = Counted;

    fn check(&self, head: Head<'_>) -> Verdict<Counted> {
        match &self.0.shared {
            None => self.0.take(head).unwrap_or_else(Verdict::refuse),
            Some(shared) => self.share(shared, head).unwrap_or_else(Verdict::refuse),
        }
    }
}

impl Limits {
    /// Asks those who keep the limits for many nodes.
    fn share(&self, shared: &Shared, head: Head<'_>) -> Result<Verdict<Counted>, Rejection> {
        let (mut counting, mut demands) = (Counting::new(), Vec::new());
        let alone = self.0.limits.len() == 1;
        for (place, kept) in self.0.limits.iter().enumerate() {
            if let Some(key) = kept.limit.key(head)? {
                demands.push(kept.demand(head, key).alone(alone));
                counting.push(place);
            }
        }
        if demands.is_empty() {
            return Ok(Verdict::admit(Counted::default()));
        }
        let book = Arc::clone(&self.0);
        Ok(match shared.take(&demands) {
            Taken::Now(taken) => {
                book.answer(&counting, &shared.settle(&counting, &demands, taken)?)
            }
            Taken::Later(taken) => Verdict::later(async move {
                let taken = taken.await;
                let shared = book.shared.as_ref().expect("they were asked above");
                let ruling = shared.settle(&counting, &demands, taken)?;
                match book.answer(&counting, &ruling) {
                    Verdict::Now(decision) => decision,
                    Verdict::Later(decision) => decision.await,
                }
            }),
        })
    }
}

impl Book {
    /// Takes what the request costs from the limits that are kept here.
    fn take(&self, head: Head<'_>) -> Result<Verdict<Counted>, Rejection> {
        let (mut counting, mut asks) = (Counting::new(), SmallVec::<[Ask<'_>; 2]>::new());
        for (place, kept) in self.limits.iter().enumerate() {
            if let Some(key) = kept.limit.key(head)? {
                asks.push(kept.ask(head, &key));
                counting.push(place);
            }
        }
        if asks.is_empty() {
            return Ok(Verdict::admit(Counted::default()));
        }
        let wall = asks.iter().any(|ask| ask.quota.reads_the_wall());
        let ruling = memory::take(&asks, self.timeline.moment(wall));
        Ok(self.answer(&counting, &ruling))
    }

    /// What becomes of the request.
    fn answer(&self, counting: &Counting, ruling: &Ruling) -> Verdict<Counted> {
        if let Some(wait) = ruling.refusal() {
            return Verdict::refuse(self.refusal(counting, ruling, wait));
        }
        let stamps = self.stamps(counting, ruling);
        let counted = Counted { stamps, reports: self.reports(counting, ruling) };
        match ruling.delay() {
            Duration::ZERO => Verdict::admit(counted),
            delay => {
                let turn = self.timeline.clock().sleep(delay);
                Verdict::later(async move {
                    turn.await;
                    Ok(counted)
                })
            }
        }
    }

    /// Each limit that counts, and what it said.
    fn said<'a>(
        &'a self,
        counting: &'a Counting,
        ruling: &'a Ruling,
    ) -> impl Iterator<Item = (&'a Kept, &'a Said)> {
        counting.iter().map(|&place| &self.limits[place]).zip(ruling.said())
    }

    fn stamps(&self, counting: &Counting, ruling: &Ruling) -> Stamps {
        let said = self.said(counting, ruling);
        said.filter_map(|(kept, said)| Some(kept.fields.as_ref()?.stamp(said))).collect()
    }

    /// What limits that only report would have refused.
    fn reports(&self, counting: &Counting, ruling: &Ruling) -> Vec<Rejection> {
        let would = self.said(counting, ruling).filter(|(_, said)| !said.enforced);
        let report = |(kept, said): (&Kept, &Said)| {
            let wait = said.answer.verdict.err()?;
            Some(kept.named(limited(wait)))
        };
        would.filter_map(report).collect()
    }

    /// The refusal by those that refuse.
    fn refusal(&self, counting: &Counting, ruling: &Ruling, wait: Option<Duration>) -> Rejection {
        let refusing = self.said(counting, ruling).filter(|(_, said)| said.refuses());
        let no = refusing.fold(limited(wait), |no, (kept, _)| kept.named(no));
        let fields = self.stamps(counting, ruling).into_iter().flat_map(Stamp::into_fields);
        fields.fold(no, |no, (name, value)| no.with_header(name, value))
    }
}

impl Kept {
    /// A refusal by this limit.
    fn named(&self, no: Rejection) -> Rejection {
        no.with_member("policy", &*self.name)
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
        f.debug_list().entries(self.0.limits.iter().map(|kept| &kept.limit)).finish()
    }
}

type Stamps = SmallVec<[Stamp; 1]>;

/// A request that was counted: stamps on the response what is left.
#[derive(Default)]
pub struct Counted {
    stamps: Stamps,
    /// By limits that only report.
    reports: Vec<Rejection>,
}

impl Pass for Counted {
    fn enter<B>(&mut self, request: &mut Request<B>) {
        for report in self.reports.drain(..) {
            event::reported(Limits::NAME, Head::of(request), &report);
        }
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        for stamp in self.stamps.drain(..) {
            stamp.append_to(response.headers_mut());
        }
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}
