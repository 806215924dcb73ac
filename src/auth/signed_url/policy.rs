//! The decision: is this URL good, for this request, now?

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    key::VerifyingKey,
    message::{self, Message},
    parameters::Presented,
};
use crate::{
    auth::query,
    client_ip::client_ip,
    guard::Head,
    identity::Identity,
    rejection::Rejection,
    target::{PathRules, host_name},
};

/// How much longer than the maximum a URL without `gw-from` may have to go: its signer's clock may be ahead.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// What holds for all URLs.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) keys: Arc<[VerifyingKey]>,
    pub(super) rules: PathRules,
    /// Decoded names of parameters that may follow the signature.
    pub(super) unsigned: Vec<Box<str>>,
    pub(super) leeway: Duration,
    pub(super) max_lifetime: Duration,
    /// Of path and query, in bytes.
    pub(super) max_length: usize,
    pub(super) require_host: bool,
}

/// What a URL that holds is good for.
#[derive(Debug)]
pub(super) struct Good {
    pub(super) identity: Identity,
    /// How long it still holds.
    pub(super) remaining: Duration,
}

/// Why a URL is refused. What is exact in it the client has written itself; the cause is the operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    detail: &'static str,
    cause: Option<&'static str>,
}

impl Refusal {
    const fn new(detail: &'static str) -> Self {
        Self { detail, cause: None }
    }

    /// The one answer to all that may be tampering.
    const fn mismatch(cause: &'static str) -> Self {
        Self { detail: "The URL's signature does not match the request.", cause: Some(cause) }
    }
}

pub(super) const MISSING: Refusal = Refusal::new("This URL needs a signature.");
pub(super) const MALFORMED: Refusal = Refusal::new("The URL's signature is malformed.");
pub(super) const EXPIRED: Refusal = Refusal::new("The URL has expired.");
pub(super) const NOT_YET: Refusal = Refusal::new("The URL is not valid yet.");
const TOO_LONG: Refusal = Refusal::new("The URL is too long.");
const LIVES_TOO_LONG: Refusal = Refusal::new("The URL is valid for longer than is allowed.");
const ANY_HOST: Refusal = Refusal::new("The URL is not bound to a host.");
const NO_ADDRESS: Refusal = Refusal {
    detail: "The client's address is not known, and the URL is bound to one.",
    cause: Some("there is no peer address in the request's extensions"),
};

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        let rejection = Self::forbidden(refusal.detail);
        match refusal.cause {
            Some(cause) => rejection.caused_by(cause),
            None => rejection,
        }
    }
}

impl Policy {
    pub(super) fn judge(&self, head: Head<'_>, now: Duration) -> Result<Good, Refusal> {
        let query = head.uri().query().unwrap_or_default();
        if head.uri().path().len() + query.len() > self.max_length {
            return Err(TOO_LONG);
        }
        let presented = Presented::read(query).map_err(|_| MALFORMED)?.ok_or(MISSING)?;
        // Before the signature: what fails here costs no cryptography, and tells nobody what he did not write.
        let remaining = self.check_time(&presented, now)?;
        self.check_appended(&presented)?;
        let key = self.keys.iter().find(|it| it.id() == presented.key);
        let key = key.ok_or(Refusal::mismatch("the key is not known"))?;
        if !key.verify(&self.message(head, &presented)?, presented.signature) {
            return Err(Refusal::mismatch("the signature is another one"));
        }
        Ok(Good { identity: identity(key, presented.subject), remaining })
    }

    /// Good from `gw-from` until just before `gw-expires`; returns how long that is from now.
    fn check_time(&self, presented: &Presented<'_>, now: Duration) -> Result<Duration, Refusal> {
        let expires = Duration::from_secs(presented.expires);
        let from = presented.from.map(Duration::from_secs);
        let life = match from {
            Some(from) => expires.saturating_sub(from),
            None => expires.saturating_sub(now).saturating_sub(CLOCKS_DIFFER),
        };
        if life > self.max_lifetime {
            return Err(LIVES_TOO_LONG);
        }
        if from.is_some_and(|from| now.saturating_add(self.leeway) < from) {
            return Err(NOT_YET);
        }
        match expires.saturating_add(self.leeway).checked_sub(now) {
            None | Some(Duration::ZERO) => Err(EXPIRED),
            Some(remaining) => Ok(remaining),
        }
    }

