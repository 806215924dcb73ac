use bytes::Bytes;

use super::{Bill, Meter, ResponseHead, Settle};
use crate::body::Watch;

/// The bytes of the response's body, as they are sent: a limit on bandwidth. Refusals of inner layers count as
/// other responses do.
///
/// ```
/// use tower_gateway::{key, rate_limit::{Limit, Quota, settle}};
///
/// // A gibibyte a day; a client that has used it up is told so at its next request.
/// let day = Quota::per_calendar_day(1_048_576);
/// let limit = Limit::new(day, key::subject()).settle(settle::body_bytes().per_unit(1_024));
/// ```
pub fn body_bytes() -> BodyBytes {
    BodyBytes { per_unit: 1 }
}

/// Made by [`body_bytes`].
#[derive(Clone, Copy, Debug)]
pub struct BodyBytes {
    per_unit: u64,
}

impl BodyBytes {
    /// How many bytes make a unit; a unit that is begun counts. Default: 1. 0 is 1.
    #[must_use]
    pub fn per_unit(self, bytes: u64) -> Self {
        Self { per_unit: bytes.max(1) }
    }
}

impl Settle for BodyBytes {
    fn settle(&self, _: ResponseHead<'_>) -> Bill {
        Bill::Metered(Box::new(Seen { bytes: 0, per_unit: self.per_unit }))
    }
}

struct Seen {
    bytes: u64,
    per_unit: u64,
}

impl Watch for Seen {
    fn data(&mut self, data: &Bytes) {
        self.bytes = self.bytes.saturating_add(data.len() as u64);
    }
}

impl Meter for Seen {
    fn cost(&self) -> Option<u64> {
        Some(self.bytes.div_ceil(self.per_unit))
    }
}
