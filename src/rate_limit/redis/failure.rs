//! Why the store could not answer.

use std::fmt;

use crate::rate_limit::store::StoreError;

/// What went wrong. Nothing of it holds a key or a password.
#[derive(Debug)]
pub(super) enum Failure {
    /// No answer in time.
    Timeout,
    /// No connection could be made.
    Unreachable(String),
    /// The connection broke, or the server said no: MOVED, READONLY, OOM, WRONGTYPE, and others.
    Refused(redis::RedisError),
    /// The server answered what the script cannot have said.
    Garbage,
    /// One call asks for keys that may lie on several servers.
    Apart,
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure.is_of_key() {
            true => Self::of_key(failure),
            false => Self::new(failure),
        }
    }
}

impl From<redis::RedisError> for Failure {
    fn from(error: redis::RedisError) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    /// Whether it is what lies under a key that cannot be read.
    fn is_of_key(&self) -> bool {
        match self {
            Self::Refused(error) => matches!(error.code(), Some("WRONGTYPE" | "GARBAGE")),
            _ => false,
        }
    }

    /// Whether another connection may do better: this one is broken, or leads to a server that is a replica now.
    pub(super) fn is_of_connection(&self) -> bool {
        use redis::{ErrorKind, ServerErrorKind::ReadOnly};
        matches!(self, Self::Refused(error)
            if error.is_unrecoverable_error() || error.kind() == ErrorKind::Server(ReadOnly))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("redis did not answer in time"),
            Self::Unreachable(why) => write!(f, "redis cannot be reached: {why}"),
            Self::Refused(error) => write!(f, "redis: {error}"),
            Self::Garbage => f.write_str("redis answered what the script cannot have said"),
            Self::Apart => f.write_str("the demands lie on several nodes of the cluster"),
        }
    }
}

impl std::error::Error for Failure {}
