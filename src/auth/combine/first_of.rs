//! One of several ways to authenticate.

use super::schemes::{Layers, combination, missing};
use crate::guard::{GuardLayer, Verdict};

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

combination!(FirstOf, "first_of", |schemes, head| {
    schemes.first(head).unwrap_or_else(|| Verdict::refuse(missing(schemes)))
});
