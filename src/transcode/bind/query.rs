//! A query string, `a=1&b=x+y`, as fields of the request.

use std::{borrow::Cow, collections::HashSet};

use super::{
    put,
    taken::{By, Taken},
};
use crate::transcode::{
    escape::{Unreadable, unescape},
    fault::Fault,
    rules::{Binding, FieldPath, RequestBody, Unnamed},
    types::{MessageId, Types},
};

/// How many parameters a query can have.
pub(super) const MOST_PARAMETERS: usize = 1_000;

/// What to make of query parameters that bind nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryChoices {
    /// Those that name no field are passed over.
    pub(crate) ignore_unknown: bool,
    /// These are passed over, whatever they name.
    pub(crate) ignored: HashSet<Box<str>>,
}

/// Writes what the query binds.
///
/// # Errors
///
/// See the [module docs](super).
pub(crate) fn query(
    types: &Types,
    binding: &Binding,
    query: &str,
    choices: &QueryChoices,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    if query.is_empty() {
        return Ok(());
    }
    let input = binding.method(types).input;
    let taken = Taken::by_others(types, input, binding);
    let mut binder = Binder { types, input, body: binding.body, choices, taken };
    for parameter in parameters(query)? {
        let (name, value) = parameter?;
        if !choices.ignored.contains(&*name) {
            let bound = binder.bind(&name, &value, out);
            bound.map_err(|fault| fault.in_field(&name))?;
        }
    }
    Ok(())
}

struct Binder<'a> {
    types: &'a Types,
    input: MessageId,
    body: RequestBody,
    choices: &'a QueryChoices,
    taken: Taken,
}

impl Binder<'_> {
    fn bind(&mut self, name: &str, value: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
        let ignores = self.choices.ignore_unknown;
        let field = match FieldPath::find(self.types, self.input, name) {
            Ok(field) => field,
            Err(Unnamed::Unknown | Unnamed::Scalar) if ignores => return Ok(()),
            Err(unnamed) => return Err(Fault::new(format!("{}.", unnamed.why()))),
        };
        if self.body == RequestBody::Whole {
            return Err(Fault::new(
                "the body is the whole request; the query cannot be part of it.",
            ));
        }
        self.taken.take(self.types, &field, By::Query)?;
        put(self.types, &field, value, out)
    }
}

type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Names and values, decoded, in their order.
fn parameters(query: &str) -> Result<impl Iterator<Item = Result<Parameter<'_>, Fault>>, Fault> {
    let parameters = || query.split('&').filter(|parameter| !parameter.is_empty());
    if parameters().nth(MOST_PARAMETERS).is_some() {
        return Err(Fault::new(format!("the query has more than {MOST_PARAMETERS} parameters.")));
    }
    Ok(parameters().map(parameter))
}

fn parameter(parameter: &str) -> Result<Parameter<'_>, Fault> {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let both = decode(name).and_then(|name| Ok((name, decode(value)?)));
    both.map_err(|unreadable| Fault::from(unreadable).in_field(name))
}

/// As HTML forms are encoded: `+` is a space.
fn decode(raw: &str) -> Result<Cow<'_, str>, Unreadable> {
    match memchr::memchr2(b'+', b'%', raw.as_bytes()) {
        None => Ok(Cow::Borrowed(raw)),
        Some(_) => unescape(raw.replace('+', " ").as_bytes(), false).map(Cow::Owned),
    }
}
