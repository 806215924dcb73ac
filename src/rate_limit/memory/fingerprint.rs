//! Keys of fixed size, whatever is written into them.

use std::hash::{BuildHasher, Hasher, RandomState};

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::rate_limit::quota::Kind;

/// A key, as what counts knows it: SipHash-1-3 of 128 bits under a secret, so that nobody can make two keys meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(pub(super) [u64; 2]);

impl Fingerprint {
    /// Bits that choose where it is kept.
    #[inline]
    pub(crate) fn place(self) -> u64 {
        self.0[0]
    }

    /// Other bits: whose a place is. Never 0, which is nobody's.
    #[inline]
    pub(super) fn whose(self) -> u64 {
        self.0[1].max(1)
    }

    /// Some of those.
    pub(super) fn tag(self) -> u8 {
        self.0[1] as u8
    }

    /// One of so many, by bits that choose neither the place nor the tag.
    #[inline]
    pub(super) fn line(self, of: usize) -> usize {
        (self.0[1] >> 32) as usize % of
    }

    /// One of so many, by bits of the place that [`scale`] does not look at first.
    #[inline]
    pub(super) fn choice(self, of: usize) -> usize {
        self.0[0] as usize % of
    }
}

/// What fingerprints are made with: 128 bits that nobody knows.
pub(crate) struct Secret(SipHasher13);

impl Default for Secret {
    fn default() -> Self {
        // The standard library's hash maps take theirs from the operating system; this asks for two numbers of one.
        let [one, other] = [0, 1].map(|n| RandomState::new().hash_one(n));
        Self(SipHasher13::new_with_keys(one, other))
    }
}

impl Secret {
    /// The fingerprint of a key under quotas of one kind; of those who have no key, for `None`.
    #[inline]
    pub(crate) fn fingerprint(&self, kind: Kind, key: Option<&[u8]>) -> Fingerprint {
        let (mut hasher, [one, other]) = (self.0, kind);
        hasher.write(key.unwrap_or_default());
        // Of fixed length, so it ends the key.
        hasher.write_u64(one);
        hasher.write_u64(other | u64::from(key.is_some()));
        let hash = hasher.finish128();
        Fingerprint([hash.h1, hash.h2])
    }
}

/// The hash as a number below `end`.
#[inline]
pub(crate) fn scale(hash: u64, end: usize) -> usize {
    ((u128::from(hash) * end as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_not_who_has_an_empty_key_and_kinds_are_apart() {
        let secret = Secret::default();
        let kinds: [Kind; 4] = [[0, 0], [8, 0], [0, 8], [8, 8]];
        let keys: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"a"), Some(&[0; 8])];
        let all = kinds.into_iter().flat_map(|kind| keys.map(|key| secret.fingerprint(kind, key)));
        assert_eq!(all.collect::<std::collections::HashSet<_>>().len(), 16);
    }
}
