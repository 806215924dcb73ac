//! What is printed, by tables, beside prost-reflect, and of bytes that mean harm.

mod deep;
mod forms;
mod oracle;
mod proto;
mod table;
mod wild;

use super::*;
use crate::transcode::wire::{Tag, WireType, put_bytes, put_varint};

/// The JSON of a message of [`proto::TYPES`].
fn printed(message: &str, wire: &[u8]) -> Result<String, String> {
    with(JsonOptions::new(), message, wire)
}

fn with(options: JsonOptions, message: &str, wire: &[u8]) -> Result<String, String> {
    let print = Print { types: &proto::TYPES, options, limit: usize::MAX };
    let id = proto::TYPES.find(message).unwrap_or_else(|| panic!("{message}"));
    let mut out = b"before ".to_vec();
    let result = print.message(id, wire, &mut out);
    let out = String::from_utf8(out).unwrap();
    let json = out.strip_prefix("before ").unwrap();
    match result {
        Ok(()) => Ok(json.to_owned()),
        Err(fault) => {
            assert_eq!(json, "", "after a fault, nothing is left");
            Err(fault.to_string())
        }
    }
}

fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Tag::new(number, WireType::Varint).as_slice().to_vec();
    put_varint(&mut out, value);
    out
}

fn fixed32(number: u32, value: u32) -> Vec<u8> {
    [Tag::new(number, WireType::Fixed32).as_slice(), &value.to_le_bytes()].concat()
}

fn fixed64(number: u32, value: u64) -> Vec<u8> {
    [Tag::new(number, WireType::Fixed64).as_slice(), &value.to_le_bytes()].concat()
}

fn bytes(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Tag::new(number, WireType::Bytes).as_slice().to_vec();
    put_bytes(&mut out, content.as_ref());
    out
}

fn group(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let tag = |wire| Tag::new(number, wire);
    let (start, end) = (tag(WireType::StartGroup), tag(WireType::EndGroup));
    [start.as_slice(), content.as_ref(), end.as_slice()].concat()
}
