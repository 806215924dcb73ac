//! Names, as they are listed.

use http::HeaderName;

use crate::{config_error::Mistakes, fields::concerns_this_hop};

/// Names, and beginnings of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    exact: Vec<HeaderName>,
    prefixes: Vec<String>,
    pub(super) all: bool,
}

impl Names {
    pub(super) fn parse(names: &[String], mistakes: &mut Mistakes) -> Self {
        let mut parsed = Self::default();
        for text in names {
            let (text, is_prefix) = match text.strip_suffix('*') {
                Some(prefix) => (prefix, true),
                None => (text.as_str(), false),
            };
            match HeaderName::try_from(text) {
                Err(_) => mistakes.add(format!("`{text}` is no name of metadata")),
                Ok(name) if never(&name) => mistakes.add(format!("`{name}` is never passed")),
                Ok(name) if is_prefix => parsed.prefixes.push(name.as_str().to_owned()),
                Ok(name) => parsed.exact.push(name),
            }
        }
        parsed
    }

    pub(super) fn contain(&self, name: &HeaderName) -> bool {
        self.all
            || self.exact.contains(name)
            || self.prefixes.iter().any(|prefix| name.as_str().starts_with(prefix))
    }
}

/// What belongs to one message or one connection, and what the layer and the service say to each other.
pub(super) fn never(name: &HeaderName) -> bool {
    concerns_this_hop(name)
        || name.as_str().starts_with("grpc-")
        || matches!(
            name.as_str(),
            "accept-encoding"
                | "accept-ranges"
                | "content-digest"
                | "content-encoding"
                | "content-length"
                | "content-md5"
                | "content-range"
                | "content-type"
                | "digest"
                | "expect"
                | "host"
                | "repr-digest"
                | "trailer"
        )
}
