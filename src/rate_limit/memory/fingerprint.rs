//! Keys of fixed size, whatever is written into them.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A key, as what counts knows it: 128 bits under two secrets, so that nobody can make two keys meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(pub(super) [u64; 2]);

impl Fingerprint {
    /// Bits that choose where it is kept.
    pub(crate) fn place(self) -> u64 {
        self.0[0]
    }

    /// Bits that do not.
    pub(super) fn tag(self) -> u16 {
        self.0[1] as u16
    }

    /// Bits that do neither: one of so many.
    pub(super) fn first_choice(self, of: usize) -> usize {
        (self.0[1] >> 32) as usize % of
    }
}

/// What fingerprints are made with.
#[derive(Default)]
pub(crate) struct Secrets([RandomState; 2]);

impl Secrets {
    /// The fingerprint of a key under quotas of one kind; of those who have no key, for `None`.
    pub(crate) fn fingerprint(&self, kind: u64, key: Option<&[u8]>) -> Fingerprint {
        Fingerprint(self.0.each_ref().map(|secret| {
            let mut hasher = secret.build_hasher();
            hasher.write(key.unwrap_or_default());
            hasher.write_u64(kind << 1 | u64::from(key.is_some())); // of fixed length, so it ends the key
            hasher.finish()
        }))
    }
}

/// The hash as a number below `end`.
pub(crate) fn scale(hash: u64, end: usize) -> usize {
    ((u128::from(hash) * end as u128) >> 64) as usize
}
