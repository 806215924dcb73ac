//! Admit so many requests of each key at a time: the bound on what is in flight.
//!
//! A request is in flight from its admission until the *body* of its response has ended, or has been dropped, or the
//! request was cancelled: a slow download counts as long as it runs. One more than the limit is refused with `429` /
//! `RESOURCE_EXHAUSTED`, and waits for nothing.
//!
//! ```
//! use tower_gateway::{key, rate_limit::{ConcurrencyLimitLayer, Plans}};
//!
//! // 10 of each address at a time, on each route; inside of what routes.
//! let each = ConcurrencyLimitLayer::new(10, (key::client_ip(), key::route()));
//! // 2 of each subject, more on a better plan.
//! let plans = Plans::otherwise(2).plan("pro", 20);
//! let by_plan = ConcurrencyLimitLayer::new(plans, key::subject()).name("plan");
//! ```
//!
//! # What the client reads
//!
//! `Retry-After: 1`. Nobody knows when a request in flight will end, so it is the shortest time that the field can
//! say. The name of the limit is in the problem document, and in gRPC's `QuotaFailure`. There are no `RateLimit`
//! fields: nothing here comes back with time.
//!
//! # Memory
//!
//! A key is remembered while requests of its own are in flight, and so there are never more of them than those. An
//! admission makes one allocation, which goes along with the body.
//!
//! # Caveats
//!
//! A connection that was upgraded (`101`, WebSocket) counts until its response is sent, not until it is closed. The
//! count is of this process. [`report_only`](ConcurrencyLimitLayer::report_only) counts those that it would admit.

mod capacity;
mod guard;
mod in_flight;
mod layer;

pub use capacity::Capacity;
pub use guard::{InFlight, Permit};
pub use layer::ConcurrencyLimitLayer;
