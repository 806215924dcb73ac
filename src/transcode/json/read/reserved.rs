//! What JSON may not set, because the path of the request does.

use super::Reader;
use crate::transcode::{
    fault::Fault,
    types::{Field, Form, Message},
};

/// Fields that are bound already. Empty by default.
///
/// JSON may hold the message that a bound field lies in; setting the field itself is refused, and so is what would
/// clear it: another member of its `oneof`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reserved {
    bound: bool,
    /// By number.
    below: Vec<(u32, Reserved)>,
}

static NOTHING: Reserved = Reserved { bound: false, below: Vec::new() };

impl Reserved {
    /// Nothing.
    pub(crate) fn nothing() -> &'static Self {
        &NOTHING
    }

    /// Binds a field, by the numbers of the fields that lead to it from the message that is read.
    pub(crate) fn bind(&mut self, path: impl IntoIterator<Item = u32>) {
        let end = path.into_iter().fold(self, |reserved, number| {
            let at = reserved.below.iter().position(|(known, _)| *known == number);
            let at = at.unwrap_or_else(|| {
                reserved.below.push((number, Self::default()));
                reserved.below.len() - 1
            });
            &mut reserved.below[at].1
        });
        end.bound = true;
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.below.is_empty()
    }

    fn within(&self, field: &Field) -> &Self {
        let known = self.below.iter().find(|(number, _)| *number == field.number);
        known.map_or(&NOTHING, |(_, below)| below)
    }

    /// Whether another member of the field's `oneof` is bound, or holds what is.
    pub(super) fn has_rival(&self, message: &Message, field: &Field) -> bool {
        let oneof = |number: u32| message.place(number).and_then(|at| message.fields[at].oneof);
        let rivals = self.below.iter().filter(|(number, _)| *number != field.number);
        field.oneof.is_some() && rivals.into_iter().any(|(number, _)| oneof(*number) == field.oneof)
    }
}

impl Reader<'_, '_> {
    /// What is reserved within a field; `Err` if the field is reserved itself, as a whole or because JSON does not
    /// write it by its fields.
    pub(super) fn reserved_in<'r>(
        &self,
        field: &Field,
        reserved: &'r Reserved,
    ) -> Result<&'r Reserved, Fault> {
        let within = reserved.within(field);
        let form = self.types.message_of(field).map(|message| message.form);
        if within.bound || (!within.is_empty() && form != Some(Form::Plain)) {
            return Err(Fault::new("is set by the path already."));
        }
        Ok(within)
    }
}
