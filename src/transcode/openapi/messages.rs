//! The schemas of messages and enums, each written once and named by its full name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{describe::describe, kinds};
use crate::transcode::{
    json::JsonOptions,
    types::{Enum, EnumId, Field, Form, Kind, Label, Message, MessageId, Presence, Types},
};

/// Of larger oneofs the description alone tells: what `dependentSchemas` says grows with the square.
const LARGEST_ONEOF: usize = 16;

// google.api.FieldBehavior
const REQUIRED: i32 = 2;
const OUTPUT_ONLY: i32 = 3;
const INPUT_ONLY: i32 = 4;

/// The schemas that were referred to, and those of them that are still to be written.
pub(super) struct Components<'a> {
    pub(super) types: &'a Types,
    pub(super) options: JsonOptions,
    referred: BTreeSet<String>,
    open: Vec<Named>,
    written: BTreeMap<String, Value>,
}

enum Named {
    Message(MessageId),
    Enum(EnumId),
}

impl<'a> Components<'a> {
    pub(super) fn new(types: &'a Types, options: JsonOptions) -> Self {
        let (referred, open, written) = Default::default();
        Self { types, options, referred, open, written }
    }

    /// Adds a schema of our own; all others are messages and enums.
    pub(super) fn add(&mut self, name: &str, schema: Value) -> Value {
        if self.referred.insert(name.to_owned()) {
            self.written.insert(name.to_owned(), schema);
        }
        reference(name)
    }

    /// All that were referred to, and all that those refer to.
    pub(super) fn finish(mut self) -> BTreeMap<String, Value> {
        while let Some(named) = self.open.pop() {
            let (name, schema) = match named {
                Named::Message(id) => {
                    let message = self.types.message(id);
                    (&message.name, self.object(message, |_| true))
                }
                Named::Enum(id) => {
                    let enumeration = self.types.enumeration(id);
                    (&enumeration.name, self.names(enumeration))
                }
            };
            self.written.insert(name.to_string(), schema);
        }
        self.written
    }

