//! A key set that its issuer publishes, kept fresh.

use std::{sync::Arc, time::Duration};

use http::{Request, Response, Uri};
use tower_service::Service;

use super::{key::Origin, key_set::KeySet};
use crate::{
    BoxError,
    auth::{
        fetch,
        refreshing::{Fetched, Health, Refreshing, Schedule},
    },
    clock::Clock,
    config_error::{ConfigError, Mistakes},
    rejection::Rejection,
};

/// The largest document that is read.
const MAX_DOCUMENT: usize = 512 * 1024;

/// Durations beyond this are cut to it, so that no sum of times overflows.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A remote key set (RFC 7517 §5), read as a snapshot and refreshed by one task. Clones share it.
///
/// Requests with a known key never wait for it and never make it fetch. A token with an unknown `kid` asks for
/// one fetch out of turn, and many such tokens share it; within the cooldown after a fetch they are refused at
/// once. When the publisher fails, the last good set goes on serving, up to the maximum staleness; then, as when
/// no set was ever loaded, requests are answered `503`, since no token can be judged.
///
/// The task ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Jwks {
    keys: Refreshing<KeySet>,
}

/// The settings of a remote key set. Created by [`Jwks::remote`].
#[derive(Clone, Debug)]
pub struct RemoteJwks<S> {
    url: String,
    client: S,
    schedule: Schedule,
    clock: Clock,
    http_allowed: bool,
}

impl Jwks {
    /// The key set that is published at `url`, fetched through `client`: any tower service that speaks HTTP and
    /// takes a `Request<String>` (the string is empty). TLS, proxies and resolution are the client's; redirects are not
    /// followed.
    pub fn remote<S>(url: impl Into<String>, client: S) -> RemoteJwks<S> {
        RemoteJwks {
            url: url.into(),
            client,
            schedule: Schedule::default(),
            clock: Clock::system(),
            http_allowed: false,
        }
    }

    /// Waits for the first fetch to end.
    ///
    /// # Errors
    ///
    /// When it failed: what requests are answered until a later one succeeds, with the reason as its cause.
    pub async fn ready(&self) -> Result<(), Rejection> {
        self.keys.tried().await;
        match &*self.current() {
            Some(_) => Ok(()),
            None => Err(self.unavailable()),
        }
    }

    /// How the refreshes fare.
    pub fn health(&self) -> Health {
        self.keys.health()
    }

    /// How many keys there are to verify with now.
    pub fn len(&self) -> usize {
        self.current().as_ref().map_or(0, |keys| keys.len())
    }

    /// Whether there are none, so that requests are answered `503`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn current(&self) -> arc_swap::Guard<Option<Arc<KeySet>>> {
        self.keys.current()
    }

    /// A newer set, if one is to be had now.
    pub(super) fn newer(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        self.keys.newer()
    }

    /// 503: a token cannot be judged without keys, which says nothing about the token.
    pub(super) fn unavailable(&self) -> Rejection {
        let no = Rejection::unavailable("Tokens cannot be verified for now.")
            .retry_after(self.keys.retry_in());
        match self.health().last_error {
            Some(cause) => no.caused_by(cause),
            None => no,
        }
    }
}

impl<S> RemoteJwks<S> {
    /// The longest time between refreshes. Default: 10 minutes; a shorter `max-age` of the publisher's counts,
    /// down to 30 seconds.
    #[must_use]
    pub fn refresh_every(mut self, every: Duration) -> Self {
        self.schedule.every = every.min(YEAR);
        self
    }

    /// How long the last good set serves while refreshes fail. Default: 24 hours.
    #[must_use]
    pub fn max_staleness(mut self, staleness: Duration) -> Self {
        self.schedule.max_staleness = staleness.min(YEAR);
        self
    }

    /// The pause after a fetch before an unknown `kid` can cause another. Default: 10 seconds.
    #[must_use]
    pub fn cooldown(mut self, cooldown: Duration) -> Self {
        self.schedule.cooldown = cooldown.min(YEAR);
        self
    }

    /// The time that one fetch may take. Default: 5 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.schedule.timeout = timeout.min(YEAR);
        self
    }

    /// Fetches over plain `http` from hosts other than loopback. Whoever is on the path can then choose the keys.
    #[must_use]
    pub fn allow_http(mut self) -> Self {
        self.http_allowed = true;
        self
    }

    /// The clock that the schedule runs by. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the task that fetches, on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the URL is not absolute or not `https`, when an interval is zero, or outside of a Tokio runtime.
    pub fn start<B>(self) -> Result<Jwks, ConfigError>
    where
        S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
        B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let mut mistakes = Mistakes::of("jwt");
        let uri = mistakes.note(fetch::checked_url(
            "jwt",
            "the key set's URL",
            &self.url,
            self.http_allowed,
        ));
        if self.schedule.every.is_zero() || self.schedule.timeout.is_zero() {
            mistakes.add("the refresh interval and the timeout must be longer than zero");
        }
        if self.schedule.max_staleness < self.schedule.every {
            mistakes.add("the maximum staleness must not be shorter than the refresh interval");
        }
        let uri = mistakes.or(uri)?.expect("no mistake was noted");
        let client = self.client;
        let fetch = move || keys(client.clone(), uri.clone());
        let keys = Refreshing::start("jwt", self.schedule, self.clock, fetch)?;
        Ok(Jwks { keys })
    }
}

async fn keys<S, B>(client: S, uri: Uri) -> Result<Fetched<KeySet>, BoxError>
where
    S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>>,
    B: http_body::Body<Error: Into<BoxError>>,
{
    let document = fetch::get(client, uri, MAX_DOCUMENT).await?;
    let json = std::str::from_utf8(&document.content)?;
    let value = KeySet::parse(json, Origin::Remote)?;
    let max_age = document.max_age;
    Ok(Fetched { value, max_age })
}
