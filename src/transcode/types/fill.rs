//! Fills in what a walk over the files has found: fields, values, methods.

use std::collections::{HashMap, HashSet};

use http::uri::PathAndQuery;

use super::{
    Enum, EnumValue, Field, Form, Kind, Label, Message, Method, NONE, Named, Presence, Service,
    Types,
    declare::{Declared, DeclaredEnum, DeclaredExtension, DeclaredMessage},
    features::Features,
    raw::{self, Descriptor, FieldDescriptor},
};
use crate::{
    config_error::Mistakes,
    transcode::wire::{Tag, WireType},
};

/// The types; what cannot be filled in is a mistake, and left out.
pub(super) fn fill(declared: Declared<'_>, mistakes: &mut Mistakes) -> Types {
    let mut filling = Filling { declared: &declared, mistakes };
    let mut fields: Vec<Vec<Field>> =
        declared.messages.iter().map(|message| filling.fields(message)).collect();
    for (message, fields) in declared.messages.iter().zip(&fields) {
        filling.numbered_once(message, fields);
    }
    for extension in &declared.extensions {
        filling.extension(extension, &mut fields);
    }
    let messages = declared.messages.iter().zip(fields);
    let messages = messages.map(|(it, fields)| filling.message(it, fields)).collect();
    let enums = declared.enums.iter().map(|it| filling.enumeration(it)).collect();
    let files = 0..declared.files.len();
    let services = files.flat_map(|file| filling.services(file)).collect();
    Types { messages, enums, services, named: declared.named }
}

struct Filling<'a, 'd> {
    declared: &'d Declared<'a>,
    mistakes: &'d mut Mistakes,
}

impl Filling<'_, '_> {
    /// A mistake in a file.
    fn mistake(&mut self, file: usize, why: &str) {
        self.mistakes.add(format!("{}: {why}", self.declared.files[file].name));
    }

    fn fields(&mut self, message: &DeclaredMessage<'_>) -> Vec<Field> {
        if message.raw.field.len() >= usize::from(NONE) {
            self.mistake(message.file, &format!("`{}` has too many fields", message.name));
            return Vec::new();
        }
        let oneofs = Oneofs::of(message.raw);
        let raw = message.raw.field.iter().enumerate();
        raw.filter_map(|(n, raw)| {
            let mut field = match self.field(raw, message.features, is_entry(message.raw)) {
                Ok(field) => field,
                Err(why) => {
                    let why = format!("`{}.{}` {why}", message.name, raw.name);
                    self.mistake(message.file, &why);
                    return None;
                }
            };
            field.oneof = oneofs.real(raw);
            if field.oneof.is_some() {
                field.presence = Presence::Explicit;
            }
            let path = [&message.path[..], &[2, n as i32]].concat();
            field.comment = self.declared.comments[message.file].at(&path);
            Some(field)
        })
        .collect()
    }

    /// Notes the first number that two fields have: neither could be told from the other.
    fn numbered_once(&mut self, message: &DeclaredMessage<'_>, fields: &[Field]) {
        let mut known = HashSet::new();
        if let Some(again) = fields.iter().find(|field| !known.insert(field.number)) {
            let why = format!("`{}.{}` has the number of another field", message.name, again.name);
            self.mistake(message.file, &why);
        }
    }

    /// Adds an extension to the message that it extends, if that is among the files.
    fn extension(&mut self, extension: &DeclaredExtension<'_>, fields: &mut [Vec<Field>]) {
        let extendee = extension.raw.extendee.trim_start_matches('.');
        let Some(Named::Message(id)) = self.declared.named.get(extendee) else {
            return; // of an option, say, that no message here carries
        };
        match self.field(extension.raw, extension.features, false) {
            Ok(mut field) => {
                let name = format!("[{}]", extension.name);
                field.json_key = quoted(&name, ":").into();
                field.name_key = field.json_key.clone();
                field.json_name = name.as_str().into();
                field.name = name.into();
                fields[id.0 as usize].push(field);
            }
            Err(why) => {
                self.mistake(extension.file, &format!("extension `{}` {why}", extension.name));
            }
        }
    }

