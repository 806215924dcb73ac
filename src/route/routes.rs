//! The table as it is written.

use http::Method;

/// What a request must be to take this route. See the [module docs](crate::route).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub(super) method: Option<Method>,
    pub(super) host: Option<String>,
    pub(super) path: String,
    pub(super) prefix: bool,
    pub(super) strip: bool,
}

impl Route {
    /// Takes the paths of this pattern: `/health`, `/orders/{id}`, `/files/{*rest}`.
    pub fn new(path: impl Into<String>) -> Self {
        Self { method: None, host: None, path: path.into(), prefix: false, strip: false }
    }

    /// Takes this path and all below it. It may have captures too.
    pub fn prefix(path: impl Into<String>) -> Self {
        Self { prefix: true, ..Self::new(path) }
    }

    /// [`new`](Self::new), for `GET` and `HEAD`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(path).method(Method::GET)
    }

    /// [`new`](Self::new), for `POST`.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(path).method(Method::POST)
    }

    /// [`new`](Self::new), for `PUT`.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(path).method(Method::PUT)
    }

    /// [`new`](Self::new), for `PATCH`.
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(path).method(Method::PATCH)
    }

    /// [`new`](Self::new), for `DELETE`.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(path).method(Method::DELETE)
    }

    /// Takes this method only; `GET` takes `HEAD` too. Default: any.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Takes requests for this host only: `api.example`, or `*.example` for all names below. Compared without
    /// regard to case, port and final dot. It is part of the pattern that [`MatchedRoute`](crate::MatchedRoute)
    /// tells: `api.example/v1/users`. Default: any.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Cuts the prefix off before the service sees the path: `/v1/users/7` becomes `/7`, and `/v1/users` becomes
    /// `/`. For a [`prefix`](Self::prefix) only.
    #[must_use]
    pub fn strip_prefix(mut self) -> Self {
        self.strip = true;
        self
    }
}

/// Services of one type, each under a [`Route`]. See the [module docs](crate::route).
///
/// For services of several types, use `tower::util::BoxCloneSyncService`.
#[derive(Clone, Debug)]
pub struct Routes<S> {
    pub(super) entries: Vec<(Route, S)>,
}

impl<S> Routes<S> {
    /// No routes yet.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// [`Route::prefix`], for any host and method.
    #[must_use]
    pub fn prefix(self, path: impl Into<String>, service: S) -> Self {
        self.route(Route::prefix(path), service)
    }

    /// [`Route::new`], for any host and method.
    #[must_use]
    pub fn exact(self, path: impl Into<String>, service: S) -> Self {
        self.route(Route::new(path), service)
    }

    /// Any route.
    #[must_use]
    pub fn route(mut self, route: Route, service: S) -> Self {
        self.entries.push((route, service));
        self
    }
}

impl<S> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}
