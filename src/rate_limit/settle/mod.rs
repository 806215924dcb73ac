//! What a request costs once its response is known.
//!
//! A limit takes what a request is thought to cost when it is admitted (its
//! [`cost`](super::Limit::cost), 1 by default): the reservation. A [`Settle`] then says what it did cost, and the
//! difference is taken or given back: what the key does not have becomes a debt, so that it is refused for longer.
//!
//! | the cost is | written |
//! |---|---|
//! | the bytes of the response's body | [`body_bytes`] |
//! | a number in a field of the response | [`header`] |
//! | a number in the trailers, as gRPC sends them | [`trailer`] |
//! | a number in a JSON answer or in server-sent events: tokens of a language model | [`json_number`] |
//! | that of some responses only, such as failed logins | [`only`] |
//! | nothing when the upstream has failed | [`refund_failures`] |
//! | nothing when a cache has answered | [`refund_hits`] |
//! | no more than so much, whatever is told | [`at_most`] |
//!
//! ```
//! # #[cfg(feature = "test-util")] {
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_gateway::{clock::Clock, key, rate_limit::{Limit, Quota, RateLimitLayer, settle}};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! // Two wrong passwords an hour; right ones cost nothing.
//! let failed = Limit::new(Quota::per_hour(2), key::header("user"))
//!     .settle(settle::only(|response| response.status() == 401));
//! let service = RateLimitLayer::of(failed).clock(Clock::manual().0).layer(service_fn(
//!     |login: Request<String>| async move {
//!         let status = if login.body() == "hunter2" { 200 } else { 401 };
//!         Response::builder().status(status).body(String::new())
//!     },
//! ));
//! let login = async |password: &str| {
//!     let request = Request::post("/login").header("user", "alice").body(password.to_owned());
//!     service.clone().oneshot(request.unwrap()).await.unwrap().status()
//! };
//! for password in ["hunter2", "hunter2", "hunter2", "hunter2"] {
//!     assert_eq!(login(password).await, 200);
//! }
//! assert_eq!(login("hunter1").await, 401);
//! assert_eq!(login("hunter3").await, 401);
//! assert_eq!(login("hunter2").await, 429); // right or wrong is not told any more
//! # });
//! # }
//! ```
//!
//! In a tuple, the first that has something to say is believed:
//!
//! ```
//! use tower_gateway::{key, rate_limit::{Limit, Quota, settle}};
//!
//! // Tokens as the model counts them. Of a client that leaves before that is told, a token for each four bytes.
//! let cost = (
//!     settle::refund_failures(),
//!     settle::json_number("usage.total_tokens"),
//!     settle::body_bytes().per_unit(4),
//! );
//! let limit = Limit::new(Quota::per_minute(20_000).sliding_window(), key::subject())
//!     .cost(|_| 500)
//!     .settle(cost);
//! ```
//!
//! A closure is a `Settle` too; `None` lets the reservation stand:
//!
//! ```
//! use tower_gateway::rate_limit::settle::{ResponseHead, Settle};
//!
//! let searches_that_find_nothing_are_half_price =
//!     |response: ResponseHead<'_>| (response.status() == 404).then(|| response.reserved() / 2);
//! # fn is_settle(_: impl Settle) {}
//! # is_settle(searches_that_find_nothing_are_half_price);
//! ```
//!
//! # When
//!
//! What a response's head tells is settled before the response goes out; what its body tells, when the body has
//! ended, has failed, or is dropped because the client has left: then what has gone by so far is the final
//! cost. A client that leaves before there is a response, or a service that answers with an error of its own, lets
//! the reservation stand: whoever asks and never listens is not admitted more. The `RateLimit` fields tell what
//! remained at admission.
//!
//! Each reservation is settled once, with the limit that took it, even if the limits have been
//! [replaced](super::LimitsHandle::replace) since. A limit that only reports, and would have refused the request,
//! took nothing and settles nothing.
//!
//! Where the limits are [shared](super::RateLimitLayer::shared), a task on the Tokio runtime tells the store, of
//! which there are at most 1,024 at a time; what comes on top of them, or without a runtime, is not settled, which
//! is told in an event and counted as outcome `unsettled`. Nothing waits for the store.

mod at_most;
mod body;
mod json;
mod number;
mod outcome;
mod sse;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Response, StatusCode};

use crate::{body::Watch, rejection::Rejection};

pub use at_most::{AtMost, at_most};
pub use body::{BodyBytes, body_bytes};
pub use json::{JsonNumber, json_number};
pub use number::{Header, Trailer, header, trailer};
pub use outcome::{Only, RefundFailures, RefundHits, only, refund_failures, refund_hits};

/// Says what a request cost in the end. See the [module docs](self).
pub trait Settle {
    /// The final cost, by the response's head; or what will find it out by the body.
    fn settle(&self, response: ResponseHead<'_>) -> Bill;
}

/// The answer of a [`Settle`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Bill {
    /// It has nothing to say: the reservation stands.
    AsReserved,
    /// So many units.
    Final(u64),
    /// To be seen by the body.
    Metered(Box<dyn Meter>),
}

