//! All bindings, and finding the one for a request.

use http::{HeaderValue, Method as HttpMethod};

use super::{Binding, Sources, binding::Context, sources::Rules};
use crate::{
    config_error::Mistakes,
    transcode::{
        template::Matcher,
        types::{Method, Service, Types, raw::HttpRule},
    },
};

/// All bindings. Immutable.
#[derive(Default)]
pub(crate) struct Table {
    bindings: Box<[Binding]>,
    matcher: Matcher,
}

impl Table {
    /// The bindings of the types' services; what is wrong with one is noted, and it is left out.
    pub(crate) fn compile(types: &Types, sources: &Sources, mistakes: &mut Mistakes) -> Self {
        let configs = sources.configs(mistakes);
        let rules = sources.rules(types, &configs, mistakes);
        let matcher = Matcher::default();
        let mut compiling = Compiling { types, mistakes, matcher, bindings: Vec::new() };
        for (n, service) in types.services().iter().enumerate() {
            if rules.takes(service) {
                compiling.service(n, service, &rules);
            }
        }
        if compiling.bindings.is_empty() && compiling.mistakes.is_empty() {
            let mut services = types.services().iter().filter(|service| rules.takes(service));
            if let Some(method) = services.find_map(|service| service.methods.first()) {
                compiling.mistakes.add(without_rules(method));
            }
        }
        Self { bindings: compiling.bindings.into(), matcher: compiling.matcher }
    }

    /// The binding for requests with this method and path; the path still encoded.
    pub(crate) fn find(&self, method: &HttpMethod, path: &str) -> Option<&Binding> {
        self.matcher.find(method, path).map(|number| &self.bindings[number])
    }

    /// The place of that binding among all.
    pub(crate) fn number(&self, method: &HttpMethod, path: &str) -> Option<usize> {
        self.matcher.find(method, path)
    }

    /// The methods, for `Allow`, with which there are bindings for this path; none if there is no binding.
    pub(crate) fn allow(&self, path: &str) -> Option<HeaderValue> {
        self.matcher.allow(path)
    }

    /// All, in the order of the services and their methods.
    pub(crate) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }
}

pub(super) const NESTED: &str = "additional_bindings cannot have additional_bindings of their own";

/// Services of which nobody could call anything: most likely, their rules were lost on the way.
fn without_rules(method: &Method) -> String {
    format!(
        "no method has a rule, `{}` among them: if the `.proto` files have `google.api.http` options, the set has lost \
         them, as one does that prost-types has decoded; give the bytes that protox (`encode_file_descriptor_set`), \
         buf or protoc wrote. If they have none, say `map_unannotated`, or give rules in a `service_config`",
        method.path,
    )
}

struct Compiling<'a, 'm> {
    types: &'a Types,
    mistakes: &'m mut Mistakes,
    matcher: Matcher,
    bindings: Vec<Binding>,
}

impl Compiling<'_, '_> {
    fn service(&mut self, n: usize, service: &Service, rules: &Rules<'_>) {
        for (m, method) in service.methods.iter().enumerate() {
            if let Some((place, rule)) = rules.of(service, method) {
                let place = format!("{place}: `{}.{}`", service.name, method.name);
                let (types, decoding) = (self.types, rules.decoding);
                self.rule(&place, Context { types, place: (n, m), method, decoding }, &rule);
            }
        }
    }

    fn rule(&mut self, place: &str, context: Context<'_>, rule: &HttpRule) {
        self.binding(place, context, rule);
        for additional in &rule.additional_bindings {
            if additional.additional_bindings.is_empty() {
                self.binding(place, context, additional);
            } else {
                self.mistakes.add(format!("{place}: {NESTED}"));
            }
        }
    }

    fn binding(&mut self, place: &str, context: Context<'_>, rule: &HttpRule) {
        let added = Binding::compile(context, rule).and_then(|binding| self.add(binding));
        if let Err(why) = added {
            self.mistakes.add(format!("{place}: {why}"));
        }
    }

    fn add(&mut self, binding: Binding) -> Result<(), String> {
        let (method, template) = (binding.http_method.clone(), &binding.template);
        if let Some(known) = self.matcher.add(method, template, self.bindings.len()) {
            let known = &self.bindings[known];
            let (service, method) = known.called(self.types);
            let (name, known) = (binding.name(), known.name());
            let owner = format!("{}.{}", service.name, method.name);
            return Err(format!("`{name}` takes the same requests as `{known}` of `{owner}`"));
        }
        self.bindings.push(binding);
        Ok(())
    }
}
