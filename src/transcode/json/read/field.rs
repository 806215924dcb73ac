//! Fields: one value, a list or a map.

use smallvec::SmallVec;

use super::{Reader, reserved::Reserved};
use crate::transcode::{
    fault::Fault,
    json::text,
    types::{Field, Kind, Label, Presence},
    wire::{Open, Tag, WireType},
};

impl Reader<'_, '_> {
    #[inline]
    pub(super) fn field(&mut self, field: &Field, reserved: &Reserved) -> Result<(), Fault> {
        match field.label {
            Label::Singular => self.single(field, reserved),
            Label::Repeated => self.list(field),
            Label::Map => self.map(field),
        }
    }

    /// One value. A default that cannot be told from "not set" is not written.
    pub(super) fn single(&mut self, field: &Field, reserved: &Reserved) -> Result<(), Fault> {
        let start = self.out.len();
        let kept = self.tagged(field, reserved)?;
        let default = || {
            let value = &self.out[start + field.tag.as_slice().len()..];
            field.presence == Presence::Implicit && value.iter().all(|byte| *byte == 0)
        };
        if !kept || default() {
            self.out.truncate(start);
        }
        Ok(())
    }

    /// A tag and a value; `false` if the value is one to be ignored.
    #[inline]
    fn tagged(&mut self, field: &Field, reserved: &Reserved) -> Result<bool, Fault> {
        field.tag.put(&mut self.out);
        match field.kind {
            Kind::Message(id) => {
                let open = Open::new(&mut self.out);
                self.nested(id, reserved)?;
                open.close(&mut self.out);
            }
            Kind::Group(id) => {
                self.nested(id, reserved)?;
                Tag::new(field.number, WireType::EndGroup).put(&mut self.out);
            }
            kind => return self.scalar(kind),
        }
        Ok(true)
    }

    pub(super) fn list(&mut self, field: &Field) -> Result<(), Fault> {
        self.cursor.open(b'[', "an array")?;
        if self.cursor.eat(b']') {
            return Ok(());
        }
        if !field.packed {
            return self.elements(field, Self::element);
        }
        let start = self.out.len();
        field.tag.put(&mut self.out);
        let open = Open::new(&mut self.out);
        let content = self.out.len();
        self.elements(field, |reader, field| reader.scalar(field.kind).map(drop))?;
        match self.out.len() == content {
            true => self.out.truncate(start), // all of them were values to be ignored
            false => open.close(&mut self.out),
        }
        Ok(())
    }

    #[inline]
    fn elements(
        &mut self,
        field: &Field,
        element: impl Fn(&mut Self, &Field) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for index in 0.. {
            element(self, field).map_err(|fault| fault.in_element(index))?;
            if !self.cursor.more(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// An element that is not packed.
    fn element(&mut self, field: &Field) -> Result<(), Fault> {
        let start = self.out.len();
        if !self.tagged(field, Reserved::nothing())? {
            self.out.truncate(start);
        }
        Ok(())
    }

    pub(super) fn map(&mut self, field: &Field) -> Result<(), Fault> {
        self.cursor.open(b'{', "an object")?;
        if self.cursor.eat(b'}') {
            return Ok(());
        }
        let types = self.types;
        let Some((key, value)) = types.message_of(field).and_then(|entry| entry.entry()) else {
            return Err(Fault::new("a map without entries.")); // no descriptor says so
        };
        let mut keys = Keys::new();
        loop {
            let from = self.cursor.at;
            let entry = self.deeper(|reader| reader.entry(field, key, value, &mut keys));
            entry.map_err(|fault| self.in_entry(fault, from))?;
            if !self.cursor.more(b'}')? {
                break;
            }
        }
        self.are_unlike(&mut keys)
    }

    fn entry(
        &mut self,
        field: &Field,
        key: &Field,
        value: &Field,
        keys: &mut Keys,
    ) -> Result<(), Fault> {
        let start = self.out.len();
        field.tag.put(&mut self.out);
        let open = Open::new(&mut self.out);
        let content = self.out.len();
        self.map_key(key)?;
        let key_len = self.out.len() - content;
        self.cursor.colon()?;
        if !self.tagged(value, Reserved::nothing())? {
            self.out.truncate(start);
            return Ok(());
        }
        let len = self.out.len() - content;
        open.close(&mut self.out);
        let content = self.out.len() - len; // the length may have moved it
        keys.push((content, key_len));
        Ok(())
    }

    fn map_key(&mut self, key: &Field) -> Result<(), Fault> {
        if self.cursor.peek() != b'"' {
            return Err(self.cursor.unexpected("a name"));
        }
        key.tag.put(&mut self.out);
        match key.kind {
            Kind::String => self.cursor.put_string(&mut self.out),
            kind => {
                let text = self.cursor.string()?;
                text::scalar(self.types, kind, &text, &mut self.out)
            }
        }
    }

    /// Names the entry that begins here.
    #[cold]
    fn in_entry(&self, fault: Fault, from: usize) -> Fault {
        let mut cursor = self.cursor;
        cursor.at = from;
        match (cursor.peek(), cursor.string()) {
            (b'"', Ok(key)) => fault.in_field(&key),
            _ => fault,
        }
    }

    /// Keys stand once, however they were spelled: the bytes that were written for them are compared.
    fn are_unlike(&self, keys: &mut Keys) -> Result<(), Fault> {
        let out = &self.out;
        let bytes = |(at, len): &(usize, usize)| &out[*at..at + len];
        keys.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
        match keys.windows(2).find(|pair| bytes(&pair[0]) == bytes(&pair[1])) {
            None => Ok(()),
            Some(_) => Err(Fault::new("has a key twice.")),
        }
    }
}

/// Where the keys of a map were written, and their lengths.
type Keys = SmallVec<[(usize, usize); 8]>;
