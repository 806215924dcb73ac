//! Several ways to authenticate, each of which must hold.

use super::schemes::{Layers, combination};
use crate::guard::GuardLayer;

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

combination!(AllOf, "all_of", |schemes, head| schemes.all(head));
