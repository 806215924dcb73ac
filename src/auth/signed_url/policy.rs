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
mod tests;
