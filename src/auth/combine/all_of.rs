//! Several ways to authenticate, each of which must hold.

use std::fmt;

use super::schemes::{Layers, Schemes, missing};
use crate::{
    auth::{Scheme, scheme::is_preflight},
    guard::{Guard, GuardLayer, Head, Verdict},
    rejection::Rejection,
};

/// Admits requests that every scheme admits: a token *and* the key of the application that sends it.
///
/// The first scheme's [`Identity`](crate::identity::Identity) is the request's; of the others, the
/// [`Claims<C>`](crate::identity::Claims) stay, if their types differ, and their fields. Where two set the same
/// field or read the same credential, the first has its way.
///
/// The first refusal counts, and one that needs no I/O comes before any I/O: no issuer is asked about a request
/// that is refused anyway. What has to wait waits one after the other.
///
/// See the [module docs](super).
pub fn all_of<L: Layers>(layers: L) -> GuardLayer<AllOf<L::Schemes>> {
    GuardLayer::new(AllOf(layers.schemes()))
}

/// The guard of [`all_of`].
pub struct AllOf<S>(S);

impl<S: Schemes> Guard for AllOf<S> {
    const NAME: &'static str = "all_of";
    type Pass = S::Passes;

    fn check(&self, head: Head<'_>) -> Verdict<Self::Pass> {
        match is_preflight(head) {
            true => Verdict::admit(self.0.bypass()),
            false => self.0.all(head),
        }
    }

    fn bypass(&self) -> Option<Self::Pass> {
        Some(self.0.bypass())
    }
}

impl<S: Schemes> Scheme for AllOf<S> {
    /// Any of the credentials: who presents some of them is refused for those that are missing.
    fn presented(&self, head: Head<'_>) -> bool {
        self.0.presented(head)
    }

    fn attempted(&self, head: Head<'_>) -> bool {
        self.0.attempted(head)
    }

    fn missing(&self) -> Rejection {
        missing(&self.0)
    }
}

impl<S> fmt::Debug for AllOf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AllOf")
    }
}
