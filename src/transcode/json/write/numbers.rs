//! Numbers, booleans and enums.

use super::Pass;
use crate::transcode::{
    json::JsonOptions,
    types::{EnumId, Kind},
};

/// A number of this kind. 64-bit integers are strings, because many readers take numbers for doubles.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, bits: u64, options: JsonOptions) {
    match kind {
        Kind::Double => put_double(out, f64::from_bits(bits)),
        Kind::Float => put_float(out, f32::from_bits(bits as u32)),
        Kind::Bool => out.extend_from_slice(if bits == 0 { b"false" } else { b"true" }),
        Kind::Int64 | Kind::Uint64 | Kind::Fixed64 | Kind::Sfixed64 | Kind::Sint64
            if !options.int64_as_numbers =>
        {
            out.push(b'"');
            put_integer(out, kind, bits);
            out.push(b'"');
        }
        _ => put_integer(out, kind, bits),
    }
}

/// The digits of an integer.
pub(super) fn put_integer(out: &mut Vec<u8>, kind: Kind, bits: u64) {
    let mut buffer = itoa::Buffer::new();
    let digits = match kind {
        Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => buffer.format(bits),
        _ => buffer.format(bits as i64),
    };
    out.extend_from_slice(digits.as_bytes());
}

/// As few digits as bring the same number back.
fn put_double(out: &mut Vec<u8>, value: f64) {
    match name(value) {
        Some(name) => out.extend_from_slice(name),
        None => out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes()),
    }
}

fn put_float(out: &mut Vec<u8>, value: f32) {
    match name(value.into()) {
        Some(name) => out.extend_from_slice(name),
        None => out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes()),
    }
}

/// What JSON has no number for.
fn name(value: f64) -> Option<&'static [u8]> {
    match value {
        _ if value.is_finite() => None,
        f64::INFINITY => Some(br#""Infinity""#),
        f64::NEG_INFINITY => Some(br#""-Infinity""#),
        _ => Some(br#""NaN""#),
    }
}

impl Pass<'_, '_> {
    /// An enum by its name; by its number if it has none, or by choice.
    pub(super) fn enum_value(&mut self, id: EnumId, number: i32) {
        let enumeration = self.types.enumeration(id);
        match enumeration.value(number) {
            _ if enumeration.null => self.out.extend_from_slice(b"null"),
            Some(value) if !self.options.enums_as_numbers => {
                self.out.extend_from_slice(&value.json);
            }
            _ => self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        }
    }
}
