//! The schemas of values that are no objects of fields: scalars, and messages with a JSON form of their own.

use serde_json::{Value, json};

use crate::transcode::{
    json::JsonOptions,
    types::{Form, Kind},
};

/// Of a scalar; `None` for enums and messages.
pub(super) fn scalar(kind: Kind, options: JsonOptions) -> Option<Value> {
    Some(match kind {
        Kind::Double => json!({ "type": "number", "format": "double" }),
        Kind::Float => json!({ "type": "number", "format": "float" }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            json!({ "type": "integer", "format": "int32" })
        }
        // OpenAPI's registry has no uint32.
        Kind::Uint32 | Kind::Fixed32 => {
            json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            json!({ "type": wide(options), "format": "int64" })
        }
        Kind::Uint64 | Kind::Fixed64 => json!({ "type": wide(options), "format": "uint64" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::String => json!({ "type": "string" }),
        Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Kind::Enum(_) | Kind::Message(_) | Kind::Group(_) => return None,
    })
}

fn wide(options: JsonOptions) -> &'static str {
    if options.prints_int64_as_numbers() { "integer" } else { "string" }
}

/// Of a message with a form of its own; `None` for those of fields, and for wrappers, which are what they hold.
pub(super) fn form(form: Form) -> Option<Value> {
    Some(match form {
        Form::Timestamp => json!({ "type": "string", "format": "date-time" }),
        Form::Duration => json!({
            "type": "string",
            "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$",
            "examples": ["1.5s"],
        }),
        Form::FieldMask => json!({ "type": "string", "examples": ["displayName,address.city"] }),
        Form::Struct => json!({ "type": "object", "additionalProperties": true }),
        Form::ListValue => json!({ "type": "array", "items": {} }),
        Form::Value => json!({ "description": "Any JSON." }),
        Form::Any => json!({
            "type": "object",
            "description": "A message of any type, which `@type` names, with its fields beside that.",
            "properties": { "@type": { "type": "string" } },
            "additionalProperties": true,
        }),
        Form::Plain | Form::MapEntry | Form::Wrapper => return None,
    })
}
