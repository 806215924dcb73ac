//! What is wrong with a message, and where.

use std::{borrow::Cow, fmt};

use super::wire::Broken;
use crate::rejection::{Reason, Rejection};

/// A message that is not what its type says. Small, because every step of a parser returns one.
#[derive(Debug)]
pub(crate) struct Fault(Box<Parts>);

#[derive(Debug)]
struct Parts {
    detail: Cow<'static, str>,
    /// From the innermost to the outermost.
    path: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Element(usize),
}

/// How many steps of a path are told, from the outermost, and how long a name in it may be: both come from the client.
const STEPS: usize = 32;
const NAME: usize = 64;

impl Fault {
    #[cold]
    pub(crate) fn new(detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts { detail: detail.into(), path: Vec::new() }))
    }

    /// The fault lies in this field.
    #[cold]
    pub(crate) fn in_field(self, name: &str) -> Self {
        self.within(Step::Field(name.chars().take(NAME).collect()))
    }

    /// The fault lies in this element.
    #[cold]
    pub(crate) fn in_element(self, index: usize) -> Self {
        self.within(Step::Element(index))
    }

    fn within(mut self, step: Step) -> Self {
        if self.0.path.len() == STEPS {
            self.0.path.remove(0); // the rest leads from the message to around the fault
        }
        self.0.path.push(step);
        self
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The field at fault: `user.addresses[2].zip`; empty for the message itself.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for step in self.0.path.iter().rev() {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Element(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    /// 400: the client's message is at fault. `field` tells programs which one.
    pub(crate) fn of_client(self) -> Rejection {
        let rejection = Rejection::malformed(self.to_string());
        match self.path() {
            path if path.is_empty() => rejection,
            path => rejection.with_member("field", path),
        }
    }

    /// 502: the upstream's message is at fault; what was wrong with it goes to events.
    pub(crate) fn of_upstream(self) -> Rejection {
        Rejection::new(Reason::BadGateway, "The upstream's message could not be read.")
            .caused_by(self.to_string())
    }
}

impl From<Broken> for Fault {
    #[cold]
    fn from(broken: Broken) -> Self {
        Self::new(broken.0)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            path if path.is_empty() => f.write_str(self.detail()),
            path => write!(f, "{path}: {}", self.detail()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_leads_from_the_message_to_the_fault() {
        let fault = Fault::new("not a number.").in_field("zip").in_element(2).in_field("homes");
        assert_eq!(fault.to_string(), "homes[2].zip: not a number.");
        let no = fault.of_client();
        assert_eq!(no.members().collect::<Vec<_>>(), [("field", "homes[2].zip")]);
        assert_eq!(Fault::new("no object.").of_client().members().len(), 0);
    }

    #[test]
    fn what_a_client_names_is_cut() {
        let long = (0..1_000).fold(Fault::new("x"), |fault, _| fault.in_field(&"y".repeat(1_000)));
        assert!(long.to_string().len() < STEPS * (NAME + 1) + 10);
        let deep = (0..100).fold(Fault::new("x"), Fault::in_element).in_field("root");
        assert!(deep.path().starts_with("root[99][98]") && deep.path().ends_with("[70][69]"));
    }
}
