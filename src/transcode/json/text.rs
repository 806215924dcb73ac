//! One value of a query or a path to wire bytes: what a JSON string of it would hold.
//!
//! Scalars read as ProtoJSON reads them from strings: `7`, `1e3`, `NaN`, base64 in both alphabets, enums by name or
//! number. Of messages, those that JSON always writes as one string or one number have a text: wrappers, `Timestamp`,
//! `Duration`, `FieldMask`.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::number::{self, Bad};
use crate::transcode::{
    fault::Fault,
    types::{Enum, Field, Form, Kind, Label, MessageId, Types},
    well_known::{duration, field_mask, timestamp},
    wire::{Open, Tag, WireType, put_bytes, put_varint},
};

/// Writes a field, its tag and its value, also when that is the default; of a repeated field, one element.
///
/// # Errors
///
/// The text is no such value, or the field holds what no text is. The caller names the field.
pub(crate) fn encode(
    types: &Types,
    field: &Field,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match field.kind {
        _ if field.label == Label::Map => Err(Fault::new("a map, which one text cannot hold.")),
        Kind::Message(id) => {
            field.tag.put(out);
            let open = Open::new(out);
            message(types, id, text, out)?;
            open.close(out);
            Ok(())
        }
        kind => {
            Tag::new(field.number, kind.wire_type()).put(out); // an element of its own, never packed
            scalar(types, kind, text, out)
        }
    }
}

fn message(types: &Types, id: MessageId, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let message = types.message(id);
    match (message.form, &*message.fields) {
        (Form::Wrapper, [value]) => encode(types, value, text, out),
        (Form::FieldMask, _) if text.contains('_') => snake_case(text, out),
        (form, _) => well_known(form, text, out)
            .unwrap_or_else(|| Err(Fault::new("a message, which one text cannot hold."))),
    }
}

/// Unlike JSON, a query often says `update_mask=display_name`.
fn snake_case(text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    if text.split(',').any(str::is_empty) {
        return Err(Fault::new(NO_PATHS));
    }
    put_paths(out, text.split(','));
    Ok(())
}

/// Writes the content of a message that JSON writes as a string; `None` for others.
pub(super) fn well_known(form: Form, text: &str, out: &mut Vec<u8>) -> Option<Result<(), Fault>> {
    let (put, why) = match form {
        Form::Timestamp => (
            timestamp::parse(text).map(|(seconds, nanos)| put_time(out, seconds, nanos)),
            "not a time like `2026-01-31T09:00:00Z`, of the years 1 to 9999.",
        ),
        Form::Duration => (
            duration::parse(text).map(|(seconds, nanos)| put_time(out, seconds, nanos)),
            "not a duration like `1.5s`, of at most 315576000000 seconds.",
        ),
        Form::FieldMask => (
            field_mask::parse(text).map(|paths| put_paths(out, paths.iter().map(String::as_str))),
            NO_PATHS,
        ),
        _ => return None,
    };
    Some(put.ok_or_else(|| Fault::new(why)))
}

const NO_PATHS: &str = "not paths of fields like `displayName,address.zip`.";

/// `Timestamp` and `Duration`: seconds in field 1, nanoseconds in field 2.
fn put_time(out: &mut Vec<u8>, seconds: i64, nanos: i32) {
    if seconds != 0 {
        out.push(1 << 3);
        put_varint(out, seconds as u64);
    }
    if nanos != 0 {
        out.push(2 << 3);
        put_varint(out, i64::from(nanos) as u64);
    }
}

/// `FieldMask`: paths in field 1.
pub(in crate::transcode) fn put_paths<'p>(
    out: &mut Vec<u8>,
    paths: impl IntoIterator<Item = &'p str>,
) {
    for path in paths {
        out.push(1 << 3 | WireType::Bytes as u8);
        put_bytes(out, path.as_bytes());
    }
}

/// Writes the value of a scalar, without its tag.
pub(super) fn scalar(
    types: &Types,
    kind: Kind,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match kind {
        Kind::String => put_bytes(out, text.as_bytes()),
        Kind::Bytes => return bytes(text, out),
        Kind::Bool => match text {
            "true" => out.push(1),
            "false" => out.push(0),
            _ => return Err(Fault::new("neither `true` nor `false`.")),
        },
        Kind::Double => {
            let value = double(text).map_err(|bad| bad.fault(kind))?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        Kind::Float => {
            let value = float(text).map_err(|bad| bad.fault(kind))?;
            out.extend_from_slice(&value.to_le_bytes());
        }
        Kind::Enum(id) => return enumeration(types.enumeration(id), kind, text, out),
        kind => return integer(kind, text, out),
    }
    Ok(())
}

fn integer(kind: Kind, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let whole = number::integer(text.as_bytes()).map_err(|bad| bad.fault(kind))?;
    whole.put(kind, out).ok_or_else(|| Bad::Range.fault(kind))
}

fn double(text: &str) -> Result<f64, Bad> {
    match text {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        text => number::double(text),
    }
}

fn float(text: &str) -> Result<f32, Bad> {
    match text {
        "NaN" => Ok(f32::NAN),
        "Infinity" => Ok(f32::INFINITY),
        "-Infinity" => Ok(f32::NEG_INFINITY),
        text => number::float(text),
    }
}

fn enumeration(of: &Enum, kind: Kind, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    if let Some(value) = of.value_named(text) {
        put_varint(out, i64::from(value.number) as u64);
        return Ok(());
    }
    let number = number::integer(text.as_bytes()).ok().and_then(number::Whole::i32);
    match number {
        Some(number) if !of.closed || of.value(number).is_some() => integer(kind, text, out),
        _ => Err(not_a_value(of)),
    }
}

#[cold]
pub(super) fn not_a_value(of: &Enum) -> Fault {
    Fault::new(format!("not a value of `{}`.", of.name))
}

/// Senders pad or do not, and leave anything in the bits that are no octet.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

fn bytes(text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let open = Open::new(out);
    let start = out.len();
    let decoded = BASE64.decode_vec(text, out).or_else(|_| {
        out.truncate(start);
        BASE64_URL.decode_vec(text, out)
    });
    decoded.map_err(|_| Fault::new("not base64."))?;
    open.close(out);
    Ok(())
}

#[cfg(test)]
mod tests;
