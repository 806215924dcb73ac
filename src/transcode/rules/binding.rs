//! One binding: requests of one form, and the method that they call.

use std::sync::Arc;

use http::Method as HttpMethod;

use super::FieldPath;
use crate::transcode::{
    json::read::Reserved,
    template::{Decoding, Template},
    types::{
        Field, Label, MessageId, Method, Service, Types,
        raw::{HttpPattern, HttpRule},
    },
};

/// Requests of one form, and the method that they call.
#[derive(Debug)]
pub(crate) struct Binding {
    /// The places of the service, and of the method in it.
    place: (usize, usize),
    /// `None` is any.
    pub(crate) http_method: Option<HttpMethod>,
    pub(crate) template: Template,
    /// What the template's variables bind, in their order.
    pub(crate) variables: Box<[FieldPath]>,
    pub(crate) body: RequestBody,
    /// The place of the response's field that is the answer's body; the whole response otherwise.
    pub(crate) response_body: Option<usize>,
    pub(crate) decoding: Decoding,
    /// The template as it was written: what a [`MatchedRoute`](crate::MatchedRoute) tells.
    pub(crate) pattern: Arc<str>,
    /// What the path binds, so that the body may not.
    pub(crate) reserved: Reserved,
}

/// What the body of the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestBody {
    /// There is none.
    None,
    /// The request message: all of it that the path does not bind.
    Whole,
    /// The field at this place of the request message.
    Field(usize),
}

/// Where a rule belongs, while it is compiled.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) types: &'a Types,
    pub(super) place: (usize, usize),
    pub(super) method: &'a Method,
    pub(super) decoding: Decoding,
}

impl Binding {
    /// The method that is called, and its service.
    pub(crate) fn called<'a>(&self, types: &'a Types) -> (&'a Service, &'a Method) {
        let (service, method) = self.place;
        let service = &types.services()[service];
        (service, &service.methods[method])
    }

    /// The method that is called.
    pub(crate) fn method<'a>(&self, types: &'a Types) -> &'a Method {
        self.called(types).1
    }

    /// `GET /v1/users/{id}`, for messages.
    pub(super) fn name(&self) -> String {
        let method = self.http_method.as_ref().map_or("any", HttpMethod::as_str);
        format!("{method} {}", self.template)
    }

    /// # Errors
    ///
    /// What is wrong with the rule. Its additional bindings are not looked at.
    pub(super) fn compile(context: Context<'_>, rule: &HttpRule) -> Result<Self, String> {
        let Context { types, method, .. } = context;
        let (http_method, text) = pattern(rule)?;
        let at = |why: String| format!("`{text}`: {why}");
        let template = Template::parse(text).map_err(at)?;
        let variables = variables(types, method.input, &template).map_err(at)?;
        let body = match rule.body.as_str() {
            "" => RequestBody::None,
            _ if is_without_body(http_method.as_ref()) => {
                return Err(at("a request with GET or HEAD has no body".into()));
            }
            "*" => RequestBody::Whole,
            field => RequestBody::Field(top_level(types, method.input, "body", field).map_err(at)?),
        };
        let response_body = match rule.response_body.as_str() {
            "" => None,
            field => Some(top_level(types, method.output, "response_body", field).map_err(at)?),
        };
        bound_once(types, method.input, &variables, body).map_err(at)?;
        let mut reserved = Reserved::default();
        for path in &variables {
            reserved.bind(path.steps().iter().map(|step| step.field(types).number));
        }
        let (place, decoding) = (context.place, context.decoding);
        let pattern = text.into();
        Ok(Self {
            place,
            http_method,
            template,
            variables,
            body,
            response_body,
            decoding,
            pattern,
            reserved,
        })
    }
}

/// The HTTP method and the template.
fn pattern(rule: &HttpRule) -> Result<(Option<HttpMethod>, &str), String> {
    match rule.pattern.as_ref() {
        Some(HttpPattern::Get(path)) => Ok((Some(HttpMethod::GET), path)),
        Some(HttpPattern::Put(path)) => Ok((Some(HttpMethod::PUT), path)),
        Some(HttpPattern::Post(path)) => Ok((Some(HttpMethod::POST), path)),
        Some(HttpPattern::Delete(path)) => Ok((Some(HttpMethod::DELETE), path)),
        Some(HttpPattern::Patch(path)) => Ok((Some(HttpMethod::PATCH), path)),
        Some(HttpPattern::Custom(custom)) if custom.kind == "*" => Ok((None, &custom.path)),
        Some(HttpPattern::Custom(custom)) => match custom.kind.parse() {
            Ok(method) => Ok((Some(method), &custom.path)),
            Err(_) => Err(format!("custom: `{}` is no method of HTTP", custom.kind)),
        },
        None => Err("the rule has none of get, put, post, delete, patch and custom".into()),
    }
}

fn is_without_body(method: Option<&HttpMethod>) -> bool {
    matches!(method, Some(&HttpMethod::GET | &HttpMethod::HEAD))
}

fn variables(
    types: &Types,
    input: MessageId,
    template: &Template,
) -> Result<Box<[FieldPath]>, String> {
    let variables = template.variables().iter().map(|variable| {
        let name = variable.path();
        let path = FieldPath::find(types, input, name)
            .map_err(|unnamed| format!("`{name}`: {}", unnamed.why()))?;
        if path.split().1.field(types).label != Label::Singular {
            return Err(format!("`{name}`: a repeated field cannot be in a path"));
        }
        match path.name(types) {
            proto if proto == name => Ok(path),
            proto => Err(format!("`{name}`: the field's name is `{proto}`")),
        }
    });
    variables.collect()
}

/// The place of a field of the message itself.
fn top_level(types: &Types, message: MessageId, part: &str, name: &str) -> Result<usize, String> {
    let message = types.message(message);
    match message.place_named(name).filter(|place| &*message.fields[*place].name == name) {
        Some(place) => Ok(place),
        None => Err(format!("{part} `{name}`: `{}` itself has no such field", message.name)),
    }
}

/// That nothing is bound twice, and of each oneof one member at most.
fn bound_once(
    types: &Types,
    input: MessageId,
    variables: &[FieldPath],
    body: RequestBody,
) -> Result<(), String> {
    let body = match body {
        RequestBody::Field(place) => Some(&types.message(input).fields[place]),
        RequestBody::None | RequestBody::Whole => None,
    };
    for (n, path) in variables.iter().enumerate() {
        let first = path.steps()[0].field(types);
        if let Some(body) = body {
            if path.steps().len() == 1 && body.number == first.number {
                return Err(format!("the path binds `{}`, and so does the body", body.name));
            }
            exclude(first, body)?;
        }
        for other in &variables[..n] {
            let (one, other) = (path.steps(), other.steps());
            let shared = one.iter().zip(other).take_while(|(one, other)| one == other).count();
            if let (Some(one), Some(other)) = (one.get(shared), other.get(shared)) {
                exclude(one.field(types), other.field(types))?;
            }
        }
    }
    Ok(())
}

/// That two fields of one message can both be set.
fn exclude(one: &Field, other: &Field) -> Result<(), String> {
    match one.number != other.number && one.oneof.is_some() && one.oneof == other.oneof {
        true => Err(format!("`{}` and `{}` are members of one oneof", one.name, other.name)),
        false => Ok(()),
    }
}
