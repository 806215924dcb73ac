//! The `http` section of a service config, in YAML (or in JSON, which is YAML too).
//!
//! ```yaml
//! type: google.api.Service
//! config_version: 3
//! http:
//!   fully_decode_reserved_expansion: true
//!   rules:
//!   - selector: shop.v1.Shop.GetItem
//!     get: /v1/{name=items/*}
//!     additional_bindings:
//!     - post: /v1/items:get
//!       body: "*"
//! ```
//!
//! Sections other than `http` are for others and passed over; in it, whatever is not of `google.api.Http` is a
//! mistake, so that no rule is lost by a typing error.

use saphyr::{LoadableYamlNode, MarkedYaml};
use saphyr_parser::{Event, Parser};

use super::table::NESTED;
use crate::{
    config_error::Mistakes,
    transcode::types::raw::{CustomHttpPattern, HttpPattern, HttpRule},
};

/// The rules of a service config.
#[derive(Debug, Default)]
pub(crate) struct ServiceConfig {
    pub(super) rules: Vec<SelectedRule>,
    /// `fully_decode_reserved_expansion`.
    pub(super) full_decoding: Option<bool>,
}

/// A rule that names its method.
#[derive(Debug)]
pub(crate) struct SelectedRule {
    pub(super) rule: HttpRule,
    /// `service config, line 7`.
    pub(super) place: String,
}

/// A node of the document.
type Node<'a> = MarkedYaml<'a>;

/// What is wrong, and the line that it is in.
type Wrong = (usize, String);

impl ServiceConfig {
    /// What could be read; the rest is noted, under the name.
    pub(super) fn parse(name: &str, yaml: &str, mistakes: &mut Mistakes) -> Self {
        let mut reading = Reading { config: Self::default(), name, mistakes };
        reading.text(yaml);
        reading.config
    }
}

/// How deep a service config may be, of which the deepest place is 7 levels down.
const MAX_DEPTH: usize = 32;

/// Whether the document is too deep to be loaded, which takes a stack as deep; reading its events takes none.
fn is_deep(yaml: &str) -> bool {
    let mut depth = 0_usize;
    let mut events = Parser::new_from_str(yaml).map_while(Result::ok);
    events.any(|(event, _)| {
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

struct Reading<'a> {
    config: ServiceConfig,
    name: &'a str,
    mistakes: &'a mut Mistakes,
}

impl Reading<'_> {
    fn text(&mut self, yaml: &str) {
        let name = self.name;
        if is_deep(yaml) {
            return self.mistakes.add(format!("{name}: more than {MAX_DEPTH} levels deep"));
        }
        match Node::load_from_str(yaml).as_deref() {
            Ok([document]) => {
                let read = self.document(document);
                self.note(read);
            }
            Ok(all) => self.mistakes.add(format!("{name}: {} documents, not one", all.len())),
            Err(error) => self.mistakes.add(format!("{name}: no YAML: {error}")),
        }
    }

    fn document(&mut self, document: &Node<'_>) -> Result<(), Wrong> {
        let mut http = None;
        for (key, value) in members(document)? {
            if key == "http" {
                http = Some(value);
            }
        }
        let http = http.ok_or((line(document), "there is no `http` in it".to_owned()))?;
        for (key, value) in members(http)? {
            match key {
                "rules" => self.rules(value)?,
                "fully_decode_reserved_expansion" | "fullyDecodeReservedExpansion" => {
                    let flag = value.data.as_bool();
                    let flag = flag.ok_or((line(value), format!("`{key}` is true or false")))?;
                    self.config.full_decoding = Some(flag);
                }
                _ => return Err(unknown(value, key, "google.api.Http")),
            }
        }
        Ok(())
    }

    fn rules(&mut self, rules: &Node<'_>) -> Result<(), Wrong> {
        for node in elements(rules)? {
            match rule(node, false) {
                Ok(rule) => {
                    let place = self.place(line(node));
                    self.config.rules.push(SelectedRule { rule, place });
                }
                wrong => self.note(wrong.map(drop)),
            }
        }
        Ok(())
    }

    fn note(&mut self, read: Result<(), Wrong>) {
        if let Err((line, why)) = read {
            self.mistakes.add(format!("{}: {why}", self.place(line)));
        }
    }

    fn place(&self, line: usize) -> String {
        format!("{}, line {line}", self.name)
    }
}

/// A rule; an additional binding has none of its own.
fn rule(node: &Node<'_>, additional: bool) -> Result<HttpRule, Wrong> {
    let mut rule = HttpRule::default();
    for (key, value) in members(node)? {
        let path = || text(key, value);
        let pattern = match key {
            "get" => HttpPattern::Get(path()?),
            "put" => HttpPattern::Put(path()?),
            "post" => HttpPattern::Post(path()?),
            "delete" => HttpPattern::Delete(path()?),
            "patch" => HttpPattern::Patch(path()?),
            "custom" => HttpPattern::Custom(custom(value)?),
            "additional_bindings" | "additionalBindings" if additional => {
                return Err((line(value), NESTED.to_owned()));
            }
            _ => {
                other_than_pattern(&mut rule, key, value)?;
                continue;
            }
        };
        if rule.pattern.replace(pattern).is_some() {
            return Err((line(value), format!("`{key}`, where the rule has a method already")));
        }
    }
    Ok(rule)
}

fn other_than_pattern(rule: &mut HttpRule, key: &str, value: &Node<'_>) -> Result<(), Wrong> {
    match key {
        "selector" => rule.selector = text(key, value)?,
        "body" => rule.body = text(key, value)?,
        "response_body" | "responseBody" => rule.response_body = text(key, value)?,
        "additional_bindings" | "additionalBindings" => {
            let bindings = elements(value)?.iter().map(|node| self::rule(node, true));
            rule.additional_bindings = bindings.collect::<Result<_, _>>()?;
        }
        _ => return Err(unknown(value, key, "google.api.HttpRule")),
    }
    Ok(())
}

fn custom(node: &Node<'_>) -> Result<CustomHttpPattern, Wrong> {
    let mut custom = CustomHttpPattern::default();
    for (key, value) in members(node)? {
        match key {
            "kind" => custom.kind = text(key, value)?,
            "path" => custom.path = text(key, value)?,
            _ => return Err(unknown(value, key, "google.api.CustomHttpPattern")),
        }
    }
    Ok(custom)
}

fn members<'a>(node: &'a Node<'_>) -> Result<impl Iterator<Item = (&'a str, &'a Node<'a>)>, Wrong> {
    let members = node.data.as_mapping().ok_or((line(node), "a mapping is expected".to_owned()))?;
    Ok(members.iter().map(|(key, value)| (key.data.as_str().unwrap_or_default(), value)))
}

fn elements<'a>(node: &'a Node<'_>) -> Result<&'a [Node<'a>], Wrong> {
    let elements = node.data.as_sequence().map(Vec::as_slice);
    elements.ok_or((line(node), "a list is expected".to_owned()))
}

fn text(key: &str, node: &Node<'_>) -> Result<String, Wrong> {
    let text = node.data.as_str().map(str::to_owned);
    text.ok_or((line(node), format!("`{key}` is text")))
}

fn unknown(node: &Node<'_>, key: &str, message: &str) -> Wrong {
    (line(node), format!("`{key}`: {message} has no such field"))
}

fn line(node: &Node<'_>) -> usize {
    node.span.start.line()
}
