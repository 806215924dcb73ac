//! A key set that its issuer publishes: from where, and how it is kept fresh.

use std::time::Duration;

use http::{Request, Response, Uri};
use tower_service::Service;

use super::{jwks::Jwks, key::Origin, key_set::KeySet};
use crate::{
    BoxError,
    auth::{fetch, metadata::Directory},
    clock::Clock,
    config_error::{ConfigError, Mistakes},
    refreshing::{Fetched, Refreshing, Schedule, YEAR},
};

/// The largest document that is read.
const MAX_DOCUMENT: usize = 512 * 1024;

/// The shortest time between fetches that can be set.
const SECOND: Duration = Duration::from_secs(1);

/// The settings of a remote key set. Created by [`Jwks::remote`] and [`Jwks::discover`].
#[derive(Clone, Debug)]
pub struct RemoteJwks<S> {
    source: Source,
    client: S,
    schedule: Schedule,
    clock: Clock,
    http_allowed: bool,
}

/// Where the keys are said to be.
#[derive(Clone, Debug)]
enum Source {
    Url(String),
    Issuer(String),
}

/// Where to ask for them.
#[derive(Clone, Debug)]
enum Place {
    Document(Uri),
    Directory(Directory),
}

impl Jwks {
    /// The key set that is published at `url`, fetched through `client`: any tower service that speaks HTTP and
    /// takes a `Request<String>` (the string is empty). TLS, proxies and resolution are the client's; redirects are not
    /// followed.
    pub fn remote<S>(url: impl Into<String>, client: S) -> RemoteJwks<S> {
        RemoteJwks::from(Source::Url(url.into()), client)
    }

    /// The key set of the issuer whose URL is `issuer`, found by its metadata: `/.well-known/openid-configuration`
    /// behind the URL (OpenID Connect Discovery §4), or `/.well-known/oauth-authorization-server` before its path
    /// (RFC 8414 §3) where there is no such document. [`Issuer::discover`](super::Issuer::discover) is shorter.
    ///
    /// The metadata must name the issuer exactly as it is given here. They are read again at each refresh, so that
    /// the keys may move; while they cannot be read, the keys are fetched from where they were. The keys may be on
    /// another host, which is asked through the same client.
    pub fn discover<S>(issuer: impl Into<String>, client: S) -> RemoteJwks<S> {
        RemoteJwks::from(Source::Issuer(issuer.into()), client)
    }
}

impl<S> RemoteJwks<S> {
    fn from(source: Source, client: S) -> Self {
        let (schedule, clock) = (Schedule::default(), Clock::system());
        Self { source, client, schedule, clock, http_allowed: false }
    }

    fn place(&self) -> Result<Place, ConfigError> {
        match &self.source {
            Source::Url(url) => {
                fetch::checked_url("jwt", "the key set's URL", url, self.http_allowed)
                    .map(Place::Document)
            }
            Source::Issuer(url) => {
                Directory::of("jwt", "jwks_uri", url, self.http_allowed).map(Place::Directory)
            }
        }
    }

    /// The longest time between refreshes. Default: 10 minutes; a shorter `max-age` of the publisher's counts,
    /// down to 30 seconds. At least a second.
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

    /// How often tokens with an unknown `kid` can cause a fetch: once in this time, and twice at once after a time
    /// without. Default: 10 seconds; at least one.
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

    /// Fetches over plain `http`, from hosts other than loopback too. Whoever is on the path can then choose the keys.
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
    /// When the URL is not absolute or not `https`, when an interval is too short, or outside of a Tokio runtime.
    pub fn start<B>(self) -> Result<Jwks, ConfigError>
    where
        S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + 'static,
        B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let mut mistakes = Mistakes::of("jwt");
        let place = mistakes.note(self.place());
        // What clients send decides when to fetch: without a pause they could make the gateway a flood.
        if self.schedule.every < SECOND || self.schedule.cooldown < SECOND {
            mistakes.add("the refresh interval and the cooldown must not be shorter than a second");
        }
        if self.schedule.timeout.is_zero() {
            mistakes.add("the timeout must be longer than zero");
        }
        if self.schedule.max_staleness < self.schedule.every {
            mistakes.add("the maximum staleness must not be shorter than the refresh interval");
        }
        let place = mistakes.or(place)?.expect("no mistake was noted");
        let client = self.client;
        let fetch = move || keys(client.clone(), place.clone());
        let keys = Refreshing::start("jwt", self.schedule, self.clock.clone(), fetch)?;
        Ok(Jwks::of(keys, self.schedule.cooldown, self.clock))
    }
}

async fn keys<S, B>(client: S, place: Place) -> Result<Fetched<KeySet>, BoxError>
where
    S: Service<Request<String>, Response = Response<B>, Error: Into<BoxError>> + Clone,
    B: http_body::Body<Error: Into<BoxError>>,
{
    let uri = match place {
        Place::Document(uri) => uri,
        Place::Directory(issuer) => issuer.endpoint(client.clone()).await?.0,
    };
    let document = fetch::get(client, uri, MAX_DOCUMENT).await?;
    let json = std::str::from_utf8(&document.content)?;
    let value = KeySet::parse(json, Origin::Remote)?;
    let max_age = document.max_age;
    Ok(Fetched { value, max_age })
}
