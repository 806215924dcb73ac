//! What a request's path and query say, as part of the request message.
//!
//! The parts of a request message are written one after another: the body's fields, the path's, the query's.
//! Protobuf merges what occurs twice, so that a captured `a.b` is a field `a` with a field `b` in it, whatever else
//! of `a` there is.
//!
//! # Query parameters
//!
//! | parameter | binds |
//! |---|---|
//! | `page_size=5`, `pageSize=5` | the field, by its name in the `.proto` file or in JSON |
//! | `filter.city=Bern` | a field of a message, and so on to any depth that messages may have |
//! | `roles=ADMIN&roles=2` | a repeated field: each adds an element; enums by name or by number |
//! | `since=2026-01-31T09%3A00%3A00Z`, `ttl=1.5s`, `mask=a,b.c`, `rank=7` | `Timestamp`, `Duration`, `FieldMask`, wrappers |
//! | `digest=-_8` | bytes, in base64 of either alphabet |
//! | `name` | the same as `name=` |
//!
//! `+` and `%20` are spaces, escapes are decoded once, and empty parameters (`a=1&&b=2`) are passed over. What is
//! refused with 400:
//!
//! | parameter | unless |
//! |---|---|
//! | names no field | unknown parameters, or this one, are ignored by choice |
//! | names a map, a repeated message, a message without a text form, or something in them | it is ignored by choice |
//! | is bound by the path or by the body; any field, where the body is `*` | it is ignored by choice |
//! | sets a field twice that is not repeated, or a second member of a `oneof` | |
//! | is one of more than 1,000 | |
//! | is no value of the field, no UTF-8, or has an escape without two hexadecimal digits | |
//!
//! Extensions have no names in queries.

mod query;
mod taken;
#[cfg(test)]
mod tests;

pub(crate) use query::{QueryChoices, query};

use super::{
    fault::Fault,
    json::text,
    rules::{Binding, FieldPath, Step},
    types::{Kind, Types},
    wire::{Open, Tag, WireType},
};

/// Writes what the path binds, of a path that the binding's template takes.
///
/// # Errors
///
/// What a variable holds is no value of its field, or cannot be decoded.
pub(crate) fn path(
    types: &Types,
    binding: &Binding,
    path: &str,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let captures = binding.template.captures(path);
    for ((variable, raw), field) in captures.zip(&*binding.variables) {
        let text = binding.template.decode(variable, raw, binding.decoding).map_err(Fault::from);
        let written = text.and_then(|text| put(types, field, &text, out));
        written.map_err(|fault| fault.in_field(variable.path()))?;
    }
    Ok(())
}

/// Writes a field, in the messages that it lies in.
fn put(types: &Types, path: &FieldPath, text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let (outer, field) = path.split();
    put_in(types, outer, field, text, out)
}

fn put_in(
    types: &Types,
    outer: &[Step],
    field: Step,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let Some((first, inner)) = outer.split_first() else {
        return text::encode(types, field.field(types), text, out);
    };
    let first = first.field(types);
    first.tag.put(out);
    if let Kind::Group(_) = first.kind {
        put_in(types, inner, field, text, out)?;
        Tag::new(first.number, WireType::EndGroup).put(out);
    } else {
        let open = Open::new(out);
        put_in(types, inner, field, text, out)?;
        open.close(out);
    }
    Ok(())
}
