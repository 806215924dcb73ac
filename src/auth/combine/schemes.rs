//! Tuples of layers, and of the schemes in them.

use std::sync::Arc;

use http::{HeaderValue, header};

use super::passes::Passes;
use crate::{
    auth::{Scheme, SchemeLayer},
    guard::{Head, Pass, Verdict},
    rejection::{Reason, Rejection},
};

/// Two to six layers that authenticate, as a tuple.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tuple of two to six layers that authenticate",
    note = "write `first_of((jwt, keys))`, in two pairs of parentheses; combinations combine again"
)]
pub trait Layers {
    /// Their schemes.
    type Schemes: Schemes;

    /// The schemes, shared with the layers.
    fn schemes(&self) -> Self::Schemes;
}

/// Two to six schemes, as a tuple. Made by [`Layers`].
pub trait Schemes: sealed::Schemes {}

pub(super) mod sealed {
    use super::*;

    pub trait Schemes: Clone + Send + Sync + 'static {
        type Passes: Pass + Send;

        /// What goes in with a request that nobody has judged.
        fn bypass(&self) -> Self::Passes;

        fn presented(&self, head: Head<'_>) -> bool;

        fn attempted(&self, head: Head<'_>) -> bool;

        /// The verdict of the first whose credential is presented, or else of the first that finds anything at all.
        fn first(&self, head: Head<'_>) -> Option<Verdict<Self::Passes>>;

        /// The verdict of all.
        fn all(&self, head: Head<'_>) -> Verdict<Self::Passes>;

        /// Each scheme's answer to a request without a credential.
        fn missing(&self) -> Vec<Rejection>;
    }
}

/// 401 with each challenge once, for a request without any credential.
pub(super) fn missing(schemes: &impl sealed::Schemes) -> Rejection {
    let answers = schemes.missing();
    let all = answers.iter().flat_map(|it| it.headers().get_all(header::WWW_AUTHENTICATE));
    let mut challenges = Vec::new();
    for challenge in all {
        if !challenges.contains(&challenge) {
            challenges.push(challenge);
        }
    }
    match (challenges.as_slice(), answers.first()) {
        // RFC 9110 §15.5.2: no 401 without a challenge.
        ([], Some(first)) => first.clone(),
        (challenges, _) => {
            let no = Rejection::new(Reason::Unauthenticated, "This resource needs a credential.");
            let header = |no: Rejection, it: &&HeaderValue| {
                no.with_header(header::WWW_AUTHENTICATE, HeaderValue::clone(it))
            };
            challenges.iter().fold(no, header)
        }
    }
}

macro_rules! schemes {
    ($($L:ident $S:ident $p:ident $at:tt),+) => {
        impl<$($L: SchemeLayer),+> Layers for ($($L,)+) {
            type Schemes = ($(Arc<$L::Scheme>,)+);

            fn schemes(&self) -> Self::Schemes {
                ($(self.$at.scheme(),)+)
            }
        }

        impl<$($S: Scheme),+> Schemes for ($(Arc<$S>,)+) {}

        impl<$($S: Scheme),+> sealed::Schemes for ($(Arc<$S>,)+) {
            type Passes = Passes<($(Option<$S::Pass>,)+)>;

            fn bypass(&self) -> Self::Passes {
                Passes::led_by(0, ($(self.$at.bypass(),)+))
            }

            fn presented(&self, head: Head<'_>) -> bool {
                $(self.$at.presented(head))||+
            }

            fn attempted(&self, head: Head<'_>) -> bool {
                $(self.$at.attempted(head))||+
            }

            fn first(&self, head: Head<'_>) -> Option<Verdict<Self::Passes>> {
                let judge = None
                    $(.or_else(|| self.$at.presented(head).then_some($at)))+
                    $(.or_else(|| self.$at.attempted(head).then_some($at)))+;
                match judge? {
                    $($at => {
                        let decided = |schemes: &Self, decision: Result<$S::Pass, Rejection>| {
                            let pass = decision.map_err(|no| no.refused_by($S::NAME))?;
                            let mut all = schemes.bypass();
                            (all.passes.$at, all.lead) = (Some(pass), $at);
                            Ok(all)
                        };
                        Some(match self.$at.check(head) {
                            Verdict::Now(decision) => Verdict::Now(decided(self, decision)),
                            Verdict::Later(decision) => {
                                let schemes = self.clone();
                                Verdict::later(async move { decided(&schemes, decision.await) })
                            }
                        })
                    })+
                    _ => None,
                }
            }

            fn all(&self, head: Head<'_>) -> Verdict<Self::Passes> {
                $(
                    let $p = match self.$at.check(head) {
                        Verdict::Now(Err(no)) => return Verdict::refuse(no.refused_by($S::NAME)),
                        verdict => verdict,
                    };
                )+
                match ($($p,)+) {
                    ($(Verdict::Now(Ok($p)),)+) => {
                        Verdict::admit(Passes::led_by(0, ($(Some($p),)+)))
                    }
                    ($($p,)+) => Verdict::later(async move {
                        $(let $p = settled($p).await.map_err(|no| no.refused_by($S::NAME))?;)+
                        Ok(Passes::led_by(0, ($(Some($p),)+)))
                    }),
                }
            }

            fn missing(&self) -> Vec<Rejection> {
                vec![$(self.$at.missing()),+]
            }
        }
    };
}

async fn settled<P>(verdict: Verdict<P>) -> Result<P, Rejection> {
    match verdict {
        Verdict::Now(decision) => decision,
        Verdict::Later(decision) => decision.await,
    }
}

schemes!(La A a 0, Lb B b 1);
schemes!(La A a 0, Lb B b 1, Lc C c 2);
schemes!(La A a 0, Lb B b 1, Lc C c 2, Ld D d 3);
schemes!(La A a 0, Lb B b 1, Lc C c 2, Ld D d 3, Le E e 4);
schemes!(La A a 0, Lb B b 1, Lc C c 2, Ld D d 3, Le E e 4, Lf F f 5);

/// Makes a struct around schemes the guard that judges by all of them so.
macro_rules! combination {
    ($guard:ident, $name:literal, |$schemes:ident, $head:ident| $judge:expr) => {
        impl<S: $crate::auth::combine::Schemes> $crate::guard::Guard for $guard<S> {
            const NAME: &'static str = $name;
            type Pass = S::Passes;

            fn check(&self, $head: $crate::guard::Head<'_>) -> $crate::guard::Verdict<Self::Pass> {
                let $schemes = &self.0;
                match $crate::auth::scheme::is_preflight($head) {
                    true => $crate::guard::Verdict::admit($schemes.bypass()),
                    false => $judge,
                }
            }

            fn bypass(&self) -> Option<Self::Pass> {
                Some(self.0.bypass())
            }
        }

        impl<S: $crate::auth::combine::Schemes> $crate::auth::Scheme for $guard<S> {
            /// Any of the credentials.
            fn presented(&self, head: $crate::guard::Head<'_>) -> bool {
                self.0.presented(head)
            }

            fn attempted(&self, head: $crate::guard::Head<'_>) -> bool {
                self.0.attempted(head)
            }

            fn missing(&self) -> $crate::rejection::Rejection {
                $crate::auth::combine::schemes::missing(&self.0)
            }
        }

        impl<S> std::fmt::Debug for $guard<S> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($guard))
            }
        }
    };
}

pub(super) use combination;
