//! Strings and bytes.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::transcode::fault::Fault;

/// A string; most have nothing to escape, which is found out eight bytes at a time.
#[inline]
pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Fault> {
    let marks = marks(bytes);
    if marks & ASCII != 0 {
        check(bytes)?;
    }
    out.push(b'"');
    if marks & ESCAPES == 0 {
        out.extend_from_slice(bytes);
    } else {
        put_escaped(out, bytes);
    }
    out.push(b'"');
    Ok(())
}

/// Whether it is a string at all.
pub(super) fn check(bytes: &[u8]) -> Result<(), Fault> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::new("a string that is not UTF-8")),
    }
}

/// The marks of bytes: bit 7 of any octet says that one is not ASCII, bit 6 that one must be escaped.
const ASCII: u64 = 0x8080_8080_8080_8080;
const ESCAPES: u64 = ASCII >> 1;

#[inline]
fn marks(bytes: &[u8]) -> u64 {
    let mut marks = 0;
    let (words, rest) = bytes.as_chunks();
    for word in words {
        marks |= marks_of(u64::from_le_bytes(*word));
    }
    if let Some(word) = bytes.last_chunk() {
        return marks | marks_of(u64::from_le_bytes(*word)); // the rest, and some of the bytes before once more
    }
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    marks | marks_of(u64::from_le_bytes(last))
}

/// As told in *Bit Twiddling Hacks*, "Determine if a word has a byte less than n": right about whether there is
/// one, and that is all that is asked.
#[inline]
fn marks_of(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let escapes = below(word, 0x20) | is(b'"') | is(b'\\');
    word & ASCII | (escapes & ASCII) >> 1
}

#[cold]
fn put_escaped(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(at) = bytes.iter().position(|byte| matches!(byte, ..0x20 | b'"' | b'\\')) {
        out.extend_from_slice(&bytes[..at]);
        put_escape(out, bytes[at]);
        bytes = &bytes[at + 1..];
    }
    out.extend_from_slice(bytes);
}

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            return out.push(HEX[usize::from(byte & 0xf)]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Bytes as standard base64 with padding.
pub(super) fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    BASE64_STANDARD
        .encode_slice(bytes, &mut out[start..])
        .expect("there is room for four in three");
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        put(&mut out, bytes).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_byte_to_escape_is_found_wherever_it_stands() {
        for len in 0..40 {
            for at in 0..len {
                for byte in 0..128_u8 {
                    let mut text = vec![b'x'; len];
                    text[at] = byte;
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(printed(text.as_bytes()), serde_json::to_string(&text).ok());
                }
            }
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused() {
        let texts: [&[u8]; 5] =
            [b"\xff", b"long enough \x80", b"\xc0\x80", b"\xed\xa0\x80", b"cut \xe2\x82"];
        for text in texts {
            assert_eq!(printed(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn strings_are_escaped_as_serde_json_escapes_them(text: String) {
            prop_assert_eq!(printed(text.as_bytes()), serde_json::to_string(&text).ok());
        }

        #[test]
        fn any_bytes_are_a_string_if_they_are_utf_8(bytes: Vec<u8>) {
            let text = std::str::from_utf8(&bytes).ok();
            prop_assert_eq!(printed(&bytes), text.and_then(|text| serde_json::to_string(text).ok()));
        }

        #[test]
        fn bytes_are_padded_base64(bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_base64(&mut out, &bytes);
            prop_assert_eq!(out, format!("\"{}\"", BASE64_STANDARD.encode(&bytes)).into_bytes());
        }
    }
}
