//! Where rules come from.

use std::collections::{HashMap, HashSet};

use super::service_config::ServiceConfig;
use crate::{
    config_error::Mistakes,
    transcode::{
        template::Decoding,
        types::{
            Method, Service, Types,
            raw::{HttpPattern, HttpRule},
        },
    },
};

/// Where rules come from, beside the annotations, and for which services they are taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// As YAML.
    pub(crate) service_configs: Vec<String>,
    pub(crate) map_unannotated: bool,
    /// By full name; all otherwise.
    pub(crate) only_services: Option<Vec<String>>,
}

/// The sources, read.
pub(super) struct Rules<'a> {
    /// Where it stands, and the rule, by the method's full name.
    selected: HashMap<&'a str, (String, &'a HttpRule)>,
    map_unannotated: bool,
    only: Option<HashSet<&'a str>>,
    pub(super) decoding: Decoding,
}

impl Sources {
    /// The service configs, in their order; what is wrong with one is noted.
    pub(crate) fn configs(&self, mistakes: &mut Mistakes) -> Vec<ServiceConfig> {
        let read = |(n, yaml): (usize, &String)| {
            let name = match self.service_configs.len() {
                1 => "service config".to_owned(),
                _ => format!("service config {}", n + 1),
            };
            ServiceConfig::parse(&name, yaml, mistakes)
        };
        self.service_configs.iter().enumerate().map(read).collect()
    }

    /// The rules for these types; what names nothing in them is a mistake.
    pub(super) fn rules<'a>(
        &'a self,
        types: &Types,
        configs: &'a [ServiceConfig],
        mistakes: &mut Mistakes,
    ) -> Rules<'a> {
        let mut selected = HashMap::new();
        for rule in configs.iter().flat_map(|config| &config.rules) {
            let selector = rule.rule.selector.as_str();
            if has_method(types, selector) {
                // "Last one wins", says http.proto.
                selected.insert(selector, (rule.place.clone(), &rule.rule));
            } else {
                mistakes.add(format!("{}: there is no method `{selector}`", rule.place));
            }
        }
        let only = self.only_services.as_ref();
        for name in only.into_iter().flatten() {
            if !types.services().iter().any(|service| *service.name == **name) {
                mistakes.add(format!("only_services: there is no service `{name}`"));
            }
        }
        let full = configs.iter().filter_map(|config| config.full_decoding).next_back();
        Rules {
            selected,
            map_unannotated: self.map_unannotated,
            only: only.map(|names| names.iter().map(String::as_str).collect()),
            decoding: if full == Some(true) { Decoding::Full } else { Decoding::KeepSlash },
        }
    }
}

fn has_method(types: &Types, selector: &str) -> bool {
    selector.rsplit_once('.').is_some_and(|(service, method)| {
        let mut services = types.services().iter().filter(|it| &*it.name == service);
        services.any(|it| it.methods.iter().any(|it| &*it.name == method))
    })
}

impl Rules<'_> {
    pub(super) fn takes(&self, service: &Service) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&*service.name))
    }

    /// Where a method's rule stands, and the rule.
    pub(super) fn of(&self, service: &Service, method: &Method) -> Option<(String, HttpRule)> {
        let name = format!("{}.{}", service.name, method.name);
        if let Some((place, rule)) = self.selected.get(&*name) {
            return Some((place.clone(), (*rule).clone()));
        }
        let file = || service.file.clone().into_string();
        match &method.rule {
            Some(rule) => Some((file(), rule.clone())),
            None if self.map_unannotated => Some((file(), unannotated(method))),
            None => None,
        }
    }
}

/// `POST /pkg.Service/Method`, as gRPC itself names it.
fn unannotated(method: &Method) -> HttpRule {
    HttpRule {
        pattern: Some(HttpPattern::Post(method.path.as_str().to_owned())),
        body: "*".to_owned(),
        ..HttpRule::default()
    }
}
