//! Messages: by their form, and plain ones member by member.

use std::{borrow::Cow, mem};

use super::{Reader, cursor::is_prefix, reserved::Reserved, seen::Seen};
use crate::transcode::{
    fault::Fault,
    json::text,
    types::{Field, Form, Kind, Label, Message, MessageId},
    wire::{Broken, DEPTH, MAX_DEPTH},
};

/// A member's name.
pub(super) enum Key<'j> {
    /// The place of the field that is called so.
    Field(usize),
    Unknown(Cow<'j, str>),
}

/// What of an object has been read.
#[derive(Default)]
struct SoFar {
    fields: Seen,
    oneofs: Seen,
    /// The place of the field that most likely comes next.
    next: usize,
    /// Whether there was an `@type`.
    typed: bool,
}

/// How many fields are tried in the order of their declaration before a name is looked up: messages are mostly
/// written in that order, and fields that are not set are left out.
const PREDICTED: usize = 8;

impl<'a, 'j> Reader<'a, 'j> {
    /// The content of a message that lies in another one.
    #[inline]
    pub(super) fn nested(&mut self, id: MessageId, reserved: &Reserved) -> Result<(), Fault> {
        self.deeper(|reader| reader.message(id, reserved))
    }

    #[inline]
    pub(super) fn deeper(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Broken(DEPTH).into());
        }
        self.depth += 1;
        read(self)?;
        self.depth -= 1;
        Ok(())
    }

    /// The content of a message.
    pub(super) fn message(&mut self, id: MessageId, reserved: &Reserved) -> Result<(), Fault> {
        let message = self.types.message(id);
        match (message.form, &*message.fields) {
            (Form::Plain | Form::MapEntry, _) => {
                self.cursor.open(b'{', "an object")?;
                self.members(message, reserved, false)
            }
            (Form::Any, [url, value]) => self.any(url, value),
            (Form::Struct, [members]) => self.map(members),
            (Form::ListValue, [elements]) => self.list(elements),
            (Form::Value, kinds) => self.value(kinds),
            (Form::Wrapper, [value]) => self.single(value, reserved),
            (form, _) => self.text(form),
        }
    }

    /// A well-known type that is written as a string.
    fn text(&mut self, form: Form) -> Result<(), Fault> {
        let text = self.cursor.string()?;
        text::well_known(form, &text, &mut self.out)
            .unwrap_or_else(|| Err(Fault::new("a message of no known form."))) // there is no other
    }

    /// The members of an object that has been opened. One that an `Any` holds has its `@type` among them.
    pub(super) fn members(
        &mut self,
        message: &'a Message,
        reserved: &Reserved,
        in_any: bool,
    ) -> Result<(), Fault> {
        if self.cursor.eat(b'}') {
            return Ok(());
        }
        let mut so_far = SoFar::default();
        loop {
            match self.key(message, so_far.next)? {
                Key::Field(place) => {
                    let field = &message.fields[place];
                    so_far.next = place + 1;
                    let read = once(so_far.fields.add(place))
                        .and_then(|()| self.member(message, field, &mut so_far.oneofs, reserved));
                    read.map_err(|fault| fault.in_field(&field.json_name))?;
                }
                Key::Unknown(name) if in_any && name == "@type" => {
                    once(!mem::replace(&mut so_far.typed, true))
                        .map_err(|it| it.in_field(&name))?;
                    self.cursor.skip_string()?;
                }
                Key::Unknown(name) => self.unknown(message, &name)?,
            }
            if !self.cursor.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// The next name, and the colon after it.
    #[inline]
    fn key(&mut self, message: &Message, next: usize) -> Result<Key<'j>, Fault> {
        self.cursor.peek();
        let rest = self.cursor.rest();
        for (place, field) in message.fields.iter().enumerate().skip(next).take(PREDICTED) {
            if is_prefix(&field.json_key, rest) {
                self.cursor.at += field.json_key.len();
                return Ok(Key::Field(place));
            }
        }
        self.looked_up(message)
    }

    #[inline(never)]
    fn looked_up(&mut self, message: &Message) -> Result<Key<'j>, Fault> {
        let name = self.name()?;
        Ok(match message.place_named(&name) {
            Some(place) => Key::Field(place),
            None => Key::Unknown(name),
        })
    }

    /// A member's name, and the colon after it.
    pub(super) fn name(&mut self) -> Result<Cow<'j, str>, Fault> {
        if self.cursor.peek() != b'"' {
            return Err(self.cursor.unexpected("a name"));
        }
        let name = self.cursor.string()?;
        self.cursor.colon()?;
        Ok(name)
    }

    #[inline]
    fn member(
        &mut self,
        message: &Message,
        field: &Field,
        oneofs: &mut Seen,
        reserved: &Reserved,
    ) -> Result<(), Fault> {
        if self.null(field)? {
            return Ok(());
        }
        if let Some(oneof) = field.oneof.map(usize::from)
            && !oneofs.add(oneof)
        {
            let name = &message.oneofs[oneof];
            return Err(Fault::new(format!("another member of the oneof `{name}` is set.")));
        }
        if reserved.is_empty() {
            return self.field(field, Reserved::nothing());
        }
        if reserved.has_rival(message, field) {
            return Err(Fault::new("another member of its oneof is set by the path."));
        }
        self.field(field, self.reserved_in(field, reserved)?)
    }

    /// The value of a field that is the whole text.
    pub(super) fn body(&mut self, field: &Field, reserved: &Reserved) -> Result<(), Fault> {
        match self.null(field)? {
            true => Ok(()),
            false => self.field(field, self.reserved_in(field, reserved)?),
        }
    }

    /// Reads a `null` that says "not set"; to a `Value` and a `NullValue`, it is a value.
    #[inline]
    fn null(&mut self, field: &Field) -> Result<bool, Fault> {
        if self.cursor.peek() != b'n' {
            return Ok(false);
        }
        let is_value = field.label == Label::Singular
            && match field.kind {
                Kind::Enum(id) => self.types.enumeration(id).null,
                Kind::Message(id) | Kind::Group(id) => self.types.message(id).form == Form::Value,
                _ => false,
            };
        if !is_value {
            self.cursor.word("null")?;
        }
        Ok(!is_value)
    }

    #[cold]
    pub(super) fn unknown(&mut self, message: &Message, name: &str) -> Result<(), Fault> {
        if self.ignores_unknown {
            return self.cursor.skip(self.depth);
        }
        Err(Fault::new(format!("no field of `{}`.", message.name)).in_field(name))
    }
}

/// Names stand once: to take the first or the last would be to choose what a reader beside us sees.
#[inline]
pub(super) fn once(is_new: bool) -> Result<(), Fault> {
    if is_new { Ok(()) } else { Err(Fault::new("stands twice in its object.")) }
}
