//! The limits of a layer with all that is kept for them: what requests are judged by, replaced as a whole.

use std::{collections::HashSet, sync::Arc};

use super::{
    algorithm::Moment,
    background::Background,
    fields::Fields,
    limit::{Limit, Named},
    memory::{self, Ask, fingerprint::Fingerprint, table::Table},
    quota::Quota,
    sharing::{Shared, Sharing, Steps},
    store::Demand,
    timeline::Timeline,
    waiting::WaitingRoom,
};
use crate::{clock::Clock, event::Tally, guard::Head};

/// What requests are judged by.
pub(super) struct Book {
    pub(super) limits: Vec<Arc<Kept>>,
    pub(super) terms: Terms,
    pub(super) timeline: Timeline,
    pub(super) shared: Option<Arc<Shared>>,
    pub(super) background: Arc<Background>,
    pub(super) room: Arc<WaitingRoom>,
}

/// What holds for all limits of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) max_keys: usize,
    pub(super) max_waiting: usize,
    pub(super) fields: bool,
    /// `X-RateLimit` fields are sent too.
    pub(super) legacy: bool,
    /// The layer lets through what it refuses.
    pub(super) report_only: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            max_keys: 1_000_000,
            max_waiting: 10_000,
            fields: true,
            legacy: false,
            report_only: false,
        }
    }
}

/// A limit, and what is kept for it.
pub(super) struct Kept {
    pub(super) limit: Limit,
    pub(super) name: Arc<str>,
    pub(super) table: Arc<Table>,
    pub(super) fields: Option<Fields>,
    pub(super) penalty: Option<PenaltyBox>,
    pub(super) tally: Tally,
    /// Whether no other limit stands beside it.
    alone: bool,
}

/// The penalty box of a limit.
pub(super) struct PenaltyBox {
    pub(super) quota: Quota,
    pub(super) name: Arc<str>,
    pub(super) table: Arc<Table>,
    fields: Option<Fields>,
}

impl Book {
    pub(super) fn new(
        limits: Vec<Limit>,
        terms: Terms,
        sharing: Option<&Sharing>,
        clock: Clock,
    ) -> Self {
        let limits = keep(limits, terms, &[]);
        let start = |it: &Sharing| Arc::new(it.start(steps(&limits), terms.max_keys, &clock));
        Self {
            shared: sharing.map(start),
            limits,
            terms,
            timeline: Timeline::of(clock),
            background: Arc::default(),
            room: WaitingRoom::new(terms.max_waiting),
        }
    }

    /// The same with other limits. Those whose names were here before go on with what they have counted.
    pub(super) fn with_limits(&self, limits: Vec<Limit>) -> Self {
        let limits = keep(limits, self.terms, &self.limits);
        self.shared.iter().for_each(|shared| shared.replace(steps(&limits)));
        Self {
            limits,
            terms: self.terms,
            timeline: self.timeline.clone(),
            shared: self.shared.clone(),
            background: Arc::clone(&self.background),
            room: Arc::clone(&self.room),
        }
    }
}

impl Book {
    /// Does this to what is kept here for a demand, now.
    pub(super) fn with_ask<T>(
        &self,
        table: &Table,
        demand: &Demand,
        act: impl FnOnce(Ask<'_>, Moment) -> T,
    ) -> T {
        act(memory::ask(demand, table), self.timeline.moment(true))
    }
}

/// What each limit, and its penalty box with it, does while the store is down.
fn steps(limits: &[Arc<Kept>]) -> Steps {
    let both = |kept: &Arc<Kept>| {
        let names = [Some(&kept.name), kept.penalty.as_ref().map(|penalty| &penalty.name)];
        let fallback = kept.limit.fallback();
        names.map(|name| Some((Arc::clone(name?), fallback)))
    };
    limits.iter().flat_map(both).flatten().collect()
}

/// Each limit with a name of its own, which no penalty box has either.
fn keep(limits: Vec<Limit>, terms: Terms, before: &[Arc<Kept>]) -> Vec<Arc<Kept>> {
    let mut taken = HashSet::new();
    let named: Vec<_> = limits
        .into_iter()
        .map(|limit| {
            let name = unique(limit.label(), &mut taken);
            limit.name(name)
        })
        .collect();
    let alone = named.len() == 1;
    let mut keep = |limit: Limit| {
        let known = before.iter().find(|kept| *kept.name == *limit.label());
        Arc::new(Kept { alone, ..Kept::new(limit, terms, known.map(|it| &**it), &mut taken) })
    };
    named.into_iter().map(&mut keep).collect()
}

/// The name, or one that nobody else has.
fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|it| taken.insert(it.clone())).expect("there is always another number")
}

