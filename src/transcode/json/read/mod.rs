//! JSON to wire bytes.
//!
//! One pass over the text, and no message in between: a member's name leads to its field, the field's kind to the
//! code that turns the value into bytes, and these are appended. What is longer than its length's octet is moved
//! ([`Open`](crate::transcode::wire::Open)).
//!
//! Strict: the text is JSON by RFC 8259 and UTF-8; a name stands once, and of a `oneof` one member is set; messages
//! lie at most [`MAX_DEPTH`](crate::transcode::wire::MAX_DEPTH) deep in one another on the wire, of which a value
//! in a `Struct` takes three. Work and memory are bounded by the length of
//! the text: what is written takes a few times as much, at most (`1,` in a `ListValue` becomes eleven bytes).

mod any;
mod cursor;
mod field;
mod message;
mod reserved;
mod scalar;
mod seen;
mod skip;
mod string;
mod value;

use std::mem;

pub(in crate::transcode) use cursor::Cursor;
pub(crate) use reserved::Reserved;

use super::JsonOptions;
use crate::transcode::{
    fault::Fault,
    types::{Field, MessageId, Types},
};

/// How to read JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parse<'a> {
    pub(crate) types: &'a Types,
    pub(crate) options: JsonOptions,
    /// What the path of the request binds already.
    pub(crate) reserved: &'a Reserved,
}

impl<'a> Parse<'a> {
    /// Appends the message that the whole text is.
    ///
    /// # Errors
    ///
    /// What is wrong, and in which field. Nothing is appended.
    pub(crate) fn message(
        &self,
        id: MessageId,
        json: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.read(json, out, |reader| reader.message(id, self.reserved))
    }

    /// Appends the field, tag and all, whose value the whole text is; nothing for `null`, and for the default where
    /// that cannot be told from "not set".
    ///
    /// # Errors
    ///
    /// As [`message`](Self::message).
    pub(crate) fn member(
        &self,
        field: &Field,
        json: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let read = self.read(json, out, |reader| reader.body(field, self.reserved));
        read.map_err(|fault| fault.in_field(&field.json_name))
    }

    fn read(
        &self,
        json: &[u8],
        out: &mut Vec<u8>,
        value: impl FnOnce(&mut Reader<'a, '_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let start = out.len();
        let mut reader = Reader {
            types: self.types,
            ignores_unknown: self.options.ignores_unknown(),
            cursor: Cursor::new(json)?,
            depth: 0,
            ahead: 0,
            out: mem::take(out),
        };
        let read = value(&mut reader).and_then(|()| reader.cursor.end());
        *out = reader.out;
        if read.is_err() {
            out.truncate(start);
        }
        read
    }
}

/// Reads one text.
struct Reader<'a, 'j> {
    types: &'a Types,
    ignores_unknown: bool,
    cursor: Cursor<'j>,
    /// How many messages lie around this one.
    depth: u32,
    /// How many bytes were read ahead in search of an `@type`.
    ahead: usize,
    out: Vec<u8>,
}

#[cfg(test)]
mod tests;
