//! New keys.

use std::{fmt, io};

use super::{
    digest::{Hashing, KeyDigest},
    form::{BASE62, Form, MIN_RANDOM},
    record::KeyRecord,
};
use crate::config_error::ConfigError;

/// 178 bits.
const RANDOM: usize = 30;
const MAX_RANDOM: usize = 128;

/// Mints keys: `prefix_`, 30 random characters (178 bits from the operating system), 6 characters of checksum.
///
/// The prefix tells whose keys they are, to people and to secret scanners; the checksum, a CRC-32 of all before it
/// in base 62, lets both the scanners and [`ApiKeyLayer::minted_by`](super::ApiKeyLayer::minted_by) tell keys from
/// other text without asking a store.
///
/// ```
/// use tower_gateway::auth::api_key::KeyFactory;
///
/// let factory = KeyFactory::new("acme")?;
/// let minted = factory.mint()?;
/// let record = minted.record("paula").with_plan("gold"); // goes to the store
/// assert_eq!(record.digest(), &minted.digest());
///
/// let shown_once = minted.into_string(); // goes to Paula, and nowhere else
/// assert!(shown_once.starts_with("acme_") && shown_once.len() == 41);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyFactory {
    pub(super) form: Form,
    pub(super) hashing: Hashing,
    random: usize,
}

impl KeyFactory {
    /// Keys with this prefix, such as `acme` or `acme_live`. An underscore will separate it from the rest.
    ///
    /// # Errors
    ///
    /// When it is not 2 to 32 ASCII letters, digits and underscores, with a letter first and no underscore last.
    pub fn new(prefix: &str) -> Result<Self, ConfigError> {
        Ok(Self { form: Form::new(prefix)?, hashing: Hashing::default(), random: RANDOM })
    }

    /// How the digests of keys are made. Default: [`Hashing::sha256`].
    #[must_use]
    pub fn hashing(self, hashing: Hashing) -> Self {
        Self { hashing, ..self }
    }

    /// How many random characters, of 5.95 bits each. Default: 30.
    ///
    /// # Errors
    ///
    /// When there are fewer than 22 (131 bits) or more than 128.
    pub fn random_characters(self, random: usize) -> Result<Self, ConfigError> {
        match (MIN_RANDOM..=MAX_RANDOM).contains(&random) {
            true => Ok(Self { random, ..self }),
            false => {
                let range = "a key has from 22 to 128 random characters";
                Err(ConfigError::new("api_key", range))
            }
        }
    }

    /// A new key.
    ///
    /// # Errors
    ///
    /// When the operating system has no random numbers to give.
    pub fn mint(&self) -> io::Result<MintedKey> {
        let random = characters(self.random, |octets| {
            getrandom::fill(octets).map_err(|error| io::Error::other(error.to_string()))
        })?;
        let secret = self.form.key(&random);
        Ok(MintedKey { digest: self.hashing.digest(&secret), secret })
    }
}

/// So many characters, each of the 62 as likely as the others.
fn characters(
    count: usize,
    mut fill: impl FnMut(&mut [u8]) -> io::Result<()>,
) -> io::Result<String> {
    let mut text = String::with_capacity(count);
    let mut octets = [0; 64];
    while text.len() < count {
        fill(&mut octets)?;
        // Of 256 values 248 = 4 × 62 are used: with the rest, some characters would come more often.
        let fair = octets.iter().filter(|it| **it < 248);
        let drawn = fair.map(|it| char::from(BASE62[usize::from(it % 62)]));
        text.extend(drawn.take(count - text.len()));
    }
    Ok(text)
}

/// A key that was just minted, and what to store of it. There is no other way to the key than this once.
pub struct MintedKey {
    secret: String,
    digest: KeyDigest,
}

impl MintedKey {
    /// The key itself: to be shown to its holder, once, and never to be stored or logged.
    pub fn reveal(&self) -> &str {
        &self.secret
    }

    /// As [`reveal`](Self::reveal), for good.
    pub fn into_string(self) -> String {
        self.secret
    }

    /// What is stored in place of the key.
    pub fn digest(&self) -> KeyDigest {
        self.digest
    }

    /// A name for the key that is no secret: the first 16 digits of its digest.
    pub fn id(&self) -> String {
        self.digest.short()
    }

