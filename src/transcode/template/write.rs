//! A template as text again: `{a}` as `{a=*}`, all else as it was written.

use std::fmt;

use super::{Segment, Template};

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            f.write_str("/")?;
        }
        let mut variables = self.variables.iter().peekable();
        for (at, segment) in self.segments.iter().enumerate() {
            f.write_str("/")?;
            if let Some(variable) = variables.peek().filter(|it| it.segments.start == at) {
                write!(f, "{{{}=", variable.path)?;
            }
            write!(f, "{segment}")?;
            if variables.next_if(|it| it.segments.end == at + 1).is_some() {
                f.write_str("}")?;
            }
        }
        self.verb.iter().try_for_each(|verb| write!(f, ":{verb}"))
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Literal(text) => text,
            Self::One => "*",
            Self::Rest => "**",
        })
    }
}
