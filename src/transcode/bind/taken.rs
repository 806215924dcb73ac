//! What is bound, and by what: so that nothing is bound twice.

use std::collections::{HashMap, hash_map::Entry};

use crate::transcode::{
    fault::Fault,
    rules::{Binding, FieldPath, RequestBody, Step},
    types::{Label, MessageId, Types},
};

/// The fields that are bound, as a tree of messages; a message is named by the number in which it was met.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// By message, and the place of the field in it.
    fields: HashMap<(usize, usize), Field>,
    /// The place of the member that is set, by message and `oneof`.
    oneofs: HashMap<(usize, u16), usize>,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    /// Something in the message of this number is bound.
    Within(usize),
    /// The field itself is bound.
    Bound(By),
}

/// What binds a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Path,
    Body,
    Query,
}

/// The number of the request message.
const REQUEST: usize = 0;

impl Taken {
    /// What the body and the path bind.
    pub(super) fn by_others(types: &Types, input: MessageId, binding: &Binding) -> Self {
        let mut taken = Self::default();
        if let RequestBody::Field(place) = binding.body {
            let body = Step { message: input, place };
            taken.exclude(types, REQUEST, body).expect("the first member");
            taken.fields.insert((REQUEST, place), Field::Bound(By::Body));
        }
        for path in &binding.variables {
            // What the path binds within the body's field is the body's.
            let _ = taken.take(types, path, By::Path);
        }
        taken
    }

    /// # Errors
    ///
    /// The field, or another member of a `oneof` on the way to it, is bound.
    pub(super) fn take(&mut self, types: &Types, path: &FieldPath, by: By) -> Result<(), Fault> {
        let (outer, last) = path.split();
        let mut message = REQUEST;
        for step in outer {
            self.exclude(types, message, *step)?;
            let next = self.fields.len() + 1; // larger than each before: none is ever removed
            match self.fields.entry((message, step.place)).or_insert(Field::Within(next)) {
                Field::Within(within) => message = *within,
                Field::Bound(by) => return Err(by.fault()),
            }
        }
        self.exclude(types, message, last)?;
        match self.fields.entry((message, last.place)) {
            Entry::Vacant(free) => drop(free.insert(Field::Bound(by))),
            Entry::Occupied(bound) => match bound.get() {
                Field::Bound(By::Query) if last.field(types).label == Label::Repeated => {}
                Field::Bound(by) => return Err(by.fault()),
                Field::Within(_) => return Err(by.fault()),
            },
        }
        Ok(())
    }

    /// Notes the member of a `oneof`, if the field is one, and refuses another.
    fn exclude(&mut self, types: &Types, message: usize, step: Step) -> Result<(), Fault> {
        let Some(oneof) = step.field(types).oneof else { return Ok(()) };
        let member = *self.oneofs.entry((message, oneof)).or_insert(step.place);
        if member == step.place {
            return Ok(());
        }
        let other = Step { place: member, ..step }.field(types);
        Err(Fault::new(format!("excluded by `{}`: both are of one oneof.", other.name)))
    }
}

impl By {
    fn fault(self) -> Fault {
        Fault::new(match self {
            Self::Path => "the path binds it already.",
            Self::Body => "the body binds it already.",
            Self::Query => "given twice.",
        })
    }
}
