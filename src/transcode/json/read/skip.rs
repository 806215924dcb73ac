//! Values that nobody wants: passed over, but JSON all the same.

use super::cursor::Cursor;
use crate::transcode::{
    fault::Fault,
    json::number,
    wire::{Broken, DEPTH, MAX_DEPTH},
};

impl Cursor<'_> {
    /// Passes over a value that lies this deep.
    pub(in crate::transcode) fn skip(&mut self, depth: u32) -> Result<(), Fault> {
        match self.peek() {
            b'{' | b'[' if depth >= MAX_DEPTH => Err(Broken(DEPTH).into()),
            b'{' => self.skip_object(depth + 1),
            b'[' => self.skip_array(depth + 1),
            b'"' => self.skip_string(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'-' | b'0'..=b'9' if number::is_number(self.number()) => Ok(()),
            b'-' | b'0'..=b'9' => Err(Fault::new("not JSON: not a number.")),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn skip_object(&mut self, depth: u32) -> Result<(), Fault> {
        self.open(b'{', "an object")?;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != b'"' {
                return Err(self.unexpected("a name"));
            }
            self.skip_string()?;
            self.colon()?;
            self.skip(depth)?;
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    fn skip_array(&mut self, depth: u32) -> Result<(), Fault> {
        self.open(b'[', "an array")?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.skip(depth)?;
            if !self.more(b']')? {
                return Ok(());
            }
        }
    }
}
