//! A list of revocations in memory.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use smallvec::SmallVec;

use super::{Revocations, TokenId};
use crate::{auth::terms::MAX_LEEWAY, clock::Clock};

/// A writer copies one part of the list, so that readers never wait.
const PARTS: usize = 64;

/// Room that only issuers can take, so that a list which is full can still stop everything.
const ROOM_FOR_ISSUERS: usize = 256;

/// Revocations in memory, for one process. Clones share the list: give one to
/// [`JwtLayer::revocations`](crate::auth::jwt::JwtLayer::revocations), and another to whatever signs people out.
///
/// ```
/// use std::time::Duration;
/// use tower_gateway::auth::jwt::RevocationList;
///
/// let list = RevocationList::new();
/// // One token, by its `jti`, until its `exp`:
/// list.revoke_token("https://id.example", "b5c1", Duration::from_secs(2_000_000_000))?;
/// // All that were issued to somebody up to now; and all that were issued at all:
/// list.revoke_subject("https://id.example", "alice")?;
/// list.revoke_issuer("https://id.example")?;
/// # Ok::<(), tower_gateway::auth::jwt::ListFull>(())
/// ```
///
/// A revocation holds for the next request, whether its token is in the cache or new. Whoever has signed in again
/// since bears a later `iat` and is admitted; a token without an `iat` counts as old. `iat` is the issuer's time and
/// mostly in whole seconds: a token that is issued within the same second is revoked too, and where the issuer's
/// clock is ahead, one that it issued just before is not.
///
/// **Bound.** The list has room for 100,000 tokens and subjects, and for 256 issuers besides. It never forgets a
/// revocation that may still matter: when it is full of those, further ones are refused with [`ListFull`].
/// Revocations are lost when the process ends.
#[derive(Clone)]
pub struct RevocationList {
    rules: Arc<Rules>,
    capacity: usize,
    lifetime: Duration,
    clock: Clock,
}

/// There is no room for another revocation. Revoke more widely: the subject instead of its tokens, or the issuer, for
/// which there is room of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListFull;

impl fmt::Display for ListFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list of revocations is full; revoke the subject or the issuer instead")
    }
}

impl std::error::Error for ListFull {}

impl RevocationList {
    /// An empty list.
    pub fn new() -> Self {
        Self {
            rules: Arc::new(Rules::new()),
            capacity: 100_000,
            lifetime: Duration::MAX,
            clock: Clock::system(),
        }
    }

    /// How many tokens and subjects can be revoked at a time. Default: 100,000, which take some 15 MB.
    #[must_use]
    pub fn capacity(self, revocations: usize) -> Self {
        Self { capacity: revocations, ..self }
    }

    /// The longest lifetime of the issuers' tokens, after which the revocation of a subject or an issuer concerns
    /// none any more and may be forgotten. Set it together with
    /// [`Issuer::max_lifetime`](crate::auth::jwt::Issuer::max_lifetime). Default: none, so that they are kept until
    /// the process ends.
    #[must_use]
    pub fn token_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// The clock that tells what was issued before. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Revokes the one token of this issuer that is named `jti`. It is remembered until the token expires: `until`
    /// is its `exp`, as time since the Unix epoch.
    ///
    /// # Errors
    ///
    /// When the list is full.
    pub fn revoke_token(&self, iss: &str, jti: &str, until: Duration) -> Result<(), ListFull> {
        self.add(Kind::Token, iss, jti, Rule { issued_by: Duration::MAX, until })
    }

    /// Revokes the tokens that this issuer has issued to `sub` up to now.
    ///
    /// # Errors
    ///
    /// When the list is full.
    pub fn revoke_subject(&self, iss: &str, sub: &str) -> Result<(), ListFull> {
        self.add(Kind::Subject, iss, sub, self.up_to_now())
    }

    /// Revokes all tokens that this issuer has issued up to now.
    ///
    /// # Errors
    ///
    /// When the list is full, with 256 issuers in it.
    pub fn revoke_issuer(&self, iss: &str) -> Result<(), ListFull> {
        self.add(Kind::Issuer, iss, "", self.up_to_now())
    }

    /// How many revocations are remembered.
    pub fn len(&self) -> usize {
        Kind::ALL.into_iter().map(|kind| self.rules.count(kind)).sum()
    }