    /// How a field is called in JSON.
    pub(super) fn name<'f>(&self, field: &'f Field) -> &'f str {
        if self.options.prints_proto_names() { &field.name } else { &field.json_name }
    }

    /// A value of this message: its form, or a reference.
    pub(super) fn message(&mut self, id: MessageId) -> Value {
        let message = self.types.message(id);
        if let (Form::Wrapper, [value]) = (message.form, &*message.fields) {
            return self.single(value);
        }
        kinds::form(message.form).unwrap_or_else(|| self.refer(&message.name, Named::Message(id)))
    }

    fn refer(&mut self, name: &str, named: Named) -> Value {
        if self.referred.insert(name.to_owned()) {
            self.open.push(named);
        }
        reference(name)
    }

    /// What a field holds: with its label, without its comment.
    pub(super) fn value(&mut self, field: &Field) -> Value {
        let entry = self.types.message_of(field).and_then(Message::entry);
        match (field.label, entry) {
            (Label::Map, Some((_, value))) => {
                json!({ "type": "object", "additionalProperties": self.single(value) })
            }
            (Label::Repeated, _) => json!({ "type": "array", "items": self.single(field) }),
            _ => self.single(field),
        }
    }

    /// One value of a field.
    fn single(&mut self, field: &Field) -> Value {
        match field.kind {
            Kind::Message(id) | Kind::Group(id) => self.message(id),
            Kind::Enum(id) => match self.types.enumeration(id) {
                it if it.null => json!({ "type": "null" }),
                it => self.refer(&it.name, Named::Enum(id)),
            },
            kind => kinds::scalar(kind, self.options).expect("all others are scalars"),
        }
    }

    /// An object of those fields that are `kept`.
    pub(super) fn object(&mut self, message: &Message, kept: impl Fn(usize) -> bool) -> Value {
        let fields = message.fields.iter().enumerate().filter(|(place, _)| kept(*place));
        let fields: Vec<&Field> = fields.map(|(_, field)| field).collect();
        let mut object = Map::new();
        object.insert("type".into(), "object".into());
        let oneofs = Oneofs::of(self, message, &fields);
        describe(&mut object, &oneofs.described(&message.comment));
        if message.deprecated {
            object.insert("deprecated".into(), true.into());
        }
        let required: Vec<_> = fields.iter().filter(|it| is_required(it)).collect();
        if !required.is_empty() {
            let names = required.into_iter().map(|it| self.name(it)).collect();
            object.insert("required".into(), names);
        }
        let properties: Map<_, _> =
            fields.iter().map(|it| (self.name(it).to_owned(), self.property(it))).collect();
        object.insert("properties".into(), properties.into());
        if let Some(dependent) = oneofs.dependent() {
            object.insert("dependentSchemas".into(), dependent);
        }
        object.into()
    }

    fn property(&mut self, field: &Field) -> Value {
        let Value::Object(mut property) = self.value(field) else { return Value::Bool(true) };
        describe(&mut property, &field.comment);
        for (flag, is_so) in [
            ("deprecated", field.deprecated),
            ("readOnly", field.behavior.contains(&OUTPUT_ONLY)),
            ("writeOnly", field.behavior.contains(&INPUT_ONLY)),
        ] {
            if is_so {
                property.insert(flag.into(), true.into());
            }
        }
        property.into()
    }

    fn names(&self, enumeration: &Enum) -> Value {
        let values = || enumeration.values.iter();
        let mut schema = Map::new();
        let lines = values().filter(|it| !it.comment.is_empty());
        let lines = lines.map(|it| format!("- `{}`: {}", it.name, it.comment.replace('\n', " ")));
        let lines: Vec<_> = lines.collect();
        let parts = [enumeration.comment.to_string(), lines.join("\n")];
        let parts: Vec<_> = parts.into_iter().filter(|it| !it.is_empty()).collect();
        describe(&mut schema, &parts.join("\n\n"));
        if self.options.prints_enums_as_numbers() {
            let numbers: BTreeSet<i32> = values().map(|it| it.number).collect();
            schema.insert("type".into(), "integer".into());
            schema.insert("enum".into(), numbers.into_iter().collect());
        } else {
            schema.insert("type".into(), "string".into());
            schema.insert("enum".into(), values().map(|it| &*it.name).collect());
        }
        schema.into()
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub(super) fn is_required(field: &Field) -> bool {
    field.presence == Presence::Required || field.behavior.contains(&REQUIRED)
}

pub(super) fn is_output(field: &Field) -> bool {
    field.behavior.contains(&OUTPUT_ONLY)
}

/// The names of the members of each oneof of a message.
struct Oneofs(Vec<Vec<String>>);

impl Oneofs {
    fn of(components: &Components<'_>, message: &Message, fields: &[&Field]) -> Self {
        let members = |oneof: usize| {
            let members = fields.iter().filter(|it| it.oneof.map(usize::from) == Some(oneof));
            members.map(|it| components.name(it).to_owned()).collect()
        };
        let oneofs: Vec<Vec<String>> = (0..message.oneofs.len()).map(members).collect();
        Self(oneofs.into_iter().filter(|members| members.len() > 1).collect())
    }

    fn described(&self, comment: &str) -> String {
        let lines = self.0.iter().map(|members| {
            let names: Vec<_> = members.iter().map(|it| format!("`{it}`")).collect();
            format!("At most one of {} is set.", names.join(", "))
        });
        let comment = Some(comment.to_owned()).filter(|it| !it.is_empty());
        comment.into_iter().chain(lines).collect::<Vec<_>>().join("\n\n")
    }

    /// With one member, the others may not be.
    fn dependent(&self) -> Option<Value> {
        let small = self.0.iter().filter(|members| members.len() <= LARGEST_ONEOF);
        let rules: Map<_, _> = small
            .flat_map(|members| members.iter().map(move |it| (it, members)))
            .map(|(one, members)| {
                let others = members.iter().filter(|it| *it != one);
                let absent: Map<_, _> = others.map(|it| (it.clone(), false.into())).collect();
                (one.clone(), json!({ "properties": absent }))
            })
            .collect();
        (!rules.is_empty()).then(|| rules.into())
    }
}
