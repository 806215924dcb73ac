//! What is wrong with a configuration: every mistake, in one error, when it is built.

use std::{borrow::Cow, fmt};

/// The settings cannot work; lists every mistake that was found, one a line.
///
/// Constructors that take settings return it, so that a bad configuration fails at start and never at a
/// request. Messages name the setting and what would be right; they never contain keys or secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    what: &'static str,
    mistakes: Vec<Cow<'static, str>>,
}

impl ConfigError {
    /// One mistake in the settings of `what` ("jwt", "route").
    pub fn new(what: &'static str, mistake: impl Into<Cow<'static, str>>) -> Self {
        Self { what, mistakes: vec![mistake.into()] }
    }

    /// What was being configured.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Every mistake, in the order in which the settings were given.
    pub fn mistakes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.mistakes.iter().map(AsRef::as_ref)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration of {}", self.what)?;
        match self.mistakes.as_slice() {
            [one] => write!(f, ": {one}"),
            all => all.iter().try_for_each(|mistake| write!(f, "\n  - {mistake}")),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Collects mistakes while settings are read, so that the user sees all of them at once.
#[derive(Debug)]
pub(crate) struct Mistakes(ConfigError);

impl Mistakes {
    pub(crate) fn of(what: &'static str) -> Self {
        Self(ConfigError { what, mistakes: Vec::new() })
    }

    pub(crate) fn add(&mut self, mistake: impl Into<Cow<'static, str>>) {
        self.0.mistakes.push(mistake.into());
    }

    #[allow(
        dead_code,
        reason = "used by the concerns that judge the whole when its parts are right"
    )]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.mistakes.is_empty()
    }

    /// The value of a setting, or `None` after noting its mistakes.
    #[allow(dead_code, reason = "used by the concerns that nest settings")]
    pub(crate) fn note<T>(&mut self, setting: Result<T, ConfigError>) -> Option<T> {
        setting.map_err(|error| self.0.mistakes.extend(error.mistakes)).ok()
    }

    pub(crate) fn or<T>(self, value: T) -> Result<T, ConfigError> {
        if self.0.mistakes.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_every_mistake() {
        let mut mistakes = Mistakes::of("route");
        mistakes.add("first");
        assert_eq!(mistakes.note(Err::<(), _>(ConfigError::new("pattern", "second"))), None);
        let error = mistakes.or(()).unwrap_err();
        assert_eq!(error.mistakes().collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(error.to_string(), "invalid configuration of route\n  - first\n  - second");
    }
}
