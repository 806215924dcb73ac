//! The table that messages are read and written by: everything a descriptor says, where a parser needs it.
//!
//! Compiled once from descriptor sets ([`compile`]) and never changed. Messages and enums are named by their place
//! in it, so that following a field costs an index.

mod comments;
mod compile;
mod declare;
mod features;
mod fill;
mod merge;
pub(crate) mod raw;

use std::{collections::HashMap, fmt};

use http::uri::PathAndQuery;

use super::wire::{Tag, WireType};

/// All messages, enums and services of the descriptors.
pub(crate) struct Types {
    messages: Box<[Message]>,
    enums: Box<[Enum]>,
    services: Box<[Service]>,
    /// By full name.
    named: HashMap<Box<str>, Named>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Message(MessageId),
    Enum(EnumId),
}

/// The place of a message in [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MessageId(u32);

/// The place of an enum in [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EnumId(u32);

impl Types {
    #[inline]
    pub(crate) fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }

    #[inline]
    pub(crate) fn enumeration(&self, id: EnumId) -> &Enum {
        &self.enums[id.0 as usize]
    }

    /// The message of this full name: `users.v1.User`.
    pub(crate) fn find(&self, name: &str) -> Option<MessageId> {
        match self.named.get(name) {
            Some(Named::Message(id)) => Some(*id),
            _ => None,
        }
    }

    /// The message that an `Any` holds: what its type URL says after the last slash.
    pub(crate) fn find_url(&self, url: &str) -> Option<MessageId> {
        self.find(url.rsplit_once('/')?.1)
    }

    pub(crate) fn services(&self) -> &[Service] {
        &self.services
    }

    /// The message that a field holds, itself or as the element of a list or as a map's entry.
    pub(crate) fn message_of(&self, field: &Field) -> Option<&Message> {
        field.kind.message().map(|id| self.message(id))
    }
}

impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Types")
            .field("messages", &self.messages.len())
            .field("services", &self.services.iter().map(|it| &it.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A message type.
#[derive(Debug)]
pub(crate) struct Message {
    /// `users.v1.User`.
    pub(crate) name: Box<str>,
    pub(crate) form: Form,
    /// In the order of their declaration; extensions last.
    pub(crate) fields: Box<[Field]>,
    /// The names of real oneofs, in order; not of those that `optional` makes.
    pub(crate) oneofs: Box<[Box<str>]>,
    pub(crate) comment: Box<str>,
    pub(crate) deprecated: bool,
    /// Places of fields by number, for small numbers; `NONE` where there is none.
    dense: Box<[u16]>,
    /// The others, in order.
    sparse: Box<[(u32, u16)]>,
    /// Places of fields by JSON name and by name in the `.proto` file.
    names: HashMap<Box<str>, u16>,
}

const NONE: u16 = u16::MAX;

impl Message {
    /// The place of the field with this number.
    #[inline]
    pub(crate) fn place(&self, number: u32) -> Option<usize> {
        match self.dense.get(number as usize) {
            Some(&NONE) => None,
            Some(place) => Some(usize::from(*place)),
            None => self.far_place(number),
        }
    }

    fn far_place(&self, number: u32) -> Option<usize> {
        let at = self.sparse.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(usize::from(self.sparse[at].1))
    }

    /// The place of the field that is called so, in JSON or in the `.proto` file.
    pub(crate) fn place_named(&self, name: &str) -> Option<usize> {
        self.names.get(name).map(|place| usize::from(*place))
    }

    /// The field that is called so, in JSON or in the `.proto` file.
    pub(crate) fn field_named(&self, name: &str) -> Option<&Field> {
        self.place_named(name).map(|place| &self.fields[place])
    }

    /// The key and the value of a map's entry.
    pub(crate) fn entry(&self) -> Option<(&Field, &Field)> {
        match (&self.form, &*self.fields) {
            (Form::MapEntry, [key, value]) => Some((key, value)),
            _ => None,
        }
    }
}

/// How ProtoJSON writes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As an object of its fields.
    Plain,
    /// Not by itself: as a member of the object that the map is.
    MapEntry,
    Any,
    Duration,
    FieldMask,
    ListValue,
    Struct,
    Timestamp,
    Value,
    /// `google.protobuf.Int32Value` and its like: as the value that it holds, in field 1.
    Wrapper,
}

/// A field, with what printing and reading it needs.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// As in the `.proto` file; `[pkg.name]` for an extension.
    pub(crate) name: Box<str>,
    pub(crate) json_name: Box<str>,
    /// `"jsonName":`, and `"proto_name":`.
    pub(crate) json_key: Box<[u8]>,
    pub(crate) name_key: Box<[u8]>,
    pub(crate) kind: Kind,
    pub(crate) label: Label,
    pub(crate) presence: Presence,
    /// Whether its elements are written behind one tag.
    pub(crate) packed: bool,
    /// The place of the real oneof that it is a member of.
    pub(crate) oneof: Option<u16>,
    /// As it is written: for a packed field, the tag of the whole.
    pub(crate) tag: Tag,
    /// `google.api.field_behavior` says REQUIRED (2), OUTPUT_ONLY (3), INPUT_ONLY (4).
    pub(crate) behavior: Box<[i32]>,
    pub(crate) comment: Box<str>,
    pub(crate) deprecated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Singular,
    Repeated,
    /// Its kind is the message of its entries.
    Map,
}