    /// What follows the signature is not covered by it: only names of the operator's choice, each once, and none
    /// that would take the place of a parameter that is covered.
    fn check_appended(&self, presented: &Presented<'_>) -> Result<(), Refusal> {
        let Some(appended) = presented.appended else {
            return Ok(());
        };
        for (n, parameter) in appended.split('&').enumerate() {
            let (name, value) = query::parts(parameter);
            let name = query::decoded(name);
            let same =
                |other: &str| query::decoded(query::parts(other).0).eq_ignore_ascii_case(&name);
            let allowed = self.unsigned.iter().any(|it| it.as_bytes() == &*name);
            let covered = presented.signed.split('&').any(same);
            let twice = appended.split('&').take(n).any(same);
            // Old servers take `;` for `&` (CVE-2022-2880 is a proxy and a server that differ).
            if !allowed || covered || twice || value.contains(';') {
                return Err(Refusal::mismatch("a parameter follows the signature"));
            }
        }
        Ok(())
    }

    fn message<'a>(
        &self,
        head: Head<'a>,
        presented: &Presented<'a>,
    ) -> Result<Message<'a>, Refusal> {
        let path = head.uri().path();
        // Signers write a path in its one form. Another spelling is not what was signed.
        if !matches!(self.rules.canonical(path), Ok(Cow::Borrowed(_))) {
            return Err(Refusal::mismatch("the path is not in its one form"));
        }
        let path = match presented.prefix {
            None => Some(path),
            Some(count) => message::leading(path, count),
        };
        let host = match (presented.host, self.require_host) {
            (true, _) => message::host(name_of_host(head)?),
            (false, true) => return Err(ANY_HOST),
            (false, false) => Default::default(),
        };
        let client = match presented.ip {
            true => message::client(client_ip(head).ok_or(NO_ADDRESS)?),
            false => Default::default(),
        };
        Ok(Message {
            method: message::method(head.method()),
            host,
            client,
            path: path.ok_or(Refusal::mismatch("the path is above the prefix"))?,
            query: presented.signed,
        })
    }
}

fn name_of_host(head: Head<'_>) -> Result<&str, Refusal> {
    match host_name(head) {
        Ok(Some(name)) => Ok(name),
        _ => Err(Refusal::mismatch("the request has no host, or more than one")),
    }
}

