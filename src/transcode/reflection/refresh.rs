//! Asking again on a timer, and handing over what has changed.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use super::error::ReflectionError;
use crate::{
    BoxError,
    clock::Clock,
    config_error::ConfigError,
    refreshing::{Fetched, Health, Refreshing, Schedule},
};

/// The set that was applied stays, however long the server is away. Thirty years, which no sum of times overflows.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Follows a server by reflection, until it is dropped. Made by [`Reflection::refresh`](super::Reflection::refresh).
#[derive(Clone)]
pub struct Refresh(Refreshing<()>);

impl Refresh {
    pub(super) fn start<F, Fut>(
        schedule: Schedule,
        clock: Clock,
        fetch: F,
    ) -> Result<Self, ConfigError>
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fetched<()>, BoxError>> + Send + 'static,
    {
        let schedule = Schedule { max_staleness: NEVER, ..schedule };
        Refreshing::start("reflection", schedule, clock, fetch).map(Self)
    }

    /// How it fares: when it last went well, and what has gone wrong since.
    pub fn health(&self) -> Health {
        self.0.health()
    }

    /// Completes when the server was asked for the first time, well or not.
    pub async fn tried(&self) {
        self.0.tried().await;
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refresh").field(&self.health()).finish()
    }
}

/// Passes on each set that differs from the one that was passed on before.
pub(super) struct Changes<F>(Arc<Mutex<(Option<Bytes>, F)>>);

impl<F> Clone for Changes<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> Changes<F> {
    pub(super) fn to(apply: F) -> Self {
        Self(Arc::new(Mutex::new((None, apply))))
    }

    pub(super) async fn follow<E>(
        self,
        fetch: impl Future<Output = Result<Bytes, ReflectionError>>,
    ) -> Result<Fetched<()>, BoxError>
    where
        F: FnMut(Bytes) -> Result<(), E>,
        E: Into<BoxError>,
    {
        let set = fetch.await?;
        self.apply(set).map_err(Into::into)?;
        Ok(Fetched { value: (), max_age: None })
    }

    fn apply<E>(&self, set: Bytes) -> Result<(), E>
    where
        F: FnMut(Bytes) -> Result<(), E>,
    {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (applied, apply) = &mut *state;
        if applied.as_ref() != Some(&set) {
            apply(set.clone())?;
            *applied = Some(set);
        }
        Ok(())
    }
}