/// Whether "not set" can be told from the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Explicit,
    Implicit,
    Required,
}

/// The type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int64,
    Uint64,
    Int32,
    Fixed64,
    Fixed32,
    Bool,
    String,
    /// Written between two tags.
    Group(MessageId),
    Message(MessageId),
    Bytes,
    Uint32,
    Enum(EnumId),
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
}

impl Kind {
    pub(crate) fn wire_type(self) -> WireType {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::Fixed32,
            Self::String | Self::Bytes | Self::Message(_) => WireType::Bytes,
            Self::Group(_) => WireType::StartGroup,
            _ => WireType::Varint,
        }
    }

    pub(crate) fn message(self) -> Option<MessageId> {
        match self {
            Self::Message(id) | Self::Group(id) => Some(id),
            _ => None,
        }
    }

    /// Whether several values may be written behind one tag.
    pub(crate) fn is_packable(self) -> bool {
        !matches!(self, Self::String | Self::Bytes | Self::Message(_) | Self::Group(_))
    }
}

/// An enum type.
#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: Box<str>,
    /// In the order of their declaration; several may have one number.
    pub(crate) values: Box<[EnumValue]>,
    /// Whether only declared numbers are values (proto2).
    pub(crate) closed: bool,
    /// `google.protobuf.NullValue`, whose JSON is `null`.
    pub(crate) null: bool,
    pub(crate) comment: Box<str>,
    /// Places of the first value of a number, in the order of numbers.
    by_number: Box<[(i32, u16)]>,
    by_name: HashMap<Box<str>, u16>,
}

impl Enum {
    /// The first declared value of this number.
    #[inline]
    pub(crate) fn value(&self, number: i32) -> Option<&EnumValue> {
        // Usually, the number is the place.
        let (place, found) = match self.by_number.get(number as usize) {
            Some((known, place)) if *known == number => (*place, true),
            _ => match self.by_number.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(at) => (self.by_number[at].1, true),
                Err(_) => (0, false),
            },
        };
        found.then(|| &self.values[usize::from(place)])
    }

    pub(crate) fn value_named(&self, name: &str) -> Option<&EnumValue> {
        self.by_name.get(name).map(|place| &self.values[usize::from(*place)])
    }
}

#[derive(Debug)]
pub(crate) struct EnumValue {
    pub(crate) name: Box<str>,
    /// `"NAME"`.
    pub(crate) json: Box<[u8]>,
    pub(crate) number: i32,
    pub(crate) comment: Box<str>,
}

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    /// `users.v1.Users`.
    pub(crate) name: Box<str>,
    pub(crate) methods: Box<[Method]>,
    pub(crate) comment: Box<str>,
    /// The file that declares it.
    pub(crate) file: Box<str>,
}

/// A method, as a gRPC client calls it.
#[derive(Debug)]
pub(crate) struct Method {
    /// `GetUser`.
    pub(crate) name: Box<str>,
    /// `/users.v1.Users/GetUser`.
    pub(crate) path: PathAndQuery,
    pub(crate) input: MessageId,
    pub(crate) output: MessageId,
    pub(crate) client_streaming: bool,
    pub(crate) server_streaming: bool,
    /// The option `google.api.http`.
    pub(crate) rule: Option<raw::HttpRule>,
    pub(crate) comment: Box<str>,
    pub(crate) deprecated: bool,
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
