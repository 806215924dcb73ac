//! A way to authenticate that is not demanded.

use std::{fmt, sync::Arc};

use http::{Request, Response};

use crate::{
    auth::{Scheme, SchemeLayer, scheme::is_preflight},
    body::Watch,
    guard::{Guard, GuardLayer, Head, Pass, Verdict},
    identity::Identity,
    rejection::Rejection,
};

/// Admits requests without a credential too, with no identity or that of [`anonymous`](GuardLayer::anonymous)
/// clients. A bad credential is refused as ever.
///
/// See the [module docs](super).
pub fn optional<L: SchemeLayer>(layer: L) -> GuardLayer<Optional<L::Scheme>> {
    GuardLayer::new(Optional { scheme: layer.scheme(), anonymous: None })
}

/// The guard of [`optional`].
pub struct Optional<S> {
    scheme: Arc<S>,
    anonymous: Option<Identity>,
}

impl<S: Scheme> GuardLayer<Optional<S>> {
    /// The identity of requests without a credential, unless an outer layer has set one:
    /// [`Identity::anonymous`] with the plan and the scope that everybody has. One with a subject would make all
    /// such clients one, to limits above all.
    #[must_use]
    pub fn anonymous(self, identity: Identity) -> Self {
        let scheme = Arc::clone(&self.guard().scheme);
        self.with_guard(Optional { scheme, anonymous: Some(identity) })
    }

    /// [`anonymous`](Self::anonymous), with this plan: a tier that limits can tell.
    #[must_use]
    pub fn anonymous_plan(self, plan: impl Into<Box<str>>) -> Self {
        self.anonymous(Identity::anonymous().with_plan(plan))
    }
}

impl<S: Scheme> Optional<S> {
    fn without(&self, anonymous: Option<Identity>) -> OptionalPass<S::Pass> {
        OptionalPass { pass: self.scheme.bypass(), anonymous }
    }
}

impl<S: Scheme> Guard for Optional<S> {
    const NAME: &'static str = "optional";
    type Pass = OptionalPass<S::Pass>;

    fn check(&self, head: Head<'_>) -> Verdict<Self::Pass> {
        if is_preflight(head) {
            return Verdict::admit(self.without(None));
        }
        if !self.scheme.attempted(head) {
            return Verdict::admit(self.without(self.anonymous.clone()));
        }
        match self.scheme.check(head) {
            Verdict::Now(decision) => Verdict::Now(judged::<S>(decision)),
            Verdict::Later(decision) => Verdict::later(async move { judged::<S>(decision.await) }),
        }
    }

    fn bypass(&self) -> Option<Self::Pass> {
        Some(self.without(None))
    }
}

fn judged<S: Scheme>(
    decision: Result<S::Pass, Rejection>,
) -> Result<OptionalPass<S::Pass>, Rejection> {
    match decision {
        Ok(pass) => Ok(OptionalPass { pass: Some(pass), anonymous: None }),
        Err(no) => Err(no.refused_by(S::NAME)),
    }
}

impl<S: Scheme> Scheme for Optional<S> {
    fn presented(&self, head: Head<'_>) -> bool {
        self.scheme.presented(head)
    }

    fn attempted(&self, head: Head<'_>) -> bool {
        self.scheme.attempted(head)
    }

    fn missing(&self) -> Rejection {
        self.scheme.missing()
    }
}

impl<S> fmt::Debug for Optional<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Optional").field("anonymous", &self.anonymous).finish_non_exhaustive()
    }
}

/// What [`optional`] brings: the scheme's own pass, or the identity of those without one.
pub struct OptionalPass<P> {
    pass: Option<P>,
    anonymous: Option<Identity>,
}

impl<P: Pass> Pass for OptionalPass<P> {
    fn prepare<B>(&mut self, request: &Request<B>) {
        self.pass.prepare(request);
    }

    fn enter<B>(&mut self, request: &mut Request<B>) {
        self.pass.enter(request);
        let extensions = request.extensions_mut();
        // Who was authenticated further out stays who it is.
        if let (Some(nobody), None) = (self.anonymous.take(), extensions.get::<Identity>()) {
            extensions.insert(nobody);
        }
    }

    fn leave<B>(&mut self, response: &mut Response<B>) {
        self.pass.leave(response);
    }

    fn watch(&mut self) -> Option<Box<dyn Watch>> {
        self.pass.watch()
    }
}

impl<P> fmt::Debug for OptionalPass<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OptionalPass")
    }
}
