//! Percent-decoding that refuses what it cannot decode.

use crate::transcode::fault::Fault;

/// What cannot be decoded to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// `%` without two hexadecimal digits.
    Escape,
    /// Not UTF-8 when decoded.
    Utf8,
    /// `.` or `..` between slashes.
    Dots,
}

/// Decodes each escape once; with `keep_slash`, not those of slashes.
pub(crate) fn unescape(raw: &[u8], keep_slash: bool) -> Result<String, Unreadable> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut parts = raw.split(|it| *it == b'%');
    decoded.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        let (escape, after) = part.split_first_chunk::<2>().ok_or(Unreadable::Escape)?;
        match octet(*escape).ok_or(Unreadable::Escape)? {
            b'/' if keep_slash => decoded.extend([b'%', escape[0], escape[1]]),
            octet => decoded.push(octet),
        }
        decoded.extend_from_slice(after);
    }
    String::from_utf8(decoded).map_err(|_| Unreadable::Utf8)
}

fn octet([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

impl Unreadable {
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Escape => "a percent sign without two hexadecimal digits.",
            Self::Utf8 => "not UTF-8.",
            Self::Dots => "a dot segment.",
        }
    }
}

impl From<Unreadable> for Fault {
    #[cold]
    fn from(unreadable: Unreadable) -> Self {
        Self::new(unreadable.why())
    }
}
