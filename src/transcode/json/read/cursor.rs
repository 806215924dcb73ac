//! A place in a JSON text.

use crate::transcode::{fault::Fault, json::number};

#[derive(Clone, Copy, Debug)]
pub(in crate::transcode) struct Cursor<'j> {
    text: &'j str,
    pub(super) at: usize,
}

impl<'j> Cursor<'j> {
    /// Before the text's first byte.
    ///
    /// # Errors
    ///
    /// The text is not UTF-8.
    pub(in crate::transcode) fn new(json: &'j [u8]) -> Result<Self, Fault> {
        match std::str::from_utf8(json) {
            Ok(text) => Ok(Self { text, at: 0 }),
            Err(error) => {
                Err(Fault::new(format!("not UTF-8 from byte {} on.", error.valid_up_to())))
            }
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &'j [u8] {
        self.text.as_bytes()
    }

    /// What has not been read.
    #[inline]
    pub(super) fn rest(&self) -> &'j [u8] {
        self.bytes().get(self.at..).unwrap_or_default()
    }

    /// The text between two places, which lie between characters.
    #[inline]
    pub(super) fn slice(&self, from: usize, to: usize) -> &'j str {
        &self.text[from..to]
    }

    /// The next byte that is no whitespace; 0, which stands nowhere between values, at the end.
    #[inline]
    pub(in crate::transcode) fn peek(&mut self) -> u8 {
        match self.bytes().get(self.at) {
            Some(byte) if *byte > b' ' => *byte,
            _ => self.peek_after_whitespace(),
        }
    }

    #[inline(never)]
    fn peek_after_whitespace(&mut self) -> u8 {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes().get(self.at) {
            self.at += 1;
        }
        self.bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Whether this byte comes next; if so, it is read.
    #[inline]
    pub(in crate::transcode) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    /// After a member or an element: whether there is another one before the closing bracket.
    #[inline]
    pub(in crate::transcode) fn more(&mut self, close: u8) -> Result<bool, Fault> {
        let found = self.peek();
        if found != b',' && found != close {
            return Err(self.unexpected(if close == b'}' { "`,` or `}`" } else { "`,` or `]`" }));
        }
        self.at += 1;
        Ok(found == b',')
    }

    /// Reads what begins a value that has to be of one type.
    #[inline]
    pub(in crate::transcode) fn open(&mut self, byte: u8, wanted: &str) -> Result<(), Fault> {
        if self.eat(byte) { Ok(()) } else { Err(self.mismatch(wanted)) }
    }

    #[inline]
    pub(in crate::transcode) fn colon(&mut self) -> Result<(), Fault> {
        if self.eat(b':') { Ok(()) } else { Err(self.unexpected("`:`")) }
    }

    /// Reads `true`, `false` or `null`, of which the first letter has been seen.
    pub(super) fn word(&mut self, word: &str) -> Result<(), Fault> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Everything that may belong to a number; whether it is one is for its reader to say.
    pub(super) fn number(&mut self) -> &'j str {
        let of_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let from = self.at;
        self.at += self.rest().iter().take_while(of_number).count();
        self.slice(from, self.at)
    }

    /// An integer of at most 19 digits that nothing follows which belongs to a number.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<number::Whole> {
        let (whole, len) = number::leading(self.rest())?;
        self.at += len;
        Some(whole)
    }

    /// Nothing but whitespace follows.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.peek();
        if self.rest().is_empty() { Ok(()) } else { Err(self.unexpected("the end of the text")) }
    }

    /// The text is no JSON.
    #[cold]
    pub(super) fn unexpected(&mut self, wanted: &str) -> Fault {
        self.peek();
        Fault::new(match self.rest() {
            [] => format!("not JSON: the text ends where {wanted} belongs."),
            [byte, ..] => {
                let found = match byte {
                    b'!'..=b'~' => char::from(*byte).to_string(),
                    byte => byte.escape_ascii().to_string(),
                };
                format!("not JSON: `{found}` at byte {} where {wanted} belongs.", self.at)
            }
        })
    }

    /// The value is of another type.
    #[cold]
    pub(super) fn mismatch(&mut self, wanted: &str) -> Fault {
        let found = match self.peek() {
            b'"' => "a string",
            b'{' => "an object",
            b'[' => "an array",
            b'0'..=b'9' | b'-' => "a number",
            b't' if self.rest().starts_with(b"true") => "`true`",
            b'f' if self.rest().starts_with(b"false") => "`false`",
            b'n' if self.rest().starts_with(b"null") => "`null`",
            _ => return self.unexpected("a value"),
        };
        Fault::new(format!("has to be {wanted}, not {found}."))
    }
}

/// Whether a text begins with a key, whose last byte is compared first: names of one length are rare.
#[inline]
pub(super) fn is_prefix(key: &[u8], text: &[u8]) -> bool {
    let last = key.len().wrapping_sub(1);
    text.get(last) == key.last() && text.starts_with(key)
}
