use crate::{guard::Head, rate_limit::Plans};

/// How many requests of a key may be in flight: a number for all, [`Plans`] by the identity's plan, or a closure. 0
/// admits nothing.
///
/// ```
/// use tower_gateway::{guard::Head, key, rate_limit::ConcurrencyLimitLayer};
///
/// let uploads_are_dear = |head: Head<'_>| match head.method().as_str() {
///     "GET" => 100,
///     _ => 5,
/// };
/// let layer = ConcurrencyLimitLayer::new(uploads_are_dear, key::client_ip());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` says no number of requests at a time",
    label = "not a `usize`, `Plans<usize>`, or closure from `Head<'_>` to `usize`",
    note = "a `Quota`, which is a number in a time, goes to `RateLimitLayer::new`"
)]
pub trait Capacity {
    /// The most that may be in flight, the request with this head included.
    fn capacity(&self, head: Head<'_>) -> usize;
}

impl Capacity for usize {
    fn capacity(&self, _: Head<'_>) -> usize {
        *self
    }
}

impl Capacity for Plans<usize> {
    fn capacity(&self, head: Head<'_>) -> usize {
        *self.of(head)
    }
}

impl<F> Capacity for F
where
    F: Fn(Head<'_>) -> usize,
{
    fn capacity(&self, head: Head<'_>) -> usize {
        self(head)
    }
}