    fn field(
        &self,
        raw: &FieldDescriptor,
        features: Features,
        in_entry: bool,
    ) -> Result<Field, String> {
        let options = raw.options.as_ref();
        let features = features.with(options.and_then(|options| options.features.as_ref()));
        let number = u32::try_from(raw.number).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or("has a field number that is out of range")?;
        let repeated = raw.label == raw::Label::Repeated as i32;
        let mut kind = self.kind(raw)?;
        let is_map = repeated && self.is_map(kind);
        if let (Kind::Message(id), true) = (kind, features.is_delimited() && !is_map && !in_entry) {
            kind = Kind::Group(id);
        }
        let label = match (repeated, is_map) {
            (false, _) => Label::Singular,
            (true, false) => Label::Repeated,
            (true, true) => Label::Map,
        };
        let packed = repeated
            && kind.is_packable()
            && options.and_then(|options| options.packed).unwrap_or(features.is_packed());
        let json_name = match raw.json_name.as_str() {
            "" => lower_camel(&raw.name),
            name => name.to_owned(),
        };
        Ok(Field {
            number,
            json_key: quoted(&json_name, ":").into(),
            name_key: quoted(&raw.name, ":").into(),
            json_name: json_name.into(),
            name: raw.name.as_str().into(),
            kind,
            label,
            presence: presence(raw, kind, label, features),
            packed,
            oneof: None,
            tag: Tag::new(number, if packed { WireType::Bytes } else { kind.wire_type() }),
            behavior: options
                .map(|options| options.field_behavior.as_slice().into())
                .unwrap_or_default(),
            comment: Box::default(),
            deprecated: options.is_some_and(|options| options.deprecated),
        })
    }

    fn kind(&self, raw: &FieldDescriptor) -> Result<Kind, String> {
        let named = || {
            let name = raw.type_name.trim_start_matches('.');
            self.declared.named.get(name).copied().ok_or_else(|| {
                format!(
                    "is of type `{name}`, which no file declares (compile the set with its imports)"
                )
            })
        };
        Ok(match (raw.r#type, &raw.type_name) {
            (1, _) => Kind::Double,
            (2, _) => Kind::Float,
            (3, _) => Kind::Int64,
            (4, _) => Kind::Uint64,
            (5, _) => Kind::Int32,
            (6, _) => Kind::Fixed64,
            (7, _) => Kind::Fixed32,
            (8, _) => Kind::Bool,
            (9, _) => Kind::String,
            (12, _) => Kind::Bytes,
            (13, _) => Kind::Uint32,
            (15, _) => Kind::Sfixed32,
            (16, _) => Kind::Sfixed64,
            (17, _) => Kind::Sint32,
            (18, _) => Kind::Sint64,
            (10, _) => match named()? {
                Named::Message(id) => Kind::Group(id),
                Named::Enum(_) => return Err("is a group of an enum's type".to_owned()),
            },
            (0 | 11 | 14, _) => match named()? {
                Named::Message(id) => Kind::Message(id),
                Named::Enum(id) => Kind::Enum(id),
            },
            (other, _) => return Err(format!("has the unknown type {other}")),
        })
    }

    fn is_map(&self, kind: Kind) -> bool {
        matches!(kind, Kind::Message(id) if is_entry(self.declared.messages[id.0 as usize].raw))
    }

    fn message(&self, declared: &DeclaredMessage<'_>, fields: Vec<Field>) -> Message {
        let (dense, sparse) = by_number(&fields);
        let mut names = HashMap::new();
        let places = || fields.iter().take(usize::from(NONE)).zip(0..);
        for (field, place) in places() {
            names.entry(field.json_name.clone()).or_insert(place);
        }
        for (field, place) in places() {
            names.entry(field.name.clone()).or_insert(place);
        }
        Message {
            name: declared.name.as_str().into(),
            form: form(declared, &fields),
            oneofs: Oneofs::of(declared.raw).names(declared.raw),
            comment: self.declared.comments[declared.file].at(&declared.path),
            deprecated: declared.raw.options.as_ref().is_some_and(|it| it.deprecated),
            dense,
            sparse,
            names,
            fields: fields.into(),
        }
    }

