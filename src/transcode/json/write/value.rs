//! One value: as it lies on the wire, and as it is printed.

use smallvec::SmallVec;

use super::{Pass, Stop, numbers, text};
use crate::transcode::{
    types::Kind,
    wire::{Broken, Reader, WireType, unzigzag},
};

/// A value as it lies on the wire: its layout, and what is laid out so.
pub(super) type Laid<'a> = (WireType, Raw<'a>);

/// A value that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Raw<'a> {
    Number(u64),
    /// Text, bytes, a message, the content of a group.
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    /// Reads what follows a tag.
    #[inline]
    pub(super) fn read(
        reader: &mut Reader<'a>,
        number: u32,
        wire: WireType,
    ) -> Result<Self, Broken> {
        Ok(match wire {
            WireType::Varint => Self::Number(reader.varint()?),
            WireType::Fixed64 => Self::Number(u64::from_le_bytes(reader.fixed64()?)),
            WireType::Fixed32 => Self::Number(u32::from_le_bytes(reader.fixed32()?).into()),
            WireType::Bytes => Self::Bytes(reader.bytes()?),
            WireType::StartGroup => Self::Bytes(reader.group(number)?),
            WireType::EndGroup => {
                reader.skip(number, wire)?;
                Self::Number(0) // not reached: an end without a start is no message
            }
        })
    }

    /// The value that this is for its kind: numbers have more bits on the wire than some types.
    #[inline]
    pub(super) fn of(self, kind: Kind) -> Self {
        let Self::Number(bits) = self else { return self };
        Self::Number(match kind {
            Kind::Int32 | Kind::Enum(_) | Kind::Sfixed32 => i64::from(bits as i32) as u64,
            Kind::Uint32 => u64::from(bits as u32),
            Kind::Bool => u64::from(bits != 0),
            Kind::Sint32 => unzigzag(u64::from(bits as u32)) as u64,
            Kind::Sint64 => unzigzag(bits) as u64,
            _ => bits,
        })
    }

    /// Whether it is the default of a field that has no presence. (-0.0 is not.)
    #[inline]
    pub(super) fn is_zero(self) -> bool {
        matches!(self, Self::Number(0) | Self::Bytes([]))
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }
}

impl<'a> Pass<'a, '_> {
    /// Whether it is a value of this kind. An unknown number of a closed enum is not: it is an unknown field.
    #[inline]
    pub(super) fn is_known(&self, kind: Kind, raw: Raw<'_>) -> bool {
        match (kind, raw) {
            (Kind::Enum(id), Raw::Number(number)) => {
                let enumeration = self.types.enumeration(id);
                !enumeration.closed || enumeration.value(number as i32).is_some()
            }
            _ => true,
        }
    }

    /// The value that a field of this kind has when it has none.
    pub(super) fn zero(&self, kind: Kind) -> Raw<'static> {
        match kind {
            // The first value; of an open enum, that is 0.
            Kind::Enum(id) => match self.types.enumeration(id).values.first() {
                Some(first) => Raw::Number(i64::from(first.number) as u64),
                None => Raw::Number(0),
            },
            Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_) => Raw::Bytes(&[]),
            _ => Raw::Number(0),
        }
    }

    #[inline]
    pub(super) fn value(&mut self, kind: Kind, raw: Raw<'a>, depth: u32) -> Result<(), Stop> {
        match kind {
            Kind::Message(id) | Kind::Group(id) => self.message(id, &[raw.bytes()], depth + 1),
            _ => self.scalar(kind, raw),
        }
    }

    /// Values of a singular field: messages are merged, of others the last one holds.
    pub(super) fn merged(
        &mut self,
        kind: Kind,
        values: impl Iterator<Item = Laid<'a>>,
        depth: u32,
    ) -> Result<(), Stop> {
        match kind {
            Kind::Message(id) | Kind::Group(id) => {
                let chunks: SmallVec<[_; 4]> = values.map(|(_, raw)| raw.bytes()).collect();
                self.message(id, &chunks, depth + 1)
            }
            _ => {
                let mut last = None;
                for (_, raw) in values {
                    if let Some(overridden) = last.replace(raw) {
                        self.check(kind, overridden, depth)?;
                    }
                }
                let last = last.map_or_else(|| self.zero(kind), |last| last.of(kind));
                self.scalar(kind, last)
            }
        }
    }

    #[inline]
    pub(super) fn scalar(&mut self, kind: Kind, raw: Raw<'_>) -> Result<(), Stop> {
        match (kind, raw) {
            (Kind::String, Raw::Bytes(bytes)) => text::put(self.out, bytes)?,
            (_, Raw::Bytes(bytes)) => text::put_base64(self.out, bytes),
            (Kind::Enum(id), Raw::Number(number)) => self.enum_value(id, number as i32),
            (_, Raw::Number(bits)) => numbers::put(self.out, kind, bits, self.options),
        }
        Ok(())
    }
}
