//! What is overridden is not printed, but it is looked at: broken bytes are refused wherever they lie.

use super::{
    Pass, Stop, check_depth,
    forms::Fields,
    text,
    value::{Laid, Raw},
};
use crate::transcode::{
    types::{Field, Kind, Label, MessageId},
    wire::{Reader, WireType},
};

impl<'a> Pass<'a, '_> {
    /// Whether a parser takes this value.
    pub(super) fn check(&self, kind: Kind, raw: Raw<'a>, depth: u32) -> Result<(), Stop> {
        match (kind, raw) {
            (Kind::String, Raw::Bytes(bytes)) => Ok(text::check(bytes)?),
            (Kind::Message(id) | Kind::Group(id), Raw::Bytes(bytes)) => {
                self.check_message(id, bytes, depth + 1)
            }
            _ => Ok(()),
        }
    }

    fn check_message(&self, id: MessageId, bytes: &'a [u8], depth: u32) -> Result<(), Stop> {
        check_depth(depth)?;
        let message = self.types.message(id);
        for field in Fields::of(&[bytes]) {
            let (number, wire, raw) = field?;
            if let Some(place) = message.place(number) {
                let field = &message.fields[place];
                self.check_field(field, (wire, raw), depth).map_err(|stop| stop.in_field(field))?;
            }
        }
        Ok(())
    }

    fn check_field(&self, field: &Field, laid: Laid<'a>, depth: u32) -> Result<(), Stop> {
        let kind = field.kind;
        match laid {
            (wire, raw) if wire == kind.wire_type() => self.check(kind, raw, depth),
            (WireType::Bytes, raw) if field.label == Label::Repeated && kind.is_packable() => {
                let mut reader = Reader::new(raw.bytes());
                while !reader.is_empty() {
                    reader.skip(field.number, kind.wire_type())?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