    /// Whether nothing was revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn up_to_now(&self) -> Rule {
        let now = self.clock.unix();
        Rule { issued_by: now, until: now.saturating_add(self.lifetime) }
    }

    fn add(&self, kind: Kind, iss: &str, id: &str, rule: Rule) -> Result<(), ListFull> {
        let _one_writer = self.rules.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name(kind, iss, id);
        if !self.rules.knows(&name) && !self.has_room(kind) {
            self.rules.forget(self.clock.unix());
            if !self.has_room(kind) {
                return Err(ListFull);
            }
        }
        self.rules.set(kind, &name, rule);
        Ok(())
    }

    fn has_room(&self, kind: Kind) -> bool {
        let count = |kind| self.rules.count(kind);
        match kind {
            Kind::Issuer => count(Kind::Issuer) < ROOM_FOR_ISSUERS,
            _ => count(Kind::Token) + count(Kind::Subject) < self.capacity,
        }
    }
}

impl Revocations for RevocationList {
    fn revoked(&self, token: &TokenId<'_>) -> bool {
        let concerns = |kind, id: Option<&str>| {
            let rule = id.and_then(|id| self.rules.get(kind, token.issuer(), id));
            rule.is_some_and(|rule| rule.concerns(token))
        };
        concerns(Kind::Token, token.id())
            || concerns(Kind::Subject, token.subject())
            || concerns(Kind::Issuer, Some(""))
    }
}

impl Default for RevocationList {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationList({})", self.len())
    }
}

// === impl Rules ===

/// By what tokens are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Token,
    Subject,
    Issuer,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Token, Self::Subject, Self::Issuer];
}

/// Which tokens of a name are revoked, and how long that is remembered.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// Those that were issued by this time.
    issued_by: Duration,
    until: Duration,
}

impl Rule {
    fn concerns(self, token: &TokenId<'_>) -> bool {
        token.issued_at().is_none_or(|issued| issued <= self.issued_by)
    }

    /// Whether no token that it concerns can be accepted any more.
    fn is_over(self, now: Duration) -> bool {
        now > self.until.saturating_add(MAX_LEEWAY)
    }

    fn and(self, other: Self) -> Self {
        let issued_by = self.issued_by.max(other.issued_by);
        Self { issued_by, until: self.until.max(other.until) }
    }
}

type Part = HashMap<Arc<[u8]>, Rule>;

struct Rules {
    parts: [ArcSwap<Part>; PARTS],
    spread: RandomState,
    /// Of each kind: a reader looks up none of which there is none.
    counts: [AtomicUsize; 3],
    writer: Mutex<()>,
}

/// Room for the usual name, on the stack.
type Name = SmallVec<[u8; 256]>;

/// One spelling for each kind, issuer and name: the issuer's length says where it ends.
fn name(kind: Kind, iss: &str, id: &str) -> Name {
    let mut name = Name::new();
    name.push(kind as u8);
    name.extend_from_slice(&iss.len().to_le_bytes());
    name.extend_from_slice(iss.as_bytes());
    name.extend_from_slice(id.as_bytes());
    name
}

impl Rules {
    fn new() -> Self {
        Self {
            parts: std::array::from_fn(|_| ArcSwap::default()),
            spread: RandomState::new(),
            counts: Default::default(),
            writer: Mutex::new(()),
        }
    }

    fn count(&self, kind: Kind) -> usize {
        self.counts[kind as usize].load(Ordering::SeqCst)
    }

    fn get(&self, kind: Kind, iss: &str, id: &str) -> Option<Rule> {
        if self.count(kind) == 0 {
            return None;
        }
        let name = name(kind, iss, id);
        self.part(&name).load().get(&name[..]).copied()
    }

    fn knows(&self, name: &Name) -> bool {
        self.part(name).load().contains_key(&name[..])
    }

    fn part(&self, name: &Name) -> &ArcSwap<Part> {
        &self.parts[self.spread.hash_one(name) as usize % PARTS]
    }

