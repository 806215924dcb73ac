//! The guard: what it asks of a request, and what its admission does to it.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc};

use smallvec::SmallVec;

use super::{
    digest::{Hashing, KeyDigest},
    form::Form,
    key::{Key, Unfit},
    memory::MemoryKeys,
    stored::StoredKeys,
};
use crate::{
    auth::{
        Admitted, Challenge, Scheme, admission::Entry, lookup::Known, reader::Reader,
        scheme::is_preflight,
    },
    client_ip::client_ip,
    clock::Clock,
    guard::{Guard, Head, Verdict},
    identity::Identity,
    rejection::Rejection,
};

/// The guard of [`ApiKeyLayer`](super::ApiKeyLayer).
pub struct ApiKey<C> {
    pub(super) shared: Arc<Shared>,
    pub(super) reader: Reader<C>,
}

/// The settings.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) keys: Keys,
    pub(super) hashing: Hashing,
    pub(super) form: Option<Form>,
    pub(super) max_length: usize,
    pub(super) challenge: Challenge,
    pub(super) clock: Clock,
    pub(super) entry: Arc<Entry>,
    /// Whether the user has named a source, so that the default one does not count.
    pub(super) named: bool,
}

/// Where the keys are: [`MemoryKeys`] or [`StoredKeys`].
#[derive(Clone, Debug)]
pub struct Keys(pub(super) Place);

#[derive(Clone, Debug)]
pub(super) enum Place {
    Memory(MemoryKeys),
    Store(StoredKeys),
}

impl From<MemoryKeys> for Keys {
    fn from(keys: MemoryKeys) -> Self {
        Self(Place::Memory(keys))
    }
}

impl From<StoredKeys> for Keys {
    fn from(keys: StoredKeys) -> Self {
        Self(Place::Store(keys))
    }
}

/// Of one key; more than one only while the hashing changes.
type Digests = SmallVec<[KeyDigest; 2]>;

const UNKNOWN: &str = "The API key is not valid.";

impl<C> Clone for ApiKey<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), reader: self.reader }
    }
}

impl<C> fmt::Debug for ApiKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

impl<C: Send + Sync + 'static> Guard for ApiKey<C> {
    const NAME: &'static str = "api_key";
    type Pass = Admitted<C>;

    fn check(&self, head: Head<'_>) -> Verdict<Admitted<C>> {
        if is_preflight(head) {
            return Verdict::admit(self.shared.entry.pass());
        }
        let key = match self.shared.read(head) {
            Ok(key) => key,
            Err(no) => return Verdict::refuse(no),
        };
        let (digests, client) = (self.shared.hashing.digests(&key), client_ip(head));
        match &self.shared.keys.0 {
            Place::Memory(keys) => Verdict::Now(keys.with(digests, |key| self.judge(key, client))),
            Place::Store(keys) => self.look_up(keys, digests.collect(), client),
        }
    }

    fn bypass(&self) -> Option<Admitted<C>> {
        Some(self.shared.entry.pass())
    }
}

impl<C: Send + Sync + 'static> Scheme for ApiKey<C> {
    /// Anything where keys are looked for. Of bearer tokens only those with the prefix of the keys, if they have
    /// one.
    fn presented(&self, head: Head<'_>) -> bool {
        self.shared.entry.sources.is_there(head)
    }

    fn missing(&self) -> Rejection {
        self.shared.challenge.missing()
    }
}

impl<C: Send + Sync + 'static> ApiKey<C> {
    /// Judges at once what is remembered, and asks where it is not.
    fn look_up(
        &self,
        keys: &StoredKeys,
        digests: Digests,
        client: Option<IpAddr>,
    ) -> Verdict<Admitted<C>> {
        let mut open = Digests::new();
        for digest in digests {
            match keys.known(&digest) {
                Some(Known::Good(key)) => return Verdict::Now(self.judge(Some(&key), client)),
                Some(Known::Bad) => {}
                None => open.push(digest),
            }
        }
        match open.is_empty() {
            true => Verdict::Now(self.judge(None, client)),
            false => self.ask(keys, open, client),
        }
    }

    fn ask(
        &self,
        keys: &StoredKeys,
        digests: Digests,
        client: Option<IpAddr>,
    ) -> Verdict<Admitted<C>> {
        let (guard, keys) = (self.clone(), keys.clone());
        Verdict::later(async move {
            for digest in digests {
                if let Known::Good(key) = keys.ask(digest).await? {
                    return guard.judge(Some(&key), client);
                }
            }
            guard.judge(None, client)
        })
    }

    fn judge(&self, key: Option<&Key>, client: Option<IpAddr>) -> Result<Admitted<C>, Rejection> {
        let shared = &self.shared;
        let key = key.ok_or_else(|| shared.challenge.invalid_token(UNKNOWN))?;
        match key.judge(shared.clock.unix(), client) {
            Ok(identity) => self.admit(identity),
            Err(unfit) => Err(shared.refusal(unfit, client)),
        }
    }

    fn admit(&self, identity: &Identity) -> Result<Admitted<C>, Rejection> {
        let claims = self.reader.read(identity, &self.shared.challenge)?;
        Ok(self.shared.entry.admit(identity.clone(), claims))
    }
}

impl Shared {
    /// The one key that the request presents, if it can be a key at all.
    fn read<'a>(&self, head: Head<'a>) -> Result<Cow<'a, str>, Rejection> {
        let challenge = &self.challenge;
        let key = self.entry.credential(head, challenge)?;
        if key.len() > self.max_length {
            return Err(challenge.invalid_token("The API key is too long."));
        }
        match &self.form {
            Some(form) if !form.is_of(&key) => Err(challenge.invalid_token(UNKNOWN)),
            _ => Ok(key),
        }
    }

    /// What the holder of a key is told that does not serve here.
    fn refusal(&self, unfit: Unfit, client: Option<IpAddr>) -> Rejection {
        let why = match unfit {
            Unfit::Revoked => UNKNOWN,
            Unfit::Early => "The API key is not valid yet.",
            Unfit::Expired => "The API key has expired.",
            Unfit::Elsewhere => {
                let no = Rejection::forbidden("The API key may not be used from this address.");
                return match client {
                    Some(_) => no,
                    None => no.caused_by("the client's address is not known; see `client_ip`"),
                };
            }
        };
        self.challenge.invalid_token(why)
    }
}
