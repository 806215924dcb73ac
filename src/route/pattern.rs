//! Patterns of paths and hosts, as they are written, and what is wrong with some.

use std::{borrow::Cow, sync::Arc};

use crate::target::PathRules;

/// A path pattern: segments from the left, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) segments: Vec<Segment>,
    pub(super) end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// This text.
    Literal(Box<str>),
    /// Any text but none, under this name.
    Capture(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The path ends here.
    Exact,
    /// At least one octet follows, and all that follows is kept under this name.
    Rest(Arc<str>),
    /// The path ends here or goes on with a slash.
    Prefix,
}

impl Pattern {
    pub(super) fn parse(text: &str, prefix: bool) -> Result<Self, String> {
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

    /// Each capture's name, the number of its segment, and whether it takes the rest.
    pub(super) fn captures(&self) -> Vec<(Arc<str>, usize, bool)> {
        let of_segment = |(at, segment): (usize, &Segment)| match segment {
            Segment::Capture(name) => Some((Arc::clone(name), at, false)),
            Segment::Literal(_) => None,
        };
        let rest = match &self.end {
            End::Rest(name) => Some((Arc::clone(name), self.segments.len(), true)),
            End::Exact | End::Prefix => None,
        };
        let segments = self.segments.iter().enumerate().filter_map(of_segment);
        segments.chain(rest).collect()
    }
}

/// Whose requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    Any,
    /// This name or address.
    Exact(Box<str>),
    /// All names that end with this, which begins with a dot.
    Below(Box<str>),
}

impl HostPattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let folded = fold(text);
        let name = folded.strip_suffix('.').unwrap_or(&folded);
        let (below, name) = match name.strip_prefix('*') {
            Some(name) if name.starts_with('.') => (true, name),
            Some(_) => return Err(format!("`{text}`: write *.example")),
            None => (false, name),
        };
        let allowed = |it: char| it.is_ascii_alphanumeric() || "-._~".contains(it);
        let address = name.starts_with('[') && name.ends_with(']');
        let mut labels = name[usize::from(below)..].split('.');
        if !address && (!name.chars().all(allowed) || labels.any(str::is_empty)) {
            return Err(format!("`{text}` is no host name; a port is not part of it"));
        }
        Ok(match below {
            true => Self::Below(name.into()),
            false => Self::Exact(name.into()),
        })
    }
}

/// A host name in lower case.
pub(super) fn fold(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
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
        ];
        for text in exact {
            assert!(Pattern::parse(text, false).is_err(), "{text}");
        }
        for text in ["/a/", "/a/{*rest}", "//"] {
            assert!(Pattern::parse(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts() {
        let parse = HostPattern::parse;
        assert_eq!(parse("API.example."), Ok(HostPattern::Exact("api.example".into())));
        assert_eq!(parse("*.example"), Ok(HostPattern::Below(".example".into())));
        assert_eq!(parse("[::1]"), Ok(HostPattern::Exact("[::1]".into())));
        for text in ["", "*", "*example", "a.*", "a:80", "a..b", "a/b", ".a", "*..a", "*."] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
