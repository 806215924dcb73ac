//! Repeated fields.

use super::{
    Pass, Stop,
    value::{Laid, Raw},
};
use crate::transcode::{
    types::{Field, Kind},
    wire::{Broken, Reader, WireType},
};

impl<'a> Pass<'a, '_> {
    /// A repeated field; nothing if it has no element.
    #[inline]
    pub(super) fn list(
        &mut self,
        field: &Field,
        values: impl Iterator<Item = Result<Laid<'a>, Broken>>,
        depth: u32,
    ) -> Result<(), Stop> {
        let start = self.out.len();
        self.key(field);
        if self.elements(field.kind, values, depth)? || self.options.defaults {
            return self.comma();
        }
        self.out.truncate(start);
        Ok(())
    }

    /// A list of values, packed or not; whether there is any.
    #[inline]
    pub(super) fn elements(
        &mut self,
        kind: Kind,
        values: impl Iterator<Item = Result<Laid<'a>, Broken>>,
        depth: u32,
    ) -> Result<bool, Stop> {
        self.out.push(b'[');
        let (layout, mut count) = (kind.wire_type(), 0);
        for value in values {
            match value? {
                (wire, raw) if wire == layout => self.element(kind, raw, depth, &mut count)?,
                (WireType::Bytes, raw) if kind.is_packable() => {
                    self.packed(kind, raw.bytes(), &mut count)?;
                }
                _ => {} // unknown, as a parser has it
            }
        }
        self.close(b']');
        Ok(count > 0)
    }

    fn packed(&mut self, kind: Kind, bytes: &'a [u8], count: &mut usize) -> Result<(), Stop> {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let raw = Raw::read(&mut reader, 0, kind.wire_type())?; // of a number, never a group
            self.element(kind, raw, 0, count)?;
        }
        Ok(())
    }

    #[inline]
    fn element(
        &mut self,
        kind: Kind,
        raw: Raw<'a>,
        depth: u32,
        count: &mut usize,
    ) -> Result<(), Stop> {
        let raw = raw.of(kind);
        if self.is_known(kind, raw) {
            self.value(kind, raw, depth).map_err(|stop| stop.in_element(*count))?;
            self.comma()?;
            *count += 1;
        }
        Ok(())
    }
}
