//! Parameters: what the path and the query bind.

use serde_json::{Map, Value, json};

use super::{
    describe::describe,
    messages::{Components, is_output, is_required},
    paths::{Parameter, Path},
};
use crate::transcode::{
    rules::{Binding, RequestBody, has_text},
    types::{Field, Form, Label, MessageId},
};

/// How deep messages are looked into for parameters, and how many there are at most.
const DEEPEST: usize = 8;
const MOST: usize = 256;

/// How many fields are looked at: messages in one another may branch at each step.
const BUDGET: usize = 10_000;

/// All parameters of a binding.
pub(super) fn parameters(
    binding: &Binding,
    path: &Path,
    components: &mut Components<'_>,
) -> Vec<Value> {
    let mut parameters: Vec<_> =
        path.parameters().map(|it| in_path(binding, it, components)).collect();
    if binding.body != RequestBody::Whole {
        let bound = binding.variables.iter().map(|it| it.name(components.types)).collect();
        let input = binding.method(components.types).input;
        let mut query = Query { components, bound, found: Vec::new(), budget: BUDGET };
        let body = match binding.body {
            RequestBody::Field(place) => Some(place),
            RequestBody::None | RequestBody::Whole => None,
        };
        query.walk(input, body, &mut Way::default());
        parameters.append(&mut query.found);
    }
    parameters
}

fn in_path(binding: &Binding, parameter: &Parameter, components: &mut Components<'_>) -> Value {
    let types = components.types;
    let bound = parameter.variable.map(|place| &binding.variables[place]);
    let field = bound.map(|path| path.split().1.field(types));
    let mut object = Map::new();
    object.insert("name".into(), parameter.name.as_str().into());
    object.insert("in".into(), "path".into());
    object.insert("required".into(), true.into());
    let mut lines = Vec::new();
    if let (Some(path), false) = (bound, parameter.whole) {
        lines.push(format!("A part of `{}`.", path.name(types)));
    }
    lines.extend(field.map(|it| it.comment.to_string()).filter(|it| !it.is_empty()));
    if parameter.rest {
        lines.push("May have slashes in it, which are not escaped.".to_owned());
    }
    describe(&mut object, &lines.join("\n\n"));
    let schema = match field {
        Some(field) if parameter.whole => components.value(field),
        _ => json!({ "type": "string" }),
    };
    object.insert("schema".into(), schema);
    object.into()
}

/// A walk over the fields of a request.
struct Query<'c, 't> {
    components: &'c mut Components<'t>,
    /// The paths, as in the `.proto` file, that the URI's path binds.
    bound: Vec<String>,
    found: Vec<Value>,
    budget: usize,
}

/// The messages that the walk is in, and the fields that led there.
#[derive(Default)]
struct Way<'t> {
    messages: Vec<MessageId>,
    fields: Vec<&'t Field>,
}

impl<'t> Query<'_, 't> {
    /// Without the field of the message that is the body.
    fn walk(&mut self, id: MessageId, body: Option<usize>, way: &mut Way<'t>) {
        way.messages.push(id);
        for (place, field) in self.components.types.message(id).fields.iter().enumerate() {
            if self.budget == 0 || self.found.len() == MOST {
                break;
            }
            self.budget -= 1;
            way.fields.push(field);
            // Extensions have no names in queries.
            let named = !field.name.starts_with('[');
            if named && body != Some(place) && !is_output(field) && !self.is_bound(way) {
                self.field(field, way);
            }
            way.fields.pop();
        }
        way.messages.pop();
    }

    fn is_bound(&self, way: &Way<'_>) -> bool {
        let names: Vec<&str> = way.fields.iter().map(|it| &*it.name).collect();
        self.bound.contains(&names.join("."))
    }

    fn field(&mut self, field: &'t Field, way: &mut Way<'t>) {
        let inner = self.components.types.message_of(field);
        match (field.label, inner.map(|message| message.form), field.kind.message()) {
            (Label::Map, ..) => {}
            (_, None, _) => self.add(field, way),
            (_, Some(form), _) if has_text(form) => self.add(field, way),
            (Label::Singular, Some(Form::Plain), Some(inner))
                if way.fields.len() < DEEPEST && !way.messages.contains(&inner) =>
            {
                self.walk(inner, None, way);
            }
            _ => {}
        }
    }

    fn add(&mut self, field: &Field, way: &Way<'_>) {
        let names: Vec<&str> = way.fields.iter().map(|it| self.components.name(it)).collect();
        let mut object = Map::new();
        object.insert("name".into(), names.join(".").into());
        object.insert("in".into(), "query".into());
        describe(&mut object, &field.comment);
        if way.fields.iter().all(|it| is_required(it)) {
            object.insert("required".into(), true.into());
        }
        if field.deprecated {
            object.insert("deprecated".into(), true.into());
        }
        if field.label == Label::Repeated {
            object.insert("style".into(), "form".into());
            object.insert("explode".into(), true.into());
        }
        object.insert("schema".into(), self.components.value(field));
        self.found.push(object.into());
    }
}
