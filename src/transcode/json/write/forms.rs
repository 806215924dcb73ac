//! The well-known types that JSON writes in a form of their own.

use super::{
    Pass, Stop, check_depth,
    gather::Found,
    text,
    value::{Laid, Raw},
};
use crate::transcode::{
    fault::Fault,
    types::{Form, Kind, Message, MessageId},
    well_known::{duration, field_mask, timestamp},
    wire::{Broken, Reader, WireType},
};

/// How much of a type URL is told.
const TOLD: usize = 200;

impl<'a> Pass<'a, '_> {
    pub(super) fn special(
        &mut self,
        message: &'a Message,
        chunks: &[&'a [u8]],
        depth: u32,
    ) -> Result<(), Stop> {
        match message.form {
            Form::Any => self.any(chunks, depth),
            Form::Duration => self.time(chunks, duration::put, "a duration that is out of range"),
            Form::Timestamp => self.time(chunks, timestamp::put, "a time that is out of range"),
            Form::FieldMask => self.field_mask(chunks),
            Form::ListValue => self.list_value(message, chunks, depth),
            Form::Struct => self.structure(message, chunks, depth),
            Form::Value => self.dynamic_value(message, chunks, depth),
            Form::Wrapper => self.wrapper(message, chunks),
            Form::Plain | Form::MapEntry => self.fields(message, chunks, depth),
        }
    }

    fn time(
        &mut self,
        chunks: &[&'a [u8]],
        put: fn(&mut Vec<u8>, i64, i32) -> Option<()>,
        fault: &'static str,
    ) -> Result<(), Stop> {
        let (mut seconds, mut nanos) = (0, 0);
        for field in Fields::of(chunks) {
            match field? {
                (1, WireType::Varint, Raw::Number(value)) => seconds = value as i64,
                (2, WireType::Varint, Raw::Number(value)) => nanos = value as i32,
                _ => {}
            }
        }
        self.out.push(b'"');
        put(self.out, seconds, nanos).ok_or_else(|| Stop::fault(fault))?;
        self.out.push(b'"');
        Ok(())
    }

    /// All paths in one string.
    fn field_mask(&mut self, chunks: &[&'a [u8]]) -> Result<(), Stop> {
        let fault = || Stop::fault("a field mask whose path JSON cannot write");
        let mut paths = Vec::new();
        for path in Fields::of(chunks).values(1) {
            let (WireType::Bytes, raw) = path? else { continue };
            let path = std::str::from_utf8(raw.bytes()).map_err(|_| fault())?;
            if path.contains(',') {
                return Err(fault());
            }
            if !paths.is_empty() {
                paths.push(b',');
            }
            field_mask::put(&mut paths, path).ok_or_else(fault)?;
        }
        Ok(text::put(self.out, &paths)?)
    }

    fn list_value(
        &mut self,
        message: &Message,
        chunks: &[&'a [u8]],
        depth: u32,
    ) -> Result<(), Stop> {
        let kind = message.fields[0].kind;
        self.elements(kind, Fields::of(chunks).values(1), depth).map(drop)
    }

    fn structure(
        &mut self,
        message: &Message,
        chunks: &[&'a [u8]],
        depth: u32,
    ) -> Result<(), Stop> {
        let (kind, entries) = (message.fields[0].kind, Fields::of(chunks).values(1));
        if !self.careful {
            return self.entries(kind, entries, depth).map(drop);
        }
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let last = self.last_of_keys(kind, entries.into_iter(), depth)?;
        self.entries(kind, last.into_iter().map(Ok), depth).map(drop)
    }

    /// A `Value` is the member of its oneof that holds, and must have one.
    fn dynamic_value(
        &mut self,
        message: &'a Message,
        chunks: &[&'a [u8]],
        depth: u32,
    ) -> Result<(), Stop> {
        if !self.careful {
            let (kind, raw) = self.only_member(message, chunks)?;
            check_number(kind, raw)?;
            return self.value(kind, raw, depth);
        }
        let found = self.gather(message, chunks, None, depth)?;
        let Some(last) = found.last() else { return Err(Stop::fault(EMPTY)) };
        let kind = message.fields[last.place].kind;
        check_number(kind, last.value().1)?;
        let values = found.iter().filter(|it| it.place == last.place);
        self.merged(kind, values.map(Found::value), depth)
    }

    fn only_member(&self, message: &Message, chunks: &[&'a [u8]]) -> Result<(Kind, Raw<'a>), Stop> {
        let mut only = None;
        for field in Fields::of(chunks) {
            let (number, wire, raw) = field?;
            let Some(place) = message.place(number) else { continue };
            let kind = message.fields[place].kind;
            if wire == kind.wire_type() && only.replace((kind, raw.of(kind))).is_some() {
                return Err(Stop::Disorder);
            }
        }
        only.ok_or_else(|| Stop::fault(EMPTY))
    }

    fn wrapper(&mut self, message: &Message, chunks: &[&'a [u8]]) -> Result<(), Stop> {
        let kind = message.fields[0].kind;
        let mut value = self.zero(kind);
        for laid in Fields::of(chunks).values(1) {
            match laid? {
                (wire, raw) if wire == kind.wire_type() => {
                    self.check(kind, raw, 0)?;
                    value = raw.of(kind);
                }
                _ => {}
            }
        }
        self.scalar(kind, value)
    }

    fn any(&mut self, chunks: &[&'a [u8]], depth: u32) -> Result<(), Stop> {
        let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in Fields::of(chunks) {
            match field? {
                (1, WireType::Bytes, raw) => {
                    self.check(Kind::String, raw, depth)?;
                    url = raw.bytes();
                }
                (2, WireType::Bytes, raw) => value = raw.bytes(),
                _ => {}
            }
        }
        if url.is_empty() && value.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        self.held(url, value, depth)
    }

    /// What an `Any` holds: the members of the message, or its own form as a member.
    pub(super) fn held(&mut self, url: &[u8], value: &'a [u8], depth: u32) -> Result<(), Stop> {
        let id = self.held_type(url)?;
        self.out.extend_from_slice(br#"{"@type":"#);
        text::put(self.out, url)?;
        self.comma()?;
        let message = self.types.message(id);
        if matches!(message.form, Form::Plain | Form::MapEntry) {
            check_depth(depth + 1)?;
            self.fields(message, &[value], depth + 1)?;
        } else {
            self.out.extend_from_slice(br#""value":"#);
            self.message(id, &[value], depth + 1)?;
        }
        self.close(b'}');
        Ok(())
    }

    fn held_type(&self, url: &[u8]) -> Result<MessageId, Stop> {
        let known = std::str::from_utf8(url).ok().and_then(|url| self.types.find_url(url));
        known.ok_or_else(|| {
            let told = String::from_utf8_lossy(&url[..url.len().min(TOLD)]).into_owned();
            Stop::Fault(Fault::new(format!("an Any of the unknown type `{told}`")))
        })
    }
}

const EMPTY: &str = "a google.protobuf.Value that has no value";

/// A `Value` is read back as what it looks like, so its numbers are numbers.
fn check_number(kind: Kind, raw: Raw<'_>) -> Result<(), Stop> {
    match (kind, raw) {
        (Kind::Double, Raw::Number(bits)) if !f64::from_bits(bits).is_finite() => {
            Err(Stop::fault("a google.protobuf.Value that is no finite number"))
        }
        _ => Ok(()),
    }
}

/// The fields of a message that is all of these chunks.
pub(super) struct Fields<'a, 'c> {
    chunks: std::slice::Iter<'c, &'a [u8]>,
    reader: Reader<'a>,
}

impl<'a, 'c> Fields<'a, 'c> {
    pub(super) fn of(chunks: &'c [&'a [u8]]) -> Self {
        Self { chunks: chunks.iter(), reader: Reader::new(&[]) }
    }

    /// The values of one field.
    fn values(self, number: u32) -> impl Iterator<Item = Result<Laid<'a>, Broken>> + use<'a, 'c> {
        self.filter_map(move |field| match field {
            Ok((found, wire, raw)) => (found == number).then_some(Ok((wire, raw))),
            Err(broken) => Some(Err(broken)),
        })
    }

    fn read(&mut self) -> Result<(u32, WireType, Raw<'a>), Broken> {
        let (number, wire) = self.reader.tag()?;
        Ok((number, wire, Raw::read(&mut self.reader, number, wire)?))
    }
}

impl<'a> Iterator for Fields<'a, '_> {
    type Item = Result<(u32, WireType, Raw<'a>), Broken>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while self.reader.is_empty() {
            self.reader = Reader::new(self.chunks.next()?);
        }
        Some(self.read())
    }
}
