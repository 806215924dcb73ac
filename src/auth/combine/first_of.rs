//! One of several ways to authenticate.

use std::fmt;

use super::schemes::{Layers, Schemes, missing};
use crate::{
    auth::{Scheme, scheme::is_preflight},
    guard::{Guard, GuardLayer, Head, Verdict},
    rejection::Rejection,
};

/// Admits requests by the first scheme whose credential they present; its word is final.
///
/// A bad credential is refused and never tried by the next scheme. What decides is the credential's kind, which
/// each scheme tells by its form: a JWT layer takes bearer tokens that look like a JWT and an introspection layer
/// takes any, so `first_of((jwt, introspection))` verifies the ones itself and asks about the others. A credential
/// of no kind is refused by the first scheme that would have looked there. A request without any is answered 401,
/// with the challenge of each scheme.
///
/// See the [module docs](super).
pub fn first_of<L: Layers>(layers: L) -> GuardLayer<FirstOf<L::Schemes>> {
    GuardLayer::new(FirstOf(layers.schemes()))
}

/// The guard of [`first_of`].
pub struct FirstOf<S>(S);

impl<S: Schemes> Guard for FirstOf<S> {
    const NAME: &'static str = "first_of";
    type Pass = S::Passes;

    fn check(&self, head: Head<'_>) -> Verdict<Self::Pass> {
        match is_preflight(head) {
            true => Verdict::admit(self.0.bypass()),
            false => self.0.first(head).unwrap_or_else(|| Verdict::refuse(self.missing())),
        }
    }

    fn bypass(&self) -> Option<Self::Pass> {
        Some(self.0.bypass())
    }
}

impl<S: Schemes> Scheme for FirstOf<S> {
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

impl<S> fmt::Debug for FirstOf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FirstOf")
    }
}
