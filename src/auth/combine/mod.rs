//! Several ways to authenticate, as one.
//!
//! | | a request passes when |
//! |---|---|
//! | [`first_of`] | the first scheme whose credential it presents admits it |
//! | [`all_of`] | every scheme admits it |
//! | [`optional`] | it presents no credential, or the scheme admits it |
//!
//! Each takes layers and makes one that can be combined again: `optional(first_of((jwt, keys)))`. What the layers
//! were set to holds, but for their report-only mode: the combination has its own.
//!
//! ```
//! use http::{HeaderValue, Request, Response};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_gateway::{
//!     auth::{Challenge, Scheme, first_of, optional},
//!     guard::{Guard, GuardLayer, Head, Pass, Verdict},
//!     identity::Identity,
//!     rejection::Rejection,
//! };
//!
//! /// Takes the word of a field for it. Yours verifies.
//! struct Says(&'static str);
//!
//! impl Guard for Says {
//!     const NAME: &'static str = "says";
//!     type Pass = Who;
//!
//!     fn check(&self, head: Head<'_>) -> Verdict<Who> {
//!         match head.headers().get(self.0).map(HeaderValue::to_str) {
//!             Some(Ok(name)) => Verdict::admit(Who(Identity::new("says", name))),
//!             _ => Verdict::refuse(self.missing()),
//!         }
//!     }
//! }
//!
//! impl Scheme for Says {
//!     fn presented(&self, head: Head<'_>) -> bool {
//!         head.headers().contains_key(self.0)
//!     }
//!
//!     fn missing(&self) -> Rejection {
//!         let challenge = HeaderValue::from_static("Says");
//!         Rejection::unauthenticated(challenge, "Say who you are.")
//!     }
//! }
//!
//! struct Who(Identity);
//!
//! impl Pass for Who {
//!     fn enter<B>(&mut self, request: &mut Request<B>) {
//!         request.extensions_mut().insert(self.0.clone());
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let (staff, guest) = (GuardLayer::new(Says("x-staff")), GuardLayer::new(Says("x-guest")));
//! let gate = optional(first_of((staff, guest))).anonymous_plan("free");
//! let service = ServiceBuilder::new().layer(gate).service_fn(|request: Request<String>| async move {
//!     let who: &Identity = request.extensions().get().unwrap();
//!     Ok::<_, std::convert::Infallible>(Response::new(format!("{:?} {:?}", who.subject(), who.plan())))
//! });
//! # use http_body_util::BodyExt;
//! # macro_rules! text { ($r:expr) => { $r.await.unwrap().into_body().collect().await.unwrap().to_bytes() } }
//! let guest = Request::get("/").header("x-guest", "bob").body(String::new()).unwrap();
//! assert_eq!(text!(service.clone().oneshot(guest)), r#""bob" None"#);
//! let nobody = Request::get("/").body(String::new()).unwrap();
//! assert_eq!(text!(service.clone().oneshot(nobody)), r#""" Some("free")"#);
//! let bad = Request::get("/").header("x-staff", "\u{e9}").body(String::new()).unwrap();
//! assert_eq!(service.oneshot(bad).await.unwrap().status(), 401);
//! # });
//! ```
//!
//! # What goes on
//!
//! A scheme that did not judge a request still takes away its own credential and the fields that only it may set
//! ([`bypass`](crate::guard::Guard::bypass)): nothing goes on that nobody has verified. It does so before the
//! scheme that judged puts in the identity, its fields and, if it forwards it, its credential, so that those
//! arrive even where two schemes read the same place or set the same field.
//!
//! Events of a combination name the scheme that refused, in the field `scheme`.

mod all_of;
mod first_of;
mod optional;
mod passes;
mod schemes;

pub use all_of::{AllOf, all_of};
pub use first_of::{FirstOf, first_of};
pub use optional::{Optional, OptionalPass, optional};
pub use passes::Passes;
pub use schemes::{Layers, Schemes};
