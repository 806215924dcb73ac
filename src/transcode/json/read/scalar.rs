//! Numbers, strings, booleans, bytes and enums.

use super::{Reader, cursor::is_prefix};
use crate::transcode::{
    fault::Fault,
    json::{
        number::{self, Bad},
        text,
    },
    types::{Enum, EnumId, Kind},
    wire::put_varint,
};

impl Reader<'_, '_> {
    /// Writes a scalar without its tag; `false` if it is one to be ignored, and nothing was written.
    #[inline]
    pub(super) fn scalar(&mut self, kind: Kind) -> Result<bool, Fault> {
        match kind {
            Kind::String => self.cursor.put_string(&mut self.out)?,
            Kind::Bool => {
                let value = self.boolean()?;
                self.out.push(u8::from(value));
            }
            Kind::Bytes => self.quoted(kind)?,
            Kind::Enum(id) => return self.enumeration(id, kind),
            Kind::Double | Kind::Float => self.float(kind)?,
            kind => self.integer(kind)?,
        }
        Ok(true)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Fault> {
        match self.cursor.peek() {
            b't' => self.cursor.word("true").map(|()| true),
            b'f' => self.cursor.word("false").map(|()| false),
            _ => Err(self.cursor.mismatch("`true` or `false`")),
        }
    }

    #[inline]
    fn integer(&mut self, kind: Kind) -> Result<(), Fault> {
        match self.cursor.peek() {
            b'-' | b'0'..=b'9' => {}
            b'"' => return self.quoted(kind),
            _ => return Err(self.cursor.mismatch("a number")),
        }
        let whole = match self.cursor.integer() {
            Some(whole) => whole,
            None => {
                let text = self.cursor.number();
                number::integer(text.as_bytes()).map_err(|bad| bad.fault(kind))?
            }
        };
        whole.put(kind, &mut self.out).ok_or_else(|| Bad::Range.fault(kind))
    }

    fn float(&mut self, kind: Kind) -> Result<(), Fault> {
        match self.cursor.peek() {
            b'-' | b'0'..=b'9' => {
                let text = self.cursor.number();
                text::scalar(self.types, kind, text, &mut self.out)
            }
            b'"' => self.quoted(kind),
            _ => Err(self.cursor.mismatch("a number")),
        }
    }

    /// What a string holds.
    fn quoted(&mut self, kind: Kind) -> Result<(), Fault> {
        let text = self.cursor.string()?;
        text::scalar(self.types, kind, &text, &mut self.out)
    }

    fn enumeration(&mut self, id: EnumId, kind: Kind) -> Result<bool, Fault> {
        let of = self.types.enumeration(id);
        let known = match self.cursor.peek() {
            b'"' => self.enum_name(of)?,
            b'-' | b'0'..=b'9' => {
                let text = self.cursor.number();
                let whole = number::integer(text.as_bytes()).map_err(|bad| bad.fault(kind))?;
                let value = whole.i32().ok_or_else(|| Bad::Range.fault(kind))?;
                (!of.closed || of.value(value).is_some()).then_some(value)
            }
            b'n' if of.null => self.cursor.word("null").map(|()| Some(0))?,
            _ => return Err(self.cursor.mismatch("the name or the number of an enum's value")),
        };
        match known {
            Some(value) => put_varint(&mut self.out, i64::from(value) as u64),
            None if self.ignores_unknown => return Ok(false),
            None => return Err(text::not_a_value(of)),
        }
        Ok(true)
    }

    /// The number of the value that a string names. The first few are compared where they stand, which costs less
    /// than to look the name up.
    fn enum_name(&mut self, of: &Enum) -> Result<Option<i32>, Fault> {
        let rest = self.cursor.rest();
        match of.values.iter().take(COMPARED).find(|value| is_prefix(&value.json, rest)) {
            Some(value) => {
                self.cursor.at += value.json.len();
                Ok(Some(value.number))
            }
            None => {
                let name = self.cursor.string()?;
                Ok(of.value_named(&name).map(|value| value.number))
            }
        }
    }
}

const COMPARED: usize = 8;
