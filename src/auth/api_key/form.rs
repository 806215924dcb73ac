//! The form of minted keys: `prefix_`, random characters, checksum.
//!
//! The checksum is the CRC-32 (ISO 3309, as in zlib) of everything before it, in six base-62 digits. It is no
//! secret and proves nothing: it tells keys from typing errors and from other text, here and in secret scanners.

use std::sync::Arc;

use crate::config_error::ConfigError;

/// In the order of their values.
pub(super) const BASE62: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 62⁶ > 2³².
pub(super) const CHECKSUM: usize = 6;

/// 131 bits: fewer could be found by trying.
pub(super) const MIN_RANDOM: usize = 22;

const MAX_PREFIX: usize = 32;

/// What keys with one prefix look like.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// With its underscore.
    prefix: Arc<str>,
}

impl Form {
    pub(super) fn new(prefix: &str) -> Result<Self, ConfigError> {
        let word = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let good = (2..=MAX_PREFIX).contains(&prefix.len())
            && prefix.starts_with(|it: char| it.is_ascii_alphabetic())
            && prefix.chars().all(word)
            && !prefix.ends_with('_');
        match good {
            true => Ok(Self { prefix: format!("{prefix}_").into() }),
            false => Err(ConfigError::new(
                "api_key",
                format!(
                    "prefix `{}` must be 2 to 32 letters, digits and `_`, with a letter first and no `_` last",
                    prefix.escape_debug()
                ),
            )),
        }
    }

    pub(super) fn prefix(&self) -> &Arc<str> {
        &self.prefix
    }

    /// The key of these random characters.
    pub(super) fn key(&self, random: &str) -> String {
        let mut key = format!("{}{random}", self.prefix);
        let checksum = checksum(key.as_bytes());
        key.extend(checksum.map(char::from));
        key
    }

    /// Whether this can be a key of ours at all.
    pub(super) fn is_of(&self, key: &str) -> bool {
        let Some(rest) = key.strip_prefix(&*self.prefix) else {
            return false;
        };
        let digits = rest.bytes().all(|it| it.is_ascii_alphanumeric());
        if !digits || rest.len() < MIN_RANDOM + CHECKSUM {
            return false;
        }
        let (covered, end) = key.as_bytes().split_at(key.len() - CHECKSUM);
        end == checksum(covered)
    }
}

fn checksum(covered: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32(covered);
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// The reversed polynomial 0xEDB88320.
fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0, |crc, octet| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ octet)])
}

static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = n as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_common_crc() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
        assert_eq!(&checksum(b""), b"000000");
        assert_eq!(&checksum(b"123456789"), b"3jZRME");
    }

    #[test]
    fn prefixes() {
        for good in ["ac", "acme", "acme_live", "A1_2", &"a".repeat(32)] {
            assert!(Form::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "1a", "_a", "ac_", "ac-me", "ac me", "acmé", &"a".repeat(33)] {
            assert!(Form::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_of_the_form_is_no_key() {
        let form = Form::new("acme").unwrap();
        let random = "0123456789abcdefghijklmnopqrst";
        let key = form.key(random);
        assert!(form.is_of(&key));
        assert_eq!(key.len(), "acme_".len() + 30 + 6);
        let short = form.key(&random[..MIN_RANDOM - 1]);
        let dashed = form.key(&random.replace('5', "-"));
        let other = Form::new("acme_live").unwrap().key(random);
        let longer = key.clone() + "0";
        let bad = ["", "acme_", &key[1..], &key[..key.len() - 1], &short, &dashed, &other, &longer];
        for bad in bad {
            assert!(!form.is_of(bad), "{bad}");
        }
        assert!(!form.is_of(&key.to_uppercase()) && !form.is_of(&key.replace("acme", "acmé")));
    }
}