/// Whoever the link is for, by the word of the key; nobody but its bearer, if it does not say.
fn identity(key: &VerifyingKey, subject: Option<Cow<'_, str>>) -> Identity {
    let subject = subject.unwrap_or(Cow::Borrowed(key.id()));
    Identity::new("signed_url", subject.into_owned()).with_issuer(key.shared_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::signed_url::{Link, SigningKey, UrlSigner};

    fn policy() -> Policy {
        Policy {
            keys: Arc::new([key().verifying_key()]),
            rules: PathRules::default(),
            unsigned: vec!["utm".into(), "a b".into()],
            leeway: Duration::ZERO,
            max_lifetime: Duration::from_secs(1_000),
            max_length: 200,
            require_host: false,
        }
    }

    fn key() -> SigningKey {
        SigningKey::hmac("k", [7; 32]).unwrap()
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// Signed at second 0 by a clock of its own: `gw-from` is the start, and `gw-expires` 300 seconds later.
    fn link(start: u64) -> String {
        let link = Link::get("/a?b=1&C=2", seconds(300)).starts_at(seconds(start));
        UrlSigner::new(key()).sign(link).unwrap().into()
    }

    fn judge(policy: &Policy, url: &str, now: Duration) -> Result<Duration, Refusal> {
        let request = http::Request::get(url).body(()).unwrap();
        policy.judge(Head::of(&request), now).map(|it| it.remaining)
    }

    #[test]
    fn a_url_is_good_from_its_start_until_just_before_its_expiry() {
        let (policy, url) = (policy(), link(1_000));
        let table = [
            (seconds(999), Err(NOT_YET)),
            (seconds(1_000) - Duration::from_nanos(1), Err(NOT_YET)),
            (seconds(1_000), Ok(seconds(300))),
            (seconds(1_299), Ok(seconds(1))),
            (seconds(1_300) - Duration::from_nanos(1), Ok(Duration::from_nanos(1))),
            (seconds(1_300), Err(EXPIRED)),
            (seconds(1_360), Err(EXPIRED)),
            (Duration::MAX, Err(EXPIRED)),
            (Duration::ZERO, Err(NOT_YET)),
        ];
        for (now, expected) in table {
            assert_eq!(judge(&policy, &url, now), expected, "{now:?}");
        }
        let policy = Policy { leeway: seconds(60), ..policy };
        assert_eq!(judge(&policy, &url, seconds(940)), Ok(seconds(420)));
        assert_eq!(judge(&policy, &url, seconds(939)), Err(NOT_YET));
        assert_eq!(judge(&policy, &url, seconds(1_359)), Ok(seconds(1)));
        assert_eq!(judge(&policy, &url, seconds(1_360)), Err(EXPIRED));
    }

    #[test]
    fn a_life_is_counted_from_the_start_or_from_now() {
        let signed = |from: &str, expires: u64| {
            let query = format!("gw-key=k&gw-expires={expires}{from}");
            let message = Message {
                method: "GET",
                host: Default::default(),
                client: String::new(),
                path: "/",
                query: &query,
            };
            format!("/?{query}&gw-sig={}", key().sign(&message).unwrap())
        };
        let policy = policy();
        let at = |url: &str, now| judge(&policy, url, seconds(now)).map(|_| ());
        assert_eq!(at(&signed("&gw-from=500", 1_500), 1_000), Ok(()));
        assert_eq!(at(&signed("&gw-from=499", 1_500), 1_499), Err(LIVES_TOO_LONG));
        assert_eq!(at(&signed("", 2_060), 1_000), Ok(()));
        assert_eq!(at(&signed("", 2_061), 1_000), Err(LIVES_TOO_LONG));
        assert_eq!(at(&signed("", 2_061), 1_001), Ok(()));
        assert_eq!(at(&signed("", 999_999_999_999), 1_000), Err(LIVES_TOO_LONG));
        assert_eq!(at(&signed("&gw-from=900", 800), 1_000), Err(EXPIRED));
    }

    #[test]
    fn what_follows_the_signature_is_chosen_and_overrules_nothing() {
        let (policy, url) = (policy(), link(1_000));
        let admits = |more: &str| judge(&policy, &format!("{url}{more}"), seconds(1_001)).is_ok();
        for good in ["", "&utm=1", "&utm", "&%75tm=x%26b=2", "&a+b=1&utm=2", "&a%20b=%3B"] {
            assert!(admits(good), "{good}");
        }
        let bad = [
            "&",
            "&x=1",
            "&UTM=1",
            "&utm=1&utm=2",
            "&utm=1&",
            "&utm=1&%75tm=1",
            "&utm=1;b=2",
            "&b=2",
            "&utm=1&b=2",
            "&gw-utm=1",
            "=",
            "&gw-sig=x",
            ";utm=1",
            "&utm;b=2",
        ];
        for bad in bad {
            assert!(!admits(bad), "{bad}");
        }
        let unsigned = vec!["b".into(), "c".into(), "C".into(), "d".into()];
        let policy = Policy { unsigned, ..policy };
        for (more, good) in [("&b=2", false), ("&c=2", false), ("&C=2", false), ("&d=2", true)] {
            let url = format!("{url}{more}");
            assert_eq!(judge(&policy, &url, seconds(1_001)).is_ok(), good, "{more}");
        }
    }

    #[test]
    fn reasons_tell_time_from_tampering_and_no_more() {
        let (policy, url) = (policy(), link(1_000));
        let why = |url: &str| judge(&policy, url, seconds(1_001)).unwrap_err();
        assert_eq!(why("/a"), MISSING);
        assert_eq!(why("/a?b=1"), MISSING);
        assert_eq!(why(&url.replace("gw-key=k", "gw-key=")), MALFORMED);
        assert_eq!(why(&url.replace("gw-expires=1300", "gw-expires=999")), EXPIRED);
        assert_eq!(why(&format!("{url}&utm={}", "x".repeat(200))), TOO_LONG);
        let tampered = [
            url.replace("gw-key=k", "gw-key=l"),
            url.replace("/a?", "/b?"),
            url.replace("/a?", "/%61?"),
            url.replace("b=1", "b=2"),
            url.replace("b=1", "b=%31"),
            url.replace("b=1&C=2", "C=2&b=1"),
            format!("{url}A"),
            format!("{url}&x"),
        ];
        for url in tampered {
            assert_eq!(why(&url).detail, Refusal::mismatch("").detail, "{url}");
        }
        let policy = Policy { require_host: true, ..policy.clone() };
        assert_eq!(judge(&policy, &url, seconds(1_001)), Err(ANY_HOST));
    }
}
