//! Chunks of a body, one behind the other.

use bytes::Bytes;

/// The next chunk behind what has not been read of the one before. Copies only if there is such a rest.
pub(super) fn join(rest: &Bytes, next: Bytes) -> Bytes {
    match rest.is_empty() {
        true => next,
        false => [&rest[..], &next[..]].concat().into(),
    }
}
