//! One operation: what it takes, and what it answers.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{
    describe::summarise,
    errors,
    messages::Components,
    parameters::parameters,
    paths::{Path, unique},
};
use crate::transcode::{
    rules::{Binding, FieldPath, RequestBody, Step},
    types::{Field, Label, Message, MessageId, Method, Service, Types},
};

const HTTP_BODY: &str = "google.api.HttpBody";

/// The names of operations, none of them twice.
pub(super) struct Ids {
    taken: HashSet<String>,
    /// How many services have this short name.
    services: HashMap<String, usize>,
}

impl Ids {
    pub(super) fn of(types: &Types) -> Self {
        let mut services = HashMap::new();
        for service in types.services() {
            *services.entry(short(&service.name).to_owned()).or_default() += 1;
        }
        Self { taken: HashSet::new(), services }
    }

    /// `Users_GetUser`, `Users_GetUser_2`; with the package where there are several services of that name.
    pub(super) fn next(&mut self, (service, method): (&Service, &Method)) -> String {
        let name = match self.services.get(short(&service.name)) {
            Some(1) => short(&service.name).to_owned(),
            _ => service.name.replace('.', "_"),
        };
        unique(&mut self.taken, &format!("{name}_{}", method.name))
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

pub(super) fn operation(
    binding: &Binding,
    path: &Path,
    id: String,
    head: bool,
    components: &mut Components<'_>,
) -> Value {
    let (service, method) = binding.called(components.types);
    let mut operation = Map::new();
    operation.insert("operationId".into(), id.into());
    operation.insert("tags".into(), json!([service.name]));
    summarise(&mut operation, &method.comment);
    if method.deprecated {
        operation.insert("deprecated".into(), true.into());
    }
    let parameters = parameters(binding, path, components);
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if let Some(content) = request(binding, method, components) {
        operation.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    let mut good = Map::new();
    good.insert("description".into(), "It went well.".into());
    if !head {
        good.insert("content".into(), answer(binding, method, components));
    }
    let error = json!({ "$ref": "#/components/responses/Error" });
    operation.insert("responses".into(), json!({ "200": good, "default": error }));
    operation.into()
}

/// The media types of the request's body.
fn request(binding: &Binding, method: &Method, components: &mut Components<'_>) -> Option<Value> {
    let input = components.types.message(method.input);
    let schema = match binding.body {
        RequestBody::None => return None,
        RequestBody::Whole if is_raw(input) => return Some(json!({ "*/*": {} })),
        RequestBody::Whole => whole(binding, method.input, components),
        RequestBody::Field(place) => match &input.fields[place] {
            field if is_raw_field(components.types, field) => return Some(json!({ "*/*": {} })),
            field => without(components.value(field), &within(binding, Some(place)), components),
        },
    };
    let media = if method.client_streaming { "application/x-ndjson" } else { "application/json" };
    Some(json!({ media: { "schema": schema } }))
}

/// The message, without what the path binds: fields of its own are left out, others are told.
fn whole(binding: &Binding, input: MessageId, components: &mut Components<'_>) -> Value {
    let own = binding.variables.iter().filter(|path| path.steps().len() == 1);
    let bound: Vec<usize> = own.map(|path| path.split().1.place).collect();
    let schema = match bound.as_slice() {
        [] => components.message(input),
        bound => {
            let message = components.types.message(input);
            components.object(message, |place| !bound.contains(&place))
        }
    };
    without(schema, &within(binding, None), components)
}

/// What the path binds within the messages of a body: of the one in this field, or of the whole request.
fn within(binding: &Binding, field: Option<usize>) -> Vec<&[Step]> {
    let ways = binding.variables.iter().map(FieldPath::steps).filter(|way| way.len() > 1);
    match field {
        None => ways.collect(),
        Some(field) => ways.filter(|way| way[0].place == field).map(|way| &way[1..]).collect(),
    }
}

fn without(mut schema: Value, ways: &[&[Step]], components: &Components<'_>) -> Value {
    let name = |step: &Step| components.name(step.field(components.types));
    let names = ways.iter().map(|way| way.iter().map(name).collect::<Vec<_>>().join("."));
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if !names.is_empty() {
        let note = format!("Without {}, which the path tells.", names.join(" and "));
        let known = schema["description"].as_str().map(|it| format!("{it}\n\n{note}"));
        schema["description"] = known.unwrap_or(note).into();
    }
    schema
}

/// The media types of the answer.
fn answer(binding: &Binding, method: &Method, components: &mut Components<'_>) -> Value {
    let output = components.types.message(method.output);
    let field = binding.response_body.map(|place| &output.fields[place]);
    let raw = match field {
        Some(field) => is_raw_field(components.types, field),
        None => is_raw(output),
    };
    if raw {
        return json!({ "*/*": {} });
    }
    let message = match field {
        Some(field) => components.value(field),
        None => components.message(method.output),
    };
    if !method.server_streaming {
        return json!({ "application/json": { "schema": message } });
    }
    let record = json!({ "anyOf": [message, errors::record(components)] });
    json!({
        "application/x-ndjson": { "schema": record },
        "text/event-stream": { "schema": record },
        "application/json": { "schema": { "type": "array", "items": record } },
    })
}

/// Whether its content is a body of any media type.
fn is_raw(message: &Message) -> bool {
    &*message.name == HTTP_BODY
}

fn is_raw_field(types: &Types, field: &Field) -> bool {
    field.label == Label::Singular && types.message_of(field).is_some_and(is_raw)
}