impl Kept {
    fn new(limit: Limit, terms: Terms, before: Option<&Self>, taken: &mut HashSet<String>) -> Self {
        let new = || Arc::new(Table::new(terms.max_keys));
        let penalty = limit.penalty_quota().map(|quota| {
            let name = unique(&format!("{}-penalty", limit.label()), taken);
            let known = before.and_then(|it| it.penalty.as_ref());
            PenaltyBox {
                table: known.map_or_else(new, |it| Arc::clone(&it.table)),
                fields: terms.fields.then(|| Fields::new(&name, None, Some(quota))),
                name: name.into(),
                quota,
            }
        });
        Self {
            table: before.map_or_else(new, |it| Arc::clone(&it.table)),
            fields: terms
                .fields
                .then(|| Fields::new(limit.label(), limit.unit_label(), limit.usual())),
            tally: Tally::of(limit.label()),
            name: limit.label().into(),
            penalty,
            limit,
            alone: false,
        }
    }

    /// Whether it has its say at once, and nothing follows from it later.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.penalty.is_none() && self.limit.settlement().is_none()
    }

    /// The name of the limit, or of its penalty box.
    pub(super) fn policy(&self, penalty: bool) -> &Arc<str> {
        let named = self.penalty.as_ref().filter(|_| penalty);
        named.map_or(&self.name, |penalty| &penalty.name)
    }

    /// The fields of the limit, or of its penalty box.
    pub(super) fn fields(&self, penalty: bool) -> Option<&Fields> {
        match (&self.penalty, penalty) {
            (Some(penalty), true) => penalty.fields.as_ref(),
            _ => self.fields.as_ref(),
        }
    }

    /// What the request asks of this limit, where it is kept here.
    #[inline]
    pub(super) fn ask(&self, head: Head<'_>, key: &Named) -> Ask<'_> {
        let quota = self.limit.quota(head);
        let key = self.table.fingerprint(quota.kind(), key.bytes());
        Ask { cost: self.limit.units(head), ..self.account(key, quota) }
    }

    /// Nothing, asked of the account that it keeps here for a key.
    #[inline]
    pub(super) fn account(&self, key: Fingerprint, quota: Quota) -> Ask<'_> {
        Ask { table: &self.table, key, quota, cost: 0, enforced: self.limit.is_enforced() }
    }

    /// Whether the key is banned, where that is kept here.
    pub(super) fn penalty_ask(&self, key: &Named) -> Option<Ask<'_>> {
        let PenaltyBox { quota, table, .. } = self.penalty.as_ref()?;
        let key = table.fingerprint(quota.kind(), key.bytes());
        Some(Ask { table, key, quota: *quota, cost: 0, enforced: self.limit.is_enforced() })
    }

    /// What the request asks of this limit, where others keep it.
    pub(super) fn demand(&self, head: Head<'_>, key: Named) -> Demand {
        self.shared_account(key, self.limit.quota(head)).with_units(self.limit.units(head))
    }

    /// Nothing, asked of the account that others keep for a key.
    pub(super) fn shared_account(&self, key: Named, quota: Quota) -> Demand {
        let name = Arc::clone(&self.name);
        Demand::new(name, key, quota, 0, self.limit.is_enforced()).alone(self.alone)
    }

    /// Whether the key is banned, where others keep that.
    pub(super) fn penalty_demand(&self, key: &Named) -> Option<Demand> {
        let PenaltyBox { quota, name, .. } = self.penalty.as_ref()?;
        let enforced = self.limit.is_enforced();
        let demand = Demand::new(Arc::clone(name), key.clone(), *quota, 0, enforced);
        Some(demand.alone(self.alone))
    }
}