    /// Adds the rule, or widens the one of this name. For the one writer.
    fn set(&self, kind: Kind, name: &Name, rule: Rule) {
        let part = self.part(name);
        let mut new = Part::clone(&part.load());
        let known = new.get(&name[..]).copied();
        new.insert(Arc::from(&name[..]), known.map_or(rule, |known| known.and(rule)));
        part.store(Arc::new(new));
        if known.is_none() {
            self.counts[kind as usize].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Drops what concerns no token any more. For the one writer.
    fn forget(&self, now: Duration) {
        for part in &self.parts {
            let mut new = Part::clone(&part.load());
            for kind in Kind::ALL {
                let before = new.len();
                new.retain(|name, rule| name[0] != kind as u8 || !rule.is_over(now));
                self.counts[kind as usize].fetch_sub(before - new.len(), Ordering::SeqCst);
            }
            part.store(Arc::new(new));
        }
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use crate::auth::{json::NumericDate, jwt::token::Times};

    const A: &str = "https://a.example";
    const HOUR: Duration = Duration::from_secs(3600);
    /// When the manual clock starts.
    const NOW: f64 = 2e9;

    fn token<'a>(iss: &'a str, sub: &'a str, jti: &'a str, iat: Option<f64>) -> TokenId<'a> {
        let times = Times { exp: None, nbf: None, iat: iat.map(NumericDate) };
        TokenId::new(iss, sub, Some(jti).filter(|it| !it.is_empty()), times)
    }

    fn list() -> (RevocationList, crate::clock::ManualClock) {
        let (clock, time) = Clock::manual();
        (RevocationList::new().clock(clock), time)
    }

    #[test]
    fn a_token_is_revoked_by_its_name_its_subject_or_its_issuer() {
        let by_token = |list: &RevocationList| list.revoke_token(A, "t", HOUR).unwrap();
        let by_subject = |list: &RevocationList| list.revoke_subject(A, "s").unwrap();
        let by_issuer = |list: &RevocationList| list.revoke_issuer(A).unwrap();
        let (old, new) = (Some(NOW), Some(NOW + 1.0));
        //              iss, sub, jti, iat         token  subject issuer
        let table = [
            ((A, "s", "t", old), [true, true, true]),
            ((A, "s", "t", None), [true, true, true]),
            ((A, "s", "t", new), [true, false, false]),
            ((A, "s", "", old), [false, true, true]),
            ((A, "s", "", None), [false, true, true]),
            ((A, "", "u", old), [false, false, true]),
            ((A, "t", "s", old), [false, false, true]),
            (("https://b.example", "s", "t", None), [false, false, false]),
            (("", "s", "t", None), [false, false, false]),
        ];
        for ((iss, sub, jti, iat), revoked) in table {
            let token = token(iss, sub, jti, iat);
            let ways: [&dyn Fn(&RevocationList); 3] = [&by_token, &by_subject, &by_issuer];
            for (revoke, revoked) in ways.into_iter().zip(revoked) {
                let (list, _) = list();
                assert!(!list.revoked(&token));
                revoke(&list);
                assert_eq!(list.clone().revoked(&token), revoked, "{token:?} {list:?}");
            }
        }
    }

    #[test]
    fn no_name_is_another_one() {
        let names = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc")];
        for (n, (iss, id)) in names.into_iter().enumerate() {
            for other in &names[n + 1..] {
                assert_ne!(name(Kind::Token, iss, id), name(Kind::Token, other.0, other.1));
            }
            assert_ne!(name(Kind::Token, iss, id), name(Kind::Subject, iss, id));
        }
    }

    #[test]
    fn a_full_list_forgets_only_what_is_over_and_says_so_otherwise() {
        let (list, time) = list();
        let list = list.capacity(2).token_lifetime(HOUR);
        let now = list.clock.unix();
        list.revoke_token(A, "short", now).unwrap();
        list.revoke_subject(A, "s").unwrap();
        list.revoke_subject(A, "s").unwrap();
        assert_eq!((list.len(), list.revoke_subject(A, "other")), (2, Err(ListFull)));
        // the emergency stop has room of its own, and is bounded too
        for n in 0..ROOM_FOR_ISSUERS {
            list.revoke_issuer(&format!("{A}/{n}")).unwrap();
        }
        assert_eq!(list.revoke_issuer(A), Err(ListFull));
        assert!(list.revoked(&token(A, "", "short", None)));
        // an hour on, for the leeway, the token must have expired
        time.advance(HOUR);
        assert_eq!(list.revoke_subject(A, "other"), Err(ListFull));
        time.advance(Duration::from_nanos(1));
        list.revoke_subject(A, "other").unwrap();
        assert!(!list.revoked(&token(A, "", "short", None)));
        assert!(list.revoked(&token(A, "s", "", None)));
        time.advance(HOUR * 3);
        list.revoke_issuer(A).unwrap();
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn a_later_revocation_widens_an_earlier_one() {
        let (list, time) = list();
        let token = token(A, "s", "", Some(NOW + 5.0));
        list.revoke_subject(A, "s").unwrap();
        assert!(!list.revoked(&token));
        time.advance(Duration::from_secs(10));
        list.revoke_subject(A, "s").unwrap();
        time.set_unix(Duration::ZERO);
        list.revoke_subject(A, "s").unwrap();
        assert!(list.revoked(&token));
    }
}
