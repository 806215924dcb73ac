//! The grammar: from text to a template, or what is wrong, and where.

use percent_encoding::percent_decode_str;

use super::{Segment, Template, Variable};

/// The most segments that a template can have: the tree is as deep, and so is the walk through it.
pub(super) const MOST_SEGMENTS: usize = 100;

impl Template {
    /// # Errors
    ///
    /// What is wrong with the text, and at which character of it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0, template: Self::root() };
        let parsed = parser.template();
        match parsed {
            Ok(()) => Ok(parser.template),
            Err(what) => {
                let before = text.get(..parser.at).unwrap_or(text);
                Err(format!("character {}: {what}", before.chars().count() + 1))
            }
        }
    }

    fn root() -> Self {
        Self { segments: Vec::new(), variables: Vec::new(), verb: None }
    }
}

struct Parser<'a> {
    text: &'a str,
    /// How many octets are read.
    at: usize,
    template: Template,
}

type Parsed = Result<(), String>;

// === impl Parser ===

impl<'a> Parser<'a> {
    fn template(&mut self) -> Parsed {
        if !self.skip('/') {
            return Err("a template begins with `/`".into());
        }
        if self.rest().is_empty() {
            return Ok(());
        }
        self.segment(true)?;
        while self.skip('/') {
            self.segment(true)?;
        }
        if self.skip(':') {
            self.verb()?;
        }
        match self.rest().chars().next() {
            None => Ok(()),
            Some(_) if self.template.verb.is_some() => {
                Err("nothing follows the verb, which has no `:`, `*`, `{` or `}` in it".into())
            }
            Some('}') => Err("`}` without `{`".into()),
            Some(other) => Err(format!(
                "`{other}`: `*`, `**` and a variable are a whole segment; `/` or the verb follows"
            )),
        }
    }

    fn segment(&mut self, outside: bool) -> Parsed {
        match self.rest().chars().next() {
            Some('{') if outside => self.variable(),
            Some('{') => Err("a variable inside of a variable".into()),
            Some('*') if self.rest().starts_with("**") => self.push(Segment::Rest, 2),
            Some('*') => self.push(Segment::One, 1),
            _ => self.literal_segment(outside),
        }
    }

    fn push(&mut self, segment: Segment, length: usize) -> Parsed {
        let segments = &mut self.template.segments;
        if segments.last() == Some(&Segment::Rest) {
            return Err("nothing but the verb follows `**`".into());
        }
        if segments.len() == MOST_SEGMENTS {
            return Err(format!("a template has at most {MOST_SEGMENTS} segments"));
        }
        segments.push(segment);
        self.at += length;
        Ok(())
    }

    fn literal_segment(&mut self, outside: bool) -> Parsed {
        let mut literal = self.until(&['/', '{', '}', '*']);
        // Only the last segment can end with a verb.
        if outside && literal.len() == self.rest().len() {
            literal = literal.rsplit_once(':').map_or(literal, |(before, _)| before);
        }
        self.check(literal, "a segment")?;
        self.push(Segment::Literal(literal.into()), literal.len())
    }

    fn verb(&mut self) -> Parsed {
        let verb = self.until(&[':', '/', '{', '}', '*']);
        self.check(verb, "a verb")?;
        self.template.verb = Some(verb.into());
        self.at += verb.len();
        Ok(())
    }

    fn variable(&mut self) -> Parsed {
        self.at += 1;
        let path = self.field_path()?;
        let start = self.template.segments.len();
        if self.skip('=') {
            self.segment(false)?;
            while self.skip('/') {
                self.segment(false)?;
            }
        } else {
            self.push(Segment::One, 0)?;
        }
        match self.rest().chars().next() {
            Some('}') => self.at += 1,
            Some(':') => return Err("a verb stands after all segments, not in a variable".into()),
            Some(other) => return Err(format!("`{other}` where `/` or `}}` is expected")),
            None => return Err("the variable has no `}`".into()),
        }
        let segments = start..self.template.segments.len();
        self.template.variables.push(Variable { path: path.into(), segments });
        Ok(())
    }

    fn field_path(&mut self) -> Result<&'a str, String> {
        let path = self.until(&['=', '/', '{', '}', '*', ':']);
        for name in path.split('.') {
            if !is_identifier(name) {
                return Err(format!("`{path}` is no field path: names, with dots between them"));
            }
        }
        let mut known = self.template.variables.iter().map(|it| &*it.path);
        if let Some(known) = known.find(|it| is_within(it, path) || is_within(path, it)) {
            return Err(format!("`{path}`, where `{known}` is bound before"));
        }
        self.at += path.len();
        Ok(path)
    }

    /// Whether the text can stand in a path.
    fn check(&self, literal: &str, what: &str) -> Parsed {
        if literal.is_empty() {
            return Err(format!("{what} is missing"));
        }
        if let Some(bad) = literal.chars().find(|it| !is_literal(*it)) {
            return Err(format!("`{bad}` cannot stand in {what}: percent-encode it"));
        }
        let mut escapes = literal.split('%').skip(1).map(str::as_bytes);
        if !escapes.all(|it| it.len() >= 2 && it[..2].iter().all(u8::is_ascii_hexdigit)) {
            return Err("`%` and no two hexadecimal digits after it".into());
        }
        match percent_decode_str(literal).decode_utf8() {
            Err(_) => Err(format!("{what} is no UTF-8 when it is decoded")),
            Ok(text) if text.contains('/') => Err(format!("{what} with a slash in it, encoded")),
            Ok(text) if text == "." || text == ".." => Err(format!("`{text}` is no segment")),
            Ok(_) => Ok(()),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn until(&self, ends: &[char]) -> &'a str {
        self.rest().split(ends).next().unwrap_or_default()
    }

    fn skip(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        self.at += usize::from(found);
        found
    }
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|it: char| it.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}

/// `pchar` of RFC 3986, but for `*`.
fn is_literal(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~!$&'()+,;=:@%".contains(character)
}

/// Whether the path is the other or lies within it: `a.b` within `a`.
pub(crate) fn is_within(path: &str, other: &str) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
