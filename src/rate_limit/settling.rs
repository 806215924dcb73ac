//! From a reservation to the final cost.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::{
    book::{Book, Kept},
    memory::fingerprint::Fingerprint,
    quota::Quota,
    ruling::Ruling,
    settle::{Bill, Meter, ResponseHead},
    sharing::Sharing,
    store::{Demand, Receipt},
};
use crate::{body::Watch, event::Outcome};

/// What a limit took for a request, to be settled when its cost is known.
pub(super) struct Reservation {
    kept: Arc<Kept>,
    account: Account,
    /// Which answer of the ruling is the limit's.
    answer: usize,
    units: u64,
    receipt: Receipt,
}

/// From what it was taken.
pub(super) enum Account {
    Here { key: Fingerprint, quota: Quota },
    Shared(Box<Demand>),
}

/// What is still to be taken or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Charge(u64),
    Refund(u64),
}

/// The rule: what was reserved becomes what it cost.
fn change(reserved: u64, cost: u64) -> Option<Change> {
    match cost.checked_sub(reserved) {
        Some(0) => None,
        Some(more) => Some(Change::Charge(more)),
        None => Some(Change::Refund(reserved - cost)),
    }
}

impl Reservation {
    pub(super) fn new(kept: Arc<Kept>, account: Account, answer: usize) -> Self {
        Self { kept, account, answer, units: 0, receipt: Receipt::default() }
    }

    /// With what was taken; `None` if the limit would have refused.
    fn granted(self, ruling: &Ruling) -> Option<Self> {
        let answer = &ruling.said().get(self.answer)?.answer;
        Some(Self { units: answer.units()?, receipt: answer.receipt(), ..self })
    }

    fn bill(&self, response: ResponseHead<'_>) -> Bill {
        let settlement = self.kept.limit.settlement();
        settlement.map_or(Bill::AsReserved, |it| it.settle(response.reserving(self.units)))
    }
}

/// The reservations of a request. Goes along with the body for those that are settled by it.
pub(super) struct Settling {
    book: Arc<Book>,
    open: Vec<Reservation>,
    metered: Vec<(Reservation, Box<dyn Meter>)>,
}

impl Settling {
    /// `None` if there is nothing to settle.
    pub(super) fn of(
        book: &Arc<Book>,
        reservations: Vec<Reservation>,
        ruling: &Ruling,
    ) -> Option<Box<Self>> {
        let open: Vec<_> = reservations.into_iter().filter_map(|it| it.granted(ruling)).collect();
        let some = !open.is_empty();
        some.then(|| Box::new(Self { book: Arc::clone(book), open, metered: Vec::new() }))
    }

    /// Settles what the response's head tells.
    pub(super) fn see(&mut self, response: ResponseHead<'_>) {
        let mut known = Vec::new();
        for reservation in self.open.drain(..) {
            match reservation.bill(response) {
                Bill::AsReserved => {}
                Bill::Final(cost) => known.push((reservation, cost)),
                Bill::Metered(meter) => self.metered.push((reservation, meter)),
            }
        }
        self.book.settle(known);
    }

    /// Whether the body is still to tell something.
    pub(super) fn is_metering(&self) -> bool {
        !self.metered.is_empty()
    }
}

impl Watch for Settling {
    fn data(&mut self, data: &Bytes) {
        self.metered.iter_mut().for_each(|(_, meter)| meter.data(data));
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.metered.iter_mut().for_each(|(_, meter)| meter.trailers(trailers));
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        let metered = self.metered.drain(..);
        let known = metered.filter_map(|(it, meter)| meter.cost().map(|cost| (it, cost)));
        self.book.settle(known.collect());
    }
}

impl Book {
    /// Takes what more they cost, or gives back what less.
    fn settle(&self, known: Vec<(Reservation, u64)>) {
        let due =
            |(it, cost): (Reservation, u64)| change(it.units, cost).map(|change| (it, change));
        let due: Vec<_> = known.into_iter().filter_map(due).collect();
        match &self.sharing {
            _ if due.is_empty() => {}
            None => due.iter().for_each(|(it, change)| self.settle_here(it, *change)),
            Some(sharing) => self.settle_there(sharing, due),
        }
    }

    fn settle_here(&self, reservation: &Reservation, change: Change) {
        let Account::Here { key, quota } = reservation.account else { return };
        let at = self.timeline.moment(quota.reads_the_wall());
        let mut ask = reservation.kept.account(key, quota);
        match change {
            Change::Charge(units) => {
                ask.cost = units;
                ask.force(at);
            }
            Change::Refund(units) => {
                ask.cost = units;
                ask.refund(at, reservation.receipt);
            }
        }
    }

    fn settle_there(&self, sharing: &Sharing, due: Vec<(Reservation, Change)>) {
        let (mut charges, mut refunds, mut concerned) = (Vec::new(), Vec::new(), Vec::new());
        for (Reservation { kept, account, receipt, .. }, change) in due {
            let Account::Shared(demand) = account else { continue };
            match change {
                Change::Charge(units) => charges.push(demand.with_units(units)),
                Change::Refund(units) => refunds.push((demand.with_units(units), receipt)),
            }
            concerned.push(kept);
        }
        let sharing = sharing.clone();
        let lost = move || concerned.iter().for_each(|kept| kept.tally.count(Outcome::Unsettled));
        self.background.run(Box::pin(async move { sharing.settle(charges, refunds).await }), lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_taken_or_given_back() {
        assert_eq!(change(3, 3), None);
        assert_eq!(change(0, 0), None);
        assert_eq!(change(3, 5), Some(Change::Charge(2)));
        assert_eq!(change(3, 0), Some(Change::Refund(3)));
        assert_eq!(change(0, u64::MAX), Some(Change::Charge(u64::MAX)));
        assert_eq!(change(u64::MAX, 0), Some(Change::Refund(u64::MAX)));
    }
}
