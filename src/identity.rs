//! Who a request speaks for: set by the authentication layers, read by anyone inside.
//!
//! ```
//! use serde::Deserialize;
//! use tower_gateway::identity::Identity;
//!
//! #[derive(Deserialize)]
//! struct Staff { department: String }
//!
//! let who = Identity::new("jwt", "alice")
//!     .with_scope("orders:read orders:write")
//!     .with_claims(r#"{"sub":"alice","department":"sales"}"#);
//! assert_eq!(who.subject(), "alice");
//! assert!(who.has_scope("orders:read") && !who.has_scope("orders"));
//! assert_eq!(who.claims::<Staff>().unwrap().department, "sales");
//! ```
//!
//! An `Identity` in a request's extensions is evidence: only an authentication layer that has verified a
//! credential puts it there, and it never comes from a request's fields.

use std::{fmt, ops::Deref, sync::Arc};

use bytes::Bytes;
use serde::de::DeserializeOwned;

/// The scheme of those who were not authenticated.
const ANONYMOUS: &str = "anonymous";

/// A verified principal. Cheap to clone. See the [module docs](self).
#[derive(Clone)]
pub struct Identity(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    scheme: &'static str,
    subject: Box<str>,
    issuer: Option<Arc<str>>,
    scope: Option<Box<str>>,
    plan: Option<Box<str>>,
    claims: Bytes,
}

impl Identity {
    /// The principal `subject`, authenticated by `scheme`: the name of the guard, such as "jwt" or "api_key".
    pub fn new(scheme: &'static str, subject: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Parts {
            scheme,
            subject: subject.into(),
            issuer: None,
            scope: None,
            plan: None,
            claims: Bytes::new(),
        }))
    }

    /// A client that presented no credential where none is needed: scheme "anonymous", and no subject, so that
    /// [`key::subject`](crate::key::subject) does not take all of them for one client. Give it the plan and the
    /// scope that everybody has.
    ///
    /// ```
    /// use tower_gateway::identity::Identity;
    ///
    /// let who = Identity::anonymous().with_plan("free");
    /// assert!(who.is_anonymous() && who.subject().is_empty());
    /// assert!(!Identity::new("jwt", "alice").is_anonymous());
    /// ```
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new(ANONYMOUS, "")
    }

    /// Who vouches for the subject; subjects are unique only within an issuer (RFC 7519 §4.1.2).
    #[must_use]
    pub fn with_issuer(self, issuer: impl Into<Arc<str>>) -> Self {
        self.with(|parts| parts.issuer = Some(issuer.into()))
    }

    /// What the credential is good for: scope tokens separated by spaces (RFC 6749 §3.3).
    #[must_use]
    pub fn with_scope(self, scope: impl Into<Box<str>>) -> Self {
        self.with(|parts| parts.scope = Some(scope.into()))
    }

    /// The plan that the principal is on, for limits and quotas.
    #[must_use]
    pub fn with_plan(self, plan: impl Into<Box<str>>) -> Self {
        self.with(|parts| parts.plan = Some(plan.into()))
    }

    /// Everything that was said of the principal, as a JSON object.
    #[must_use]
    pub fn with_claims(self, json: impl Into<Bytes>) -> Self {
        self.with(|parts| parts.claims = json.into())
    }

    fn with(mut self, set: impl FnOnce(&mut Parts)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    /// Whether it is nobody in particular: see [`anonymous`](Self::anonymous).
    pub fn is_anonymous(&self) -> bool {
        self.0.scheme == ANONYMOUS
    }

    /// How it was authenticated.
    pub fn scheme(&self) -> &'static str {
        self.0.scheme
    }

    /// Who it is; empty if the credential names nobody.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Who vouches for the subject.
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// The plan that the principal is on.
    pub fn plan(&self) -> Option<&str> {
        self.0.plan.as_deref()
    }

    /// The scope tokens.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.scope.as_deref().unwrap_or_default().split(' ').filter(|token| !token.is_empty())
    }

    /// Whether it holds this scope token; tokens are compared whole and by case.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|held| held == scope)
    }

    /// Everything that was said of it: a JSON object, or nothing at all.
    pub fn claims_json(&self) -> &[u8] {
        &self.0.claims
    }

    /// Its claims as a type of yours.
    ///
    /// # Errors
    ///
    /// When there are none, or they do not have that shape.
    pub fn claims<C: DeserializeOwned>(&self) -> serde_json::Result<C> {
        serde_json::from_slice(&self.0.claims)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("scheme", &self.scheme())
            .field("subject", &self.subject())
            .field("issuer", &self.issuer())
            .finish_non_exhaustive() // claims hold what is nobody's business in a log
    }
}

/// Verified claims, read into a type of yours by the layer that verified them. Cheap to clone.
///
/// In the request's extensions beside the [`Identity`]; evidence like it.
pub struct Claims<C>(Arc<C>);

impl<C> Claims<C> {
    /// Claims that were verified.
    pub fn new(claims: C) -> Self {
        Self(Arc::new(claims))
    }
}

impl<C> Deref for Claims<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> Clone for Claims<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Claims<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claims(..)") // nobody's business in a log
    }
}
