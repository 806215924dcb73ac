//! The hopeful pass: fields are printed as they come.

use super::{
    Pass, Stop,
    value::{Laid, Raw},
};
use crate::transcode::{
    types::{Field, Label, Message, Presence},
    wire::{Broken, Reader, WireType},
};

/// Which fields have come. Exact for the first 64 of a message; beyond, a field is new if its number is higher
/// than all before it, as it is where fields are written in order.
#[derive(Default)]
struct Seen {
    places: u64,
    oneofs: u64,
    highest: u32,
}

const EXACT: usize = u64::BITS as usize;

impl Seen {
    /// Notes a field; `false` if it came before, or another member of its oneof.
    #[inline]
    fn is_first(&mut self, place: usize, field: &Field) -> bool {
        let rising = field.number > self.highest;
        self.highest = self.highest.max(field.number);
        let first = match bit(place) {
            0 => rising,
            bit => note(&mut self.places, bit),
        };
        first
            && match field.oneof {
                None => true,
                Some(oneof) => note(&mut self.oneofs, bit(oneof.into())),
            }
    }

    fn has(&self, place: usize) -> bool {
        self.places & bit(place) != 0
    }
}

fn bit(place: usize) -> u64 {
    if place < EXACT { 1 << place } else { 0 }
}

/// Sets a bit; `false` if it was set, or is none.
fn note(bits: &mut u64, bit: u64) -> bool {
    let first = !*bits & bit != 0;
    *bits |= bit;
    first
}

impl<'a> Pass<'a, '_> {
    pub(super) fn swift(
        &mut self,
        message: &'a Message,
        bytes: &'a [u8],
        depth: u32,
    ) -> Result<(), Stop> {
        let (mut seen, mut reader) = (Seen::default(), Reader::new(bytes));
        while !reader.is_empty() {
            let (number, wire) = reader.tag()?;
            let Some(place) = message.place(number) else {
                reader.skip(number, wire)?;
                continue;
            };
            let field = &message.fields[place];
            if field.label != Label::Singular && !seen.is_first(place, field) {
                return Err(Stop::Disorder);
            }
            let run = Run { reader: &mut reader, number, first: Some(wire) };
            let printed = match field.label {
                Label::Singular => self.singular(field, place, run, &mut seen, depth),
                Label::Repeated => self.list(field, run, depth),
                Label::Map => self.map(field, run, depth),
            };
            printed.map_err(|stop| stop.in_field(field))?;
        }
        match self.options.defaults {
            true => self.rest(message, &seen),
            false => Ok(()),
        }
    }

    #[inline]
    fn singular(
        &mut self,
        field: &'a Field,
        place: usize,
        run: Run<'_, 'a>,
        seen: &mut Seen,
        depth: u32,
    ) -> Result<(), Stop> {
        let Some(wire) = run.first else { return Ok(()) };
        let raw = Raw::read(run.reader, run.number, wire)?.of(field.kind);
        if wire != field.kind.wire_type() || !self.is_known(field.kind, raw) {
            return Ok(()); // unknown, as a parser has it
        }
        if !seen.is_first(place, field) {
            return Err(Stop::Disorder);
        }
        if field.presence == Presence::Implicit && raw.is_zero() && !self.options.defaults {
            return Ok(());
        }
        self.key(field);
        self.value(field.kind, raw, depth)?;
        self.comma()
    }

    /// The defaults of fields that have not come.
    fn rest(&mut self, message: &Message, seen: &Seen) -> Result<(), Stop> {
        if message.fields.len() > EXACT {
            return Err(Stop::Disorder); // which of them came is not known
        }
        for (place, field) in message.fields.iter().enumerate() {
            if has_default(field) && !seen.has(place) {
                self.default_member(field)?;
            }
        }
        Ok(())
    }
}

/// Whether it is printed even if it is not on the wire, where defaults are asked for: not an extension, since
/// anyone may declare one.
pub(super) fn has_default(field: &Field) -> bool {
    field.presence == Presence::Implicit && !field.name.starts_with('[')
}

/// What one field has on the wire until another one comes.
struct Run<'r, 'a> {
    reader: &'r mut Reader<'a>,
    number: u32,
    /// The layout of the first value, whose tag has been read.
    first: Option<WireType>,
}

impl Run<'_, '_> {
    #[inline]
    fn wire(&mut self) -> Option<WireType> {
        if let Some(wire) = self.first.take() {
            return Some(wire);
        }
        let mut ahead = *self.reader;
        match ahead.tag() {
            Ok((number, wire)) if number == self.number => {
                *self.reader = ahead;
                Some(wire)
            }
            _ => None,
        }
    }
}

impl<'a> Iterator for Run<'_, 'a> {
    type Item = Result<Laid<'a>, Broken>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let wire = self.wire()?;
        Some(Raw::read(self.reader, self.number, wire).map(|raw| (wire, raw)))
    }
}
