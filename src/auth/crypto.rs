//! What the schemes need of cryptography: the back end for signatures, and digests to remember credentials by.

#[cfg(any(feature = "jwt", feature = "introspection", feature = "signed-url"))]
use jsonwebtoken::crypto::CryptoProvider;

/// The back end, chosen at compile time by feature. The process-wide provider of the library beneath is never
/// asked, because it panics when an application enables both back ends, or none.
#[cfg(all(
    any(feature = "jwt", feature = "introspection", feature = "signed-url"),
    feature = "crypto-aws-lc"
))]
pub(super) const BACK_END: Option<&CryptoProvider> =
    Some(&jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER);
#[cfg(all(
    any(feature = "jwt", feature = "introspection", feature = "signed-url"),
    feature = "crypto-rust",
    not(feature = "crypto-aws-lc")
))]
pub(super) const BACK_END: Option<&CryptoProvider> =
    Some(&jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER);
#[cfg(all(
    any(feature = "jwt", feature = "introspection", feature = "signed-url"),
    not(any(feature = "crypto-rust", feature = "crypto-aws-lc"))
))]
pub(super) const BACK_END: Option<&CryptoProvider> = None;

/// The mistake of a configuration that needs a back end where there is none.
#[cfg(any(feature = "jwt", feature = "introspection", feature = "signed-url"))]
pub(super) const NO_BACK_END: &str =
    "no cryptography: enable feature `crypto-aws-lc` or `crypto-rust`";

/// The SHA-256 of a credential: what it is remembered by, so that no table holds one that could be used.
#[cfg(any(feature = "jwt", feature = "introspection", feature = "api-key"))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

#[cfg(any(feature = "jwt", feature = "introspection", feature = "api-key"))]
impl Digest {
    pub(crate) fn of(credential: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(credential).into())
    }
}

/// A digest is spread evenly: eight octets of it are enough for a table.
#[cfg(any(feature = "jwt", feature = "introspection", feature = "api-key"))]
impl std::hash::Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

#[cfg(any(feature = "jwt", feature = "introspection", feature = "api-key"))]
impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}
