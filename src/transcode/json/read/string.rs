//! Strings: found by eight bytes at once, copied as they are, unescaped where they have to be.

use std::borrow::Cow;

use super::cursor::Cursor;
use crate::transcode::{
    fault::Fault,
    wire::{Open, put_bytes},
};

impl<'j> Cursor<'j> {
    /// The string that begins here.
    pub(in crate::transcode) fn string(&mut self) -> Result<Cow<'j, str>, Fault> {
        let (from, to) = self.plain()?;
        if self.close() {
            return Ok(Cow::Borrowed(self.slice(from, to)));
        }
        let mut text = self.bytes()[from..to].to_vec();
        self.unescape(&mut text)?;
        Ok(Cow::Owned(String::from_utf8(text).expect("pieces of UTF-8 and whole characters")))
    }

    /// Writes the string that begins here, after its length.
    #[inline]
    pub(super) fn put_string(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let (from, to) = self.plain()?;
        if self.close() {
            put_bytes(out, &self.bytes()[from..to]);
            return Ok(());
        }
        let open = Open::new(out);
        out.extend_from_slice(&self.bytes()[from..to]);
        self.unescape(out)?;
        open.close(out);
        Ok(())
    }

    /// Passes over the string that begins here.
    pub(super) fn skip_string(&mut self) -> Result<(), Fault> {
        self.plain()?;
        while !self.close() {
            self.escape()?;
            self.at = plain_until(self.bytes(), self.at);
        }
        Ok(())
    }

    /// From the quotation mark to the first byte that does not stand for itself.
    #[inline]
    fn plain(&mut self) -> Result<(usize, usize), Fault> {
        self.open(b'"', "a string")?;
        let from = self.at;
        self.at = plain_until(self.bytes(), from);
        Ok((from, self.at))
    }

    #[inline]
    fn close(&mut self) -> bool {
        let found = self.bytes().get(self.at) == Some(&b'"');
        self.at += usize::from(found);
        found
    }

    /// The rest of a string, from an escape on.
    #[inline(never)]
    fn unescape(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        while !self.close() {
            let char = self.escape()?;
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            let from = self.at;
            self.at = plain_until(self.bytes(), from);
            out.extend_from_slice(&self.bytes()[from..self.at]);
        }
        Ok(())
    }

    /// The character that an escape stands for: RFC 8259 §7.
    fn escape(&mut self) -> Result<char, Fault> {
        let char = match self.rest() {
            [] => return Err(Fault::new("not JSON: the text ends in a string.")),
            [b'\\', char, ..] => char,
            [b'\\'] => return Err(Fault::new("not JSON: the text ends in a string.")),
            _ => return Err(self.bad_string("a control character")),
        };
        let char = match char {
            b'"' | b'\\' | b'/' => char::from(*char),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.bad_string("an escape that does not exist")),
        };
        self.at += 2;
        Ok(char)
    }

    /// `\u0041`, or the two halves of a pair.
    fn unicode(&mut self) -> Result<char, Fault> {
        let unit = |from: usize| self.rest().get(from..from + 6).and_then(code_unit);
        let (scalar, len) = match (unit(0), unit(6)) {
            (None, _) => return Err(self.bad_string("an escape that does not exist")),
            (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
                (0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12)
            }
            (Some(unit), _) => (unit, 6),
        };
        match char::from_u32(scalar) {
            Some(char) => {
                self.at += len;
                Ok(char)
            }
            None => Err(self.bad_string("half of a surrogate pair")),
        }
    }

    #[cold]
    fn bad_string(&self, what: &str) -> Fault {
        Fault::new(format!("not JSON: {what} in a string, at byte {}.", self.at))
    }
}

/// `\uXXXX`.
fn code_unit(escape: &[u8]) -> Option<u32> {
    let digits = escape.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The first place from here on that holds a quotation mark, a backslash or a control character; else the end.
#[inline]
fn plain_until(text: &[u8], mut at: usize) -> usize {
    while let Some((word, _)) = text.get(at..).and_then(<[u8]>::split_first_chunk) {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | ..b' ')) {
        at += 1;
    }
    at
}

/// The high bit of each such byte, exact up to the lowest of them: bytes above it may be marked by a borrow.
#[inline]
fn special(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(LOW) & !word;
    let control = word.wrapping_sub(LOW * 0x20) & !word;
    (zero(word ^ (LOW * u64::from(b'"'))) | zero(word ^ (LOW * u64::from(b'\\'))) | control) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_special_byte_is_found(text: Vec<u8>, from in 0_usize..40) {
            let from = from.min(text.len());
            let known = text[from..].iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '));
            prop_assert_eq!(plain_until(&text, from), known.map_or(text.len(), |at| from + at));
        }

        #[test]
        fn strings_are_what_serde_json_reads(text in r#""([ -~äß€😀]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83d\\ude00|[\x00-\x1f]){0,40}"?"#) {
            let known: Option<String> = serde_json::from_str(&text).ok();
            let mut cursor = Cursor::new(text.as_bytes()).unwrap();
            let read = cursor.string().and_then(|read| cursor.end().map(|()| read.into_owned()));
            prop_assert_eq!(read.ok(), known.clone());
            let (mut cursor, mut out) = (Cursor::new(text.as_bytes()).unwrap(), Vec::new());
            if let (Some(known), Ok(())) = (&known, cursor.put_string(&mut out)) {
                let mut expected = Vec::new();
                put_bytes(&mut expected, known.as_bytes());
                prop_assert_eq!(out, expected);
            }
            let mut cursor = Cursor::new(text.as_bytes()).unwrap();
            let skipped = cursor.skip_string().and_then(|()| cursor.end());
            prop_assert_eq!(skipped.is_ok(), known.is_some());
        }
    }
}