/// Goes along with a body to find out what it costs.
pub trait Meter: Watch {
    /// The cost by what has gone by so far; asked once, at the end. `None` if there is nothing to tell.
    fn cost(&self) -> Option<u64>;
}

impl std::fmt::Debug for dyn Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meter")
    }
}

/// What a [`Settle`] sees of a response: all but the body.
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    reserved: u64,
}

impl<'a> ResponseHead<'a> {
    /// The head of a response to a request that so much was reserved for.
    pub fn of<B>(response: &'a Response<B>, reserved: u64) -> Self {
        Self {
            status: response.status(),
            headers: response.headers(),
            extensions: response.extensions(),
            reserved,
        }
    }

    pub(super) fn reserving(self, reserved: u64) -> Self {
        Self { reserved, ..self }
    }

    /// The status.
    pub fn status(self) -> StatusCode {
        self.status
    }

    /// The header fields.
    pub fn headers(self) -> &'a HeaderMap {
        self.headers
    }

    /// What inner layers left for outer ones.
    pub fn extensions(self) -> &'a Extensions {
        self.extensions
    }

    /// The refusal that the response is, if an inner layer of the gateway's made it.
    pub fn rejection(self) -> Option<&'a Rejection> {
        self.extensions.get()
    }

    /// How many units were taken at admission.
    pub fn reserved(self) -> u64 {
        self.reserved
    }
}

impl std::fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseHead").field("status", &self.status).finish_non_exhaustive()
    }
}

impl<F> Settle for F
where
    F: Fn(ResponseHead<'_>) -> Option<u64>,
{
    fn settle(&self, response: ResponseHead<'_>) -> Bill {
        self(response).map_or(Bill::AsReserved, Bill::Final)
    }
}

macro_rules! first_of {
    ($first:ident, $($other:ident),+) => {
        /// The first that has something to say.
        impl<$first: Settle, $($other: Settle),+> Settle for ($first, $($other),+) {
            #[allow(non_snake_case)]
            fn settle(&self, response: ResponseHead<'_>) -> Bill {
                let ($first, $($other),+) = self;
                let bill = $first.settle(response);
                $(let bill = bill.or(|| $other.settle(response));)+
                bill
            }
        }
    };
}

first_of!(A, B);
first_of!(A, B, C);
first_of!(A, B, C, D);

impl Bill {
    /// This, or the other where it has nothing to say.
    fn or(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::AsReserved => other(),
            Self::Final(cost) => Self::Final(cost),
            Self::Metered(first) => match other() {
                Self::AsReserved => Self::Metered(first),
                Self::Final(cost) => Self::Metered(Box::new(Either { first, then: Fixed(cost) })),
                Self::Metered(then) => Self::Metered(Box::new(Either { first, then })),
            },
        }
    }
}

/// The first, or where it has nothing to tell in the end, the other.
struct Either<M> {
    first: Box<dyn Meter>,
    then: M,
}

impl<M: Meter> Watch for Either<M> {
    fn data(&mut self, data: &Bytes) {
        self.first.data(data);
        self.then.data(data);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.first.trailers(trailers);
        self.then.trailers(trailers);
    }
}

impl<M: Meter> Meter for Either<M> {
    fn cost(&self) -> Option<u64> {
        self.first.cost().or_else(|| self.then.cost())
    }
}

/// A cost that the head told.
struct Fixed(u64);

impl Watch for Fixed {}

impl Meter for Fixed {
    fn cost(&self) -> Option<u64> {
        Some(self.0)
    }
}

impl Watch for Box<dyn Meter> {
    fn data(&mut self, data: &Bytes) {
        (**self).data(data);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        (**self).trailers(trailers);
    }
}

impl Meter for Box<dyn Meter> {
    fn cost(&self) -> Option<u64> {
        (**self).cost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(settle: impl Settle, status: u16, body: &[u8]) -> Option<u64> {
        let response = Response::builder().status(status).header("x-cost", "7").body(()).unwrap();
        match settle.settle(ResponseHead::of(&response, 3)) {
            Bill::AsReserved => None,
            Bill::Final(cost) => Some(cost),
            Bill::Metered(mut meter) => {
                meter.data(&Bytes::copy_from_slice(body));
                meter.cost()
            }
        }
    }

    #[test]
    fn the_first_that_has_something_to_say_is_believed() {
        let silent = |_: ResponseHead<'_>| None;
        let five = |_: ResponseHead<'_>| Some(5);
        assert_eq!(bill((silent, silent), 200, b""), None);
        assert_eq!(bill((silent, five), 200, b""), Some(5));
        assert_eq!(bill((header("x-cost"), five), 200, b""), Some(7));
        assert_eq!(bill((header("x-other"), silent, five), 200, b""), Some(5));
        assert_eq!(bill((refund_failures(), five, body_bytes()), 503, b"12"), Some(0));
        assert_eq!(bill((trailer("x-other"), body_bytes()), 200, b"12"), Some(2));
        assert_eq!(bill((trailer("x-other"), silent), 200, b"12"), None);
        assert_eq!(bill((trailer("x-other"), five, silent, body_bytes()), 200, b"12"), Some(5));
    }
}