    fn enumeration(&mut self, declared: &DeclaredEnum<'_>) -> Enum {
        if declared.raw.value.len() >= usize::from(NONE) {
            self.mistake(declared.file, &format!("`{}` has too many values", declared.name));
        }
        let comments = &self.declared.comments[declared.file];
        let value = |(value, n): (&raw::EnumValueDescriptor, i32)| EnumValue {
            name: value.name.as_str().into(),
            json: quoted(&value.name, "").into(),
            number: value.number,
            comment: comments.at(&[&declared.path[..], &[2, n]].concat()),
        };
        let values: Box<[EnumValue]> = declared.raw.value.iter().zip(0..).map(value).collect();
        let places = || values.iter().take(usize::from(NONE)).zip(0_u16..);
        let mut by_number: Vec<_> = places().map(|(value, place)| (value.number, place)).collect();
        by_number.sort_by_key(|(number, _)| *number); // stable: the first of a number stays first
        by_number.dedup_by_key(|(number, _)| *number);
        Enum {
            name: declared.name.as_str().into(),
            closed: declared.features.is_closed(),
            null: declared.name == "google.protobuf.NullValue",
            comment: comments.at(&declared.path),
            by_number: by_number.into(),
            by_name: places().map(|(value, place)| (value.name.clone(), place)).collect(),
            values,
        }
    }

    fn services(&mut self, file: usize) -> Vec<Service> {
        let raw = self.declared.files[file];
        let services = raw.service.iter().zip(0..);
        services
            .map(|(service, n)| {
                let name = match raw.package.as_str() {
                    "" => service.name.clone(),
                    package => format!("{package}.{}", service.name),
                };
                let methods = service.method.iter().zip(0..);
                let methods = methods
                    .filter_map(|(method, m)| self.method(file, &name, method, &[6, n, 2, m]))
                    .collect();
                Service {
                    name: name.into(),
                    methods,
                    comment: self.declared.comments[file].at(&[6, n]),
                    file: raw.name.as_str().into(),
                }
            })
            .collect()
    }

    fn method(
        &mut self,
        file: usize,
        service: &str,
        raw: &raw::MethodDescriptor,
        path: &[i32],
    ) -> Option<Method> {
        let mut named = |name: &str| {
            let name = name.trim_start_matches('.');
            match self.declared.named.get(name) {
                Some(Named::Message(id)) => Some(*id),
                _ => {
                    let why = format!("`{service}.{}`: no file declares `{name}`", raw.name);
                    self.mistake(file, &why);
                    None
                }
            }
        };
        let (input, output) = (named(&raw.input_type), named(&raw.output_type));
        let Ok(address) = PathAndQuery::try_from(format!("/{service}/{}", raw.name)) else {
            self.mistake(file, &format!("`{service}.{}` is no name of a method", raw.name));
            return None;
        };
        Some(Method {
            name: raw.name.as_str().into(),
            path: address,
            input: input?,
            output: output?,
            client_streaming: raw.client_streaming,
            server_streaming: raw.server_streaming,
            rule: raw.options.as_ref().and_then(|options| options.http.clone()),
            comment: self.declared.comments[file].at(path),
            deprecated: raw.options.as_ref().is_some_and(|options| options.deprecated),
        })
    }
}

/// The oneofs that are not made by `optional`.
struct Oneofs(Vec<bool>);

impl Oneofs {
    fn of(raw: &Descriptor) -> Self {
        let mut real = vec![true; raw.oneof_decl.len()];
        for field in raw.field.iter().filter(|field| field.proto3_optional) {
            if let Some(place) = index(field).and_then(|index| real.get_mut(index)) {
                *place = false;
            }
        }
        Self(real)
    }

    /// The place of the field's oneof among the real ones.
    fn real(&self, field: &FieldDescriptor) -> Option<u16> {
        let index = index(field)?;
        let before = self.0.get(..index)?.iter().filter(|real| **real).count();
        self.0.get(index)?.then_some(before as u16)
    }

    fn names(&self, raw: &Descriptor) -> Box<[Box<str>]> {
        let real = raw.oneof_decl.iter().zip(&self.0).filter(|(_, real)| **real);
        real.map(|(oneof, _)| oneof.name.as_str().into()).collect()
    }
}

fn index(field: &FieldDescriptor) -> Option<usize> {
    usize::try_from(field.oneof_index?).ok()
}

