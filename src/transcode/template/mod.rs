//! Path templates, as `google/api/http.proto` writes them, and finding the one that takes a path.
//!
//! ```text
//! Template = "/" [ Segments [ Verb ] ] ;
//! Segments = Segment { "/" Segment } ;
//! Segment  = "*" | "**" | LITERAL | Variable ;
//! Variable = "{" FieldPath [ "=" Segments ] "}" ;
//! FieldPath = IDENT { "." IDENT } ;
//! Verb     = ":" LITERAL ;
//! ```
//!
//! | in the template | takes of the path |
//! |---|---|
//! | `*` | one segment, which is not empty |
//! | `**` | all that follows, or nothing; only at the end of a template, before the verb |
//! | `LITERAL` | the segment that is this text, both percent-decoded |
//! | `{a.b}` | what `{a.b=*}` takes |
//! | `{a.b=x/*}` | what `x/*` takes; it becomes the value of the field `a.b` |
//! | `:verb` | the end of the last segment, from its last colon |
//!
//! What the grammar leaves open: a lone `/` is a template, as it is in grpc-gateway and in Envoy. A `LITERAL`
//! consists of the characters that RFC 3986 §3.3 has for a segment, but for `*`; a colon in it is text, unless it
//! is the last one of the last segment. A variable holds no other, and none is bound twice.
//!
//! Which of several templates takes a path, and what variables hold, is told where users read it: see
//! [`Descriptors`](super::Descriptors). The tree visits each of its places once at most for a path, so that a path
//! costs no more than the templates are.

mod captures;
mod matcher;
mod parse;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use captures::Decoding;
pub(crate) use matcher::Matcher;

use std::ops::Range;

/// A path template. See the [module docs](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    segments: Vec<Segment>,
    variables: Vec<Variable>,
    verb: Option<Box<str>>,
}

/// What takes a segment of the path, or the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This text, as the template has it.
    Literal(Box<str>),
    /// `*`
    One,
    /// `**`
    Rest,
}

/// A field, and the segments that are its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    path: Box<str>,
    segments: Range<usize>,
}

impl Template {
    /// Its segments, those of the variables among them.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Its variables, from the left.
    pub(crate) fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// What stands after its colon.
    pub(crate) fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }
}

impl Variable {
    /// The field's path, `a.b`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Which of the template's segments are its value.
    pub(crate) fn segments(&self) -> Range<usize> {
        self.segments.clone()
    }
}
