//! What the variables hold of a path, decoded once.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Segment, Template, Variable, matcher::split_verb};
use crate::transcode::escape::{Unreadable, unescape};

/// What is done with an encoded slash in a variable of several segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Decoding {
    /// It stays encoded.
    #[default]
    KeepSlash,
    /// It is decoded where `**` takes it: `fully_decode_reserved_expansion`.
    Full,
}

impl Template {
    /// The variables, and what each holds, still encoded, of a path that the template takes.
    pub(crate) fn captures<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'a Variable, &'a str)> {
        let path = match (&self.verb, split_verb(path)) {
            (Some(_), Some((path, _))) => path,
            _ => path,
        };
        let slashes = memchr::memchr_iter(b'/', path.as_bytes()).take(self.segments.len() + 1);
        let starts: SmallVec<[usize; 16]> = slashes.map(|at| at + 1).collect();
        let start_of = move |segment| starts.get(segment).copied().unwrap_or(path.len() + 1);
        self.variables.iter().map(move |variable| {
            let end = match self.takes_rest(variable) {
                true => path.len(),
                false => start_of(variable.segments.end) - 1,
            };
            // Nothing is left of the path where `**` takes no segment.
            (variable, path.get(start_of(variable.segments.start)..end).unwrap_or_default())
        })
    }

    /// What the variable holds, decoded. See [What a variable holds](crate::transcode::Descriptors#what-a-variable-holds).
    pub(crate) fn decode<'a>(
        &self,
        variable: &Variable,
        raw: &'a str,
        decoding: Decoding,
    ) -> Result<Cow<'a, str>, Unreadable> {
        let segments = self.segments.get(variable.segments.clone()).unwrap_or_default();
        let keep_slash = match segments {
            [Segment::Literal(_) | Segment::One] => false,
            [before @ .., Segment::Rest] if !before.contains(&Segment::One) => {
                decoding == Decoding::KeepSlash
            }
            _ => true,
        };
        decode(raw, keep_slash)
    }

    fn takes_rest(&self, variable: &Variable) -> bool {
        variable.segments.end == self.segments.len() && self.segments.last() == Some(&Segment::Rest)
    }
}

fn decode(raw: &str, keep_slash: bool) -> Result<Cow<'_, str>, Unreadable> {
    let text = match memchr::memchr(b'%', raw.as_bytes()) {
        None => Cow::Borrowed(raw),
        Some(_) => Cow::Owned(unescape(raw.as_bytes(), keep_slash)?),
    };
    match has_dots(&text) {
        true => Err(Unreadable::Dots),
        false => Ok(text),
    }
}

/// Whether a service that reads the text as a path, or decodes it once more, would find a `.` or `..` in it.
fn has_dots(text: &str) -> bool {
    let is_dots = |it: &str| it == "." || it == "..";
    let parts = || text.split('/');
    match memchr::memchr(b'%', text.as_bytes()) {
        None => parts().any(is_dots),
        Some(_) => {
            parts().flat_map(|it| it.split("%2F")).flat_map(|it| it.split("%2f")).any(is_dots)
        }
    }
}
