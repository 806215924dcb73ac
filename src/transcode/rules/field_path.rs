//! The way from a message to one of its fields.

use smallvec::SmallVec;

use crate::transcode::{
    types::{Field, Form, Label, MessageId, Types},
    wire::MAX_DEPTH,
};

/// A field, by way of the messages that it lies in. `a.b.c`: field `a`, field `b` of the message that is in it,
/// and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldPath(SmallVec<[Step; 4]>);

/// A message, and the place of one of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) message: MessageId,
    pub(crate) place: usize,
}

/// Why a path leads to no value that is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// There is no such field.
    Unknown,
    /// It leads through, or to, a map.
    Map,
    /// It leads through a repeated field, or to one of messages.
    Repeated,
    /// It leads to a message that is written as an object.
    Message,
    /// It leads into a value that is no message, or into one that is written as text.
    Scalar,
    /// It leads deeper than messages may lie in one another.
    Depth,
}

impl FieldPath {
    /// Finds the value that is named so: a scalar, a message that is written as text, or a list of such. Each name
    /// is the one in JSON or the one in the `.proto` file.
    pub(crate) fn find(types: &Types, message: MessageId, path: &str) -> Result<Self, Unnamed> {
        let mut steps = SmallVec::new();
        let mut inside = message;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            if steps.len() == MAX_DEPTH as usize {
                return Err(Unnamed::Depth);
            }
            let message = types.message(inside);
            let place = message.place_named(name).ok_or(Unnamed::Unknown)?;
            let field = &message.fields[place];
            steps.push(Step { message: inside, place });
            match names.peek() {
                Some(_) => inside = within(types, field)?,
                None => is_text(types, field)?,
            }
        }
        Ok(Self(steps))
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The messages that lead to the field, and the field.
    pub(crate) fn split(&self) -> (&[Step], Step) {
        let (last, before) = self.0.split_last().expect("a path has a step");
        (before, *last)
    }

    /// The field's path as the `.proto` file names it.
    pub(crate) fn name(&self, types: &Types) -> String {
        let names: Vec<&str> = self.0.iter().map(|step| &*step.field(types).name).collect();
        names.join(".")
    }
}

impl Step {
    pub(crate) fn field(self, types: &Types) -> &Field {
        &types.message(self.message).fields[self.place]
    }
}

/// The message that a path can lead into.
fn within(types: &Types, field: &Field) -> Result<MessageId, Unnamed> {
    match (field.label, field.kind.message()) {
        (Label::Map, _) => Err(Unnamed::Map),
        (Label::Repeated, _) => Err(Unnamed::Repeated),
        (Label::Singular, Some(id)) if types.message(id).form == Form::Plain => Ok(id),
        (Label::Singular, _) => Err(Unnamed::Scalar),
    }
}

/// Whether the field's values are written as text.
fn is_text(types: &Types, field: &Field) -> Result<(), Unnamed> {
    match (field.label, types.message_of(field)) {
        (Label::Map, _) => Err(Unnamed::Map),
        (_, None) => Ok(()),
        (_, Some(message)) if has_text(message.form) => Ok(()),
        (Label::Repeated, _) => Err(Unnamed::Repeated),
        (Label::Singular, _) => Err(Unnamed::Message),
    }
}

/// Whether messages of this form are written as text.
pub(crate) fn has_text(form: Form) -> bool {
    matches!(form, Form::Timestamp | Form::Duration | Form::FieldMask | Form::Wrapper)
}

impl Unnamed {
    /// What is wrong, after the name.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Unknown => "there is no such field",
            Self::Map => "maps cannot be written as text",
            Self::Repeated => "repeated messages cannot be written as text",
            Self::Message => "a message cannot be written as text; name one of its fields",
            Self::Scalar => "it leads into what has no fields",
            Self::Depth => "messages lie more than 100 deep in one another",
        }
    }
}
