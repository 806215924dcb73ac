//! Wire bytes to JSON.
//!
//! Almost every encoder writes the fields of a message one after the other, each in one run. So the first pass is
//! hopeful: it prints fields as they come ([`swift`]), and only takes note of what it has seen. A singular field
//! that comes twice, a list that goes on after another field or a map's key that comes again is *disorder*: then
//! all that was printed is dropped, and the whole is printed again by a pass that gathers what belongs together
//! before it prints a message ([`gather`]). Never more than these two, whatever lies in the bytes.

mod check;
mod forms;
mod gather;
mod lists;
mod maps;
mod numbers;
mod swift;
mod text;
mod value;

use self::gather::Found;
use super::JsonOptions;
use crate::transcode::{
    fault::Fault,
    types::{Field, Form, Label, Message, MessageId, Types},
    wire::{Broken, DEPTH, MAX_DEPTH},
};

/// Prints messages of these types. What is printed is at most `limit` bytes, or it is a fault: it may be much
/// longer than its wire bytes, since one of them can be a long name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Print<'a> {
    pub(crate) types: &'a Types,
    pub(crate) options: JsonOptions,
    pub(crate) limit: usize,
}

impl Print<'_> {
    /// Appends a message. After a fault, `out` is as it was.
    pub(crate) fn message(
        &self,
        id: MessageId,
        wire: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.twice(out, |pass| pass.message(id, &[wire], 0))
    }

    /// Appends the value of one field of a message. One that is not set is its default, or `null` if it is a
    /// message. After a fault, `out` is as it was.
    pub(crate) fn member(
        &self,
        id: MessageId,
        place: usize,
        wire: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let message = self.types.message(id);
        self.twice(out, |pass| pass.member(message, place, wire))
    }

    /// Appends what an `Any` holds; `false`, and `out` as it was, if that is of no known type or does not fit it.
    pub(crate) fn any(&self, type_url: &str, value: &[u8], out: &mut Vec<u8>) -> bool {
        self.twice(out, |pass| pass.held(type_url.as_bytes(), value, 0)).is_ok()
    }

    /// The hopeful pass, and the careful one after it if need be.
    fn twice<'w>(
        &'w self,
        out: &mut Vec<u8>,
        print: impl Fn(&mut Pass<'w, '_>) -> Result<(), Stop>,
    ) -> Result<(), Fault> {
        let (start, cap) = (out.len(), out.len().saturating_add(self.limit));
        let pass = |careful, out: &mut Vec<u8>| {
            let mut pass =
                Pass { types: self.types, options: self.options, careful, cap, out: &mut *out };
            let result = print(&mut pass).and_then(|()| pass.check_limit());
            if result.is_err() {
                out.truncate(start);
            }
            result
        };
        let result = match pass(false, out) {
            Err(Stop::Disorder) => pass(true, out),
            result => result,
        };
        result.map_err(Stop::into_fault)
    }
}

/// One pass over a message.
struct Pass<'a, 'o> {
    types: &'a Types,
    options: JsonOptions,
    /// Gathers before it prints, and knows no disorder.
    careful: bool,
    /// How long `out` may become.
    cap: usize,
    out: &'o mut Vec<u8>,
}

/// Why a pass ends before the message does.
#[derive(Debug)]
enum Stop {
    /// Only by gathering can this be printed.
    Disorder,
    Fault(Fault),
}

impl Stop {
    #[cold]
    fn fault(detail: &'static str) -> Self {
        Self::Fault(Fault::new(detail))
    }

    #[cold]
    fn in_field(self, field: &Field) -> Self {
        match self {
            Self::Disorder => self,
            Self::Fault(fault) => Self::Fault(fault.in_field(&field.name)),
        }
    }

    #[cold]
    fn in_element(self, index: usize) -> Self {
        match self {
            Self::Disorder => self,
            Self::Fault(fault) => Self::Fault(fault.in_element(index)),
        }
    }

    fn into_fault(self) -> Fault {
        match self {
            Self::Disorder => Fault::new("fields that cannot be brought in order"),
            Self::Fault(fault) => fault,
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Broken> for Stop {
    #[cold]
    fn from(broken: Broken) -> Self {
        Self::Fault(broken.into())
    }
}

impl<'a> Pass<'a, '_> {
    /// A message, which is all of these chunks: a field that comes again is merged into what it was.
    fn message(&mut self, id: MessageId, chunks: &[&'a [u8]], depth: u32) -> Result<(), Stop> {
        check_depth(depth)?;
        let message = self.types.message(id);
        match message.form {
            Form::Plain | Form::MapEntry => {
                self.out.push(b'{');
                self.fields(message, chunks, depth)?;
                self.close(b'}');
                Ok(())
            }
            _ => self.special(message, chunks, depth),
        }
    }

    /// The members of an object, with a comma after each.
    fn fields(
        &mut self,
        message: &'a Message,
        chunks: &[&'a [u8]],
        depth: u32,
    ) -> Result<(), Stop> {
        match chunks {
            [bytes] if !self.careful => self.swift(message, bytes, depth),
            _ => self.gathered(message, chunks, depth),
        }
    }

    fn key(&mut self, field: &Field) {
        let key = if self.options.proto_names { &field.name_key } else { &field.json_key };
        self.out.extend_from_slice(key);
    }

    /// Ends an object or a list: in place of the comma after its last member, if it has one.
    fn close(&mut self, end: u8) {
        match self.out.last_mut() {
            Some(last @ b',') => *last = end,
            _ => self.out.push(end),
        }
    }

    /// Ends a value within an object or a list.
    fn comma(&mut self) -> Result<(), Stop> {
        self.out.push(b',');
        self.check_limit()
    }

    /// Whether what is printed may be that long. Checked after each value, so that no more than one is too much.
    fn check_limit(&self) -> Result<(), Stop> {
        match self.out.len() > self.cap {
            true => Err(Stop::fault("JSON that is longer than it may be")),
            false => Ok(()),
        }
    }

    /// A field that has no presence, and is not on the wire.
    fn default_member(&mut self, field: &Field) -> Result<(), Stop> {
        self.key(field);
        self.default_value(field)?;
        self.comma()
    }

    fn default_value(&mut self, field: &Field) -> Result<(), Stop> {
        match (field.label, field.kind.message()) {
            (Label::Repeated, _) => self.out.extend_from_slice(b"[]"),
            (Label::Map, _) => self.out.extend_from_slice(b"{}"),
            (Label::Singular, Some(_)) => self.out.extend_from_slice(b"null"),
            (Label::Singular, None) => self.scalar(field.kind, self.zero(field.kind))?,
        }
        Ok(())
    }

    fn member(&mut self, message: &Message, place: usize, wire: &'a [u8]) -> Result<(), Stop> {
        let field = &message.fields[place];
        let found = self.gather(message, &[wire], Some(place), 0)?;
        let values = || found.iter().map(Found::value);
        let (wires, kind) = (|| values().map(Ok), field.kind);
        match field.label {
            _ if found.is_empty() => self.default_value(field),
            Label::Singular => self.merged(kind, values(), 0),
            Label::Repeated => self.elements(kind, wires(), 0).map(drop),
            Label::Map => {
                let last = self.last_of_keys(kind, values(), 0)?;
                self.entries(kind, last.into_iter().map(Ok), 0).map(drop)
            }
        }
        .map_err(|stop| stop.in_field(field))
    }
}

fn check_depth(depth: u32) -> Result<(), Stop> {
    match depth > MAX_DEPTH {
        true => Err(Stop::fault(DEPTH)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
