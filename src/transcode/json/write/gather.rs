//! The careful pass: all that a message holds is gathered before it is printed.
//!
//! What is gathered are places in the wire bytes, not copies: however messages lie in one another, one value is
//! held once. At worst, for a message of nothing but empty elements, that is some 40 bytes for 2.

use smallvec::{SmallVec, smallvec};

use super::{
    Pass, Stop,
    swift::has_default,
    value::{Laid, Raw},
};
use crate::transcode::{
    types::{Field, Label, Message, Presence},
    wire::{Reader, WireType},
};

/// One value of a field.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) place: usize,
    wire: WireType,
    raw: Raw<'a>,
}

impl<'a> Found<'a> {
    pub(super) fn value(&self) -> Laid<'a> {
        (self.wire, self.raw)
    }
}

/// The members of oneofs that hold, and since which value they do.
struct Holders(SmallVec<[Option<(usize, usize)>; 4]>);

impl Holders {
    /// A member clears the others.
    fn note(&mut self, field: &Field, place: usize, at: usize) {
        let holder = field.oneof.and_then(|oneof| self.0.get_mut(usize::from(oneof)));
        match holder {
            Some(Some((holder, _))) if *holder == place => {}
            Some(holder) => *holder = Some((place, at)),
            None => {}
        }
    }

    fn holds(&self, field: &Field, place: usize, at: usize) -> bool {
        match field.oneof.and_then(|oneof| self.0.get(usize::from(oneof)).copied().flatten()) {
            Some((holder, since)) => holder == place && at >= since,
            None => true,
        }
    }
}

impl<'a> Pass<'a, '_> {
    /// The values of all fields, or of `only` one, in the order of the fields.
    pub(super) fn gather(
        &self,
        message: &Message,
        chunks: &[&'a [u8]],
        only: Option<usize>,
        depth: u32,
    ) -> Result<Vec<Found<'a>>, Stop> {
        let mut found = Vec::new();
        let mut holders = Holders(smallvec![None; message.oneofs.len()]);
        for chunk in chunks {
            let mut reader = Reader::new(chunk);
            while !reader.is_empty() {
                let (number, wire) = reader.tag()?;
                let raw = Raw::read(&mut reader, number, wire)?;
                let Some(place) = message.place(number) else { continue };
                let field = &message.fields[place];
                if self.is_value(field, wire, raw) {
                    holders.note(field, place, found.len());
                    if only.is_none_or(|only| only == place) {
                        found.push(Found { place, wire, raw });
                    }
                }
            }
        }
        if message.oneofs.is_empty() {
            found.sort_by_key(|it| it.place); // stable: values of one field stay in their order
            return Ok(found);
        }
        let mut held = Vec::with_capacity(found.len());
        for (at, it) in found.into_iter().enumerate() {
            let field = &message.fields[it.place];
            if holders.holds(field, it.place, at) {
                held.push(it);
            } else {
                self.check(field.kind, it.raw, depth).map_err(|stop| stop.in_field(field))?;
            }
        }
        held.sort_by_key(|it| it.place);
        Ok(held)
    }

    /// Whether a parser takes it for a value of this field, and not for an unknown one.
    fn is_value(&self, field: &Field, wire: WireType, raw: Raw<'_>) -> bool {
        let singular = field.label == Label::Singular;
        !singular || wire == field.kind.wire_type() && self.is_known(field.kind, raw)
    }

    pub(super) fn gathered(
        &mut self,
        message: &'a Message,
        chunks: &[&'a [u8]],
        depth: u32,
    ) -> Result<(), Stop> {
        let found = self.gather(message, chunks, None, depth)?;
        let mut next = 0;
        for values in found.chunk_by(|one, other| one.place == other.place) {
            let place = values[0].place;
            self.defaults(&message.fields[next..place])?;
            let field = &message.fields[place];
            self.gathered_field(field, values, depth).map_err(|stop| stop.in_field(field))?;
            next = place + 1;
        }
        self.defaults(&message.fields[next..])
    }

    /// Fields that are not on the wire.
    fn defaults(&mut self, fields: &[Field]) -> Result<(), Stop> {
        if !self.options.defaults {
            return Ok(());
        }
        fields.iter().filter(|field| has_default(field)).try_for_each(|it| self.default_member(it))
    }

    fn gathered_field(
        &mut self,
        field: &Field,
        found: &[Found<'a>],
        depth: u32,
    ) -> Result<(), Stop> {
        let values = found.iter().map(Found::value);
        match field.label {
            Label::Repeated => self.list(field, values.map(Ok), depth),
            Label::Map => {
                let last = self.last_of_keys(field.kind, values, depth)?;
                self.map(field, last.into_iter().map(Ok), depth)
            }
            Label::Singular => {
                let last = found.last().map(|it| it.raw.of(field.kind));
                let is_zero =
                    field.presence == Presence::Implicit && last.is_some_and(Raw::is_zero);
                if is_zero && !self.options.defaults {
                    return Ok(());
                }
                self.key(field);
                self.merged(field.kind, values, depth)?;
                self.comma()
            }
        }
    }
}
