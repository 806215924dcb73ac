//! `google.protobuf.Any`: an object that says of which type it is.

use std::borrow::Cow;

use super::{Reader, message::once, reserved::Reserved};
use crate::transcode::{
    fault::Fault,
    types::{Field, Form, Message, MessageId},
    wire::{Open, put_bytes},
};

/// How much of a text may be read ahead in search of `@type`: all of it so many times, and a little more. Without a
/// bound, each of a hundred messages in one another could make the rest be read once more.
const AHEAD: usize = 8;
const AHEAD_ALWAYS: usize = 64 * 1024;

impl<'a, 'j> Reader<'a, 'j> {
    /// The content of an `Any`, by its two fields.
    pub(super) fn any(&mut self, url: &Field, value: &Field) -> Result<(), Fault> {
        self.cursor.open(b'{', "an object")?;
        if self.cursor.eat(b'}') {
            return Ok(());
        }
        let known = self.type_url().map_err(|fault| fault.in_field("@type"))?;
        let Some(id) = self.types.find_url(&known) else {
            return Err(Fault::new("names no known type.").in_field("@type"));
        };
        url.tag.put(&mut self.out);
        put_bytes(&mut self.out, known.as_bytes());
        value.tag.put(&mut self.out);
        let open = Open::new(&mut self.out);
        self.deeper(|reader| reader.content(id))?;
        open.close(&mut self.out);
        Ok(())
    }

    fn content(&mut self, id: MessageId) -> Result<(), Fault> {
        let message = self.types.message(id);
        match (message.form, &*message.name) {
            // Some implementations write it as a well-known type, some as a message without fields.
            (_, "google.protobuf.Empty") => self.value_member(id, message).map(drop),
            (Form::Plain, _) => self.members(message, Reserved::nothing(), true),
            _ if self.value_member(id, message)? => Ok(()),
            _ => Err(Fault::new("is missing.").in_field("value")),
        }
    }

    /// The members `@type` and `value`; whether there is the latter.
    fn value_member(&mut self, id: MessageId, message: &'a Message) -> Result<bool, Fault> {
        let (mut typed, mut found) = (false, false);
        loop {
            match &*self.name()? {
                "@type" if !typed => {
                    typed = true;
                    self.cursor.skip_string()?;
                }
                "value" if !found => {
                    found = true;
                    let read = self.message(id, Reserved::nothing());
                    read.map_err(|fault| fault.in_field("value"))?;
                }
                name => self.surplus(message, name)?,
            }
            if !self.cursor.more(b'}')? {
                return Ok(found);
            }
        }
    }

    fn surplus(&mut self, message: &Message, name: &str) -> Result<(), Fault> {
        match name {
            "@type" | "value" => once(false).map_err(|fault| fault.in_field(name)),
            name => self.unknown(message, name),
        }
    }

    /// The value of the member `@type`, wherever it stands; the place in the text stays as it was.
    fn type_url(&mut self) -> Result<Cow<'j, str>, Fault> {
        let start = self.cursor.at;
        let ahead = AHEAD_ALWAYS + AHEAD * self.cursor.bytes().len();
        loop {
            let from = self.cursor.at;
            if self.name()? == "@type" {
                let url = self.cursor.string()?;
                self.cursor.at = start;
                return Ok(url);
            }
            self.cursor.skip(self.depth)?;
            self.ahead += self.cursor.at - from;
            if self.ahead > ahead {
                return Err(Fault::new("has to stand first in messages that hold many others."));
            }
            if !self.cursor.more(b'}')? {
                return Err(Fault::new("is missing."));
            }
        }
    }
}
