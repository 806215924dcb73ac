//! A key set that its issuer publishes, kept fresh.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, Response, Uri, uri::Scheme};
use tower_service::Service;

use super::{
    key::Origin,
    key_set::KeySet,
    unknown::{Unknown, UnknownKid},
};
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
/// one fetch out of turn, and many such tokens share it. There are two such fetches at once at most, and then one in
/// a cooldown; and a `kid` that was not in the set is asked for again only after 1, 2, 4 … cooldowns, up to five
/// minutes, unless the set changes before. Whoever is too early is refused at once. When the publisher fails, the last good set goes on serving, up to the maximum staleness; then, as when
/// no set was ever loaded, requests are answered `503`, since no token can be judged.
///
/// The task ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Jwks {
    keys: Refreshing<KeySet>,
    unknown: Arc<Mutex<Unknown>>,
    cooldown: Duration,
    clock: Clock,
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

    /// A newer set, if one is to be had now; for the sake of this key, if the set lacks only that.
    pub(super) fn newer(
        &self,
        kid: Option<UnknownKid>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let document = self.current().as_ref().and_then(|keys| keys.document());
        self.keys.newer(&|| {
            let now = self.clock.now();
            kid.is_none_or(|kid| self.unknown().ask(kid, document, self.cooldown, now))
        })
    }

    /// What a key that is not in the set is remembered by.
    pub(super) fn name(&self, kid: &str) -> UnknownKid {
        self.unknown().name(kid)
    }

    fn unknown(&self) -> MutexGuard<'_, Unknown> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// How often tokens with an unknown `kid` can cause a fetch: once in this time, and twice at once after a time
    /// without. Default: 10 seconds.
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
        let uri = mistakes.note(checked_url(&self.url, self.http_allowed));
        if self.schedule.every.is_zero() || self.schedule.timeout.is_zero() {
            mistakes.add("the refresh interval and the timeout must be longer than zero");
        }
        if self.schedule.max_staleness < self.schedule.every {
            mistakes.add("the maximum staleness must not be shorter than the refresh interval");
        }
        let uri = mistakes.or(uri)?.expect("no mistake was noted");
        let client = self.client;
        let fetch = move || keys(client.clone(), uri.clone());
        let keys = Refreshing::start("jwt", self.schedule, self.clock.clone(), fetch)?;
        let cooldown = self.schedule.cooldown;
        Ok(Jwks { keys, unknown: Arc::default(), cooldown, clock: self.clock })
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

/// An absolute `https` URL, or an `http` one where nobody can sit on the path.
fn checked_url(url: &str, http_allowed: bool) -> Result<Uri, ConfigError> {
    let refuse = |why: &str| Err(ConfigError::new("jwt", format!("the key set's URL {why}")));
    let Ok(uri) = url.parse::<Uri>() else {
        return refuse("is no URL");
    };
    match (uri.scheme(), uri.host()) {
        (Some(scheme), Some(_)) if *scheme == Scheme::HTTPS => Ok(uri),
        (Some(scheme), Some(host)) if *scheme == Scheme::HTTP => {
            match http_allowed || is_loopback(host) {
                true => Ok(uri),
                false => refuse("must be https; or call `allow_http`"),
            }
        }
        _ => refuse("must begin with https://"),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_unless_nobody_is_on_the_path() {
        let ok = |url| checked_url(url, false).is_ok();
        for good in [
            "https://id.example/jwks",
            "http://127.0.0.1:1/",
            "http://[::1]/",
            "http://localhost/k",
        ] {
            assert!(ok(good), "{good}");
        }
        for bad in [
            "http://id.example/jwks",
            "http://10.0.0.1/",
            "http://localhost.example/",
            "http://127.0.0.1.example/",
            "/jwks",
            "id.example",
            "file:///etc/passwd",
            "ftp://id.example/",
            "",
        ] {
            assert!(!ok(bad), "{bad}");
        }
        assert!(checked_url("http://id.example/jwks", true).is_ok());
    }
}
