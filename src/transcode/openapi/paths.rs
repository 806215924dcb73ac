//! Path templates as OpenAPI has them, and the operations at each path.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::{describe::describe, messages::Components, operation};
use crate::transcode::{
    Schema,
    rules::Binding,
    template::{Segment, Template},
    types::{Service, Types},
};

/// The paths and the tags of the operations at them.
pub(super) struct Paths {
    pub(super) items: Value,
    pub(super) tags: Value,
}

/// A template, taken apart.
pub(super) struct Path {
    parts: Vec<Part>,
    verb: Option<Box<str>>,
}

enum Part {
    Literal(Box<str>),
    Parameter(Parameter),
}

/// A parameter of a path: one `*` or `**` of the template.
pub(super) struct Parameter {
    pub(super) name: String,
    /// The place of the variable that it is, or is a part of.
    pub(super) variable: Option<usize>,
    /// Whether it is the whole of the variable.
    pub(super) whole: bool,
    /// Whether it may have slashes in it.
    pub(super) rest: bool,
}

impl Path {
    pub(super) fn of(template: &Template) -> Self {
        let mut names = HashSet::new();
        let segments = template.segments();
        let part = |(at, segment): (usize, &Segment)| match segment {
            Segment::Literal(text) => Part::Literal(text.clone()),
            wild => {
                let before = at.checked_sub(1).map(|before| &segments[before]);
                let mut parameter = parameter(template, at, before);
                parameter.rest = *wild == Segment::Rest;
                parameter.name = unique(&mut names, &parameter.name);
                Part::Parameter(parameter)
            }
        };
        let parts = segments.iter().enumerate().map(part).collect();
        Self { parts, verb: template.verb().map(Into::into) }
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.parts.iter().filter_map(|part| match part {
            Part::Parameter(parameter) => Some(parameter),
            Part::Literal(_) => None,
        })
    }

    /// Takes the names that another path of the same shape has.
    fn rename(&mut self, names: &[String]) {
        let parameters = self.parts.iter_mut().filter_map(|part| match part {
            Part::Parameter(parameter) => Some(parameter),
            Part::Literal(_) => None,
        });
        parameters.zip(names).for_each(|(parameter, name)| parameter.name.clone_from(name));
    }

    /// As OpenAPI writes it.
    pub(super) fn shown(&self) -> String {
        self.written(|it| format!("{{{}}}", it.name))
    }

    fn written(&self, name: impl Fn(&Parameter) -> String) -> String {
        let mut out = String::new();
        for part in &self.parts {
            out.push('/');
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Parameter(parameter) => out.push_str(&name(parameter)),
            }
        }
        if out.is_empty() {
            out.push('/');
        }
        if let Some(verb) = &self.verb {
            out.push(':');
            out.push_str(verb);
        }
        out
    }
}

/// The parameter for the `*` or `**` at this place.
fn parameter(template: &Template, at: usize, before: Option<&Segment>) -> Parameter {
    let mut variables = template.variables().iter().enumerate();
    let variable = variables.find(|(_, variable)| variable.segments().contains(&at));
    let whole = variable.is_some_and(|(_, variable)| variable.segments().len() == 1);
    let name = match (variable, before) {
        (Some((_, variable)), _) if whole => variable.path().to_owned(),
        (_, Some(Segment::Literal(text))) => singular(text),
        (Some((_, variable)), _) => variable.path().to_owned(),
        (None, _) => "segment".to_owned(),
    };
    Parameter { name, variable: variable.map(|(place, _)| place), whole, rest: false }
}

/// `users` are many of what is a `user`.
fn singular(text: &str) -> String {
    text.strip_suffix('s').filter(|it| !it.is_empty()).unwrap_or(text).to_owned()
}

/// The name, with a number if it was there before.
pub(super) fn unique(names: &mut HashSet<String>, name: &str) -> String {
    let mut candidates =
        std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}_{n}")));
    let free = candidates.find(|it| !names.contains(it)).expect("numbers do not end");
    names.insert(free.clone());
    free
}

impl Paths {
    pub(super) fn of(schema: &Schema, components: &mut Components<'_>) -> Self {
        let types = schema.types();
        let mut items: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let mut shapes: HashMap<String, (String, Vec<String>)> = HashMap::new();
        let mut ids = operation::Ids::of(types);
        // Where two bindings are one for OpenAPI, the one without `**` stands.
        let mut bindings: Vec<_> =
            schema.table().bindings().iter().map(|it| (Path::of(&it.template), it)).collect();
        bindings.sort_by_key(|(path, _)| path.parameters().any(|it| it.rest));
        for (mut path, binding) in bindings {
            let shape = path.written(|_| "{}".to_owned());
            let (written, names) = shapes.entry(shape).or_insert_with(|| {
                let names = path.parameters().map(|it| it.name.clone()).collect();
                (path.shown(), names)
            });
            path.rename(names);
            let Some(method) = method(binding) else { continue };
            let item = items.entry(written.clone()).or_default();
            if !item.contains_key(method) {
                let id = ids.next(binding.called(types));
                let head = method == "head";
                item.insert(
                    method.into(),
                    operation::operation(binding, &path, id, head, components),
                );
            }
        }
        Self { items: json!(items), tags: tags(schema, types) }
    }
}

/// How OpenAPI names the HTTP method. One that takes any is shown as the one that fits its body.
fn method(binding: &Binding) -> Option<&'static str> {
    use crate::transcode::rules::RequestBody;
    let name = binding.http_method.as_ref().map(http::Method::as_str);
    Some(match (name, binding.body) {
        (None, RequestBody::None) | (Some("GET"), _) => "get",
        (None, _) | (Some("POST"), _) => "post",
        (Some("PUT"), _) => "put",
        (Some("DELETE"), _) => "delete",
        (Some("PATCH"), _) => "patch",
        (Some("HEAD"), _) => "head",
        (Some("OPTIONS"), _) => "options",
        (Some("TRACE"), _) => "trace",
        _ => return None,
    })
}

/// A tag for each service that has a binding.
fn tags(schema: &Schema, types: &Types) -> Value {
    let services = schema.table().bindings().iter().map(|it| it.called(types).0);
    let services: BTreeMap<&str, &Service> = services.map(|it| (&*it.name, it)).collect();
    let tag = |(name, service): (&str, &Service)| {
        let mut tag = Map::new();
        tag.insert("name".into(), name.into());
        describe(&mut tag, &service.comment);
        Value::from(tag)
    };
    services.into_iter().map(tag).collect()
}