/// Whether it is the entry of a map, and has the form of one: a key in field 1, which is no floating-point number, no
/// bytes, enum or message, and a value in field 2.
fn is_entry(raw: &Descriptor) -> bool {
    let is_one = |field: &FieldDescriptor| field.label != raw::Label::Repeated as i32;
    let is_key = |field: &FieldDescriptor| matches!(field.r#type, 3..=9 | 13 | 15..=18);
    raw.options.as_ref().is_some_and(|options| options.map_entry)
        && matches!(&*raw.field, [key, value] if (key.number, value.number) == (1, 2)
            && is_one(key) && is_key(key) && is_one(value))
}

fn presence(raw: &FieldDescriptor, kind: Kind, label: Label, features: Features) -> Presence {
    if label != Label::Singular {
        Presence::Implicit
    } else if raw.label == raw::Label::Required as i32 || features.is_required() {
        Presence::Required
    } else if raw.proto3_optional || kind.message().is_some() || !features.is_implicit() {
        Presence::Explicit
    } else {
        Presence::Implicit
    }
}

/// How JSON writes it: by its name, if it has the fields of the well-known type of that name.
fn form(declared: &DeclaredMessage<'_>, fields: &[Field]) -> Form {
    let is = |types: &[(u32, i32)]| {
        let raw = declared.raw.field.iter().map(|field| (field.number as u32, field.r#type));
        fields.len() == types.len() && raw.eq(types.iter().copied())
    };
    if is_entry(declared.raw) {
        return Form::MapEntry;
    }
    let (form, known) = match declared.name.strip_prefix("google.protobuf.").unwrap_or_default() {
        "Any" => (Form::Any, is(&[(1, 9), (2, 12)])),
        "Duration" => (Form::Duration, is(&[(1, 3), (2, 5)])),
        "Timestamp" => (Form::Timestamp, is(&[(1, 3), (2, 5)])),
        "FieldMask" => (Form::FieldMask, is(&[(1, 9)])),
        "Struct" => (Form::Struct, is(&[(1, 11)])),
        "ListValue" => (Form::ListValue, is(&[(1, 11)])),
        "Value" => (Form::Value, is(&[(1, 14), (2, 1), (3, 9), (4, 8), (5, 11), (6, 11)])),
        "DoubleValue" => (Form::Wrapper, is(&[(1, 1)])),
        "FloatValue" => (Form::Wrapper, is(&[(1, 2)])),
        "Int64Value" => (Form::Wrapper, is(&[(1, 3)])),
        "UInt64Value" => (Form::Wrapper, is(&[(1, 4)])),
        "Int32Value" => (Form::Wrapper, is(&[(1, 5)])),
        "UInt32Value" => (Form::Wrapper, is(&[(1, 13)])),
        "BoolValue" => (Form::Wrapper, is(&[(1, 8)])),
        "StringValue" => (Form::Wrapper, is(&[(1, 9)])),
        "BytesValue" => (Form::Wrapper, is(&[(1, 12)])),
        _ => return Form::Plain,
    };
    if known { form } else { Form::Plain }
}

/// Places of fields: by number where numbers are small, else in order of numbers.
type Places = (Box<[u16]>, Box<[(u32, u16)]>);

fn by_number(fields: &[Field]) -> Places {
    let dense_below = (4 * fields.len() as u32).max(64);
    let (mut dense, mut sparse) = (Vec::new(), Vec::new());
    for (field, place) in fields.iter().take(usize::from(NONE)).zip(0_u16..) {
        let number = field.number as usize;
        if field.number < dense_below {
            dense.resize(dense.len().max(number + 1), NONE);
            dense[number] = place;
        } else {
            sparse.push((field.number, place));
        }
    }
    sparse.sort_unstable();
    (dense.into(), sparse.into())
}

/// `"text"` as JSON, and what follows it.
fn quoted(text: &str, after: &str) -> Vec<u8> {
    let json = serde_json::to_string(text).expect("text is JSON");
    [json.as_bytes(), after.as_bytes()].concat()
}

/// `user_id` becomes `userId`, as `protoc` names it.
fn lower_camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for char in name.chars() {
        match char {
            '_' => raise = true,
            char if std::mem::take(&mut raise) => out.push(char.to_ascii_uppercase()),
            char => out.push(char),
        }
    }
    out
}
