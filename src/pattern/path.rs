//! Patterns as they are written, and what is wrong with some.

use std::sync::Arc;

use crate::target::PathRules;

/// A path pattern: segments from the left, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) segments: Vec<Segment>,
    pub(crate) end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This text.
    Literal(Box<str>),
    /// Any text but none, under this name.
    Capture(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The path ends here.
    Exact,
    /// At least one octet follows, and all that follows is kept under this name.
    Rest(Arc<str>),
    /// The path ends here or goes on with a slash.
    Prefix,
}

impl Pattern {
    pub(crate) fn parse(text: &str, prefix: bool) -> Result<Self, String> {
        // Parameters may be in a pattern; whether a request may have them, the layer's rules say.
        let canonical = PathRules::default().keep_parameters().canonical(text);
        let path = canonical.map_err(|mistake| mistake.to_string())?;
        if path.contains('?') {
            return Err("a query is no part of a pattern".into());
        }
        let path = match (path.strip_prefix('/'), prefix) {
            (Some(""), true) => None,
            (Some(path), true) if path.ends_with('/') => {
                return Err("a prefix ends without a slash, and takes what is below it".into());
            }
            (Some(path), _) => Some(path),
            (None, _) => return Err("the pattern does not begin with a slash".into()),
        };
        let mut pattern =
            Self { segments: Vec::new(), end: if prefix { End::Prefix } else { End::Exact } };
        let mut segments = path.into_iter().flat_map(|path| path.split('/')).peekable();
        while let Some(segment) = segments.next() {
            pattern.push(segment, segments.peek().is_none())?;
        }
        Ok(pattern)
    }

    fn push(&mut self, segment: &str, last: bool) -> Result<(), String> {
        let Some(name) = segment.strip_prefix('{').and_then(|it| it.strip_suffix('}')) else {
            if segment.contains(['{', '}']) {
                return Err(format!("`{segment}`: a capture is a whole segment, {{name}}"));
            }
            // What captures look like elsewhere would never match anything here.
            if let Some(name) = segment.strip_prefix(':') {
                return Err(format!("`{segment}`: a capture is written {{{name}}}"));
            }
            if let Some(name) = segment.strip_prefix('*') {
                let name = if name.is_empty() { "rest" } else { name };
                return Err(format!("`{segment}`: what follows is captured by {{*{name}}}"));
            }
            self.segments.push(Segment::Literal(segment.into()));
            return Ok(());
        };
        let (rest, name) = match name.strip_prefix('*') {
            Some(name) => (true, name),
            None => (false, name),
        };
        let allowed = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(format!("`{segment}`: a name consists of letters, digits and _"));
        }
        if self.names().any(|known| known == name) {
            return Err(format!("`{segment}` is captured twice"));
        }
        match (rest, last && self.end == End::Exact) {
            (false, _) => self.segments.push(Segment::Capture(name.into())),
            (true, true) => self.end = End::Rest(name.into()),
            (true, false) => return Err(format!("`{segment}` ends a pattern, and is no prefix")),
        }
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(name.as_ref()),
            Segment::Literal(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Segment {
        Segment::Literal(text.into())
    }

    #[test]
    fn a_pattern_is_segments_and_an_end() {
        let parse = |text, prefix| Pattern::parse(text, prefix).unwrap();
        let pattern = |segments: &[Segment], end| Pattern { segments: segments.to_vec(), end };
        assert_eq!(parse("/", false), pattern(&[literal("")], End::Exact));
        assert_eq!(parse("/", true), pattern(&[], End::Prefix));
        assert_eq!(parse("/a/", false), pattern(&[literal("a"), literal("")], End::Exact));
        assert_eq!(
            parse("/%61/{id}", true),
            pattern(&[literal("a"), Segment::Capture("id".into())], End::Prefix)
        );
        assert_eq!(parse("/f/{*rest}", false), pattern(&[literal("f")], End::Rest("rest".into())));
    }

    #[test]
    fn mistakes_are_told() {
        let exact = [
            "",
            "a",
            "*",
            "/a//b",
            "/../a",
            "/a%2fb",
            "/{}",
            "/{a",
            "/a}",
            "/x{a}",
            "/{a-b}",
            "/{*a}/b",
            "/{a}/{a}",
            "/{a}/{*a}",
            "/{**a}",
            "/caf\u{e9}",
            "/a?b",
            "/a#b",
            "/users/:id",
            "/files/*rest",
            "/files/*",
        ];
        for text in exact {
            assert!(Pattern::parse(text, false).is_err(), "{text}");
        }
        for text in ["/a/", "/a/{*rest}", "//"] {
            assert!(Pattern::parse(text, true).is_err(), "{text}");
        }
    }
}
