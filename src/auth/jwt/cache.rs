//! Tokens that were verified lately: to look one up costs a digest of it instead of a signature.
//!
//! Only good tokens are kept, under the SHA-256 of the whole token, so that one with another signature is another
//! token. What can change is asked again each time: the clock, the issuer's keys, the revocations. An entry that no
//! longer holds is as good as none; the token is then judged anew, and the answer is that of a layer without a cache.

use std::{fmt, sync::Arc, time::Duration};

use quick_cache::sync::Cache as Table;

use super::policy::Verified;
use crate::{
    auth::{crypto::Digest, forward::Fields},
    identity::Claims,
};

/// Longer tokens are not kept, which bounds the memory.
pub(super) const MAX_LENGTH: usize = 4 * 1024;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) tokens: usize,
    pub(super) time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tokens: 10_000, time: Duration::from_secs(300) }
    }
}

/// The cache of one layer, whose settings are a part of what its entries mean.
pub(super) struct Cache<C> {
    table: Option<Table<Digest, Arc<Kept<C>>>>,
    time: Duration,
}

/// A token that was verified, and what its admission brings.
pub(super) struct Kept<C> {
    pub(super) token: Verified,
    pub(super) claims: Option<Claims<C>>,
    pub(super) fields: Fields,
    /// When it was verified, by the wall clock.
    pub(super) since: Duration,
}

impl<C> Cache<C> {
    pub(super) fn new(limits: Limits) -> Self {
        let table = (limits.tokens > 0).then(|| Table::new(limits.tokens));
        Self { table, time: limits.time }
    }

    /// What the token is kept under; `None` for one that is not kept.
    pub(super) fn name(&self, token: &str) -> Option<Digest> {
        let kept = self.table.is_some() && token.len() <= MAX_LENGTH;
        kept.then(|| Digest::of(token.as_bytes()))
    }

    /// The token of this name, if it was verified within the time that entries are used for.
    pub(super) fn get(&self, name: Digest, now: Duration) -> Option<Arc<Kept<C>>> {
        let kept = self.table.as_ref()?.get(&name)?;
        // A wall clock that was set back ends the entry too.
        let age = now.checked_sub(kept.since)?;
        (age < self.time).then_some(kept)
    }

    /// Keeps a token that was verified. It may displace another.
    pub(super) fn keep(&self, name: Digest, kept: Kept<C>) {
        if let Some(table) = &self.table {
            table.insert(name, Arc::new(kept));
        }
    }
}

impl<C> fmt::Debug for Cache<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}