    /// What its holder can recognise it by in a list, such as `acme_…x7Qd`.
    pub fn hint(&self) -> String {
        // Four of the checksum's digits tell 24 of 178 bits.
        let (prefix, rest) = self.secret.rsplit_once('_').unwrap_or_default();
        format!("{prefix}_…{}", &rest[rest.len().saturating_sub(4)..])
    }

    /// A record for the store: this key, under its [`id`](Self::id), speaks for `consumer`.
    pub fn record(&self, consumer: impl Into<String>) -> KeyRecord {
        KeyRecord::new(self.digest, self.id(), consumer)
    }
}

impl fmt::Debug for MintedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintedKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use proptest::prelude::*;

    fn factory() -> KeyFactory {
        KeyFactory::new("acme").unwrap()
    }

    #[test]
    fn minted_keys_have_the_form_and_differ() {
        let factory = factory();
        let keys: HashSet<String> =
            (0..1_000).map(|_| factory.mint().unwrap().into_string()).collect();
        assert_eq!(keys.len(), 1_000);
        assert!(keys.iter().all(|key| factory.form.is_of(key)));
        // Each character is drawn: of 30,000 drawings none misses one.
        let drawn: HashSet<char> = keys.iter().flat_map(|it| it[5..35].chars()).collect();
        assert_eq!(drawn.len(), 62);
    }

    #[test]
    fn characters_are_equally_likely_and_too_high_octets_are_drawn_again() {
        let mut next = 0;
        let mut counts = [0; 256];
        let every_octet = |octets: &mut [u8]| {
            for octet in octets {
                (*octet, next) = (next as u8, next + 1);
            }
            Ok(())
        };
        let text = characters(248, every_octet).unwrap();
        text.bytes().for_each(|it| counts[usize::from(it)] += 1);
        assert!(BASE62.iter().all(|it| counts[usize::from(*it)] == 4));
        assert!(characters(1, |_| Err(io::Error::other("none"))).is_err());
    }

    #[test]
    fn lengths() {
        for (random, good) in [(21, false), (22, true), (128, true), (129, false)] {
            let minted = factory().random_characters(random).map(|it| it.mint().unwrap());
            assert_eq!(minted.is_ok(), good);
            if let Ok(minted) = minted {
                assert_eq!(minted.reveal().len(), 5 + random + 6);
            }
        }
    }

    #[test]
    fn what_is_public_of_a_key_is_not_the_key() {
        let factory = KeyFactory::new("acme_live").unwrap();
        let factory = factory.hashing(Hashing::with_pepper([7; 32]).unwrap());
        let minted = factory.mint().unwrap();
        let shown = format!("{minted:?} {factory:?}");
        assert!(!shown.contains(minted.reveal()) && !shown.contains(&minted.reveal()[10..20]));
        assert_eq!(minted.hint(), format!("acme_live_…{}", &minted.reveal()[42..]));
        assert!(minted.digest().to_string().starts_with("hmac-sha256:"));
        assert_eq!(minted.digest(), factory.hashing.digest(minted.reveal()));
    }

    proptest! {
        #[test]
        fn no_substitution_of_one_character_passes(seed: [u8; 64], at in 0..41_usize, to in 0..128_u8) {
            let form = factory().form;
            let random = characters(RANDOM, |octets| {
                // Without what would be drawn again for ever.
                octets.iter_mut().zip(seed).for_each(|(to, from)| *to = from % 248);
                Ok(())
            });
            let key = form.key(&random.unwrap());
            prop_assert!(form.is_of(&key));
            let mut bent = key.clone().into_bytes();
            bent[at] = to;
            let bent = String::from_utf8(bent).unwrap();
            prop_assert_eq!(form.is_of(&bent), bent == key);
        }

        #[test]
        fn no_neighbours_that_change_places_pass(at in 5..34_usize) {
            let factory = factory();
            let key = factory.mint().unwrap().into_string();
            let mut bent = key.clone().into_bytes();
            bent.swap(at, at + 1);
            let bent = String::from_utf8(bent).unwrap();
            prop_assert_eq!(factory.form.is_of(&bent), bent == key);
        }
    }
}
