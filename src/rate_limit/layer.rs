use std::{borrow::Cow, fmt, sync::Arc};

use http::Response;
use tower_layer::Layer;

use super::{
    headers::{Fields, Stamp},
    limiter::{Decision, Limiter, Standing},
    quota::Quota,
};
use crate::{
    clock::Clock,
    guard::{Guard, GuardLayer, Guarded, Head, Pass, Verdict},
    key::{Key, KeyWriter},
    rejection::{Reason, Rejection},
};

/// Limits how often each key is admitted. See the [module docs](crate::rate_limit).
///
/// Clones, and all services that they make, count together. A setting makes a layer with counters of its own, so
/// set first and share then.
pub struct RateLimitLayer<K> {
    settings: Settings,
    guard: GuardLayer<Limit<K>>,
}

#[derive(Clone, Debug)]
struct Settings {
    quota: Quota,
    name: Cow<'static, str>,
    missing: MissingKey,
    max_keys: usize,
    fields: bool,
    clock: Clock,
}

/// What happens to a request that has no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingKey {
    /// It is refused with 403: who cannot be counted is not admitted.
    #[default]
    Deny,
    /// It is not limited. Right for a limit by subject, where others limit the anonymous.
    Skip,
    /// All such requests share one bucket.
    Shared,
}

impl<K: Key> RateLimitLayer<K> {
    /// Admits `quota` for each `key`.
    pub fn new(quota: Quota, key: K) -> Self {
        let settings = Settings {
            quota,
            name: Cow::Borrowed("default"),
            missing: MissingKey::default(),
            max_keys: 1_000_000,
            fields: true,
            clock: Clock::default(),
        };
        Self::with(settings, Arc::new(key))
    }

    /// The policy's name in `RateLimit` fields and refusals. Default: `default`. Public; what is not printable
    /// ASCII becomes `_`.
    #[must_use]
    pub fn name(self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        self.set(|it| it.name = name)
    }

    /// What happens to a request without a key. Default: [`MissingKey::Deny`].
    #[must_use]
    pub fn missing_key(self, missing: MissingKey) -> Self {
        self.set(|it| it.missing = missing)
    }

    /// How many keys have a bucket of their own. Default: 1,000,000, which take 51 MiB once they have come.
    /// At most 2²⁸.
    #[must_use]
    pub fn max_keys(self, max_keys: usize) -> Self {
        self.set(|it| it.max_keys = max_keys)
    }

    /// Sends no `RateLimit` fields, for those who would rather not tell. `Retry-After` stays.
    #[must_use]
    pub fn hide_fields(self) -> Self {
        self.set(|it| it.fields = false)
    }

    /// The clock by which buckets refill. Default: the system's.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.set(|it| it.clock = clock)
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        Self::with(self.settings, Arc::clone(&self.guard.guard().key))
    }

    fn with(settings: Settings, key: Arc<K>) -> Self {
        let limiter = Limiter::new(settings.quota, settings.max_keys, settings.clock.clone());
        let fields = Fields::new(&settings.name, limiter.policy());
        let guard = GuardLayer::new(Limit {
            key,
            name: settings.name.clone(),
            missing: settings.missing,
            fields: settings.fields.then_some(fields),
            limiter,
        });
        Self { settings, guard }
    }
}

impl<S, K> Layer<S> for RateLimitLayer<K> {
    type Service = Guarded<S, Limit<K>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.guard.layer(inner)
    }
}

impl<K> Clone for RateLimitLayer<K> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), guard: self.guard.clone() }
    }
}

impl<K> fmt::Debug for RateLimitLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateLimitLayer").field(&self.settings).finish()
    }
}

/// The guard of [`RateLimitLayer`]: the counters, and what is said about them.
pub struct Limit<K> {
    key: Arc<K>,
    name: Cow<'static, str>,
    missing: MissingKey,
    fields: Option<Fields>,
    limiter: Limiter,
}

impl<K: Key> Guard for Limit<K> {
    const NAME: &'static str = "rate_limit";
    type Pass = Counted;

    fn check(&self, head: Head<'_>) -> Verdict<Counted> {
        let mut key = KeyWriter::new();
        let decision = match (self.key.write(head, &mut key), self.missing) {
            (Some(()), _) => self.limiter.take(Some(key.as_bytes())),
            (None, MissingKey::Shared) => self.limiter.take(None),
            (None, MissingKey::Skip) => return Verdict::admit(Counted(None)),
            (None, MissingKey::Deny) => return Verdict::refuse(without::<K>()),
        };
        match decision {
            Decision::Admitted(standing) => Verdict::admit(Counted(self.stamp(standing))),
            Decision::Refused { wait, standing } => {
                let no = match wait {
                    Some(wait) => Rejection::rate_limited(wait),
                    None => Rejection::new(Reason::RateLimited, "No requests are admitted here."),
                };
                let no = no.with_member("policy", self.name.as_ref());
                let fields = self.stamp(standing).map(Stamp::into_fields);
                let add = |no: Rejection, (name, value)| no.with_header(name, value);
                Verdict::refuse(fields.into_iter().flatten().fold(no, add))
            }
        }
    }
}

impl<K> Limit<K> {
    fn stamp(&self, standing: Standing) -> Option<Stamp> {
        self.fields.as_ref().map(|fields| fields.stamp(standing))
    }
}

/// The refusal of a request that has no key. Which key it lacks is the operator's to know.
fn without<K>() -> Rejection {
    let key = std::any::type_name::<K>();
    Rejection::forbidden("This request cannot be attributed to a client.")
        .caused_by(format!("the request has no {key} to count by: the layer that sets it has to stand outside of this one; or see `MissingKey`"))
}

impl<K> fmt::Debug for Limit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limit({:?})", self.name)
    }
}

/// A request that was counted: stamps on the response what is left.
pub struct Counted(Option<Stamp>);

impl Pass for Counted {
    fn leave<B>(&mut self, response: &mut Response<B>) {
        if let Some(stamp) = self.0.take() {
            stamp.append_to(response.headers_mut());
        }
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}
