//! What the ways to authenticate have in common.

use std::sync::Arc;

use http::{Method, header};

use crate::{
    guard::{Guard, GuardLayer, Head},
    rejection::Rejection,
};

/// One way to authenticate: a guard that judges one kind of credential.
///
/// Its [`bypass`](Guard::bypass) is what goes in with a request that somebody else vouches for, or nobody does: it
/// takes away this scheme's credential and the fields that only this scheme may set.
pub trait Scheme: Guard<Pass: Send> + Send + Sync + 'static {
    /// Whether the request carries a credential of this kind, good or bad.
    fn presented(&self, head: Head<'_>) -> bool;

    /// Whether anything stands where this scheme looks for its credential, of this kind or not. What is there and
    /// is of no kind is a bad credential, and not none. Default: [`presented`](Self::presented).
    fn attempted(&self, head: Head<'_>) -> bool {
        self.presented(head)
    }

    /// The answer to a request without one: 401 with a challenge.
    fn missing(&self) -> Rejection;
}

/// A layer that authenticates by one [`Scheme`], or by several that were combined to one.
///
/// What it takes to combine layers: [`first_of`](super::first_of), [`all_of`](super::all_of),
/// [`optional`](super::optional).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no layer that authenticates",
    note = "one of your own is a `GuardLayer` whose guard is a `Scheme` too"
)]
pub trait SchemeLayer {
    /// Its scheme.
    type Scheme: Scheme;

    /// The scheme, shared with the layer.
    fn scheme(&self) -> Arc<Self::Scheme>;
}

/// A scheme of your own in a [`GuardLayer`] can be combined like ours.
impl<G: Scheme> SchemeLayer for GuardLayer<G> {
    type Scheme = G;

    fn scheme(&self) -> Arc<G> {
        Arc::clone(self.guard())
    }
}

/// A browser asks what it may ask, and sends no credential (Fetch §4.8); the request proper is judged.
pub(crate) fn is_preflight(head: Head<'_>) -> bool {
    let has = |name| head.headers().contains_key(name);
    head.method() == Method::OPTIONS
        && has(header::ORIGIN)
        && has(header::ACCESS_CONTROL_REQUEST_METHOD)
}
