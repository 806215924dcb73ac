//! Why descriptors could not be had from a server.

use std::{borrow::Cow, error::Error, fmt};

use crate::BoxError;

/// The server gave no descriptors that can be used; says what it did, and what to do where that is known.
///
/// Names that come from the server appear escaped.
pub struct ReflectionError {
    what: Cow<'static, str>,
    cause: Option<BoxError>,
}

impl ReflectionError {
    pub(super) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), cause: None }
    }

    pub(super) fn because(what: impl Into<Cow<'static, str>>, cause: impl Into<BoxError>) -> Self {
        Self { what: what.into(), cause: Some(cause.into()) }
    }
}

impl fmt::Debug for ReflectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReflectionError({:?}, {:?})", self.what, self.cause)
    }
}

impl fmt::Display for ReflectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server reflection: {}", self.what)
    }
}

impl Error for ReflectionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
