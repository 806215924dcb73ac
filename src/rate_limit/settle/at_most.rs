use bytes::Bytes;
use http::HeaderMap;

use super::{Bill, Meter, ResponseHead, Settle};
use crate::body::Watch;

/// The cost that `settle` tells, cut to `units`.
///
/// Whose cost is told by a service has the debt that the service tells: a slip there (2⁶⁴ − 1, say) refuses a
/// client for years, or until an administrator [resets](crate::rate_limit::LimitHandle::reset) it.
///
/// ```
/// use tower_gateway::{key, rate_limit::{Limit, Quota, settle}};
///
/// let cost = settle::at_most(1_000, settle::header("x-cost"));
/// let limit = Limit::new(Quota::per_minute(100), key::subject()).settle(cost);
/// ```
pub fn at_most<S>(units: u64, settle: S) -> AtMost<S> {
    AtMost { units, settle }
}

/// Made by [`at_most`].
#[derive(Clone, Copy, Debug)]
pub struct AtMost<S> {
    units: u64,
    settle: S,
}

impl<S: Settle> Settle for AtMost<S> {
    fn settle(&self, response: ResponseHead<'_>) -> Bill {
        match self.settle.settle(response) {
            Bill::AsReserved => Bill::AsReserved,
            Bill::Final(cost) => Bill::Final(cost.min(self.units)),
            Bill::Metered(meter) => Bill::Metered(Box::new(Cut { units: self.units, meter })),
        }
    }
}

struct Cut {
    units: u64,
    meter: Box<dyn Meter>,
}

impl Watch for Cut {
    fn data(&mut self, data: &Bytes) {
        self.meter.data(data);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.meter.trailers(trailers);
    }
}

impl Meter for Cut {
    fn cost(&self) -> Option<u64> {
        self.meter.cost().map(|cost| cost.min(self.units))
    }
}
